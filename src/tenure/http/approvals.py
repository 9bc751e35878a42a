"""Approvals: list what waits for people, read one, answer it, take back what it allowed for later."""

import msgspec
from starlette.types import ASGIApp

from tenure.core.approval import ApprovalState
from tenure.core.command import DecideApproval
from tenure.core.principal import reach
from tenure.core.view import ApprovalInfo, View
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.gates import not_found
from tenure.http.lists import Limit
from tenure.http.wire import empty_response, json_response
from tenure.ports.approvals import ApprovalFilter


class ApprovalPage(View, frozen=True, kw_only=True):
    """A page of approvals: those that are pending first, then the newest."""

    data: tuple[ApprovalInfo, ...]
    next_cursor: str | None


class ApprovalsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which approvals to list."""

    limit: Limit = 100
    cursor: str | None = None
    status: ApprovalState | None = None
    session_id: str | None = None


async def list_approvals(call: Call[NoBody, ApprovalsQuery]) -> ASGIApp:
    """The approvals that the caller reaches."""
    query = call.query
    tenant, owner = reach(call.by)
    which = ApprovalFilter(tenant, owner, query.status, query.session_id)
    page = await call.site.host.store.approvals.page(which, query.cursor, query.limit)
    return json_response(ApprovalPage(data=tuple(page.data), next_cursor=page.next_cursor))


async def read_approval(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """One approval, and what was decided."""
    found = await call.site.host.store.approvals.get(call.path["approval_id"])
    if found is None:
        raise not_found("approval", call.path["approval_id"])
    return json_response(found)


async def decide(call: Call[DecideApproval, NoQuery]) -> ASGIApp:
    """Approve or deny. The run goes on once nothing of it waits any more."""
    approvals = call.site.host.approvals
    made = await approvals.decide(call.by, call.path["approval_id"], call.body, call.idempotency)
    return json_response(made.value, replayed=made.replayed)


async def revoke(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Allow later calls no longer that an approval with `remember` allowed."""
    await call.site.host.approvals.revoke(call.by, call.path["approval_id"])
    return empty_response()
