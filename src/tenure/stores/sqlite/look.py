"""A lane that only looks: for whoever examines a home, beside a live server or without one.

The wiring opens it for `tenure doctor`. It never writes, checkpoints or migrates.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from tenure.errors import Code, ConfigError, TenureError
from tenure.ports.store import Append, Block, Commits, Lease
from tenure.stores.relational.acts import runs
from tenure.stores.relational.locks import Lock
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Tx
from tenure.stores.sqlite.batch import SqliteLook
from tenure.stores.sqlite.files import migrations, version

T = TypeVar("T")


class LookLane:
    """One read-only connection. Each read is one consistent cut, and holds the log no longer than that."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ConfigError(
                f"There is no database {path}. Give the home of a server that has run with --home or "
                "TENURE_HOME."
            )
        try:
            self._db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
            have = version(self._db)
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path} can't be read as a database: {error}.") from None
        self._look = SqliteLook(self._db)
        known = migrations()[-1][0]
        if have != known:
            self._db.close()
            raise ConfigError(
                f"{path} has schema {have}, and this Tenure reads schema {known}. Start its server once "
                "with this version, or use the version that wrote it."
            )

    def history(self) -> str:
        """The id of the store's history, empty if the file never had a server."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'history'").fetchone()
        return "" if row is None else str(row[0])

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        """Nothing is ever committed here."""

    def write(self, act: Callable[[Tx], T], *locks: Lock) -> "asyncio.Future[T]":
        """Refused."""
        refused: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        refused.set_exception(
            TenureError(Code.STORE_UNAVAILABLE, "The store is open for reading only. Ask its server.")
        )
        return refused

    def append(self, lease: Lease, append: Append) -> "asyncio.Future[None]":
        """Refused."""
        return self.write(partial(runs.append, lease=lease, append=append))

    async def read(self, query: Callable[[Look], T]) -> T:
        self._db.execute("BEGIN")
        try:
            return query(self._look)
        finally:
            self._db.execute("ROLLBACK")

    async def peek(self, query: Callable[[Look], T]) -> T:
        return query(self._look)

    def commits(self) -> Commits:
        return Commits(0, 0, ())

    def healthy(self) -> bool:
        return True

    def close(self) -> None:
        """Let the file go."""
        self._db.close()
