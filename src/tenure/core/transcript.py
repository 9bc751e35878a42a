"""The transcript as a fold of the journal.

`changes` says what one event does to the rows of a session. The store applies it to its tables in the
transaction of the event; `Transcript` applies it in memory, so that the invariant checker can fold the
journal again and compare.
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from tenure.core.approval import APPROVAL, ApprovalSignal, ApprovalState
from tenure.core.content import Content
from tenure.core.effect import CallStatus
from tenure.core.entry import Recorded
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    ArtifactCreated,
    ArtifactDeleted,
    Event,
    MessageAdmitted,
    MessageCompleted,
    MessageDelta,
    MessagePromoted,
    MessageUpdated,
    MessageWithdrawn,
    RecallScheduled,
    RunFinished,
    RunInterrupting,
    RunResumed,
    RunRetried,
    RunStarted,
    RunWaiting,
    SessionCreated,
    StateUpdated,
    SteeringConsumed,
    ToolCallCompleted,
    ToolCallStarted,
    TranscriptCompacted,
    TranscriptRedone,
    TranscriptUndone,
    Unknown,
    UsageRecorded,
)
from tenure.core.ids import EFFECT
from tenure.core.message import (
    MESSAGE,
    REPLY,
    Disposition,
    MessageSignal,
    MessageState,
    ReplySignal,
    ReplyState,
    Role,
)
from tenure.core.output import Usage
from tenure.core.run import RunState
from tenure.core.spending import A_RUN, A_TOOL_CALL, QUESTION, Spending, of_call


class Admitted(msgspec.Struct, frozen=True):
    """A message of a user came in."""

    message_id: str
    user: str
    content: Content
    state: MessageState
    run_id: str | None
    into: str | None = None


class Entered(msgspec.Struct, frozen=True):
    """A run took a message: from here on it stands in the transcript, unless it is a command (`shown`)."""

    message_id: str
    run_id: str
    shown: bool = True


class Edited(msgspec.Struct, frozen=True):
    """A waiting message says something else now."""

    message_id: str
    content: Content


class Promoted(msgspec.Struct, frozen=True):
    """A waiting message moved: to the run that it steers now, or back among those that wait."""

    message_id: str
    run_id: str | None
    steers: bool


class Consumed(msgspec.Struct, frozen=True):
    """A live run took up a message that was to steer it: it stands in the transcript from here on."""

    message_id: str
    run_id: str


class Withdrawn(msgspec.Struct, frozen=True):
    """A waiting message will never run."""

    message_id: str


class Opened(msgspec.Struct, frozen=True):
    """The agent began to say something."""

    message_id: str
    run_id: str


class Closed(msgspec.Struct, frozen=True):
    """The agent has said something whole, or was cut off."""

    message_id: str
    run_id: str
    content: Content
    state: ReplyState


class Superseded(msgspec.Struct, frozen=True):
    """A run starts over: what its earlier attempts said no longer counts."""

    run_id: str
    attempt: int


class Moved(msgspec.Struct, frozen=True):
    """A live run changed its state."""

    run_id: str
    state: RunState


class Ended(msgspec.Struct, frozen=True):
    """A run has its outcome, and so have the messages it took."""

    run_id: str
    state: RunState
    reason: str
    retryable: bool = False
    usage: tuple[Usage, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """A tool call waits for a person's decision."""

    approval: ApprovalRequested
    run_id: str


class Decided(msgspec.Struct, frozen=True):
    """An approval is resolved."""

    approval_id: str
    signal: ApprovalSignal
    by: str
    note: str | None
    arguments: dict[str, object] | None


class Answered(msgspec.Struct, frozen=True):
    """A call of the host's has ended, or nobody knows how."""

    call_id: str
    status: CallStatus
    result: object


class Filed(msgspec.Struct, frozen=True):
    """The session has a new file."""

    file: ArtifactCreated
    run_id: str | None


class Discarded(msgspec.Struct, frozen=True):
    """A file of the session was deleted."""

    file_id: str


class Booked(msgspec.Struct, frozen=True):
    """A run spent something. The same tool call is counted once, however often it is begun."""

    run_id: str
    spent: Spending
    call_id: str | None = None


class Undone(msgspec.Struct, frozen=True):
    """Turns were taken off the transcript, and the compactions among their runs."""

    run_ids: tuple[str, ...]
    message_ids: tuple[str, ...]


