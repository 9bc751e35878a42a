"""The timer of recalls: full disks, bugs, storms and clocks that jump hold up nothing for long."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tenure.core.event import RunStarted
from tenure.core.limits import Limits
from tenure.core.moment import Micros, micros
from tenure.core.output import Output, Text, completed
from tenure.errors import Code, TenureError
from tenure.host import cron
from tenure.ports.runner import RunContext
from tenure.stores.relational import schedule_reads
from tests.host.diary import Plan, Told, plan
from tests.host.rooms import Rooms, Talk, agent, in_virtual_time, second
from tests.simulation.world import SimClock

PLENTY = Limits(schedules_per_user=100_000, live_runs=10_000, live_runs_per_user=10_000)


async def echo(run: RunContext) -> AsyncIterator[Output]:
    """Says the message again."""
    yield Text(run.message.text)
    yield completed()


def admitted(at: float, reason: str | None = None) -> Told:
    """An occurrence that had its run."""
    return Told(at, "admitted", reason, "completed", 1)


async def starts(talk: Talk) -> list[float]:
    """When its runs started, in seconds since the test began."""
    return [second(e.at) for e in await talk.journal() if isinstance(e.event, RunStarted)]


async def spread(rooms: Rooms, count: int, **ask: object) -> list[Plan]:
    """Many reminders in one session each, all at the same instant."""
    talks = [await rooms.open() for _ in range(20)]
    return [await plan(talks[n % 20], f"{n}", kind="reminder", **ask) for n in range(count)]


# --- storms


@in_virtual_time
async def test_what_is_seen_in_time_is_not_missed_however_long_it_waits_its_turn(rooms: Rooms) -> None:
    await rooms.up(agent(echo), limits=PLENTY)
    plans = await spread(rooms, 150, in_s=60, missed="skip")
    rooms.lane.delay = 0.4
    await asyncio.sleep(120)

    told = [t for each in plans for t in await each.told()]
    assert {(t.state, t.reason, t.outcome) for t in told} == {("admitted", None, "completed")}
    assert (len(told), rooms.host.telemetry.recalls) == (150, 150)


@pytest.mark.sources("P10")
@in_virtual_time
async def test_after_an_outage_what_is_late_is_spread_and_stands_behind_what_is_on_time(rooms: Rooms) -> None:
    await rooms.up(agent(echo), limits=PLENTY)
    plans = await spread(rooms, 90, in_s=60)
    rooms.crash()
    await asyncio.sleep(100)
    await rooms.up(agent(echo), limits=PLENTY)
    talk = await rooms.open()
    timely = await plan(talk, every_s=1.1, max_runs=2)
    began = rooms.loop.time()
    await talk.say("a person")
    answered = rooms.loop.time() - began
    await asyncio.sleep(60)

    # In the midst of the storm people are answered, and what is due comes on time.
    assert answered < 0.1
    assert [(t.state, t.reason) for t in await timely.told()] == [("admitted", None)] * 2
    assert (await starts(talk))[1:] == [t.due for t in await timely.told()]
    # What was missed comes once each, a few at a time.
    seen = [o for each in plans for o in await each.occurrences()]
    assert [(o.state, o.reason, o.outcome) for o in seen] == [("admitted", "late", "completed")] * 90
    instants = sorted(second(micros(o.seen_at or "")) for o in seen)
    assert instants[-1] - instants[0] == pytest.approx(1.25, abs=0.2)
    assert max(Counter(int(at * 4) for at in instants).values()) <= 2 * 16


# --- what goes wrong


@in_virtual_time
async def test_while_the_disk_is_full_nothing_fires_and_then_all_does_once(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talks = [await rooms.open() for _ in range(3)]
    plans = [await plan(talk, every_s=60, max_runs=3) for talk in talks]
    await asyncio.sleep(50)
    rooms.lane.full = True
    before = rooms.loop.steps
    await asyncio.sleep(45)
    steps = rooms.loop.steps - before
    rooms.lane.full = False
    await asyncio.sleep(150)

    for each in plans:
        assert await each.told() == [admitted(60.0, "late"), admitted(120.0), admitted(180.0)]
    assert steps < 3_000


@in_virtual_time
async def test_a_store_that_cannot_tell_what_is_due_is_asked_again_and_not_at_once(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=60, max_runs=3)

    def broken(db: object, after: Micros, until: Micros, limit: int) -> None:
        raise OSError("The disk doesn't answer.")

    with monkeypatch.context() as patch:
        patch.setattr(schedule_reads, "due", broken)
        before = rooms.loop.steps
        await asyncio.sleep(90)
        steps = rooms.loop.steps - before
    await asyncio.sleep(120)

    assert steps < 1_000
    assert await made.told() == [admitted(60.0, "late"), admitted(120.0), admitted(180.0)]
    assert {said.split(".")[0] for said in rooms.complaints.said} == {"The task recalls failed"}
    rooms.complaints.said.clear()


@in_virtual_time
async def test_two_instants_close_together_are_both_on_time_though_one_look_finds_them(rooms: Rooms) -> None:
    await rooms.up(agent(echo), limits=PLENTY)
    plans = [await plan(await rooms.open(), every_s=1, jitter_s=1, missed="skip") for _ in range(20)]
    rooms.lane.delay = 0.15
    await asyncio.sleep(20)
    rooms.lane.delay = 0.0
    await asyncio.sleep(1)

    told = [t for each in plans for t in await each.told()]
    assert {(t.state, t.reason) for t in told} == {("admitted", None)}
    assert len(told) >= 20 * 18


@in_virtual_time
async def test_whoever_resumes_a_schedule_and_leaves_at_once_has_it_go_on(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    made = await plan(await rooms.open(), every_s=60, max_runs=2)
    await made.pause()
    rooms.lane.delay = 0.01
    asked = asyncio.create_task(made.room.resume(made.by, made.id))
    await asyncio.sleep(0.005)
    asked.cancel()
    await asyncio.sleep(150)

    assert (await made.info()).status == "done"
    assert await made.told() == [admitted(60.0), admitted(120.0)]


@in_virtual_time
async def test_a_bug_once_costs_a_second(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, in_s=50)
    await asyncio.sleep(49.9)
    rooms.lane.breaks = 1
    await asyncio.sleep(10)

    assert await made.told() in ([admitted(50.0)], [admitted(50.0, "late")])
    (said,) = rooms.complaints.said
    assert said.startswith(f"The recall {made.id} can't be looked at.")
    rooms.complaints.said.clear()


@in_virtual_time
async def test_a_schedule_that_fails_for_ever_is_paused_and_holds_up_no_other(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rooms.up(agent(echo), limits=PLENTY)
    talk, other = await rooms.open(), await rooms.open()
    ill = [await plan(talk, cron="* * * * *", timezone="Europe/Berlin") for _ in range(80)]
    well = await plan(other, every_s=60, max_runs=3)
    after = cron.after

    def gone(timing: cron.Cron, instant: Micros) -> Micros | None:
        if timing.timezone == "Europe/Berlin":
            raise TenureError(Code.INVALID, "There is no time zone 'Europe/Berlin'.")
        return after(timing, instant)

    monkeypatch.setattr(cron, "after", gone)
    before = rooms.loop.steps
    await asyncio.sleep(200)
    steps = rooms.loop.steps - before

    assert await well.told() == [admitted(60.0), admitted(120.0), admitted(180.0)]
    assert {(i.status, i.reason) for i in [await each.info() for each in ill]} == {("paused", "timetable")}
    assert steps < 30_000
    monkeypatch.setattr(cron, "after", after)
    await ill[0].update(timezone="UTC")
    await ill[0].resume()
    await asyncio.sleep(61)
    assert (await ill[0].info()).runs >= 1


@in_virtual_time
async def test_a_schedule_that_fails_in_a_crowd_makes_no_other_one_late(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rooms.up(agent(echo), limits=PLENTY)
    ill = await plan(await rooms.open(), cron="* * * * *", timezone="Europe/Berlin")
    crowd = await spread(rooms, 150, at=(await ill.info()).next_at, missed="skip")

    def gone(timing: cron.Cron, instant: Micros) -> Micros | None:
        raise TenureError(Code.INVALID, f"There is no time zone {timing.timezone!r} at {instant}.")

    monkeypatch.setattr(cron, "after", gone)
    await asyncio.sleep(120)
    monkeypatch.undo()
    seen = [o for each in crowd for o in await each.occurrences()]

    assert {(o.state, o.reason, o.seen_at == o.due_at) for o in seen} == {("admitted", None, True)}
    assert (len(seen), (await ill.info()).status) == (150, "paused")


@pytest.mark.sources("D-N10", "A19")
@in_virtual_time
async def test_a_host_that_was_frozen_over_the_instant_finds_what_another_one_did(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=60, max_runs=3)
    await asyncio.sleep(50)
    rooms.loop.freeze(rooms.life.node)
    await asyncio.sleep(100)
    rooms.loop.thaw(rooms.life.node)
    await asyncio.sleep(100)

    assert [t.state for t in await made.told()] == ["missed", "admitted", "admitted", "admitted"]
    assert len(await starts(talk)) == 3


# --- clocks


def clock(rooms: Rooms) -> SimClock:
    """The wall clock of the host that is up."""
    found = rooms.host.clock
    assert isinstance(found, SimClock)
    return found


@pytest.mark.sources("P10", "A13")
@in_virtual_time
async def test_a_clock_set_back_fires_nothing_twice(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=60)
    await asyncio.sleep(200)
    clock(rooms).set(-3_600)
    await asyncio.sleep(3_590)
    assert [t.due for t in await made.told()] == [60.0, 120.0, 180.0]
    await asyncio.sleep(60)

    # It went on when the instant came by that clock.
    assert [t.due for t in await made.told()] == [60.0, 120.0, 180.0, 240.0]
    assert len(await starts(talk)) == 4


@pytest.mark.sources("P10", "A13")
@in_virtual_time
async def test_a_clock_set_forward_is_noticed_within_a_minute_and_what_passed_was_missed(
    rooms: Rooms,
) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=1_800)
    await asyncio.sleep(30)
    clock(rooms).set(3_600 + 60)
    await asyncio.sleep(61)

    assert await made.told() == [Told(1_800.0, "missed", "late"), admitted(3_600.0, "late")]
    await asyncio.sleep(1_800)
    assert (await made.told())[-1] == admitted(5_400.0)


# --- what operators see


@pytest.mark.sources("N21")
@in_virtual_time
async def test_the_log_says_of_each_recall_how_it_ended_and_how_much_was_said(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, "twelve chars", in_s=60)
    with caplog.at_level(logging.INFO, "tenure.host.recalls"):
        await asyncio.sleep(61)

    (seen,) = await made.occurrences()
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.INFO] == [
        f"The recall {seen.id} ended as completed: 0.000 s late, 0.000 s long, 12 characters said."
    ]
    caplog.clear()


@in_virtual_time
async def test_stats_count_schedules_and_recalls_and_tell_how_late_they_were(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    await plan(talk, in_s=60)
    rest = await plan(talk, every_s=60)
    await asyncio.sleep(130)
    await rest.pause()
    stats = await rooms.host.stats()

    assert stats.schedules == {"active": 0, "paused": 1, "done": 1, "cancelled": 0}
    assert (stats.recalls, stats.recall_p50_ms, stats.recall_p99_ms) == (3, 0.0, 0.0)
