"""What the events of schedules say to somebody who listens to a session. `speech` shows it."""

from tenure.core.event import (
    RecallChanged,
    RecallDeferred,
    RecallMissed,
    RecallRetrying,
    RecallScheduled,
    RecallSkipped,
)
from tenure.core.recall import Reason
from tenure.core.schedule import ScheduleState

WHY = {
    Reason.ASKED: "somebody asked for it",
    Reason.FAILURES: "too many of its runs failed in a row",
    Reason.PRINCIPAL_GONE: "whoever made it has no key any more",
    Reason.FORBIDDEN: "whoever made it may not send messages there any more",
    Reason.UNKNOWN_AGENT: "its agent isn't hosted any more",
    Reason.SESSION_CLOSED: "the session is closed",
    Reason.SESSION_DELETED: "the session was deleted",
    Reason.LATE: "it was too late",
    Reason.PAUSED: "it was paused",
    Reason.OVERLAP: "the session was busy",
    Reason.CAPACITY: "there was no room",
    Reason.REFUSED: "it was refused",
    Reason.TIMETABLE: "when it is due can't be told any more",
    Reason.ERROR: "it couldn't be carried out",
}
"""The reasons of the protocol in words. Those that aren't here say it themselves."""


def recall_note(event: object) -> str:
    """What an event of a schedule means, or an empty text."""
    match event:
        case RecallScheduled(schedule_id=schedule_id, explanation=explanation, due_at=due_at):
            return f"scheduled, {schedule_id}: {explanation or due_at}"
        case RecallChanged():
            return changed(event)
        case RecallDeferred():
            return "the recall waits in line"
        case RecallSkipped(due_at=due_at, reason=reason):
            return f"the recall of {clock(due_at)} is left out: {why(reason)}"
        case RecallMissed(count=1, last=last, reason=reason):
            return f"the recall of {clock(last)} was missed: {why(reason)}"
        case RecallMissed(count=count, first=first, last=last, reason=reason):
            return f"{count} recalls were missed, {clock(first)} to {clock(last)}: {why(reason)}"
        case RecallRetrying(attempt=attempt, retry_at=retry_at):
            return f"the recall failed, and is tried again at {clock(retry_at)}, attempt {attempt}"
        case _:
            return ""


def changed(event: RecallChanged) -> str:
    """What became of a schedule. That it is done is said by its last recall already."""
    if event.status == ScheduleState.DONE:
        return ""
    because = f"by {event.by}" if event.reason == Reason.ASKED else why(event.reason)
    coming = f"; next at {clock(event.next_at)}" if event.next_at else ""
    return f"the schedule {event.schedule_id} is {event.status}, {because}{coming}"


def why(reason: str) -> str:
    """A reason in words."""
    return next((words for known, words in WHY.items() if known == reason), reason.replace("_", " "))


def clock(instant: str) -> str:
    """An instant to the second, in UTC."""
    return f"{instant[:19].replace('T', ' ')} UTC"
