"""Hosts that share one store: who takes which run, and what drains leave to the others."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.event import MessageDelta, RunFinished, RunResumed, RunRetried, RunStarted
from tenure.core.limits import Limits
from tenure.core.moment import Micros
from tenure.core.output import Output, Text, completed
from tenure.core.view import HostInfo
from tenure.host.claims import POLL_S, fair_share
from tenure.host.fanout import Delivery, Ended
from tenure.ports.hosts import HostRow
from tenure.ports.runner import RunContext
from tests.host.fleet import LEASE_S, Fleet, in_a_fleet
from tests.host.rooms import BEN, Talk, agent, end, second
from tests.host.workshop import TOOLED, Bench, asked, asking, decide


async def nap(run: RunContext) -> AsyncIterator[Output]:
    """Works for a minute."""
    yield Text("working ")
    await asyncio.sleep(60)
    yield completed()


async def steady(run: RunContext) -> AsyncIterator[Output]:
    """Says a word each second, ten in all."""
    for number in range(10):
        await asyncio.sleep(1)
        yield Text(f"w{number} ")
    yield completed()


async def held(fleet: Fleet) -> dict[str, int]:
    """How many runs each host holds."""
    return {row.name: row.live_runs for row in await fleet.rows()}


def row(incarnation: int, live: int, *, slots: int = 100, draining: bool = False) -> HostRow:
    return HostRow(incarnation, "", "", slots, draining, Micros(0), Micros(0), Micros(0), live)


@pytest.mark.parametrize(
    ("hosts", "queued", "share"),
    [
        ([row(1, 0)], 5, 5),
        ([row(1, 0), row(2, 0)], 5, 3),
        ([row(1, 10), row(2, 0)], 4, 0),
        ([row(1, 5), row(2, 5)], 1, 1),
        ([row(1, 0), row(2, 0, draining=True)], 4, 4),
        ([row(1, 3), row(2, 2, slots=2)], 4, 4),
        ([row(1, 2, slots=2), row(2, 0)], 4, 4),
    ],
)
def test_a_fair_share_is_as_many_as_every_host_with_a_free_slot_rounded_up(
    hosts: list[HostRow], queued: int, share: int
) -> None:
    assert fair_share(hosts, queued, 1) == share


@in_a_fleet
async def test_runs_of_a_host_that_died_are_shared_among_those_that_are_left(fleet: Fleet) -> None:
    sites = [await fleet.up(name, agent(nap)) for name in "abc"]
    await asyncio.sleep(30)
    for _ in range(9):
        await (await sites[0].open()).send()
    assert (await held(fleet))["a"] == 9
    fleet.crash(sites[0])
    await asyncio.sleep(2 * LEASE_S)

    assert min((await held(fleet)).values()) >= 3


@in_a_fleet
async def test_host_begins_no_more_than_its_slots_and_others_take_the_rest(fleet: Fleet) -> None:
    a = await fleet.up("a", agent(nap), slots=2)
    await fleet.up("b", agent(nap))
    talks = [await a.open() for _ in range(5)]
    receipts = [await talk.send() for talk in talks]
    for talk in talks:
        await talk.until(RunStarted)

    assert [receipt.disposition for receipt in receipts] == ["started"] * 2 + ["queued"] * 3
    assert await held(fleet) == {"a": 2, "b": 3}


@in_a_fleet
async def test_limit_of_live_runs_is_for_all_hosts_together(fleet: Fleet) -> None:
    limits = Limits(live_runs=3)
    a, b = await fleet.up("a", agent(nap), limits=limits), await fleet.up("b", agent(nap), limits=limits)
    for site in (a, b, a, b, a):
        await (await site.open()).send()
    await asyncio.sleep(10)

    assert sum((await held(fleet)).values()) == 3


@in_a_fleet
async def test_run_that_another_host_could_take_and_does_not_waits_no_longer_than_a_poll(
    fleet: Fleet,
) -> None:
    limits = Limits(live_runs=3)
    a = await fleet.up("a", agent(nap), limits=limits)
    b = await fleet.up("b", agent(nap), limits=limits)
    talks = [await a.open() for _ in range(4)]
    for talk in talks:
        await talk.send()
    # b has room, is the one to take it, and doesn't for as long as it stands still.
    b.freeze()
    await asyncio.sleep(3)
    began = await talks[0].until(RunFinished)
    started = await talks[3].until(RunStarted)
    b.thaw()

    assert second(started.at) - second(began.at) < 2 * POLL_S + 1.5


@pytest.mark.sources("P5")
@in_a_fleet
async def test_draining_host_says_so_to_all_takes_nothing_and_its_runs_move_at_their_next_word(
    fleet: Fleet,
) -> None:
    a, b = await fleet.up("a", agent(steady)), await fleet.up("b", agent(steady))
    talk = await a.open()
    await talk.send()
    await talk.until(MessageDelta)
    ends: list[object] = []

    async def watch() -> None:
        with await a.host.fanout.follow(talk.session_id, 0) as follower:
            while not ends:
                step = await follower.next()
                if not isinstance(step, Delivery) and isinstance(step, Ended):
                    ends.append(step)

    watching = fleet.loop.spawn(a.life.node, watch())
    began = fleet.loop.time()
    draining = fleet.loop.spawn(a.life.node, a.host.drain())
    await asyncio.sleep(0.5)
    late = await (await a.open()).send()
    assert a.trouble == "draining"
    await draining
    took = fleet.loop.time() - began
    await watching
    there = Talk(b, talk.by, talk.session_id)
    retried = await there.until(RunRetried)

    assert took < 3
    assert ends == [Ended("draining")]
    assert retried.event == RunRetried(attempt=2, reason="drain")
    assert second(retried.at) - began < took + 3
    assert late.disposition == "queued"
    assert end([await there.until(RunFinished)]) == ("completed", "")
    seen = {host.name: host.draining for host in (await b.there(b.host.stats())).hosts}
    assert seen == {"a": True, "b": False}


@in_a_fleet
async def test_run_that_waits_for_a_person_is_held_by_no_host_after_the_drain(fleet: Fleet) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("asking ")
        await run.tools.call("mail", {"to": "ada"})
        yield completed()

    mail = asking()
    fleet.tools = Bench(mail)
    a, b = await fleet.up("a", agent(work, TOOLED)), await fleet.up("b", agent(work, TOOLED))
    talk = await a.open()
    await talk.send()
    question = await asked(talk)
    await a.there(a.host.stop())
    fleet.crash(a)
    there = Talk(b, talk.by, talk.session_id)
    await decide(there, question.approval_id)
    finished = await there.until(RunFinished)
    modes = [e.event.mode for e in await there.journal() if isinstance(e.event, RunResumed)]

    assert (end([finished]), modes) == (("completed", ""), ["rerun"])
    assert mail.made == [{"to": "ada"}]


@in_a_fleet
async def test_host_stops_in_bounded_time_while_the_store_is_away(fleet: Fleet) -> None:
    a, b = await fleet.up("a", agent(nap)), await fleet.up("b", agent(nap))
    talk = await a.open()
    await talk.send()
    await talk.until(MessageDelta)
    a.cut()
    began = fleet.loop.time()
    await a.there(a.host.stop())
    took = fleet.loop.time() - began
    fleet.crash(a)

    assert took <= 13
    assert end([await Talk(b, talk.by, talk.session_id).until(RunFinished)]) == ("completed", "")


@in_a_fleet
async def test_figures_name_every_host_and_which_one_answers(fleet: Fleet) -> None:
    a, b = await fleet.up("a", agent(nap), slots=4), await fleet.up("b", agent(nap))
    await (await a.open(by=BEN)).send()
    await asyncio.sleep(1)
    found = (await b.there(b.host.stats())).hosts

    def shown(host: HostInfo) -> tuple[object, ...]:
        return host.name, host.version, host.slots, host.live_runs, host.draining, host.answers

    assert [shown(host) for host in found] == [
        ("a", "fleet", 4, 1, False, False),
        ("b", "fleet", Limits().live_runs, 0, False, True),
    ]
    assert all(host.lease_left_s is not None and 0 < host.lease_left_s <= LEASE_S for host in found)
