"""The database that many hosts share in simulation, each over a way of its own that may be cut.

Acts go side by side, each a transaction of its own, as on Postgres: what one host writes for one run stays
in order, everything else may overtake. The database has a clock of its own, and notes who wrote what.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from tenure.core.entry import Entry
from tenure.core.event import RunResumed, RunRetried, RunStarted
from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros
from tenure.errors import Code, TenureError
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.store import Append, Block, Commits, Lease
from tenure.stores.relational.acts import runs
from tenure.stores.relational.acts.recovery import given_up
from tenure.stores.relational.lane import Meter, Outcome, gone, nobody, resolve
from tenure.stores.relational.locks import Lock, Rank, host, session_of_run
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Act, Tx
from tenure.stores.sqlite.batch import Heads, SqliteLook, SqliteTx
from tests.simulation.lane import Disk, Killed
from tests.simulation.loop import SimLoop

T = TypeVar("T")

DISK_EPOCH = 1_650_000_000 * SECOND
PATIENCE_S = 3.0
"""How long an act that can't be sent is tried before whoever asked is told so."""
AGAIN_S = 0.25
NETWORK = "network"
"""Where the last words of a dead host still are on their way."""


class Written(NamedTuple):
    """What one transaction wrote: when, under which life of which host, for which run if its owner did."""

    at: float
    node: str
    incarnation: int | None
    run_id: str | None
    first: int
    session_id: str
    entries: tuple[Entry, ...]


class Shore:
    """The one database, what clock it goes by, and whom it is cut off from."""

    def __init__(self, loop: SimLoop, disk: Disk, limits: Limits) -> None:
        self._loop = loop
        self._limits = limits
        self.disk = disk
        self.away = False
        self.cut: set[str] = set()
        self.slow: set[str] = set()
        self.written: list[Written] = []
        self.lives: dict[str, list[int]] = {}
        """By node: the numbers under which it joined."""
        self.late: dict[str, list[Sending]] = {}
        """By node: what arrives just after that host was given up, the worst moment there is."""
        self._owners: dict[str, int | None] = {}
        self.faults: list[str] = []

    def now(self) -> Micros:
        """What the database's clock says; no host's says the same."""
        return Micros(DISK_EPOCH + int(self._loop.time() * SECOND))

    def reaches(self, node: str) -> bool:
        """Whether the two can talk."""
        return not self.away and node not in self.cut

    def expires_in(self, incarnation: int) -> float | None:
        """For how many seconds a life of a host holds; None if it was given up."""
        query = "SELECT expires_at FROM host WHERE incarnation = ?"
        row = self.disk.db.execute(query, (incarnation,)).fetchone()
        return None if row is None else (row[0] - self.now()) / SECOND

    def rows(self) -> set[int]:
        """The lives that stand."""
        return {row[0] for row in self.disk.db.execute("SELECT incarnation FROM host")}

    def held(self, node: str) -> set[str]:
        """The live runs that a host holds, by any of its lives."""
        query = "SELECT id FROM run WHERE owner = ?"
        found = self.disk.db.execute
        return {row[0] for life in self.lives.get(node, ()) for row in found(query, (life,))}

    def given_up(self) -> set[int]:
        """The lives that others ended."""
        return {row[0] for row in self.disk.db.execute("SELECT incarnation FROM past_host WHERE NOT drained")}

    def holder(self, run_id: str) -> tuple[int | None, str] | None:
        """Which life of a host holds a run, or its runner while it waits for a slot, and its state."""
        query = "SELECT coalesce(owner, held_by), state FROM run WHERE id = ?"
        row = self.disk.db.execute(query, (run_id,)).fetchone()
        return None if row is None else (row[0], str(row[1]))

    def run_of(self, call_id: str) -> str | None:
        """The run of a call."""
        row = self.disk.db.execute("SELECT run_id FROM effect WHERE id = ?", (call_id,)).fetchone()
        return None if row is None else str(row[0])

    def transact(self, node: str, act: Act, locks: tuple[Lock, ...]) -> "tuple[Outcome, list[Block]]":
        """Run one act under its locks. A refusal leaves nothing behind."""
        db = self.disk.db
        tx = SharedTx(self)
        db.execute("BEGIN IMMEDIATE")
        try:
            for lock in locks:
                tx.stands(lock)
            value = act(tx)
            blocks = tx.flush()
            db.execute("COMMIT")
        except TenureError as refusal:
            return Outcome(error=refusal), []
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        self._note(node, value, locks, blocks)
        if self.late:
            self._arrive_late()
        return Outcome(value), blocks

    def _arrive_late(self) -> None:
        """What was on its way when its host fell silent arrives once that host was given up."""
        stand = self.rows()
        for node in [node for node in self.late if not stand & {*self.lives.get(node, ())}]:
            for sending in self.late.pop(node):
                if sending.done is None:
                    sending.done = self.transact(node, sending.act, sending.locks)

    def _note(self, node: str, value: object, locks: tuple[Lock, ...], blocks: list[Block]) -> None:
        if isinstance(value, Lease):
            self.lives.setdefault(node, []).append(value.incarnation)
        lives = [int(str(lock.values["incarnation"])) for lock in locks if lock.rank is Rank.HOST]
        life, run_id = (lives[0] if lives else None), line_of(locks)
        at = self._loop.time()
        self.written += [Written(at, node, life, run_id, b.first, b.session_id, b.entries) for b in blocks]
        if blocks:
            self._count()
            self._judge(node, life, blocks)

    def _judge(self, node: str, life: int | None, blocks: list[Block]) -> None:
        """A host writes while it stands; a run is taken over from a host that doesn't."""
        stand = self.rows()
        if life is not None and life not in stand:
            self.faults.append(f"{node} wrote as life {life}, which was given up")
        for entry in (entry for block in blocks for entry in block.entries):
            run_id = entry.run_id or ""
            before = self._owners.get(run_id)
            lost = isinstance(entry.event, RunRetried) and entry.event.reason == "host_lost"
            if lost and before in stand:
                self.faults.append(f"{node} took {run_id} from life {before}, which stands")
            if isinstance(entry.event, RunStarted | RunRetried | RunResumed):
                self._owners[run_id] = life

    def _count(self) -> None:
        """No more runs hold a slot than there are."""
        query = "SELECT tenant, author, count(*) FROM run WHERE state IN ('running', 'interrupting')"
        counts = self.disk.db.execute(query + " GROUP BY tenant, author").fetchall()
        live = sum(count for _, _, count in counts)
        if live > self._limits.live_runs:
            self.faults.append(f"{live} runs hold a slot, and there are {self._limits.live_runs}")
        for tenant, author, count in counts:
            most = self._limits.live_runs_per_user
            if count > most:
                self.faults.append(f"{author} of {tenant} holds {count} slots of {most}")


