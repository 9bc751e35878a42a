"""W7: kill -9 in the middle of everything; what a client saw or was promised must be there afterwards."""

import asyncio
import random
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.client import Caller, Stream, arrivals, follow, say_request, stream
from benchmarks.figures import Figure, Target
from benchmarks.server import Head, Server, serving
from benchmarks.w1 import AROUND
from tenure.core.moment import micros

LOUD = 20
ROUNDS = 3
NEVER = 0.0
AGAIN = {"run.retried", "run.finished"}


class Size(NamedTuple):
    """Paced runs and milliseconds between their words; bursting sessions; senders; seconds of load."""

    runs: int = 1_000
    step_ms: int = 1_000
    bursts: int = 20
    senders: int = 4
    load_s: float = 2.0


USUAL = Size()


class Promise(NamedTuple):
    """A message that was acknowledged: where, as what, under which number."""

    session_id: str
    message_id: str
    seq: int


class Receipt(msgspec.Struct):
    """The part of a receipt that is a promise."""

    message_id: str
    seq: int


class Named(msgspec.Struct):
    """The part of an event's data that names a message."""

    message_id: str | None = None


class Outer(msgspec.Struct):
    """The part of an event that W7 looks at."""

    seq: int
    at: str
    type: str
    run_id: str | None
    data: Named


class Seen(NamedTuple):
    """All that clients held when the server died: events by session and number, and promises."""

    events: dict[str, dict[int, bytes]]
    promises: list[Promise]


