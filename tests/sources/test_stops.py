"""Stops: each has its effect and its event, whatever the run is at."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.event import RunFinished, RunInterrupting, RunStarted, StateUpdated
from tenure.core.limits import Limits
from tenure.core.output import Output, StateUpdate
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.rooms import BEN, Rooms, Work, agent, end, in_virtual_time, second, talk_with

YEAR = 31_536_000.0


async def quiet(run: RunContext) -> AsyncIterator[Output]:
    """Says nothing at all, and doesn't look whether it is to stop."""
    await asyncio.sleep(YEAR)
    yield StateUpdate("conversation", "never", None)


async def noting(run: RunContext) -> AsyncIterator[Output]:
    """Only ever writes its state, and doesn't look whether it is to stop."""
    for number in range(1_000_000):
        await asyncio.sleep(1)
        yield StateUpdate("conversation", "step", number)


@pytest.mark.sources("A6", "D-O4", "O20")
@pytest.mark.parametrize("work", [quiet, noting], ids=["silent", "only state"])
@in_virtual_time
async def test_run_that_is_silent_or_only_writes_state_is_stopped_within_five_seconds(
    rooms: Rooms, work: Work
) -> None:
    talk = await talk_with(rooms, work)
    receipt = await talk.send()
    await asyncio.sleep(10)
    await talk.stop()
    asked = rooms.loop.time()
    events = await talk.answer(receipt)
    updates = [event for event in events if isinstance(event.event, StateUpdated)]

    assert end(events) == ("cancelled", "interrupted")
    assert second(events[-1].at) - asked <= 5
    assert len(updates) >= (10 if work is noting else 0)
    assert all(second(update.at) <= asked + 5 for update in updates)


@pytest.mark.sources("A16", "M14", "D-O21")
@in_virtual_time
async def test_stop_of_an_idle_session_is_refused_and_stops_nothing_that_comes_later(rooms: Rooms) -> None:
    talk = await talk_with(rooms, noting)
    with pytest.raises(TenureError) as refusal:
        await talk.stop()
    receipt = await talk.send()
    await asyncio.sleep(60)

    assert refusal.value.code is Code.NOT_RUNNING
    assert (await talk.run(receipt)).status == "running"
    await talk.stop()


@pytest.mark.sources("A16")
@in_virtual_time
async def test_run_that_waits_for_a_slot_is_stopped_at_once_and_never_begins(rooms: Rooms) -> None:
    await rooms.up(agent(noting), limits=Limits(live_runs=1))
    first, second_ = await rooms.open(), await rooms.open(by=BEN)
    live, waiting = await first.send(), await second_.send()
    asked = rooms.loop.time()
    stopped = await second_.stop()
    finished = await second_.until(RunFinished)
    await first.stop()
    await first.answer(live)
    await asyncio.sleep(60)

    assert (stopped.run_id, stopped.status) == (waiting.run_id, "cancelled")
    assert (second(finished.at), finished.event) == (
        asked,
        RunFinished(status="cancelled", reason="interrupted"),
    )
    assert [e for e in await second_.journal() if isinstance(e.event, RunStarted | RunInterrupting)] == []