class SharedTx(SqliteTx):
    """A transaction of one of many hosts: it keeps nothing, and leases go by the database's clock."""

    def __init__(self, shore: Shore) -> None:
        super().__init__(shore.disk.db, Heads())
        self._shore = shore

    def now(self, at: Micros) -> Micros:
        return self._shore.now()

    def stands(self, lock: Lock) -> None:
        """Sessions need no lock here; a host must stand."""
        if lock.rank is Rank.HOST and self.one("host_stands", **lock.values) is None:
            raise given_up(Lease(int(str(lock.values["incarnation"]))))


class Sending:
    """An act on its way to the database and back."""

    __slots__ = ("act", "done", "future", "locks", "since")

    def __init__(
        self, act: Act, locks: tuple[Lock, ...], future: "asyncio.Future[Any]", since: float
    ) -> None:
        self.act = act
        self.locks = locks
        self.future = future
        self.since = since
        self.done: tuple[Outcome, list[Block]] | None = None


class Ambush:
    """Waits for the n-th act that a host sends: of the owner of a run, or any."""

    def __init__(self, countdown: int, *, owners: bool, sprung: "asyncio.Future[None]") -> None:
        self._countdown = countdown
        self._owners = owners
        self.sprung = sprung

    def pass_by(self, *, owners: bool) -> None:
        """An act is sent."""
        self._countdown -= owners or not self._owners
        if self._countdown <= 0 and not self.sprung.done():
            self.sprung.set_result(None)


