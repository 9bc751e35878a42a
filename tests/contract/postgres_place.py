"""One database for all cases of a worker: emptied between them, with connections that stay open."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from tenure.core.rules import Rules
from tenure.ports.clock import Ids
from tenure.ports.store import Lease, Store
from tenure.stores.contract import Ability
from tenure.stores.postgres.connect import Plain, connection, prepare
from tenure.stores.postgres.lane import READERS, WRITERS, PostgresLane, Shared
from tenure.stores.postgres.pace import Spread
from tenure.stores.postgres.seats import Contact
from tenure.stores.postgres.store import PostgresStore

LEASE_S = 60.0
"""So long that a busy machine fails no case: time-outs and patience are parts of it."""
TABLES = """
SELECT string_agg(format('DELETE FROM %I;', tablename), '' ORDER BY tablename) FROM pg_tables
WHERE schemaname = 'public' AND tablename <> 'schema_version'
"""
FIRST_ROWS = "INSERT INTO quota (tenant, owner, open) VALUES ('', '', 0);"


class Kept(Plain):
    """A connection that is put back when it is closed in good order, for whoever wants one next."""

    shelf: "list[Kept] | None" = None

    async def close(self, *, timeout: float | None = None) -> None:
        if self.shelf is None or self.is_closed() or self.is_in_transaction():
            await super().close(timeout=timeout)
        else:
            self.shelf.append(self)

    def terminate(self) -> None:
        """What was put back is no longer its last user's to end."""
        if self.shelf is None or self not in self.shelf:
            super().terminate()


class PostgresPlace:
    """A database, opened by any number of stores at the same time."""

    abilities = frozenset({Ability.RESTART, Ability.MANY_HOSTS})

    def __init__(self, url: str) -> None:
        self._connect = partial(connection, url, LEASE_S, made=Kept)
        self._shelf: list[Kept] = []
        self._emptying = ""

    async def open(self, rules: Rules, ids: Ids) -> Store:
        shared = Shared(Contact(), Spread(), LEASE_S, patience_s=LEASE_S)
        return await PostgresStore.opened(PostgresLane(self.connect, shared, WRITERS, READERS), rules, ids)

    async def close(self, store: Store) -> None:
        assert isinstance(store, PostgresStore)
        await store.aclose()

    async def lapse(self, store: Store, lease: Lease) -> None:
        """Nobody hears of the host any more, and another gives it up."""
        await self.do(f"DELETE FROM host WHERE incarnation = {lease.incarnation}")

    async def connect(self) -> Kept:
        """A connection that was used before, or a new one."""
        while self._shelf:
            db = self._shelf.pop()
            if not db.is_closed():
                return db
        db = await self._connect()
        assert isinstance(db, Kept)
        db.shelf = self._shelf
        return db

    async def do(self, statements: str) -> None:
        """Run statements beside all stores."""
        db = await self.connect()
        await db.execute(statements)
        await db.close()

    async def empty(self) -> None:
        """Take away what a case left."""
        db = await self.connect()
        self._emptying = self._emptying or str(await db.fetchval(TABLES)) + FIRST_ROWS
        await db.execute(self._emptying)
        await db.close()

    async def let_go(self) -> None:
        """Close all connections."""
        while self._shelf:
            db = self._shelf.pop()
            db.shelf = None
            await db.close()


@asynccontextmanager
async def prepared(url: str) -> AsyncGenerator[PostgresPlace]:
    """The database at `url`, with the schema."""
    await prepare(url)
    place = PostgresPlace(url)
    yield place
    await place.let_go()
