"""The tables of a Postgres database as a side of a move: read in one snapshot, or filled in one transaction.

`tenure.moving` opens them. An interrupted filling leaves the database as empty as it was.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from asyncpg import Connection, Record, connect
from asyncpg.exceptions import DataError, PostgresError
from asyncpg.transaction import Transaction

from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.errors import ConfigError
from tenure.ports.clock import Ids
from tenure.ports.files import Folders
from tenure.ports.hosts import LEASE_S
from tenure.ports.store import Store
from tenure.ports.tables import MOVED, NUMBERED, Named, Outline, Row, Table
from tenure.stores.folders import DiskFolders
from tenure.stores.postgres import bridge
from tenure.stores.postgres.address import unreachable
from tenure.stores.postgres.carrying import BodyCarrier
from tenure.stores.postgres.connect import prepare, refuse_other_schema
from tenure.stores.postgres.files import open_folders
from tenure.stores.postgres.look import PostgresLookLane
from tenure.stores.postgres.tx import PostgresTx
from tenure.stores.relational.arrival import (
    HELD,
    HISTORY,
    LIVES,
    NAMED,
    SOME,
    TITLED,
    all_rows,
    arrive,
    highest,
)
from tenure.stores.relational.blobs import Carrier, pieces
from tenure.stores.relational.store import RelationalStore

ANY_ROWS = """SELECT EXISTS (SELECT 1 FROM session) OR EXISTS (SELECT 1 FROM api_key)
    OR EXISTS (SELECT 1 FROM host) OR EXISTS (SELECT 1 FROM past_host)"""
ALIVE = """SELECT count(*) FROM host
WHERE expires_at >= CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"""
LAST = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass), 0)"
SET = "SELECT setval(pg_get_serial_sequence($1, $2)::regclass, greatest($3::bigint, 1), $3::bigint > 0)"
TURN = "SELECT setval('turn', greatest((SELECT max(since) FROM slot), 1))"


class PostgresCut:
    """What one connection sees, within one transaction."""

    def __init__(self, db: "Connection[Record]") -> None:
        self._db = db

    async def outline(self) -> Outline:
        """What isn't in rows."""
        return Outline(
            history=str(await self._db.fetchval(HISTORY) or ""),
            columns=await _columns(self._db),
            numbers=await _given_out(self._db),
            lives=tuple(row[0] for row in await self._db.fetch(LIVES)),
        )

    async def named(self) -> Sequence[Named]:
        """The files that sessions name."""
        return [Named(*row) for row in await self._db.fetch(NAMED)]

    async def rows(self, table: Table, columns: Sequence[str]) -> AsyncIterator[Sequence[Row]]:
        """All rows of a table."""
        cursor = await self._db.cursor(all_rows(table, columns))
        while found := await cursor.fetch(SOME):
            yield [tuple(row) for row in found]


async def _columns(db: "Connection[Record]") -> dict[str, tuple[str, ...]]:
    found = await db.fetch(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
    )
    known = {table.name for table in MOVED}
    columns: dict[str, tuple[str, ...]] = {}
    for table, column in found:
        if table in known:
            columns[table] = (*columns.get(table, ()), column)
    return columns


async def _given_out(db: "Connection[Record]") -> dict[str, int]:
    """The highest numbers, also of rows that are gone."""
    numbers: dict[str, int] = {}
    for table, column in NUMBERED.items():
        last = await db.fetchval(LAST, table, column)
        numbers[table] = max(last, await db.fetchval(highest(table, column)))
    return numbers


async def _connected(url: str) -> "Connection[Record]":
    """A database that was found to be ready."""
    try:
        return await connect(url, timeout=10)
    except (OSError, PostgresError) as error:
        raise unreachable(url, error) from None


@asynccontextmanager
async def examined(url: str, ids: Ids) -> AsyncGenerator[RelationalStore]:
    """A store of which one moment can be read, beside live hosts. Raises ConfigError."""
    async with _moment(url) as db:
        lane, rules = PostgresLookLane(db), Rules(limits=Limits(), terms={})
        yield RelationalStore(lane, rules, ids, str(await db.fetchval(HISTORY) or ""))


@asynccontextmanager
async def _moment(url: str) -> AsyncGenerator["Connection[Record]"]:
    """A connection that sees one moment of a database, of which nothing is changed. Raises ConfigError."""
    await refuse_other_schema(url)
    db = await _connected(url)
    try:
        async with db.transaction(isolation="repeatable_read", readonly=True):
            yield db
    finally:
        await db.close()


