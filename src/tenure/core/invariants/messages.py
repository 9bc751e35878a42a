"""What holds of messages: one outcome each, their order, and what steers."""

from tenure.core.entry import Recorded
from tenure.core.event import (
    MessageAdmitted,
    MessagePromoted,
    MessageWithdrawn,
    QueueHeld,
    QueueReleased,
    RunFinished,
    RunStarted,
    SteeringConsumed,
)
from tenure.core.invariants.case import Case, Faults
from tenure.core.message import BusyPolicy, Disposition, MessageState
from tenure.core.run import LIVE_RUNS, RunState

_RETRIED = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST)
_OVER = (MessageState.SETTLED, MessageState.WITHDRAWN)
_FRONT = (BusyPolicy.INTERRUPT, BusyPolicy.ROLLBACK)


def message_outcome(case: Case) -> Faults:
    """One admission, and one outcome: taken by a run, or withdrawn."""
    admitted: dict[str, int] = {}
    outcome: dict[str, tuple[int, str]] = {}
    again: set[str] = set()
    for recorded in case.own:
        if isinstance(recorded.event, MessageAdmitted):
            message_id = recorded.event.message_id
            if message_id in admitted:
                yield f"The message {message_id} was admitted twice.", (admitted[message_id], recorded.seq)
            admitted.setdefault(message_id, recorded.seq)
        for message_id, what in _outcomes(recorded):
            if message_id in outcome and message_id not in again:
                seq, before = outcome[message_id]
                yield f"The message {message_id} was {before} and then {what}.", (seq, recorded.seq)
            outcome.setdefault(message_id, (recorded.seq, what))
        again = _retriable(recorded, outcome, again)
    over = {item.message_id for item in case.stored.messages if item.status in _OVER}
    for item in case.stored.messages:
        if item.status == MessageState.MERGED and item.joined in over:
            yield (
                f"The message {item.message_id} joined {item.joined}, which is over, and has no outcome.",
                (),
            )


def _outcomes(recorded: Recorded) -> list[tuple[str, str]]:
    """The messages that get their outcome by this entry, and which."""
    match recorded.event:
        case MessageWithdrawn(message_id=message_id):
            return [(message_id, "withdrawn")]
        case RunStarted(trigger=trigger):
            return [(trigger.message, f"taken by the run {recorded.run_id}")]
        case SteeringConsumed(message_ids=message_ids, redelivered=False):
            return [(message_id, f"taken by the run {recorded.run_id}") for message_id in message_ids]
        case _:
            return []


def _retriable(recorded: Recorded, outcome: dict[str, tuple[int, str]], again: set[str]) -> set[str]:
    """The messages that may be taken again: those whose last run failed, until something else runs."""
    match recorded.event:
        case RunFinished(status=status) if status in _RETRIED:
            taken = f"taken by the run {recorded.run_id}"
            first = {message_id for message_id, (_, what) in outcome.items() if what == taken}
            return again | first
        case RunFinished():
            return set()
        case _:
            return again


class _Queue:
    """The queue as the journal tells it.

    `fronts` are messages that stood first since the last start, `direct` those that start without waiting.
    """

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.fronts: set[str] = set()
        self.held = False
        self.taken: set[str] = set()
        self.direct: set[str] = set()
        self._put_back = 0

    def add(self, recorded: Recorded) -> None:
        """Take in the next entry."""
        event = recorded.event
        if not (isinstance(event, MessagePromoted) and event.to == "run"):
            self._put_back = 0
        match event:
            case QueueHeld() | QueueReleased():
                self.held = isinstance(event, QueueHeld)
            case MessageAdmitted():
                self._admit(event)
            case MessagePromoted(message_id=message_id, to=to):
                self._promote(message_id, to)
            case MessageWithdrawn(message_id=message_id):
                self._remove(message_id)
            case RunStarted(trigger=trigger):
                self._remove(trigger.message)
                self.taken.add(trigger.message)
                self.direct.discard(trigger.message)
                self.fronts = set()
            case _:
                return
        self.fronts |= set(self.waiting[:1])

    def _admit(self, event: MessageAdmitted) -> None:
        front = event.when_busy in _FRONT
        if event.disposition == Disposition.STARTED and not front:
            self.direct.add(event.message_id)
        if event.disposition != Disposition.QUEUED:
            return
        self.waiting.insert(0 if front else len(self.waiting), event.message_id)

    def _promote(self, message_id: str, to: str) -> None:
        self._remove(message_id)
        if to == "next":
            self.waiting.insert(0, message_id)
        elif to == "run":
            self.waiting.insert(self._put_back, message_id)
            self._put_back += 1

    def _remove(self, message_id: str) -> None:
        if message_id in self.waiting:
            self.waiting.remove(message_id)


def queue_order(case: Case) -> Faults:
    """What starts stood first in the queue, or at some time since the last start: it may have had no slot."""
    queue = _Queue()
    for recorded in case.own:
        if isinstance(recorded.event, RunStarted):
            message_id = recorded.event.trigger.message
            waits = message_id in queue.waiting or (message_id in queue.direct and queue.waiting)
            if queue.held and message_id not in queue.taken:
                yield f"The run {recorded.run_id} started while the queue was held.", (recorded.seq,)
            if waits and message_id not in queue.fronts:
                first = queue.waiting[0]
                yield (
                    f"The message {message_id} was taken before {first}, which stood first.",
                    (recorded.seq,),
                )
        queue.add(recorded)


def steering(case: Case) -> Faults:
    """Steering was kept for the run that took it, and nothing is kept for a run that is over."""
    kept: dict[str, str | None] = {}
    for recorded in case.own:
        match recorded.event:
            case MessageAdmitted(disposition=Disposition.STEERED) as event:
                kept[event.message_id] = event.run_id
            case MessagePromoted(message_id=message_id, run_id=run_id, to=to):
                kept[message_id] = run_id if to == "steering" else None
            case SteeringConsumed(message_ids=message_ids, redelivered=False):
                for message_id in message_ids:
                    if kept.get(message_id) != recorded.run_id:
                        yield (
                            f"The run {recorded.run_id} took {message_id}, not kept for it.",
                            (recorded.seq,),
                        )
            case _:
                pass
    live = {run.run_id for run in case.stored.runs if run.state in LIVE_RUNS}
    for item in case.stored.messages:
        if item.status == MessageState.STEERED and item.run_id not in live:
            yield f"The message {item.message_id} is kept for the run {item.run_id}, which is over.", ()
