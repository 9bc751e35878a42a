"""Claims: how runs wait for a slot, who goes first, and what wakes them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tenure.core.command import CloseSession, InterruptRun
from tenure.core.event import RunFinished, RunInterrupting, RunStarted
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.core.principal import Principal
from tenure.core.view import MessageReceipt
from tenure.ports.runner import RunContext
from tests.host.rooms import ADA, BEN, CY, Rooms, Talk, agent, in_virtual_time, second, takes


async def nap(run: RunContext) -> AsyncIterator[Output]:
    """Works for as many seconds as the message says."""
    yield Text("working ")
    try:
        async with asyncio.timeout(float(run.message.text)):
            await run.stopped()
    except TimeoutError:
        yield completed()


class Asked:
    """A message in a session of its own."""

    def __init__(self, talk: Talk, receipt: MessageReceipt) -> None:
        self.talk = talk
        self.receipt = receipt

    async def began(self) -> float:
        """When its run began."""
        start = await self.talk.until(lambda e: takes(e, self.receipt.message_id))
        return second(start.at)

    async def ended(self) -> float:
        """When its run ended."""
        return second((await self.talk.until(RunFinished)).at)


async def ask(rooms: Rooms, by: Principal, seconds: float) -> Asked:
    """Ask for a nap in a fresh session."""
    talk = await rooms.open(by=by)
    return Asked(talk, await talk.send(str(seconds)))


async def live(rooms: Rooms) -> tuple[int, int]:
    """How many runs hold a slot, and how many wait for one."""
    stats = await rooms.host.stats()
    return stats.live_runs, stats.queued_runs


@in_virtual_time
async def test_no_more_runs_than_slots_and_the_next_begins_as_one_ends(rooms: Rooms) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=2))
    asked = [await ask(rooms, ADA, seconds) for seconds in (10, 4, 3, 1, 5)]

    assert [a.receipt.disposition for a in asked] == ["started", "started", "queued", "queued", "queued"]
    assert [a.receipt.queue_position for a in asked] == [0, 0, 1, 1, 1]
    assert all(a.receipt.run_id for a in asked)
    assert [await a.began() for a in asked] == [0, 0, 4, 7, 8]
    assert await asked[-1].ended() == 13
    assert await live(rooms) == (0, 0)


@in_virtual_time
async def test_limit_of_one_user_keeps_nobody_else_waiting(rooms: Rooms) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=4, live_runs_per_user=1))
    ada = [await ask(rooms, ADA, 10) for _ in range(3)]
    ben = [await ask(rooms, BEN, 10) for _ in range(2)]
    cy = await ask(rooms, CY, 10)

    assert await cy.began() == 0
    assert await live(rooms) == (3, 3)
    assert [await a.began() for a in ada] == [0, 10, 20]
    assert [await b.began() for b in ben] == [0, 10]


@in_virtual_time
async def test_same_name_in_another_tenant_is_another_user(rooms: Rooms) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs_per_user=1))
    namesake = Principal(tenant="zeta", user="ada", role=ADA.role, key_id="key_zeta")
    await rooms.give_key(namesake)
    mine, theirs = await ask(rooms, ADA, 10), await ask(rooms, namesake, 10)

    assert (await mine.began(), await theirs.began()) == (0, 0)


@in_virtual_time
async def test_free_slot_goes_to_the_user_with_the_fewest_live_runs(rooms: Rooms) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=3))
    ada = [await ask(rooms, ADA, 10 + n) for n in range(6)]
    ben = await ask(rooms, BEN, 1)

    assert await ben.began() == 10
    assert [await a.began() for a in ada] == [0, 0, 0, 11, 11, 12]


@pytest.mark.sources("P11")
@pytest.mark.parametrize("slots", [1, 2, 3])
@in_virtual_time
async def test_users_who_wait_are_served_in_turn_however_much_one_of_them_asked_for(
    rooms: Rooms, slots: int
) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=slots))
    ada = [await ask(rooms, ADA, 10) for _ in range(12)]
    ben = [await ask(rooms, BEN, 10) for _ in range(3)]
    cy = [await ask(rooms, CY, 10) for _ in range(3)]
    others = [await asked.began() for asked in (*ben, *cy)]

    # The first turn was Ada's alone; from then on three users share the slots, nine runs in three rounds.
    assert max(others) <= (1 + 9 / slots) * 10
    assert [await a.began() for a in ada] == sorted([await a.began() for a in ada])


@in_virtual_time
async def test_session_with_many_messages_gives_its_slot_to_others_in_between(rooms: Rooms) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=1))
    talk = await rooms.open()
    mine = [Asked(talk, await talk.send("10")) for _ in range(5)]
    other = await ask(rooms, BEN, 10)

    assert await other.began() <= 20
    assert await mine[-1].began() == 50


# --- what frees a slot

Way = Callable[[Asked], Awaitable[None]]


async def stop(waiting: Asked) -> None:
    await waiting.talk.stop()


async def force(waiting: Asked) -> None:
    await waiting.talk.stop(InterruptRun(force=True))


async def close(waiting: Asked) -> None:
    talk = waiting.talk
    commands = talk.rooms.host.commands
    await talk.rooms.there(commands.close_session(talk.by, talk.session_id, CloseSession(), None))


async def delete(waiting: Asked) -> None:
    talk = waiting.talk
    await talk.rooms.there(talk.rooms.host.commands.delete_session(talk.by, talk.session_id))


@pytest.mark.parametrize("way", [stop, force, close, delete], ids=lambda way: way.__name__)
@in_virtual_time
async def test_slot_that_becomes_free_in_any_way_is_taken_at_once(rooms: Rooms, way: Way) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=1))
    first, waiting = await ask(rooms, ADA, 1_000), await ask(rooms, BEN, 1)
    await asyncio.sleep(5)
    await way(first)

    assert await waiting.began() == 5


@pytest.mark.parametrize("way", [stop, close, delete], ids=lambda way: way.__name__)
@in_virtual_time
async def test_run_that_waits_for_a_slot_can_be_ended_there_and_never_begins(rooms: Rooms, way: Way) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=1))
    first, waiting, last = [await ask(rooms, ADA, 10) for _ in range(3)]
    assert await live(rooms) == (1, 2)
    await way(waiting)

    assert await live(rooms) == (1, 1)
    assert await last.began() == await first.ended() == 10
    started = [
        entry
        for block in rooms.lane.blocks
        for entry in block.entries
        if isinstance(entry.event, RunStarted) and entry.run_id == waiting.receipt.run_id
    ]
    assert started == []


@in_virtual_time
async def test_claim_that_finds_the_disk_full_is_made_again_once_there_is_space(rooms: Rooms) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=1))
    rooms.lane.delay = 0.1
    first, waiting = await ask(rooms, ADA, 10), await ask(rooms, BEN, 1)
    await first.ended()
    rooms.lane.full = True  # the claim is on its way and finds no space
    await asyncio.sleep(30)
    rooms.lane.full = False
    freed = rooms.loop.time()

    assert freed <= await waiting.began() <= freed + 2


@in_virtual_time
async def test_two_hundred_waiting_runs_begin_together_when_there_is_room(rooms: Rooms) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=0))
    asked = [await ask(rooms, who, 5) for who in (ADA, BEN) for _ in range(100)]
    assert await live(rooms) == (0, 200)
    await rooms.stop()
    await rooms.up(agent(nap), limits=Limits(live_runs=200, live_runs_per_user=100))

    assert {await a.began() for a in asked} == {0}
    assert {await a.ended() for a in asked} == {5}


@in_virtual_time
async def test_stopped_run_keeps_its_slot_until_it_has_ended(rooms: Rooms) -> None:
    async def slow_to_stop(run: RunContext) -> AsyncIterator[Output]:
        yield Text("working ")
        await run.stopped()
        await asyncio.sleep(4)

    await rooms.up(agent(slow_to_stop, name="slow"), agent(nap), limits=Limits(live_runs=1))
    talk = await rooms.open("slow")
    await talk.send()
    waiting = await ask(rooms, BEN, 1)
    await talk.stop()
    assert second((await talk.until(RunInterrupting)).at) == 0

    assert await waiting.began() == 4
