"""The works on Postgres: one host beside the floors of the database, then two and three; hints and takeover.

Everything runs on one machine: hosts, clients and the database share its cores, and the floor has them alone.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import postgres, w1, w3, w6, w7
from benchmarks.client import Stream, arrivals, follow
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import fdatasync_p50
from benchmarks.hosts import Cluster, cluster
from benchmarks.server import Server

BATCH = 100
FLOOR_S = 1.0
DELTA = b'"message.delta"'
RETRIED = b'"run.retried"'
TAKEOVER_S = 40.0


class Size(NamedTuple):
    """How much is done: rounds of W1 on so many hosts; paced sessions at words/s for seconds; killed runs."""

    burst: w1.Size = w1.Size(runs=10, alone=60)
    hosts: tuple[int, ...] = (1, 2, 3)
    sessions: int = 50
    words: int = 300
    step_ms: int = 10
    killed: int = 30
    resumed: w3.Size = w3.Size(cuts=400, journals=(1_000, 100_000), samples=20)
    commands: int = 50
    crash: w7.Size = w7.Size(runs=100, bursts=4)


USUAL = Size()


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures."""
    figures = [*await throughput(folder, rounds, size), *await one_host(folder, rounds, size)]
    async with cluster(folder, 2) as both:
        figures += [*await delivery(both, rounds, size), await takeover(both, size)]
    return figures


# --- W1


class Burst(NamedTuple):
    """Events a second over all hosts, and the floors of the same round."""

    written: float
    alone: w1.Alone
    fenced: float
    copied: float


async def throughput(folder: Path, rounds: int, size: Size) -> list[Figure]:
    """W1 over one host and over several, each round beside what the database does alone."""
    figures: list[Figure] = []
    for count in size.hosts:
        done = await _bursts(folder, count, rounds, size)
        figures += _first_host(done) if count == size.hosts[0] else [_scaled(count, done)]
    return figures


