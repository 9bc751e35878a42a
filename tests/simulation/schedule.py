"""One seed, one schedule: draws the world, lets clients and chaos act, waits for quiet, and judges."""

import asyncio
import random
from typing import NamedTuple

from tenure.core.limits import Limits
from tenure.core.principal import Principal, Role
from tests.simulation.chaos import chaos, zombie
from tests.simulation.judge import judge
from tests.simulation.loop import SimLoop
from tests.simulation.people import Client, Reader
from tests.simulation.world import World

QUIET_S = 900
IDLE_S = 5
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


def run(seed: int) -> Outcome:
    """Run the schedule of `seed`. The same seed gives the same outcome, whatever the machine."""
    loop = SimLoop(seed, shuffle=seed % 4 != 0)
    world = World(loop, seed, _limits(seed))
    try:
        loop.run(_live(world, seed))
    except (AssertionError, RuntimeError) as error:
        world.fault(f"{type(error).__name__}: {error}")
    finally:
        world.faults += [f"a callback raised {fault.get('exception')!r}" for fault in loop.faults]
        outcome = Outcome(world.faults, world.log, loop.trace, loop.steps, world.disk.journals())
        loop.close()
        world.close()
    return outcome


def _limits(seed: int) -> Limits:
    draw = random.Random(f"limits {seed}")
    return Limits(
        open_sessions=draw.choice((4, 100)),
        open_sessions_per_user=draw.choice((3, 100)),
        live_runs=draw.choice((1, 2, 100)),
        live_runs_per_user=draw.choice((1, 2, 100)),
        queued_messages_per_session=draw.choice((1, 3, 100)),
    )


async def _live(world: World, seed: int) -> None:
    draw = random.Random(f"schedule {seed}")
    await world.boot()
    await world.welcome(USERS)
    clients = [Client(world, draw.choice(USERS), number, seed) for number in range(draw.randint(1, 3))]
    _share_sessions(clients, draw)
    acting = [world.loop.spawn(c.name, c.act(draw.randint(4, 14))) for c in clients]
    if seed % 6 == 5:
        await asyncio.gather(*acting)
        await zombie(world, clients, draw)
    else:
        trouble = world.loop.spawn("chaos", chaos(world, draw))
        await asyncio.gather(*acting)
        trouble.cancel()
    await _settle_down(world)
    await _catch_up(world, [reader for client in clients for reader in client.readers])
    await judge(world)


def _share_sessions(clients: list[Client], draw: random.Random) -> None:
    """Sometimes all clients work in the same sessions, like one person with several screens."""
    if draw.random() < 0.5:
        shared: list[str] = []
        for client in clients:
            client.sessions = shared


# --- the end of the story


async def _settle_down(world: World) -> None:
    """No more trouble: every run must end, and every queue that isn't held must empty itself."""
    world.trap.landmark = None
    if world.life is None or world.life.host.draining:
        world.kill("in the middle of its start or stop")
    await world.boot()
    life = await world.living()
    idle = 0
    for _ in range(QUIET_S):
        await asyncio.sleep(1)
        figures = await life.store.figures()
        idle = idle + 1 if figures.queued_runs and not figures.live_runs else 0
        if idle > IDLE_S:
            world.fault(f"{figures.queued_runs} runs wait for a slot though all slots are free")
            return
        if not figures.live_runs and not figures.queued_runs and life.host.tasks <= 1:
            return
    figures = await life.store.figures()
    world.fault(f"no quiet after {QUIET_S} s: {figures}, {life.host.tasks} tasks of the host")


async def _catch_up(world: World, readers: list[Reader]) -> None:
    """Every reader gets everything, to the last entry."""
    for reader in readers:
        reader.finishing = True
    await asyncio.sleep(10)
    for reader in readers:
        head = world.disk.head(reader.session_id)
        if head is None and not reader.done:
            world.fault(f"a reader was never told that {reader.session_id} is deleted")
        elif head is not None and reader.at < head:
            world.fault(f"a reader of {reader.session_id} stopped at {reader.at} of {head}")
        if reader.task is not None:
            reader.task.cancel()
    await asyncio.sleep(1)
