"""The store port: the truth, in acts. Each act is one transaction; a returned await means durable.

Above it sit the rooms of the host, below it SQLite or Postgres. Rules are decided by core inside the
act, on what the act read under the session's lock. Every committed entry reaches `on_commit` once, in
order per session, before the act that made it returns.
"""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from tenure.core.command import (
    ChangeMessage,
    CloseSession,
    CreateKey,
    InterruptRun,
    OpenSession,
    RetryRun,
    SendMessage,
    UpdateSession,
)
from tenure.core.entry import Entry
from tenure.core.event import Event
from tenure.core.evidence import Stored
from tenure.core.moment import Micros
from tenure.core.origin import API, Origin
from tenure.core.output import Usage
from tenure.core.principal import Principal
from tenure.core.run import RunState
from tenure.core.steering import SteeringMessage
from tenure.core.view import (
    InterruptReceipt,
    KeyInfo,
    ListedSession,
    MessageInfo,
    MessageReceipt,
    RunInfo,
    SessionInfo,
    TranscriptPage,
)
from tenure.ports.acts import Answer, Lease, Page, Stamp, Wake
from tenure.ports.acts import Idempotency as Idempotency
from tenure.ports.acts import Start as Start
from tenure.ports.approvals import ApprovalActs
from tenure.ports.checkpoints import CheckpointActs
from tenure.ports.effects import EffectActs
from tenure.ports.events import EventActs
from tenure.ports.files import FileActs
from tenure.ports.history import HistoryActs
from tenure.ports.hosts import UNNAMED, HostActs, HostCard
from tenure.ports.limits import LimitActs
from tenure.ports.operations import OperationActs
from tenure.ports.overviews import Overviews
from tenure.ports.schedules import ScheduleActs
from tenure.ports.signing import ShareActs, SignInActs
from tenure.ports.states import States


class Block(msgspec.Struct, kw_only=True):
    """Entries of one session that one transaction made durable: numbers first..last, one row of bytes.

    Of what other hosts committed, `entries` holds only what was worth decoding. `sse` is where fan-out
    keeps the frames, made once for all followers. Nothing else changes.
    """

    session_id: str
    first: int
    last: int
    body: bytes
    entries: tuple[Entry, ...]
    sse: bytes | None = None


class Span(NamedTuple):
    """A stored range as read back; `first` may lie before what was asked for."""

    first: int
    last: int
    body: bytes


class JournalPage(NamedTuple):
    """Stored ranges after a cursor, the head they were read at, and what of the journal is still there."""

    spans: list[Span]
    head: int
    min_available: int


class Ground(NamedTuple):
    """What authorization looks at first: whose session it is. A deleted session has none."""

    session_id: str
    tenant: str
    owner: str
    agent: str


class Admission(NamedTuple):
    """A message to be admitted, with the fresh ids that it may need.

    `lease` is None on a host that takes no runs; the run then waits for another host. `heralds` stand right
    before its `message.admitted`.
    """

    stamp: Stamp
    session_id: str
    ask: SendMessage
    message_id: str
    run_id: str
    lease: Lease | None
    origin: Origin = API
    heralds: tuple[Event, ...] = ()


class Append(NamedTuple):
    """Output of a live run."""

    run_id: str
    entries: Sequence[Entry]


class Settlement(NamedTuple):
    """The end of a run's execution: its last output, its verdict, and a fresh id for the next run.

    `final` stands before `run.finished`; which entries it holds may depend on the final status, so it
    is a function of it.
    """

    run_id: str
    at: Micros
    verdict: RunState
    reason: str
    retryable: bool
    usage: tuple[Usage, ...]
    final: Callable[[RunState], Sequence[Entry]]
    next_run_id: str
    takes_next: bool = True


class Settled(NamedTuple):
    """How the run ended, and what there is to do now."""

    status: RunState
    wake: Wake


class Reaped(NamedTuple):
    """What recovery found: runs put back into the queue, and runs ended with a reason."""

    requeued: int
    ended: int
    backlog: int


class SessionFilter(NamedTuple):
    """Which sessions a list shows; None means any. `tenant` None is every tenant.

    `words` is what a person typed into a search box: all of it must stand in the title or in one message.
    `last_run` is the status of the newest run.
    """

    tenant: str | None
    owner: str | None
    agent: str | None = None
    status: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    words: str | None = None
    last_run: str | None = None


class Figures(NamedTuple):
    """Counts over the whole store."""

    sessions: int
    open_sessions: int
    live_runs: int
    queued_runs: int
    events: int


class Commits(NamedTuple):
    """How the writer fares: commits so far and their latest durations in seconds."""

    made: int
    events: int
    recent: tuple[float, ...]