async def _bursts(folder: Path, count: int, rounds: int, size: Size) -> list[Burst]:
    done: list[Burst] = []
    async with cluster(folder, count) as many:
        await asyncio.gather(*(w1.burst(host, size.burst._replace(runs=2)) for host in many.hosts))
        for _ in range(rounds):
            floor = await postgres.floor(many.empty, BATCH, FLOOR_S)
            share = size.burst._replace(sessions=size.burst.sessions // count)
            began = time.perf_counter()
            await asyncio.gather(*(w1.burst(host, share) for host in many.hosts))
            took = time.perf_counter() - began
            events = count * share.sessions * share.runs * (share.deltas + w1.AROUND)
            alone = await w1.alone(many.hosts[0], size.burst) if count == 1 else w1.Alone([], [])
            done.append(Burst(events / took, alone, floor.fenced.per_second, floor.copied.per_second))
    return done


def _first_host(done: Sequence[Burst]) -> list[Figure]:
    written = tuple(each.written for each in done)
    first = [quantile(each.alone.first, 0.5) for each in done]
    delta = [quantile(each.alone.delta, 0.5) for each in done]
    return [
        Figure(
            work="W1 Postgres",
            name="durable and streamed, 1 host",
            unit="events/s",
            values=written,
            floor_of=f"fenced unnest, {BATCH} events a commit",
            floors=tuple(each.fenced for each in done),
            goal=Target(least=100_000, of_floor=0.4),
            bar=Target(least=5_000, of_floor=0.1),
        ),
        Figure(
            work="W1 Postgres",
            name="the same",
            unit="events/s",
            values=written,
            floor_of=f"COPY, {BATCH} events a commit",
            floors=tuple(each.copied for each in done),
        ),
        _milliseconds("W1 Postgres", "first event p50, one session", first),
        _milliseconds("W1 Postgres", "first delta p50, one session", delta),
    ]


def _scaled(count: int, done: Sequence[Burst]) -> Figure:
    return Figure(
        work="W1 Postgres",
        name=f"durable and streamed, {count} hosts",
        unit="events/s",
        values=tuple(each.written for each in done),
        floor_of=f"fenced unnest, {BATCH} events a commit",
        floors=tuple(each.fenced for each in done),
    )


def _milliseconds(work: str, name: str, values: Sequence[float], goal: Target | None = None) -> Figure:
    return Figure(work=work, name=name, unit="ms", values=tuple(values), goal=goal)


# --- W3, W6, W7 on one host


async def one_host(folder: Path, rounds: int, size: Size) -> list[Figure]:
    """Resuming, commands and a crash, on one host."""
    async with cluster(folder, 1) as only:
        figures = await _resuming(only.hosts[0], rounds, size.resumed)
    async with cluster(folder, 1) as only:
        figures += await _commands(folder, only.hosts[0], rounds, size.commands)
    async with cluster(folder, 1, lease_s=2) as only:
        figures += _crash(await w7.crash(only.hosts[0], size.crash, random.Random(rounds)))
    return figures


async def _resuming(server: Server, rounds: int, size: w3.Size) -> list[Figure]:
    resumed = await w3.cuts(server, size, random.Random(rounds))
    faults = resumed.gaps + resumed.repeats + resumed.changed
    figures = [
        Figure(
            work="W3 Postgres",
            name=f"gaps, repeats and changed events in {resumed.cuts:,} random cuts",
            unit="",
            values=(float(faults),),
            goal=Target(most=0),
            bar=Target(most=0),
        )
    ]
    for events in size.journals:
        session_id, head = await w3.journal(server, events)
        again = [await w3.reread(server, session_id, head, size.samples) for _ in range(rounds)]
        first = [quantile(each.start, 0.5) for each in again]
        rates = tuple(each.per_second for each in again)
        name = f"journal of {events:,}"
        figures += [
            _milliseconds("W3 Postgres", f"first byte p50, {name}", first),
            Figure(work="W3 Postgres", name=f"replay, {name}", unit="events/s", values=rates),
        ]
    return figures


async def _commands(folder: Path, server: Server, rounds: int, count: int) -> list[Figure]:
    sync_ms = fdatasync_p50(folder) * 1e3
    sessions = [await server.open() for _ in range(w6.USUAL.active)]
    for session_id in sessions:
        await server.say(session_id, w6.SPEECH)
    hasty = await server.open()
    screen = await follow(server.address, hasty)
    await w6.commands(server, sessions, hasty, screen, w6.USUAL.active)
    done = [await w6.commands(server, sessions, hasty, screen, count) for _ in range(rounds)]

    def figure(name: str, values: Sequence[float]) -> Figure:
        return Figure(
            work="W6 Postgres",
            name=f"{name}, {w6.USUAL.active} runs active",
            unit="ms",
            values=tuple(values),
            floor_of="fdatasync p50",
            floors=(sync_ms,) * len(values),
        )

    return [
        figure("message acknowledged p50", [quantile(e.send, 0.5) for e in done]),
        figure("message acknowledged p99", [quantile(e.send, 0.99) for e in done]),
        figure("steering acknowledged p50", [quantile(e.steer, 0.5) for e in done]),
        figure("interrupt acknowledged p50", [quantile(e.interrupt, 0.5) for e in done]),
        figure("interrupt acknowledged to end at the client p50", [quantile(e.stopped, 0.5) for e in done]),
    ]


def _crash(crash: w7.Crash) -> list[Figure]:
    lost = Figure(
        work="W7 Postgres",
        name=f"events and promises lost of {crash.seen + crash.promised:,} when a host is killed",
        unit="",
        values=(float(crash.lost + crash.broken),),
        goal=Target(most=0),
        bar=Target(most=0),
    )
    return [
        lost,
        _milliseconds("W7 Postgres", "ready again", [crash.ready_ms]),
        _milliseconds("W7 Postgres", f"{crash.open_runs} runs settled, lease of 2 s", [crash.settled_ms]),
    ]


# --- several hosts


async def delivery(both: Cluster, rounds: int, size: Size) -> list[Figure]:
    """How long after a follower on the owner's host one on the other host gets the same event."""
    late = [await _late(both, size) for _ in range(rounds)]
    rate = size.sessions * 1_000 // size.step_ms
    return [
        _milliseconds(
            "many hosts",
            f"owner's commit to a follower on another host p50, {rate:,} events/s",
            [quantile(each, 0.5) for each in late],
            Target(most=10),
        ),
        _milliseconds("many hosts", "the same p99", [quantile(each, 0.99) for each in late]),
    ]


async def _late(both: Cluster, size: Size) -> list[float]:
    owner, other = both.hosts
    sessions = [await owner.open() for _ in range(size.sessions)]
    here = [await follow(owner.address, each, keep=True) for each in sessions]
    there = [await follow(other.address, each, keep=True) for each in sessions]
    for session_id in sessions:
        await owner.say(session_id, f"SLOW {size.words} {size.step_ms}")
    expected = 1 + size.words + w1.AROUND
    await asyncio.gather(*(each.until(expected) for each in (*here, *there)))
    behind: list[float] = []
    for ours, theirs in zip(here, there, strict=True):
        came = _deltas(ours)
        behind += [(at - came[seq]) * 1e3 for seq, at in _deltas(theirs).items()]
        ours.cut()
        theirs.cut()
    return behind


def _deltas(stream: Stream) -> dict[int, float]:
    """When each delta came, by its number."""
    return {each.seq: each.at for each in arrivals(stream.reads) if DELTA in each.envelope}


async def takeover(both: Cluster, size: Size) -> Figure:
    """The owner is killed: how long until each of its runs goes on elsewhere."""
    owner, other = both.hosts
    sessions = [await owner.open() for _ in range(size.killed)]
    screens = [await follow(other.address, each) for each in sessions]
    for session_id, screen in zip(sessions, screens, strict=True):
        screen.look_for(RETRIED)
        await owner.say(session_id, "SLOW 100000 1000")
    killed = time.perf_counter()
    owner.kill()

    async def moved(screen: Stream) -> float:
        await screen.found()
        return time.perf_counter() - killed

    async with asyncio.timeout(TAKEOVER_S):
        took = await asyncio.gather(*(moved(screen) for screen in screens))
    return Figure(
        work="many hosts",
        name=f"host killed to the last of its {size.killed} runs going on elsewhere, lease of 10 s",
        unit="s",
        values=(max(took),),
        goal=Target(most=20),
        bar=Target(most=25),
    )
