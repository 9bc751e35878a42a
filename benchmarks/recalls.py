"""W5: a million schedules wait, ten thousand of them are due within ten seconds, and each starts a run.

Lateness is taken at a client that watches some of the sessions: from the instant that a schedule names to
the arrival of its `recall.fired`, which nobody sees before it is on the disk. Schedules are copied into the
file, since a million over HTTP would take a quarter of an hour; a last one over HTTP tells the host to look.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.client import Caller, Stream, arrivals, follow
from benchmarks.figures import Figure, Target, quantile
from benchmarks.floors import fdatasync_p50
from benchmarks.server import Named, Server, serving
from benchmarks.w4 import OPENERS, cpu_share, opened
from tenure.core.moment import SECOND, Micros, micros
from tenure.core.timing import Every
from tenure.stores.relational import schedule_reads
from tenure.stores.sqlite.batch import SqliteLook
from tenure.stores.sqlite.files import connect

DAY = 86_400 * SECOND
FAR = 60 * 86_400
"""Seconds until the first of those that only wait."""

WITHIN = 300 * 86_400
OWNERS = 1_000
ROUNDS = 2
"""Rounds at most: each takes its seconds, however fast the machine is."""

HINT: dict[str, object] = {"in_s": 0.05}
"""The schedule that makes the host look at what was put into its file."""

MARGIN = 600_000
"""Microseconds from when the rounds stand in the file to their first instant, at least."""

PATIENCE_S = 60.0
LOOKS = 200
FIRED = "recall.fired"
TIMINGS: Sequence[dict[str, object]] = ({"in_s": FAR}, {"every_s": FAR}, {"cron": "0 4 * * 1"})


class Size(NamedTuple):
    """How many wait; how many are due in a round of so many seconds, of which every `watched`th is watched;
    seconds of watching the CPU; how many are created over HTTP; seconds to put a round into the file."""

    pending: int = 1_000_000
    due: int = 10_000
    seconds: float = 10.0
    watched: int = 10
    idle_s: float = 3.0
    created: int = 2_000
    lead_s: float = 2.0


USUAL = Size()


class Fired(msgspec.Struct):
    """The part of a recall's event that tells when it was due."""

    due_at: str = ""


class Outer(msgspec.Struct):
    """The part of an event that W5 looks at."""

    type: str
    data: Fired


class Round(NamedTuple):
    """How late recalls were, in milliseconds; CPU for each with its run, in microseconds; and how many
    did not fire exactly once and end."""

    late: list[float]
    cpu_us: float
    wrong: int


