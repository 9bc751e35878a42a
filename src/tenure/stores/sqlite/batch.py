"""Group commit: many acts, one transaction. Plain synchronous code that knows of no thread.

An act is a function of a `Tx`. It reads under the one write lock, decides, writes, and records entries.
Entries of one session that fall into one transaction become one row of the journal. An act that refuses
before it wrote anything fails alone; if it wrote first, or if anything unforeseen happens, the batch is
undone and its acts run again one by one, so that one bad act fails alone.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import MsgspecError

from tenure.core.moment import Micros
from tenure.errors import Code, TenureError
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.store import Block
from tenure.stores.relational.lane import Outcome
from tenure.stores.relational.tx import Act, Fence, Head, Tx
from tenure.stores.sqlite.matching import match_of
from tenure.stores.sqlite.queries import SQL

HOT_HEADS = 4_096
PAGES_AT_ONCE = 256
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


class Fatal(Exception):
    """The outcome of a COMMIT is unknown. The process must end; recovery decides."""


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


class SqliteLook:
    """Reads through one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def one(self, name: str, /, **values: object) -> Any:
        return self.db.execute(SQL[name], values).fetchone()

    def all(self, name: str, /, **values: object) -> list[Any]:
        return self.db.execute(SQL[name], values).fetchall()

    def each(self, name: str, /, **values: object) -> Iterator[Any]:
        return self.db.execute(SQL[name], values)

    def rows(self, name: str, /, **values: object) -> Iterator[dict[str, Any]]:
        return _named(self.db.execute(SQL[name], values))

    def first(self, name: str, /, **values: object) -> dict[str, Any] | None:
        return next(self.rows(name, **values), None)

    def match(self, words: str, tenant: str | None) -> str:
        return match_of(words, tenant)


def _named(cursor: sqlite3.Cursor) -> Iterator[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


class SqliteTx(Tx):
    """One transaction at work on the one writing connection."""

    def __init__(self, db: sqlite3.Connection, heads: Heads) -> None:
        super().__init__()
        self._db = db
        self._heads = heads

    def one(self, name: str, /, **values: object) -> Any:
        return self._db.execute(SQL[name], values).fetchone()

    def all(self, name: str, /, **values: object) -> list[Any]:
        return self._db.execute(SQL[name], values).fetchall()

    def each(self, name: str, /, **values: object) -> Iterator[Any]:
        return self._db.execute(SQL[name], values)

    def rows(self, name: str, /, **values: object) -> Iterator[dict[str, Any]]:
        return _named(self._db.execute(SQL[name], values))

    def match(self, words: str, tenant: str | None) -> str:
        return match_of(words, tenant)

    def do(self, name: str, /, **values: object) -> int:
        return self._db.execute(SQL[name], values).rowcount

    def many(self, name: str, values: Sequence[Mapping[str, object]]) -> int:
        return self._db.executemany(SQL[name], values).rowcount if values else 0

    def now(self, at: Micros) -> Micros:
        return at

    def standing(self, no: int) -> Head:
        return self._heads.get(self._db, no)

    def hold(self, no: int) -> None:
        """The one writer of a file holds everything."""

    def holds(self, no: int) -> bool:
        return True

    def fence(self, run_id: str, incarnation: int) -> Fence | None:
        fence = self._heads.fences.get(run_id)
        if fence is None:
            row = self._db.execute(SQL["run_fence"], (run_id, incarnation)).fetchone()
            if row is None:
                return None
            fence = self._heads.fences[run_id] = Fence(incarnation, *row)
        return fence if fence.incarnation == incarnation else None

    def unfence(self, run_id: str) -> None:
        self._heads.fences.pop(run_id, None)

    def add_words(self, message_no: int) -> None:
        self.do("search_add", message_no=message_no)

    def add_title(self, no: int) -> None:
        self.do("search_title", no=no)

    def merge_words(self, *, begin: bool) -> bool:
        # A negative number begins a merge of everything, positive ones go on with it.
        sign = -1 if begin else 1
        before = self._db.total_changes
        self._db.execute(SQL["search_merge"], {"pages": sign * PAGES_AT_ONCE})
        return not begin and self._db.total_changes - before < 2

    def mark(self) -> tuple[int, int]:
        return self._db.total_changes, self._recorded

    def flush(self) -> list[Block]:
        """Write the rows of the journal. Returns them as blocks, to be handed on after the commit."""
        blocks = [fresh.block() for fresh in self._fresh.values()]
        rows = [
            (f.strand, b.first, b.last, b.body) for f, b in zip(self._fresh.values(), blocks, strict=True)
        ]
        self._db.executemany(SQL["journal_insert"], rows)
        self._db.executemany(
            SQL["head_set"], [(b.last, no) for no, b in zip(self._fresh, blocks, strict=True)]
        )
        touched = [(at, count, no) for no, (at, count) in self._touched.items()]
        self._db.executemany(SQL["session_touch"], touched)
        return blocks


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
        tx = SqliteTx(self._db, self._heads)
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