class SharedLane:
    """One host's way to the shared database. Made, and used, on the host's own node."""

    def __init__(self, loop: SimLoop, shore: Shore, landmarks: Landmarks, node: str) -> None:
        self._loop = loop
        self._shore = shore
        self._landmarks = landmarks
        self._node = node
        self._meter = Meter()
        self._listener: Callable[[Block], None] = nobody
        self._lines: dict[str, deque[Sending]] = {}
        self._on_the_way: dict[Sending, None] = {}
        self._open = True
        self.ambush: Ambush | None = None

    @property
    def vital(self) -> "SharedLane":
        """The way of what can't wait for a busy database: here it never is."""
        return self

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        self._listener = listener

    def write(self, act: Callable[[Tx], T], *locks: Lock) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self._loop.create_future()
        if not self._open:
            future.set_exception(gone())
            return future
        sending = Sending(act, locks, future, self._loop.time())
        run_id = line_of(locks)
        if self.ambush is not None:
            self.ambush.pass_by(owners=run_id is not None)
        if run_id is None:
            self._send(sending, None)
        elif run_id in self._lines:
            self._lines[run_id].append(sending)
        else:
            self._lines[run_id] = deque()
            self._send(sending, run_id)
        return future

    def append(self, lease: Lease, append: Append) -> "asyncio.Future[None]":
        act = partial(runs.append, lease=lease, append=append)
        return self.write(act, host(lease), session_of_run(append.run_id))

    async def read(self, query: Callable[[Look], T]) -> T:
        return await self._ask(query)

    async def peek(self, query: Callable[[Look], T]) -> T:
        return await self._ask(query)

    async def _ask(self, query: Callable[[Look], T]) -> T:
        since = self._loop.time()
        await asyncio.sleep(self._delay())
        while self._open and not self._shore.reaches(self._node):
            if self._loop.time() > since + PATIENCE_S:
                raise away()
            await asyncio.sleep(AGAIN_S)
        if not self._open:
            raise gone()
        found = query(SqliteLook(self._shore.disk.db))
        await asyncio.sleep(self._delay())
        return found

    def commits(self) -> Commits:
        return self._meter.read()

    def healthy(self) -> bool:
        return self._open

    def close(self) -> None:
        """Take nothing more; what is on its way gets there."""
        self._open = False

    def flush(self, draw: random.Random) -> None:
        """The host stops in its tracks: some of what it sent has left it, the rest hasn't, or is late."""
        for sending in [*self._on_the_way]:
            if sending.done is None and self._shore.reaches(self._node):
                fate = draw.random()
                if fate < 0.6:
                    sending.done = self._shore.transact(self._node, sending.act, sending.locks)
                elif fate < 0.8:
                    self._shore.late.setdefault(self._node, []).append(sending)

    def strand(self, draw: random.Random) -> None:
        """The host is dead: some of what it sent arrives long after."""
        for sending in [*self._on_the_way]:
            if sending.done is None:
                fate = draw.random()
                if fate < 0.3:
                    self._loop.spawn(NETWORK, self._arrive(sending, draw.choice((0.0, 0.5, 5.0, 14.0, 25.0))))
                elif fate < 0.8:
                    self._shore.late.setdefault(self._node, []).append(sending)

    async def _arrive(self, sending: Sending, delay: float) -> None:
        await asyncio.sleep(delay)
        if sending.done is None:
            sending.done = self._shore.transact(self._node, sending.act, sending.locks)

    # --- there and back

    def _delay(self) -> float:
        """A database is quick, sometimes slow, and now and then awfully slow."""
        choices = (0.3, 0.8, 1.5) if self._node in self._shore.slow else _DELAYS
        return self._loop.random.choice(choices)

    def _send(self, sending: Sending, run_id: str | None) -> None:
        self._on_the_way[sending] = None
        self._loop.call_later(self._delay(), self._execute, sending, run_id)

    def _execute(self, sending: Sending, run_id: str | None) -> None:
        if sending.done is None and not self._shore.reaches(self._node):
            if self._loop.time() <= sending.since + PATIENCE_S:
                self._loop.call_later(AGAIN_S, self._execute, sending, run_id)
                return
            sending.done = Outcome(error=away()), []
            self._finish(sending, run_id)
            return
        try:
            self._landmarks.passed(Landmark.BATCH_BEGUN)
            if sending.done is None:
                self._landmarks.passed(Landmark.COMMIT_BEFORE)
                sending.done = self._shore.transact(self._node, sending.act, sending.locks)
                self._landmarks.passed(Landmark.COMMIT_AFTER)
        except Killed:
            return
        self._meter.add(0.001, sending.done[1])
        self._loop.call_later(self._delay(), self._answer, sending, run_id)

    def _answer(self, sending: Sending, run_id: str | None) -> None:
        """While the two can't talk, nobody knows what became of it; later the database tells."""
        if self._shore.reaches(self._node):
            self._finish(sending, run_id)
        else:
            self._loop.call_later(AGAIN_S, self._answer, sending, run_id)

    def _finish(self, sending: Sending, run_id: str | None) -> None:
        del self._on_the_way[sending]
        assert sending.done is not None
        outcome, blocks = sending.done
        self._landmarks.passed(Landmark.DELIVERY_BEFORE)
        for block in blocks:
            self._listener(block)
        resolve(sending.future, outcome)
        if not sending.future.cancelled():
            sending.future.exception()  # else one whose host dies right now would complain
        self._landmarks.passed(Landmark.DELIVERY_AFTER)
        if run_id is None:
            return
        if self._lines[run_id]:
            following = self._lines[run_id].popleft()
            following.since = self._loop.time()
            self._send(following, run_id)
        else:
            del self._lines[run_id]


_DELAYS = (0.0, 0.000_2, 0.001, 0.001, 0.004, 0.03, 0.2)


def line_of(locks: tuple[Lock, ...]) -> str | None:
    """The run whose writes an act stands among, if it is its owner's."""
    owners = any(lock.rank is Rank.HOST for lock in locks)
    run = next((lock for lock in locks if lock.name == "lock_session_of_run"), None)
    return str(run.values["id"]) if owners and run is not None else None


def away() -> TenureError:
    """The refusal while the database can't be reached."""
    return TenureError(Code.STORE_UNAVAILABLE, "The store can't be reached. Nothing was changed. Try again.")
