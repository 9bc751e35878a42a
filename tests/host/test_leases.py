"""Leases: a host that can't renew stops by itself, one that was given up begins anew, and runs move on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.event import MessageDelta, RunFinished, RunRetried, ToolCallCompleted
from tenure.core.grant import Policy
from tenure.core.output import Output, Said, Text, completed
from tenure.core.tool import Replay
from tenure.errors import TenureError
from tenure.host.leases import margin
from tenure.ports.runner import RunContext
from tests.host.fleet import LEASE_S, Fleet, Site, in_a_fleet
from tests.host.rooms import Talk, agent, end, second
from tests.host.workshop import TOOLED, Bench, FakeTool

WHOLE = "".join(f"w{number} " for number in range(30))
ONCE = Policy(deadline_s=None, max_attempts=1)


async def steady(run: RunContext) -> AsyncIterator[Output]:
    """Says a word each second, thirty in all."""
    for number in range(30):
        await asyncio.sleep(1)
        yield Text(f"w{number} ")
    yield completed()


def seen_from(site: Site, talk: Talk) -> Talk:
    """The same session on another host."""
    return Talk(site, talk.by, talk.session_id)


async def retries(talk: Talk) -> list[RunRetried]:
    """Every new attempt of a session."""
    return [event.event for event in await talk.journal() if isinstance(event.event, RunRetried)]


async def pair(fleet: Fleet, policy: Policy = TOOLED) -> tuple[Site, Site, Talk]:
    """Two hosts that have stood for a while, and a session on the first whose run has begun."""
    a, b = await fleet.up("a", agent(steady, policy)), await fleet.up("b", agent(steady, policy))
    await asyncio.sleep(30)
    talk = await a.open()
    await talk.send()
    await talk.until(MessageDelta)
    return a, b, talk


def test_a_host_stops_two_seconds_before_the_end_of_its_lease_and_of_a_short_one_a_fifth() -> None:
    assert [margin(lease_s) for lease_s in (60, 10, 5, 1)] == [2, 2, 1, 0.2]


# --- a host is gone


@pytest.mark.sources("P5", "P2")
@in_a_fleet
async def test_runs_of_a_host_that_is_killed_go_on_elsewhere_within_two_leases(fleet: Fleet) -> None:
    a, b, talk = await pair(fleet)
    fleet.crash(a)
    killed = fleet.loop.time()
    there = seen_from(b, talk)
    retried = await there.until(RunRetried)

    assert retried.event == RunRetried(attempt=2, reason="host_lost")
    assert second(retried.at) - killed < 2 * LEASE_S
    assert end([await there.until(RunFinished)]) == ("completed", "")
    assert (await there.lines())[1:] == [("assistant", WHOLE, "completed")]
    assert await fleet.standing() == ["b"]


@in_a_fleet
async def test_runs_of_a_host_that_stops_in_good_order_go_on_elsewhere_at_once_and_cost_no_attempt(
    fleet: Fleet,
) -> None:
    a, b, talk = await pair(fleet, ONCE)
    await a.there(a.host.stop())
    stopped = fleet.loop.time()
    there = seen_from(b, talk)
    retried = await there.until(RunRetried)
    fleet.crash(a)

    assert retried.event == RunRetried(attempt=2, reason="drain")
    assert second(retried.at) - stopped < LEASE_S / 2
    assert end([await there.until(RunFinished)]) == ("completed", "")


@in_a_fleet
async def test_host_that_has_just_come_gives_nobody_up_before_one_whole_lease(fleet: Fleet) -> None:
    a = await fleet.up("a", agent(steady))
    talk = await a.open()
    await talk.send()
    fleet.loop.freeze(a.life.node)
    await asyncio.sleep(3 * LEASE_S)
    came = fleet.loop.time()
    b = await fleet.up("b", agent(steady))
    fleet.sites.remove(a)
    await asyncio.sleep(came + LEASE_S * 0.9 - fleet.loop.time())
    assert await fleet.standing() == ["a", "b"]
    retried = await seen_from(b, talk).until(RunRetried)
    a.crash()

    assert LEASE_S <= second(retried.at) - came < 2 * LEASE_S


# --- a host stands still


@pytest.mark.sources("P5")
@in_a_fleet
async def test_frozen_host_that_thaws_finds_itself_given_up_writes_nothing_and_serves_again(
    fleet: Fleet,
) -> None:
    a, b, talk = await pair(fleet)
    was = a.incarnation
    a.freeze()
    there = seen_from(b, talk)
    retried = await there.until(RunRetried)
    a.thaw()
    await asyncio.sleep(3)
    finished = await there.until(RunFinished)
    journal = await there.journal()
    words = "".join(
        e.event.text for e in journal if isinstance(e.event, MessageDelta) and e.seq > retried.seq
    )

    assert words == WHOLE
    assert finished.seq == len(journal)
    assert a.incarnation > was
    assert a.trouble is None
    assert end(await (await a.open()).say()) == ("completed", "")


@in_a_fleet
async def test_host_that_stands_still_for_a_while_goes_on_as_if_nothing_had_been(fleet: Fleet) -> None:
    a, _, talk = await pair(fleet)
    was = a.incarnation
    a.freeze()
    await asyncio.sleep(LEASE_S * 0.4)
    a.thaw()

    assert end([await talk.until(RunFinished)]) == ("completed", "")
    assert (await retries(talk), a.incarnation) == ([], was)


@in_a_fleet
async def test_host_that_stands_still_until_just_before_the_end_of_its_lease_starts_its_runs_again(
    fleet: Fleet,
) -> None:
    a, _, talk = await pair(fleet)
    a.freeze()
    await asyncio.sleep(LEASE_S * 0.95 - 3.5)
    while (fleet.shore.expires_in(a.incarnation) or 0) > 1:  # noqa: ASYNC110 (nobody tells how it runs out)
        await asyncio.sleep(0.1)
    a.thaw()

    assert end([await talk.until(RunFinished)]) == ("completed", "")
    assert await retries(talk) == [RunRetried(attempt=2, reason="host_lost")]


@in_a_fleet
async def test_run_that_makes_its_host_stand_still_each_time_is_lost_in_the_end(fleet: Fleet) -> None:
    site = await fleet.up("a", agent(steady, Policy(deadline_s=None, max_attempts=2)))
    talk = await site.open()
    await talk.send()
    for _ in range(2):
        await asyncio.sleep(5)
        site.freeze()
        await asyncio.sleep(2 * LEASE_S)
        site.thaw()

    assert end([await talk.until(RunFinished)]) == ("lost", "host_lost_2_times")


@pytest.mark.sources("P4")
@in_a_fleet
async def test_frozen_host_makes_no_call_that_another_may_have_taken_for_made(fleet: Fleet) -> None:
    tool = FakeTool("pay", replay=Replay.NEVER)

    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("paying ")
        await asyncio.sleep(10)
        try:
            await run.tools.call("pay", {"euros": 5})
        except TenureError as refusal:
            yield Said(str(refusal.code))
        yield completed()

    fleet.tools = Bench(tool)
    a, b = await fleet.up("a", agent(work, TOOLED)), await fleet.up("b", agent(work, TOOLED))
    await asyncio.sleep(30)
    talk = await a.open()
    await talk.send()
    await talk.until(MessageDelta)
    await asyncio.sleep(9.9)
    a.freeze()
    there = seen_from(b, talk)
    finished = await there.until(RunFinished)
    a.thaw()
    await asyncio.sleep(30)

    assert end([finished]) == ("completed", "")
    # Frozen between the ledger and the call it was made by nobody, and its outcome is unknown.
    assert [call.arguments for call in tool.calls] in ([{"euros": 5}], [])
    settled = [e.event for e in await there.journal() if isinstance(e.event, ToolCallCompleted)]
    assert len([call for call in settled if not call.replayed]) == 1


# --- the store is away


@in_a_fleet
async def test_short_outage_of_the_store_is_noticed_by_no_run(fleet: Fleet) -> None:
    a, b, talk = await pair(fleet)
    lives = a.incarnation, b.incarnation
    fleet.shore.away = True
    await asyncio.sleep(LEASE_S * 0.4)
    fleet.shore.away = False

    assert end([await talk.until(RunFinished)]) == ("completed", "")
    assert (await talk.lines())[1:] == [("assistant", WHOLE, "completed")]
    assert (await retries(talk), (a.incarnation, b.incarnation)) == ([], lives)


@pytest.mark.sources("P2")
@in_a_fleet
async def test_long_outage_of_the_store_is_nobodys_end_and_costs_no_attempt(fleet: Fleet) -> None:
    a, b, talk = await pair(fleet, ONCE)
    for _ in range(3):
        fleet.shore.away = True
        await asyncio.sleep(3 * LEASE_S)
        assert (a.trouble, b.trouble) == ("store_unavailable", "store_unavailable")
        fleet.shore.away = False
        await asyncio.sleep(5)
        assert (a.trouble, b.trouble) == (None, None)

    assert end([await talk.until(RunFinished)]) == ("completed", "")
    assert {retry.reason for retry in await retries(talk)} == {"drain"}
    assert await fleet.standing() == ["a", "b"]


@in_a_fleet
async def test_run_that_ended_during_an_outage_keeps_its_outcome(fleet: Fleet) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("working ")
        await asyncio.sleep(5)
        yield completed()

    a = await fleet.up("a", agent(work))
    talk = await a.open()
    await talk.send()
    await talk.until(MessageDelta)
    fleet.shore.away = True
    await asyncio.sleep(3 * LEASE_S)
    fleet.shore.away = False

    assert end([await talk.until(RunFinished)]) == ("completed", "")
    assert await retries(talk) == []


@pytest.mark.sources("P5")
@in_a_fleet
async def test_host_that_is_cut_off_stops_its_runs_before_another_takes_them(fleet: Fleet) -> None:
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
    await asyncio.sleep(30)
    talk = await a.open()
    await talk.send()
    await talk.until(MessageDelta)
    was = a.incarnation
    a.cut()
    began = fleet.loop.time()
    retried = await seen_from(b, talk).until(RunRetried)
    taken = fleet.loop.time()
    away = a.trouble
    a.join()
    await asyncio.sleep(5)

    assert len(stopped) == 1
    assert stopped[0] <= began + LEASE_S - margin(LEASE_S)
    assert taken - stopped[0] >= 1
    assert second(retried.at) - began < 2 * LEASE_S
    assert away == "store_unavailable"
    assert (a.trouble, a.incarnation > was) == (None, True)
    assert end([await seen_from(b, talk).until(RunFinished)]) == ("completed", "")


@pytest.mark.sources("P4")
@in_a_fleet
async def test_host_whose_time_is_up_lets_no_runner_act_that_heeds_no_stop(fleet: Fleet) -> None:
    tool = FakeTool("pay")
    refused: list[str] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("working ")
        for _ in range(30):
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                try:
                    await run.tools.call("pay", {})
                except TenureError as refusal:
                    refused.append(str(refusal.code))
        yield completed()

    fleet.tools = Bench(tool)
    a = await fleet.up("a", agent(work, TOOLED))
    talk = await a.open()
    await talk.send()
    await talk.until(MessageDelta)
    fleet.shore.away = True
    await asyncio.sleep(2 * LEASE_S)
    fleet.shore.away = False

    assert end([await talk.until(RunFinished)]) == ("completed", "")
    assert set(refused) == {"fenced"}
    assert tool.calls == []


# --- clocks


@pytest.mark.parametrize("hours", [1, -1])
def test_store_whose_clock_is_set_ends_nobodys_life(hours: int) -> None:
    @in_a_fleet
    async def play(fleet: Fleet) -> None:
        a, b, talk = await pair(fleet)
        lives = a.incarnation, b.incarnation
        fleet.shore.jump(hours * 3_600)

        assert end([await talk.until(RunFinished)]) == ("completed", "")
        assert (await retries(talk), (a.incarnation, b.incarnation)) == ([], lives)

    play()


@in_a_fleet
async def test_host_that_dies_as_the_clock_is_set_back_is_given_up_all_the_same(fleet: Fleet) -> None:
    a, b, talk = await pair(fleet)
    fleet.crash(a)
    fleet.shore.jump(-3_600)
    died = fleet.loop.time()
    retried = await seen_from(b, talk).until(RunRetried)

    assert fleet.loop.time() - died < 2.5 * LEASE_S
    assert retried.event == RunRetried(attempt=2, reason="host_lost")


# --- what clients see


@in_a_fleet
async def test_message_that_reaches_a_host_which_was_given_up_is_taken_all_the_same(fleet: Fleet) -> None:
    a, b = await fleet.up("a", agent(steady)), await fleet.up("b", agent(steady))
    await asyncio.sleep(30)
    talk = await a.open()
    a.freeze()
    while "a" in [row.name for row in await b.there(b.host.store.hosts.all())]:  # noqa: ASYNC110 (as above)
        await asyncio.sleep(1)
    a.thaw()
    receipt = await talk.send()

    assert end(await talk.answer(receipt)) == ("completed", "")
    assert len(await fleet.standing()) == 2


@in_a_fleet
async def test_outage_shorter_than_the_lease_makes_a_host_unready_and_ready_again(fleet: Fleet) -> None:
    site = await fleet.up("a", agent(steady))
    await asyncio.sleep(5)
    states = {site.trouble}
    fleet.shore.away = True
    await asyncio.sleep(LEASE_S * 0.75)
    states.add(site.trouble)
    fleet.shore.away = False
    await asyncio.sleep(2)

    assert states == {None, "store_unavailable"}
    assert site.trouble is None
