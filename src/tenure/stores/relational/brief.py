"""Brief pages of a journal, as `tenure.core.brief` defines them. The database skips what isn't wanted.

Most of a journal is pieces, and most of these are ranges of their own: they never leave the database. What it
can't tell apart is told apart here: ranges of several entries, and pieces of what isn't whole yet.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tenure.core import brief
from tenure.core.entry import lines_of
from tenure.ports.overviews import BriefPage
from tenure.stores.relational import strands
from tenure.stores.relational.look import Look
from tenure.stores.relational.strands import Place

SCAN = 20_000
"""So many numbers a page covers at most, so that none takes long."""
BYTES = 2 << 20
"""About so much a page reads at most."""

_TYPE = {"at": brief.TYPE_AT + 1, "size": brief.TYPE_SIZE, "spoken": brief.SPOKEN}
_PIECES = {**_TYPE, "thought": brief.THOUGHT}


class _Part(NamedTuple):
    """The numbers of a journal that one strand has."""

    strand: int
    low: int
    high: int


class _Live(NamedTuple):
    """The live run of a session, and the number from which on what it says is still being said."""

    run_id: str
    since: int


def after(db: Look, session_id: str, cursor: int, limit: int) -> BriefPage:
    """What follows a number."""
    at = strands.place(db, session_id)
    first = oldest(db, at)
    low = max(cursor + 1, first)
    return _Scan(db, at, low, min(at.top, low + SCAN - 1), forwards=True).page(first, limit)


def before(db: Look, session_id: str, cursor: int, limit: int) -> BriefPage:
    """What precedes a number."""
    at = strands.place(db, session_id)
    first = oldest(db, at)
    high = max(min(cursor - 1, at.top), first - 1)
    return _Scan(db, at, max(first, high - SCAN + 1), high, forwards=False).page(first, limit)


def oldest(db: Look, at: Place) -> int:
    """The first number of a journal that wasn't retired."""
    floor = 0
    for strand, through in [*strands.parts(db, at.no), (at.strand, at.top)]:
        row = db.one("journal_left", strand=strand, after=floor)
        if row is not None and row[0] <= through:
            return max(row[0], floor + 1)
        floor = through
    return at.top + 1


def _parts(db: Look, at: Place, low: int, high: int) -> list[_Part]:
    """The strands that have these numbers, in order."""
    found: list[_Part] = []
    floor = 0
    shared = strands.parts(db, at.no) if low <= at.base else []
    for strand, through in [*shared, (at.strand, high)]:
        floor = max(floor, at.base) if strand == at.strand else floor
        if max(low, floor + 1) <= min(high, through):
            found.append(_Part(strand, max(low, floor + 1), min(high, through)))
        floor = through
    return found


