"""W6: commands while runs speak: how soon is a command on the disk, and how soon does it take effect?"""

import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import Stream, follow
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import fdatasync_p50
from benchmarks.server import Server, serving

SPEECH = "SLOW 1000000 20"
HASTE = "SLOW 1000000 2"
MURMUR = "SLOW 1000000 1000"
LATER = {"content": "SAY later"}
FINISHED = b'"type":"run.finished"'


class Size(NamedTuple):
    """Runs that speak as models do; commands of each kind in a round; live runs of the crowded round."""

    active: int = 20
    commands: int = 100
    crowd: int = 1_000


USUAL = Size()


class Commands(NamedTuple):
    """Milliseconds: to the acknowledgement of a message, of one that steers, and of an interrupt; and from
    there to the run's end."""

    send: list[float]
    steer: list[float]
    interrupt: list[float]
    stopped: list[float]


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures. The disk is timed before the runs begin to use it."""
    sync_ms = fdatasync_p50(folder) * 1e3
    async with serving(folder) as server:
        sessions = [await server.open() for _ in range(size.active)]
        for session_id in sessions:
            await server.say(session_id, SPEECH)
        hasty = await server.open()
        screen = await follow(server.address, hasty)
        await commands(server, sessions, hasty, screen, size.active)
        done = [await commands(server, sessions, hasty, screen, size.commands) for _ in range(rounds)]
        for session_id in sessions:
            await stop(server, session_id, "withdraw")
        await crowd(server, size.crowd)
        crowded = await sends(server, [await server.open()], size.commands)
        server.kill()
    return _figures(size, done, sync_ms, crowded)


async def commands(server: Server, sessions: list[str], hasty: str, screen: Stream, count: int) -> Commands:
    """Start and stop a run that looks up every 2 ms; then send messages that wait behind the others."""
    interrupts, stopped = list[float](), list[float]()
    for _ in range(count):
        await server.say(hasty, HASTE)
        screen.look_for(FINISHED)
        interrupts.append(await stop(server, hasty))
        acknowledged = time.perf_counter()
        await screen.found()
        stopped.append((time.perf_counter() - acknowledged) * 1e3)
    sent = await sends(server, sessions, count)
    steered = await sends(server, sessions, count, {"content": "faster", "when_busy": "steer"})
    for session_id in sessions:
        await stop(server, session_id, "withdraw")
        await server.say(session_id, SPEECH)
    return Commands(sent, steered, interrupts, stopped)


async def stop(server: Server, session_id: str, waiting: str = "hold") -> float:
    """Interrupt a run; milliseconds to the acknowledgement."""
    path = f"/v1/sessions/{session_id}/interrupt"
    reply = await server.calls.call("POST", path, {"waiting": waiting})
    assert reply.status == 202, reply.body
    return reply.took * 1e3


async def sends(
    server: Server, sessions: list[str], count: int, message: dict[str, str] = LATER
) -> list[float]:
    """Send messages in turn; milliseconds to each acknowledgement."""
    took = list[float]()
    for number in range(count):
        path = f"/v1/sessions/{sessions[number % len(sessions)]}/messages"
        reply = await server.calls.call("POST", path, message)
        assert reply.status == 202, reply.body
        took.append(reply.took * 1e3)
    return took


async def crowd(server: Server, runs: int) -> None:
    """Bring so many runs to life that hardly say a word."""
    for _ in range(runs):
        await server.say(await server.open(), MURMUR)


def _figures(size: Size, done: list[Commands], sync_ms: float, crowded: list[float]) -> list[Figure]:
    def figure(name: str, values: list[float], goal: float | None = None, bar: float | None = None) -> Figure:
        return Figure(
            work="W6",
            name=name,
            unit="ms",
            values=tuple(values),
            floor_of="fdatasync p50",
            floors=(sync_ms,) * len(values),
            goal=None if goal is None else Target(most=goal, syncs=True),
            bar=None if bar is None else Target(most=bar, syncs=True),
        )

    among = f"{size.active} runs active, 50 words/s each"
    return [
        figure(f"message acknowledged p50, {among}", [quantile(e.send, 0.5) for e in done], 0.7, 1.5),
        figure(f"steering acknowledged p50, {among}", [quantile(e.steer, 0.5) for e in done], 0.7, 1.5),
        figure(f"message acknowledged p99, {among}", [quantile(e.send, 0.99) for e in done]),
        figure(f"interrupt acknowledged p50, {among}", [quantile(e.interrupt, 0.5) for e in done], 0.7, 1.5),
        figure(f"interrupt acknowledged p99, {among}", [quantile(e.interrupt, 0.99) for e in done]),
        figure(
            "interrupt acknowledged to end at the client p50, looked up every 2 ms",
            [quantile(e.stopped, 0.5) for e in done],
        ),
        figure(f"message acknowledged p50, {size.crowd:,} live runs", [quantile(crowded, 0.5)]),
    ]
