"""The transcript as a fold of the journal.

`changes` says what one event does to the rows of a session. The store applies it to its tables in the
transaction of the event; `Transcript` applies it in memory, so that the invariant checker can fold the
journal again and compare.
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from tenure.core.content import Content
from tenure.core.entry import Recorded
from tenure.core.event import (
    Event,
    MessageAdmitted,
    MessageCompleted,
    MessageDelta,
    MessageWithdrawn,
    RunFinished,
    RunInterrupting,
    RunRetried,
    RunStarted,
    Unknown,
)
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


class Admitted(msgspec.Struct, frozen=True):
    """A message of a user came in."""

    message_id: str
    user: str
    content: Content
    state: MessageState
    run_id: str | None


class Entered(msgspec.Struct, frozen=True):
    """A run took a message: from here on it stands in the transcript."""

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


Change: TypeAlias = Admitted | Entered | Withdrawn | Opened | Closed | Superseded | Moved | Ended

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
            return (Admitted(event.message_id, event.actor.user, event.content, state, event.run_id),)
        case MessageWithdrawn(message_id=message_id):
            return (Withdrawn(message_id),)
        case RunStarted(trigger=trigger) if run_id:
            return (Moved(run_id, RunState.RUNNING), Entered(trigger.id, run_id))
        case RunRetried(attempt=attempt) if run_id:
            return (Superseded(run_id, attempt),)
        case RunInterrupting() if run_id:
            return (Moved(run_id, RunState.INTERRUPTING),)
        case RunFinished() if run_id:
            state = RunState(event.status)
            return (Ended(run_id, state, event.reason, event.retryable, event.usage),)
        case _:
            return NOTHING


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


class Transcript:
    """The fold in memory: every message of a session, and the state of every run that started."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.runs: dict[str, RunState] = {}
        self._text: dict[str, list[str]] = {}

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
        shown = [i for i in self.items.values() if i.entered_seq is not None and not i.superseded]
        for item in shown:
            if item.status == ReplyState.STREAMING:
                item.content = "".join(self._text.get(item.message_id, ()))
        return sorted(shown, key=lambda item: item.entered_seq or 0)

    def _apply(self, change: Change, seq: int) -> None:
        match change:
            case Admitted():
                self.items[change.message_id] = Item(
                    change.message_id, Role.USER, change.content, change.run_id, change.state
                )
            case Entered():
                self._enter(change, seq)
            case Withdrawn(message_id=message_id):
                self._signal(self.items[message_id], MessageSignal.WITHDRAW)
            case Opened():
                self.items[change.message_id] = Item(
                    change.message_id, Role.ASSISTANT, "", change.run_id, ReplyState.STREAMING, seq
                )
            case Closed():
                self._close(change, seq)
            case Superseded(run_id=run_id):
                self._supersede(run_id)
            case Moved(run_id=run_id, state=state):
                self.runs[run_id] = state
            case Ended():
                self._end(change)

    def _enter(self, change: Entered, seq: int) -> None:
        item = self.items.get(change.message_id)
        if item is None:
            return
        item.run_id, item.entered_seq = change.run_id, seq
        self._signal(item, MessageSignal.START)

    def _close(self, change: Closed, seq: int) -> None:
        item = self.items.setdefault(
            change.message_id,
            Item(change.message_id, Role.ASSISTANT, "", change.run_id, change.state, seq),
        )
        item.content, item.status = change.content, change.state
        self._text.pop(change.message_id, None)

    def _supersede(self, run_id: str) -> None:
        self.runs[run_id] = RunState.RUNNING
        for item in self.items.values():
            if item.run_id == run_id and item.role is Role.ASSISTANT:
                item.superseded = True
                if item.status == ReplyState.STREAMING:
                    item.status = REPLY.advance(ReplyState.STREAMING, ReplySignal.CUT)

    def _end(self, change: Ended) -> None:
        self.runs[change.run_id] = change.state
        for item in self.items.values():
            taken = item.role is Role.USER and item.run_id == change.run_id
            if taken and MESSAGE.allows(MessageState(item.status), MessageSignal.SETTLE):
                self._signal(item, MessageSignal.SETTLE)

    def _signal(self, item: Item, signal: MessageSignal) -> None:
        item.status = MESSAGE.advance(MessageState(item.status), signal)
