"""The overviews of a store, over its lane."""

from tenure.core.moment import Micros
from tenure.core.view import ListedRun, Outline, RunFault, SessionFacets
from tenure.ports.acts import Page
from tenure.ports.overviews import BriefPage, RunFilter
from tenure.stores.relational import brief, listings, outlines, run_lists
from tenure.stores.relational.lane import Lane


class RelationalOverviews:
    """Reads that show much at once, each in a snapshot of its own."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def brief_after(self, session_id: str, after: int, limit: int) -> BriefPage:
        return await self._lane.read(lambda db: brief.after(db, session_id, after, limit))

    async def brief_before(self, session_id: str, before: int, limit: int) -> BriefPage:
        return await self._lane.read(lambda db: brief.before(db, session_id, before, limit))

    async def outline(self, session_id: str, before: int | None, limit: int) -> Outline:
        return await self._lane.read(lambda db: outlines.outline(db, session_id, before, limit))

    async def facets(self, tenant: str | None, owner: str | None) -> SessionFacets:
        return await self._lane.read(lambda db: listings.facets(db, tenant, owner))

    async def runs(self, which: RunFilter, cursor: str | None, limit: int) -> Page[ListedRun]:
        return await self._lane.read(lambda db: run_lists.runs(db, which, cursor, limit))

    async def faults(
        self, tenant: str | None, owner: str | None, since: Micros, limit: int
    ) -> list[RunFault]:
        return await self._lane.read(lambda db: run_lists.faults(db, tenant, owner, since, limit))
