"""Overviews: what people look at before they read everything. A part of the store port.

Nothing here changes a row. Each is read in one snapshot, away from the acts.
"""

from typing import NamedTuple, Protocol

from tenure.core.moment import Micros
from tenure.core.run import RunState
from tenure.core.view import ListedRun, Outline, RunFault, SessionFacets
from tenure.ports.acts import Page


class BriefPage(NamedTuple):
    """Entries of a journal without the pieces of what stands whole in it.

    `lines` are (number, entry without its opening brace), oldest first. They are all that is left of the
    numbers `first` to `last`; where nothing was looked at, `last` lies right before `first`.
    """

    lines: list[tuple[int, bytes]]
    first: int
    last: int
    head: int
    min_available: int


class RunFilter(NamedTuple):
    """Which runs a list shows; None means any. `tenant` and `owner` are those of their sessions.

    They were admitted at `since` or later; they are live, and were begun, or wait, since `live_since` or
    longer.
    """

    tenant: str | None
    owner: str | None
    agent: str | None = None
    state: RunState | None = None
    since: Micros | None = None
    live_since: Micros | None = None


class Overviews(Protocol):
    """Reads that show much at once."""

    async def brief_after(self, session_id: str, after: int, limit: int) -> BriefPage:
        """What follows a number, at most `limit` entries. A page may hold few, or none, and lead on."""
        ...

    async def brief_before(self, session_id: str, before: int, limit: int) -> BriefPage:
        """What precedes a number, at most `limit` entries. A page may hold few, or none, and lead on."""
        ...

    async def outline(self, session_id: str, before: int | None, limit: int) -> Outline:
        """The last marks of a journal before a number: at most `limit`, and what else stands at the first."""
        ...

    async def facets(self, tenant: str | None, owner: str | None) -> SessionFacets:
        """What the latest sessions of a tenant, and of an owner, could be filtered by; None is any."""
        ...

    async def runs(self, which: RunFilter, cursor: str | None, limit: int) -> Page[ListedRun]:
        """A page of runs, the latest first."""
        ...

    async def faults(
        self, tenant: str | None, owner: str | None, since: Micros, limit: int
    ) -> list[RunFault]:
        """Runs that went wrong since then, put together by agent, status and reason; the latest first."""
        ...
