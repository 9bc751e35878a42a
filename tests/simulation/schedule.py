"""One seed, one schedule: draws the world, lets clients and chaos act, waits for quiet, and judges."""

import asyncio
import random
from contextlib import suppress
from typing import NamedTuple

import msgspec

from tenure.core.command import Answering, DecideApproval
from tenure.core.limits import Limits
from tenure.core.moment import SECOND
from tenure.core.principal import Principal, Role
from tenure.errors import TenureError
from tests.simulation.chaos import chaos, zombie
from tests.simulation.everyone import PENDING, Everyone
from tests.simulation.historians import Historian
from tests.simulation.judge import judge
from tests.simulation.loop import SimLoop
from tests.simulation.people import Client, Reader
from tests.simulation.planners import ROBOT, Planner, rest_all
from tests.simulation.reckoning import keeps_time, reckon
from tests.simulation.world import DESK, ROOT, Life, Unreachable, World

YES = DecideApproval(decision=Answering.APPROVE)
KINDS: dict[str, type[Client]] = {
    "client": Client,
    "historian": Historian,
    "everyone": Everyone,
    "planner": Planner,
}
"""Which people act in a schedule, by the word that replays it."""
QUIET_S = 1_800
IDLE_S = 5
ENDING_S = 100
CATCH_UP_S = 65
HOUR = 3_600 * SECOND
USERS = (
    Principal(tenant="acme", user="ada", role=Role.MEMBER, key_id="key_1"),
    Principal(tenant="acme", user="ben", role=Role.MEMBER, key_id="key_2"),
    Principal(tenant="zeta", user="ada", role=Role.OPERATOR, key_id="key_3"),
)


class Outcome(NamedTuple):
    """What a schedule came to. No fault means that everything promised was kept."""

    faults: list[str]
    log: list[str]
    trace: int
    steps: int
    journals: list[str]


def run(seed: int, kind: type[Client] = Client) -> Outcome:
    """Run the schedule of `seed`. The same seed gives the same outcome, whatever the machine."""
    loop = SimLoop(seed, shuffle=seed % 4 != 0)
    world = World(loop, seed, _limits(seed, kind))
    try:
        loop.run(_live(world, seed, kind))
    except (AssertionError, RuntimeError) as error:
        world.fault(f"{type(error).__name__}: {error}")
    finally:
        world.faults += [f"a callback raised {fault.get('exception')!r}" for fault in loop.faults]
        outcome = Outcome(world.faults, world.log, loop.trace, loop.steps, world.disk.journals())
        loop.close()
        world.close()
    return outcome


def _limits(seed: int, kind: type[Client]) -> Limits:
    draw = random.Random(f"limits {seed}")
    limits = Limits(
        open_sessions=draw.choice((4, 100)),
        open_sessions_per_user=draw.choice((3, 100)),
        live_runs=draw.choice((1, 2, 100)),
        live_runs_per_user=draw.choice((1, 2, 100)),
        queued_messages_per_session=draw.choice((1, 3, 100)),
    )
    if not issubclass(kind, Everyone):
        return limits
    return msgspec.structs.replace(
        limits,
        approval_ttl_s=draw.choice((3, 60, 864_000, 864_000)),
        hold_s=draw.choice((0.5, 900.0, 900.0)),
        held_runs=draw.choice((1, 1_000, 1_000)),
    )


async def _live(world: World, seed: int, kind: type[Client]) -> None:
    draw = random.Random(f"schedule {seed}")
    if kind is Planner:
        world.skew = HOUR
    await world.boot()
    await world.welcome((*USERS, DESK, ROBOT) if issubclass(kind, Everyone) else USERS)
    clients = [kind(world, draw.choice(USERS), number, seed) for number in range(draw.randint(1, 3))]
    _share_sessions(clients, draw)
    acting = [world.loop.spawn(c.name, c.act(draw.randint(4, 14))) for c in clients]
    if seed % 6 == 5:
        await asyncio.gather(*acting)
        await zombie(world, clients, draw)
    else:
        trouble = world.loop.spawn("chaos", chaos(world, draw))
        await asyncio.gather(*acting)
        trouble.cancel()
    if kind is Planner:
        await _let_rest(world)
    await settle_down(world)
    if draw.random() < 0.6:
        await _answer_all(world)
        await settle_down(world)
    await catch_up(world, [reader for client in clients for reader in client.readers])
    await judge(world)
    reckon(world)


def _share_sessions(clients: list[Client], draw: random.Random) -> None:
    """Sometimes all clients work in the same sessions, like one person with several screens."""
    if draw.random() < 0.5:
        shared: list[str] = []
        for client in clients:
            client.sessions = shared


# --- the end of the story


async def _let_rest(world: World) -> None:
    """No more trouble: whatever is due comes, and then every schedule rests."""
    await _put_right(world)
    await asyncio.sleep(CATCH_UP_S)
    await keeps_time(world, await world.living())
    await rest_all(world)


async def _put_right(world: World) -> None:
    world.trap.landmark = None
    if world.life is None or world.life.host.draining:
        world.kill("in the middle of its start or stop")
    await world.boot()


async def settle_down(world: World) -> None:
    """No more trouble: every run must end, and every queue that isn't held must empty itself."""
    await _put_right(world)
    life = await world.living()
    idle = 0
    for _ in range(QUIET_S):
        await asyncio.sleep(1)
        figures = await life.store.figures()
        idle = idle + 1 if figures.queued_runs and not figures.live_runs else 0
        if idle > IDLE_S:
            world.fault(f"{figures.queued_runs} runs wait for a slot though all slots are free")
            return
        at_rest = not figures.live_runs and not figures.queued_runs and not await _soon(life)
        # Runs that wait for people may be held; each of them has some tasks.
        if at_rest and (life.host.executing or life.host.tasks <= 1):
            return
    figures = await life.store.figures()
    world.fault(f"no quiet after {QUIET_S} s: {figures}, {life.host.tasks} tasks of the host")


async def _soon(life: Life) -> bool:
    """Whether an approval expires, or a recall is due, before the story is over."""
    ending = life.host.clock.now() + ENDING_S * SECOND
    nexts = await life.store.approvals.next_at(), await life.store.schedules.next_at()
    return any(at is not None and at < ending for at in nexts)


async def _answer_all(world: World) -> None:
    """Somebody answers whatever is asked, until nothing is."""
    life = await world.living()
    for _ in range(QUIET_S):
        page = await life.store.approvals.page(PENDING, None, 100)
        for found in page.data:
            with suppress(TenureError, Unreachable):  # it may expire at this very moment
                await world.ask(lambda life, i=found.id: life.host.approvals.decide(ROOT, i, YES, None))
        figures = await life.store.figures()
        if not page.data and not figures.live_runs and not figures.queued_runs:
            return
        await asyncio.sleep(1)
    world.fault("runs ask again and again")


async def catch_up(world: World, readers: list[Reader], lag_s: float = 0) -> None:
    """Every reader gets everything, to the last entry; what was written within `lag_s` may be on its way."""
    for reader in readers:
        reader.finishing = True
    await asyncio.sleep(10)
    heads = {reader.session_id: world.disk.head(reader.session_id) for reader in readers}
    if lag_s:
        await asyncio.sleep(lag_s)
    for reader in readers:
        head = heads[reader.session_id]
        if head is None and not reader.done:
            world.fault(f"a reader was never told that {reader.session_id} is deleted")
        elif head is not None and reader.at < head:
            world.fault(f"a reader of {reader.session_id} stopped at {reader.at} of {head}")
        if reader.task is not None:
            reader.task.cancel()
    await asyncio.sleep(1)
