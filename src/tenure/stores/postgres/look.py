"""A lane that only looks, through one connection in a transaction: for whoever examines a database."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tenure.errors import Code, TenureError
from tenure.ports.store import Append, Block, Commits, Lease
from tenure.stores.postgres import bridge
from tenure.stores.postgres.connect import Db
from tenure.stores.postgres.tx import PostgresLook
from tenure.stores.relational.acts import runs
from tenure.stores.relational.locks import Lock
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Tx

T = TypeVar("T")


class PostgresLookLane:
    """Reads what the transaction at hand sees. Whoever opened the connection closes it."""

    def __init__(self, db: Db) -> None:
        self._look = PostgresLook(db, snapshot=True)

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        """Nothing is ever committed here."""

    def write(self, act: Callable[[Tx], T], *locks: Lock) -> "asyncio.Future[T]":
        """Refused."""
        refused: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        refused.set_exception(TenureError(Code.STORE_UNAVAILABLE, "The store is open for reading only."))
        return refused

    def append(self, lease: Lease, append: Append) -> "asyncio.Future[None]":
        """Refused."""
        return self.write(partial(runs.append, lease=lease, append=append))

    async def read(self, query: Callable[[Look], T]) -> T:
        return await bridge.run(lambda: query(self._look))

    async def peek(self, query: Callable[[Look], T]) -> T:
        return await self.read(query)

    def commits(self) -> Commits:
        return Commits(0, 0, ())

    def healthy(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held here."""
