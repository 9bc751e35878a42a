"""How a run ends without its runner: by the store itself, when a host is gone or a session goes away."""

from tenure.core.approval import BY_HOST
from tenure.core.closing import closing
from tenure.core.entry import entry, lines_of, record
from tenure.core.event import Event, RunFinished
from tenure.core.message import MessageState
from tenure.core.moment import Micros
from tenure.core.run import SLOT_STATES, RunState
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.history import carry_out, undo_run
from tenure.stores.relational.acts.outcomes import settled
from tenure.stores.relational.acts.rows import RunRow, SessionRow, message_row
from tenure.stores.relational.acts.starts import withdraw
from tenure.stores.relational.acts.steering import put_back
from tenure.stores.relational.acts.waits import close_calls
from tenure.stores.relational.tx import Tx


def end(
    tx: Tx, session: SessionRow, run: RunRow, state: RunState, reason: str, at: Micros, *, by: str = BY_HOST
) -> None:
    """Give a live run its outcome. What it had said reaches the transcript first.

    Approvals that nobody decided are withdrawn by `by`.
    """
    close_calls(tx, session, run, at, by=by)
    close_open_ends(tx, session, run, at)
    if run.attempt == 0 and _waits(tx, session, run):
        withdraw(tx, session, run.message_id, at, by=by, reason=reason)
    finish(tx, session, run, RunFinished(status=state, reason=reason), at)


def _waits(tx: Tx, session: SessionRow, run: RunRow) -> bool:
    """Whether the run's message was taken by no run yet; that of a retried one was."""
    return message_row(tx, session.no, run.message_id).state == MessageState.QUEUED


def close_open_ends(tx: Tx, session: SessionRow, run: RunRow, at: Micros) -> None:
    """Close everything that the run had begun and its runner didn't end."""
    tx.record(session.no, session.id, [entry(at, event, run.id) for event in _open_ends(tx, session, run)])


def _open_ends(tx: Tx, session: SessionRow, run: RunRow) -> list[Event]:
    """What closes everything that the run had begun. It is read from the journal: its runner is gone."""
    row = tx.one("message_entered", no=session.no, id=run.message_id)
    if row is None or row[0] is None:
        return []
    strand = tx.one("head_strand", no=session.no)[0]
    stored = [
        record(seq, b"{" + rest)
        for first, _, body in tx.all("journal_from", strand=strand, seq=row[0])
        for seq, rest in enumerate(lines_of(body), first)
    ]
    fresh = [record(seq, line) for seq, line in tx.pending(session.no)]
    return closing(stored + fresh, run.id)


def finish(tx: Tx, session: SessionRow, run: RunRow, event: RunFinished, at: Micros) -> None:
    """Record the outcome and give the slot back. Nobody may write for the run any more."""
    tx.unfence(run.id)
    tx.record(session.no, session.id, [entry(at, event, run.id)])
    if run.state in SLOT_STATES:
        slots.move_run(tx, run.tenant, run.author, live=-1)
    elif run.state is RunState.QUEUED:
        slots.move_run(tx, run.tenant, run.author, queued=-1)
    steering, owes, rollbacks, recalled = tx.one(
        "after_run", no=session.no, run_id=run.id, message_id=run.message_id
    )
    if steering:
        put_back(tx, session, at)
    if owes:
        carry_out(tx, session, run.id, at)
    if recalled:
        settled(tx, session, run, RunState(event.status), at)
    if rollbacks:
        undo_run(tx, session, run.id, at)
