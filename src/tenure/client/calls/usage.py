"""Questions about what was spent."""

from collections.abc import AsyncGenerator
from datetime import date

from tenure.client.calls.asking import Asking
from tenure.client.face import many
from tenure.core.view import UsageDay


class UsageCalls(Asking):
    """Usage by user and day."""

    @many
    def usage(
        self, *, since: date | None = None, until: date | None = None, user: str | None = None
    ) -> AsyncGenerator[UsageDay, None]:
        """What was spent by user and day, UTC, the latest day first; both dates are included.

        One's own, or for operators and admins everybody's in the tenant. Raises TenureError `forbidden` for
        another's.
        """
        given = (
            ("from", None if since is None else since.isoformat()),
            ("to", None if until is None else until.isoformat()),
            ("user", user),
        )
        return self._pages(UsageDay, "usage", query=[(n, v) for n, v in given if v is not None])
