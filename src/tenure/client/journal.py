"""Events as a client reads them: numbered, typed, with the line they came in.

`line` makes them. They differ from the core's only in what a reader needs besides: type and raw line.
"""

from typing import NamedTuple

import msgspec

from tenure.core.entry import record
from tenure.core.event import TYPE_OF, Event, Unknown
from tenure.core.moment import Micros
from tenure.errors import Code, TenureError


class JournalEvent(NamedTuple):
    """One event of a session's journal.

    `at` is in microseconds since 1970 UTC; `event` is the typed data, `Unknown` for a type that only
    newer versions know; `raw` is the envelope as the server sent it.
    """

    seq: int
    at: Micros
    type: str
    run_id: str | None
    event: Event | Unknown
    raw: str


class Gap(msgspec.Struct, frozen=True):
    """A part of the journal that was retired: what lies between the two, exclusive, is gone."""

    after: int
    min_available: int


class Scanned(msgspec.Struct, frozen=True):
    """The numbers that a brief page covers, both included; none if `last` lies before `first`."""

    first: int
    last: int


class EventPage(NamedTuple):
    """A page of a journal, oldest first, the head it was read at, and what is missing before it.

    `scanned` says what a brief page covers: read on with `after` = its last or `before` = its first.
    """

    data: tuple[JournalEvent, ...]
    head_seq: int
    gap: Gap | None
    scanned: Scanned | None = None


class PageBody(msgspec.Struct, frozen=True):
    """A page as it travels: its events aren't decoded yet."""

    data: tuple[msgspec.Raw, ...]
    head_seq: int
    gap: Gap | None = None
    scanned: Scanned | None = None


class _Numbered(msgspec.Struct, frozen=True):
    seq: int


_number = msgspec.json.Decoder(_Numbered)


def journal_event(raw: str) -> JournalEvent:
    """Read one envelope. Raises TenureError `internal` for what is none."""
    line = raw.encode()
    try:
        seq = _number.decode(line).seq
        recorded = record(seq, line)
    except (msgspec.DecodeError, ValueError) as error:
        raise TenureError(
            Code.INTERNAL,
            f"An event can't be read ({error}): {raw[:200]}. Bring client and server to the same version.",
        ) from None
    event = recorded.event
    name = event.type if isinstance(event, Unknown) else TYPE_OF[type(event)]
    return JournalEvent(seq, recorded.at, name, recorded.run_id, event, raw)


def page_of(body: PageBody) -> EventPage:
    """The page with its events decoded."""
    events = tuple(journal_event(bytes(raw).decode()) for raw in body.data)
    return EventPage(events, body.head_seq, body.gap, body.scanned)