class Store(Protocol):
    """All acts and reads. Acts raise TenureError for refusals, and `fenced` when the lease is gone."""

    @property
    def history(self) -> str:
        """The id of this store's history; it changes when a restore rewinds it."""
        ...

    @property
    def effects(self) -> EffectActs: ...
    @property
    def approvals(self) -> ApprovalActs: ...
    @property
    def files(self) -> FileActs: ...
    @property
    def histories(self) -> HistoryActs: ...
    @property
    def incoming(self) -> EventActs: ...
    @property
    def states(self) -> States: ...
    @property
    def limits(self) -> LimitActs: ...
    @property
    def checkpoints(self) -> CheckpointActs: ...
    @property
    def schedules(self) -> ScheduleActs: ...
    @property
    def hosts(self) -> HostActs: ...
    @property
    def sign_ins(self) -> SignInActs: ...
    @property
    def shares(self) -> ShareActs: ...
    @property
    def operations(self) -> OperationActs: ...
    @property
    def overviews(self) -> Overviews: ...

    @property
    def alone(self) -> bool:
        """Whether only one host can be there, so that a new life of it ends all others."""
        ...

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        """Who gets each committed block, in the event loop."""
        ...

    # life of a host
    async def join(self, at: Micros, card: HostCard = UNNAMED) -> Lease: ...
    async def leave(self, lease: Lease, at: Micros, *, lost: bool = False) -> None:
        """End a life. What it still holds is taken up by `reap`; that costs an attempt if it was `lost`."""
        ...

    async def reap(self, lease: Lease, at: Micros) -> Reaped: ...
    async def purge(self, at: Micros) -> int: ...
    async def index_words(self) -> int: ...

    # commands
    async def open_session(self, stamp: Stamp, ask: OpenSession, session_id: str) -> Answer[SessionInfo]: ...
    async def update_session(self, stamp: Stamp, session_id: str, ask: UpdateSession) -> SessionInfo: ...
    async def close_session(
        self, stamp: Stamp, session_id: str, ask: CloseSession
    ) -> Answer[SessionInfo]: ...
    async def reopen_session(self, stamp: Stamp, session_id: str) -> Answer[SessionInfo]: ...
    async def delete_session(self, stamp: Stamp, session_id: str) -> int:
        """Delete a session. How many living forks keep what they share with it."""
        ...

    async def admit(self, admission: Admission) -> tuple[Answer[MessageReceipt], Wake]: ...
    async def interrupt(
        self,
        stamp: Stamp,
        session_id: str,
        ask: InterruptRun,
        lease: Lease | None,
        next_run_id: str,
    ) -> tuple[Answer[InterruptReceipt], Wake]: ...
    async def change_message(
        self,
        stamp: Stamp,
        session_id: str,
        message_id: str,
        ask: ChangeMessage,
        lease: Lease | None,
        next_run_id: str,
    ) -> tuple[MessageInfo, Wake]: ...
    async def withdraw_message(
        self,
        stamp: Stamp,
        session_id: str,
        message_id: str,
        if_version: int | None,
        lease: Lease | None,
        next_run_id: str,
    ) -> Wake: ...
    async def retry_run(
        self, stamp: Stamp, run_id: str, ask: RetryRun, lease: Lease | None, next_run_id: str
    ) -> tuple[Answer[MessageReceipt], Wake]: ...
    async def create_key(
        self, stamp: Stamp, ask: CreateKey, key_id: str, secret_hash: bytes, *, root: bool = False
    ) -> Answer[KeyInfo]: ...
    async def revoke_key(self, stamp: Stamp, key_id: str) -> KeyInfo: ...

    # the owner of a run
    def append(self, lease: Lease, append: Append) -> "Future[None]": ...
    async def expire(self, lease: Lease, run_id: str, at: Micros, reason: str) -> None: ...
    async def settle(self, lease: Lease, settlement: Settlement) -> Settled: ...
    async def claim(self, lease: Lease, room: int, at: Micros) -> Wake: ...
    async def release(self, lease: Lease, run_id: str, at: Micros, reason: str) -> None: ...
    async def take_steering(
        self, lease: Lease, run_id: str, attempt: int, most: int, at: Micros
    ) -> tuple[SteeringMessage, ...]: ...
    async def note(self, session_id: str, entries: Sequence[Entry]) -> None: ...

    # point reads, answered at once
    async def ground(self, session_id: str) -> Ground | None: ...
    async def ground_of_run(self, run_id: str) -> Ground | None: ...
    async def ground_of_approval(self, approval_id: str) -> Ground | None: ...
    async def head(self, session_id: str) -> int: ...
    async def heads(self, session_ids: Sequence[str]) -> dict[str, int]:
        """Where the journals of these sessions stand. One that was purged, or never was, isn't in it."""
        ...

    async def pages(self, after: Mapping[str, int], limit: int) -> dict[str, JournalPage]:
        """For each of these sessions the stored ranges after its cursor, at most `limit`, by one read.

        A cursor in what a fork shares with its parent brings nothing: read such a page alone. What is left
        of a deleted session is brought too; one that was purged, or never was, isn't in it.
        """
        ...

    async def principal(self, secret_hash: bytes, at: Micros) -> Principal | None:
        """Who presents the secret of a key, of a sign-in or of a share that is alive at `at`."""
        ...

    async def key(self, key_id: str) -> KeyInfo | None: ...
    async def session(self, session_id: str) -> SessionInfo | None: ...
    async def run(self, run_id: str) -> RunInfo | None: ...
    async def run_state(self, run_id: str) -> RunState | None: ...
    async def steering(self, run_id: str, attempt: int) -> tuple[str, ...]: ...

    # reads that may be long, answered from another thread
    async def page(self, session_id: str, after: int, limit: int) -> JournalPage: ...
    async def page_back(self, session_id: str, before: int, limit: int) -> JournalPage: ...
    async def transcript(self, session_id: str, cursor: str | None, limit: int) -> TranscriptPage: ...
    async def message(self, session_id: str, message_id: str) -> MessageInfo | None: ...
    async def sessions(self, which: SessionFilter, cursor: str | None, limit: int) -> Page[ListedSession]: ...
    async def runs(self, session_id: str, cursor: str | None, limit: int) -> Page[RunInfo]: ...
    async def keys(self, tenant: str | None, cursor: str | None, limit: int) -> Page[KeyInfo]: ...
    async def figures(self) -> Figures: ...
    async def session_ids(self, after: str, limit: int) -> list[str]: ...
    async def audit(self, session_id: str) -> Stored | None: ...
    async def counter_faults(self) -> list[str]: ...

    def commits(self) -> Commits: ...
    def healthy(self) -> bool: ...
