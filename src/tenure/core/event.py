"""Everything that can stand in a journal: one frozen struct per fact, named in the past tense.

How a fact becomes a stored line, and a line a fact again, is told by `tenure.core.entry`.
"""

from typing import TypeAlias

import msgspec

from tenure.core.content import Content
from tenure.core.output import Usage


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of all event data. Fields that hold their default are left out of the JSON.

    The few facts that every reader looks at say so, and always show all their fields.
    """


class Actor(Fact, frozen=True, kw_only=True):
    """Who did it, as the journal shows it.

    What came by an outside event has that event's actor: `type`, `id` and `name` are those of the
    platform, and `user` is the id there. They are data: the authority is in `role` alone.
    """

    user: str
    role: str
    type: str | None = None
    id: str | None = None
    name: str | None = None


class Parent(Fact, frozen=True, kw_only=True):
    """Where a fork branched off."""

    session_id: str
    seq: int


class Trigger(Fact, frozen=True, kw_only=True):
    """What made a run start. `kind` is message, recall, event or command.

    `id` is that of the message, but of a recall it is the schedule's; then `message_id` names the message.
    """

    kind: str
    id: str
    message_id: str | None = None

    @property
    def message(self) -> str:
        """The id of the message that the run took."""
        return self.message_id or self.id


class SessionCreated(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A session began. It is the first event of every journal."""

    agent: str
    owner: str
    title: str | None = None
    labels: dict[str, str] = {}
    conversation: dict[str, str] | None = None
    parent: Parent | None = None


