"""One transaction at work: what acts read and write through, whatever the database.

An act is a function of a `Tx`. It reads under its session's lock, decides, writes, and records entries.
Entries of one session that fall into one transaction become one row of the journal. Each dialect brings
the statements and the way they are run; numbering and projection are the same everywhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from tenure.core.entry import Entry
from tenure.core.event import MessageDelta, ReasoningDelta
from tenure.core.moment import Micros
from tenure.core.transcript import changes
from tenure.ports.store import Block
from tenure.stores.relational.project import Intake, Projection

_QUIET = (MessageDelta, ReasoningDelta)


class Moved(NamedTuple):
    """What an act did to the slots of everybody and of one author, where that isn't written yet."""

    live: int = 0
    queued: int = 0
    own_live: int = 0


class Raced(Exception):
    """An act found more to decide on than it had locked beforehand. It is undone and run again."""


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


class Fresh(NamedTuple):
    """What a transaction recorded for one session so far."""

    session_id: str
    strand: int
    first: int
    entries: list[Entry]

    def block(self) -> Block:
        """The range that these entries become."""
        return Block(
            session_id=self.session_id,
            first=self.first,
            last=self.first + len(self.entries) - 1,
            body=b"\n".join([entry.line for entry in self.entries]),
            entries=tuple(self.entries),
        )


class Tx(ABC):
    """One transaction."""

    def __init__(self) -> None:
        self._fresh: dict[int, Fresh] = {}
        self._touched: dict[int, tuple[Micros, int]] = {}
        self._recorded = 0
        self.frees = False
        """Whether content of somebody was freed, so that the log holds what nobody should find."""
        self.cleans = False
        """Whether this is a moment to empty the log, if it holds such content."""

    # what a dialect brings

    @abstractmethod
    def one(self, name: str, /, **values: object) -> Any:
        """The first row of a named query, or None."""

    @abstractmethod
    def all(self, name: str, /, **values: object) -> list[Any]:
        """All rows of a named query."""

    @abstractmethod
    def each(self, name: str, /, **values: object) -> Iterator[Any]:
        """The rows of a named query one after the other."""

    @abstractmethod
    def rows(self, name: str, /, **values: object) -> Iterator[dict[str, Any]]:
        """The rows of a named query by column name."""

    @abstractmethod
    def match(self, words: str, tenant: str | None) -> str:
        """A search box's words as a query of the index."""

    @abstractmethod
    def do(self, name: str, /, **values: object) -> int:
        """Run a named statement. Returns how many rows it changed."""

    @abstractmethod
    def now(self, at: Micros) -> Micros:
        """What time it is for leases: by the database's clock, where it has one; else `at`, the host's."""

    @abstractmethod
    def standing(self, no: int) -> Head:
        """The head of session `no`."""

    @abstractmethod
    def hold(self, no: int) -> None:
        """Take the head of a session that this act made, or has just locked by a statement of its own.

        All other heads are locked before the act begins: see `locks`.
        """

    @abstractmethod
    def holds(self, no: int) -> bool:
        """Whether nobody else can decide anything about session `no` meanwhile."""

    @abstractmethod
    def fence(self, run_id: str, incarnation: int) -> Fence | None:
        """Where a live run is, if this life of a host holds it; None if it may not write."""

    @abstractmethod
    def unfence(self, run_id: str) -> None:
        """Nobody holds the run any more."""

    @abstractmethod
    def add_words(self, message_no: int) -> None:
        """Put the words of a finished message into the index."""

    @abstractmethod
    def add_title(self, no: int) -> None:
        """Put the words of a session's title into the index, if it has one."""

    @abstractmethod
    def merge_words(self, *, begin: bool) -> bool:
        """Rewrite a part of the index of words. Whether nothing that was freed is left in it."""

    @abstractmethod
    def mark(self) -> tuple[int, int]:
        """A measure of everything written so far."""

    # what only a database with several writers says otherwise

    alone = True
    """Whether nothing else writes meanwhile."""

    def move_slots(self, tenant: str, author: str, *, live: int, queued: int) -> None:
        """A run of the author began or ceased to hold a slot, or to wait for one."""
        self.do("slot_move", tenant=tenant, author=author, live=live, queued=queued)
        served = queued < 0 < live
        if queued > 0 or served:
            self.do("slot_turns")
            self.do("slot_turn", tenant=tenant, author=author, served=served)

    def moved(self, tenant: str, author: str) -> Moved:
        """What this act did to the slots that reads don't show yet."""
        return Moved()

    def others_starting(self, tenant: str, author: str, most: int) -> int:
        """Have no other run of the author started meanwhile; at most so many of others are."""
        return 0

    def spend_alone(self, tenant: str, author: str) -> None:
        """Have nothing else judged meanwhile by what is left of the author's day."""
        assert self.alone, "a database with several writers says how"

    # what is the same everywhere

    def first(self, name: str, /, **values: object) -> dict[str, Any] | None:
        """The first row of a named query by column name, or None."""
        return next(self.rows(name, **values), None)

    def must(self, name: str, /, **values: object) -> None:
        """Run a statement that changes exactly one row. Anything else is a bug and undoes the act."""
        changed = self.do(name, **values)
        if changed != 1:
            raise RuntimeError(f"{name} changed {changed} rows instead of one: {values}")

    def many(self, name: str, values: Sequence[Mapping[str, object]]) -> int:
        """Run a statement once for each of `values`. Returns how many rows it changed in all."""
        return sum(self.do(name, **each) for each in values)

    def insert(self, name: str, /, **values: object) -> int:
        """Run a statement that makes one row and returns its number."""
        (row,) = self.all(name, **values)
        return int(row[0])

    def head(self, no: int) -> int:
        """The number of the session's last entry, this transaction's included."""
        return self.standing(no).seq

    def record(self, no: int, session_id: str, entries: Sequence[Entry], intake: Intake | None = None) -> int:
        """Give `entries` the next numbers and project them into the tables. Returns the last number.

        `intake` is what the row of a message keeps besides its `message.admitted`.
        """
        head = self.standing(no)
        if not entries:
            return head.seq
        first = head.seq + 1
        fresh = self._fresh.get(no)
        if fresh is None:
            fresh = self._fresh[no] = Fresh(session_id, head.strand, first, [])
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
                Projection(self.do, no, self.touch, intake).apply(change, seq, entry)

    def touch(self, no: int, at: Micros, messages: int) -> None:
        """Something happened in a session, and its transcript has `messages` more. Written at the end."""
        latest, count = self._touched.get(no, (at, 0))
        self._touched[no] = (max(latest, at), count + messages)

    def pending(self, no: int) -> list[tuple[int, bytes]]:
        """What this transaction recorded for a session so far, as (number, line)."""
        fresh = self._fresh.get(no)
        return [] if fresh is None else [(fresh.first + i, e.line) for i, e in enumerate(fresh.entries)]


Act: TypeAlias = Callable[[Tx], Any]


def quiet(entry: Entry) -> bool:
    """Whether an entry changes no table but the journal."""
    return type(entry.event) in _QUIET and not entry.opens
