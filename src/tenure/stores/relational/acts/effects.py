"""The effect ledger: a tool call is entered before it is made, and what came of it before it is told."""

from typing import NamedTuple

import msgspec

from tenure.core.approval import BY_RULE, BY_RUNNER, ApprovalState
from tenure.core.effect import CallStatus, EffectState
from tenure.core.event import (
    ApprovalRequested,
    EffectResolved,
    Event,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.ledger import Known, Ruling, Step, Wish, judge
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.spending import QUESTION
from tenure.core.tool import Arguments, Replay
from tenure.errors import Code, TenureError
from tenure.ports.acts import Lease, Wake
from tenure.ports.effects import Caller, Intended, Intent
from tenure.stores.relational.acts import slots, waits
from tenure.stores.relational.acts.allowances import is_allowed, remembered_as
from tenure.stores.relational.acts.rows import RunRow, SessionRow, fenced, held_run
from tenure.stores.relational.acts.spending import reserve_tool_call
from tenure.stores.relational.tx import Tx

LATER = Intended(step=Step.LATER)


class EffectRow(NamedTuple):
    """What the ledger holds of a call. `arguments` and `digest` last are those that were approved."""

    id: str
    attempt: int
    digest: str
    replay: Replay
    state: EffectState
    status: CallStatus | None
    result: object
    approval: ApprovalState | None
    approval_id: str | None
    arguments: Arguments
    approved: str


def intend(tx: Tx, lease: Lease, intent: Intent, rules: Rules) -> Intended:
    """Find the call or enter it, and decide. Raises `fenced`, `not_running`, `effect_conflict`."""
    session, run = calling(tx, lease, intent.caller)
    if run.state is RunState.QUEUED:
        return LATER
    if run.state is RunState.INTERRUPTING:
        raise TenureError(
            Code.NOT_RUNNING,
            f"The run {run.id} is being stopped, so the call of {intent.tool} wasn't made. Say what is left "
            "and return.",
            run_id=run.id,
        )
    known = _known(tx, intent)
    if intent.own and known is not None and not _stands_open(known):
        # The agent makes it, so it can't be answered from here: whether again, a person says.
        return _told(known, Step.REPLAY)
    ruling = _judge(tx, session, run, intent, known)
    if known is None:
        return _enter(tx, session, run, intent, ruling, rules)
    return _again(tx, session, run, intent, known, ruling.step)


def calling(tx: Tx, lease: Lease, caller: Caller) -> tuple[SessionRow, RunRow]:
    """The run, if this attempt of it is held by this life of a host. Raises TenureError `fenced`."""
    found = held_run(tx, caller.run_id, lease.incarnation)
    if found is None or found[1].attempt != caller.attempt:
        raise fenced(caller.run_id)
    return found


def _known(tx: Tx, intent: Intent) -> EffectRow | None:
    what = {"run_id": intent.caller.run_id, "tool": intent.tool, "own": intent.own}
    if intent.key is not None:
        return _row(tx.one("effect_keyed", **what, key=intent.key))
    return _row(tx.one("effect_same", **what, digest=intent.digest, nth=intent.nth))


def _stands_open(known: EffectRow) -> bool:
    """Whether what a person said of an own call, or will say, holds for it when it is asked for again."""
    return known.state is EffectState.INTENDED or known.status is CallStatus.DENIED


def _row(row: tuple[str, int, str, str, str, str, str, str, str, str, str] | None) -> EffectRow | None:
    if row is None:
        return None
    call_id, attempt, digest, replay, state, status, result, approval, approval_id, arguments, approved = row
    return EffectRow(
        call_id,
        attempt,
        digest,
        Replay(replay),
        EffectState(state),
        CallStatus(status) if status else None,
        msgspec.json.decode(result) if result else None,
        ApprovalState(approval) if approval else None,
        approval_id,
        msgspec.json.decode(arguments, type=dict[str, object]),
        approved,
    )


def _judge(tx: Tx, session: SessionRow, run: RunRow, intent: Intent, known: EffectRow | None) -> Ruling:
    attempt = intent.caller.attempt
    wish = Wish(attempt, intent.digest, intent.replay, intent.asks)
    if known is not None:
        found = Known(known.attempt, known.digest, known.replay, known.state, known.approval)
        return judge(wish, found, remembered=False, unasked=())
    unasked = tx.all("effect_unasked", run_id=run.id, attempt=attempt) if attempt > 1 else []
    remembered = intent.asks and is_allowed(tx, session, run, remembered_as(intent.tool, own=intent.own))
    return judge(wish, None, remembered=remembered, unasked=tuple(call for (call,) in unasked))


def _enter(
    tx: Tx, session: SessionRow, run: RunRow, intent: Intent, ruling: Ruling, rules: Rules
) -> Intended:
    """A call that the ledger doesn't hold yet."""
    asks = ruling.step is Step.ASK
    at = intent.caller.at
    if intent.tool != QUESTION:
        reserve_tool_call(tx, run, intent.call_id, at)
    tx.must(
        "effect_insert",
        id=intent.call_id,
        no=session.no,
        run_id=run.id,
        tool=intent.tool,
        own=intent.own,
        key=intent.key,
        digest=intent.digest,
        nth=intent.nth,
        arguments=msgspec.json.encode(intent.arguments).decode(),
        replay=intent.replay,
        state=EffectState.INTENDED if asks else EffectState.DISPATCHED,
        attempt=intent.caller.attempt,
    )
    events: list[Event] = [_started(intent.call_id, intent)]
    if asks or ruling.by_rule:
        events.append(_question(intent, ruling, rules))
    waits.record(tx, session, run.id, at, events)
    if asks:
        waits.wait(tx, session, run, at)
        return Intended(
            step=Step.ASK,
            call_id=intent.call_id,
            approval_id=intent.approval_id,
            backlog=slots.backlog(tx),
        )
    if ruling.by_rule:
        granted = ApprovalState.GRANTED
        waits.resolve(tx, session, run.id, intent.approval_id, intent.call_id, at, granted, by=BY_RULE)
    return Intended(
        step=Step.EXECUTE, call_id=intent.call_id, arguments=intent.arguments, digest=intent.digest
    )


def _started(call_id: str, intent: Intent) -> ToolCallStarted:
    return ToolCallStarted(call_id=call_id, tool=intent.tool, arguments=intent.arguments)


def _question(intent: Intent, ruling: Ruling, rules: Rules) -> ApprovalRequested:
    expires_at = Micros(intent.caller.at + rules.limits.approval_ttl_s * SECOND)
    return ApprovalRequested(
        approval_id=intent.approval_id,
        call_id=intent.call_id,
        tool=intent.tool,
        arguments=intent.arguments,
        digest=intent.digest,
        expires_at=timestamp(expires_at),
        reason=ruling.reason,
        done=ruling.done,
        own=intent.own,
    )


def _again(
    tx: Tx, session: SessionRow, run: RunRow, intent: Intent, known: EffectRow, step: Step
) -> Intended:
    """A call that was asked for before, by an earlier attempt or under the same key."""
    if step in (Step.CONFLICT, Step.BUSY):
        raise _conflict(intent, known, step)
    asked_before = known.attempt == intent.caller.attempt
    tx.must("effect_ask_again", id=known.id, attempt=intent.caller.attempt)
    events: list[Event] = []
    # An own call that was denied while nobody held the runner ended in the journal already.
    told_before = asked_before and (intent.own or known.state is EffectState.INTENDED)
    if not told_before:
        events.append(_started(known.id, intent))
    if step is Step.REPLAY and not told_before:
        events.append(_completed(known, replayed=True))
    elif step is Step.UNKNOWN:
        replayed = known.state is EffectState.UNKNOWN
        events.append(ToolCallCompleted(call_id=known.id, status=CallStatus.UNKNOWN, replayed=replayed))
    elif step in (Step.EXECUTE, Step.VERIFY):
        # While its tool is asked, the call is under way again: if the run ends meanwhile, it is closed.
        tx.must("effect_dispatch", id=known.id, attempt=intent.caller.attempt)
    waits.record(tx, session, run.id, intent.caller.at, events)
    return _told(known, step)


def _told(known: EffectRow, step: Step) -> Intended:
    return Intended(
        step=step,
        call_id=known.id,
        arguments=known.arguments,
        digest=known.approved,
        approval_id=known.approval_id,
        status=known.status,
        result=known.result,
    )


def _completed(known: EffectRow, *, replayed: bool) -> ToolCallCompleted:
    assert known.status is not None, "the schema has no settled call without a status"
    return ToolCallCompleted(call_id=known.id, status=known.status, result=known.result, replayed=replayed)


def _conflict(intent: Intent, known: EffectRow, step: Step) -> TenureError:
    if step is Step.CONFLICT:
        return TenureError(
            Code.EFFECT_CONFLICT,
            f"The key {intent.key!r} of {intent.tool} was used in this run with other arguments. Use a fresh "
            "key for another call.",
            call_id=known.id,
        )
    return TenureError(
        Code.CONFLICT,
        f"The call of {intent.tool} with the key {intent.key!r} is under way. Wait for its result.",
        call_id=known.id,
    )


def dispatch(tx: Tx, lease: Lease, caller: Caller, call_id: str) -> Intended:
    """A call that was approved or never made is about to be made. Raises TenureError `fenced`."""
    _, run = calling(tx, lease, caller)
    known = _row(tx.one("effect_row", id=call_id, run_id=run.id))
    if known is None:
        raise fenced(run.id)
    if known.state is EffectState.SETTLED:
        return _told(known, Step.REPLAY)
    if run.state is RunState.QUEUED:
        return LATER
    if run.state is RunState.INTERRUPTING or known.approval is ApprovalState.PENDING:
        raise TenureError(Code.NOT_RUNNING, f"The run {run.id} doesn't run, so it calls nothing.")
    tx.must("effect_dispatch", id=call_id, attempt=caller.attempt)
    return _told(known, Step.EXECUTE)


def answer(
    tx: Tx,
    lease: Lease,
    caller: Caller,
    call_id: str,
    status: CallStatus,
    result: object,
    *,
    verified: bool,
) -> None:
    """Record how a call ended. Raises TenureError `fenced`."""
    session, run = calling(tx, lease, caller)
    known = _row(tx.one("effect_row", id=call_id, run_id=run.id))
    if known is None or known.state is EffectState.SETTLED:
        return
    # Two facts: what the agent is told of its call now, and that the outcome counts in the ledger.
    events: list[Event] = [ToolCallCompleted(call_id=call_id, status=status, result=result)]
    if verified and status is not CallStatus.UNKNOWN:
        events.append(EffectResolved(call_id=call_id, status=status))
    waits.record(tx, session, run.id, caller.at, events)


def forsake(tx: Tx, lease: Lease, caller: Caller, approval_id: str, rules: Rules) -> Wake:
    """The agent waits for a decision no longer. Raises TenureError `fenced`."""
    session, run = calling(tx, lease, caller)
    call_id = dict(waits.pending(tx, run.id)).get(approval_id)
    if call_id is None:
        return Wake()
    withdrawn = ApprovalState.WITHDRAWN
    waits.resolve(tx, session, run.id, approval_id, call_id, caller.at, withdrawn, by=BY_RUNNER)
    return waits.go_on(tx, session, run.id, caller.at, rules)


def let_go(tx: Tx, lease: Lease, caller: Caller) -> bool:
    """Keep the runner of a waiting run no longer. Raises TenureError `fenced`."""
    _, run = calling(tx, lease, caller)
    return waits.let_go(tx, run)
