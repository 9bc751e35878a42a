"""Group commit: many acts, one transaction. Plain synchronous code that knows of no thread.

An act is a function of a `Tx`. It reads under the one write lock, decides, writes, and records entries.
Entries of one session that fall into one transaction become one row of the journal. An act that refuses
before it wrote anything fails alone; if it wrote first, or if anything unforeseen happens, the batch is
undone and its acts run again one by one, so that one bad act fails alone.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from msgspec import MsgspecError

from tenure.core.entry import Entry
from tenure.core.event import MessageDelta, ReasoningDelta
from tenure.core.moment import Micros
from tenure.core.transcript import changes
from tenure.errors import Code, TenureError
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.store import Block
from tenure.stores.sqlite.project import Intake, Projection
from tenure.stores.sqlite.queries import SQL

T = TypeVar("T")

HOT_HEADS = 4_096
_NO_SPACE = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE")
_BUGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MsgspecError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What an act raises when it is wrong. It fails alone, and the writer goes on."""

_QUIET = (MessageDelta, ReasoningDelta)


class Fatal(Exception):
    """The outcome of a COMMIT is unknown. The process must end; recovery decides."""


class Head:
    """Where a session's journal stands, as the transaction at hand sees it."""

    __slots__ = ("seq", "strand")

    def __init__(self, strand: int, seq: int) -> None:
        self.strand = strand
        self.seq = seq


class Fence(NamedTuple):
    """Which life of which host holds a live run, and in which session."""

    incarnation: int
    no: int
    session_id: str


