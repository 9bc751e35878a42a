"""W2: one run, many subscribers: what a delivery costs when everybody watches."""

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import Stream, follow
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import FanOut, fan_out
from benchmarks.server import Server, serving
from benchmarks.w1 import AROUND
from benchmarks.w1p import lateness

WITNESSES = 5
"""How many subscribers keep what they read, to tell how late it came."""


class Size(NamedTuple):
    """Subscribers; deltas of the burst; deltas of the paced run and the milliseconds between them."""

    subscribers: int = 200
    burst: int = 2_000
    paced: int = 800
    step_ms: int = 2


USUAL = Size()


class Watched(NamedTuple):
    """Deliveries a second, the server's CPU for each in µs, and how late the witnesses got theirs in ms."""

    per_second: float
    cpu_us: float
    late: list[float]


class Round(NamedTuple):
    """One round with its floors: 64 frames in a write for the burst, one for the paced run."""

    burst: Watched
    paced: Watched
    joined: FanOut
    single: FanOut


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures."""
    done: list[Round] = []
    async with serving(folder) as server:
        await watched(server, size.subscribers, 100, "BURST 100")
        for _ in range(rounds):
            joined = await fan_out(size.subscribers, size.burst, 64)
            single = await fan_out(size.subscribers, min(size.paced, 500), 1)
            burst = await watched(server, size.subscribers, size.burst, f"BURST {size.burst}")
            slow = f"SLOW {size.paced} {size.step_ms}"
            paced = await watched(server, size.subscribers, size.paced, slow)
            done.append(Round(burst, paced, joined, single))
    return [*_burst(done, size), *_paced(done, size)]


async def watched(server: Server, subscribers: int, deltas: int, text: str) -> Watched:
    """Let one run speak to `subscribers` that have all caught up before."""
    session_id = await server.open()
    streams = [
        await follow(server.address, session_id, 1, keep=number < WITNESSES) for number in range(subscribers)
    ]
    await asyncio.gather(*(each.found() for each in streams))
    events = deltas + AROUND
    cpu, began = server.cpu(), time.perf_counter()
    await server.say(session_id, text)
    await asyncio.gather(*(each.until(events) for each in streams))
    took, cpu = max(each.last_at for each in streams) - began, server.cpu() - cpu
    assert all(each.count == events for each in streams)
    late = [each for witness in streams[:WITNESSES] for each in lateness(witness)]
    _leave(streams)
    deliveries = subscribers * events
    return Watched(deliveries / took, cpu / deliveries * 1e6, late)


def _leave(streams: list[Stream]) -> None:
    for each in streams:
        each.cut()


def _burst(done: list[Round], size: Size) -> list[Figure]:
    name = f"burst of {size.burst:,}, {size.subscribers} subscribers"
    return [
        Figure(
            work="W2",
            name=name,
            unit="deliveries/s",
            values=tuple(each.burst.per_second for each in done),
            floor_of="raw writes of 64 frames",
            floors=tuple(each.joined.per_second for each in done),
            goal=Target(least=1_500_000),
        ),
        Figure(
            work="W2",
            name="server's CPU for a delivery, the same",
            unit="µs",
            values=tuple(each.burst.cpu_us for each in done),
            floor_of="the same writes",
            floors=tuple(each.joined.cpu * 1e6 for each in done),
        ),
    ]


def _paced(done: list[Round], size: Size) -> list[Figure]:
    offered = size.subscribers * 1000 // size.step_ms
    name = f"paced, {offered:,}/s offered"
    return [
        Figure(
            work="W2",
            name=name,
            unit="deliveries/s",
            values=tuple(each.paced.per_second for each in done),
            floor_of="raw writes of 1 frame",
            floors=tuple(each.single.per_second for each in done),
            goal=Target(least=offered * 0.97),
        ),
        Figure(
            work="W2",
            name="server's CPU for a delivery, paced",
            unit="µs",
            values=tuple(each.paced.cpu_us for each in done),
            floor_of="the same writes",
            floors=tuple(each.single.cpu * 1e6 for each in done),
            goal=Target(most=2),
        ),
        Figure(
            work="W2",
            name="emit to client p50, paced",
            unit="ms",
            values=tuple(quantile(each.paced.late, 0.5) for each in done),
        ),
    ]
