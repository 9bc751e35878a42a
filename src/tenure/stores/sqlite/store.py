"""The SQLite store: one file, one writer."""

from typing import Self

from tenure.core.rules import Rules
from tenure.ports.clock import Ids
from tenure.stores.relational.lane import Lane
from tenure.stores.relational.store import RelationalStore, history_of


class SqliteStore(RelationalStore):
    """All acts and reads on one file. Opened by `opened`, closed by `close`."""

    @classmethod
    async def opened(cls, lane: Lane, rules: Rules, ids: Ids) -> Self:
        """The store behind `lane`. A new file gets its history id here."""
        return cls(lane, rules, ids, await history_of(lane, ids))
