"""Approvals. Rows of the route table."""

from tenure.core.command import DecideApproval
from tenure.core.view import ApprovalInfo
from tenure.http import approvals
from tenure.http.call import AnyRoute, NoBody, NoQuery, Route
from tenure.http.table.words import APPROVAL, OWN, READ, WRITE

APPROVAL_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/v1/approvals",
        summary="Calls that wait for a person, then those that were decided.",
        resource="approval",
        action=READ,
        tenant_rule=OWN,
        query=approvals.ApprovalsQuery,
        body=NoBody,
        answer=approvals.ApprovalPage,
        handler=approvals.list_approvals,
    ),
    Route(
        method="GET",
        path="/v1/approvals/{approval_id}",
        summary="One approval.",
        resource="approval",
        action=READ,
        tenant_rule=APPROVAL,
        query=NoQuery,
        body=NoBody,
        answer=ApprovalInfo,
        handler=approvals.read_approval,
    ),
    Route(
        method="POST",
        path="/v1/approvals/{approval_id}",
        summary="Approve or deny a call.",
        resource="approval",
        action=WRITE,
        tenant_rule=APPROVAL,
        query=NoQuery,
        body=DecideApproval,
        answer=ApprovalInfo,
        handler=approvals.decide,
    ),
    Route(
        method="DELETE",
        path="/v1/approvals/{approval_id}",
        summary="Ask again about later calls, which this approval allowed for its session.",
        resource="approval",
        action=WRITE,
        tenant_rule=APPROVAL,
        query=NoQuery,
        body=NoBody,
        status=204,
        handler=approvals.revoke,
    ),
)