class Redone(msgspec.Struct, frozen=True):
    """Turns that were taken off are back."""

    run_ids: tuple[str, ...]
    message_ids: tuple[str, ...]


class Compacted(msgspec.Struct, frozen=True):
    """A summary stands for everything up to a number."""

    run_id: str
    covers_through: int
    summary: str


class Left(msgspec.Struct, frozen=True):
    """A run left something that an undo can't take back; `call_id` if it is a tool call.

    With an empty `what` it turned out that nothing was left: the call was denied.
    """

    run_id: str
    what: str
    call_id: str | None = None


class Forked(msgspec.Struct, frozen=True):
    """The journal of another session goes on as that of this one; what was open in it is cut off."""


Change: TypeAlias = (
    Asked
    | Decided
    | Answered
    | Undone
    | Redone
    | Compacted
    | Left
    | Forked
    | Admitted
    | Edited
    | Promoted
    | Consumed
    | Entered
    | Withdrawn
    | Opened
    | Closed
    | Superseded
    | Moved
    | Ended
    | Filed
    | Discarded
    | Booked
)

NOTHING: tuple[Change, ...] = ()


def changes(event: Event | Unknown, run_id: str | None, *, opens: bool = False) -> tuple[Change, ...]:
    """What one event does to the transcript and to the runs. Most events do nothing."""
    match event:
        case MessageDelta(message_id=message_id):
            return (Opened(message_id, run_id),) if opens and run_id else NOTHING
        case MessageCompleted() if run_id:
            state = ReplyState.PARTIAL if event.partial else ReplyState.COMPLETED
            return (Closed(event.message_id, run_id, event.content, state),)
        case MessageAdmitted():
            state = (
                MessageState(event.disposition) if event.disposition in _ENTRY_STATES else MessageState.QUEUED
            )
            user, content = event.actor.user, event.content
            return (Admitted(event.message_id, user, content, state, event.run_id, event.into),)
        case MessageUpdated():
            return (Edited(event.message_id, event.content),)
        case MessagePromoted():
            return (Promoted(event.message_id, event.run_id, event.to == "steering"),)
        case SteeringConsumed() if run_id and not event.redelivered:
            return tuple(Consumed(message_id, run_id) for message_id in event.message_ids)
        case MessageWithdrawn(message_id=message_id):
            return (Withdrawn(message_id),)
        case RunStarted(trigger=trigger) if run_id:
            taken = Entered(trigger.message, run_id, trigger.kind != _COMMAND)
            return (Moved(run_id, RunState.RUNNING), taken, Booked(run_id, A_RUN))
        case RunRetried(attempt=attempt) if run_id:
            return (Superseded(run_id, attempt),)
        case RunInterrupting() if run_id:
            return (Moved(run_id, RunState.INTERRUPTING),)
        case RunWaiting() if run_id:
            return (Moved(run_id, RunState.WAITING),)
        case RunResumed() if run_id:
            return (Moved(run_id, RunState.RUNNING),)
        case ApprovalRequested() if run_id:
            return (Asked(event, run_id),)
        case ApprovalResolved() if run_id:
            signal = _SIGNALS[ApprovalState(event.decision)]
            return (Decided(event.approval_id, signal, event.by, event.note, event.arguments),)
        case ToolCallCompleted(call_id=call_id) if call_id.startswith(EFFECT) and not event.replayed:
            answered = Answered(call_id, CallStatus(event.status), event.result)
            return (answered, *_of_history(event, run_id))
        case RunFinished() if run_id:
            state = RunState(event.status)
            return (Ended(run_id, state, event.reason, event.retryable, event.usage),)
        case ArtifactCreated():
            left = (Left(run_id, f"file {event.name}"),) if run_id else NOTHING
            return (Filed(event, run_id), *left)
        case ArtifactDeleted():
            return (Discarded(event.artifact_id),)
        case UsageRecorded() if run_id:
            spent = of_call(event.input_tokens, event.output_tokens, event.cost)
            return (Booked(run_id, spent),)
        case ToolCallStarted(call_id=call_id) if run_id and event.tool != QUESTION:
            left = Left(run_id, f"tool call {event.tool}", call_id)
            return (Booked(run_id, A_TOOL_CALL, call_id), left)
        case _:
            return _of_history(event, run_id)


