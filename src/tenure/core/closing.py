"""What closes a run that ends without its runner: everything it had begun to say or to call."""

from collections.abc import Iterable

from tenure.core.entry import Recorded
from tenure.core.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    RunRetried,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.message import Role


def closing(journal: Iterable[Recorded], run_id: str) -> list[Event]:
    """The events that must stand before `run.finished`, given the journal of the run so far.

    Text and reasoning are closed as partial, with what was said; calls without an answer are unknown.
    What a retried attempt left open is superseded and needs no close.
    """
    said: dict[str, tuple[type[MessageDelta | ReasoningDelta], list[str]]] = {}
    calls: dict[str, None] = {}
    for recorded in journal:
        if recorded.run_id != run_id:
            continue
        match recorded.event:
            case MessageDelta(message_id, text) | ReasoningDelta(message_id, text):
                said.setdefault(message_id, (type(recorded.event), []))[1].append(text)
            case MessageCompleted(message_id=message_id) | ReasoningCompleted(message_id=message_id):
                said.pop(message_id, None)
            case ToolCallStarted(call_id=call_id):
                calls[call_id] = None
            case ToolCallCompleted(call_id=call_id):
                calls.pop(call_id, None)
            case RunRetried():
                said, calls = {}, {}
            case _:
                pass
    return [
        *(_cut(message_id, kind, "".join(parts)) for message_id, (kind, parts) in said.items()),
        *(ToolCallCompleted(call_id=call_id, status="unknown") for call_id in calls),
    ]


def _cut(message_id: str, kind: type[MessageDelta | ReasoningDelta], text: str) -> Event:
    closed = MessageCompleted if kind is MessageDelta else ReasoningCompleted
    return closed(message_id=message_id, role=Role.ASSISTANT, content=text, partial=True)
