"""A session: a durable conversation with one journal. Busy, waiting and idle follow from its run."""

from enum import StrEnum

from tenure.core.machine import Machine
from tenure.core.run import RunState


class SessionState(StrEnum):
    """What is stored of a session. Whether it is busy is derived from its run, never stored twice."""

    OPEN = "open"
    CLOSED = "closed"
    DELETED = "deleted"


class SessionSignal(StrEnum):
    """What can happen to a session."""

    CLOSE = "close"
    REOPEN = "reopen"
    DELETE = "delete"


SESSION: Machine[SessionState, SessionSignal] = Machine(
    "session",
    SessionState.OPEN,
    {
        SessionState.OPEN: {
            SessionSignal.CLOSE: SessionState.CLOSED,
            SessionSignal.DELETE: SessionState.DELETED,
        },
        SessionState.CLOSED: {
            SessionSignal.REOPEN: SessionState.OPEN,
            SessionSignal.DELETE: SessionState.DELETED,
        },
    },
)


class SessionStatus(StrEnum):
    """What a client is told: stored state and live run, folded into one word."""

    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    CLOSED = "closed"


def status_of(state: SessionState, run: RunState | None) -> SessionStatus:
    """The status a client sees, from the stored state and the state of the session's live run."""
    if state is not SessionState.OPEN:
        return SessionStatus.CLOSED
    if run is RunState.WAITING:
        return SessionStatus.WAITING
    return SessionStatus.IDLE if run is None else SessionStatus.RUNNING
