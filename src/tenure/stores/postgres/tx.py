"""Reads and transactions on one connection to Postgres, for code that runs under `bridge.run`."""

from collections.abc import Iterator, Sequence
from typing import Any

from tenure.core.moment import Micros
from tenure.ports.store import Block
from tenure.stores.postgres.bridge import wait
from tenure.stores.postgres.connect import Db
from tenure.stores.postgres.faults import Away
from tenure.stores.postgres.late import STRIPES, Late
from tenure.stores.postgres.queries import SQL
from tenure.stores.postgres.words import lexemes, query_of
from tenure.stores.relational.locks import Lock, Rank
from tenure.stores.relational.tx import Fence, Head, Moved, Tx

PREFETCHED = 64
"""How many rows are fetched at once where not all may be wanted."""


def arguments(name: str, values: dict[str, object]) -> tuple[str, list[object]]:
    """The statement of that name, and its values in their places."""
    statement = SQL[name]
    return statement.sql, [values[each] for each in statement.names]


class PostgresLook:
    """Reads through one connection. In a transaction of its own it sees one snapshot."""

    def __init__(self, db: Db, *, snapshot: bool) -> None:
        self._db = db
        self._snapshot = snapshot

    def one(self, name: str, /, **values: object) -> Any:
        sql, given = arguments(name, values)
        return wait(self._db.fetchrow(sql, *given))

    def all(self, name: str, /, **values: object) -> list[Any]:
        sql, given = arguments(name, values)
        return wait(self._db.fetch(sql, *given))

    def each(self, name: str, /, **values: object) -> Iterator[Any]:
        if not self._snapshot:
            return iter(self.all(name, **values))
        return _fetched(self._db, *arguments(name, values))

    def rows(self, name: str, /, **values: object) -> Iterator[dict[str, Any]]:
        return map(dict, self.each(name, **values))

    def first(self, name: str, /, **values: object) -> dict[str, Any] | None:
        row = self.one(name, **values)
        return None if row is None else dict(row)

    def match(self, words: str, tenant: str | None) -> str:
        return query_of(words, tenant)


def _fetched(db: Db, sql: str, given: Sequence[object]) -> Iterator[Any]:
    cursor = wait(db.cursor(sql, *given))
    while found := wait(cursor.fetch(PREFETCHED)):
        yield from found


class PostgresTx(Tx):
    """One transaction at work on one connection."""

    alone = False

    def __init__(self, db: Db) -> None:
        super().__init__()
        self._db = db
        self._heads: dict[int, Head] = {}
        self._changed = 0
        self.wrote = False
        """Whether a statement ran that may have changed something."""
        self._reads = PostgresLook(db, snapshot=True)
        self._late = Late()

    def one(self, name: str, /, **values: object) -> Any:
        self.wrote = self.wrote or SQL[name].writes
        return self._reads.one(name, **values)

    def all(self, name: str, /, **values: object) -> list[Any]:
        self.wrote = self.wrote or SQL[name].writes
        return self._reads.all(name, **values)

    def each(self, name: str, /, **values: object) -> Iterator[Any]:
        return self._reads.each(name, **values)

    def rows(self, name: str, /, **values: object) -> Iterator[dict[str, Any]]:
        return self._reads.rows(name, **values)

    def match(self, words: str, tenant: str | None) -> str:
        return self._reads.match(words, tenant)

    def do(self, name: str, /, **values: object) -> int:
        self.wrote = self.wrote or SQL[name].writes
        if self._late.keep(name, values):
            return 1
        sql, given = arguments(name, values)
        changed = _count(wait(self._db.execute(sql, *given)))
        self._changed += changed
        return changed

    def insert(self, name: str, /, **values: object) -> int:
        self._changed += 1
        return super().insert(name, **values)

    def now(self, at: Micros) -> Micros:
        return Micros(self.one("clock")[0])

    def lock(self, lock: Lock) -> bool:
        """Take a lock before the act looks at anything. False if there is nothing of that name to lock."""
        found = self.all(lock.name, **lock.values)
        for row in found if lock.rank is Rank.HEAD else ():
            no, strand, seq = row
            self._heads[no] = Head(strand, seq)
        return bool(found)

    def standing(self, no: int) -> Head:
        head = self._heads.get(no)
        if head is None:
            raise RuntimeError(
                f"An act decides on session {no} without holding its head; lock it beforehand."
            )
        return head

    def hold(self, no: int) -> None:
        if no not in self._heads:
            strand, seq = self.one("head_get", no=no)
            self._heads[no] = Head(strand, seq)

    def holds(self, no: int) -> bool:
        return no in self._heads

    def move_slots(self, tenant: str, author: str, *, live: int, queued: int) -> None:
        self.wrote = True
        self._late.move_slots(tenant, author, live, queued)

    def moved(self, tenant: str, author: str) -> Moved:
        return self._late.moved(tenant, author)

    def others_starting(self, tenant: str, author: str, most: int) -> int:
        held = len(self.all("slot_gate", tenant=tenant, author=author, most=most, stripes=STRIPES))
        return STRIPES - held

    def spend_alone(self, tenant: str, author: str) -> None:
        self.all("lock_spending", tenant=tenant, author=author)

    def fence(self, run_id: str, incarnation: int) -> Fence | None:
        row = self.one("run_fence", run_id=run_id, owner=incarnation)
        return None if row is None else Fence(incarnation, *row)

    def unfence(self, run_id: str) -> None:
        """Nothing is kept between transactions."""

    def add_words(self, message_no: int) -> None:
        tenant, content = self.one("search_text", message_no=message_no)
        self.do("search_add", doc=message_no, words=lexemes(tenant, content, json=True))

    def add_title(self, no: int) -> None:
        row = self.one("search_words", no=no)
        if row is not None:
            self.do("search_add", doc=-no, words=lexemes(row[0], row[1], json=False))

    def merge_words(self, *, begin: bool) -> bool:
        return True

    def mark(self) -> tuple[int, int]:
        return self._changed, self._recorded

    def flush(self, seat: int, mark: int) -> list[Block]:
        """Write the rows of the journal, and the transaction's number at its seat, if it wrote anything.

        Returns the rows as blocks, to be handed on after the commit. Raises Away if the seat isn't known.
        """
        self._late.write(self.do)
        blocks = [fresh.block() for fresh in self._fresh.values()]
        if blocks or self._touched:
            marked = self.one(
                "act_end",
                seat=seat,
                mark=mark,
                nos=list(self._fresh),
                strands=[fresh.strand for fresh in self._fresh.values()],
                firsts=[block.first for block in blocks],
                lasts=[block.last for block in blocks],
                bodies=[block.body for block in blocks],
                touched=list(self._touched),
                ats=[at for at, _ in self._touched.values()],
                counts=[count for _, count in self._touched.values()],
            )
        else:
            marked = not self.wrote or self.one("mark_set", seat=seat, mark=mark)
        if not marked:
            raise Away("its connection stood unused for too long")
        return blocks


def _count(status: str) -> int:
    """How many rows a statement changed, by its command tag."""
    tail = status.rpartition(" ")[2]
    return int(tail) if tail.isdigit() else 0
