"""Stopping: whatever a runner does, it is asked, cancelled and left behind in bounded time; so are limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tenure.core.command import CloseSession, InterruptRun, SendMessage
from tenure.core.event import MessageDelta, RunFinished, RunInterrupting, RunnerWarning, RunStarted
from tenure.core.grant import Descriptor, Policy
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed, failed
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.rooms import (
    ADA,
    BEN,
    UNHURRIED,
    Rooms,
    Talk,
    Work,
    agent,
    end,
    in_virtual_time,
    lasted,
    said,
    second,
    talk_with,
    warnings,
)

YEAR = 31_536_000.0
FORCE = InterruptRun(force=True)

# Runners, from the polite to the deaf.


async def polite(run: RunContext) -> AsyncIterator[Output]:
    """Says its last words when it is asked to stop."""
    yield Text("working ")
    await run.stopped()
    await asyncio.sleep(2)
    yield Text("bye")


async def quick(run: RunContext) -> AsyncIterator[Output]:
    """Finishes what it is at when it is asked to stop."""
    yield Text("working ")
    await run.stopped()
    await asyncio.sleep(3)
    yield Text("done")
    yield completed()


async def busy(run: RunContext) -> AsyncIterator[Output]:
    """Doesn't look whether it is asked."""
    yield Text("working ")
    await asyncio.sleep(YEAR)


async def deaf(run: RunContext) -> AsyncIterator[Output]:
    """Ignores every cancellation."""
    yield Text("working ")
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(YEAR)


async def talkative(run: RunContext) -> AsyncIterator[Output]:
    """Ignores every cancellation, and talks on."""
    while True:
        yield Text("working ")
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.7)


async def breathless(run: RunContext) -> AsyncIterator[Output]:
    """Ignores everything, and never waits for anything itself."""
    while True:
        with suppress(asyncio.CancelledError):
            yield Text("x" * 20_000)


async def tidying(run: RunContext) -> AsyncIterator[Output]:
    """Takes a year to tidy up."""
    try:
        yield Text("working ")
        await asyncio.sleep(YEAR)
    finally:
        await asyncio.sleep(YEAR)


async def falling(run: RunContext) -> AsyncIterator[Output]:
    """Falls over its own clean-up."""
    try:
        yield Text("working ")
        await asyncio.sleep(YEAR)
    finally:
        raise RuntimeError("The mop is broken.")


async def wriggling(run: RunContext) -> AsyncIterator[Output]:
    """Cancels its own helper for ever."""
    yield Text("working ")
    while True:
        helper = asyncio.ensure_future(asyncio.sleep(YEAR))
        with suppress(asyncio.CancelledError):
            await asyncio.shield(helper)
        helper.cancel()


class Clinging:
    """A runner whose stream takes a year to close."""

    descriptor = Descriptor(runner="clinging")

    async def run(self, context: RunContext) -> AsyncIterator[Output]:
        """Begin something that won't be closed."""
        inner = deaf(context)
        async for output in inner:
            yield output


HABITS: dict[str, Work] = {
    "polite": polite,
    "quick": quick,
    "busy": busy,
    "deaf": deaf,
    "talkative": talkative,
    "breathless": breathless,
    "tidying": tidying,
    "falling": falling,
    "wriggling": wriggling,
    "clinging": Clinging().run,
}


async def begun(rooms: Rooms, work: Work, policy: Policy = UNHURRIED) -> Talk:
    """A session whose run has said its first word at second 0."""
    talk = await talk_with(rooms, work, policy)
    await talk.send()
    await talk.until(MessageDelta)
    return talk


# --- stages of an interrupt


@pytest.mark.sources("N09")
@in_virtual_time
async def test_runner_that_listens_says_its_last_words_and_ends_cancelled(rooms: Rooms) -> None:
    talk = await begun(rooms, polite)
    await talk.stop()
    finished = await talk.until(RunFinished)

    assert second(finished.at) == 2
    assert await talk.lines() == [("user", "go", "settled"), ("assistant", "working bye", "partial")]
    assert finished.event == RunFinished(status="cancelled", reason="interrupted")


@in_virtual_time
async def test_runner_that_finishes_within_the_grace_has_completed(rooms: Rooms) -> None:
    talk = await begun(rooms, quick)
    await talk.stop()
    finished = await talk.until(RunFinished)

    assert second(finished.at) == 3
    assert finished.event == RunFinished(status="completed", reason="")
    assert (await talk.lines())[-1] == ("assistant", "working done", "completed")


