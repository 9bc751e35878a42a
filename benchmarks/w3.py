"""W3: a screen that loses its connection at any byte comes back exactly where it was.

However long the journal is: the first event of a replay comes as soon from a long one as from a short.
"""

import asyncio
import random
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import Arrival, Stream, arrivals, follow, say_request, stream
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import batch
from benchmarks.server import Server, serving
from benchmarks.w1 import AROUND


class Size(NamedTuple):
    """Cuts in all and sessions that share them; events of each; the journals that are read again."""

    cuts: int = 2_000
    sessions: int = 40
    words: int = 500
    burst: int = 300
    journals: tuple[int, ...] = (1_000, 10_000, 100_000)
    samples: int = 30
    floor: int = 60_000


USUAL = Size()


class Resumed(NamedTuple):
    """What cuts did to the sequence that a client saw."""

    cuts: int
    gaps: int
    repeats: int
    changed: int


class Again(NamedTuple):
    """A journal read again: milliseconds to the first event, from its start and near its end; events/s."""

    start: list[float]
    tail: list[float]
    per_second: float


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures. The cuts are made once, the readings once a round."""
    async with serving(folder) as server:
        resumed = await cuts(server, size, random.Random(rounds))
        journals = [await journal(server, events) for events in size.journals]
        reads = [batch(folder, size.floor).read for _ in range(rounds)]
        again = [
            [await reread(server, session_id, events, size.samples) for _ in range(rounds)]
            for session_id, events in journals
        ]
    heads = [events for _, events in journals]
    return [*_resumed(resumed), *_first_byte(heads, again), _replay(heads[-1], again[-1], reads)]


async def cuts(server: Server, size: Size, dice: random.Random) -> Resumed:
    """Follow sessions whose runs speak, cutting the connection at random bytes, until all was read."""
    each = -(-size.cuts // size.sessions)
    done = await asyncio.gather(*(_flaky(server, size, each, dice) for _ in range(size.sessions)))
    return Resumed(*(sum(column) for column in zip(*done, strict=True)))


async def _flaky(server: Server, size: Size, wanted: int, dice: random.Random) -> Resumed:
    """One session: live cuts while its run speaks, then cuts in replays from random cursors."""
    session_id = await server.open()
    text = f"SLOW {size.words} 2\nBURST {size.burst}\nSLOW {size.words} 2"
    expected = 1 + size.words * 2 + size.burst + AROUND
    await server.say(session_id, text)
    seen: list[Arrival] = []
    made = missed = again = 0
    while (last := seen[-1].seq if seen else 0) < expected:
        stride = dice.randint(1, max(1, 2 * expected // wanted))
        more = await _until_cut(server, session_id, last, min(stride, expected - last), dice)
        missed, again = missed + gaps(last, more), again + repeats(last, more)
        seen += more
        made += 1
    assert await server.head(session_id) == expected
    truth = await _whole(server, session_id, expected)
    different = changed(truth, seen)
    while made < wanted:
        last = dice.randrange(expected)
        more = await _until_cut(server, session_id, last, dice.randint(1, expected - last), dice)
        missed, again = missed + gaps(last, more), again + repeats(last, more)
        different += changed(truth, more)
        made += 1
    return Resumed(made, missed, again, different)


async def _until_cut(
    server: Server, session_id: str, after: int, events: int, dice: random.Random
) -> list[Arrival]:
    """What came of at least `events` events before the line broke, at a random byte of the last read."""
    following = await follow(server.address, session_id, after, keep=True)
    await following.until(events)
    following.cut()
    at, data = following.reads[-1]
    following.reads[-1] = (at, data[: dice.randint(1, len(data))])
    return list(arrivals(following.reads))


async def _whole(server: Server, session_id: str, events: int) -> dict[int, bytes]:
    following = await follow(server.address, session_id, 0, keep=True)
    await following.until(events)
    following.cut()
    return {each.seq: each.envelope for each in arrivals(following.reads)}


def gaps(last: int, more: list[Arrival]) -> int:
    """How often a number was left out, when `more` came after the cursor `last`."""
    before = [last, *(each.seq for each in more)]
    return sum(each.seq > previous + 1 for previous, each in zip(before, more, strict=False))


def repeats(last: int, more: list[Arrival]) -> int:
    """How often a number came that had been there before, when `more` came after the cursor `last`."""
    before = [last, *(each.seq for each in more)]
    return sum(each.seq <= previous for previous, each in zip(before, more, strict=False))


def changed(truth: dict[int, bytes], seen: list[Arrival]) -> int:
    """How many events were seen that aren't in the journal, byte for byte."""
    return sum(truth.get(each.seq) != each.envelope for each in seen)


async def journal(server: Server, events: int) -> tuple[str, int]:
    """A session with at least so many events, and how many it has."""
    session_id, answer = await server.open(), await stream(server.address)
    deltas = min(1_000, events - AROUND)
    head = 1
    while head < events:
        answer.send(say_request(server.address, session_id, f"BURST {deltas}"))
        await answer.whole()
        head += answer.count
    answer.cut()
    assert await server.head(session_id) == head
    return session_id, head


async def reread(server: Server, session_id: str, events: int, samples: int) -> Again:
    """Read a journal again: its first event, one near its end, and all of it."""
    start = [await _first(server, session_id, 0) for _ in range(samples)]
    tail = [await _first(server, session_id, max(0, events - 10)) for _ in range(samples)]
    following = await follow(server.address, session_id)
    await following.until(events)
    assert following.count == events
    following.cut()
    return Again(start, tail, events / (following.last_at - following.sent))


async def _first(server: Server, session_id: str, after: int) -> float:
    following: Stream = await follow(server.address, session_id, after)
    await following.until(1)
    following.cut()
    return (following.first_at - following.sent) * 1e3


def _resumed(resumed: Resumed) -> list[Figure]:
    def none_of(name: str, count: int) -> Figure:
        return Figure(
            work="W3",
            name=f"{name} in {resumed.cuts:,} random cuts",
            unit="",
            values=(float(count),),
            goal=Target(most=0),
            bar=Target(most=0),
        )

    return [
        none_of("gaps", resumed.gaps),
        none_of("repeats", resumed.repeats),
        none_of("events read differently", resumed.changed),
    ]


def _first_byte(heads: list[int], again: list[list[Again]]) -> list[Figure]:
    def figure(name: str, values: list[list[float]]) -> Figure:
        return Figure(
            work="W3",
            name=f"first event p50, {name}",
            unit="ms",
            values=tuple(quantile(each, 0.5) for each in values),
            goal=Target(most=1),
        )

    return [
        each
        for head, readings in zip(heads, again, strict=True)
        for each in (
            figure(f"from the start of {head:,}", [reading.start for reading in readings]),
            figure(f"10 before the end of {head:,}", [reading.tail for reading in readings]),
        )
    ]


def _replay(head: int, readings: list[Again], reads: list[float]) -> Figure:
    return Figure(
        work="W3",
        name=f"replay of {head:,} events",
        unit="events/s",
        values=tuple(each.per_second for each in readings),
        floor_of="SQLite rows read",
        floors=tuple(reads),
        goal=Target(least=2_000_000),
    )
