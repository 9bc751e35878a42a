"""What the machine can do with nothing of Tenure in between; each figure stands beside its floor."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import Address, stream
from benchmarks.figures import quantile
from tenure.core.entry import entry
from tenure.core.event import MessageDelta
from tenure.core.moment import Micros

ROOT = Path(__file__).parents[1]
BATCH = 2_000
PAGE = 1_000
SESSIONS = 20


def line() -> bytes:
    """An event as the journal holds it: a delta of 100 characters."""
    text = (
        "a word of text that a model might say, with as many letters as the burst of the scripted agent has. "
    )
    delta = MessageDelta(message_id=f"msg_{'0' * 32}", text=text[:100])
    return entry(Micros(1_795_000_000_123_456), delta, f"run_{'0' * 32}").line


class Batch(NamedTuple):
    """SQLite alone: events written and events read back, per second."""

    written: float
    read: float


def batch(folder: Path, events: int = 60_000) -> Batch:
    """The SQLite batch floor: one row an event, 2,000 rows a commit, WAL, synchronous=FULL, no index.

    The rows lie ready before the clock starts; checkpoints count.
    """
    body = line()
    rows = [(i % SESSIONS, i // SESSIONS, body) for i in range(events)]
    with tempfile.TemporaryDirectory(prefix="tenure-floor-", dir=folder) as place:
        database = sqlite3.connect(Path(place) / "floor.db", isolation_level=None)
        try:
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = full")
            database.execute("create table event (session integer, seq integer, body blob)")
            return Batch(events / _write(database, rows), events / _read(database))
        finally:
            database.close()


def _write(database: sqlite3.Connection, rows: list[tuple[int, int, bytes]]) -> float:
    began = time.perf_counter()
    for start in range(0, len(rows), BATCH):
        database.execute("begin immediate")
        database.executemany("insert into event values (?, ?, ?)", rows[start : start + BATCH])
        database.execute("commit")
    return time.perf_counter() - began


def _read(database: sqlite3.Connection) -> float:
    began, after = time.perf_counter(), 0
    page = "select rowid, body from event where rowid > ? order by rowid limit ?"
    while rows := database.execute(page, (after, PAGE)).fetchall():
        after = rows[-1][0]
    return time.perf_counter() - began


def fdatasync_p50(folder: Path, times: int = 200) -> float:
    """Seconds that a small write takes to reach the disk, the median."""
    block, took = b"x" * 4096, list[float]()
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(times):
            file.write(block)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return quantile(took, 0.5)


class FanOut(NamedTuple):
    """Raw writes to many sockets: deliveries a second, and the writer's CPU seconds for each."""

    per_second: float
    cpu: float


def _writer(*numbers: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.writer", *map(str, numbers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


async def fan_out(sockets: int, events: int, joined: int) -> FanOut:
    """The fan-out floor: a process that does nothing but write ready frames to sockets.

    `joined` frames go into one write. The reader is the one that reads from the server.
    """
    with _writer(sockets, events, joined) as writer:
        assert writer.stdout is not None
        address = Address("127.0.0.1", int(writer.stdout.readline()), "")
        streams = [await stream(address) for _ in range(sockets)]
        began = time.perf_counter()
        streams[-1].send(b"go")
        await asyncio.gather(*(each.until(events) for each in streams))
        took = max(each.last_at for each in streams) - began
        cpu = float(writer.stdout.readline())
    return FanOut(sockets * events / took, cpu / (sockets * events))
