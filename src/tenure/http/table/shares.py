"""Shares of sessions. Rows of the route table."""

from tenure.core.signing import CreateShare, NewShare
from tenure.http import shares
from tenure.http.call import AnyQuery, AnyRoute, NoBody, NoQuery, Route
from tenure.http.lists import PageQuery
from tenure.http.table.words import PUBLIC, READ, SESSION, WRITE

SHARE_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/v1/sessions/{session_id}/shares",
        summary="Let whoever has a link read a session.",
        resource="share",
        action=WRITE,
        tenant_rule=SESSION,
        query=NoQuery,
        body=CreateShare,
        answer=NewShare,
        status=201,
        handler=shares.create_share,
    ),
    Route(
        method="GET",
        path="/v1/sessions/{session_id}/shares",
        summary="The shares of a session.",
        resource="share",
        action=READ,
        tenant_rule=SESSION,
        query=PageQuery,
        body=NoBody,
        answer=shares.SharePage,
        handler=shares.list_shares,
    ),
    Route(
        method="DELETE",
        path="/v1/sessions/{session_id}/shares/{share_id}",
        summary="Revoke a share.",
        resource="share",
        action=WRITE,
        tenant_rule=SESSION,
        query=NoQuery,
        body=NoBody,
        status=204,
        handler=shares.revoke_share,
    ),
    Route(
        method="GET",
        path="/share/{token}",
        summary="The console, which shows a shared session.",
        resource="page",
        action=READ,
        tenant_rule=PUBLIC,
        query=AnyQuery,
        body=NoBody,
        media="text/html",
        listed=False,
        handler=shares.open_share,
    ),
)
