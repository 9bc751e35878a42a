"""What the owner of a run may do to it: append, let its deadline pass, settle, release, and claim others."""

from collections.abc import Callable

from tenure.core.approval import BY_RUNNER
from tenure.core.entry import entry
from tenure.core.event import RunFinished, RunInterrupting
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.run import RUN, RunSignal, RunState, ending
from tenure.ports.store import Append, Lease, Settled, Settlement, Start, Wake
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.ends import close_open_ends, end, finish
from tenure.stores.relational.acts.rows import RunRow, SessionRow, fenced, held_run, run_row, session_of
from tenure.stores.relational.acts.starts import claim_one, rights_now, start_next
from tenure.stores.relational.acts.waits import close_calls, let_go
from tenure.stores.relational.tx import Tx


def append(tx: Tx, lease: Lease, append: Append) -> None:
    """Record output of a live run. Raises TenureError `fenced` if it isn't this host's any more."""
    fence = tx.fence(append.run_id, lease.incarnation)
    if fence is None:
        raise fenced(append.run_id)
    tx.record(fence.no, fence.session_id, append.entries)


def held(tx: Tx, lease: Lease, run_id: str) -> tuple[SessionRow, RunRow]:
    """The run and its session, if the lease still holds it. Raises TenureError `fenced`."""
    found = held_run(tx, run_id, lease.incarnation)
    if found is None:
        raise fenced(run_id)
    return found


def expire(tx: Tx, lease: Lease, run_id: str, at: Micros, reason: str) -> None:
    """The time of a running run is up: it is interrupted. Any other state is left alone."""
    session, run = held(tx, lease, run_id)
    if run.state is not RunState.RUNNING:
        return
    tx.must("run_expire", id=run_id, reason=reason)
    event = RunInterrupting(by="deadline", reason=reason)
    tx.record(session.no, session.id, [entry(at, event, run_id)])


def settle(tx: Tx, lease: Lease, settlement: Settlement, rules: Rules) -> Settled:
    """Give the run its outcome, and let the next waiting message begin, in one transaction."""
    session, run = held(tx, lease, settlement.run_id)
    # A runner may end while its run waits for people or for a slot: what it waited for is withdrawn.
    state = RunState.RUNNING if run.state in (RunState.WAITING, RunState.QUEUED) else run.state
    status = ending(state, settlement.verdict, by_deadline=run.by_deadline)
    tx.record(session.no, session.id, settlement.final(status))
    calls, words = tx.one("left_open", run_id=run.id, no=session.no)
    if calls:
        close_calls(tx, session, run, settlement.at, by=BY_RUNNER)
    if words:
        close_open_ends(tx, session, run, settlement.at)
    event = RunFinished(
        status=status,
        reason=_reason(run, settlement, status),
        retryable=settlement.retryable and status is RunState.FAILED,
        usage=settlement.usage,
    )
    finish(tx, session, run, event, settlement.at)
    start = _next(tx, session, settlement, rules, lease)
    return Settled(status, Wake(() if start is None else (start,), slots.backlog(tx)))


def _reason(run: RunRow, settlement: Settlement, status: RunState) -> str:
    if status is settlement.verdict:
        return settlement.reason
    return run.reason or "interrupted"


def _next(tx: Tx, session: SessionRow, settlement: Settlement, rules: Rules, lease: Lease) -> Start | None:
    if session.held:
        return None
    owner = lease if settlement.takes_next else None
    return start_next(tx, session, settlement.next_run_id, settlement.at, rules, owner)


def claim(tx: Tx, lease: Lease, room: int, at: Micros, rules: Rules, mint: Callable[[], str]) -> Wake:
    """Start at most `room` runs that wait for a slot: authors with the fewest live runs first.

    Where there are several hosts, each takes runs of the agents that it has; the others wait for another.
    One that never began and whose author is gone ends instead; `mint` makes ids for what comes behind it.
    """
    starts: list[Start] = []
    agents = list(rules.terms)
    while len(starts) < room and slots.taken(tx).room(rules.limits):
        row = tx.one("slot_next", most=rules.limits.live_runs_per_user, agents=agents)
        if row is None:
            break
        tenant, author = row
        if not tx.alone and not slots.judged(tx, tenant, author, rules.limits).may_claim(rules.limits):
            break
        oldest = tx.one("run_oldest", tenant=tenant, author=author, agents=agents)
        run = None if oldest is None else run_row(tx, oldest[0])
        if run is None:
            break
        tx.hold(run.session_no)
        if run.state is not RunState.QUEUED:
            break
        session = session_of(tx, run.session_no)
        if run.attempt == 0 and rights_now(tx, run.grant.author, at) is None:
            end(tx, session, run, RunState.CANCELLED, "principal_gone", at)
            if not session.held:
                start_next(tx, session, mint(), at, rules, None)
            continue
        starts.append(claim_one(tx, session, run, at, lease, rules))
    return Wake(tuple(starts), slots.backlog(tx))


def release(
    tx: Tx, lease: Lease, run_id: str, at: Micros, reason: str, rules: Rules, mint: Callable[[], str]
) -> None:
    """Let a run go, to be taken up again as its next attempt. It doesn't count as lost.

    One that was being stopped ends here; the message behind it then becomes a run for another host.
    """
    session, run = held(tx, lease, run_id)
    if lapse(tx, session, run, at, reason, lapses=0) in RUN.terminal and not session.held:
        start_next(tx, session, mint(), at, rules, None)


def lapse(tx: Tx, session: SessionRow, run: RunRow, at: Micros, reason: str, *, lapses: int) -> RunState:
    """A run has no host any more: back to the queue, or to its end. Returns its new state.

    One that waits for people, or was answered and waits for a slot, goes on waiting without one.
    """
    if let_go(tx, run):
        return run.state
    if RUN.advance(run.state, RunSignal.LOSE_LEASE) is RunState.CANCELLED:
        end(tx, session, run, RunState.CANCELLED, run.reason or "interrupted", at)
        return RunState.CANCELLED
    if run.lapses + lapses >= run.grant.max_attempts:
        end(tx, session, run, RunState.LOST, f"{reason}_{run.grant.max_attempts}_times", at)
        return RunState.LOST
    tx.unfence(run.id)
    tx.must("run_lapse", id=run.id, lapses=lapses, reason=reason)
    slots.move_run(tx, run.tenant, run.author, live=-1, queued=1)
    return RunState.QUEUED
