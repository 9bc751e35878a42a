"""What of a journal is retired, and what is left of it: a snapshot for each strand, in lines."""

from collections.abc import Iterator
from typing import NamedTuple

from tenure.core.entry import Recorded
from tenure.core.snapshot import seq_of, unfolded
from tenure.stores.relational.look import Look

_BEYOND = 1 << 62


class Retired(NamedTuple):
    """The number up to which the entries of a session are retired, and the lines that are kept of them."""

    through: int = 0
    lines: tuple[bytes, ...] = ()


def retired(db: Look, no: int, strand: int) -> Retired:
    """What is left of the oldest entries of a session, those that a fork shares included."""
    through = floor = 0
    lines: list[bytes] = []
    for part, limit in _parts(db, no, strand):
        row = db.one("snapshot_get", strand=part)
        if row is None or row[0] <= floor:
            break
        through = min(row[0], limit)
        lines += (line for line in row[1].split(b"\n") if line and floor < seq_of(line) <= through)
        if through < limit:
            break
        floor = limit
    return Retired(through, tuple(lines))


def entries(db: Look, no: int, strand: int) -> Iterator[Recorded]:
    """What is left of them, in order."""
    return unfolded(retired(db, no, strand).lines)


def _parts(db: Look, no: int, strand: int) -> list[tuple[int, int]]:
    """The strands that a session is made of, its own last, and the number up to which each counts."""
    shared = db.all("strand_list", no=no)
    return [*((part, through) for part, through in shared), (strand, _BEYOND)]