@in_virtual_time
async def test_runner_that_does_not_listen_is_cancelled_after_five_seconds(rooms: Rooms) -> None:
    talk = await begun(rooms, busy)
    await asyncio.sleep(1)
    await talk.stop()
    finished = await talk.until(RunFinished)

    assert second(finished.at) == 6
    assert finished.event == RunFinished(status="cancelled", reason="interrupted")
    assert warnings(await talk.journal()) == []


@in_virtual_time
async def test_runner_that_ignores_its_cancellation_is_left_behind_after_ten_seconds(rooms: Rooms) -> None:
    talk = await begun(rooms, deaf)
    await talk.stop()
    events = await talk.journal()
    await talk.until(RunFinished)
    after = (await talk.journal())[len(events) :]

    assert [(second(e.at), type(e.event).__name__) for e in after] == [
        (10, "RunnerWarning"),
        (10, "MessageCompleted"),
        (10, "RunFinished"),
    ]
    assert warnings(after) == ["abandoned"]
    assert end(after) == ("cancelled", "interrupted")


@in_virtual_time
async def test_force_skips_the_asking(rooms: Rooms) -> None:
    talk = await begun(rooms, busy)
    await talk.stop(FORCE)

    assert second((await talk.until(RunFinished)).at) == 0


@in_virtual_time
async def test_force_leaves_a_deaf_runner_behind_after_five_seconds(rooms: Rooms) -> None:
    talk = await begun(rooms, deaf)
    await talk.stop(FORCE)

    assert second((await talk.until(RunFinished)).at) == 5
    assert warnings(await talk.journal()) == ["abandoned"]


@in_virtual_time
async def test_force_may_follow_a_stop_that_is_under_way(rooms: Rooms) -> None:
    talk = await begun(rooms, deaf)
    await talk.stop()
    await asyncio.sleep(2)
    again = await talk.stop(FORCE)

    assert again.status == "interrupting"
    assert second((await talk.until(RunFinished)).at) == 7


@in_virtual_time
async def test_asking_again_changes_nothing(rooms: Rooms) -> None:
    talk = await begun(rooms, busy)
    for _ in range(4):
        await talk.stop()
        await asyncio.sleep(1)
    finished = await talk.until(RunFinished)
    asked = [e for e in await talk.journal() if isinstance(e.event, RunInterrupting)]

    assert (second(finished.at), len(asked)) == (5, 1)


@pytest.mark.sources("P9", "O20", "D-O4", "A6")
@pytest.mark.parametrize("force", [False, True], ids=["asked", "forced"])
@pytest.mark.parametrize("habit", HABITS)
@in_virtual_time
async def test_stop_ends_any_run_within_ten_seconds_and_frees_its_slot(
    rooms: Rooms, habit: str, force: bool
) -> None:
    async def echo(run: RunContext) -> AsyncIterator[Output]:
        yield Text("my turn")
        yield completed()

    await rooms.up(agent(HABITS[habit], name="odd"), agent(echo, name="echo"), limits=Limits(live_runs=1))
    rooms.lane.delay = 0.2
    odd, other = await rooms.open("odd"), await rooms.open("echo", by=BEN)
    await odd.send()
    await odd.until(MessageDelta)
    waiting = await other.send()
    assert waiting.disposition == "queued"
    asked = rooms.loop.time()
    await odd.stop(FORCE if force else None)
    finished = await odd.until(RunFinished)

    assert second(finished.at) - asked <= (5 if force else 10) + 1.0
    assert isinstance(finished.event, RunFinished)
    assert finished.event.status in ("cancelled", "completed")
    answer = await other.answer(waiting)
    assert said(answer) == "my turn"
    assert second(answer[0].at) - second(finished.at) <= 1.0


