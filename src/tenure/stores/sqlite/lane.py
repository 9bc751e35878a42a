"""The lane: how acts reach the one writing connection, and reads the others.

`ThreadLane` serves a real file: one thread writes and checkpoints, one reads long things, and point
reads are answered in the loop. A simulation brings a lane of its own; no other code knows of threads.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.store import Append, Block, Commits, Lease
from tenure.stores.relational.acts import runs
from tenure.stores.relational.lane import Meter, Outcome, gone, nobody, resolve
from tenure.stores.relational.locks import Lock
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Act, Tx
from tenure.stores.sqlite.batch import Batches, Committed, Fatal, SqliteLook
from tenure.stores.sqlite.files import connect, migrate

T = TypeVar("T")


class _Waiting(NamedTuple):
    act: Act
    future: "asyncio.Future[Any]"


class ThreadLane:
    """Two threads and three connections on one file."""

    def __init__(self, path: str, landmarks: Landmarks, fatal: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._landmarks = landmarks
        self._fatal = fatal
        self._listener: Callable[[Block], None] = nobody
        self._meter = Meter()
        self._writer = connect(path, writer=True)
        migrate(self._writer)
        self._batches = Batches(self._writer, landmarks)
        self._points = SqliteLook(connect(path, writer=False))
        self._reader = SqliteLook(connect(path, writer=False))
        self._pages = ThreadPoolExecutor(1, "tenure-reader")
        self._todo: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._open = True
        """False from its closing on, or from the end of its writer's thread."""
        self._thread = threading.Thread(target=self._write_all, name="tenure-writer", daemon=True)
        self._thread.start()

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        self._listener = listener

    def write(self, act: Callable[[Tx], T], *locks: Lock) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self._loop.create_future()
        if not self.healthy():
            future.set_exception(gone())
            return future
        self._todo.put(_Waiting(act, future))
        return future

    def append(self, lease: Lease, append: Append) -> "asyncio.Future[None]":
        return self.write(partial(runs.append, lease=lease, append=append))

    async def read(self, query: Callable[[Look], T]) -> T:
        if not self._open:
            raise gone()
        return await self._loop.run_in_executor(self._pages, _snapshot, self._reader, query)

    async def peek(self, query: Callable[[Look], T]) -> T:
        if not self._open:
            raise gone()
        return query(self._points)

    def commits(self) -> Commits:
        return self._meter.read()

    def healthy(self) -> bool:
        return self._open

    def close(self) -> None:
        """Finish what waits, then close. Safe to call twice."""
        if not self._open:
            return
        self._open = False
        self._todo.put(None)
        self._thread.join()
        self._pages.shutdown()
        for db in (self._points.db, self._reader.db, self._writer):
            db.close()

    # --- the writer's thread

    def _write_all(self) -> None:
        batch: list[_Waiting] = []
        try:
            while self._open or not self._todo.empty():
                batch = _acts([self._todo.get(), *self._waiting()])
                if batch:
                    self._commit(batch)
                    batch = []
        except Fatal as error:
            self._tell(self._fatal, str(error))
        finally:
            self._open = False
            self._tell(self._fail, batch)

    def _waiting(self) -> list[_Waiting | None]:
        """Everything that waits now. Taken one by one: the loop may be adding more this very moment."""
        return [self._todo.get_nowait() for _ in range(self._todo.qsize())]

    def _commit(self, batch: list[_Waiting]) -> None:
        began = perf_counter()
        committed = self._batches.commit([waiting.act for waiting in batch])
        self._meter.add(perf_counter() - began, committed.blocks)
        self._tell(self._deliver, batch, committed)

    def _tell(self, what: Callable[..., None], *values: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *values)

    # --- back in the loop

    def _deliver(self, batch: list[_Waiting], committed: Committed) -> None:
        self._landmarks.passed(Landmark.DELIVERY_BEFORE)
        try:
            for block in committed.blocks:
                self._listener(block)
        finally:
            for waiting, outcome in zip(batch, committed.outcomes, strict=True):
                resolve(waiting.future, outcome)
        self._landmarks.passed(Landmark.DELIVERY_AFTER)

    def _fail(self, batch: list[_Waiting]) -> None:
        """The writer is gone. What it had begun, and what waits, gets an answer all the same."""
        for waiting in (*batch, *_acts(self._waiting())):
            resolve(waiting.future, Outcome(error=gone()))


def _acts(found: list[_Waiting | None]) -> list[_Waiting]:
    """What is to be done of what was found; None only wakes the writer, so that it sees it is to end."""
    return [waiting for waiting in found if waiting is not None]


def _snapshot(look: SqliteLook, query: Callable[[Look], T]) -> T:
    look.db.execute("BEGIN")
    try:
        return query(look)
    finally:
        look.db.execute("ROLLBACK")
