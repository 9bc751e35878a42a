"""Recovery: after a crash every run goes on as a new attempt or ends with a reason, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.command import InterruptRun
from tenure.core.entry import Recorded
from tenure.core.event import (
    MessageDelta,
    MessageWithdrawn,
    RunFinished,
    RunInterrupting,
    RunRetried,
    RunStarted,
    ToolCallCompleted,
)
from tenure.core.grant import Policy
from tenure.core.limits import Limits
from tenure.core.output import Output, Said, Text, ToolStarted, completed
from tenure.errors import TenureError
from tenure.ports.runner import RunContext
from tests.host.rooms import (
    ADA,
    BEN,
    UNHURRIED,
    Rooms,
    Talk,
    agent,
    end,
    facts,
    in_virtual_time,
    second,
    talk_with,
)


async def writer(run: RunContext) -> AsyncIterator[Output]:
    """Says a whole sentence and half of another one, works for a minute, and finishes."""
    yield Said(f"Attempt {run.attempt} at {run.message.text} for {run.message.user}.")
    yield Text("half a sen")
    await asyncio.sleep(60)
    yield Text("tence")
    yield completed()


async def interrupted_work(rooms: Rooms, policy: Policy = UNHURRIED) -> Talk:
    """A session whose run has said half of what it has to say."""
    talk = await talk_with(rooms, writer, policy)
    await talk.send("work")
    await talk.until(MessageDelta)
    return talk


async def crash_and_restart(rooms: Rooms, policy: Policy = UNHURRIED) -> None:
    """kill -9, and another life."""
    rooms.crash()
    await rooms.up(agent(writer, policy))


def attempts(events: list[Recorded]) -> list[int]:
    """The attempts of a run, as its journal tells them."""
    return [e.event.attempt for e in events if isinstance(e.event, RunStarted | RunRetried)]


@pytest.mark.sources("R04", "P8", "D-O5", "A7")
@in_virtual_time
async def test_run_goes_on_as_the_next_attempt_with_the_same_message_and_grant(rooms: Rooms) -> None:
    talk = await interrupted_work(rooms)
    run_id = (await talk.until(RunStarted)).run_id
    before = await talk.run(run_id or "")
    await asyncio.sleep(20)
    generous = Policy(deadline_s=5, max_output_bytes=1, max_attempts=99)
    await crash_and_restart(rooms, generous)
    finished = await talk.until(RunFinished)
    after = await talk.run(run_id or "")
    retried = await talk.until(RunRetried)

    assert (second(retried.at), retried.event) == (20, RunRetried(attempt=2, reason="host_lost"))
    assert (second(finished.at), finished.event) == (80, RunFinished(status="completed", reason=""))
    assert (after.grant, after.grant_digest) == (before.grant, before.grant_digest)
    assert (after.attempt, after.status) == (2, "completed")
    assert await talk.lines() == [
        ("user", "work", "settled"),
        ("assistant", "Attempt 2 at work for ada.", "completed"),
        ("assistant", "half a sentence", "completed"),
    ]


@pytest.mark.sources("D-N16")
@in_virtual_time
async def test_what_was_read_before_the_crash_is_there_byte_for_byte(rooms: Rooms) -> None:
    talk = await interrupted_work(rooms)
    before = (await rooms.host.store.page(talk.session_id, 0, 1_000)).spans
    await crash_and_restart(rooms)
    await talk.until(RunFinished)

    assert (await rooms.host.store.page(talk.session_id, 0, 1_000)).spans[: len(before)] == before


@pytest.mark.sources("A7")
@in_virtual_time
async def test_run_is_lost_after_its_last_attempt_and_its_words_are_kept(rooms: Rooms) -> None:
    limited = Policy(deadline_s=None, max_attempts=3)
    talk = await interrupted_work(rooms, limited)
    for attempt in (2, 3):
        await crash_and_restart(rooms, limited)
        await talk.until(lambda e, at=attempt: e.event == RunRetried(attempt=at, reason="host_lost"))
        await talk.until(MessageDelta, after=(await talk.journal())[-1].seq - 1)
    await crash_and_restart(rooms, limited)
    journal = await talk.journal()

    assert attempts(journal) == [1, 2, 3]
    assert end(journal) == ("lost", "host_lost_3_times")
    assert await talk.lines() == [
        ("user", "work", "settled"),
        ("assistant", "Attempt 3 at work for ada.", "completed"),
        ("assistant", "half a sen", "partial"),
    ]


@in_virtual_time
async def test_message_behind_a_lost_run_is_answered(rooms: Rooms) -> None:
    limited = Policy(deadline_s=None, max_attempts=1)
    talk = await interrupted_work(rooms, limited)
    behind = await talk.send("more")
    await crash_and_restart(rooms, limited)

    assert end(await talk.answer(behind)) == ("completed", "")


@in_virtual_time
async def test_run_that_was_being_stopped_ends_cancelled_and_is_not_tried_again(rooms: Rooms) -> None:
    talk = await interrupted_work(rooms)
    await talk.stop()
    await crash_and_restart(rooms)
    journal = await talk.journal()

    assert (attempts(journal), end(journal)) == ([1], ("cancelled", "interrupted"))
    assert (await talk.lines())[-1] == ("assistant", "half a sen", "partial")


@in_virtual_time
async def test_run_whose_deadline_had_passed_is_not_tried_again(rooms: Rooms) -> None:
    limited = Policy(deadline_s=10)
    talk = await interrupted_work(rooms, limited)
    await talk.until(RunInterrupting)
    await crash_and_restart(rooms, limited)
    journal = await talk.journal()

    assert attempts(journal) == [1]
    assert end(journal)[1] == "deadline_exceeded"


@in_virtual_time
async def test_deadline_holds_for_a_new_attempt_too(rooms: Rooms) -> None:
    limited = Policy(deadline_s=30)
    talk = await interrupted_work(rooms, limited)
    await asyncio.sleep(10)
    await crash_and_restart(rooms, limited)
    asked = await talk.until(RunInterrupting)

    assert second(asked.at) <= 40
    assert (await talk.until(RunFinished)).event == RunFinished(
        status="timed_out", reason="deadline_exceeded"
    )


@pytest.mark.sources("D-M16")
@in_virtual_time
async def test_waiting_messages_survive_and_are_answered_in_order(rooms: Rooms) -> None:
    talk = await interrupted_work(rooms)
    behind = [await talk.send(f"m{number}") for number in range(3)]
    await crash_and_restart(rooms)
    for receipt in behind:
        await talk.answer(receipt)
    takers = [e.event.trigger.id for e in await talk.journal() if isinstance(e.event, RunStarted)]

    assert takers[1:] == [receipt.message_id for receipt in behind]


@in_virtual_time
async def test_held_queue_is_still_held_after_a_crash(rooms: Rooms) -> None:
    talk = await interrupted_work(rooms)
    await talk.send("held")
    await talk.stop(InterruptRun(force=True))
    await talk.until(RunFinished)
    await crash_and_restart(rooms)
    await asyncio.sleep(300)
    session = await rooms.host.store.session(talk.session_id)

    assert session is not None
    assert (session.queue_held, session.status) == (True, "idle")
    assert [
        item.content for item in (await rooms.host.store.transcript(talk.session_id, None, 9)).waiting
    ] == ["held"]


@in_virtual_time
async def test_call_without_an_answer_of_an_earlier_attempt_is_superseded_with_it(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield ToolStarted(call_id=f"c{run.attempt}", tool="look")
        await asyncio.sleep(10)
        yield completed()

    await rooms.up(agent(work))
    talk = await rooms.open()
    receipt = await talk.send()
    await asyncio.sleep(1)
    rooms.crash()
    await rooms.up(agent(work))

    assert facts(await talk.answer(receipt))[-2:] == [
        ToolCallCompleted(call_id="c2", status="unknown"),
        RunFinished(status="completed", reason=""),
    ]


@in_virtual_time
async def test_run_of_an_agent_that_is_not_hosted_any_more_fails_and_what_waits_is_withdrawn(
    rooms: Rooms,
) -> None:
    talk = await interrupted_work(rooms)
    behind = await talk.send("more")
    rooms.crash()
    await rooms.up(agent(writer, name="another"))
    await asyncio.sleep(1)
    journal = await talk.journal()

    assert (attempts(journal), end(journal)) == ([1, 2], ("failed", "unknown_agent"))
    assert journal[-1].event == MessageWithdrawn(
        message_id=behind.message_id, by="host", reason="unknown_agent"
    )
    assert rooms.host.executing == 0
    assert end(await (await rooms.open("another")).say()) == ("completed", "")


@pytest.mark.sources("R04", "P8")
@in_virtual_time
async def test_transcript_stays_refused_to_an_attempt_on_a_host_that_allows_more(rooms: Rooms) -> None:
    async def nosy(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(5)
        try:
            page = await run.transcript()
            yield Said(f"{len(page.data)} seen")
        except TenureError as refusal:
            yield Said(refusal.code)
        yield completed()

    await rooms.up(agent(nosy, Policy(apis=())))
    talk = await rooms.open()
    first = await talk.send()
    await asyncio.sleep(1)
    rooms.crash()
    await rooms.up(agent(nosy, Policy()))
    await talk.answer(first)
    await talk.say()
    replies = [content for who, content, _ in await talk.lines() if who == "assistant"]

    assert replies == ["forbidden", "3 seen"]


@in_virtual_time
async def test_hundred_runs_go_on_at_once_and_those_that_waited_for_a_slot_after_them(rooms: Rooms) -> None:
    limits = Limits(live_runs=60, live_runs_per_user=50)
    await rooms.up(agent(writer), limits=limits)
    talks = [await rooms.open(by=who) for who in (ADA, BEN) for _ in range(50)]
    receipts = [await talk.send("work") for talk in talks]
    rooms.crash()
    await rooms.up(agent(writer), limits=limits)
    events = [await talk.answer(receipt) for talk, receipt in zip(talks, receipts, strict=True)]

    assert {end(run) for run in events} == {("completed", "")}
    assert sorted(second(run[-1].at) for run in events) == [60.0] * 60 + [120.0] * 40
    assert rooms.host.telemetry.requeued == 60


@pytest.mark.sources("P1", "A3")
@in_virtual_time
async def test_crash_at_every_moment_of_a_conversation_loses_no_acknowledged_message(rooms: Rooms) -> None:
    async def echo(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(0.05)
        yield Text(run.message.text)
        yield completed()

    await rooms.up(agent(echo))
    talk = await rooms.open()
    for number in range(40):
        rooms.lane.delay = 0.02
        receipt = await talk.send(f"m{number} ")
        await asyncio.sleep(number * 0.005)
        rooms.crash()
        await rooms.up(agent(echo))
        await talk.answer(receipt)
    replies = [content for who, content, _ in await talk.lines() if who == "assistant"]

    assert replies == [f"m{number} " for number in range(40)]


@in_virtual_time
async def test_rows_of_a_deleted_session_are_freed_soon(rooms: Rooms) -> None:
    talk = await interrupted_work(rooms)
    await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
    await asyncio.sleep(1)

    assert await rooms.host.store.session_ids("", 10) == []
    assert rooms.disk.db.execute("SELECT count(*) FROM journal").fetchone() == (0,)


@in_virtual_time
async def test_deletion_that_a_crash_cut_short_is_completed_by_the_next_life(rooms: Rooms) -> None:
    talk = await interrupted_work(rooms)
    rooms.lane.delay = 0.1
    deleting = rooms.loop.spawn(rooms.life.node, rooms.host.commands.delete_session(ADA, talk.session_id))
    await asyncio.sleep(0.15)
    assert not deleting.done()
    rooms.crash()
    await rooms.up(agent(writer))

    assert await rooms.host.store.session_ids("", 10) == []
