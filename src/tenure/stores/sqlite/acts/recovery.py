"""Recovery: runs whose host is gone go on as the next attempt or end with a reason; the deleted are freed."""

from collections.abc import Callable

from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.ports.store import Lease, Reaped
from tenure.stores.sqlite.acts import slots
from tenure.stores.sqlite.acts.receipts import KEPT
from tenure.stores.sqlite.acts.rows import run_row, session_of
from tenure.stores.sqlite.acts.runs import lapse
from tenure.stores.sqlite.acts.starts import start_next
from tenure.stores.sqlite.batch import Tx

PURGED_AT_ONCE = 2_000


def join(tx: Tx, at: Micros) -> Lease:
    """Begin a new life of this host. All earlier ones are fenced from here on."""
    tx.must("host_join", at=at)
    return Lease(tx.db.execute("SELECT last_insert_rowid()").fetchone()[0])


def leave(tx: Tx, lease: Lease, at: Micros) -> None:
    """This life ends in good order."""
    tx.do("host_leave", incarnation=lease.incarnation, at=at)


def reap(tx: Tx, lease: Lease, at: Micros, rules: Rules, mint: Callable[[], str]) -> Reaped:
    """Take up every run that a host held to its end. `mint` makes run ids for the messages behind them.

    A host that left in good order may have been given a run in its last moment: that costs no attempt.
    """
    requeued = ended = 0
    for run_id, drained in tx.all("run_orphans", incarnation=lease.incarnation):
        run = run_row(tx, run_id)
        if run is None:
            continue
        session = session_of(tx, run.session_no)
        reason, lapses = ("drain", 0) if drained else ("host_lost", 1)
        if lapse(tx, session, run, at, reason, lapses=lapses) is RunState.QUEUED:
            requeued += 1
            continue
        ended += 1
        if not session.held:
            start_next(tx, session, mint(), at, rules, None)
    return Reaped(requeued, ended, slots.backlog(tx))


def purge(tx: Tx, at: Micros) -> int:
    """Free some rows of deleted sessions and old receipts. Returns how many went; 0 when all is clean."""
    gone = tx.do("receipt_expire", before=at - KEPT)
    row = tx.one("purge_next")
    if row is None:
        return gone
    no = row[0]
    freed = tx.do("purge_journal", no=no, limit=PURGED_AT_ONCE)
    if freed:
        return gone + freed
    for name in ("purge_messages", "purge_runs", "purge_head", "purge_session"):
        tx.do(name, no=no)
    return gone + 1
