"""How a live run is stopped by command: its owner is told by an event, one without an owner ends at once."""

from tenure.core.audit import Deed, Subject
from tenure.core.entry import entry
from tenure.core.event import RunInterrupting
from tenure.core.run import RunState
from tenure.ports.store import Stamp
from tenure.stores.relational.acts.auditing import note
from tenure.stores.relational.acts.ends import end
from tenure.stores.relational.acts.rows import RunRow, SessionRow, run_row
from tenure.stores.relational.tx import Tx


def stop(tx: Tx, session: SessionRow, run: RunRow, stamp: Stamp, *, reason: str, force: bool) -> RunState:
    """Stop a live run. Returns its state afterwards: cancelled already, or interrupting."""
    if (stamp.by.tenant, stamp.by.user) != (run.tenant, run.author):
        subject = Subject("run", run.id, run.tenant)
        note(tx, stamp, Deed.RUN_INTERRUPTED, subject, author=run.author, reason=reason)
    if run.state in (RunState.QUEUED, RunState.WAITING):
        end(tx, session, run, RunState.CANCELLED, reason, stamp.at, by=stamp.by.user)
        return RunState.CANCELLED
    if run.state is RunState.RUNNING or force:
        event = RunInterrupting(by=stamp.by.user, reason=reason, force=force)
        tx.record(session.no, session.id, [entry(stamp.at, event, run.id)])
    if run.state is RunState.RUNNING:
        tx.must("run_because", id=run.id, reason=reason)
    return RunState.INTERRUPTING


def stop_for(tx: Tx, session: SessionRow, stamp: Stamp, run_id: str) -> bool:
    """Stop a run for a message that stands at the front now. True if that message can start at once."""
    run = run_row(tx, run_id)
    assert run is not None, "admission read it in this very transaction"
    return stop(tx, session, run, stamp, reason="interrupted", force=False) is RunState.CANCELLED
