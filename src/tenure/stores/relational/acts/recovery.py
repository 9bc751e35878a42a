"""Recovery: runs whose host is gone go on as the next attempt or end with a reason; the deleted are freed."""

from collections.abc import Callable, Sequence

from tenure.core.moment import SECOND, Micros
from tenure.core.rules import Rules
from tenure.core.run import RUN, RunState
from tenure.errors import Code, TenureError
from tenure.ports.hosts import HostCard
from tenure.ports.store import Lease, Reaped
from tenure.stores.relational.acts import receipts, slots
from tenure.stores.relational.acts.auditing import expire as expire_audit
from tenure.stores.relational.acts.events import expire_events, purge_events
from tenure.stores.relational.acts.forks import free_loose, free_strand, let_go
from tenure.stores.relational.acts.rows import run_row, session_of
from tenure.stores.relational.acts.runs import lapse
from tenure.stores.relational.acts.search import freed_words, scour
from tenure.stores.relational.acts.signing import expire as expire_signing
from tenure.stores.relational.acts.starts import start_next
from tenure.stores.relational.acts.states import expire as expire_states
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Tx

PURGED_AT_ONCE = 2_000
PURGES = (
    "search_purge",
    "purge_spent",
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
    "purge_shares",
    "purge_runs",
    "purge_head",
    "purge_session",
)
"""What frees the rows of a deleted session, in this order: the index before messages, calls before runs."""


def join(tx: Tx, at: Micros, card: HostCard, *, alone: bool) -> Lease:
    """Begin a new life of this host. With nobody else there, all earlier ones are fenced from here on."""
    now = tx.now(at)
    lease = Lease(
        tx.insert(
            "host_join",
            name=card.name,
            version=card.version,
            slots=card.slots,
            lease=round(card.lease_s * SECOND),
            now=now,
        )
    )
    if alone:
        for (other,) in tx.all("hosts_others", incarnation=lease.incarnation):
            end_life(tx, other, drained=False)
    return lease


def leave(tx: Tx, lease: Lease, *, lost: bool = False) -> None:
    """This life ends by itself: in good order, unless what it did may have been the cause."""
    end_life(tx, lease.incarnation, drained=not lost)


def renew(tx: Tx, lease: Lease, at: Micros, *, draining: bool) -> Micros:
    """Hold the lease for its time from now on. Raises TenureError `fenced` if it was given up."""
    now = tx.now(at)
    if not tx.do("host_renew", incarnation=lease.incarnation, now=now, draining=int(draining)):
        raise given_up(lease)
    return now


def give_up(tx: Tx, lease: Lease, at: Micros) -> int:
    """Fence every host whose lease has run out. From the commit on, none of them can write."""
    now = tx.now(at)
    ended = 0
    for (incarnation,) in tx.all("hosts_expired", incarnation=lease.incarnation, now=now):
        # Looked at again as its row is locked: it may have been renewed at the last moment.
        if tx.do("host_expire", incarnation=incarnation, now=now):
            tx.do("host_past", incarnation=incarnation, drained=0)
            ended += 1
    return ended


def end_life(tx: Tx, incarnation: int, *, drained: bool) -> int:
    """Nobody of that number can write any more. Returns 0 if it was over already."""
    gone = tx.do("host_end", incarnation=incarnation)
    tx.do("host_past", incarnation=incarnation, drained=int(drained))
    return gone


def given_up(lease: Lease) -> TenureError:
    """The refusal of a host whose lease ran out."""
    detail = f"The lease of host life {lease.incarnation} ran out and was given up. Join again."
    return TenureError(Code.FENCED, detail)


def orphans(tx: Look) -> list[str]:
    """The runs that no host holds any more, oldest first."""
    return [run_id for run_id, _ in tx.all("run_orphans")]


def take_up(tx: Tx, run_id: str, at: Micros, rules: Rules, mint: Callable[[], str]) -> RunState | None:
    """Put a run whose host is gone back into the queue, or end it. Its new state; None if it has a host.

    A host that left in good order may have been given a run in its last moment: that costs no attempt.
    """
    row = tx.one("run_orphaned", id=run_id)
    run = None if row is None else run_row(tx, run_id)
    if row is None or run is None:
        return None
    session = session_of(tx, run.session_no)
    reason, lapses = ("drain", 0) if row[1] else ("host_lost", 1)
    state = lapse(tx, session, run, at, reason, lapses=lapses)
    if state in RUN.terminal and not session.held:
        start_next(tx, session, mint(), at, rules, None)
    return state


def reap(tx: Tx, lease: Lease, at: Micros, rules: Rules, mint: Callable[[], str]) -> Reaped:
    """Take up every run that a host which is gone held to its end, all at once."""
    taken = [take_up(tx, run_id, at, rules, mint) for run_id in orphans(tx)]
    return Reaped(*counted(taken), slots.backlog(tx))


def counted(taken: Sequence[RunState | None]) -> tuple[int, int]:
    """How many went back into the queue, and how many ended."""
    ended = sum(state in RUN.terminal for state in taken if state is not None)
    return sum(state is RunState.QUEUED for state in taken), ended


def purge(tx: Tx, at: Micros) -> int:
    """Free some rows of deleted sessions and old receipts. Returns how many went; 0 when all is clean."""
    gone = tx.do("receipt_expire", before=at - receipts.KEPT) + expire_events(tx, at) + expire_states(tx, at)
    gone += expire_audit(tx, at) + expire_signing(tx, at) + free_loose(tx, PURGED_AT_ONCE)
    row = tx.one("purge_next")
    if row is None:
        return gone or scour(tx)
    no = row[0]
    freed = free_strand(tx, no, PURGED_AT_ONCE)
    freed = freed or tx.do("purge_occurrences", no=no, limit=PURGED_AT_ONCE)
    if freed:
        return gone + freed
    purge_events(tx, no, at)
    receipts.blank(tx, no)
    for name in PURGES:
        freed = tx.do(name, no=no, limit=PURGED_AT_ONCE)
        if freed >= PURGED_AT_ONCE:
            return gone + freed
    let_go(tx, no)
    tx.do("snapshot_purge", no=no)
    freed_words(tx)
    return gone + 1