@in_virtual_time
async def test_session_of_an_abandoned_run_goes_on_and_its_late_words_are_refused(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        if run.message.text == "next":
            yield Text("fine")
            yield completed()
            return
        until = rooms.loop.time() + 60
        while rooms.loop.time() < until:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(until - rooms.loop.time())
        yield Text("so late")
        yield completed()

    talk = await talk_with(rooms, work)
    lost = await talk.send()
    await asyncio.sleep(1)
    await talk.stop()
    await talk.until(RunFinished)
    assert said(await talk.say("next")) == "fine"
    await asyncio.sleep(1)
    assert rooms.host.executing == 0
    late = await talk.until(lambda e: isinstance(e.event, RunnerWarning) and e.event.code == "late_result")

    assert (second(late.at), late.run_id) == (60, lost.run_id)
    assert isinstance(late.event, RunnerWarning)
    assert "so late" in late.event.detail
    assert await talk.lines() == [
        ("user", "go", "settled"),
        ("user", "next", "settled"),
        ("assistant", "fine", "completed"),
    ]
    assert rooms.host.telemetry.abandoned == 1


@pytest.mark.sources("D-M12")
@in_virtual_time
async def test_stop_that_comes_before_the_runner_has_begun_is_not_missed(rooms: Rooms) -> None:
    talk = await talk_with(rooms, polite)
    rooms.lane.delay = 1.0
    sending = asyncio.ensure_future(talk.send())
    await asyncio.sleep(0.5)
    await talk.stop()
    await sending
    finished = await talk.until(RunFinished)

    assert finished.event == RunFinished(status="cancelled", reason="interrupted")
    assert second(finished.at) <= 10


@in_virtual_time
async def test_stop_with_the_name_of_an_older_run_leaves_the_live_one_alone(rooms: Rooms) -> None:
    talk = await talk_with(rooms, polite)
    old = await talk.send()
    await talk.stop(FORCE)
    await talk.until(RunFinished)
    live = await talk.send()
    with pytest.raises(TenureError) as refusal:
        await talk.stop(InterruptRun(run_id=old.run_id))
    await asyncio.sleep(30)

    assert refusal.value.code == Code.NOT_RUNNING
    assert (await talk.run(live)).status == "running"
    await talk.stop(FORCE)
    await talk.answer(live)


@in_virtual_time
async def test_closing_a_session_stops_its_run(rooms: Rooms) -> None:
    talk = await begun(rooms, busy)
    close = rooms.host.commands.close_session(ADA, talk.session_id, CloseSession(), None)
    await rooms.there(close)
    finished = await talk.until(RunFinished)

    assert second(finished.at) == 5
    assert finished.event == RunFinished(status="cancelled", reason="interrupted")


@pytest.mark.sources("M16")
@in_virtual_time
async def test_deleting_a_session_cancels_its_runner_at_once(rooms: Rooms) -> None:
    left: list[float] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        try:
            yield Text("working ")
            await asyncio.sleep(YEAR)
        finally:
            left.append(rooms.loop.time())

    talk = await begun(rooms, work)
    await asyncio.sleep(3)
    await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
    await asyncio.sleep(0.1)

    assert left == [3.0]
    assert (rooms.host.executing, (await rooms.host.stats()).live_runs) == (0, 0)


# --- time limits


def deadline(seconds: float) -> Policy:
    """Terms with a deadline."""
    return Policy(deadline_s=seconds)


@pytest.mark.sources("O24", "O22")
@pytest.mark.parametrize(
    ("work", "at", "outcome"),
    [
        (polite, 32, RunFinished(status="timed_out", reason="deadline_exceeded")),
        (quick, 33, RunFinished(status="completed", reason="")),
        (busy, 35, RunFinished(status="timed_out", reason="deadline_exceeded")),
        (deaf, 40, RunFinished(status="timed_out", reason="deadline_exceeded")),
    ],
    ids=["polite", "quick", "busy", "deaf"],
)
@in_virtual_time
async def test_deadline_interrupts_the_run_by_the_same_steps(
    rooms: Rooms, work: Work, at: float, outcome: RunFinished
) -> None:
    talk = await begun(rooms, work, deadline(30))
    finished = await talk.until(RunFinished)
    asked = await talk.until(RunInterrupting)

    assert (second(asked.at), asked.event) == (
        30,
        RunInterrupting(by="deadline", reason="deadline_exceeded"),
    )
    assert (second(finished.at), finished.event) == (at, outcome)


@in_virtual_time
async def test_failure_within_the_grace_of_a_deadline_is_still_timed_out(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("working ")
        await run.stopped()
        yield failed("gave up", retryable=True)

    talk = await begun(rooms, work, deadline(30))

    assert (await talk.until(RunFinished)).event == RunFinished(
        status="timed_out", reason="deadline_exceeded"
    )


@in_virtual_time
async def test_run_that_ends_in_time_is_not_troubled_by_its_deadline(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(29.9)
        yield completed()

    talk = await talk_with(rooms, work, deadline(30))
    await talk.say()
    commits = rooms.host.store.commits().made
    await asyncio.sleep(20)

    assert end(await talk.journal()) == ("completed", "")
    assert rooms.host.store.commits().made == commits


@pytest.mark.parametrize(("asked", "limit"), [(10.0, 10), (50.0, 30), (None, 30)])
@in_virtual_time
async def test_message_may_shorten_the_deadline_but_not_lengthen_it(
    rooms: Rooms, asked: float | None, limit: float
) -> None:
    talk = await talk_with(rooms, polite, deadline(30))
    await talk.send(SendMessage(content="go", deadline_s=asked))

    assert second((await talk.until(RunInterrupting)).at) == limit


@in_virtual_time
async def test_stop_by_a_person_before_the_deadline_stays_a_stop_by_a_person(rooms: Rooms) -> None:
    talk = await begun(rooms, busy, deadline(30))
    await asyncio.sleep(28)
    await talk.stop()
    events = [e for e in await talk.journal() if e.event == (await talk.until(RunInterrupting)).event]
    finished = await talk.until(RunFinished)

    assert len(events) == 1
    assert (second(finished.at), finished.event) == (
        33,
        RunFinished(status="cancelled", reason="interrupted"),
    )


@in_virtual_time
async def test_stop_by_a_person_after_the_deadline_stays_a_time_out_and_may_be_forced(rooms: Rooms) -> None:
    talk = await begun(rooms, busy, deadline(30))
    await talk.until(RunInterrupting)
    await asyncio.sleep(1)
    await talk.stop(FORCE)
    finished = await talk.until(RunFinished)

    assert (second(finished.at), finished.event) == (
        31,
        RunFinished(status="timed_out", reason="deadline_exceeded"),
    )


@pytest.mark.sources("R11", "R18")
@in_virtual_time
async def test_silence_beyond_the_idle_limit_times_the_run_out(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for pause in (0, 9, 9.9, 1):
            await asyncio.sleep(pause)
            yield Text(".")
        await asyncio.sleep(YEAR)

    talk = await talk_with(rooms, work, Policy(deadline_s=None, idle_s=10))
    events = await talk.say()

    assert said(events) == "...."
    asked = next(e for e in events if isinstance(e.event, RunInterrupting))
    assert asked.event == RunInterrupting(by="deadline", reason="idle_timeout")
    assert second(asked.at) == pytest.approx(29.9, abs=1e-3)
    assert end(events) == ("timed_out", "idle_timeout")
    assert lasted(events, RunInterrupting) == pytest.approx(5, abs=1e-3)


@in_virtual_time
async def test_runner_that_never_says_anything_meets_the_idle_limit(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.stopped()
        yield completed()

    talk = await talk_with(rooms, work, Policy(deadline_s=None, idle_s=10))
    events = await talk.say()

    assert (lasted(events), end(events)) == (10, ("completed", ""))


@in_virtual_time
async def test_deadline_that_finds_the_disk_full_is_tried_again_until_there_is_space(rooms: Rooms) -> None:
    talk = await begun(rooms, busy, deadline(30))
    await asyncio.sleep(29)
    rooms.lane.full = True
    await asyncio.sleep(20)
    rooms.lane.full = False
    finished = await talk.until(RunFinished)

    assert 49 <= second((await talk.until(RunInterrupting)).at) <= 50.5
    assert second(finished.at) <= 55.5
    assert finished.event == RunFinished(status="timed_out", reason="deadline_exceeded")


@in_virtual_time
async def test_deadline_starts_with_the_run_and_not_with_the_message(rooms: Rooms) -> None:
    talk = await talk_with(rooms, polite, deadline(30))
    first, second_ = await talk.send(), await talk.send()
    events = await talk.answer(second_)
    assert lasted(await talk.answer(first)) == 32
    asked = next(e for e in events if isinstance(e.event, RunInterrupting))

    assert lasted([events[0], asked], RunStarted) == 30


@in_virtual_time
async def test_silence_of_a_runner_that_waits_for_the_disk_is_not_counted(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for _ in range(1_000):
            yield Text("x" * 1_000)
        await asyncio.sleep(9)
        yield completed()

    talk = await talk_with(rooms, work, Policy(deadline_s=None, idle_s=10))
    rooms.lane.delay = 0.01
    receipt = await talk.send()
    await talk.until(MessageDelta)
    rooms.lane.full = True
    await asyncio.sleep(60)
    rooms.lane.full = False

    events = await talk.answer(receipt)
    assert end(events) == ("completed", "")
    assert [e for e in events if isinstance(e.event, RunInterrupting)] == []
