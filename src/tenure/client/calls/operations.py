"""Questions of those who run the server."""

from collections.abc import AsyncGenerator
from datetime import datetime

from tenure.client.calls.asking import Asking, get
from tenure.client.face import many, once
from tenure.core.audit import AuditEntry, Deed
from tenure.core.capacity import Capacity, UserInfo
from tenure.core.figures import StatsSeries


class OperationCalls(Asking):
    """Figures over time, capacity, who did what, and who is there."""

    @once
    async def stats_series(self, *, since: datetime | None = None, step_s: int | None = None) -> StatsSeries:
        """Figures of the host that answers, over time and in columns, from `since` or an hour ago.

        A step may take longer than `step_s` seconds: what is older than an hour is kept in coarser steps.
        """
        asked = _given(since=_text(since), step=None if step_s is None else str(step_s))
        return await self._line.ask(get("stats", "series", query=asked), StatsSeries)

    @once
    async def capacity(self) -> Capacity:
        """Each limit with what is used of it, and the users who use most, as far as the caller reaches."""
        return await self._line.ask(get("capacity"), Capacity)

    @many
    def audit(
        self, *, action: Deed | None = None, by: str | None = None, since: datetime | None = None
    ) -> AsyncGenerator[AuditEntry, None]:
        """Who did what in the tenant, the latest first. Raises TenureError `forbidden` unless by an admin."""
        return self._pages(AuditEntry, "audit", query=_given(action=action, by=by, since=_text(since)))

    @many
    def users(self) -> AsyncGenerator[UserInfo, None]:
        """The users that keys and sessions name. Raises TenureError `forbidden` unless by an admin."""
        return self._pages(UserInfo, "users")


def _given(**values: str | None) -> list[tuple[str, str]]:
    return [(name, value) for name, value in values.items() if value is not None]


def _text(when: datetime | None) -> str | None:
    """An instant as the server takes it. One without a zone is in the machine's own."""
    return None if when is None else when.astimezone().isoformat()
