"""The evidence on which a session is judged: what is stored of it, and what its clients saw.

A store fills `Stored`, tests that act as clients fill `Observed`, and `core.invariants` judges both.
"""

from typing import NamedTuple

import msgspec

from tenure.core.transcript import Item, Summary


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


class StoredFile(NamedTuple):
    """The row of a file."""

    file_id: str
    name: str
    media_type: str
    size: int
    sha256: str
    by: str | None
    run_id: str | None


class StoredApproval(NamedTuple):
    """The row of an approval. `digest` is that of the arguments that may be called."""

    approval_id: str
    run_id: str
    call_id: str
    state: str
    digest: str


class StoredCall(NamedTuple):
    """The row of a call in the effect ledger."""

    call_id: str
    state: str
    status: str | None


class StoredValue(NamedTuple):
    """The row of a value of the session's own state, as JSON."""

    key: str
    version: int
    line: str


class StoredSchedule(NamedTuple):
    """The row of a schedule. `unlisted` missed and `trimmed` admitted occurrences of it have no row."""

    schedule_id: str
    state: str
    unlisted: int
    trimmed: int


class StoredOccurrence(NamedTuple):
    """The row of an occurrence. `retries` says whether another run is to come."""

    occurrence: str
    schedule_id: str
    state: str
    manual: bool
    message_id: str | None
    run_id: str | None
    outcome: str | None
    attempts: int
    retries: bool


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is stored of one session, read at one moment.

    The content of a reply that is still being said doesn't count: its row doesn't keep it. Of a
    deleted session some rows may be gone already. Entries up to `retired` are gone; `snapshot` holds what
    is kept of them.
    """

    session_id: str
    head_seq: int
    state: str
    queue_held: bool
    spans: tuple[StoredSpan, ...]
    retired: int = 0
    snapshot: tuple[bytes, ...] = ()
    messages: tuple[Item, ...]
    runs: tuple[StoredRun, ...]
    files: tuple[StoredFile, ...] = ()
    summaries: tuple[Summary, ...] = ()
    values: tuple[StoredValue, ...] = ()
    approvals: tuple[StoredApproval, ...] = ()
    calls: tuple[StoredCall, ...] = ()
    schedules: tuple[StoredSchedule, ...] = ()
    occurrences: tuple[StoredOccurrence, ...] = ()


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
