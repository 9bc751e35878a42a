"""Small journals by hand, for the tests of what is folded from them."""

from tenure.core.entry import Recorded
from tenure.core.event import (
    Actor,
    Event,
    MessageAdmitted,
    MessageCompleted,
    MessageDelta,
    RunFinished,
    RunStarted,
    Trigger,
    Unknown,
)
from tenure.core.moment import Micros

ADA = Actor(user="ada", role="member")
Line = tuple[Event | Unknown, str | None]


def journal(*lines: Line) -> list[Recorded]:
    """The entries, numbered from 1."""
    return [Recorded(seq, Micros(seq), run, event) for seq, (event, run) in enumerate(lines, 1)]


def admitted(message_id: str, run_id: str | None = None, disposition: str = "queued") -> Line:
    event = MessageAdmitted(
        message_id=message_id,
        actor=ADA,
        content=f"text of {message_id}",
        when_busy="queue",
        disposition=disposition,
        run_id=run_id,
    )
    return event, None


def started(run_id: str, message_id: str) -> Line:
    trigger = Trigger(kind="message", id=message_id)
    return RunStarted(runner="python", attempt=1, trigger=trigger, grant_digest="5e0"), run_id


def finished(run_id: str, status: str = "completed") -> Line:
    return RunFinished(status=status, reason=""), run_id


def delta(run_id: str, message_id: str, text: str) -> Line:
    return MessageDelta(message_id, text), run_id


def closed(run_id: str, message_id: str, text: str, *, partial: bool = False) -> Line:
    event = MessageCompleted(message_id=message_id, role="assistant", content=text, partial=partial)
    return event, run_id
