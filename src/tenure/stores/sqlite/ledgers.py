"""What the SQLite store knows of tool calls and of approvals: two ports over the store's lane."""

from functools import partial

from tenure.core.command import DecideApproval
from tenure.core.effect import CallStatus
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.view import ApprovalInfo
from tenure.ports.acts import Answer, Lease, Page, Stamp, Wake
from tenure.ports.approvals import ApprovalFilter, Expired
from tenure.ports.effects import Caller, Intended, Intent
from tenure.stores.sqlite import approval_reads
from tenure.stores.sqlite.acts import approvals, effects
from tenure.stores.sqlite.lane import Lane


class SqliteEffects:
    """The effect ledger. It holds no rule."""

    def __init__(self, lane: Lane, rules: Rules) -> None:
        self._lane = lane
        self._rules = rules

    async def intend(self, lease: Lease, intent: Intent) -> Intended:
        return await self._lane.write(lambda tx: effects.intend(tx, lease, intent, self._rules))

    async def dispatch(self, lease: Lease, caller: Caller, call_id: str) -> Intended:
        return await self._lane.write(lambda tx: effects.dispatch(tx, lease, caller, call_id))

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
            lambda tx: effects.answer(tx, lease, caller, call_id, status, result, verified=verified)
        )

    async def forsake(self, lease: Lease, caller: Caller, approval_id: str) -> Wake:
        return await self._lane.write(lambda tx: effects.forsake(tx, lease, caller, approval_id, self._rules))

    async def let_go(self, lease: Lease, caller: Caller) -> bool:
        return await self._lane.write(lambda tx: effects.let_go(tx, lease, caller))


class SqliteApprovals:
    """Approvals. It holds no rule."""

    def __init__(self, lane: Lane, rules: Rules) -> None:
        self._lane = lane
        self._rules = rules

    async def decide(
        self, stamp: Stamp, approval_id: str, ask: DecideApproval
    ) -> tuple[Answer[ApprovalInfo], Wake]:
        return await self._lane.write(lambda tx: approvals.decide(tx, stamp, approval_id, ask, self._rules))

    async def revoke(self, stamp: Stamp, approval_id: str) -> ApprovalInfo:
        return await self._lane.write(lambda tx: approvals.revoke(tx, stamp, approval_id))

    async def expire(self, at: Micros) -> Expired:
        return await self._lane.write(lambda tx: approvals.expire(tx, at, self._rules))

    def next_at(self) -> Micros | None:
        return self._lane.peek(approval_reads.next_at)

    def get(self, approval_id: str) -> ApprovalInfo | None:
        return self._lane.peek(partial(approval_reads.approval_info, approval_id=approval_id))

    async def page(self, which: ApprovalFilter, cursor: str | None, limit: int) -> Page[ApprovalInfo]:
        return await self._lane.read(lambda db: approval_reads.page(db, which, cursor, limit))