def _of_history(event: Event | Unknown, run_id: str | None) -> tuple[Change, ...]:
    """What concerns undo, redo, compact and fork."""
    match event:
        case ToolCallCompleted(status="denied") if run_id:
            return (Left(run_id, "", event.call_id),)
        case StateUpdated() if run_id:
            return (Left(run_id, f"state {event.scope}/{event.key}"),)
        case RecallScheduled() if run_id:
            return (Left(run_id, f"schedule {event.schedule_id}"),)
        case TranscriptUndone():
            return (Undone(event.run_ids, event.message_ids),)
        case TranscriptRedone():
            return (Redone(event.run_ids, event.message_ids),)
        case TranscriptCompacted() if run_id:
            return (Compacted(run_id, event.covers_through, event.summary),)
        case SessionCreated(parent=parent) if parent is not None:
            return (Forked(),)
        case _:
            return NOTHING


_COMMAND = "command"
_SIGNALS = {state: signal for signal, state in APPROVAL.signals(APPROVAL.initial).items()}

_ENTRY_STATES = frozenset({Disposition.QUEUED, Disposition.STEERED, Disposition.MERGED})


class Item(msgspec.Struct):
    """One line of the transcript. `status` is a message state or, for what the agent said, a reply state."""

    message_id: str
    role: Role
    content: Content
    run_id: str | None
    status: str
    entered_seq: int | None = None
    superseded: bool = False
    joined: str | None = None
    undone: bool = False


class Summary(msgspec.Struct):
    """What stands for everything up to `covers_through`. `seq` is the number of its compaction."""

    run_id: str
    seq: int
    covers_through: int
    text: str
    undone: bool = False


