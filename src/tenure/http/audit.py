"""The audit log and the list of users, for admins."""

import msgspec
from starlette.types import ASGIApp

from tenure.core.audit import AuditEntry, Deed
from tenure.core.capacity import UserInfo
from tenure.core.principal import Principal
from tenure.core.view import View
from tenure.http.call import Call, NoBody
from tenure.http.lists import Limit, PageQuery
from tenure.http.series import Instant, instant
from tenure.http.wire import json_response
from tenure.ports.operations import AuditFilter


class AuditPage(View, frozen=True, kw_only=True):
    """A page of the audit log, the latest entry first."""

    data: tuple[AuditEntry, ...]
    next_cursor: str | None


class UserPage(View, frozen=True, kw_only=True):
    """A page of users, by tenant and name."""

    data: tuple[UserInfo, ...]
    next_cursor: str | None


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries: of one action, by one user, from an instant on."""

    limit: Limit = 100
    cursor: str | None = None
    action: Deed | None = None
    by: str | None = None
    since: Instant | None = None


async def read_audit(call: Call[NoBody, AuditQuery]) -> ASGIApp:
    """What people did in the caller's tenant; the bootstrap admin sees all. Entries are kept for 400 days."""
    query = call.query
    since = None if query.since is None else instant(query.since)
    which = AuditFilter(_tenant(call.by), query.action, query.by, since)
    page = await call.site.host.store.operations.audit(which, query.cursor, query.limit)
    return json_response(AuditPage(data=tuple(page.data), next_cursor=page.next_cursor))


async def list_users(call: Call[NoBody, PageQuery]) -> ASGIApp:
    """The users of the caller's tenant, as keys and sessions know them; the bootstrap admin sees all."""
    store, now = call.site.host.store, call.site.host.clock.now()
    page = await store.operations.users(_tenant(call.by), now, call.query.cursor, call.query.limit)
    return json_response(UserPage(data=tuple(page.data), next_cursor=page.next_cursor))


def _tenant(by: Principal) -> str | None:
    return None if by.root else by.tenant
