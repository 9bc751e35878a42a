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


class LastRun(View, frozen=True, kw_only=True):
    """The newest run of a session. One that is live has no `finished_at`."""

    id: str
    status: str
    reason: str
    finished_at: str | None


class LastLine(View, frozen=True, kw_only=True):
    """How the newest message of a transcript begins: at most 160 characters, on one line."""

    role: str
    text: str


class Found(View, frozen=True, kw_only=True):
    """Where a search found its words: in a message, or in the title if `message_id` is null.

    `text` is at most 200 characters around the first hit. `marks` are the hits in it, as pairs of from and
    to, counted in Unicode characters.
    """

    message_id: str | None
    text: str
    marks: tuple[tuple[int, int], ...]


class ListedSession(SessionInfo, frozen=True, kw_only=True):
    """A session as a list shows it: how its last run fared, what was said last, what a search found.

    `last_run` is null before the first run, `last_line` before anything was said, `found` without a search.
    """

    last_run: LastRun | None
    last_line: LastLine | None
    found: Found | None = None


class Facet(View, frozen=True, kw_only=True):
    """A value that sessions have, and how many of them."""

    name: str
    count: int


class SessionFacets(View, frozen=True, kw_only=True):
    """What the latest 10,000 sessions within reach could be filtered by.

    There are at most 50 of each, the commonest first. `labels` has the values of each name of a label.
    """

    agents: tuple[Facet, ...]
    statuses: tuple[Facet, ...]
    owners: tuple[Facet, ...]
    labels: dict[str, tuple[str, ...]]


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


class OutlineMark(View, frozen=True, kw_only=True, omit_defaults=True):
    """A place in a journal that people look for. What was `undone` doesn't count any more.

    `kind` is user or assistant (a message, where the transcript has it); run (where it began; `status` is how
    it stands now; runs of a fork's parent aren't told); recall (`id` is the schedule that began a run); call
    (of a tool), or approval (at its call); file, state or schedule (what a run left); compaction; undo (one
    that can be put back); fork (`id` is the parent); or gap (the first number that wasn't retired).
    """

    seq: int
    kind: str
    id: str | None = None
    name: str | None = None
    status: str | None = None
    undone: bool = False


class Outline(View, frozen=True, kw_only=True):
    """The marks of a journal, oldest first; those before `next_before` are on the next page."""

    data: tuple[OutlineMark, ...]
    head_seq: int
    next_before: int | None


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


class ListedRun(RunInfo, frozen=True, kw_only=True):
    """A run in a list over sessions, with the title and the owner of its session."""

    session_title: str | None
    session_owner: str


class RunFault(View, frozen=True, kw_only=True):
    """Runs that went wrong in the same way: how many, and the latest of them.

    `status` is failed, timed_out or lost; `reason` is what all of them ended with.
    """

    agent: str
    status: str
    reason: str
    count: int
    latest_at: str
    latest_run_id: str
    latest_session_id: str


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


class WhoAmI(View, frozen=True, kw_only=True, omit_defaults=True):
    """The principal behind a key, and the history id of the store.

    Whoever has a share is told which `session` it lets them read; `user` and `key_id` name the share then.
    """

    tenant: str
    user: str
    role: str
    key_id: str
    root: bool
    history: str
    session: str | None = None


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
    `database_bytes` and `wal_bytes` are what the database and the log before it take on the disk. Null is
    unknown, as the log of a database server is.
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
    database_bytes: int | None = None
    wal_bytes: int | None = None
