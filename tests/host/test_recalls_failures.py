"""Recalls that fail: tried again as the schedule says, written down, and in the end the schedule rests."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tenure.core.command import CloseSession
from tenure.core.event import RecallChanged, RecallRetrying, RunStarted
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed, failed
from tenure.ports.runner import RunContext
from tests.host.diary import Plan, Told, plan, planned, recalls
from tests.host.rooms import ADA, UNHURRIED, Policy, Rooms, Talk, agent, in_virtual_time, second


class Moody:
    """Fails as often as it was told, then is well again."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def __call__(self, run: RunContext) -> AsyncIterator[Output]:
        """One attempt."""
        if self.failures:
            self.failures -= 1
            yield failed("no mood")
        else:
            yield Text("fine")
            yield completed()


async def hosted(rooms: Rooms, failures: int, policy: Policy = UNHURRIED, **ask: Any) -> tuple[Talk, Plan]:
    """A schedule in a session whose agent fails so often."""
    await rooms.up(agent(Moody(failures).__call__, policy))
    talk = await rooms.open()
    return talk, await plan(talk, **ask)


async def starts(talk: Talk) -> list[float]:
    """When its runs started, in seconds since the test began."""
    return [second(e.at) for e in await talk.journal() if isinstance(e.event, RunStarted)]


@pytest.mark.sources("N18", "D-N7", "D-N16")
@in_virtual_time
async def test_a_failed_one_time_recall_is_visible_and_can_be_run_again(rooms: Rooms) -> None:
    _, made = await hosted(rooms, 1, in_s=60)
    await asyncio.sleep(61)
    assert await made.told() == [Told(60.0, "admitted", None, "failed", 1)]
    info = await made.info()
    assert (info.status, info.reason, info.failures) == ("done", "finished", 1)
    await made.trigger()
    await asyncio.sleep(1)

    assert await made.told() == [
        Told(60.0, "admitted", None, "failed", 1),
        Told(61.0, "admitted", "asked", "completed", 1),
    ]


@pytest.mark.sources("N18", "D-N7")
@in_virtual_time
async def test_a_failure_is_tried_again_with_growing_pauses_as_the_same_occurrence(rooms: Rooms) -> None:
    talk, made = await hosted(rooms, 3, in_s=60, retries=5, backoff_s=10)
    await asyncio.sleep(300)

    assert await starts(talk) == [60.0, 70.0, 90.0, 130.0]
    assert await made.told() == [Told(60.0, "admitted", None, "completed", 4)]
    told = recalls(await talk.journal())
    assert [type(e).__name__ for e in told].count("RecallFired") == 1
    assert [e.attempt for e in told if isinstance(e, RecallRetrying)] == [2, 3, 4]
    assert (await made.info()).failures == 0


@pytest.mark.sources("D-N7")
@in_virtual_time
async def test_after_its_retries_an_occurrence_has_failed_and_the_grid_goes_on(rooms: Rooms) -> None:
    talk, made = await hosted(rooms, 2, every_s=60, retries=1, backoff_s=5, max_runs=2)
    await asyncio.sleep(200)

    assert await starts(talk) == [60.0, 65.0, 120.0]
    assert await made.told() == [
        Told(60.0, "admitted", None, "failed", 2),
        Told(120.0, "admitted", None, "completed", 1),
    ]


@pytest.mark.sources("D-N7")
@in_virtual_time
async def test_after_so_many_failures_in_a_row_the_schedule_rests_and_says_why(rooms: Rooms) -> None:
    talk, made = await hosted(rooms, 99, every_s=60, pause_after_failures=3)
    await asyncio.sleep(600)

    assert await made.told() == [Told(at, "admitted", None, "failed", 1) for at in (60.0, 120.0, 180.0)]
    info = await made.info()
    assert (info.status, info.reason, info.failures, info.next_at) == ("paused", "failures", 3, None)
    changed = [e for e in recalls(await talk.journal()) if isinstance(e, RecallChanged)]
    assert changed == [RecallChanged(schedule_id=made.id, status="paused", by="host", reason="failures")]


