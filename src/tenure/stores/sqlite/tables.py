"""The tables of a SQLite database as a side of a move: read beside a live server, or filled as a new file.

`tenure.moving` opens them. What is filled has another name until it is whole, so that a database of the
right name is never half of one.
"""

import os
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from urllib.parse import quote

from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.errors import ConfigError
from tenure.ports.clock import Ids
from tenure.ports.files import Folders
from tenure.ports.store import Store
from tenure.ports.tables import MOVED, NUMBERED, Named, Outline, Row, Table
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
    listed,
)
from tenure.stores.relational.blobs import Carrier, pieces
from tenure.stores.sqlite.batch import Heads, SqliteTx
from tenure.stores.sqlite.files import connect, migrate
from tenure.stores.sqlite.look import LookLane
from tenure.stores.sqlite.store import SqliteStore

DRAFT = ".part"
BESIDE = ("", "-wal", "-shm")
REMEMBERED = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
"""The tables whose numbers SQLite remembers when their rows are gone."""


class SqliteCut:
    """What one connection sees, within one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def outline(self) -> Outline:
        """What isn't in rows."""
        row = self._db.execute(HISTORY).fetchone()
        return Outline(
            history="" if row is None else str(row[0]),
            columns=_columns(self._db),
            numbers=_given_out(self._db),
            lives=tuple(no for (no,) in self._db.execute(LIVES)),
        )

    async def named(self) -> Sequence[Named]:
        """The files that sessions name."""
        return [Named(*row) for row in self._db.execute(NAMED)]

    async def rows(self, table: Table, columns: Sequence[str]) -> AsyncIterator[Sequence[Row]]:
        """All rows of a table."""
        cursor = self._db.execute(all_rows(table, columns))
        while found := cursor.fetchmany(SOME):
            yield found


def _columns(db: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    return {
        table.name: tuple(row[1] for row in db.execute(f'PRAGMA table_info("{table.name}")'))
        for table in MOVED
    }


def _given_out(db: sqlite3.Connection) -> dict[str, int]:
    """The highest numbers, also of rows that are gone where the database remembers them."""
    counted: dict[str, int] = dict(db.execute("SELECT name, seq FROM sqlite_sequence"))
    for table, column in NUMBERED.items():
        (last,) = db.execute(highest(table, column)).fetchone()
        counted[table] = max(counted.get(table, 0), int(last))
    return counted


class SqliteTables:
    """A database as the source of a move."""

    def __init__(self, path: Path, folders: Folders) -> None:
        LookLane(path).close()  # refuses what isn't there, isn't ours, or has another schema
        self._path = path
        self._folders = folders

    @asynccontextmanager
    async def cut(self) -> AsyncGenerator[SqliteCut]:
        """One moment. The log of a live server grows as long as it is looked at."""
        address = f"file:{quote(str(self._path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as db:
            db.execute("BEGIN")
            yield SqliteCut(db)

    def bytes_of(self, named: Named) -> AsyncIterator[bytes]:
        """The bytes of a file."""
        return pieces(self._folders, named)


class SqliteDraft(SqliteCut):
    """A new database that is being filled. Raises ConfigError if there is one already.

    The caller has locked the home. Without `commit` only a draft is left, which the next one replaces.
    """

    def __init__(self, path: Path, folders: Folders, ids: Ids) -> None:
        if path.exists():
            raise ConfigError(
                f"There is a database {path} already. Give a home that has none, or move that one away."
            )
        self._path = path
        self._draft = path.with_name(path.name + DRAFT)
        self.discard()
        db = connect(str(self._draft), writer=True)
        super().__init__(db)
        migrate(db)
        # What a crash spoils is a draft. It is made durable as a whole, at the end.
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        self._carrier = Carrier(folders)
        self._ids = ids
        self._look: LookLane | None = None

    async def columns(self) -> dict[str, tuple[str, ...]]:
        """What this version's tables have."""
        return _columns(self._db)

    async def keep(self, named: Named, pieces: AsyncIterator[bytes]) -> None:
        """Put the bytes of a file where sessions look for them."""
        await self._carrier.keep(named, pieces)

    async def put(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Fill a table."""
        places = ", ".join("?" * len(columns))
        statement = f'INSERT INTO "{table.name}" ({listed(columns)}) VALUES ({places})'  # noqa: S608
        try:
            self._db.executemany(statement, rows)
        except sqlite3.Error as error:
            raise ConfigError(f"Rows of {table.name} don't fit: {error}. Nothing was kept.") from None

    async def finish(self, outline: Outline, files: Sequence[Named]) -> None:
        """Give it all that isn't in rows."""
        db = self._db
        given_out = _given_out(db)
        db.execute("DELETE FROM sqlite_sequence")
        for (name,) in db.execute(REMEMBERED).fetchall():
            last = max(given_out[name], outline.numbers.get(name, 0))
            db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))
        db.execute(
            "INSERT INTO slot (tenant, author, live, queued, since) SELECT '', '', coalesce(sum(live), 0),"
            " coalesce(sum(queued), 0), max(since) FROM slot HAVING count(*) > 0"
        )
        held = db.execute(HELD).fetchone() is not None
        titled = [no for (no,) in db.execute(TITLED)]
        arrive(SqliteTx(db, Heads()), outline, titled, held=held)
        db.execute("COMMIT")

    def store(self, history: str) -> Store:
        """The draft, as a store to be read."""
        self._look = LookLane(self._draft)
        return SqliteStore(self._look, Rules(limits=Limits(), terms={}), self._ids, history)

    async def commit(self) -> None:
        """Make the draft durable, and the database of this home."""
        self.close()
        _sync(self._draft)
        self._draft.rename(self._path)
        _sync(self._path.parent)

    def close(self) -> None:
        """Let the file go. Safe to call twice."""
        if self._look is not None:
            self._look.close()
        self._db.close()

    def discard(self) -> None:
        """Remove a draft, if one is there."""
        for end in BESIDE:
            with suppress(FileNotFoundError):
                Path(f"{self._draft}{end}").unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