class Full(NamedTuple):
    """A server with so many schedules that wait: its rounds, what a look costs, and what waiting costs."""

    rounds: list[Round]
    look_us: list[float]
    resident: int
    busy: float


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures, on a server with nothing else that waits, then on a full one."""
    sync_ms = fdatasync_p50(folder) * 1e3
    async with serving(folder) as server:
        sessions = await opened(server, size.due)
        template = await made(server, sessions[0], TIMINGS)
        empty = await full(server, template[0], sessions, [size.seconds], size)
        server.stop()
        grown = fill(server.home, template, size.pending)
        await server.start()
        seconds = [size.seconds] * min(rounds, ROUNDS)
        many = await full(server, template[0], sessions, [*seconds, 0.0], size)
        rate = await created(server, sessions, size.created)
    return [
        *_lateness(many, size, sync_ms),
        *_lateness(empty, size._replace(pending=0), sync_ms),
        *_cost(empty, many, size),
        *_room(empty, many, size, grown, rate),
    ]


async def full(
    server: Server, template: str, sessions: list[str], seconds: Sequence[float], size: Size
) -> Full:
    """Watch the server do nothing, then the rounds go by."""
    resident, busy = server.resident(), await cpu_share(server, size.idle_s)
    streams = await watched(server, sessions[:: size.watched])
    gone: list[Round] = []
    look_us: list[float] = []
    for each in seconds:
        size = size._replace(seconds=each)
        begin = staged(server.home, template, sessions, size)
        await made(server, sessions[0], [HINT])
        look_us = look_us or looks(server.home, begin)
        gone.append(await spread(server, streams, begin, size))
    for stream in streams:
        stream.cut()
    return Full(gone, look_us, resident, busy)


async def made(server: Server, session_id: str, timings: Sequence[dict[str, object]]) -> list[str]:
    """Schedules over HTTP, one of each timing."""
    body = {"message": "SAY later", "session_id": session_id}
    replies = [await server.calls.call("POST", "/v1/schedules", body | timing) for timing in timings]
    return [reply.read(Named).id for reply in replies]


async def created(server: Server, sessions: list[str], count: int) -> float:
    """Schedules a second that are made over a few connections at once."""
    began = time.perf_counter()
    shares = [sessions[number:count:OPENERS] for number in range(OPENERS)]
    await asyncio.gather(*(_create(server, share) for share in shares))
    return sum(map(len, shares)) / (time.perf_counter() - began)


async def _create(server: Server, sessions: list[str]) -> None:
    caller = Caller(server.address)
    for session_id in sessions:
        body = {"message": "SAY later", "session_id": session_id, "every_s": FAR}
        (await caller.call("POST", "/v1/schedules", body)).read(Named)
    caller.close()


# --- the file


COUNTED = """WITH RECURSIVE counted (place, at) AS (SELECT 1, :base + abs(random() % :within)
UNION ALL SELECT place + 1, :base + abs(random() % :within) FROM counted WHERE place < :pending)"""
FRESH = {"id": "'sch_' || lower(hex(randomblob(16)))", "next_at": ":at", "wake_at": ":at"}
"""What a copy of a schedule has of its own, in SQL."""


def fill(home: Path, templates: Sequence[str], pending: int) -> int:
    """Copy the templates until so many schedules wait, due in any order. Returns bytes that the file grew."""
    fresh = FRESH | {"next_at": "at", "wake_at": "at", "owner": f"'user_' || (place % {OWNERS})"}
    some = "FROM counted CROSS JOIN schedule ON id = json_extract(:templates, '$[' || (place % :of) || ']')"
    values = {
        "base": micros_now() + FAR * SECOND,
        "within": WITHIN * SECOND,
        "pending": pending,
        "templates": msgspec.json.encode(templates).decode(),
        "of": len(templates),
    }
    with closing(_opened(home)) as db:
        before = _bytes(db)
        db.execute(" ".join([COUNTED, _copying(db, fresh), some]), values)
        return _bytes(db) - before


def _copying(db: sqlite3.Connection, fresh: Mapping[str, str]) -> str:
    """The beginning of a statement that copies schedules; the number of a copy is its own."""
    names = [name for _, name, *_ in db.execute("PRAGMA table_info(schedule)") if name != "no"]
    told = [fresh.get(name, f"schedule.{name}") for name in names]
    return " ".join(["INSERT INTO schedule (", ", ".join(names), ") SELECT", ", ".join(told)])


def staged(home: Path, template: str, sessions: list[str], size: Size) -> Micros:
    """Put the schedules of a round into the file, each in a session of its own. Returns its first instant.

    A busy machine may take longer over that than it was given; then it gets twice as long.
    """
    lead, step = round(size.lead_s * SECOND), round(size.seconds * SECOND) // len(sessions)
    with closing(_opened(home)) as db:
        numbers = dict(db.execute("SELECT id, no FROM session"))
        while True:
            begin = Micros(micros_now() + lead)
            due = ((numbers[each], Micros(begin + place * step)) for place, each in enumerate(sessions))
            db.execute("BEGIN IMMEDIATE")
            _insert(db, template, due)
            if micros_now() < begin - MARGIN:
                db.execute("COMMIT")
                return begin
            db.execute("ROLLBACK")
            lead *= 2


def _insert(db: sqlite3.Connection, template: str, due: Iterator[tuple[int, Micros]]) -> None:
    copying = _copying(db, FRESH | {"owner": "'due'", "session_no": ":no", "timing": ":timing"})
    rows = ({"no": no, "at": at, "timing": _daily(at), "template": template} for no, at in due)
    db.executemany(" ".join([copying, "FROM schedule WHERE id = :template"]), rows)


def _daily(at: Micros) -> str:
    return msgspec.json.encode(Every(every=DAY, anchor=Micros(at - DAY))).decode()


def _opened(home: Path) -> sqlite3.Connection:
    return connect(str(home / "tenure.db"), writer=True)


def _bytes(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]


def looks(home: Path, begin: Micros) -> list[float]:
    """Microseconds of each look at what is due first, and at one schedule that is."""
    took = list[float]()
    with closing(connect(str(home / "tenure.db"), writer=False)) as db:
        look = SqliteLook(db)
        for _ in range(LOOKS):
            began = time.perf_counter()
            schedule_reads.next_at(look, ())
            found = schedule_reads.due(look, (), Micros(begin - 1), begin, 64)
            took.append((time.perf_counter() - began) * 1e6)
            assert len(found.schedules) == 1, f"{len(found.schedules)} schedules are due at the first instant"
    return took


# --- a round


async def watched(server: Server, sessions: Sequence[str]) -> list[Stream]:
    """Follow sessions from where they stand."""
    return list(await asyncio.gather(*(_follow(server, session_id) for session_id in sessions)))


async def _follow(server: Server, session_id: str) -> Stream:
    following = await follow(server.address, session_id, keep=True)
    await following.found()
    return following


async def spread(server: Server, streams: list[Stream], begin: Micros, size: Size) -> Round:
    """One round: wait until it has begun, and until each of its runs has its outcome."""
    assert micros_now() < begin, "the round wasn't in the file before it was due"
    await asyncio.sleep((begin - micros_now()) / SECOND)
    cpu = server.cpu()
    end = Micros(begin + round(size.seconds * SECOND))
    await asyncio.sleep(size.seconds + 0.1)
    ended = await _ended(server.home, begin, end, size.due)
    cpu = server.cpu() - cpu
    late = [each for stream in streams for each in _late(stream, begin, end)]
    assert len(late) == len(streams), f"{len(late)} of {len(streams)} watched recalls came"
    return Round(late, cpu / size.due * 1e6, abs(size.due - ended))


async def _ended(home: Path, begin: Micros, end: Micros, due: int) -> int:
    """How many occurrences of a round have an outcome, once all have or patience is over."""
    count = "SELECT count(*) FROM occurrence WHERE due_at BETWEEN ? AND ? AND outcome = 'completed'"
    until = time.perf_counter() + PATIENCE_S
    with closing(connect(str(home / "tenure.db"), writer=False)) as db:
        while True:
            (ended,) = db.execute(count, (begin, end)).fetchone()
            if ended >= due or time.perf_counter() > until:
                return ended
            await asyncio.sleep(0.25)


def _late(stream: Stream, begin: Micros, end: Micros) -> Iterator[float]:
    """Milliseconds by which the recalls of a round were late at the client."""
    for each in arrivals(stream.reads):
        outer = msgspec.json.decode(each.envelope, type=Outer)
        if outer.type == FIRED and begin <= micros(outer.data.due_at) <= end:
            yield each.at * 1e3 - micros(outer.data.due_at) / 1e3


def micros_now() -> Micros:
    """The time of the wall clock."""
    return Micros(time.time_ns() // 1_000)


# --- the figures


def _lateness(found: Full, size: Size, sync_ms: float) -> list[Figure]:
    # On the full server the last round is the burst.
    rounds = found.rounds[:-1] or found.rounds

    def figure(share: float, goal: float, bar: float) -> Figure:
        per_second = size.due / size.seconds
        return Figure(
            work="W5",
            name=f"recall late p{share * 100:.0f}, {per_second:,.0f}/s, {size.pending:,} more wait",
            unit="ms",
            values=tuple(quantile(each.late, share) for each in rounds),
            floor_of="fdatasync p50",
            floors=(sync_ms,) * len(rounds),
            goal=Target(most=goal, syncs=True),
            bar=Target(most=bar),
        )

    return [figure(0.5, 5, 250), figure(0.99, 25, 1_000)]


def _cost(empty: Full, many: Full, size: Size) -> list[Figure]:
    among = f"{size.pending:,} wait"
    *spread_out, burst = many.rounds
    zero = Target(most=0)
    return [
        Figure(
            work="W5",
            name="recalls that did not fire exactly once and end",
            unit="",
            values=(float(sum(each.wrong for each in (*many.rounds, *empty.rounds))),),
            goal=zero,
            bar=zero,
        ),
        _figure(f"last of {size.due:,} due in one instant, {among}", "ms", max(burst.late)),
        _figure(f"server's CPU for a recall with its run, {among}", "µs", *(e.cpu_us for e in spread_out)),
        _figure("the same, nothing else waits", "µs", *(each.cpu_us for each in empty.rounds)),
        _figure("the same, all due in one instant", "µs", burst.cpu_us),
        Figure(
            work="W5",
            name=f"a look at what is due p50, {among}",
            unit="µs",
            values=(quantile(many.look_us, 0.5),),
            floor_of="nothing else waits",
            floors=(quantile(empty.look_us, 0.5),),
            goal=Target(most=50),
            bar=Target(most=1_000),
        ),
    ]


def _room(empty: Full, many: Full, size: Size, grown: int, rate: float) -> list[Figure]:
    busy = max(0.0, round(many.busy - empty.busy, 1))
    memory = max(0, many.resident - empty.resident) / size.pending
    return [
        _figure(
            f"CPU more than on an empty server, {size.pending:,} wait",
            "% of a core",
            busy,
            goal=Target(most=0),
        ),
        _figure("memory for each that waits", "bytes", memory),
        _figure("disk for each that waits", "bytes", grown / size.pending),
        _figure("schedules made over HTTP", "a second", rate),
    ]


def _figure(name: str, unit: str, *values: float, goal: Target | None = None) -> Figure:
    return Figure(work="W5", name=name, unit=unit, values=values, goal=goal)
