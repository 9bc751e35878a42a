"""Approvals in the store: what people decide, what the clock decides, and who may see what waits.

The host's room of approvals calls the acts; reads serve the HTTP face.
"""

from typing import NamedTuple, Protocol

from tenure.core.approval import ApprovalState
from tenure.core.command import DecideApproval
from tenure.core.moment import Micros
from tenure.core.view import ApprovalInfo
from tenure.ports.acts import Answer, Page, Stamp, Wake


class ApprovalFilter(NamedTuple):
    """Which approvals a list shows; None means any. With `owner`, `tenant` must be given too."""

    tenant: str | None
    owner: str | None
    status: ApprovalState | None = None
    session_id: str | None = None


class Expired(NamedTuple):
    """What the clock decided, what is left to do, and when it must look again. None: nothing waits."""

    resolved: int
    wake: Wake
    next_at: Micros | None


class ApprovalActs(Protocol):
    """Approvals. Each is resolved once."""

    async def decide(
        self, stamp: Stamp, approval_id: str, ask: DecideApproval
    ) -> tuple[Answer[ApprovalInfo], Wake]:
        """Answer an approval, and let its run go on if nothing of it waits any more.

        Raises TenureError `not_found`, `forbidden` for whoever may not decide, and `already_resolved`,
        which says what was decided, by whom and when.
        """
        ...

    async def revoke(self, stamp: Stamp, approval_id: str) -> ApprovalInfo:
        """What an approval allowed for later calls is allowed no longer. Doing it twice changes nothing.

        Raises TenureError `not_found` or `forbidden`.
        """
        ...

    async def expire(self, at: Micros) -> Expired:
        """Resolve what nobody answered in time."""
        ...

    async def next_at(self) -> Micros | None:
        """When the next approval expires."""
        ...

    async def get(self, approval_id: str) -> ApprovalInfo | None:
        """One approval."""
        ...

    async def page(self, which: ApprovalFilter, cursor: str | None, limit: int) -> Page[ApprovalInfo]:
        """A page of approvals: those that are pending first, then the newest."""
        ...
