"""One session under examination, and its journal read back."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

import msgspec

from tenure.core.entry import Recorded, lines_of, record
from tenure.core.event import SessionCreated
from tenure.core.evidence import Observed, Stored, StoredSpan


class Line(NamedTuple):
    seq: int
    line: bytes


class Case(NamedTuple):
    """One session under examination: what is stored, what was observed, and the journal read back."""

    stored: Stored
    observed: Observed
    lines: dict[int, bytes]
    journal: list[Recorded]

    @property
    def own(self) -> list[Recorded]:
        """The entries of this session alone: of a fork, those since it branched off."""
        branches = [
            at
            for at, entry in enumerate(self.journal)
            if isinstance(entry.event, SessionCreated) and entry.event.parent is not None
        ]
        return self.journal[branches[-1] :] if branches else self.journal


Fault: TypeAlias = tuple[str, tuple[int, ...]]
Faults: TypeAlias = Iterator[Fault]


def lines(spans: Iterable[StoredSpan]) -> Iterator[Line]:
    for span in spans:
        for seq, rest in enumerate(lines_of(span.body), span.first):
            yield Line(seq, b"{" + rest)


def read(lines: Iterable[Line]) -> tuple[list[Recorded], list[Fault]]:
    journal: list[Recorded] = []
    faults: list[Fault] = []
    for seq, line in lines:
        try:
            journal.append(record(seq, line))
        except (msgspec.MsgspecError, ValueError) as error:
            faults.append((f"Entry {seq} can't be read: {error}", (seq,)))
    return journal, faults
