"""W1p: many runs at once, each paced as a model speaks; how late is an event when the client has it?"""

import asyncio
import re
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import Stream, arrivals, say_request, stream
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import fdatasync_p50
from benchmarks.server import Server, serving
from benchmarks.w1 import AROUND
from tenure.core.moment import micros

STEP_MS = 20
RAMP_S = 0.0023
"""Between two starts, so that runs don't all speak in the same instant of their 20 ms."""
DELTA = re.compile(rb'"at":"([^"]+)","type":"message.delta"')


class Size(NamedTuple):
    """How many runs there are at once, and how many words each says."""

    runs: tuple[int, ...] = (100, 500)
    words: int = 150


USUAL = Size()


class Paced(NamedTuple):
    """Milliseconds from the host's accepting an output to the client's having it, and what it cost."""

    late: list[float]
    cpu_us: float
    share: float


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures."""
    async with serving(folder) as server:
        await paced(server, max(1, size.runs[0] // 5), max(2, size.words // 5))
        figures: list[Figure] = []
        for runs in size.runs:
            syncs = list[float]()
            done = list[Paced]()
            for _ in range(rounds):
                syncs.append(fdatasync_p50(folder) * 1e3)
                done.append(await paced(server, runs, size.words))
            figures += _figures(runs, done, syncs)
        return figures


async def paced(server: Server, runs: int, words: int) -> Paced:
    """Let `runs` sessions speak at once, two words or more, each heard on a connection of its own."""
    sessions = [await server.open() for _ in range(runs)]
    streams = [await stream(server.address, keep=True) for _ in sessions]
    cpu = server.cpu()
    for session_id, answer in zip(sessions, streams, strict=True):
        answer.send(say_request(server.address, session_id, f"SLOW {words} {STEP_MS}"))
        await asyncio.sleep(RAMP_S)
    await asyncio.gather(*(answer.whole() for answer in streams))
    cpu = server.cpu() - cpu
    events = sum(answer.count for answer in streams)
    assert events == runs * (words + AROUND), f"{events} events came"
    late = [each for answer in streams for each in lateness(answer)]
    assert len(late) == runs * words, f"{len(late)} deltas came"
    spans = [answer.last_at - answer.delta_at for answer in streams]
    for answer in streams:
        answer.cut()
    return Paced(late, cpu / events * 1e6, (words - 1) * STEP_MS / 1e3 / quantile(spans, 0.5))


def lateness(answer: Stream) -> list[float]:
    """How many milliseconds after its `at` each delta came. Both clocks are this machine's."""
    found = ((each.at, DELTA.search(each.envelope)) for each in arrivals(answer.reads))
    return [at * 1e3 - micros(delta[1].decode()) / 1e3 for at, delta in found if delta is not None]


def _figures(runs: int, done: list[Paced], syncs: list[float]) -> list[Figure]:
    is_goal = runs == 500
    name = f"{runs} runs × {1000 // STEP_MS}/s"

    def late(share: float, goal: float) -> Figure:
        return Figure(
            work="W1p",
            name=f"emit to client p{share * 100:.0f}, {name}",
            unit="ms",
            values=tuple(quantile(each.late, share) for each in done),
            floor_of="fdatasync p50",
            floors=tuple(syncs),
            goal=Target(most=goal, syncs=True) if is_goal else None,
        )

    return [
        late(0.5, 5),
        late(0.99, 25),
        Figure(
            work="W1p",
            name=f"server's CPU for an event, {name}",
            unit="µs",
            values=tuple(each.cpu_us for each in done),
        ),
        Figure(
            work="W1p",
            name=f"pace that was kept, {name}",
            unit="",
            values=tuple(each.share for each in done),
        ),
    ]
