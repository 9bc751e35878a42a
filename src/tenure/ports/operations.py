"""The store port, what operators and admins ask: how much there is, who uses it, who did what."""

from typing import NamedTuple, Protocol

from tenure.core.audit import AuditEntry, Deed, Subject
from tenure.core.capacity import Loads, UserInfo
from tenure.core.moment import Micros
from tenure.ports.acts import Page, Stamp


class Sizes(NamedTuple):
    """What the database takes on its disk, in bytes: itself, and the log before it. None is unknown.

    On a server the log belongs to all its databases, and isn't known.
    """

    database_bytes: int | None
    wal_bytes: int | None


class AuditFilter(NamedTuple):
    """Which entries of the audit log: None is any. `since` is the earliest instant."""

    tenant: str | None
    action: str | None = None
    by: str | None = None
    since: Micros | None = None


class OperationActs(Protocol):
    """Reads for those who run the host, and the one note that belongs to no other act."""

    async def sizes(self) -> Sizes:
        """What the database takes on its disk now."""
        ...

    async def loads(self, tenant: str | None, user: str | None, most: int) -> Loads:
        """What is used, by everybody and by the users who use most: `most` of each kind of thing.

        `tenant` and `user` are whom the answer is about; None is any. A user is one of a tenant's.
        """
        ...

    async def users(self, tenant: str | None, at: Micros, cursor: str | None, limit: int) -> Page[UserInfo]:
        """A page of users by tenant and name. Raises TenureError `bad_cursor`."""
        ...

    async def audit(self, which: AuditFilter, cursor: str | None, limit: int) -> Page[AuditEntry]:
        """A page of the audit log, the latest first. Raises TenureError `bad_cursor`."""
        ...

    async def record(self, stamp: Stamp, deed: Deed, subject: Subject) -> None:
        """Put a deed into the audit log that no other act of the store is part of."""
        ...
