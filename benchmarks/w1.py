"""W1: many sessions run as fast as they can; every event is durable, and streamed to who asked.

A message asks the scripted agent for a burst of deltas; the streaming answer carries every journaled
event of the run: the message, the start, the deltas, the completed message and the end.
"""

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import Stream, say_request, stream
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import Batch, batch, fdatasync_p50
from benchmarks.server import Server, serving

AROUND = 4
"""Events of a run besides its deltas: message.admitted, run.started, message.completed, run.finished."""


class Size(NamedTuple):
    """How much is done in a round: `runs` in each session, one after another, and `alone` in a single one."""

    sessions: int = 20
    runs: int = 50
    deltas: int = 100
    alone: int = 150
    floor: int = 60_000


USUAL = Size()


class Burst(NamedTuple):
    """All sessions at once."""

    events_per_second: float
    runs_per_second: float
    cpu_us: float


class Alone(NamedTuple):
    """One session at a time: milliseconds from the request to the first event and the first delta."""

    first: list[float]
    delta: list[float]


class Round(NamedTuple):
    """One round with its floors."""

    burst: Burst
    alone: Alone
    floor: Batch
    sync_ms: float


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures."""
    done: list[Round] = []
    async with serving(folder) as server:
        await burst(server, size._replace(runs=max(1, size.runs // 5)))
        for _ in range(rounds):
            floor, sync_ms = batch(folder, size.floor), fdatasync_p50(folder) * 1e3
            done.append(Round(await burst(server, size), await alone(server, size), floor, sync_ms))
    return [*_throughput(done, size), *_latency(done)]


async def burst(server: Server, size: Size) -> Burst:
    """Run all sessions at once, each on a connection of its own, and count what came."""
    sessions = [await server.open() for _ in range(size.sessions)]
    streams = [await stream(server.address) for _ in sessions]
    cpu, began = server.cpu(), time.perf_counter()
    await asyncio.gather(*(_talk(server, *pair, size) for pair in zip(sessions, streams, strict=True)))
    took, cpu = time.perf_counter() - began, server.cpu() - cpu
    await _counted(server, sessions, size)
    for each in streams:
        each.cut()
    runs = size.sessions * size.runs
    events = runs * (size.deltas + AROUND)
    return Burst(events / took, runs / took, cpu / events * 1e6)


async def _talk(server: Server, session_id: str, answer: Stream, size: Size) -> None:
    request = say_request(server.address, session_id, f"BURST {size.deltas}")
    for _ in range(size.runs):
        answer.send(request)
        await answer.whole()
        assert answer.count == size.deltas + AROUND, f"{answer.count} frames in {session_id}"


async def _counted(server: Server, sessions: list[str], size: Size) -> None:
    """Make sure that what was streamed is what the journal holds; a session's first event is its own."""
    expected = 1 + size.runs * (size.deltas + AROUND)
    for session_id in sessions:
        head = await server.head(session_id)
        assert head == expected, f"{session_id} has {head} events, not {expected}"


async def alone(server: Server, size: Size) -> Alone:
    """One message after another in one session, nothing else going on."""
    session_id, answer = await server.open(), await stream(server.address)
    request = say_request(server.address, session_id, f"BURST {size.deltas}")
    first, delta = list[float](), list[float]()
    for _ in range(size.alone):
        answer.send(request)
        await answer.whole()
        first.append((answer.first_at - answer.sent) * 1e3)
        delta.append((answer.delta_at - answer.sent) * 1e3)
    answer.cut()
    return Alone(first, delta)


def _throughput(done: list[Round], size: Size) -> list[Figure]:
    name = f"durable and streamed, {size.sessions} sessions × {size.deltas} deltas"
    return [
        Figure(
            work="W1",
            name=name,
            unit="events/s",
            values=tuple(each.burst.events_per_second for each in done),
            floor_of="SQLite batch",
            floors=tuple(each.floor.written for each in done),
            goal=Target(least=100_000, of_floor=0.4),
            bar=Target(least=40_000, of_floor=0.25),
        ),
        Figure(
            work="W1",
            name="runs, the same",
            unit="runs/s",
            values=tuple(each.burst.runs_per_second for each in done),
        ),
        Figure(
            work="W1",
            name="server's CPU for an event, the same",
            unit="µs",
            values=tuple(each.burst.cpu_us for each in done),
            goal=Target(most=10),
        ),
    ]


def _latency(done: list[Round]) -> list[Figure]:
    syncs = tuple(each.sync_ms for each in done)

    def figure(name: str, values: list[float], goal: float | None, bar: float | None) -> Figure:
        return Figure(
            work="W1",
            name=f"{name}, one session",
            unit="ms",
            values=tuple(values),
            floor_of="fdatasync p50",
            floors=syncs,
            goal=None if goal is None else Target(most=goal, syncs=True),
            bar=None if bar is None else Target(most=bar, syncs=True),
        )

    return [
        figure("first event p50", [quantile(each.alone.first, 0.5) for each in done], 1.5, 3),
        figure("first event p99", [quantile(each.alone.first, 0.99) for each in done], None, None),
        figure("first delta p50", [quantile(each.alone.delta, 0.5) for each in done], 2.5, None),
        figure("first delta p99", [quantile(each.alone.delta, 0.99) for each in done], None, None),
    ]
