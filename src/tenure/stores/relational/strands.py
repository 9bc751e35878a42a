"""Strands: whose rows make up the journal of a session. A fork begins with rows of its parent's.

A session that is no fork has one strand, its own, and nothing here asks the database about others then.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from tenure.core.entry import Recorded, lines_of, record
from tenure.stores.relational import retired
from tenure.stores.relational.look import Look

Range: TypeAlias = tuple[int, int, bytes]
"""First and last number of a stored row, and its bytes."""


class Place(NamedTuple):
    """Where a session's journal stands: its own strand, its head, and up to where it is shared."""

    no: int
    strand: int
    top: int
    base: int


class Part(NamedTuple):
    """A strand of another session, and the number up to which this one reads it."""

    strand: int
    through: int


NOWHERE = Place(0, 0, 0, 0)


def place(db: Look, session_id: str) -> Place:
    """The journal of a session; head 0 of strand 0 if it isn't there."""
    row = db.one("read_place", id=session_id)
    return NOWHERE if row is None else Place(*row)


def parts(db: Look, no: int) -> list[Part]:
    """The strands with which a session begins, in order, its own not among them."""
    return [Part(*row) for row in db.each("strand_list", no=no)]


def after(db: Look, at: Place, cursor: int) -> Iterator[Range]:
    """The stored ranges behind a cursor, oldest first."""
    if cursor < at.base:
        for part in parts(db, at.no):
            if part.through > cursor:
                yield from _upto(db, part, cursor)
                cursor = part.through
    yield from db.each("journal_after", strand=at.strand, after=cursor)


def _upto(db: Look, part: Part, cursor: int) -> Iterator[Range]:
    named = {"strand": part.strand, "after": cursor, "through": part.through}
    return _cut(db.each("journal_until", **named), part.through)


def _cut(rows: Iterable[Range], through: int) -> Iterator[Range]:
    """Rows without what lies beyond a number."""
    for first, last, body in rows:
        if last <= through:
            yield first, last, body
        else:
            yield first, through, b"\n".join(body.split(b"\n")[: through - first + 1])


def before(db: Look, at: Place, cursor: int) -> Iterator[Range]:
    """The stored ranges that begin before a cursor, newest first."""
    if cursor > at.base + 1:
        yield from db.each("journal_before", strand=at.strand, before=cursor)
    if not at.base:
        return
    shared = parts(db, at.no)
    for part, floor in zip(shared[::-1], [p.through for p in shared[-2::-1]] + [0], strict=True):
        through = min(part.through, cursor - 1)
        if through > floor:
            named = {"strand": part.strand, "through": through}
            for first, last, body in _cut(db.each("journal_back", **named), part.through):
                if last <= floor:
                    break
                yield first, last, body


def entries(db: Look, at: Place, through: int) -> Iterator[Recorded]:
    """Every entry of a journal up to a number; of those that were retired, what is left."""
    for recorded in retired.entries(db, at.no, at.strand):
        if recorded.seq <= through:
            yield recorded
    for first, _, body in after(db, at, 0):
        if first > through:
            return
        for seq, rest in enumerate(lines_of(body), first):
            if seq <= through:
                yield record(seq, b"{" + rest)
