"""API keys and who is behind one. A secret is answered once and never stored."""

import msgspec
from starlette.types import ASGIApp

from tenure.core.command import CreateKey
from tenure.core.moment import Micros, micros
from tenure.core.principal import DEFAULT_TENANT, Principal
from tenure.core.view import KeyInfo, NewKey, View, WhoAmI
from tenure.errors import Code, TenureError
from tenure.host.host import Host
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.lists import PageQuery
from tenure.http.secrets import bound, secret_for
from tenure.http.wire import empty_response, json_response

PREFIX = "tnr_"


class KeyPage(View, frozen=True, kw_only=True):
    """A page of keys, without their secrets."""

    data: tuple[KeyInfo, ...]
    next_cursor: str | None


async def whoami(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """The principal behind the key, and the history id of the store."""
    return json_response(who_is(call.site.host, call.by))


def who_is(host: Host, by: Principal) -> WhoAmI:
    """What a principal is told of itself."""
    return WhoAmI(
        tenant=by.tenant if by.session is None else "",
        user=by.user,
        role=by.role,
        key_id=by.key_id,
        root=by.root,
        history=host.store.history,
        session=by.session,
    )


async def create_key(call: Call[CreateKey, NoQuery]) -> ASGIApp:
    """Make a key. The answer is the only place where its secret appears."""
    ask = _in_tenant(call.body, call.by)
    _check_expiry(ask, call.site.host.clock.now())
    secret = PREFIX + secret_for(call, b"tenure-key")
    made = await call.site.host.commands.create_key(call.by, ask, bound(call), secret)
    answer = NewKey(**msgspec.structs.asdict(made.value), key=secret)
    return json_response(answer, 201, replayed=made.replayed)


async def list_keys(call: Call[NoBody, PageQuery]) -> ASGIApp:
    """The keys of the caller's tenant; the bootstrap admin sees all."""
    tenant = None if call.by.root else call.by.tenant
    page = await call.site.host.store.keys(tenant, call.query.cursor, call.query.limit)
    return json_response(KeyPage(data=tuple(page.data), next_cursor=page.next_cursor))


async def read_key(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """One key, without its secret."""
    return json_response(await call.site.host.store.key(call.path["key_id"]))


async def revoke_key(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Revoke a key: it opens nothing any more, and its open streams end."""
    await call.site.host.commands.revoke_key(call.by, call.path["key_id"])
    return empty_response()


def _in_tenant(ask: CreateKey, by: Principal) -> CreateKey:
    tenant = ask.tenant or (DEFAULT_TENANT if by.root else by.tenant)
    if not by.root and tenant != by.tenant:
        raise TenureError(
            Code.FORBIDDEN,
            f"A key of tenant {by.tenant} may not make keys of tenant {tenant}. "
            "Only the bootstrap admin makes keys of any tenant.",
            role=by.role,
        )
    return msgspec.structs.replace(ask, tenant=tenant)


def _check_expiry(ask: CreateKey, now: Micros) -> None:
    if ask.expires_at is None:
        return
    try:
        ahead = micros(ask.expires_at) > now
    except (ValueError, OverflowError):
        ahead = False
    if not ahead:
        raise TenureError(
            Code.INVALID,
            f"expires_at is {ask.expires_at[:100]!r}. Send a moment to come, such as 2031-01-31T12:00:00Z.",
            field="expires_at",
            value=ask.expires_at[:100],
        )
