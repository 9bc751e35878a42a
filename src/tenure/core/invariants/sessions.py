"""What holds of a session: its birth, its end, its row."""

from tenure.core.event import (
    QueueHeld,
    QueueReleased,
    SessionClosed,
    SessionCreated,
    SessionDeleted,
    SessionReopened,
)
from tenure.core.invariants.case import Case, Faults
from tenure.core.message import MessageState
from tenure.core.run import LIVE_RUNS
from tenure.core.session import SessionState


def birth(case: Case) -> Faults:
    born = [(e.seq, e.event.parent) for e in case.journal if isinstance(e.event, SessionCreated)]
    seqs = tuple(seq for seq, _ in born)
    if case.journal and seqs[:1] != (1,):
        yield f"session.created stands at {[*seqs]} instead of 1.", seqs
    for seq, parent in born[1:]:
        if parent is None or parent.seq != seq - 1:
            yield f"session.created stands at {seq}, but no fork begins there.", (seq,)


def deleted(case: Case) -> Faults:
    ends = [e.seq for e in case.journal if isinstance(e.event, SessionDeleted)]
    if not ends:
        return
    late = [e.seq for e in case.journal if e.seq > ends[0]]
    if late:
        yield f"Entries {late} follow session.deleted at {ends[0]}.", tuple(late)
    waiting = [m.message_id for m in case.stored.messages if m.status in _WAITING]
    if waiting:
        yield f"The session is deleted, but the messages {waiting} still wait.", (ends[0],)
    live = [run.run_id for run in case.stored.runs if run.state in LIVE_RUNS]
    if live:
        yield f"The session is deleted, but the runs {live} are live.", (ends[0],)


_WAITING = (MessageState.QUEUED, MessageState.STEERED)


def session_row(case: Case) -> Faults:
    state, held = SessionState.OPEN, False
    for recorded in case.own:
        match recorded.event:
            case SessionClosed():
                state = SessionState.CLOSED
            case SessionReopened():
                state = SessionState.OPEN
            case SessionDeleted():
                state = SessionState.DELETED
            case QueueHeld():
                held = True
            case QueueReleased():
                held = False
            case _:
                pass
    if case.stored.state != state:
        yield f"The session is {case.stored.state}, but its journal folds to {state}.", ()
    if case.stored.queue_held != held and state is not SessionState.DELETED:
        yield f"queue_held is {case.stored.queue_held}, but its journal folds to {held}.", ()