class _Scan:
    """A page in the making. It covers the numbers from `low` to `high`, and fewer once enough is found."""

    def __init__(self, db: Look, at: Place, low: int, high: int, *, forwards: bool) -> None:
        self._db = db
        self._at = at
        self._forwards = forwards
        self.low = low
        self.high = high

    def page(self, oldest: int, limit: int) -> BriefPage:
        """What there is to say about these numbers, at most `limit` entries."""
        lines = self._whole_things(limit)
        lines.update(self._unfinished(lines, limit))
        kept = sorted(pair for pair in lines.items() if self.low <= pair[0] <= self.high)
        return BriefPage(self._cut(kept, limit), self.low, self.high, self._at.top, oldest)

    def _cut(self, kept: list[tuple[int, bytes]], limit: int) -> list[tuple[int, bytes]]:
        if len(kept) <= limit:
            return kept
        if self._forwards:
            self.high = kept[limit - 1][0]
            return kept[:limit]
        self.low = kept[-limit][0]
        return kept[-limit:]

    def _whole_things(self, limit: int) -> dict[int, bytes]:
        """Everything but pieces, and the first piece of each message."""
        lines: dict[int, bytes] = {}
        pieces: dict[int, bytes] = {}
        size = 0
        for first, last, body, entries in self._ranges(whole=False):
            for seq, rest in entries:
                if brief.is_spoken(rest):
                    pieces[seq] = rest
                elif not brief.is_thought(rest):
                    lines[seq] = rest
            size += len(body)
            if len(lines) >= limit or size >= BYTES:
                self._stop(first, last)
                break
        lines.update(self._openings(pieces))
        return lines

    def _openings(self, pieces: dict[int, bytes]) -> Iterator[tuple[int, bytes]]:
        for strand, low, high in _parts(self._db, self._at, self.low, self.high):
            values = {"no": self._at.no, "strand": strand, "low": low, "high": high}
            for seq, body in self._db.each("brief_openings", **values, **_TYPE):
                if body is not None:
                    yield seq, body[1:]
                elif seq in pieces:
                    yield seq, pieces[seq]

    def _unfinished(self, lines: dict[int, bytes], limit: int) -> dict[int, bytes]:
        """The pieces of what isn't whole yet."""
        begun = self._begun(lines)
        live = self._live(lines)
        starts = [*begun.values(), *([live.since] if live else [])]
        if not starts or min(starts) > self.high:
            return {}
        low = max(self.low, min(starts))
        rest = _Scan(self._db, self._at, low, self.high, forwards=self._forwards)
        found = rest.pieces({message_id.encode() for message_id in begun}, live, limit)
        self.high = rest.high
        self.low = rest.low if rest.low > low else self.low
        return found

    def pieces(self, begun: set[bytes], live: _Live | None, limit: int) -> dict[int, bytes]:
        """The pieces of these messages, and what the live run is thinking; at most about `limit`."""
        found: dict[int, bytes] = {}
        size = 0
        for first, last, body, entries in self._ranges(whole=True):
            for seq, rest in entries:
                if brief.is_spoken(rest):
                    if any(message_id in rest for message_id in begun):
                        found[seq] = rest
                elif live and seq >= live.since and brief.is_thought(rest):
                    found[seq] = rest
            size += len(body)
            if len(found) >= limit or size >= BYTES:
                self._stop(first, last)
                break
        return found

    def _begun(self, lines: dict[int, bytes]) -> dict[str, int]:
        """The messages that have no end in what the page covers, and where they began."""
        values = {"no": self._at.no, "low": self.low, "high": self.high}
        begun: dict[str, int] = dict(self._db.each("brief_unfinished", **values))
        whole = [rest for rest in lines.values() if brief.is_completed(rest)] if begun else []
        return {m: seq for m, seq in begun.items() if not any(m.encode() in rest for rest in whole)}

    def _live(self, lines: dict[int, bytes]) -> _Live | None:
        """The run that may be thinking, if what the page covers reaches it."""
        row = self._db.one("brief_live", no=self._at.no)
        if row is None or row[1] is None or row[1] > self.high:
            return None
        ends = (seq for seq in sorted(lines, reverse=True) if brief.ends_speech(lines[seq], row[0]))
        return _Live(row[0], max(next(ends, self.low - 1) + 1, row[1]))

    def _ranges(self, *, whole: bool) -> Iterator[tuple[int, int, bytes, list[tuple[int, bytes]]]]:
        """Stored ranges with those of their entries that are wanted, in the order of reading."""
        name = "brief_after" if self._forwards else "brief_before"
        parts = _parts(self._db, self._at, self.low, self.high)
        for strand, low, high in parts if self._forwards else parts[::-1]:
            values = {"strand": strand, "low": low, "high": high, "whole": int(whole)}
            for first, last, body in self._db.each(name, **values, **_PIECES):
                entries = [
                    (seq, rest) for seq, rest in enumerate(lines_of(body), first) if low <= seq <= high
                ]
                yield max(first, low), min(last, high), body, entries

    def _stop(self, first: int, last: int) -> None:
        """Cover no more than what was read up to this range."""
        if self._forwards:
            self.high = min(self.high, last)
        else:
            self.low = max(self.low, first)
