"""Runs that wait for people: how they come to wait, how they go on, and what their end leaves undecided."""

from collections.abc import Iterable

import msgspec

from tenure.core.approval import ANSWERED, ApprovalState, Decided, Resumption
from tenure.core.effect import CallStatus, EffectState
from tenure.core.entry import entry
from tenure.core.event import (
    ApprovalResolved,
    Event,
    RunResumed,
    RunWaiting,
    ToolCallCompleted,
)
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.run import SLOT_STATES, RunState
from tenure.core.tool import Arguments
from tenure.ports.acts import Lease, Wake
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.rows import RunRow, SessionRow, run_row
from tenure.stores.relational.tx import Tx


def record(tx: Tx, session: SessionRow, run_id: str, at: Micros, events: Iterable[Event]) -> None:
    """Record events of a run, if there are any."""
    entries = [entry(at, event, run_id) for event in events]
    if entries:
        tx.record(session.no, session.id, entries)


def pending(tx: Tx, run_id: str) -> list[tuple[str, str]]:
    """The undecided approvals of a run with their calls, oldest first."""
    return [(approval, call) for approval, call in tx.all("approval_pending", run_id=run_id)]


def wait(tx: Tx, session: SessionRow, run: RunRow, at: Micros) -> None:
    """The run waits for all of its approvals that nobody decided yet. It gives its slot back."""
    asked = tuple(approval for approval, _ in pending(tx, run.id))
    record(tx, session, run.id, at, [RunWaiting(approval_ids=asked)])
    if run.state in SLOT_STATES:
        slots.move_run(tx, run.tenant, run.author, live=-1)


def resolve(
    tx: Tx,
    session: SessionRow,
    run_id: str,
    approval_id: str,
    call_id: str,
    at: Micros,
    decision: ApprovalState,
    *,
    by: str,
    note: str | None = None,
    arguments: Arguments | None = None,
    remember: str | None = None,
) -> None:
    """Record a decision. A call that wasn't granted has ended with it."""
    resolved = ApprovalResolved(
        approval_id=approval_id,
        decision=decision,
        by=by,
        note=note,
        arguments=arguments,
        remember=remember,
    )
    events: list[Event] = [resolved]
    if decision is not ApprovalState.GRANTED:
        events.append(refused(call_id, decision, by, note))
    record(tx, session, run_id, at, events)


def refused(call_id: str, decision: ApprovalState, by: str, note: str | None) -> ToolCallCompleted:
    """How a call ends that was never made. The result says why."""
    why = {"decision": str(decision), "by": by, **({} if note is None else {"note": note})}
    return ToolCallCompleted(call_id=call_id, status=CallStatus.DENIED, result=why)


def go_on(tx: Tx, session: SessionRow, run_id: str, at: Micros, rules: Rules) -> Wake:
    """Let a waiting run go on if nothing of it is undecided any more.

    It runs on at once if its runner is held and a slot is free; else it waits for a slot.
    """
    run = run_row(tx, run_id)
    if run is None or run.state is not RunState.WAITING or pending(tx, run_id):
        return Wake(backlog=slots.backlog(tx))
    holder = None if run.owner is None else Lease(run.owner)
    if slots.has_room(tx, run.tenant, run.author, rules.limits, holder):
        tx.must("run_continue", id=run_id)
        slots.move_run(tx, run.tenant, run.author, live=1)
        resumed = RunResumed(attempt=run.attempt, mode=Resumption.HELD)
        record(tx, session, run_id, at, [resumed])
    else:
        tx.must("run_answer", id=run_id, reason=ANSWERED)
        slots.move_run(tx, run.tenant, run.author, queued=1)
    return Wake(backlog=slots.backlog(tx))


def let_go(tx: Tx, run: RunRow) -> bool:
    """Nobody keeps the runner of a run any more that waits. False if it doesn't wait."""
    if tx.do("run_let_go", id=run.id) != 1:
        return False
    tx.unfence(run.id)
    return True


def decisions(tx: Tx, run_id: str) -> tuple[Decided, ...]:
    """What became of the approvals of a run, oldest first."""
    return tuple(
        Decided(
            approval_id=approval_id,
            call_id=call_id,
            tool=tool,
            arguments=msgspec.json.decode(arguments, type=dict[str, object]),
            decision=ApprovalState(state),
            note=note,
        )
        for approval_id, call_id, tool, arguments, state, note in tx.all("approval_decided", run_id=run_id)
    )


def close_calls(tx: Tx, session: SessionRow, run: RunRow, at: Micros, *, by: str) -> None:
    """The run is about to end: withdraw what nobody decided, and close the calls that it left open."""
    for approval_id, call_id in pending(tx, run.id):
        resolve(tx, session, run.id, approval_id, call_id, at, ApprovalState.WITHDRAWN, by=by)
    closed: list[Event] = [
        refused(call_id, ApprovalState.WITHDRAWN, by, None)
        if state == EffectState.INTENDED
        else ToolCallCompleted(call_id=call_id, status=CallStatus.UNKNOWN)
        for call_id, state in tx.all("effect_open", run_id=run.id)
    ]
    record(tx, session, run.id, at, closed)