class PostgresTables:
    """A database as the source of a move."""

    def __init__(self, url: str, folders: Folders) -> None:
        self._url = url
        self._folders = folders

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, local: DiskFolders, shared: Path | None) -> AsyncGenerator[Self]:
        """A database, and the way to its files. Raises ConfigError."""
        async with _moment(url) as db:
            history = str(await db.fetchval(HISTORY) or "")
        opened = await open_folders(url, LEASE_S, local, shared, history)
        try:
            yield cls(url, opened.folders)
        finally:
            await opened.aclose()

    @asynccontextmanager
    async def cut(self) -> AsyncGenerator[PostgresCut]:
        """One snapshot. Others write on."""
        async with _moment(self._url) as db:
            yield PostgresCut(db)

    def bytes_of(self, named: Named) -> AsyncIterator[bytes]:
        """The bytes of a file."""
        return pieces(self._folders, named)

    async def refuse_live(self) -> None:
        """Raises ConfigError if a host is at work on the database."""
        db = await _connected(self._url)
        try:
            alive = await db.fetchval(ALIVE)
        finally:
            await db.close()
        if alive:
            raise ConfigError(
                f"{alive} hosts are at work on the database. Stop them, and wait until their lease is over."
            )


class PostgresDraft(PostgresCut):
    """An empty database that is being filled. Until `commit` nobody sees any of it."""

    def __init__(self, db: "Connection[Record]", shared: Folders | None, ids: Ids) -> None:
        super().__init__(db)
        self._carrier = BodyCarrier(db) if shared is None else Carrier(shared)
        self._ids = ids
        self._transaction: Transaction | None = None

    @classmethod
    async def opened(cls, url: str, shared: Folders | None, ids: Ids) -> Self:
        """A database with this version's schema. Raises ConfigError if there is anything in it.

        Without folders that hosts share, the bytes of files go into the database too.
        """
        await prepare(url)
        db = await _connected(url)
        try:
            await _refuse_filled(db)
        except ConfigError:
            await db.close()
            raise
        return cls(db, shared, ids)

    async def columns(self) -> dict[str, tuple[str, ...]]:
        """What this version's tables have."""
        return await _columns(self._db)

    async def keep(self, named: Named, pieces: AsyncIterator[bytes]) -> None:
        """Put the bytes of a file where sessions look for them."""
        await self._begin()
        await self._carrier.keep(named, pieces)

    async def put(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Fill a table."""
        await self._begin()
        try:
            await self._db.copy_records_to_table(table.name, records=rows, columns=list(columns))
        except (PostgresError, DataError, ValueError) as error:
            raise ConfigError(f"Rows of {table.name} don't fit: {error}. Nothing was kept.") from None

    async def finish(self, outline: Outline, files: Sequence[Named]) -> None:
        """Give it all that isn't in rows."""
        await self._begin()
        db = self._db
        for table, number in (await _given_out(db)).items():
            last = max(number, outline.numbers.get(table, 0))
            await db.fetchval(SET, table, NUMBERED[table], last)
        await db.execute(TURN)
        held = await db.fetchval(HELD) is not None
        titled = [row[0] for row in await db.fetch(TITLED)]
        await bridge.run(lambda: arrive(PostgresTx(db), outline, titled, held=held))

    def store(self, history: str) -> Store:
        """The database as it will be, as a store to be read."""
        rules = Rules(limits=Limits(), terms={})
        return RelationalStore(PostgresLookLane(self._db), rules, self._ids, history)

    async def commit(self) -> None:
        """Let all hosts see it."""
        assert self._transaction is not None
        await self._transaction.commit()
        await self._db.execute("ANALYZE")

    async def aclose(self) -> None:
        """Let the database go. What wasn't committed was never there."""
        await self._db.close()

    async def _begin(self) -> None:
        """Begin, once; hosts that start meanwhile wait until it is decided."""
        if self._transaction is not None:
            return
        self._transaction = self._db.transaction()
        await self._transaction.start()
        await self._db.execute("LOCK TABLE meta, host, session IN ACCESS EXCLUSIVE MODE")
        await _refuse_filled(self._db)
        await self._db.execute("DELETE FROM quota")


async def _refuse_filled(db: "Connection[Record]") -> None:
    if await db.fetchval(ANY_ROWS):
        raise ConfigError("There is something in the database already. Give one that is empty.")
