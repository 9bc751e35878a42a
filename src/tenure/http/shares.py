"""Shares: links by which a session is read by whoever has them, until they end or are revoked."""

import msgspec
from starlette.types import ASGIApp

from tenure.core.signing import SHARE_PATH, CreateShare, NewShare, ShareInfo
from tenure.core.view import SessionInfo, View
from tenure.http import console
from tenure.http.call import AnyQuery, Call, NoBody, NoQuery
from tenure.http.cookies import address_of
from tenure.http.lists import PageQuery
from tenure.http.secrets import bound, secret_for
from tenure.http.wire import empty_response, json_response


class SharePage(View, frozen=True, kw_only=True):
    """A page of the shares of a session, the latest first, without their links."""

    data: tuple[ShareInfo, ...]
    next_cursor: str | None


async def create_share(call: Call[CreateShare, NoQuery]) -> ASGIApp:
    """Let whoever has a link read the session. The answer is the only place where the link appears."""
    secret = secret_for(call, b"tenure-share")
    ask, signing = call.body, call.site.host.signing
    made = await signing.share(call.by, call.session_id, ask.expires_at, secret, bound(call))
    url = f"{address_of(call)}{SHARE_PATH}{secret}"
    share = NewShare(**msgspec.structs.asdict(made.value), url=url)
    return json_response(share, 201, replayed=made.replayed)


async def list_shares(call: Call[NoBody, PageQuery]) -> ASGIApp:
    """The shares of the session, also those that ended in the last 30 days, without their links."""
    query = call.query
    page = await call.site.host.signing.shares(call.session_id, query.cursor, query.limit)
    return json_response(SharePage(data=tuple(page.data), next_cursor=page.next_cursor))


async def revoke_share(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Revoke a share: its link shows nothing any more, and its open streams end."""
    await call.site.host.signing.unshare(call.by, call.session_id, call.path["share_id"])
    return empty_response()


async def open_share(call: Call[NoBody, AnyQuery]) -> ASGIApp:
    """The console, which shows the shared session. A link that works no more gets the same page with 404."""
    works = await call.site.host.signing.is_share(call.path["token"])
    return await console.page(call, 200 if works else 404)


def as_shared(info: SessionInfo) -> SessionInfo:
    """What is told of a session to whoever has a share of it: what its journal doesn't tell is left out."""
    return msgspec.structs.replace(info, tenant="")
