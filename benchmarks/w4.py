"""W4: sessions that do nothing cost nothing: no task, no CPU, next to no memory; and they wake at once."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import Caller, say_request, stream
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import fdatasync_p50
from benchmarks.machine import NOTE
from benchmarks.server import Named, Server, serving

COMMAND = (sys.executable, "-m", "benchmarks.watched")
OPENERS = 8
READINGS = 50


class Size(NamedTuple):
    """How many idle sessions there are at each stage; seconds of watching; sessions that are woken."""

    stages: tuple[int, ...] = (1_000, 10_000, 50_000)
    seconds: float = 5.0
    woken: int = 200


USUAL = Size()


class Idle(NamedTuple):
    """A server whose sessions all do nothing: bytes of memory, tasks, CPU in percent of a core."""

    sessions: int
    resident: int
    tasks: int


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures. There is one round: the sessions stay where they are."""
    os.environ[NOTE] = str(folder / f"tenure-bench-tasks-{os.getpid()}")
    async with serving(folder, COMMAND) as server:
        await wake(server, await opened(server, 50), 50)
        busy = await cpu_share(server, size.seconds)
        stages = [Idle(0, server.resident(), await tasks(server))]
        sessions: list[str] = []
        for stage in size.stages:
            sessions += await opened(server, stage - len(sessions))
            stages.append(Idle(stage, server.resident(), await tasks(server)))
        busy = await cpu_share(server, size.seconds) - busy
        sync_ms = fdatasync_p50(folder) * 1e3
        woken = await wake(server, sessions, size.woken)
        after = Idle(len(sessions), server.resident(), await tasks(server))
    return [*_cost([*stages, after], busy), *_wake(woken, len(sessions), sync_ms)]


async def opened(server: Server, count: int) -> list[str]:
    """Open so many sessions, over a few connections at once."""
    openers = [Caller(server.address) for _ in range(OPENERS)]
    shares = [count // OPENERS + (number < count % OPENERS) for number in range(OPENERS)]
    made = await asyncio.gather(*map(_open, openers, shares))
    for opener in openers:
        opener.close()
    return [session_id for share in made for session_id in share]


async def _open(opener: Caller, count: int) -> list[str]:
    ask = {"agent": "scripted"}
    return [(await opener.call("POST", "/v1/sessions", ask)).read(Named).id for _ in range(count)]


async def cpu_share(server: Server, seconds: float) -> float:
    """Percent of a core that the server uses while nobody asks anything."""
    before = server.cpu()
    await asyncio.sleep(seconds)
    return (server.cpu() - before) / seconds * 100


async def tasks(server: Server) -> int:
    """How many tasks the server's loop has once it has tidied the last connections away."""
    return min([await _tasks(server) for _ in range(READINGS)])


async def _tasks(server: Server) -> int:
    os.kill(server.process.pid, signal.SIGUSR2)
    for _ in range(1_000):
        counted = _noted(Path(os.environ[NOTE]))
        if counted is not None:
            return counted
        await asyncio.sleep(0.01)
    raise TimeoutError("the server didn't tell how many tasks it has")


def _noted(note: Path) -> int | None:
    if not note.exists():
        return None
    counted = int(note.read_text())
    note.unlink()
    return counted


async def wake(server: Server, sessions: list[str], count: int) -> list[float]:
    """Milliseconds from a message to its first durable event, in sessions that slept."""
    answer = await stream(server.address)
    took = list[float]()
    for session_id in random.Random(count).sample(sessions, min(count, len(sessions))):
        answer.send(say_request(server.address, session_id, "SAY awake"))
        await answer.whole()
        took.append((answer.first_at - answer.sent) * 1e3)
    answer.cut()
    return took


def _cost(stages: list[Idle], busy: float) -> list[Figure]:
    empty, last = stages[0], stages[-1]
    zero = Target(most=0)
    memory = [
        Figure(
            work="W4",
            name=f"memory for each of {stage.sessions:,} idle sessions",
            unit="bytes",
            values=((stage.resident - empty.resident) / stage.sessions,),
            goal=Target(most=200) if stage is stages[-2] else None,
        )
        for stage in stages[1:-1]
    ]
    return [
        Figure(
            work="W4",
            name=f"tasks more than on an empty server, {last.sessions:,} idle sessions",
            unit="",
            values=(float(max(stage.tasks for stage in stages[1:]) - empty.tasks),),
            goal=zero,
            bar=zero,
        ),
        *memory,
        Figure(
            work="W4",
            name=f"CPU more than on an empty server, {last.sessions:,} idle sessions",
            unit="% of a core",
            values=(max(0.0, round(busy, 1)),),
            goal=zero,
        ),
    ]


def _wake(woken: list[float], sessions: int, sync_ms: float) -> list[Figure]:
    def figure(share: float, goal: float | None) -> Figure:
        return Figure(
            work="W4",
            name=f"message to first durable event p{share * 100:.0f}, waking one of {sessions:,}",
            unit="ms",
            values=(quantile(woken, share),),
            floor_of="fdatasync p50",
            floors=(sync_ms,),
            goal=None if goal is None else Target(most=goal, syncs=True),
        )

    return [figure(0.5, 1.5), figure(0.99, None)]
