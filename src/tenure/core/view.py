"""What readers get: sessions, transcripts, runs, keys, agents, receipts. The client shares these types."""

import msgspec

from tenure.core.content import Content, text_of
from tenure.core.grant import Capabilities, Grant
from tenure.core.output import Usage
from tenure.core.tool import ToolTerms


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all answers. Newer servers may add fields; readers ignore what they don't know."""


class PendingApproval(View, frozen=True, kw_only=True):
    """An approval that waits for a person: what is to be called, and until when it waits."""

    id: str
    tool: str
    call_id: str
    arguments: dict[str, object]
    expires_at: str


class ApprovalInfo(View, frozen=True, kw_only=True, omit_defaults=True):
    """An approval. `arguments` are those that a decision edited, else those asked for.

    `reason` says why a person is asked beyond the tool's rule, `done` which calls were made before. An `own`
    call is one of the agent's own tools: the agent makes it, and the host only lets it.
    """

    id: str
    session_id: str
    run_id: str
    call_id: str
    tool: str
    arguments: dict[str, object]
    digest: str
    status: str
    requested_at: str
    expires_at: str
    reason: str | None = None
    done: tuple[str, ...] = ()
    decision: str | None = None
    by: str | None = None
    note: str | None = None
    resolved_at: str | None = None
    remember: str | None = None
    own: bool = False


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


class MessageReceipt(View, frozen=True, kw_only=True, omit_defaults=True):
    """What admission decided about a message.

    `into` is the waiting message that it joined, `interrupts` the run that is stopped for it,
    `rolls_back` the run whose turn is taken back, `fallback` why it waits although it should steer.
    """

    message_id: str
    run_id: str | None
    disposition: str
    queue_position: int
    seq: int
    into: str | None = None
    interrupts: str | None = None
    rolls_back: str | None = None
    fallback: str | None = None


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

    @property
    def text(self) -> str:
        """Its text, parts joined by line breaks."""
        return text_of(self.content)


class TranscriptPage(View, frozen=True, kw_only=True):
    """The transcript, oldest first, and the messages that wait, in queue order."""

    data: tuple[TranscriptItem, ...]
    waiting: tuple[TranscriptItem, ...]
    queue_held: bool
    as_of_seq: int
    next_cursor: str | None


class MessageInfo(View, frozen=True, kw_only=True):
    """One message: where it is, which run took it, how that ended.

    `state` and `position` are what lists call `status` and `queue_position`. `version` counts the edits.
    """

    message_id: str
    role: str
    content: Content
    state: str
    status: str
    run_id: str | None
    position: int | None
    queue_position: int | None
    outcome: str | None
    version: int
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
    """One entry of the catalogue: the agent, and what its runs are granted at most.

    `fault` says why it isn't healthy. `tools_absent` are the names and patterns of its table that cover no
    tool at the moment.
    """

    name: str
    runner: str
    description: str
    capabilities: Capabilities
    apis: tuple[str, ...]
    deadline_s: float | None
    healthy: bool
    fault: str | None = None
    tools: tuple[ToolTerms, ...] = ()
    tools_absent: tuple[str, ...] = ()
    resources: dict[str, tuple[str, ...]] = {}
    operations: dict[str, tuple[str, ...]] = {}
    storage: tuple[str, ...] = ()
    state_scopes: tuple[str, ...] = ()


class UsageDay(View, frozen=True, kw_only=True):
    """What the runs of one user spent on one day, UTC. A missing cost is unknown, not zero."""

    day: str
    tenant: str
    user: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    runs: int
    tool_calls: int


class WhoAmI(View, frozen=True, kw_only=True):
    """The principal behind a key, and the history id of the store."""

    tenant: str
    user: str
    role: str
    key_id: str
    root: bool
    history: str


class HostInfo(View, frozen=True, kw_only=True):
    """One host of the installation. Its id is the number of its life, which fences all others.

    `live_runs` hold a slot of its `slots`. Its lease ends `lease_left_s` seconds from now unless it is
    renewed; null where only one host can be there. `self` marks the host that answers.
    """

    id: int
    name: str
    version: str
    slots: int
    live_runs: int
    draining: bool
    joined_at: str
    renewed_at: str
    lease_left_s: float | None
    answers: bool = msgspec.field(name="self")


class Stats(View, frozen=True, kw_only=True):
    """Live figures of one host, the same that its metrics show, and the hosts there are.

    `schedules` counts them by status, `recalls` the occurrences that were admitted since the host started;
    `recall_p50_ms` and `recall_p99_ms` tell how late the latest thousand were that came on time.
    """

    sessions: int
    open_sessions: int
    live_runs: int
    queued_runs: int
    streams: int
    events: int
    schedules: dict[str, int]
    recalls: int
    recall_p50_ms: float
    recall_p99_ms: float
    commits: int
    commit_p50_ms: float
    commit_p99_ms: float
    loop_lag_ms: float
    uptime_s: float
    version: str
    history: str
    draining: bool
    hosts: tuple[HostInfo, ...]
