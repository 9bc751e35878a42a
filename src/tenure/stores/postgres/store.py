"""The Postgres store: many hosts, one database."""

from functools import partial
from typing import Self

from tenure.core.ids import RUN
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.errors import TenureError
from tenure.ports.clock import Ids
from tenure.ports.store import Lease, Reaped, Start, Wake
from tenure.stores.postgres.lane import CLOSING_S, PostgresLane
from tenure.stores.relational import locks
from tenure.stores.relational.acts import recovery, runs, slots
from tenure.stores.relational.hosting import RelationalHosts
from tenure.stores.relational.store import RelationalStore, history_of

AWAY_S = 0.5
"""How long a database that is away is given to finish what is on its way, in seconds."""


class PostgresStore(RelationalStore):
    """All acts and reads on one database. Opened by `opened`, closed by `close`."""

    alone = False

    def __init__(self, lane: PostgresLane, rules: Rules, ids: Ids, history: str) -> None:
        super().__init__(lane, rules, ids, history)
        self._connections = lane
        self.hosts = RelationalHosts(lane.vital, lane)

    @classmethod
    async def opened(cls, lane: PostgresLane, rules: Rules, ids: Ids) -> Self:
        """The store behind `lane`. A new database gets its history id here."""
        return cls(lane, rules, ids, await history_of(lane, ids))

    async def aclose(self) -> None:
        """Finish what is on its way, and let the connections go."""
        await self._connections.aclose(CLOSING_S if self.healthy() else AWAY_S)

    async def reap(self, lease: Lease, at: Micros) -> Reaped:
        """Each run is taken up in a transaction of its own, under its session's lock."""
        mint = partial(self._ids.new, RUN)
        taken = [
            await self._lane.write(
                lambda tx, run_id=run_id: recovery.take_up(tx, run_id, at, self._rules, mint),
                locks.session_of_run(run_id),
            )
            for run_id in await self._lane.peek(recovery.orphans)
        ]
        backlog = await self._lane.write(slots.backlog)
        return Reaped(*recovery.counted(taken), backlog)

    async def purge(self, at: Micros) -> int:
        """Free some rows that nobody reaches any more, also of connections that nobody has used for long."""
        freed = await super().purge(at)
        return freed or await self._lane.write(lambda tx: tx.do("mark_expire"))

    async def index_words(self) -> int:
        """Put some words into the index. If there are none, which is quick to see, nobody is waited for."""
        if await self._lane.peek(lambda db: db.one("search_behind")) is None:
            return 0
        return await super().index_words()

    async def claim(self, lease: Lease, room: int, at: Micros) -> Wake:
        """One run after the other, each in a transaction of its own."""
        mint = partial(self._ids.new, RUN)
        starts: list[Start] = []
        while True:
            try:
                wake = await self._lane.write(
                    lambda tx: runs.claim(tx, lease, min(room, 1), at, self._rules, mint), locks.host(lease)
                )
            except TenureError:
                if not starts:
                    raise
                # What was claimed before is this host's, and nobody else will ever begin it.
                return Wake(tuple(starts), backlog=1)
            starts += wake.starts
            if not wake.starts or len(starts) >= room:
                return Wake(tuple(starts), wake.backlog)
