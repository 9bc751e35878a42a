"""Recalls: each occurrence is a message like any other, on time, once, behind whoever speaks already."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tenure.core.command import InterruptRun
from tenure.core.entry import Recorded
from tenure.core.event import (
    RecallDeferred,
    RecallFired,
    RecallScheduled,
    RecallSkipped,
    RunFinished,
    RunStarted,
    SessionCreated,
)
from tenure.core.grant import Policy
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.errors import TenureError
from tenure.host.fanout import Delivery, Follower
from tenure.ports.runner import RunContext
from tests.host.diary import Told, plan, planned, recalls, runs
from tests.host.rooms import ADA, UNHURRIED, Rooms, Talk, Work, agent, in_virtual_time, recorded, second

A_SWEEP = 10
"""Steps of one round of the recovery loop; an hour holds sixty, give or take one."""

A_LOOK = 3
"""Steps of one look at what comes first: the timer rings, the store is asked, the task is over."""


async def echo(run: RunContext) -> AsyncIterator[Output]:
    """Says the message again."""
    yield Text(run.message.text)
    yield completed()


async def slow(run: RunContext) -> AsyncIterator[Output]:
    """Speaks for fifteen seconds."""
    for _ in range(15):
        await asyncio.sleep(1)
        yield Text(".")
    yield completed()


async def hosted(rooms: Rooms, work: Work = echo, policy: Policy = UNHURRIED) -> Talk:
    """A session with one agent."""
    await rooms.up(agent(work, policy))
    return await rooms.open()


async def starts(talk: Talk) -> list[float]:
    """When its runs started, in seconds since the test began."""
    return [second(e.at) for e in await talk.journal() if isinstance(e.event, RunStarted)]


async def refused(rooms: Rooms, **ask: object) -> tuple[str, object]:
    """The code and field of what a schedule is refused with."""
    with pytest.raises(TenureError) as caught:
        await planned(rooms, ADA, message="tick", agent="agent", **ask)
    return str(caught.value.code), caught.value.facts.get("field")


# --- on time


@pytest.mark.sources("N14", "P10")
@in_virtual_time
async def test_a_one_time_recall_fires_at_its_instant_in_the_same_history_and_is_done(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    await talk.say("hello")
    made = await plan(talk, "remember me", in_s=60)
    due_at = (await made.info()).next_at
    await talk.until(RecallFired)
    await asyncio.sleep(1)

    assert await talk.lines() == [
        ("user", "hello", "settled"),
        ("assistant", "hello", "completed"),
        ("user", "remember me", "settled"),
        ("assistant", "remember me", "completed"),
    ]
    (seen,) = await made.occurrences()
    assert seen.due_at == seen.seen_at == due_at
    assert (seen.state, seen.outcome, seen.session_id) == ("admitted", "completed", talk.session_id)
    info = await made.info()
    assert (info.status, info.reason, info.next_at) == ("done", "finished", None)


@pytest.mark.sources("N18", "D-N7", "D-N13", "P10", "A19")
@in_virtual_time
async def test_an_interval_keeps_its_grid_however_long_its_runs_take(rooms: Rooms) -> None:
    talk = await hosted(rooms, slow)
    made = await plan(talk, every_s=60, max_runs=5)
    await asyncio.sleep(400)

    grid = [60.0, 120.0, 180.0, 240.0, 300.0]
    assert await starts(talk) == grid
    assert await made.told() == [Told(at, "admitted", None, "completed", 1) for at in grid]
    assert (await made.info()).status == "done"


@pytest.mark.sources("D-N7", "A19")
@in_virtual_time
async def test_an_interval_of_zero_null_or_too_little_is_refused(rooms: Rooms) -> None:
    await hosted(rooms)

    assert await refused(rooms) == ("invalid", "at")
    assert await refused(rooms, every_s=None) == ("invalid", "at")
    for nothing in (0, 0.5, -1):
        with pytest.raises(ValueError, match="every_s"):
            await planned(rooms, ADA, message="tick", agent="agent", every_s=nothing)


@in_virtual_time
async def test_jitter_moves_the_look_and_not_the_instant(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    made = await plan(talk, every_s=60, jitter_s=30, max_runs=4)
    await asyncio.sleep(300)

    assert [each.due for each in await made.told()] == [60.0, 120.0, 180.0, 240.0]
    late = [began - due for began, due in zip(await starts(talk), (60, 120, 180, 240), strict=True)]
    assert all(0 < each <= 30 for each in late)
    assert len(set(late)) == 4


@in_virtual_time
async def test_each_occurrence_of_a_schedule_for_an_agent_gets_a_session_of_its_own(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    made = await planned(rooms, ADA, message="daily", agent="agent", name="The daily", every_s=60, max_runs=2)
    await asyncio.sleep(150)

    seen = await made.occurrences()
    talks = [Talk(rooms, ADA, each.session_id or "") for each in seen]
    assert len({each.session_id for each in talks}) == 2
    for talk in talks:
        (opened,) = [e.event for e in await talk.journal() if isinstance(e.event, SessionCreated)]
        assert (opened.owner, opened.title, opened.labels) == ("ada", "The daily", {"schedule": made.id})
        assert await talk.lines() == [("user", "daily", "settled"), ("assistant", "daily", "completed")]


@in_virtual_time
async def test_what_comes_earlier_than_all_else_moves_the_timer(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    await plan(talk, "last", in_s=3_000)
    await plan(talk, "second", in_s=30)
    await plan(talk, "first", in_s=10)
    moved = await plan(talk, "moved", in_s=9_000)
    await moved.update(in_s=20)
    await asyncio.sleep(40)

    assert await starts(talk) == [10.0, 20.0, 30.0]


@in_virtual_time
async def test_nothing_is_done_while_nothing_is_due_but_a_look_a_minute(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    await asyncio.sleep(30)
    before, tasks = rooms.loop.steps, rooms.host.tasks
    await asyncio.sleep(3_600)
    without = rooms.loop.steps - before
    made = await plan(talk, in_s=80_000)
    await made.pause()
    before = rooms.loop.steps
    await asyncio.sleep(3_600)
    resting = rooms.loop.steps - before
    await made.resume()
    await asyncio.sleep(30)
    before = rooms.loop.steps
    await asyncio.sleep(3_600)

    assert rooms.loop.steps - before <= without + 62 * A_LOOK + A_SWEEP
    assert resting <= without + A_SWEEP
    assert rooms.host.tasks == tasks == 1


# --- busy sessions


@pytest.mark.sources("N15", "D-N12", "D-N13", "A20")
@in_virtual_time
async def test_a_recall_in_a_busy_session_waits_behind_the_live_run_and_says_so(rooms: Rooms) -> None:
    talk = await hosted(rooms, slow)
    made = await plan(talk, every_s=60, max_runs=2)
    await asyncio.sleep(55)
    await talk.send("a person")
    await asyncio.sleep(100)

    # The run of the person lasts from 55 to 70, and the grid stays as it is.
    assert await starts(talk) == [55.0, 70.0, 120.0]
    first, last = await made.occurrences()
    assert recalls(await talk.journal())[:3] == [
        RecallFired(schedule_id=made.id, occurrence=first.id, due_at=first.due_at),
        RecallDeferred(schedule_id=made.id, occurrence=first.id, due_at=first.due_at),
        RecallFired(schedule_id=made.id, occurrence=last.id, due_at=last.due_at),
    ]
    assert runs(await talk.journal()) == [("completed", "")] * 3


@pytest.mark.sources("N15", "D-N12", "D-N13", "A20")
@in_virtual_time
async def test_a_recall_told_to_skip_leaves_a_busy_session_alone_and_says_so(rooms: Rooms) -> None:
    talk = await hosted(rooms, slow)
    made = await plan(talk, every_s=60, max_runs=2, overlap="skip")
    await asyncio.sleep(55)
    await talk.send("a person")
    await asyncio.sleep(180)

    assert await made.told() == [
        Told(60.0, "skipped", "overlap"),
        Told(120.0, "admitted", None, "completed", 1),
        Told(180.0, "admitted", None, "completed", 1),
    ]
    skipped = (await made.occurrences())[0]
    assert recalls(await talk.journal())[0] == RecallSkipped(
        schedule_id=made.id, occurrence=skipped.id, due_at=skipped.due_at, reason="overlap"
    )
    info = await made.info()
    assert (info.failures, info.runs) == (0, 2)


@pytest.mark.sources("D-N12", "D-N15", "A20")
@in_virtual_time
async def test_recalls_and_people_take_turns_and_never_speak_at_once(rooms: Rooms) -> None:
    live: list[str] = []
    most: list[int] = []

    async def watched(run: RunContext) -> AsyncIterator[Output]:
        live.append(run.message.text)
        most.append(len(live))
        await asyncio.sleep(3)
        live.remove(run.message.text)
        yield completed()

    talk = await hosted(rooms, watched)
    for number in range(4):
        await plan(talk, f"plan {number}", every_s=20, max_runs=2)
    await asyncio.sleep(19)
    for number in range(3):
        await talk.send(f"person {number}")
    await asyncio.sleep(200)

    assert most == [1] * 11


@in_virtual_time
async def test_recalls_wait_for_a_slot_like_everybody(rooms: Rooms) -> None:
    await rooms.up(agent(slow), limits=Limits(live_runs=2))
    talks = [await rooms.open() for _ in range(4)]
    plans = [await plan(talk, in_s=60) for talk in talks]
    await asyncio.sleep(120)

    assert sorted([at for talk in talks for at in await starts(talk)]) == [60.0, 60.0, 75.0, 75.0]
    told = [Told(60.0, "admitted", None, "completed", 1)]
    assert [await each.told() for each in plans] == [told] * 4
    assert [type(e) for talk in talks for e in recalls(await talk.journal())].count(RecallDeferred) == 0


# --- what people see and may do


@pytest.mark.sources("N17", "D-N4", "D-N14", "A19")
@in_virtual_time
async def test_watchers_see_the_frames_of_a_normal_run_once_each_and_its_end(rooms: Rooms) -> None:
    talk, other = await hosted(rooms), await rooms.open()
    await plan(talk, "same", in_s=60)
    watch = rooms.host.fanout.follow
    with await watch(talk.session_id, 0) as one, await watch(talk.session_id, 0) as two:
        await asyncio.sleep(100)
        seen = [await frames(follower) for follower in (one, two)]
    await other.say("same")

    assert seen[0] == seen[1] == await talk.journal()
    assert [e.seq for e in seen[0]] == list(range(1, len(seen[0]) + 1))
    ours = [type(e.event).__name__ for e in seen[0]]
    assert [n for n in ours if not n.startswith("Recall")] == [
        type(e.event).__name__ for e in await other.journal()
    ]
    assert ours[1:4] == ["RecallScheduled", "RecallFired", "MessageAdmitted"]


async def frames(follower: Follower) -> list[Recorded]:
    """Everything that a follower gets until nothing comes for a while."""
    seen: list[Recorded] = []
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.5):
                step = await follower.next()
            seen += recorded(step) if isinstance(step, Delivery) else ()
    return seen


@pytest.mark.sources("D-N3", "A19")
@in_virtual_time
async def test_a_recall_can_be_interrupted_and_the_next_one_comes(rooms: Rooms) -> None:
    talk = await hosted(rooms, slow)
    made = await plan(talk, every_s=60, max_runs=2, retries=3)
    await talk.until(RunStarted)
    await asyncio.sleep(2)
    receipt = await talk.stop(InterruptRun())
    await asyncio.sleep(120)

    assert receipt.status in ("interrupting", "cancelled")
    # Somebody wanted it to end: that is no failure, and not tried again.
    assert await made.told() == [
        Told(60.0, "admitted", None, "cancelled", 1),
        Told(120.0, "admitted", None, "completed", 1),
    ]
    assert (await made.info()).failures == 0


@pytest.mark.sources("D-N1", "D-N2", "D-N5")
@in_virtual_time
async def test_a_session_is_free_after_a_recall(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    await plan(talk, in_s=60)
    end = await talk.until(RunFinished)
    await talk.say("and now me")

    assert (await starts(talk))[-1] == second(end.at)
    assert rooms.host.executing == 0


@pytest.mark.sources("N14")
@in_virtual_time
async def test_a_reminder_is_said_as_it_stands_and_no_agent_is_asked(rooms: Rooms) -> None:
    asked: list[str] = []

    async def never(run: RunContext) -> AsyncIterator[Output]:
        asked.append(run.message.text)
        yield completed()

    talk = await hosted(rooms, never)
    text = "Stand up, {name} — *now*\n  <b>please</b> 🙂"
    await plan(talk, text, in_s=60, kind="reminder")
    await talk.until(RunFinished)

    assert asked == []
    assert await talk.lines() == [("user", text, "settled"), ("assistant", text, "completed")]


@in_virtual_time
async def test_somebody_may_have_an_occurrence_now_and_the_timing_stays(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    made = await plan(talk, every_s=60, max_runs=2)
    await asyncio.sleep(10)
    asked = await made.trigger()
    await asyncio.sleep(190)

    assert (asked.state, asked.manual, asked.reason) == ("admitted", True, "asked")
    assert await starts(talk) == [10.0, 60.0, 120.0]
    assert (await made.info()).status == "done"
    await made.trigger()
    await asyncio.sleep(1)
    assert len(await starts(talk)) == 4


@pytest.mark.sources("N19")
@in_virtual_time
async def test_the_journal_tells_when_a_schedule_is_made(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    made = await plan(talk, every_s=90)
    told = [e.event for e in await talk.journal() if isinstance(e.event, RecallScheduled)]

    info = await made.info()
    assert told == [
        RecallScheduled(schedule_id=made.id, due_at=info.next_at or "", explanation=info.explanation)
    ]
