"""Hosts of which the database, the machine or bad luck ask much: what must hold all the same."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from unittest.mock import patch

import pytest

from tenure.core.event import MessageDelta, RunFinished, RunRetried, RunStarted
from tenure.core.output import Output, Text, completed
from tenure.errors import Code, TenureError
from tenure.host.clock import SystemClock
from tenure.host.fanout import Delivery, UpToDate
from tenure.host.leases import margin
from tenure.ports.runner import RunContext
from tests.host.fleet import LEASE_S, Fleet, in_a_fleet
from tests.host.rooms import Talk, agent, end


async def steady(run: RunContext) -> AsyncIterator[Output]:
    """Says a word each second, thirty in all."""
    for number in range(30):
        await asyncio.sleep(1)
        yield Text(f"w{number} ")
    yield completed()


@in_a_fleet
async def test_host_to_which_the_database_answers_slowly_keeps_its_lease(fleet: Fleet) -> None:
    a = await fleet.up("a", agent(steady))
    await fleet.up("b", agent(steady))
    await asyncio.sleep(2 * LEASE_S)
    was = a.incarnation
    fleet.shore.slow.add(a.life.node)
    await asyncio.sleep(20 * LEASE_S)

    assert a.incarnation == was


@in_a_fleet
async def test_host_that_has_much_to_put_right_as_it_starts_keeps_its_first_lease(fleet: Fleet) -> None:
    await fleet.up("a", agent(steady))
    await asyncio.sleep(2 * LEASE_S)
    fleet.shore.slow.add("b1")
    b = await fleet.up("b", agent(steady))

    assert b.incarnation == 2
    assert await fleet.standing() == ["a", "b"]


@pytest.mark.sources("P3")
@in_a_fleet
async def test_follower_that_reads_the_journal_as_the_store_goes_away_waits_and_goes_on(fleet: Fleet) -> None:
    async def chatty(run: RunContext) -> AsyncIterator[Output]:
        for number in range(200):
            await asyncio.sleep(0.5)
            yield Text(f"w{number} ")
        yield completed()

    a = await fleet.up("a", agent(chatty))
    talk = await a.open()
    await talk.send()
    await talk.until(RunFinished)
    whole = len(await talk.journal())
    seen: list[int] = []

    async def watch() -> None:
        with await a.host.fanout.follow(talk.session_id, 0) as follower:
            while not isinstance(step := await follower.next(), UpToDate):
                assert isinstance(step, Delivery)
                seen.extend(range(step.first, step.last + 1))
                fleet.shore.away = len(seen) == step.last and not fleet.shore.away and step.first == 1

    watching = fleet.loop.spawn(a.life.node, watch())
    await asyncio.sleep(LEASE_S)
    read = len(seen)
    fleet.shore.away = False
    await watching

    assert 0 < read < whole
    assert seen == list(range(1, whole + 1))


@pytest.mark.sources("P5")
@in_a_fleet
async def test_runs_of_a_host_that_drains_as_it_is_cut_off_stop_before_another_takes_them(
    fleet: Fleet,
) -> None:
    stopped: list[float] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("working ")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(fleet.loop.time())
            raise
        yield completed()

    a, b = await fleet.up("a", agent(work)), await fleet.up("b", agent(work))
    await asyncio.sleep(3 * LEASE_S)
    talk = await a.open()
    await talk.send()
    await talk.until(MessageDelta)
    a.cut()
    began = fleet.loop.time()
    await asyncio.sleep(LEASE_S * 0.4)
    # What the owner of a run writes is tried for as long as its lease lasts.
    with patch("tests.simulation.shore.PATIENCE_S", LEASE_S):
        await a.there(a.host.drain())
        there = Talk(b, talk.by, talk.session_id)
        await there.until(RunRetried)
    first = list(stopped)
    a.join()

    assert first
    assert first[0] <= began + LEASE_S - margin(LEASE_S)
    assert end([await there.until(RunFinished)]) == ("completed", "")


@in_a_fleet
async def test_run_that_was_begun_under_a_life_that_is_over_is_not_executed_under_the_next(
    fleet: Fleet,
) -> None:
    called: list[float] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        called.append(fleet.loop.time())
        yield Text("working ")
        await asyncio.sleep(20)
        yield completed()

    a = await fleet.up("a", agent(work))
    talk = await a.open()
    # The database takes the message, and its answer comes only after a long outage.
    fleet.shore.slow.add(a.life.node)
    sending = fleet.loop.spawn(a.life.node, talk.send())
    while not begun(fleet):  # noqa: ASYNC110 (the database tells nobody)
        await asyncio.sleep(0.05)
    fleet.shore.slow.discard(a.life.node)
    with patch("tests.simulation.shore.AGAIN_S", 2 * LEASE_S):
        fleet.shore.away = True
        await asyncio.sleep(1.4 * LEASE_S)
        fleet.shore.away = False
        await asyncio.sleep(0.5 * LEASE_S)
        assert (a.incarnation, sending.done()) == (2, False)
        await sending

    assert end([await talk.until(RunFinished)]) == ("completed", "")
    assert len(called) == 1


def begun(fleet: Fleet) -> bool:
    """Whether the database knows of a run that began."""
    entries = [entry for written in fleet.shore.written for entry in written.entries]
    return any(isinstance(entry.event, RunStarted) for entry in entries)


@pytest.mark.sources("P2")
@in_a_fleet
async def test_run_whose_beginning_the_store_refuses_for_good_ends_and_says_so(fleet: Fleet) -> None:
    a = await fleet.up("a", agent(steady))
    talk = await a.open()

    async def refuse(_session_id: str) -> None:
        raise TenureError(Code.INTERNAL, "The store refused this: a page of an index is broken.")

    with patch.object(a.host.store.states, "setting", refuse):
        ended = end(await talk.say())

    assert ended == ("failed", "journal_failed")
    assert fleet.rooms.complaints.said != []
    fleet.rooms.complaints.said.clear()
    assert a.host.executing == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the usual clock counts the machine's sleep")
def test_time_that_the_machine_sleeps_counts_for_the_lease() -> None:
    asleep_too = time.clock_gettime(time.CLOCK_BOOTTIME)

    assert 0 <= SystemClock().monotonic() - asleep_too < 5
