"""What readers get: sessions, transcripts, runs, keys, agents, receipts. The client shares these types."""

import msgspec

from tenure.core.content import Content
from tenure.core.grant import Capabilities, Grant
from tenure.core.output import Usage


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all answers. Newer servers may add fields; readers ignore what they don't know."""


class PendingApproval(View, frozen=True, kw_only=True):
    """An approval that waits for a person."""

    id: str
    tool: str


class SessionUsage(View, frozen=True, kw_only=True):
    """What a session has spent so far. A missing cost is unknown, not zero."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


class SessionInfo(View, frozen=True, kw_only=True):
    """A session as lists and readers see it."""

    id: str
    agent: str
    tenant: str
    owner: str
    title: str | None
    labels: dict[str, str]
    conversation: dict[str, str] | None
    status: str
    run_id: str | None
    head_seq: int
    message_count: int
    queue_held: bool
    pending_approvals: tuple[PendingApproval, ...]
    usage: SessionUsage
    created_at: str
    updated_at: str
    as_of_seq: int


class MessageReceipt(View, frozen=True, kw_only=True):
    """What admission decided about a message."""

    message_id: str
    run_id: str | None
    disposition: str
    queue_position: int
    seq: int


class InterruptReceipt(View, frozen=True, kw_only=True):
    """An interrupt that was taken. Its outcome is an event."""

    run_id: str | None
    status: str
    seq: int


class TranscriptItem(View, frozen=True, kw_only=True):
    """One message of the transcript, or one that waits."""

    message_id: str
    role: str
    content: Content
    run_id: str | None
    status: str
    seq: int
    actor: str | None = None
    queue_position: int | None = None


class TranscriptPage(View, frozen=True, kw_only=True):
    """The transcript, oldest first, and the messages that wait, in queue order."""

    data: tuple[TranscriptItem, ...]
    waiting: tuple[TranscriptItem, ...]
    queue_held: bool
    as_of_seq: int
    next_cursor: str | None


class MessageInfo(View, frozen=True, kw_only=True):
    """One message: where it is, which run took it, how that ended."""

    message_id: str
    role: str
    content: Content
    status: str
    run_id: str | None
    queue_position: int | None
    outcome: str | None
    as_of_seq: int


class RunInfo(View, frozen=True, kw_only=True):
    """One run with its attempts, grant, usage and timings."""

    id: str
    session_id: str
    agent: str
    status: str
    reason: str
    retryable: bool
    attempt: int
    message_id: str | None
    grant: Grant
    grant_digest: str
    usage: tuple[Usage, ...]
    queued_at: str
    started_at: str | None
    finished_at: str | None


class KeyInfo(View, frozen=True, kw_only=True):
    """An API key without its secret."""

    id: str
    tenant: str
    user: str
    role: str
    name: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewKey(KeyInfo, frozen=True, kw_only=True):
    """An API key as its maker sees it, once."""

    key: str


class AgentInfo(View, frozen=True, kw_only=True):
    """One entry of the catalogue."""

    name: str
    runner: str
    description: str
    capabilities: Capabilities
    apis: tuple[str, ...]
    deadline_s: float | None
    healthy: bool


class WhoAmI(View, frozen=True, kw_only=True):
    """The principal behind a key, and the history id of the store."""

    tenant: str
    user: str
    role: str
    key_id: str
    root: bool
    history: str


class Stats(View, frozen=True, kw_only=True):
    """Live figures of one host, the same that its metrics show."""

    sessions: int
    open_sessions: int
    live_runs: int
    queued_runs: int
    streams: int
    events: int
    commits: int
    commit_p50_ms: float
    commit_p99_ms: float
    loop_lag_ms: float
    uptime_s: float
    version: str
    history: str
    draining: bool
