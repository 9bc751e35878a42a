"""A year of schedules in virtual time, compared with a walk through every minute of it.

The rooms are the real ones. Hosts are away over midnights and clock changes, are frozen, and somebody sets
their clocks: what comes of each instant is written once, and said once.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tenure.core.event import RecallFired
from tenure.core.moment import Micros, micros, timestamp
from tenure.core.output import Output, Text, completed
from tenure.core.recall import occurrence_id
from tenure.core.scheduling import OccurrenceInfo
from tenure.host import cron, recalls, recovery, retention
from tenure.host.zones import zone
from tenure.ports.runner import RunContext
from tests.host.diary import Plan, plan
from tests.host.oracle import EPOCH as DAWN
from tests.host.oracle import MINUTE, Drawn, Field, every, instants, one_of, us
from tests.host.rooms import Rooms, Talk, agent
from tests.simulation.loop import SimLoop
from tests.simulation.world import EPOCH, SimClock

BERLIN = "Europe/Berlin"
START = DAWN + timedelta(microseconds=EPOCH)
"""November 2023: a leap day, a new year and both clock changes lie in the year that follows."""

END = datetime(2024, 11, 20, tzinfo=UTC)
HALF_HOURS = Field("*/30", frozenset((0, 30)))
ANY_DAY, ANY_MONTH = every(1, 31), every(1, 12)
FIXED = Drawn(one_of(30), one_of(2), ANY_DAY, ANY_MONTH, one_of(0, 1))
RHYTHM = Drawn(HALF_HOURS, one_of(2), ANY_DAY, ANY_MONTH, one_of(0))
MONTH_ENDS = Drawn(one_of(59), one_of(23), one_of(29, 30, 31), ANY_MONTH, every(0, 6))
NIGHTLY = Drawn(one_of(30), one_of(2), one_of(1, 15, 27, 29, 31), ANY_MONTH, every(0, 6))
NIGHTS = Drawn(HALF_HOURS, one_of(0, 2), one_of(1, 27, 29, 31), one_of(1, 3, 10), every(0, 6))
OF_THE_YEAR = (FIXED, RHYTHM, MONTH_ENDS, NIGHTLY, NIGHTS)


async def echo(run: RunContext) -> AsyncIterator[Output]:
    """Says the message again."""
    yield Text(run.message.text)
    yield completed()


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts do less of what they do every minute, so that a year is short."""
    monkeypatch.setattr(recovery, "SWEEP_S", 40 * 86_400.0)
    monkeypatch.setattr(retention, "EVERY_S", 40 * 86_400.0)
    monkeypatch.setattr(recalls, "LOOK_S", 86_400.0)


def live(story: Callable[[Rooms], Coroutine[Any, Any, None]]) -> None:
    """Go through a long story in virtual time."""
    loop = SimLoop(0, shuffle=False, max_steps=3_000_000)
    rooms = Rooms(loop)
    logging.getLogger("tenure").addHandler(rooms.complaints)

    async def checked() -> None:
        await story(rooms)
        await rooms.check()

    try:
        loop.run(checked())
    finally:
        loop.close()
        logging.getLogger("tenure").removeHandler(rooms.complaints)
        rooms.disk.close()


async def until(rooms: Rooms, instant: datetime) -> None:
    """Wait until the clocks of a host show an instant, if nobody sets them."""
    await asyncio.sleep((instant - START).total_seconds() - rooms.loop.time())


async def by_cron(talk: Talk, drawn: Drawn, **asked: Any) -> Plan:
    """A schedule in Berlin."""
    return await plan(talk, cron=drawn.expression, timezone=BERLIN, **asked)


def from_now(expressions: Sequence[Drawn], end: datetime) -> list[list[str]]:
    """What the oracle says that expressions name until `end`."""
    first = START.replace(second=0, microsecond=0) + MINUTE
    return [[timestamp(us(at)) for at in named] for named in instants(expressions, BERLIN, first, end)]


@cache
def of_the_year(drawn: Drawn) -> list[str]:
    """What an expression names in the year."""
    return _year_of_all()[OF_THE_YEAR.index(drawn)]


@cache
def _year_of_all() -> list[list[str]]:
    return from_now(OF_THE_YEAR, END)


async def said(talk: Talk) -> Counter[str]:
    """How often the journal says of each occurrence that it fired."""
    return Counter(e.event.occurrence for e in await talk.journal() if isinstance(e.event, RecallFired))


