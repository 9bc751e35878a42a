"""The store's lane in simulation: no thread, no file; commits and answers take drawn virtual delays.

The database belongs to the simulated disk and outlives every host. All steps of a lane run on the node
of its host: one that is killed before the commit leaves nothing, one that is killed between commit and
answer leaves entries that nobody was told of.
"""

import asyncio
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from tenure.core.entry import lines_of
from tenure.ports.files import Folders
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.store import Append, Block, Commits, Lease
from tenure.stores.folders import DiskFolders
from tenure.stores.relational.acts import runs
from tenure.stores.relational.lane import Meter, resolve
from tenure.stores.relational.locks import Lock
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Act, Tx
from tenure.stores.sqlite.batch import Batches, Committed, SqliteLook
from tenure.stores.sqlite.files import migrate
from tests.simulation.loop import SimLoop

T = TypeVar("T")

PLENTY = 1 << 30


class Killed(BaseException):
    """The host died in the middle of a batch. What wasn't committed is undone by the disk."""


async def at_once(work: Callable[[], T]) -> T:
    """Do work that blocks here and now: a simulation has no threads."""
    return work()


class Disk:
    """A database that survives every host. Like a disk, it may be full."""

    def __init__(self) -> None:
        self.shared = False
        self.full = False
        self.db = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        migrate(self.db)
        self.root = Path(gettempdir(), f"tenure-{uuid4().hex}")
        self.folders: Folders = DiskFolders(self.root, at_once)

    def close(self) -> None:
        """Free everything."""
        self.db.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def fill(self) -> None:
        """Leave no room for another page."""
        self.full = True
        pages = self.db.execute("PRAGMA page_count").fetchone()[0]
        self.db.execute(f"PRAGMA max_page_count = {pages}")

    def free(self) -> None:
        """There is room again."""
        self.full = False
        self.db.execute(f"PRAGMA max_page_count = {PLENTY}")

    def journals(self) -> list[str]:
        """Every entry of every session, one a line, as it is stored."""
        query = "SELECT s.id, j.first_seq, j.body FROM journal j JOIN session s ON s.no = j.strand"
        return [
            f"{session_id[-4:]} {seq:4} {{{rest.decode()}"
            for session_id, first, body in self.db.execute(query + " ORDER BY j.pos").fetchall()
            for seq, rest in enumerate(lines_of(body), first)
        ]

    def head(self, session_id: str) -> int | None:
        """The last durable number of a session; None if it was deleted."""
        query = "SELECT h.seq FROM head h JOIN session s ON s.no = h.session_no WHERE s.id = ?"
        row = self.db.execute(query + " AND s.state <> 'deleted'", (session_id,)).fetchone()
        return None if row is None else int(row[0])

    def effect(self, call_id: str) -> tuple[str, str] | None:
        """How a tool call and its run stand; None if it isn't in the ledger."""
        query = "SELECT e.state, r.state FROM effect e JOIN run r ON r.id = e.run_id WHERE e.id = ?"
        row = self.db.execute(query, (call_id,)).fetchone()
        return None if row is None else (str(row[0]), str(row[1]))


class _Waiting(NamedTuple):
    act: Act
    future: "asyncio.Future[Any]"


class SimLane:
    """One host's way to the disk. Made, and used, on the host's own node."""

    def __init__(self, loop: SimLoop, disk: Disk, landmarks: Landmarks) -> None:
        self._loop = loop
        self._disk = disk
        self._landmarks = landmarks
        self._batches = Batches(disk.db, landmarks)
        self._meter = Meter()
        self._listener: Callable[[Block], None] = lambda _: None
        self._todo: list[_Waiting] = []
        self._done: deque[tuple[list[_Waiting], Committed]] = deque()
        self._busy = False
        self._open = True

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        self._listener = listener

    def write(self, act: Callable[[Tx], T], *locks: Lock) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self._loop.create_future()
        self._todo.append(_Waiting(act, future))
        if not self._busy:
            self._busy = True
            self._loop.call_later(self._delay(), self._commit)
        return future

    def append(self, lease: Lease, append: Append) -> "asyncio.Future[None]":
        return self.write(partial(runs.append, lease=lease, append=append))

    async def read(self, query: Callable[[Look], T]) -> T:
        await asyncio.sleep(self._delay())
        found = query(SqliteLook(self._disk.db))
        await asyncio.sleep(self._delay())
        return found

    async def peek(self, query: Callable[[Look], T]) -> T:
        return query(SqliteLook(self._disk.db))

    def commits(self) -> Commits:
        return self._meter.read()

    def healthy(self) -> bool:
        return self._open

    def flush(self) -> None:
        """Commit what waits; the answers are still on their way."""
        while self._todo:
            self._commit_some(len(self._todo))

    def close(self) -> None:
        """Finish what waits."""
        self.flush()
        while self._done:
            self._deliver()
        self._open = False

    def _delay(self) -> float:
        """A disk is quick, sometimes slow, and now and then awfully slow."""
        return self._loop.random.choice((0.0, 0.000_2, 0.001, 0.001, 0.004, 0.03, 0.4))

    def _commit(self) -> None:
        most = len(self._todo)
        self._commit_some(self._loop.random.choice((1, most, most)))
        self._busy = bool(self._todo)
        if self._busy:
            self._loop.call_later(self._delay(), self._commit)

    def _commit_some(self, count: int) -> None:
        batch, self._todo = self._todo[:count], self._todo[count:]
        if not batch:
            return
        if self._disk.shared:
            # Kept heads are for a writer that is alone, which a host and its zombie aren't.
            self._batches = Batches(self._disk.db, self._landmarks)
        try:
            committed = self._batches.commit([waiting.act for waiting in batch])
        except Killed:
            if self._disk.db.in_transaction:
                self._disk.db.execute("ROLLBACK")
            return
        self._meter.add(0.001, committed.blocks)
        self._done.append((batch, committed))
        self._loop.call_later(self._delay(), self._deliver)

    def _deliver(self) -> None:
        if not self._done:
            return
        batch, committed = self._done.popleft()
        self._landmarks.passed(Landmark.DELIVERY_BEFORE)
        for block in committed.blocks:
            self._listener(block)
        for waiting, outcome in zip(batch, committed.outcomes, strict=True):
            resolve(waiting.future, outcome)
            if not waiting.future.cancelled():
                waiting.future.exception()  # else one whose host dies right now would complain
        self._landmarks.passed(Landmark.DELIVERY_AFTER)
