"""What Postgres can do with nothing of Tenure in between: the floors beside the figures of many hosts.

`python -m benchmarks.postgres [--rounds 3] [--seconds 2]` measures them by hand, on a server of its own with
the settings of the tests.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import asyncpg
import uvloop

from benchmarks.figures import quantile
from benchmarks.floors import fdatasync_p50, line
from tests.postgres.server import PostgresServer

BATCHES = (1, 10, 100, 1000)
SESSIONS = 200
INCARNATION = 7

SCHEMA = """
create table host (incarnation bigint primary key, renewed timestamptz not null default now());
create table head (session bigint primary key, seq bigint not null) with (fillfactor = 50);
create table journal (
    session bigint not null,
    last_seq bigint not null,
    first_seq bigint not null,
    body bytea not null,
    primary key (session, last_seq)
);
alter table journal alter column body set storage external;
"""

FENCED = """
with fence as materialized (
    select 1 from host where incarnation = $1 for key share
), given as materialized (
    select * from unnest($2::bigint[], $3::bigint[], $4::bytea[]) as given (session, count, body)
), locked as materialized (
    select session from head
    where session = any ($2::bigint[]) and exists (select from fence)
    order by session for no key update
), moved as (
    update head set seq = head.seq + given.count
    from locked join given using (session)
    where head.session = locked.session
    returning head.session, head.seq, given.count, given.body
)
insert into journal (session, last_seq, first_seq, body)
select session, seq, seq - count + 1, body from moved
"""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Write = Callable[[Sequence["Flush"]], Coroutine[None, None, None]]


class Flush(NamedTuple):
    """What one session has for a commit: so many events, joined to the body of one row."""

    session: int
    events: int
    body: bytes


class Rate(NamedTuple):
    """Events written a second by one connection, and the seconds that a commit took."""

    per_second: float
    p50: float
    p99: float


class Floor(NamedTuple):
    """The floors of one size of batch: fenced, numbered and inserted in one statement; and only copied in.

    COPY is the limit of the table: it can neither fence nor number.
    """

    batch: int
    fenced: Rate
    copied: Rate


class FenceGone(Exception):
    """The host's row isn't there, so that nothing was written."""


def flushes(batch: int, turn: int) -> list[Flush]:
    """A batch spread over the sessions: a range each, or an event for as many sessions as there are events.

    Turns take other sessions, so that small batches reach all of them.
    """
    touched = min(batch, SESSIONS)
    count, body = batch // touched, line()
    first = turn * touched
    return [Flush((first + n) % SESSIONS, count, b"\n".join([body] * count)) for n in range(touched)]


async def fenced(connection: Connection, seconds: float, batch: int) -> Rate:
    """The fenced `unnest` floor: the host's row `FOR KEY SHARE`, heads in order, ranges; one statement."""
    statement = await connection.prepare(FENCED)

    async def write(batch: Sequence[Flush]) -> None:
        sessions, counts, bodies = zip(*batch, strict=True)
        await statement.fetch(INCARNATION, sessions, counts, bodies)
        if statement.get_statusmsg() != f"INSERT 0 {len(batch)}":
            raise FenceGone(f"{statement.get_statusmsg()} instead of {len(batch)} rows")

    return await _timed(write, seconds, batch)


async def copied(connection: Connection, seconds: float, batch: int) -> Rate:
    """The COPY floor: the same rows, numbered by us, with nothing checked."""
    last = dict.fromkeys(range(SESSIONS), 1 << 40)

    async def write(batch: Sequence[Flush]) -> None:
        for flush in batch:
            last[flush.session] += flush.events
        rows = [
            (each.session, last[each.session], last[each.session] - each.events + 1, each.body)
            for each in batch
        ]
        await connection.copy_records_to_table("journal", records=rows)

    return await _timed(write, seconds, batch)


async def _timed(write: Write, seconds: float, batch: int) -> Rate:
    """Write batch after batch for so long; they lie ready before the clock starts."""
    ready = [flushes(batch, turn) for turn in range(SESSIONS // min(batch, SESSIONS))]
    for each in ready[:10]:
        await write(each)
    took = list[float]()
    began = ended = time.perf_counter()
    while ended - began < seconds:
        await write(ready[len(took) % len(ready)])
        before, ended = ended, time.perf_counter()
        took.append(ended - before)
    return Rate(len(took) * batch / (ended - began), quantile(took, 0.5), quantile(took, 0.99))


async def furnish(connection: Connection) -> None:
    """Make the tables, with one host and the heads of all sessions."""
    await connection.execute(SCHEMA)
    await connection.execute("insert into host values ($1)", INCARNATION)
    await connection.execute("insert into head select n, 0 from generate_series(0, $1) n", SESSIONS - 1)


async def floor(url: str, batch: int, seconds: float = 2.0) -> Floor:
    """The floors of a size of batch in an empty database, which gets their tables and loses them again.

    `batch` is at most the number of sessions, or a multiple of it.
    """
    connection = await asyncpg.connect(url)
    try:
        await furnish(connection)
        fence = await fenced(connection, seconds, batch)
        await connection.execute("truncate journal; checkpoint")
        copy = await copied(connection, seconds, batch)
        await connection.execute("drop table host, head, journal; checkpoint")
    finally:
        await connection.close()
    return Floor(batch, fence, copy)


def measure(folder: Path, rounds: int = 3, seconds: float = 2.0) -> list[list[Floor]]:
    """Rounds of the floors of every size of batch, over a unix socket of a server in the folder."""
    place = Path(tempfile.mkdtemp(prefix="tenure-floor-", dir=folder))
    with PostgresServer(folder=place) as server:
        url = server.socket_url()
        return [[uvloop.run(floor(url, batch, seconds)) for batch in BATCHES] for _ in range(rounds)]


def main(argv: Sequence[str]) -> int:
    """Measure and print the medians of the rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgres")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many (3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each is measured (2)")
    parser.add_argument(
        "--dir", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to measure"
    )
    asked = parser.parse_args(argv)
    measured = measure(asked.dir, asked.rounds, asked.seconds)
    print(f"fdatasync p50 {fdatasync_p50(asked.dir) * 1000:.2f} ms, {SESSIONS} sessions, one connection")
    for several in zip(*measured, strict=True):
        print(f"batch {several[0].batch:>5}   fenced {_median([each.fenced for each in several])}")
        print(f"{'':>11}   copied {_median([each.copied for each in several])}")
    return 0


def _median(rates: Sequence[Rate]) -> str:
    per_second, p50, p99 = (quantile(values, 0.5) for values in zip(*rates, strict=True))
    return f"{per_second:>9,.0f} events/s, commit p50 {p50 * 1000:6.2f} ms, p99 {p99 * 1000:6.2f} ms"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