@in_virtual_time
async def test_a_success_in_between_forgives_the_failures_before(rooms: Rooms) -> None:
    moods = [1, 1, 0, 1, 1, 0, 1]

    async def mixed(run: RunContext) -> AsyncIterator[Output]:
        yield failed("no") if moods.pop(0) else completed()

    await rooms.up(agent(mixed))
    made = await plan(await rooms.open(), every_s=60, pause_after_failures=3, max_runs=7)
    await asyncio.sleep(500)

    info = await made.info()
    assert (info.status, info.failures, moods) == ("done", 1, [])


@in_virtual_time
async def test_resumed_after_failures_it_counts_anew(rooms: Rooms) -> None:
    _, made = await hosted(rooms, 3, every_s=60, pause_after_failures=3, missed="skip")
    await asyncio.sleep(230)
    assert (await made.info()).status == "paused"
    await made.resume()
    await asyncio.sleep(60)

    info = await made.info()
    assert (info.status, info.failures) == ("active", 0)
    assert (await made.told())[-1] == Told(240.0, "admitted", None, "completed", 1)


@in_virtual_time
async def test_a_recall_that_takes_too_long_has_failed(rooms: Rooms) -> None:
    async def deaf(run: RunContext) -> AsyncIterator[Output]:
        await run.stopped()
        yield completed()

    await rooms.up(agent(deaf, Policy(deadline_s=5)))
    made = await plan(await rooms.open(), in_s=60)
    await asyncio.sleep(120)

    (told,) = await made.told()
    assert (told.outcome in ("timed_out", "completed"), (await made.info()).status) == (True, "done")


@in_virtual_time
async def test_a_retry_outlives_a_crash_of_the_host(rooms: Rooms) -> None:
    talk, made = await hosted(rooms, 1, in_s=60, retries=1, backoff_s=100)
    await asyncio.sleep(70)
    rooms.crash()
    await asyncio.sleep(30)
    await rooms.up(agent(Moody(0).__call__))
    await asyncio.sleep(100)

    assert await starts(talk) == [60.0, 160.0]
    assert await made.told() == [Told(60.0, "admitted", None, "completed", 2)]


@pytest.mark.sources("D-N10")
@in_virtual_time
async def test_a_cancelled_schedule_is_not_tried_again(rooms: Rooms) -> None:
    talk, made = await hosted(rooms, 1, in_s=60, retries=1, backoff_s=100)
    await asyncio.sleep(70)
    await made.cancel()
    await asyncio.sleep(200)

    assert await starts(talk) == [60.0]
    assert await made.told() == [Told(60.0, "admitted", None, "failed", 1)]
    assert (await made.info()).status == "cancelled"


@in_virtual_time
async def test_an_occurrence_whose_own_session_was_closed_has_failed_and_the_schedule_goes_on(
    rooms: Rooms,
) -> None:
    await rooms.up(agent(Moody(1).__call__))
    made = await planned(rooms, ADA, message="tick", agent="agent", every_s=60, retries=1, backoff_s=10)
    await asyncio.sleep(61)
    (failed,) = await made.occurrences()
    shut = rooms.host.commands.close_session(ADA, failed.session_id or "", CloseSession(), None)
    await rooms.there(shut)
    await asyncio.sleep(30)
    info = await made.info()
    assert (info.status, info.failures) == ("active", 1)
    await asyncio.sleep(60)

    assert await made.told() == [
        Told(60.0, "admitted", None, "failed", 1),
        Told(120.0, "admitted", None, "completed", 1),
    ]


@in_virtual_time
async def test_an_agent_that_is_hosted_no_more_and_a_full_host_are_failures_with_a_reason(
    rooms: Rooms,
) -> None:
    await rooms.up(agent(Moody(0).__call__), limits=Limits(open_sessions_per_user=1))
    await rooms.open()
    full = await planned(rooms, ADA, message="tick", agent="agent", every_s=60, pause_after_failures=2)
    await asyncio.sleep(150)
    await rooms.stop()
    await rooms.up(agent(Moody(0).__call__, name="other"))
    await full.resume()
    await asyncio.sleep(60)

    assert await full.told() == [
        Told(60.0, "skipped", "capacity"),
        Told(120.0, "skipped", "capacity"),
        Told(180.0, "skipped", "unknown_agent"),
    ]
    assert (await full.info()).failures == 1
