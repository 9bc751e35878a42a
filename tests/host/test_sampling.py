"""Figures over time: they are those of the stats, sampled by one timer, in bounded memory."""

import asyncio
from collections.abc import AsyncIterator
from math import isnan

import pytest

from tenure.core.figures import SERIES, Sample, StatsSeries
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.output import Output, completed, failed
from tenure.host.series import COARSE_KEPT_S, COARSE_S, FINE_KEPT_S, STEP_S, Series
from tenure.ports.runner import RunContext
from tests.host.rooms import Rooms, agent, in_virtual_time
from tests.simulation.world import EPOCH

WEEK = COARSE_KEPT_S
TO_THE_HOUR = 3_600 - EPOCH // SECOND % 3_600
"""So many seconds after the rooms began an hour begins."""


async def brief(run: RunContext) -> AsyncIterator[Output]:
    """Ends at once, badly if it is told so."""
    yield failed("no") if run.message.text == "fail" else completed()


def since(seconds: float) -> Micros:
    """So many seconds after the rooms began."""
    return Micros(EPOCH + round(seconds * SECOND))


def column(found: StatsSeries, name: str) -> list[float | None]:
    """One figure from the first step at which it is known."""
    values = list(found.series[name])
    return values[next((i for i, value in enumerate(values) if value is not None), len(values)) :]


@in_virtual_time
async def test_samples_are_the_stats_of_their_moments(rooms: Rooms) -> None:
    rooms.sampled = True
    await rooms.up(agent(brief))
    await asyncio.sleep(15)
    talk = await rooms.open()
    await talk.say("x")
    with await rooms.host.fanout.follow(talk.session_id, 0):
        await asyncio.sleep(10)
        stats = await rooms.host.stats()
    await rooms.open()
    await asyncio.sleep(10)
    found = rooms.host.sampling.read(None, None)

    assert (found.host, found.step_s, set(found.series)) == (1, STEP_S, set(SERIES))
    assert found.at[-1] == timestamp(since(30))
    assert column(found, "open_sessions") == [0, 1, 2]
    assert column(found, "events") == [0, stats.events, stats.events + 1]
    assert column(found, "streams") == [0, 1, 0]
    assert column(found, "hosts") == [1, 1, 1]
    assert column(found, "commit_p99_ms")[1] == stats.commit_p99_ms
    assert column(found, "database_bytes")[1] == stats.database_bytes


@in_virtual_time
async def test_counters_are_shown_as_rates(rooms: Rooms) -> None:
    rooms.sampled = True
    await rooms.up(agent(brief))
    await asyncio.sleep(11)
    before = rooms.host.store.commits()
    talk = await rooms.open()
    for text in ("fail", "x", "fail", "fail"):
        await talk.say(text)
    await asyncio.sleep(10)
    after, found = rooms.host.store.commits(), rooms.host.sampling.read(None, None)
    await asyncio.sleep(10)

    assert column(found, "runs_started_per_s")[-1] == 0.4
    assert column(found, "runs_failed_per_s")[-1] == 0.3
    assert column(found, "runs_completed_per_s")[-1] == 0.1
    assert column(found, "events_per_s")[-1] == (after.events - before.events) / 10
    assert column(found, "commits_per_s")[-1] == (after.made - before.made) / 10
    assert column(rooms.host.sampling.read(None, None), "runs_started_per_s")[-1] == 0