class Transcript:
    """The fold in memory: every message of a session, and the state of every run that started."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.runs: dict[str, RunState] = {}
        self.files: dict[str, Filed] = {}
        self.inherited_files: frozenset[str] = frozenset()
        self.approvals: dict[str, ApprovalState] = {}
        self.summaries: list[Summary] = []
        self._text: dict[str, list[str]] = {}
        self._of_run: dict[str, list[Item]] = {}
        """What a run was ever said to have, so that its end doesn't go through the whole session."""
        self._joiners: dict[str, list[Item]] = {}

    @classmethod
    def fold(cls, journal: Iterable[Recorded]) -> "Transcript":
        """The transcript of a whole journal."""
        transcript = cls()
        for recorded in journal:
            transcript.add(recorded)
        return transcript

    def add(self, recorded: Recorded) -> None:
        """Take in the next event."""
        event, opens = recorded.event, False
        if isinstance(event, MessageDelta):
            opens = event.message_id not in self.items
            self._text.setdefault(event.message_id, []).append(event.text)
        for change in changes(event, recorded.run_id, opens=opens):
            self._apply(change, recorded.seq)

    def lines(self) -> list[Item]:
        """What the agent and its users have said to each other, oldest first."""
        covered = self.covered
        shown = [
            i
            for i in self.items.values()
            if (i.entered_seq or 0) > covered and not i.superseded and not i.undone
        ]
        for item in shown:
            if item.status == ReplyState.STREAMING:
                item.content = "".join(self._text.get(item.message_id, ()))
        return sorted(shown, key=lambda item: item.entered_seq or 0)

    @property
    def covered(self) -> int:
        """The number up to which a summary stands for what was said; 0 if none does."""
        standing = [summary.covers_through for summary in self.summaries if not summary.undone]
        return standing[-1] if standing else 0

    def _apply(self, change: Change, seq: int) -> None:
        match change:
            case Undone() | Redone():
                self._turn(change, undone=isinstance(change, Undone))
            case Compacted():
                said = Summary(change.run_id, seq, change.covers_through, change.summary)
                self.summaries.append(said)
            case Left() | Booked():
                pass  # rows of their own, which nothing folds again
            case Forked():
                self.branch()
            case Admitted():
                self._admit(change)
            case Edited(message_id=message_id, content=content):
                self.items[message_id].content = content
            case Promoted():
                self._promote(change)
            case Consumed(message_id=message_id, run_id=run_id):
                item = self.items[message_id]
                item.entered_seq = seq
                self._give(item, run_id)
                self._take_joined(item)
                self._signal(item, MessageSignal.TAKE)
            case Entered():
                self._enter(change, seq)
            case Withdrawn(message_id=message_id):
                self._signal(self.items[message_id], MessageSignal.WITHDRAW)
            case Opened():
                self._keep(
                    Item(change.message_id, Role.ASSISTANT, "", change.run_id, ReplyState.STREAMING, seq)
                )
            case Closed():
                self._close(change, seq)
            case Superseded(run_id=run_id):
                self._supersede(run_id)
            case Moved(run_id=run_id, state=state):
                self.runs[run_id] = state
            case Ended():
                self._end(change)
            case Asked(approval=asked):
                self.approvals[asked.approval_id] = APPROVAL.initial
            case Decided(approval_id=approval_id, signal=signal):
                self.approvals[approval_id] = APPROVAL.advance(self.approvals[approval_id], signal)
            case Answered():
                pass
            case Filed():
                self.files[change.file.artifact_id] = change
            case Discarded(file_id=file_id):
                del self.files[file_id]

    def _admit(self, change: Admitted) -> None:
        said = Item(change.message_id, Role.USER, change.content, change.run_id, change.state)
        said.joined = change.into
        self._keep(said)

    def _keep(self, item: Item) -> None:
        self.items[item.message_id] = item
        self._give(item, item.run_id)
        if item.joined is not None:
            self._joiners.setdefault(item.joined, []).append(item)

    def _give(self, item: Item, run_id: str | None) -> None:
        """The message is of this run from here on."""
        item.run_id = run_id
        if run_id is not None:
            self._of_run.setdefault(run_id, []).append(item)

    def _enter(self, change: Entered, seq: int) -> None:
        item = self.items.get(change.message_id)
        if item is None:
            return
        self._give(item, change.run_id)
        self._take_joined(item)
        if item.status == MessageState.SETTLED:
            # A run that is tried again takes the same message, which keeps its place.
            self._signal(item, MessageSignal.RETRY)
            return
        item.entered_seq = seq if change.shown else None
        self._signal(item, MessageSignal.START)

    def _take_joined(self, item: Item) -> None:
        """What joined a message has its run, and so its outcome: the last one, if it is tried again."""
        for other in self._joiners.get(item.message_id, ()):
            if other.status != MessageState.WITHDRAWN:
                self._give(other, item.run_id)

    def _turn(self, change: Undone | Redone, *, undone: bool) -> None:
        for message_id in change.message_ids:
            self.items[message_id].undone = undone
        for summary in self.summaries:
            if summary.run_id in change.run_ids:
                summary.undone = undone

    def branch(self) -> None:
        """Go on as a fork: what never stood in the transcript is left behind, what was open is cut off."""
        self.items = {i: item for i, item in self.items.items() if item.entered_seq is not None}
        for item in self.items.values():
            if item.status == ReplyState.STREAMING:
                item.content = "".join(self._text.pop(item.message_id, ()))
                item.status = REPLY.advance(ReplyState.STREAMING, ReplySignal.CUT)
            elif item.role is Role.USER and item.status != MessageState.SETTLED:
                self._signal(item, MessageSignal.SETTLE)
        self.inherited_files = frozenset(self.files)
        self.runs, self.approvals, self._text = {}, {}, {}
        self._of_run, self._joiners = {}, {}

    def _promote(self, change: Promoted) -> None:
        item = self.items[change.message_id]
        self._give(item, change.run_id)
        if change.steers:
            self._signal(item, MessageSignal.STEER)
        elif item.status == MessageState.STEERED:
            self._signal(item, MessageSignal.PROMOTE)

    def _close(self, change: Closed, seq: int) -> None:
        item = self.items.get(change.message_id)
        if item is None:
            item = Item(change.message_id, Role.ASSISTANT, "", change.run_id, change.state, seq)
            self._keep(item)
        item.content, item.status = change.content, change.state
        self._text.pop(change.message_id, None)

    def _supersede(self, run_id: str) -> None:
        self.runs[run_id] = RunState.RUNNING
        for item in self._of_run.get(run_id, ()):
            if item.run_id == run_id and item.role is Role.ASSISTANT:
                item.superseded = True
                if item.status == ReplyState.STREAMING:
                    item.status = REPLY.advance(ReplyState.STREAMING, ReplySignal.CUT)

    def _end(self, change: Ended) -> None:
        self.runs[change.run_id] = change.state
        for item in self._of_run.pop(change.run_id, ()):
            taken = item.role is Role.USER and item.run_id == change.run_id
            if taken and MESSAGE.allows(MessageState(item.status), MessageSignal.SETTLE):
                self._signal(item, MessageSignal.SETTLE)

    def _signal(self, item: Item, signal: MessageSignal) -> None:
        item.status = MESSAGE.advance(MessageState(item.status), signal)
