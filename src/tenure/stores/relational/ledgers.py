"""What a relational store knows of tool calls and of approvals: two ports over the store's lane."""

from functools import partial

from tenure.core.command import DecideApproval
from tenure.core.effect import CallStatus
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.view import ApprovalInfo
from tenure.ports.acts import Answer, Lease, Page, Stamp, Wake
from tenure.ports.approvals import ApprovalFilter, Expired
from tenure.ports.effects import Caller, Intended, Intent
from tenure.stores.relational import approval_reads, locks
from tenure.stores.relational.acts import approvals, effects
from tenure.stores.relational.lane import Lane


class RelationalEffects:
    """The effect ledger. It holds no rule."""

    def __init__(self, lane: Lane, rules: Rules) -> None:
        self._lane = lane
        self._rules = rules

    async def intend(self, lease: Lease, intent: Intent) -> Intended:
        return await self._lane.write(
            lambda tx: effects.intend(tx, lease, intent, self._rules),
            locks.host(lease),
            locks.session_of_run(intent.caller.run_id),
        )

    async def dispatch(self, lease: Lease, caller: Caller, call_id: str) -> Intended:
        return await self._lane.write(
            lambda tx: effects.dispatch(tx, lease, caller, call_id),
            locks.host(lease),
            locks.session_of_run(caller.run_id),
        )

    async def answer(
        self,
        lease: Lease,
        caller: Caller,
        call_id: str,
        status: CallStatus,
        result: object,
        *,
        verified: bool = False,
    ) -> None:
        await self._lane.write(
            lambda tx: effects.answer(tx, lease, caller, call_id, status, result, verified=verified),
            locks.host(lease),
            locks.session_of_run(caller.run_id),
        )

    async def forsake(self, lease: Lease, caller: Caller, approval_id: str) -> Wake:
        return await self._lane.write(
            lambda tx: effects.forsake(tx, lease, caller, approval_id, self._rules),
            locks.host(lease),
            locks.session_of_run(caller.run_id),
        )

    async def let_go(self, lease: Lease, caller: Caller) -> bool:
        return await self._lane.write(
            lambda tx: effects.let_go(tx, lease, caller),
            locks.host(lease),
            locks.session_of_run(caller.run_id),
        )


class RelationalApprovals:
    """Approvals. It holds no rule."""

    def __init__(self, lane: Lane, rules: Rules) -> None:
        self._lane = lane
        self._rules = rules

    async def decide(
        self, stamp: Stamp, approval_id: str, ask: DecideApproval
    ) -> tuple[Answer[ApprovalInfo], Wake]:
        return await self._lane.write(
            lambda tx: approvals.decide(tx, stamp, approval_id, ask, self._rules),
            *locks.receipt(stamp),
            locks.session_of_approval(approval_id),
        )

    async def revoke(self, stamp: Stamp, approval_id: str) -> ApprovalInfo:
        return await self._lane.write(
            lambda tx: approvals.revoke(tx, stamp, approval_id), locks.session_of_approval(approval_id)
        )

    async def expire(self, at: Micros) -> Expired:
        return await self._lane.write(
            lambda tx: approvals.expire(tx, at, self._rules),
            locks.sessions_of_due(at, approvals.EXPIRED_AT_ONCE),
        )

    async def next_at(self) -> Micros | None:
        return await self._lane.peek(approval_reads.next_at)

    async def get(self, approval_id: str) -> ApprovalInfo | None:
        return await self._lane.peek(partial(approval_reads.approval_info, approval_id=approval_id))

    async def page(self, which: ApprovalFilter, cursor: str | None, limit: int) -> Page[ApprovalInfo]:
        return await self._lane.read(lambda db: approval_reads.page(db, which, cursor, limit))
