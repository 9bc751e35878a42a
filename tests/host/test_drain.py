"""Drain and stop: runs are let go as their next attempt, streams end, nothing is taken, in bounded time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tenure.core.command import InterruptRun, Waiting
from tenure.core.event import MessageDelta, RunFinished, RunRetried, RunStarted
from tenure.core.grant import Policy
from tenure.core.limits import Limits
from tenure.core.output import Output, Said, Text, completed
from tenure.host.fanout import Delivery, Ended, Step
from tenure.ports.runner import RunContext
from tests.host.rooms import (
    ADA,
    BEN,
    Rooms,
    Talk,
    Work,
    agent,
    end,
    in_virtual_time,
    said,
    second,
    talk_with,
)

YEAR = 31_536_000.0


async def steady(run: RunContext) -> AsyncIterator[Output]:
    """Says a word each second, ten in all."""
    for number in range(10):
        await asyncio.sleep(1)
        yield Text(f"w{number} ")
    yield completed()


async def silent(run: RunContext) -> AsyncIterator[Output]:
    """Works for a minute without a word."""
    yield Said(f"attempt {run.attempt}")
    await asyncio.sleep(60)
    yield completed()


async def deaf(run: RunContext) -> AsyncIterator[Output]:
    """Ignores every cancellation."""
    yield Text("working ")
    until = asyncio.get_running_loop().time() + YEAR
    while (left := until - asyncio.get_running_loop().time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(left)


async def shouting(run: RunContext) -> AsyncIterator[Output]:
    """Never waits, never ends."""
    while True:
        with suppress(asyncio.CancelledError):
            yield Text("x" * 1_000)


async def tidying(run: RunContext) -> AsyncIterator[Output]:
    """Takes a year to tidy up."""
    try:
        yield Text("working ")
        await asyncio.sleep(YEAR)
    finally:
        await asyncio.sleep(YEAR)


@pytest.mark.sources("D-O5")
@in_virtual_time
async def test_run_is_let_go_at_its_next_word_and_goes_on_as_the_next_attempt(rooms: Rooms) -> None:
    await rooms.up(agent(steady))
    talk = await rooms.open()
    receipt = await talk.send()
    await asyncio.sleep(3.5)
    took = await rooms.stop()
    await rooms.up(agent(steady))
    events = await talk.answer(receipt)
    retried = next(e for e in events if isinstance(e.event, RunRetried))

    assert took == 0.5
    assert said(events[: events.index(retried)]) == "w0 w1 w2 w3 "
    assert retried.event == RunRetried(attempt=2, reason="drain")
    assert (second(retried.at), end(events)) == (4.0, ("completed", ""))
    assert (await talk.lines())[1:] == [("assistant", "".join(f"w{n} " for n in range(10)), "completed")]


@in_virtual_time
async def test_run_that_says_nothing_is_let_go_after_five_seconds(rooms: Rooms) -> None:
    await rooms.up(agent(silent))
    talk = await rooms.open()
    receipt = await talk.send()
    await asyncio.sleep(3)
    took = await rooms.stop()
    await rooms.up(agent(silent))

    assert took == 5
    assert end(await talk.answer(receipt)) == ("completed", "")
    assert [content for _, content, _ in await talk.lines()] == ["go", "attempt 2"]


@in_virtual_time
async def test_stop_cuts_a_drain_short_that_was_begun_before(rooms: Rooms) -> None:
    await rooms.up(agent(silent))
    talk = await rooms.open()
    receipt = await talk.send()
    await asyncio.sleep(3)
    draining = asyncio.create_task(rooms.host.drain())
    await asyncio.sleep(1)
    took = await rooms.stop()
    await asyncio.wait({draining})
    await rooms.up(agent(silent))

    assert took == 0
    assert end(await talk.answer(receipt)) == ("completed", "")


@in_virtual_time
async def test_drains_do_not_count_as_attempts_that_were_lost(rooms: Rooms) -> None:
    once = Policy(deadline_s=None, max_attempts=1)
    await rooms.up(agent(silent, once))
    talk = await rooms.open()
    receipt = await talk.send()
    for _ in range(4):
        await asyncio.sleep(1)
        await rooms.stop()
        await rooms.up(agent(silent, once))

    assert end(await talk.answer(receipt)) == ("completed", "")
    assert (await talk.lines())[-1] == ("assistant", "attempt 5", "completed")


@in_virtual_time
async def test_run_that_ends_during_the_drain_is_settled_and_the_next_message_waits(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(3)
        yield completed()

    await rooms.up(agent(work))
    talk = await rooms.open()
    first, behind = await talk.send(), await talk.send()
    await asyncio.sleep(1)
    await rooms.stop()
    stopped = rooms.loop.time()
    await rooms.up(agent(work))
    journal = await talk.journal()
    ends = [e for e in journal if isinstance(e.event, RunFinished)]

    # The verdict is its safe point: it counts.
    assert (ends[0].run_id, ends[0].event) == (first.run_id, RunFinished(status="completed", reason=""))
    assert second(ends[0].at) == 3
    answer = await talk.answer(behind)
    assert second(answer[0].at) >= stopped
    assert [e.event for e in answer if isinstance(e.event, RunRetried)] == []


@in_virtual_time
async def test_run_that_was_being_stopped_ends_with_the_drain(rooms: Rooms) -> None:
    await rooms.up(agent(silent))
    talk = await rooms.open()
    await talk.send()
    behind = await talk.send()
    await talk.stop(InterruptRun(waiting=Waiting.RUN))
    await rooms.stop()
    await rooms.up(agent(silent))
    finished = await talk.until(RunFinished)

    assert finished.event == RunFinished(status="cancelled", reason="interrupted")
    assert end(await talk.answer(behind)) == ("completed", "")


@in_virtual_time
async def test_draining_host_takes_messages_and_leaves_their_runs_to_the_next_life(rooms: Rooms) -> None:
    await rooms.up(agent(steady))
    quiet, busy = await rooms.open(), await rooms.open(by=BEN)
    await busy.send()
    draining = rooms.loop.spawn(rooms.life.node, rooms.host.drain())
    while not rooms.host.draining:  # noqa: ASYNC110 (a drain that began tells nobody)
        await asyncio.sleep(0)
    late = await quiet.send()
    behind = await busy.send()
    await draining
    await asyncio.sleep(100)

    assert (late.disposition, behind.disposition) == ("queued", "queued")
    assert rooms.host.draining
    assert rooms.host.executing == 0
    assert [e for e in await quiet.journal() if isinstance(e.event, RunStarted)] == []
    await rooms.stop()
    await rooms.up(agent(steady))
    assert end(await quiet.answer(late)) == ("completed", "")
    assert end(await busy.answer(behind)) == ("completed", "")


@pytest.mark.parametrize("lag", [0.0, 0.05, 0.1, 0.15, 0.199, 0.2, 0.201, 0.25, 0.3])
@in_virtual_time
async def test_run_that_begins_as_the_host_stops_is_let_go_too(rooms: Rooms, lag: float) -> None:
    once = Policy(deadline_s=None, max_attempts=1)
    await rooms.up(agent(silent, once))
    talk = await rooms.open()
    rooms.lane.delay = 0.1
    sending = asyncio.ensure_future(talk.send())
    await asyncio.sleep(lag)
    took = await rooms.stop()
    sending.cancel()
    await rooms.up(agent(silent, once))

    # A host that stops before it has the message doesn't acknowledge it; one that has it keeps its word.
    assert took <= 15
    if await talk.transcript() or (sending.done() and not sending.cancelled()):
        assert end([await talk.until(RunFinished)]) == ("completed", "")


@in_virtual_time
async def test_slot_that_becomes_free_by_the_drain_is_left_to_the_next_life(rooms: Rooms) -> None:
    limits = Limits(live_runs=1)
    await rooms.up(agent(steady), limits=limits)
    first, waiting = await rooms.open(), await rooms.open(by=BEN)
    one = await first.send()
    two = await waiting.send()
    await rooms.stop()
    await rooms.up(agent(steady), limits=limits)

    assert end(await first.answer(one)) == ("completed", "")
    assert end(await waiting.answer(two)) == ("completed", "")


@in_virtual_time
async def test_streams_get_the_last_words_and_then_end(rooms: Rooms) -> None:
    talk = await talk_with(rooms, steady)
    await talk.send()
    steps: list[Step | None] = []

    async def watch() -> None:
        with await rooms.host.fanout.follow(talk.session_id, 0) as follower:
            while not steps or not isinstance(steps[-1], Ended):
                steps.append(await follower.next())

    watching = rooms.loop.spawn(rooms.life.node, watch())
    await asyncio.sleep(2.5)
    await rooms.there(rooms.host.drain())
    await watching

    assert steps[-1] == Ended("draining")
    texts = b"".join(step.body for step in steps if isinstance(step, Delivery))
    assert b"w2 " in texts
    assert rooms.host.fanout.streams == 0


async def begun(rooms: Rooms, work: Work, count: int = 1) -> list[Talk]:
    """Sessions whose runs have begun."""
    await rooms.up(agent(work))
    talks = [await rooms.open(by=ADA) for _ in range(count)]
    for talk in talks:
        await talk.send()
        await talk.until(MessageDelta)
    return talks


@pytest.mark.parametrize("work", [deaf, shouting, tidying], ids=lambda work: work.__name__)
@in_virtual_time
async def test_stop_is_bounded_whatever_the_runners_do(rooms: Rooms, work: Work) -> None:
    talks = await begun(rooms, work, 3)
    rooms.lane.delay = 0.1
    took = await rooms.stop()

    assert took <= 15
    await rooms.up(agent(steady))
    for talk in talks:
        retried = await talk.until(RunRetried)
        assert retried.event == RunRetried(attempt=2, reason="drain")
        assert end([await talk.until(RunFinished)]) == ("completed", "")


@in_virtual_time
async def test_stop_of_a_host_whose_disk_is_full_is_bounded_and_its_runs_go_on(rooms: Rooms) -> None:
    (talk,) = await begun(rooms, silent_with_a_word)
    rooms.lane.full = True
    took = await rooms.stop()
    rooms.complaints.said.clear()
    await rooms.up(agent(steady))

    assert took <= 15
    assert end([await talk.until(RunFinished)]) == ("completed", "")


async def silent_with_a_word(run: RunContext) -> AsyncIterator[Output]:
    """Says one word and works for a minute."""
    yield Text("working ")
    await asyncio.sleep(60)
    yield completed()


@in_virtual_time
async def test_idle_host_stops_at_once_and_twice_is_not_too_often(rooms: Rooms) -> None:
    await rooms.up(agent(steady))
    await rooms.open()
    await rooms.there(rooms.host.drain())
    await rooms.there(rooms.host.drain())

    assert await rooms.stop() == 0


@in_virtual_time
async def test_stopped_host_has_no_tasks_and_holds_no_runs(rooms: Rooms) -> None:
    await begun(rooms, silent_with_a_word, 5)
    host = rooms.host
    await rooms.stop()

    assert (host.tasks, host.executing) == (0, 0)
