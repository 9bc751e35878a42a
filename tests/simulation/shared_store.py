"""The store of many hosts in simulation: the acts of Postgres, run by run, over the shared database."""

from typing import Self, cast

from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.ports.clock import Ids
from tenure.stores.postgres.lane import PostgresLane
from tenure.stores.postgres.store import PostgresStore
from tenure.stores.relational.store import RelationalStore
from tests.simulation.shore import SharedLane


class SharedStore(PostgresStore):
    """What PostgresStore does, over a lane that looks like its own."""

    @classmethod
    async def over(cls, lane: SharedLane, rules: Rules, ids: Ids) -> Self:
        """The store behind `lane`."""
        return await cls.opened(cast("PostgresLane", lane), rules, ids)

    async def purge(self, at: Micros) -> int:
        # What connections leave behind, only Postgres has.
        return await RelationalStore.purge(self, at)

    async def index_words(self) -> int:
        return await RelationalStore.index_words(self)
