"""What users spent, by day: one's own, or for operators and admins their tenant's."""

from datetime import date

import msgspec
from starlette.types import ASGIApp

from tenure.core.principal import Principal, Role
from tenure.core.view import UsageDay, View
from tenure.errors import Code, TenureError
from tenure.http.call import Call, NoBody
from tenure.http.lists import Limit
from tenure.http.wire import json_response
from tenure.ports.limits import UsageFilter


class UsagePage(View, frozen=True, kw_only=True):
    """A page of days, the latest first."""

    data: tuple[UsageDay, ...]
    next_cursor: str | None


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which days, as dates in UTC, both included; and whose, for those who may see others."""

    limit: Limit = 100
    cursor: str | None = None
    since: date | None = msgspec.field(default=None, name="from")
    until: date | None = msgspec.field(default=None, name="to")
    user: str | None = None


async def read_usage(call: Call[NoBody, UsageQuery]) -> ASGIApp:
    """Tokens, money, runs and tool calls by user and day."""
    query = call.query
    tenant, user = _whose(call.by, query.user)
    which = UsageFilter(tenant, user, _text(query.since), _text(query.until))
    page = await call.site.host.store.limits.days(which, query.cursor, query.limit)
    return json_response(UsagePage(data=tuple(page.data), next_cursor=page.next_cursor))


def _whose(by: Principal, asked: str | None) -> tuple[str | None, str | None]:
    """Tenant and user that the answer is limited to. Raises TenureError `forbidden`."""
    if by.root:
        return None, asked
    if by.role in (Role.ADMIN, Role.OPERATOR):
        return by.tenant, asked
    if asked is not None and asked != by.user:
        raise TenureError(
            Code.FORBIDDEN,
            f"A key with role {by.role} may see its own user's usage alone. Leave `user` out, or use an "
            "operator's key.",
            role=by.role,
        )
    return by.tenant, by.user


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
