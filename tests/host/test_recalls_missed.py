"""Recalls and hosts that were away: what was missed is treated as agreed, and nothing fires twice."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tenure.core.command import CloseSession
from tenure.core.event import (
    MessageAdmitted,
    RecallChanged,
    RecallFired,
    RecallMissed,
    RunFinished,
    RunStarted,
)
from tenure.core.moment import SECOND, micros
from tenure.core.output import Output, Text, completed
from tenure.core.principal import Principal, Role
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.diary import Book, Plan, Told, plan, planned, recalls
from tests.host.rooms import ADA, BEN, ROOT, Rooms, agent, in_virtual_time, play, second

AWAY_S = 330.0


async def echo(run: RunContext) -> AsyncIterator[Output]:
    """Says the message again."""
    yield Text(run.message.text)
    yield completed()


async def lived(rooms: Rooms, **ask: Any) -> Plan:
    """A schedule of every minute whose host fires it once, is away from 90 to 420, and lives until 510."""
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=60, **ask)
    await asyncio.sleep(90)
    rooms.crash()
    await asyncio.sleep(AWAY_S)
    await rooms.up(agent(echo))
    await asyncio.sleep(90)
    return made


def admitted(at: float, reason: str | None = None) -> Told:
    """An occurrence that had its run."""
    return Told(at, "admitted", reason, "completed", 1)


def missed(*instants: float, reason: str = "late") -> list[Told]:
    """Occurrences that passed."""
    return [Told(at, "missed", reason) for at in instants]


# --- the host was down


@pytest.mark.sources("P10", "D-N16")
@in_virtual_time
async def test_what_a_host_that_was_down_missed_is_left_out_with_a_row_each(rooms: Rooms) -> None:
    made = await lived(rooms, missed="skip")

    assert await made.told() == [
        admitted(60.0),
        *missed(120.0, 180.0, 240.0, 300.0, 360.0),
        # It comes up at 420, in the very instant.
        admitted(420.0),
        admitted(480.0),
    ]


@pytest.mark.sources("P10", "D-N16")
@in_virtual_time
async def test_by_default_the_newest_of_the_missed_is_made_up_for_and_the_journal_tells(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=60)
    await asyncio.sleep(90)
    rooms.crash()
    await asyncio.sleep(AWAY_S + 10)
    await rooms.up(agent(echo))
    await asyncio.sleep(1)

    assert await made.told() == [
        admitted(60.0),
        *missed(120.0, 180.0, 240.0, 300.0, 360.0),
        admitted(420.0, "late"),
    ]
    seen = await made.occurrences()
    assert recalls(await talk.journal()) == [
        RecallFired(schedule_id=made.id, occurrence=seen[0].id, due_at=seen[0].due_at),
        RecallMissed(schedule_id=made.id, count=5, first=seen[1].due_at, last=seen[5].due_at, reason="late"),
        RecallFired(schedule_id=made.id, occurrence=seen[6].id, due_at=seen[6].due_at),
    ]
    # The grid stays what it was.
    assert second(micros((await made.info()).next_at or "")) == 480.0


@pytest.mark.sources("P10", "D-N16")
@in_virtual_time
async def test_all_of_the_missed_are_made_up_for_up_to_so_many(rooms: Rooms) -> None:
    made = await lived(rooms, missed="all", missed_max=3)

    assert await made.told() == [
        admitted(60.0),
        *missed(120.0, 180.0, 240.0),
        admitted(300.0, "late"),
        admitted(360.0, "late"),
        admitted(420.0),
        admitted(480.0),
    ]


@in_virtual_time
async def test_the_newest_of_many_missed_are_made_up_for_wherever_a_step_ends(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=1, missed="all", missed_max=5)
    rooms.crash()
    await asyncio.sleep(202.5)
    await rooms.up(agent(echo))
    await asyncio.sleep(0.2)

    told = await made.told()
    assert [t.due for t in told] == [float(at) for at in range(1, 203)]
    assert [t.due for t in told if t.state == "admitted"] == [198.0, 199.0, 200.0, 201.0, 202.0]


@in_virtual_time
async def test_a_one_time_recall_that_was_missed_is_made_up_for_or_done_and_visible(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    once = await plan(talk, "once", in_s=60)
    skip = await plan(talk, "skip", in_s=60, missed="skip")
    rooms.crash()
    await asyncio.sleep(100)
    await rooms.up(agent(echo))
    await asyncio.sleep(1)

    assert await once.told() == [admitted(60.0, "late")]
    assert await skip.told() == missed(60.0)
    assert [(await each.info()).status for each in (once, skip)] == ["done", "done"]
    assert [item[1] for item in await talk.lines()] == ["once", "once"]
    # It is there, and can be run all the same.
    await skip.trigger()
    await asyncio.sleep(1)
    assert [item[1] for item in await talk.lines()] == ["once", "once", "skip", "skip"]


@pytest.mark.sources("P10")
@in_virtual_time
async def test_what_was_missed_while_paused_is_treated_alike_and_says_why(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=60)
    left = await plan(talk, every_s=60, missed="skip")
    await asyncio.sleep(90)
    for each in (made, left):
        assert (await each.pause()).next_at is None
    await asyncio.sleep(190)
    for each in (made, left):
        await each.resume()
    await asyncio.sleep(10)

    passed = missed(120.0, 180.0, reason="paused")
    assert await made.told() == [admitted(60.0), *passed, admitted(240.0, "paused")]
    assert await left.told() == [admitted(60.0), *passed, *missed(240.0, reason="paused")]


@in_virtual_time
async def test_what_passed_in_one_rest_was_paused_though_another_followed_at_once(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    made = await plan(await rooms.open(), every_s=60, missed="skip")
    await made.pause()
    await asyncio.sleep(130)
    rooms.lane.delay = 0.003
    await made.resume()
    await made.pause()
    await asyncio.sleep(60)
    await made.resume()
    await asyncio.sleep(1)

    assert await made.told() == missed(60.0, 120.0, 180.0, reason="paused")


@in_virtual_time
async def test_no_more_than_max_runs_are_made_up_for(rooms: Rooms) -> None:
    made = await lived(rooms, missed="all", max_runs=3)

    assert [each.due for each in await made.told() if each.state == "admitted"] == [60.0, 360.0, 420.0]
    info = await made.info()
    assert (info.status, info.runs) == ("done", 3)


@in_virtual_time
async def test_what_passed_after_its_end_was_never_due(rooms: Rooms) -> None:
    made = await lived(rooms, ends_at="2023-11-14T22:16:25Z")

    assert [each.due for each in await made.told()] == [60.0, 120.0, 180.0]
    assert (await made.info()).status == "done"


@pytest.mark.sources("P10")
def test_a_year_without_a_host_is_told_in_bounded_rows() -> None:
    play(_a_year, seed=None)


async def _a_year(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=1)
    await asyncio.sleep(0.5)
    rooms.crash()
    rooms.loop._now += 31_536_000  # pyright: ignore[reportPrivateUsage] - a year at once
    await rooms.up(agent(echo))
    await talk.until(RunStarted)
    await made.cancel()
    told = [e for e in recalls(await talk.journal()) if isinstance(e, RecallMissed)]

    assert 31_536_000 - 15 <= sum(each.count for each in told) <= 31_536_000
    assert len(told) <= 60
    assert len(await made.occurrences()) <= 10_100


@pytest.mark.sources("P10")
def test_weeks_of_minutes_without_a_host_are_counted_and_the_newest_written_down() -> None:
    play(_weeks_of_minutes, seed=None)


async def _weeks_of_minutes(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, cron="* * * * *", timezone="Europe/Berlin")
    await asyncio.sleep(5)
    rooms.crash()
    rooms.loop._now += 12 * 86_400  # pyright: ignore[reportPrivateUsage] - all at once
    await rooms.up(agent(echo))
    await talk.until(RunStarted)
    await made.cancel()
    seen = await made.occurrences()

    assert 9_000 <= len(seen) <= 10_200
    due = [micros(o.due_at) for o in seen][-9_000:]
    assert due == list(range(due[0], due[-1] + 1, 60 * SECOND))
    assert [o.state for o in seen[-2:]] == ["missed", "admitted"]
    assert len([e for e in recalls(await talk.journal()) if isinstance(e, RecallMissed)]) <= 150


# --- crashes


@pytest.mark.sources("D-N10", "P10", "A3", "A19")
@in_virtual_time
async def test_a_host_that_dies_around_the_instant_neither_loses_nor_repeats_it(rooms: Rooms) -> None:
    book = Book(rooms)

    async def keeps(run: RunContext) -> AsyncIterator[Output]:
        if run.attempt == 1:
            book.note(run.message.text)
        yield completed()

    hosted = agent(keeps)
    await rooms.up(hosted)
    plans: list[Plan] = []
    for number in range(40):
        talk = await rooms.open()
        plans.append(await plan(talk, f"{number}", in_s=60))
        rooms.lane.delay = 0.000_4
        # From well before the instant to well behind it, through every step of the commit.
        await asyncio.sleep(60 - 0.000_2 + number * 0.000_1 - 0.01 * (number % 2))
        rooms.crash()
        await rooms.up(hosted)
        await asyncio.sleep(1)

    for number, each in enumerate(plans):
        (seen,) = await each.occurrences()
        assert (seen.state, seen.outcome) == ("admitted", "completed"), number
        assert (await each.info()).runs == 1
    texts = [text for _, text in book.done]
    assert len(texts) == len(set(texts)), "an occurrence ran twice as a first attempt"


@pytest.mark.sources("D-N10", "D-N16")
@in_virtual_time
async def test_a_recall_whose_host_dies_in_the_middle_goes_on_as_the_same_run(rooms: Rooms) -> None:
    async def long(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(10)
        yield Text("done")
        yield completed()

    await rooms.up(agent(long))
    talk = await rooms.open()
    made = await plan(talk, in_s=60)
    await asyncio.sleep(65)
    rooms.crash()
    await rooms.up(agent(long))
    await talk.until(RunFinished)

    assert await made.told() == [Told(60.0, "admitted", None, "completed", 1)]
    (started,) = [e.event for e in await talk.journal() if isinstance(e.event, RunStarted)]
    assert (started.trigger.kind, started.trigger.id) == ("recall", made.id)


@pytest.mark.sources("D-N10")
@in_virtual_time
async def test_a_host_that_goes_out_of_service_fires_nothing_more_and_the_next_one_does(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await plan(talk, every_s=60, max_runs=2)
    await asyncio.sleep(59.5)
    await rooms.there(rooms.host.drain())
    await asyncio.sleep(10)
    assert await made.told() == []
    await rooms.stop()
    await rooms.up(agent(echo))
    await asyncio.sleep(60)

    assert await made.told() == [admitted(60.0, "late"), admitted(120.0)]


@pytest.mark.sources("D-N10", "P10")
@in_virtual_time
async def test_a_host_that_is_stopped_while_it_fires_leaves_each_occurrence_to_one_life(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talks = [await rooms.open() for _ in range(30)]
    plans = [await plan(talk, in_s=60) for talk in talks]
    rooms.lane.delay = 0.02
    await asyncio.sleep(60.01)
    await rooms.stop()
    await rooms.up(agent(echo))
    await asyncio.sleep(10)

    for each, talk in zip(plans, talks, strict=True):
        (seen,) = await each.occurrences()
        assert (seen.state, seen.outcome) == ("admitted", "completed")
        assert len([e for e in await talk.journal() if isinstance(e.event, RecallFired)]) == 1


# --- whose it is


@pytest.mark.sources("N16", "D-N15")
@in_virtual_time
async def test_a_schedule_of_somebody_who_is_gone_rests_and_says_why(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open(by=BEN)
    made = await plan(talk, every_s=60)
    keys = await rooms.host.store.keys(BEN.tenant, None, 10)
    (mine,) = [key for key in keys.data if key.user == BEN.user]
    await rooms.there(rooms.host.commands.revoke_key(ROOT, mine.id))
    await asyncio.sleep(200)

    assert await made.told() == [Told(60.0, "skipped", "principal_gone")]
    info = await made.info()
    assert (info.status, info.reason) == ("paused", "principal_gone")
    told = [e for e in recalls(await talk.journal()) if isinstance(e, RecallChanged)]
    assert told == [RecallChanged(schedule_id=made.id, status="paused", by="host", reason="principal_gone")]


@pytest.mark.sources("N16")
@in_virtual_time
async def test_a_recall_acts_as_whoever_made_it_not_as_who_owns_the_session(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    opal = Principal(tenant="acme", user="opal", role=Role.OPERATOR, key_id="key_opal")
    await rooms.give_key(opal)
    await planned(rooms, opal, message="work", session_id=talk.session_id, in_s=60)
    first = await talk.until(MessageAdmitted)

    assert isinstance(first.event, MessageAdmitted)
    assert (first.event.actor.user, first.event.actor.role, talk.by.user) == ("opal", "operator", "ada")


@pytest.mark.sources("N15")
@in_virtual_time
async def test_schedules_of_a_deleted_session_are_over_and_those_of_a_closed_one_rest(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    gone, shut = await rooms.open(), await rooms.open()
    lost, kept = await plan(gone, every_s=60), await plan(shut, every_s=60)
    await rooms.there(rooms.host.commands.delete_session(ADA, gone.session_id))
    await rooms.there(rooms.host.commands.close_session(ADA, shut.session_id, CloseSession(), None))
    await asyncio.sleep(100)

    info = await rooms.host.store.schedules.get(lost.id)
    assert info is None or (info.status, info.reason) == ("cancelled", "session_deleted")
    assert await kept.told() == [Told(60.0, "skipped", "session_closed")]
    now_is = await kept.info()
    assert (now_is.status, now_is.reason) == ("paused", "session_closed")
    with pytest.raises(TenureError) as caught:
        await kept.resume()
    assert caught.value.code is Code.SESSION_CLOSED


@pytest.mark.sources("D-N11")
@in_virtual_time
async def test_a_cancel_and_a_firing_at_the_same_moment_are_one_after_the_other(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    rooms.lane.delay = 0.002
    plans = [await plan(await rooms.open(), in_s=60) for _ in range(12)]
    began = rooms.loop.time()
    told: list[str] = []
    for number, each in enumerate(plans):
        await asyncio.sleep(max(0.0, 60 + number * 0.01 - (rooms.loop.time() - began) + 0.0005 * number))
        try:
            told.append((await each.cancel()).status)
        except TenureError as refusal:
            told.append(str(refusal.code))
    await asyncio.sleep(5)

    for each, answer in zip(plans, told, strict=True):
        seen = await each.occurrences()
        assert answer == "cancelled"
        assert (await each.info()).status == "cancelled"
        assert len(seen) == (await each.info()).runs <= 1