class Heads:
    """Heads of hot sessions and fences of live runs, kept between transactions, forgotten when one fails.

    Both are only true for a writer that is alone, as the one writer of a file is.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Head] = OrderedDict()
        self.fences: dict[str, Fence] = {}

    def get(self, db: sqlite3.Connection, no: int) -> Head:
        """The head of session `no`."""
        head = self._kept.get(no)
        if head is None:
            strand, seq = db.execute(SQL["head_get"], (no,)).fetchone()
            head = self._kept[no] = Head(strand, seq)
        else:
            self._kept.move_to_end(no)
        return head

    def trim(self) -> None:
        """Keep the hottest. Only after a commit: until then the new heads are known nowhere else."""
        while len(self._kept) > HOT_HEADS:
            self._kept.popitem(last=False)
        if len(self.fences) > HOT_HEADS:
            self.fences.clear()

    def forget(self) -> None:
        """Drop everything: a transaction failed."""
        self._kept.clear()
        self.fences.clear()


class _Fresh(NamedTuple):
    session_id: str
    strand: int
    first: int
    entries: list[Entry]


class Tx:
    """One transaction at work."""

    def __init__(self, db: sqlite3.Connection, heads: Heads) -> None:
        self.db = db
        self._heads = heads
        self._fresh: dict[int, _Fresh] = {}
        self._touched: dict[int, tuple[Micros, int]] = {}
        self._recorded = 0
        self.frees = False
        """Whether content of somebody was freed, so that the log holds what nobody should find."""
        self.cleans = False
        """Whether this is a moment to empty the log, if it holds such content."""

    def one(self, name: str, /, **values: object) -> Any:
        """The first row of a named query, or None."""
        return self.db.execute(SQL[name], values).fetchone()

    def all(self, name: str, /, **values: object) -> list[Any]:
        """All rows of a named query."""
        return self.db.execute(SQL[name], values).fetchall()

    def do(self, name: str, /, **values: object) -> int:
        """Run a named statement. Returns how many rows it changed."""
        return self.db.execute(SQL[name], values).rowcount

    def must(self, name: str, /, **values: object) -> None:
        """Run a statement that changes exactly one row. Anything else is a bug and undoes the act."""
        changed = self.do(name, **values)
        if changed != 1:
            raise RuntimeError(f"{name} changed {changed} rows instead of one: {values}")

    def head(self, no: int) -> int:
        """The number of the session's last entry, this transaction's included."""
        return self._heads.get(self.db, no).seq

    def fence(self, run_id: str, incarnation: int) -> Fence | None:
        """Where a live run is, if this life of a host holds it; None if it may not write."""
        fence = self._heads.fences.get(run_id)
        if fence is None:
            row = self.db.execute(SQL["run_fence"], (run_id, incarnation)).fetchone()
            if row is None:
                return None
            fence = self._heads.fences[run_id] = Fence(incarnation, *row)
        return fence if fence.incarnation == incarnation else None

    def unfence(self, run_id: str) -> None:
        """Nobody holds the run any more."""
        self._heads.fences.pop(run_id, None)

    def record(self, no: int, session_id: str, entries: Sequence[Entry], intake: Intake | None = None) -> int:
        """Give `entries` the next numbers and project them into the tables. Returns the last number.

        `intake` is what the row of a message keeps besides its `message.admitted`.
        """
        head = self._heads.get(self.db, no)
        if not entries:
            return head.seq
        first = head.seq + 1
        fresh = self._fresh.get(no)
        if fresh is None:
            fresh = self._fresh[no] = _Fresh(session_id, head.strand, first, [])
        fresh.entries.extend(entries)
        head.seq += len(entries)
        self._recorded += len(entries)
        self._project(no, first, entries, intake)
        return head.seq

    def _project(self, no: int, first: int, entries: Sequence[Entry], intake: Intake | None) -> None:
        for seq, entry in enumerate(entries, first):
            if type(entry.event) in _QUIET and not entry.opens:
                continue
            for change in changes(entry.event, entry.run_id, opens=entry.opens):
                Projection(self.db, no, self.touch, intake).apply(change, seq, entry)

    def touch(self, no: int, at: Micros, messages: int) -> None:
        """Something happened in a session, and its transcript has `messages` more. Written at the end."""
        latest, count = self._touched.get(no, (at, 0))
        self._touched[no] = (max(latest, at), count + messages)

    def pending(self, no: int) -> list[tuple[int, bytes]]:
        """What this transaction recorded for a session so far, as (number, line)."""
        fresh = self._fresh.get(no)
        return [] if fresh is None else [(fresh.first + i, e.line) for i, e in enumerate(fresh.entries)]

    def mark(self) -> tuple[int, int]:
        """A measure of everything written so far."""
        return self.db.total_changes, self._recorded

    def flush(self) -> list[Block]:
        """Write the rows of the journal. Returns them as blocks, to be handed on after the commit."""
        blocks = [_block(fresh) for fresh in self._fresh.values()]
        rows = [
            (f.strand, b.first, b.last, b.body) for f, b in zip(self._fresh.values(), blocks, strict=True)
        ]
        self.db.executemany(SQL["journal_insert"], rows)
        self.db.executemany(
            SQL["head_set"], [(b.last, no) for no, b in zip(self._fresh, blocks, strict=True)]
        )
        touched = [(at, count, no) for no, (at, count) in self._touched.items()]
        self.db.executemany(SQL["session_touch"], touched)
        return blocks


def _block(fresh: _Fresh) -> Block:
    body = b"\n".join([entry.line for entry in fresh.entries])
    last = fresh.first + len(fresh.entries) - 1
    return Block(
        session_id=fresh.session_id,
        first=fresh.first,
        last=last,
        body=body,
        entries=tuple(fresh.entries),
    )


Act: TypeAlias = Callable[[Tx], Any]


class Outcome(NamedTuple):
    """What one act came to."""

    value: Any = None
    error: Exception | None = None


class Committed(NamedTuple):
    """What a batch came to: an outcome per act, in order, and the blocks that are durable now."""

    outcomes: list[Outcome]
    blocks: list[Block]


class _Poison(Exception):
    """An act failed after it had written."""


class Batches:
    """Runs batches of acts on the one writing connection."""

    def __init__(self, db: sqlite3.Connection, landmarks: Landmarks) -> None:
        self._db = db
        self._heads = Heads()
        self._landmarks = landmarks
        self._unclean = True

    def commit(self, acts: Sequence[Act]) -> Committed:
        """Run all acts and make them durable. Raises Fatal if that can't be known."""
        try:
            return self._together(acts)
        except _Poison as poison:
            if len(acts) == 1:
                return Committed([Outcome(error=_refusal(poison.__cause__))], [])
        singles = [self.commit([act]) for act in acts]
        return Committed([s.outcomes[0] for s in singles], [b for s in singles for b in s.blocks])

    def _together(self, acts: Sequence[Act]) -> Committed:
        self._landmarks.passed(Landmark.BATCH_BEGUN)
        tx = Tx(self._db, self._heads)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            outcomes = [_run(act, tx) for act in acts]
            blocks = tx.flush()
        except sqlite3.Error as error:
            self._undo()
            raise _Poison from error
        except _Poison:
            self._undo()
            raise
        self._landmarks.passed(Landmark.COMMIT_BEFORE)
        self._commit()
        self._heads.trim()
        self._landmarks.passed(Landmark.COMMIT_AFTER)
        self._unclean = self._unclean or tx.frees
        if tx.cleans and self._unclean:
            self._unclean = not self._emptied()
        return Committed(outcomes, blocks)

    def _emptied(self) -> bool:
        """Empty the log. False if a reader or the disk stood in the way; nothing waits for it then."""
        (patience,) = self._db.execute("PRAGMA busy_timeout").fetchone()
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            return not self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            return False
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {patience}")

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if error.sqlite_errorname in _NO_SPACE:
                # What was to be written didn't fit, so the commit isn't in the log. Mostly SQLite has
                # rolled back by itself by now.
                self._undo()
                raise _Poison from error
            raise Fatal(f"COMMIT failed: {error}") from error

    def _undo(self) -> None:
        self._heads.forget()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _run(act: Act, tx: Tx) -> Outcome:
    mark = tx.mark()
    try:
        return Outcome(act(tx))
    except TenureError as refusal:
        if tx.mark() != mark:
            raise _Poison from refusal
        return Outcome(error=refusal)
    except sqlite3.Error:
        raise
    except _BUGS as bug:
        raise _Poison from bug


def _refusal(cause: BaseException | None) -> Exception:
    """What the caller of a failed act is told."""
    if isinstance(cause, sqlite3.Error) and cause.sqlite_errorname in _NO_SPACE:
        detail = "The disk that holds the home is full. Nothing was changed. Free some space, then try again."
        return TenureError(Code.STORE_FULL, detail)
    if isinstance(cause, sqlite3.Error):
        return TenureError(Code.INTERNAL, f"The store refused the act: {cause}. Nothing was changed.")
    if isinstance(cause, Exception):
        return cause
    return RuntimeError("An act failed without a cause.")
