"""The lane to Postgres: acts in transactions of their own, output of runs in batches, reads beside them.

What this host writes for one run is written in order; everything else goes side by side. Acts decide under
the locks that they name, and nothing is told to anybody before it is known to be durable.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from time import monotonic, perf_counter
from typing import Any, NamedTuple, Self, TypeVar

from asyncpg.exceptions import PostgresError

from tenure.errors import TenureError
from tenure.ports.store import Append, Block, Commits, Lease
from tenure.stores.postgres import acts, bridge, flushes
from tenure.stores.postgres.connect import connection, prepare
from tenure.stores.postgres.faults import RACES, Away, away, refused
from tenure.stores.postgres.lines import Committed, Job, Line, Lines, Output, Part
from tenure.stores.postgres.pace import Patience, Spread
from tenure.stores.postgres.seats import Connect, Contact, Seats
from tenure.stores.postgres.tx import PostgresLook
from tenure.stores.relational.acts import runs
from tenure.stores.relational.lane import Meter, Outcome, gone, nobody, resolve
from tenure.stores.relational.locks import Lock, Rank, host, session_of_run
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Tx, quiet

T = TypeVar("T")

WRITERS = 8
READERS = 4
FLUSHES = 1
"""How many batches of output are on their way at once."""
PATIENCE_S = 3.0
"""For how long an act is tried while the database is away, before whoever asked is told so."""
CLOSING_S = 3.0
"""For how long a lane that closes waits for what is on its way."""


class Shared(NamedTuple):
    """What the lanes of one host know of the database together."""

    contact: Contact
    spread: Spread
    lease_s: float
    patience_s: float


class PostgresLane:
    """One host's way to the database."""

    def __init__(self, connect: Connect, shared: Shared, writers: int, readers: int) -> None:
        self._writers = Seats(connect, writers, shared.contact, shared.spread)
        self._readers = Seats(connect, readers, shared.contact)
        self._contact = shared.contact
        self._spread = shared.spread
        self._lease_s = shared.lease_s
        self._patience_s = shared.patience_s
        self.vital: PostgresLane = self
        """The lane for what must not wait for anything else: the host's lease."""
        self._listener: Callable[[Block], None] = nobody
        self._meter = Meter()
        self._lines = Lines()
        self._ready: dict[str, Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._flushing = 0
        self._open = True

    @classmethod
    async def opened(cls, url: str, lease_s: float, patience_s: float = PATIENCE_S) -> Self:
        """A lane to a server that is safe, with the schema of this version. Raises ConfigError.

        For `patience_s` seconds it tries what it is asked, while the database is away. What a run's owner
        writes is tried for as long as its lease lasts.
        """
        await prepare(url)
        connect, shared = partial(connection, url, lease_s), Shared(Contact(), Spread(), lease_s, patience_s)
        lane = cls(connect, shared, WRITERS, READERS)
        lane.vital = cls(connect, shared, 1, 1)
        return lane

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        self._listener = listener

    def write(self, act: Callable[[Tx], T], *locks: Lock) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._open:
            future.set_exception(gone())
            return future
        job = Job(act, locks, future)
        run_id = _line_of(locks)
        if run_id is None:
            self._spawn(self._do(job, self._patience_s), [future])
        else:
            self._stand(run_id, job)
        return future

    def append(self, lease: Lease, append: Append) -> "asyncio.Future[None]":
        if not self._open or not all(map(quiet, append.entries)):
            locks = (host(lease), session_of_run(append.run_id))
            return self.write(lambda tx: runs.append(tx, lease, append), *locks)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stand(append.run_id, Output(lease, append, future))
        return future

    async def read(self, query: Callable[[Look], T]) -> T:
        return await self._look(query, snapshot=True)

    async def peek(self, query: Callable[[Look], T]) -> T:
        return await self._look(query, snapshot=False)

    def commits(self) -> Commits:
        return self._meter.read()

    def healthy(self) -> bool:
        """Whether the database answered when it was last asked."""
        return self._open and not self._contact.failing

    @property
    def silent_s(self) -> float:
        """Seconds since the database last answered."""
        return self._contact.silent_s

    def close(self) -> None:
        """Take nothing more. Connections go by `aclose`, which waits for what is on its way."""
        self._open = self.vital._open = False

    async def aclose(self, within_s: float = CLOSING_S) -> None:
        """Finish what can be finished within some seconds, and let the connections go."""
        self._open = False
        until = monotonic() + within_s
        while self._tasks and (left := until - monotonic()) > 0:  # what stands in line begins meanwhile
            await asyncio.wait([*self._tasks], timeout=left)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait([*self._tasks])
        for line in self._lines:
            while line.waiting:
                resolve(line.waiting.popleft().future, Outcome(error=gone()))
        await asyncio.gather(self._writers.close(within_s), self._readers.close(within_s))
        if self.vital is not self:
            await self.vital.aclose(within_s)

    # --- reads

    async def _look(self, query: Callable[[Look], T], *, snapshot: bool) -> T:
        patience = self._patience(self._patience_s)
        while True:
            if not self._open:
                raise gone()
            try:
                return await self._looked(query, patience, snapshot=snapshot)
            except Away as lost:
                if patience.over:
                    raise away(lost) from None
            except RACES as race:
                if patience.over:
                    raise refused(race) from race
            except PostgresError as fault:
                raise refused(fault) from fault
            await patience.pause()

    async def _looked(self, query: Callable[[Look], T], patience: Patience, *, snapshot: bool) -> T:
        async with self._readers.lent(patience.left) as seat:
            look = PostgresLook(seat.db, snapshot=snapshot)
            if not snapshot:
                return await bridge.run(lambda: query(look))
            async with seat.db.transaction(isolation="repeatable_read", readonly=True):
                return await bridge.run(lambda: query(look))

    # --- order

    def _spawn(self, work: Coroutine[Any, Any, None], futures: "Sequence[asyncio.Future[Any]]") -> None:
        """Have something done beside everything else. What it raises is told to whoever awaits `futures`."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, futures))

    def _ended(self, futures: "Sequence[asyncio.Future[Any]]", task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = gone() if task.cancelled() else task.exception()
        for future in futures:
            if isinstance(error, Exception):
                resolve(future, Outcome(error=error))

    def _stand(self, run_id: str, what: Job | Output) -> None:
        line = self._lines.of(run_id)
        line.waiting.append(what)
        self._move_on(line)

    def _move_on(self, line: Line) -> None:
        """Begin with whatever stands at the front of a line, unless its host is at work on it."""
        if line.busy:
            return
        if not line.waiting:
            self._lines.rest(line)
            return
        if isinstance(front := line.waiting[0], Job):
            line.waiting.popleft()
            line.busy = True
            self._spawn(self._do_in_line(front, line), [front.future])
            return
        self._ready[line.run_id] = line
        self._pump()

    # --- acts

    async def _do_in_line(self, job: Job, line: Line) -> None:
        try:
            await self._do(job, self._lease_s)
        finally:
            line.busy = False
            self._move_on(line)

    async def _do(self, job: Job, patience_s: float) -> None:
        began = perf_counter()
        patience, doubting = self._patience(patience_s), self._patience(self._lease_s)
        committed = await acts.done(self._writers, job, patience, doubting)
        self._meter.add(perf_counter() - began, committed.blocks)
        self._tell(committed, [job.future])

    def _patience(self, seconds: float) -> Patience:
        return Patience(self._spread, seconds)

    def _tell(self, committed: Committed, futures: "Sequence[asyncio.Future[Any]]") -> None:
        """Show what is durable, then tell whoever waits for it."""
        try:
            for block in committed.blocks:
                self._listener(block)
        finally:
            for future in futures:
                resolve(future, committed.outcome)

    # --- output

    def _pump(self) -> None:
        """Send what is ready, unless enough is on its way: what comes meanwhile is the next batch."""
        if self._ready and self._flushing < FLUSHES:
            self._flushing += 1
            self._spawn(self._flush(), [])

    async def _flush(self) -> None:
        began = perf_counter()
        parts = self._taken()
        results: Sequence[flushes.Written] = [gone()] * len(parts)
        try:
            patience, doubting = self._patience(self._lease_s), self._patience(self._lease_s)
            results = await flushes.written(self._writers, parts, patience, doubting)
        finally:
            self._flushing -= 1
            told = [_told(part, result) for part, result in zip(parts, results, strict=True)]
            self._meter.add(perf_counter() - began, [block for one in told for block in one.blocks])
            for part, one in zip(parts, told, strict=True):
                self._shown(part, one)
            self._pump()

    def _shown(self, part: Part, committed: Committed) -> None:
        """Tell what became of a part; then its line moves on."""
        try:
            self._tell(committed, [output.future for output in part.taken])
        finally:
            part.line.busy = False
            self._move_on(part.line)

    def _taken(self) -> list[Part]:
        """What stands at the front of all lines that are ready, of one life of this host."""
        parts: list[Part] = []
        ready, self._ready = self._ready, {}
        for line in ready.values():
            front = line.waiting[0]
            if parts and isinstance(front, Output) and front.lease.incarnation != parts[0].incarnation:
                self._ready[line.run_id] = line
                continue
            parts.append(Part(line, line.outputs()))
            line.busy = True
        return parts


def _told(part: Part, result: flushes.Written) -> Committed:
    match result:
        case int():
            return Committed(Outcome(), [part.block(result)])
        case TenureError():
            return Committed(Outcome(error=result), [])


def _line_of(locks: Sequence[Lock]) -> str | None:
    """The run whose writes this one stands among, if it is one of its owner's."""
    owners = any(lock.rank is Rank.HOST for lock in locks)
    run = next((lock for lock in locks if lock.name == "lock_session_of_run"), None)
    return str(run.values["id"]) if owners and run is not None else None