class SessionUpdated(Fact, frozen=True, kw_only=True):
    """A session got another title or other labels; what is left out stayed as it was."""

    by: str
    title: str | msgspec.UnsetType | None = msgspec.UNSET
    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class SessionClosed(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A session takes no messages any more, until it is reopened."""

    by: str
    reason: str = ""


class SessionReopened(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A closed session takes messages again."""

    by: str
    reason: str = ""


class SessionDeleted(Fact, frozen=True, kw_only=True):
    """A session is gone. It is the last event of its journal."""

    by: str


class MessageAdmitted(Fact, frozen=True, kw_only=True):
    """A message was accepted, and this is what was decided about it.

    `occurrence` is that of the schedule which it was made of, also where it is tried again. A `reminder` is
    said as it stands.
    """

    message_id: str
    actor: Actor
    content: Content
    when_busy: str
    disposition: str
    run_id: str | None = None
    into: str | None = None
    interrupts: str | None = None
    rolls_back: str | None = None
    fallback: str | None = None
    occurrence: str | None = None
    reminder: bool = False


class MessageUpdated(Fact, frozen=True, kw_only=True):
    """A waiting message says something else now."""

    message_id: str
    content: Content
    by: str


class MessagePromoted(Fact, frozen=True, kw_only=True):
    """A waiting message moved forward: to the front, to the live run, or back into the queue."""

    message_id: str
    run_id: str | None = None
    to: str = msgspec.field(name="as")


class MessageWithdrawn(Fact, frozen=True, kw_only=True):
    """A waiting message will never run."""

    message_id: str
    by: str
    reason: str | None = None
    replaced_by: str | None = None


class RunStarted(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A run took its message and began."""

    runner: str
    attempt: int
    trigger: Trigger
    grant_digest: str
    deadline_at: str | None = None


class RunWaiting(Fact, frozen=True, kw_only=True):
    """A run waits for people to decide."""

    approval_ids: tuple[str, ...]


class RunResumed(Fact, frozen=True, kw_only=True):
    """A run goes on after an answer."""

    attempt: int
    mode: str


class RunRetried(Fact, frozen=True, kw_only=True):
    """A new attempt starts the run over; what earlier attempts said no longer counts."""

    attempt: int
    reason: str


class RunInterrupting(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A run was asked to stop, by a person or by its deadline."""

    by: str
    reason: str = ""
    force: bool = False


class RunFinished(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A run has its one outcome. Only warnings carry its id afterwards."""

    status: str
    reason: str
    retryable: bool = False
    usage: tuple[Usage, ...] = ()


class MessageDelta(msgspec.Struct, frozen=True, gc=False):
    """The agent said a piece of a message."""

    message_id: str
    text: str


class MessageCompleted(Fact, frozen=True, kw_only=True):
    """A message of the agent is whole, or was cut off."""

    message_id: str
    role: str
    content: Content
    partial: bool = False


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """The agent thought aloud."""

    message_id: str
    text: str


class ReasoningCompleted(Fact, frozen=True, kw_only=True):
    """A piece of reasoning is whole, or was cut off."""

    message_id: str
    role: str
    content: Content
    partial: bool = False


class ToolCallStarted(Fact, frozen=True, kw_only=True):
    """The agent calls a tool."""

    call_id: str
    tool: str
    arguments: dict[str, object]


class ToolCallCompleted(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A tool call has ended, or nobody knows how."""

    call_id: str
    status: str
    result: object = None
    replayed: bool = False


class ApprovalRequested(Fact, frozen=True, kw_only=True):
    """A tool call waits for a person's decision. `own` says that the agent makes it, not the host."""

    approval_id: str
    call_id: str
    tool: str
    arguments: dict[str, object]
    digest: str
    expires_at: str
    reason: str | None = None
    done: tuple[str, ...] = ()
    own: bool = False


class ApprovalResolved(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A person, a rule or the clock decided."""

    approval_id: str
    decision: str
    by: str
    note: str | None = None
    arguments: dict[str, object] | None = None
    remember: str | None = None


class SteeringConsumed(Fact, frozen=True, kw_only=True):
    """The live run took up messages that were meant to steer it."""

    message_ids: tuple[str, ...]
    redelivered: bool = False


class StateUpdated(Fact, frozen=True, kw_only=True):
    """The agent's state changed under one key: by the run, or by whom it says.

    `of` is the actor or subject, as `type:id`, where `by` named one: it isn't the session's own state then.
    """

    scope: str
    key: str
    version: int
    value: object = None
    deleted: bool = False
    expires_at: str | None = None
    by: str | None = None
    of: str | None = None


class ArtifactCreated(Fact, frozen=True, kw_only=True):
    """The session has a new file: the agent made it, or `by` sent it."""

    artifact_id: str
    name: str
    media_type: str
    size: int
    sha256: str
    by: str | None = None


class ArtifactDeleted(Fact, frozen=True, kw_only=True):
    """A file of the session was deleted."""

    artifact_id: str
    by: str


class ArtifactFailed(Fact, frozen=True, kw_only=True):
    """A file that the agent made, or that came with a message, could not be kept."""

    name: str
    reason: str


class UsageRecorded(Fact, frozen=True, kw_only=True):
    """A model call was paid for. A missing cost is unknown, not zero."""

    model: str
    input_tokens: int
    output_tokens: int
    cost: float | None = None


class TranscriptUndone(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """The last turns were taken off the transcript."""

    run_ids: tuple[str, ...]
    message_ids: tuple[str, ...]
    to_seq: int
    kept: tuple[str, ...] = ()


class TranscriptRedone(Fact, frozen=True, kw_only=True):
    """Turns that were undone are back."""

    run_ids: tuple[str, ...]
    message_ids: tuple[str, ...]


class TranscriptCompacted(Fact, frozen=True, kw_only=True):
    """The older part of the transcript was replaced by a summary."""

    covers_through: int
    summary: str


class SessionForked(Fact, frozen=True, kw_only=True):
    """Another session began with this one's journal up to an event."""

    child_id: str
    at_seq: int


class RecallScheduled(Fact, frozen=True, kw_only=True):
    """A run was scheduled for later."""

    schedule_id: str
    due_at: str
    explanation: str = ""


class RecallChanged(Fact, frozen=True, kw_only=True):
    """A schedule rests, goes on, was edited, or is over, and why. Without `next_at` nothing comes."""

    schedule_id: str
    status: str
    by: str
    reason: str
    next_at: str | None = None


class RecallMissed(Fact, frozen=True, kw_only=True):
    """Occurrences passed while nobody looked, and won't be made up for."""

    schedule_id: str
    count: int
    first: str
    last: str
    reason: str


class RecallRetrying(Fact, frozen=True, kw_only=True):
    """The run of an occurrence failed, and it is admitted again later."""

    schedule_id: str
    occurrence: str
    attempt: int
    retry_at: str


class RecallFired(Fact, frozen=True, kw_only=True):
    """A scheduled run is due and was admitted."""

    schedule_id: str
    occurrence: str
    due_at: str


class RecallDeferred(Fact, frozen=True, kw_only=True):
    """A scheduled run is due and waits behind the live run."""

    schedule_id: str
    occurrence: str
    due_at: str


class RecallSkipped(Fact, frozen=True, kw_only=True):
    """A scheduled run was left out, and why."""

    schedule_id: str
    occurrence: str
    due_at: str
    reason: str


class GrantReduced(Fact, frozen=True, kw_only=True):
    """A live run may touch less than before."""

    run_id: str
    removed: tuple[str, ...]
    digest: str


class EffectResolved(Fact, frozen=True, kw_only=True):
    """The outcome of a tool call that was unknown is known now."""

    call_id: str
    status: str


class QueueHeld(Fact, frozen=True, kw_only=True):
    """The waiting messages stay where they are, until the queue is released."""

    by: str


class QueueReleased(Fact, frozen=True, kw_only=True):
    """The waiting messages go on, first in, first out."""

    by: str


class RunnerWarning(Fact, frozen=True, kw_only=True):
    """A runner did something odd. It harmed nothing, but somebody should know."""

    code: str
    detail: str


class Unknown(msgspec.Struct, frozen=True):
    """An event of a type that this version doesn't know. It passes through readers untouched."""

    type: str
    data: msgspec.Raw


Event: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | SessionClosed
    | SessionReopened
    | SessionDeleted
    | MessageAdmitted
    | MessageUpdated
    | MessagePromoted
    | MessageWithdrawn
    | RunStarted
    | RunWaiting
    | RunResumed
    | RunRetried
    | RunInterrupting
    | RunFinished
    | MessageDelta
    | MessageCompleted
    | ReasoningDelta
    | ReasoningCompleted
    | ToolCallStarted
    | ToolCallCompleted
    | ApprovalRequested
    | ApprovalResolved
    | SteeringConsumed
    | StateUpdated
    | ArtifactCreated
    | ArtifactDeleted
    | ArtifactFailed
    | UsageRecorded
    | TranscriptUndone
    | TranscriptRedone
    | TranscriptCompacted
    | SessionForked
    | RecallScheduled
    | RecallChanged
    | RecallMissed
    | RecallRetrying
    | RecallFired
    | RecallDeferred
    | RecallSkipped
    | GrantReduced
    | EffectResolved
    | QueueHeld
    | QueueReleased
    | RunnerWarning
)

EVENTS: dict[str, type[Event]] = {
    "session.created": SessionCreated,
    "session.updated": SessionUpdated,
    "session.closed": SessionClosed,
    "session.reopened": SessionReopened,
    "session.deleted": SessionDeleted,
    "message.admitted": MessageAdmitted,
    "message.updated": MessageUpdated,
    "message.promoted": MessagePromoted,
    "message.withdrawn": MessageWithdrawn,
    "run.started": RunStarted,
    "run.waiting": RunWaiting,
    "run.resumed": RunResumed,
    "run.retried": RunRetried,
    "run.interrupting": RunInterrupting,
    "run.finished": RunFinished,
    "message.delta": MessageDelta,
    "message.completed": MessageCompleted,
    "reasoning.delta": ReasoningDelta,
    "reasoning.completed": ReasoningCompleted,
    "tool.call.started": ToolCallStarted,
    "tool.call.completed": ToolCallCompleted,
    "approval.requested": ApprovalRequested,
    "approval.resolved": ApprovalResolved,
    "steering.consumed": SteeringConsumed,
    "state.updated": StateUpdated,
    "artifact.created": ArtifactCreated,
    "artifact.deleted": ArtifactDeleted,
    "artifact.failed": ArtifactFailed,
    "usage.recorded": UsageRecorded,
    "transcript.undone": TranscriptUndone,
    "transcript.redone": TranscriptRedone,
    "transcript.compacted": TranscriptCompacted,
    "session.forked": SessionForked,
    "recall.scheduled": RecallScheduled,
    "recall.fired": RecallFired,
    "recall.deferred": RecallDeferred,
    "recall.skipped": RecallSkipped,
    "recall.missed": RecallMissed,
    "recall.retrying": RecallRetrying,
    "recall.changed": RecallChanged,
    "grant.reduced": GrantReduced,
    "effect.resolved": EffectResolved,
    "queue.held": QueueHeld,
    "queue.released": QueueReleased,
    "runner.warning": RunnerWarning,
}
"""Wire name -> struct. The one list of event types; the documentation is made from it."""

TYPE_OF: dict[type[Event], str] = {cls: name for name, cls in EVENTS.items()}