@in_virtual_time
async def test_what_is_unknown_is_null_and_the_host_knows_its_own_figures_while_the_store_is_away(
    rooms: Rooms,
) -> None:
    rooms.sampled = True
    await rooms.up(agent(brief))
    await asyncio.sleep(11)
    await rooms.open()
    rooms.lane.away = True
    await asyncio.sleep(10)
    rooms.lane.away = False
    await asyncio.sleep(10)
    found = rooms.host.sampling.read(None, None)

    assert column(found, "open_sessions") == [0, None, 1]
    assert column(found, "streams") == [0, 0, 0]
    assert len(found.at) == FINE_KEPT_S // STEP_S + 1
    assert found.series["streams"][:-3] == (None,) * (FINE_KEPT_S // STEP_S - 2)


@in_virtual_time
async def test_older_figures_are_kept_in_coarser_steps_and_lose_no_peak_of_a_time(rooms: Rooms) -> None:
    rooms.sampled = True
    await asyncio.sleep(TO_THE_HOUR - 1)
    await rooms.up(agent(brief))
    for _ in range(3):
        await rooms.open()
        await asyncio.sleep(3_600)
    day = rooms.host.sampling.read(since(-40_000), None)
    hours = rooms.host.sampling.read(since(TO_THE_HOUR), 3_600)

    assert (day.step_s, hours.step_s) == (COARSE_S, 3_600)
    assert column(day, "open_sessions") == [1.0] * 12 + [2.0] * 12 + [3.0] * 12
    assert hours.series["open_sessions"] == (1, 2, 3)
    assert rooms.host.sampling.read(since(0), 7).step_s == COARSE_S
    assert rooms.host.sampling.read(since(10_700), 7).step_s == STEP_S


@in_virtual_time
async def test_sampling_an_idle_host_takes_one_timer_and_asks_the_store_nothing(rooms: Rooms) -> None:
    rooms.sampled = True
    await rooms.up(agent(brief))
    # Once a minute the recovery writes; between two of its rounds nothing happens.
    await asyncio.sleep(85)
    tasks, rooms.lane.away = rooms.host.tasks, True
    await asyncio.sleep(30)
    found = rooms.host.sampling.read(None, None)
    rooms.lane.away = False

    assert (tasks, rooms.host.tasks) == (1, 1)
    assert column(found, "sessions")[-3:] == [0, 0, 0]


@in_virtual_time
async def test_closed_host_samples_no_more_and_a_new_life_begins_anew(rooms: Rooms) -> None:
    rooms.sampled = True
    await rooms.up(agent(brief))
    await asyncio.sleep(101)
    before = rooms.host.sampling
    await rooms.stop()
    await asyncio.sleep(100)
    await rooms.up(agent(brief))
    await asyncio.sleep(5)

    assert before.read(since(0), None).series["streams"][:15] == (None, *[0.0] * 10, *[None] * 4)
    assert column(rooms.host.sampling.read(None, None), "streams") == []


@in_virtual_time
async def test_host_that_isnt_sampled_has_no_timer_for_it(rooms: Rooms) -> None:
    await rooms.up(agent(brief))
    await asyncio.sleep(100)

    assert column(rooms.host.sampling.read(None, None), "streams") == []


def test_figures_take_less_than_a_mebibyte_however_long_a_host_is_up() -> None:
    series = Series()
    before = series.size_bytes
    # Two weeks, sampled every five minutes so that the test is quick.
    for turn in range(2 * WEEK // COARSE_S):
        series.add(Sample(Micros(turn * COARSE_S * SECOND), {"events": turn, "streams": 1}))
    now = Micros(2 * WEEK * SECOND)
    step, found = series.between(Micros(0), now, COARSE_S)

    assert series.size_bytes == before < 1 << 20
    assert (step, len(found.at)) == (COARSE_S, WEEK // COARSE_S + 1)
    assert list(found.values["events"][:-1]) == list(range(WEEK // COARSE_S, 2 * WEEK // COARSE_S))
    assert isnan(found.values["events"][-1])


@pytest.mark.parametrize(
    ("seconds", "step"),
    [(0, 10), (600, 10), (3_600, 10), (3_700, 300), (86_400, 300), (4 * 86_400, 900), (WEEK, 3_600)],
)
def test_step_that_nobody_names_makes_a_chart_of_it(seconds: int, step: int) -> None:
    now = Micros(1_000 * WEEK * SECOND)
    series = Series()
    series.add(Sample(now, {"streams": 2}))

    chosen, found = series.between(Micros(now - seconds * SECOND), now, None)

    assert chosen == step
    assert len(found.at) in (seconds // step + 1, seconds // step + 2)
    assert found.values["streams"][-1] == 2


def test_clock_that_is_set_back_spoils_nothing() -> None:
    series = Series()
    for second in (1_000, 1_010, 500, 510):
        series.add(Sample(Micros(second * SECOND), {"streams": second}))
    _, found = series.between(Micros(500 * SECOND), Micros(520 * SECOND), STEP_S)

    assert list(found.values["streams"][:2]) == [500, 510]
    assert isnan(found.values["streams"][2])
