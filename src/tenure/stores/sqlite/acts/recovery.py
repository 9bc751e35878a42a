"""Recovery: runs whose host is gone go on as the next attempt or end with a reason; the deleted are freed."""

from collections.abc import Callable

from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.run import RUN, RunState
from tenure.ports.store import Lease, Reaped
from tenure.stores.sqlite.acts import slots
from tenure.stores.sqlite.acts.events import expire_events, purge_events
from tenure.stores.sqlite.acts.forks import free_loose, free_strand, let_go
from tenure.stores.sqlite.acts.receipts import KEPT
from tenure.stores.sqlite.acts.rows import run_row, session_of
from tenure.stores.sqlite.acts.runs import lapse
from tenure.stores.sqlite.acts.search import freed_words, scour
from tenure.stores.sqlite.acts.starts import start_next
from tenure.stores.sqlite.acts.states import expire as expire_states
from tenure.stores.sqlite.batch import Tx

PURGED_AT_ONCE = 2_000
PURGES = (
    "search_purge",
    "purge_spent",
    "receipt_blank",
    "purge_states",
    "purge_state_places",
    "purge_messages",
    "purge_approvals",
    "purge_effects",
    "purge_remembered",
    "purge_checkpoints",
    "purge_recalled",
    "purge_schedules",
    "purge_files",
    "purge_runs",
    "purge_head",
    "purge_session",
)
"""What frees the rows of a deleted session, in this order: the index before messages, calls before runs."""


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
        state = lapse(tx, session, run, at, reason, lapses=lapses)
        if state not in RUN.terminal:
            requeued += state is RunState.QUEUED
            continue
        ended += 1
        if not session.held:
            start_next(tx, session, mint(), at, rules, None)
    return Reaped(requeued, ended, slots.backlog(tx))


def purge(tx: Tx, at: Micros) -> int:
    """Free some rows of deleted sessions and old receipts. Returns how many went; 0 when all is clean."""
    gone = tx.do("receipt_expire", before=at - KEPT) + expire_events(tx, at) + expire_states(tx, at)
    gone += free_loose(tx, PURGED_AT_ONCE)
    row = tx.one("purge_next")
    if row is None:
        return gone or scour(tx)
    no = row[0]
    freed = free_strand(tx, no, PURGED_AT_ONCE)
    freed = freed or tx.do("purge_occurrences", no=no, limit=PURGED_AT_ONCE)
    if freed:
        return gone + freed
    purge_events(tx, no, at)
    for name in PURGES:
        tx.do(name, no=no)
    let_go(tx, no)
    tx.do("snapshot_purge", no=no)
    freed_words(tx)
    return gone + 1
