"""The evidence on which a session is judged: what is stored of it, and what its clients saw.

A store fills `Stored`, tests that act as clients fill `Observed`, and `core.invariants` judges both.
"""

from typing import NamedTuple

import msgspec

from tenure.core.transcript import Item


class StoredSpan(NamedTuple):
    """A range of the journal as stored: entries first..last, joined by line feeds."""

    first: int
    last: int
    body: bytes


class StoredRun(NamedTuple):
    """The row of a run. `owned` says whether a living host holds it."""

    run_id: str
    state: str
    grant_digest: str
    owned: bool


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is stored of one session, read at one moment.

    The content of a reply that is still being said doesn't count: its row doesn't keep it. Of a
    deleted session some rows may be gone already.
    """

    session_id: str
    head_seq: int
    state: str
    queue_held: bool
    spans: tuple[StoredSpan, ...]
    messages: tuple[Item, ...]
    runs: tuple[StoredRun, ...]


class Acknowledged(NamedTuple):
    """What a client was told is done: the entry `seq` of this type, which names `subject`.

    Without `seq` the entry may stand anywhere in the journal.
    """

    seq: int | None
    type: str
    subject: str = ""


class Connection(NamedTuple):
    """What one connection showed a client that asked for everything after `after`: whole envelopes."""

    after: int
    frames: tuple[bytes, ...]


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What clients of one session were told and shown. A reader is a list of connections, in order."""

    acknowledged: tuple[Acknowledged, ...] = ()
    readers: tuple[tuple[Connection, ...], ...] = ()
    deletion_asked: bool = False


UNOBSERVED = Observed()