def on_time(each: OccurrenceInfo) -> bool:
    """Whether an occurrence was admitted in the second in which it was due, and went well."""
    late = micros(each.seen_at or "") - micros(each.due_at)
    return (each.state, each.reason, each.outcome, each.attempts) == ("admitted", None, "completed", 1) and (
        0 <= late < 1_000_000
    )


@pytest.mark.sources("N14", "N17", "N18", "P10")
@pytest.mark.usefixtures("quiet")
def test_a_year_of_every_kind_of_schedule_fires_each_instant_once_on_time_and_no_other() -> None:
    live(_year)


async def _year(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talks = [await rooms.open() for _ in range(5)]
    leap = "2024-02-29T23:59:59.500000Z"
    anchor = "2024-01-01T00:00:00.000000Z"
    plans = [
        await plan(talks[0], at=leap),
        await plan(talks[1], every_s=250_000, anchor=anchor),
        await by_cron(talks[2], FIXED),
        await by_cron(talks[3], RHYTHM),
        await by_cron(talks[4], MONTH_ENDS),
    ]
    await until(rooms, END)

    first, step = us(datetime(2024, 1, 1, tzinfo=UTC)), 250_000_000_000
    grid = [timestamp(Micros(at)) for at in range(first, us(END), step)]
    wanted = [[leap], grid, *map(of_the_year, (FIXED, RHYTHM, MONTH_ENDS))]
    for talk, made, due in zip(talks, plans, wanted, strict=True):
        seen = await made.occurrences()
        assert [each.due_at for each in seen] == due
        assert [each for each in seen if not on_time(each)] == []
        assert await said(talk) == Counter(occurrence_id(made.id, micros(at)) for at in due)
    assert [(await made.info()).status for made in plans] == ["done", "active", "active", "active", "active"]


AWAY = {
    "over the new year": (datetime(2023, 12, 31, 20, tzinfo=UTC), datetime(2024, 1, 1, 7, tzinfo=UTC)),
    "over the leap day": (datetime(2024, 2, 28, 20, tzinfo=UTC), datetime(2024, 3, 1, 7, tzinfo=UTC)),
    "while an hour is skipped": (
        datetime(2024, 3, 30, 20, tzinfo=UTC),
        datetime(2024, 3, 31, 7, tzinfo=UTC),
    ),
    "while an hour comes twice": (
        datetime(2024, 10, 26, 20, tzinfo=UTC),
        datetime(2024, 10, 27, 7, tzinfo=UTC),
    ),
}


@pytest.mark.sources("N19", "P10")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("missed", ["skip", "once", "all"])
def test_what_comes_while_the_host_is_away_over_midnight_or_a_clock_change_is_written_once(
    missed: str,
) -> None:
    live(lambda rooms: _away(rooms, missed))


async def _away(rooms: Rooms, missed: str) -> None:
    await rooms.up(agent(echo))
    talks = [await rooms.open() for _ in range(2)]
    drawn = [NIGHTLY, NIGHTS]
    plans = [
        await by_cron(talk, each, missed=missed, missed_max=3)
        for talk, each in zip(talks, drawn, strict=True)
    ]
    for left, back in AWAY.values():
        await until(rooms, left)
        rooms.crash()
        await until(rooms, back)
        await rooms.up(agent(echo))
    await until(rooms, END)

    most = {"skip": 0, "once": 1, "all": 3}[missed]
    for talk, made, each in zip(talks, plans, drawn, strict=True):
        seen = await made.occurrences()
        due = of_the_year(each)
        late = {at for left, back in AWAY.values() for at in _newest(due, left, back, most)}
        passed = {at for left, back in AWAY.values() for at in _newest(due, left, back, len(due))}
        assert [row.due_at for row in seen] == due
        assert {row.due_at for row in seen if row.reason == "late" and row.state == "admitted"} == late
        assert {row.due_at for row in seen if row.state == "missed"} == passed - late
        assert [row for row in seen if row.due_at not in passed and not on_time(row)] == []
        fired = [at for at in due if at not in passed or at in late]
        assert await said(talk) == Counter(occurrence_id(made.id, micros(at)) for at in fired)


def _newest(due: list[str], left: datetime, back: datetime, most: int) -> list[str]:
    """The newest instants of those that came while the host was away."""
    away = [at for at in due if us(left) < micros(at) < us(back)]
    return away[max(0, len(away) - most) :]


TENS = Drawn(Field("*/10", frozenset(range(0, 60, 10))), every(0, 23), ANY_DAY, ANY_MONTH, every(0, 6))
TIMES = Drawn(one_of(*range(5, 60, 10)), Field("0-23", frozenset(range(24))), *TENS[2:])


@pytest.mark.sources("P10")
@pytest.mark.parametrize("hours", [1, -1])
def test_somebody_who_sets_the_clock_by_an_hour_has_nothing_fire_twice_and_nothing_lost(hours: int) -> None:
    live(lambda rooms: _set(rooms, hours))


async def _set(rooms: Rooms, hours: int) -> None:
    await rooms.up(agent(echo))
    clock = rooms.host.clock
    assert isinstance(clock, SimClock)
    talks = [await rooms.open() for _ in range(3)]
    anchor = timestamp(us(START))
    plans = [
        await by_cron(talks[0], TENS),
        await by_cron(talks[1], TIMES),
        await plan(talks[2], every_s=600, anchor=anchor),
    ]
    await asyncio.sleep(2 * 3_600 + 200)
    clock.jump(hours * 3_600)
    await asyncio.sleep(3 * 3_600 - 200 + 1)

    end = START + timedelta(hours=5 + hours)
    grid = [timestamp(Micros(EPOCH + n * 600_000_000)) for n in range(1, 6 * (5 + hours) + 1)]
    wanted = [*from_now((TENS, TIMES), end), grid]
    for talk, made, due in zip(talks, plans, wanted, strict=True):
        seen = await made.occurrences()
        assert [each.due_at for each in seen] == due
        admitted = [each.id for each in seen if each.state == "admitted"]
        assert await said(talk) == Counter(admitted)
        assert len([each for each in seen if each.state == "missed"]) == (5 if hours > 0 else 0)


@pytest.mark.sources("P10")
def test_a_host_that_was_frozen_for_hours_fires_nothing_twice() -> None:
    live(_frozen)


async def _frozen(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    made = await by_cron(talk, TENS)
    await asyncio.sleep(3_600)
    rooms.loop.freeze(rooms.life.node)
    await asyncio.sleep(2 * 3_600)
    rooms.loop.thaw(rooms.life.node)
    await asyncio.sleep(3_600)

    seen = await made.occurrences()
    assert [each.due_at for each in seen] == from_now([TENS], START + timedelta(hours=4))[0]
    assert Counter(each.state for each in seen) == {"admitted": 13, "missed": 11}
    assert await said(talk) == Counter(each.id for each in seen if each.state == "admitted")


DAILY = Drawn(one_of(30), one_of(6), ANY_DAY, ANY_MONTH, every(0, 6))


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ("Europe/Helsinki", ["15 06:30", "16 06:30", "17 05:30", "18 05:30"]),
        ("Europe/London", ["15 06:30", "16 07:30", "17 07:30", "18 07:30"]),
    ],
)
def test_a_zone_with_new_rules_has_its_schedules_follow_without_losing_an_instant(
    rules: str, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(rooms: Rooms) -> None:
        await rooms.up(agent(echo))
        made = await by_cron(await rooms.open(), DAILY)
        await until(rooms, datetime(2023, 11, 15, 20, tzinfo=UTC))
        rooms.crash()
        monkeypatch.setattr(cron, "zone", {BERLIN: ZoneInfo(rules)}.__getitem__)
        await rooms.up(agent(echo))
        await until(rooms, datetime(2023, 11, 18, 20, tzinfo=UTC))

        seen = await made.occurrences()
        assert [each for each in seen if not on_time(each)] == []
        due = [datetime.fromisoformat(each.due_at).astimezone(ZoneInfo(BERLIN)) for each in seen]
        assert [f"{at:%d %H:%M}" for at in due] == wanted
        assert (await made.info()).status == "active"

    live(story)


def test_a_zone_that_is_gone_pauses_its_schedules_with_a_reason_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(name: str) -> ZoneInfo:
        return zone(f"Lost/{name}")

    async def story(rooms: Rooms) -> None:
        await rooms.up(agent(echo))
        talk = await rooms.open()
        lost = await by_cron(talk, DAILY)
        other = await plan(talk, every_s=3_600)
        with monkeypatch.context() as gone:
            gone.setattr(cron, "zone", nowhere)
            await until(rooms, datetime(2023, 11, 15, 8, tzinfo=UTC))

        info = await lost.info()
        assert (info.status, info.reason) == ("paused", "timetable")
        assert (await other.info()).status == "active"
        assert [each for each in await other.occurrences() if not on_time(each)] == []
        rooms.complaints.said.clear()
        await lost.update(timezone="Europe/Paris")
        await lost.resume()
        await until(rooms, datetime(2023, 11, 16, 8, tzinfo=UTC))
        (seen,) = await lost.occurrences()
        assert (seen.due_at, on_time(seen)) == ("2023-11-16T05:30:00.000000Z", True)

    live(story)
