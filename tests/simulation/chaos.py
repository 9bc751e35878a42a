"""What goes wrong in simulation: kills at landmarks and at random, stops, full disks, frozen hosts."""

import asyncio
import random

from tenure.ports.landmarks import Landmark
from tests.simulation.people import Client
from tests.simulation.world import World

AFTERLIFE_S = 15


async def chaos(world: World, draw: random.Random) -> None:
    """Trouble at drawn moments, until it is cancelled. Some worlds are spared."""
    if draw.random() < 0.1:
        return
    while True:
        await asyncio.sleep(draw.choice((0.01, 0.2, 0.5, 1.0, 4.0)))
        trouble = draw.random()
        if trouble < 0.45:
            await _trap(world, draw)
        elif trouble < 0.6:
            world.kill("at random")
        elif trouble < 0.75:
            await world.stop()
        elif trouble < 0.9:
            await _fill_disk(world, draw)
        if world.life is None:
            await asyncio.sleep(draw.choice((0, 0.1, 5.0)))
            await world.boot()


async def _trap(world: World, draw: random.Random) -> None:
    """Kill the host at a landmark. Rare ones are passed at the next boot, so that comes first."""
    landmark = draw.choice(tuple(Landmark))
    if landmark in (Landmark.REAP_BEFORE, Landmark.REAP_AFTER):
        world.kill("to be killed again in its recovery")
    world.trap.landmark = landmark
    world.trap.countdown = draw.choice((1, 1, 2, 5))
    if world.life is None:
        await world.boot()
    await asyncio.sleep(draw.choice((0.5, 3.0)))


async def _fill_disk(world: World, draw: random.Random) -> None:
    world.say("disk full")
    world.disk.fill()
    try:
        await asyncio.sleep(draw.choice((0.1, 2.0, 20.0)))
    finally:
        world.say("disk free")
        world.disk.free()
        world.times_full += 1


async def zombie(world: World, clients: list[Client], draw: random.Random) -> None:
    """Freeze the host while it runs things, let another one take over, then let it go on.

    The lock file keeps this from happening on one machine; the fence must hold all the same. Commands
    reach the new host only, and the zombie is dead before its recovery would look around.
    """
    await world.restart("for the scene")
    for client in clients:
        await client.act(1)
        if client.sessions:
            await client.burst()
    await asyncio.sleep(draw.choice((0.0, 0.01, 0.2, 1.0)))
    frozen = await world.freeze()
    await world.boot()
    for client in clients:
        await client.act(draw.randint(0, 3))
    await asyncio.sleep(draw.choice((0.0, 0.5, 3.0)))
    world.thaw(frozen)
    for client in clients:
        await client.act(draw.randint(0, 3))
    await asyncio.sleep(AFTERLIFE_S)
    world.bury(frozen)
    # What the zombie noted, no hint told the new host of; its readers connect anew.
    await world.restart("after the scene")