class Crash(NamedTuple):
    """What became of it."""

    seen: int
    lost: int
    promised: int
    broken: int
    ready_ms: float
    open_runs: int
    left_open: int
    settled_ms: float


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures, each round with a fresh server that is killed."""
    done: list[Crash] = []
    for number in range(min(rounds, ROUNDS)):
        async with serving(folder) as server:
            done.append(await crash(server, size, random.Random(number)))
            server.kill()
    return _figures(size, done)


async def crash(server: Server, size: Size, dice: random.Random) -> Crash:
    """Load the server, kill it, start it again, and compare."""
    seen = await _until_killed(server, size, dice)
    ready_ms = await server.start() * 1e3
    ready_at = time.time()
    journals = {session_id: await _journal(server, session_id) for session_id in seen.events}
    lost = sum(
        journals[session_id].get(seq) != envelope
        for session_id, events in seen.events.items()
        for seq, envelope in events.items()
    )
    broken = sum(not kept(journals[promise.session_id], promise) for promise in seen.promises)
    settled = [await _settled_at(server, *each, journals[each[0]]) for each in seen.events.items()]
    opened = [at for at in settled if at is not None]
    return Crash(
        seen=sum(map(len, seen.events.values())),
        lost=lost,
        promised=len(seen.promises),
        broken=broken,
        ready_ms=ready_ms,
        open_runs=len(opened),
        left_open=sum(at == NEVER for at in opened),
        settled_ms=max(0.0, (max(opened, default=0) - ready_at) * 1e3),
    )


async def _until_killed(server: Server, size: Size, dice: random.Random) -> Seen:
    """Load the server until it is killed; what its clients held then."""
    paced = [await server.open() for _ in range(size.runs)]
    screens = {each: await follow(server.address, each, keep=True) for each in paced}
    for session_id in paced:
        await server.say(session_id, f"SLOW 1000000 {size.step_ms}")
    loud = [await server.open() for _ in range(size.bursts)]
    answers = {each: await stream(server.address, keep=True) for each in loud}
    promises: list[Promise] = []
    senders = [Caller(server.address) for _ in range(size.senders)]
    others = [
        *(asyncio.create_task(_burst(server, *pair)) for pair in answers.items()),
        *(asyncio.create_task(_send(calls, paced, promises, dice)) for calls in senders),
    ]
    await asyncio.sleep(size.load_s * dice.uniform(0.7, 1.3))
    server.kill()
    await asyncio.gather(*others)
    await asyncio.gather(*(each.whole() for each in [*screens.values(), *answers.values()]))
    return Seen({**_held(screens), **_held(answers)}, promises)


def _held(streams: dict[str, Stream]) -> dict[str, dict[int, bytes]]:
    return {
        session_id: {each.seq: each.envelope for each in arrivals(held.reads)}
        for session_id, held in streams.items()
    }


async def _burst(server: Server, session_id: str, answer: Stream) -> None:
    """One run after another, until the server dies."""
    request = say_request(server.address, session_id, "BURST 100")
    while True:
        answer.send(request)
        await answer.whole()
        if answer.count < 100 + AROUND:
            return


async def _send(calls: Caller, sessions: list[str], promises: list[Promise], dice: random.Random) -> None:
    """One message after another behind runs that are busy, until the server dies."""
    try:
        while True:
            session_id = dice.choice(sessions)
            path = f"/v1/sessions/{session_id}/messages"
            receipt = (await calls.call("POST", path, {"content": "SAY later"})).read(Receipt)
            promises.append(Promise(session_id, receipt.message_id, receipt.seq))
            await asyncio.sleep(0.005)
    except OSError:
        calls.close()


async def _journal(server: Server, session_id: str) -> dict[int, bytes]:
    """All events of a session as they stand now."""
    reply = await server.calls.call("GET", f"/v1/sessions/{session_id}")
    head = reply.read(Head).head_seq
    following = await follow(server.address, session_id, keep=True)
    await following.until(head)
    following.cut()
    return {each.seq: each.envelope for each in arrivals(following.reads)}


def kept(journal: dict[int, bytes], promise: Promise) -> bool:
    """Whether an acknowledged message stands where its receipt said."""
    envelope = journal.get(promise.seq)
    if envelope is None:
        return False
    outer = msgspec.json.decode(envelope, type=Outer)
    return (outer.type, outer.data.message_id) == ("message.admitted", promise.message_id)


async def _settled_at(
    server: Server, session_id: str, before: dict[int, bytes], after: dict[int, bytes]
) -> float | None:
    """As `_settled`; where neither has happened yet, wait for it for some seconds."""
    for _ in range(100):
        settled = _settled(before, after)
        if settled != NEVER:
            return settled
        await asyncio.sleep(0.05)
        after = await _journal(server, session_id)
    return NEVER


def _settled(before: dict[int, bytes], after: dict[int, bytes]) -> float | None:
    """When the run that was open at the kill went on or ended, in wall time; `NEVER` if it did neither.

    None if no run was open.
    """
    events = [msgspec.json.decode(after[seq], type=Outer) for seq in sorted(after)]
    known = max(before, default=0)
    live: str | None = None
    for event in events:
        if event.seq > known and live is not None and event.run_id == live and event.type in AGAIN:
            return micros(event.at) / 1e6
        if event.type == "run.started":
            live = event.run_id
        elif event.type == "run.finished":
            live = None
    return None if live is None else NEVER


def _figures(size: Size, done: list[Crash]) -> list[Figure]:
    def figure(name: str, unit: str, values: list[float], most: float | None = None) -> Figure:
        target = None if most is None else Target(most=most)
        must = target if most == 0 else None
        return Figure(work="W7", name=name, unit=unit, values=tuple(values), goal=target, bar=must)

    seen, promised = min(each.seen for each in done), min(each.promised for each in done)
    opened = min(each.open_runs for each in done)
    return [
        figure(f"events lost of ≥ {seen:,} that clients had seen", "", [e.lost for e in done], 0),
        figure(f"messages lost of ≥ {promised:,} acknowledged", "", [e.broken for e in done], 0),
        figure(f"runs left open of ≥ {opened:,}", "", [e.left_open for e in done], 0),
        figure("start to ready", "ms", [e.ready_ms for e in done], 500),
        figure("ready to the last run resumed or settled", "ms", [e.settled_ms for e in done], 300),
    ]
