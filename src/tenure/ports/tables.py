"""The port to everything that a store keeps, table by table: for backups, and to change the database.

`host.moving` pours one side into the other. Behind it are both databases, and the file that a backup is.
Rows are tuples of plain values in the order of their columns, the same in every database.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from tenure.ports.store import Store

Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Value, ...]


class Table(NamedTuple):
    """A table that is moved: its name, and the columns by which its rows are in an order."""

    name: str
    key: tuple[str, ...]


MOVED = (
    Table("api_key", ("no",)),
    Table("session", ("no",)),
    Table("head", ("session_no",)),
    Table("journal", ("pos",)),
    Table("snapshot", ("strand",)),
    Table("strand", ("session_no", "ordinal")),
    Table("loose_strand", ("strand",)),
    Table("message", ("no",)),
    Table("run", ("no",)),
    Table("approval", ("no",)),
    Table("effect", ("no",)),
    Table("remembered", ("session_no", "tool", "author")),
    Table("checkpoint", ("no",)),
    Table("undo", ("session_no", "seq")),
    Table("compaction", ("session_no", "seq")),
    Table("trace", ("session_no", "seq", "run_id", "what", "call_id")),
    Table("state_place", ("no",)),
    Table("state_value", ("no",)),
    Table("file", ("no",)),
    Table("conversation", ("key",)),
    Table("received", ("key",)),
    Table("receipt", ("tenant", "user", "key")),
    Table("slot", ("tenant", "author")),
    Table("quota", ("tenant", "owner")),
    Table("usage_day", ("tenant", "user", "day")),
    Table("spent_call", ("run_id", "call_id")),
    Table("schedule", ("no",)),
    Table("schedule_quota", ("tenant", "owner")),
    Table("occurrence", ("no",)),
    Table("share", ("no",)),
    Table("audit", ("no",)),
    Table("past_host", ("incarnation",)),
)
"""Everything that outlives a move. Lives of hosts end, browsers sign in anew, the index is made anew."""

NUMBERED = {
    "host": "incarnation",
    "journal": "pos",
    **{table.name: "no" for table in MOVED if table.key == ("no",)},
}
"""Table -> the column whose numbers the database gives out. None of them is ever given twice."""


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """What a side holds, apart from rows: its history, its columns, and the numbers it has given out.

    `lives` are the hosts that stand; whatever they hold is given up where it arrives.
    """

    history: str
    columns: dict[str, tuple[str, ...]]
    numbers: dict[str, int]
    lives: tuple[int, ...] = ()


class Named(NamedTuple):
    """The bytes of a file as a session names them."""

    session_id: str
    sha256: str


class Cut(Protocol):
    """One consistent moment of a side."""

    async def outline(self) -> Outline: ...

    async def named(self) -> Sequence[Named]:
        """The files of all sessions that aren't deleted."""
        ...

    def rows(self, table: Table, columns: Sequence[str]) -> AsyncIterator[Sequence[Row]]:
        """All rows of a table in the order of its key, some at a time."""
        ...


class Source(Protocol):
    """Where everything comes from. Raises ConfigError where it can't be read."""

    def cut(self) -> AbstractAsyncContextManager[Cut]:
        """Look at one moment. Others may go on writing."""
        ...

    def bytes_of(self, named: Named) -> AsyncIterator[bytes]:
        """The bytes of a file, piece by piece. Raises LookupError if they aren't there any more."""
        ...


class Target(Protocol):
    """Where everything goes. Nobody sees any of it before `commit`."""

    async def columns(self) -> dict[str, tuple[str, ...]] | None:
        """Table -> its columns; None for one that takes whatever comes."""
        ...

    async def keep(self, named: Named, pieces: AsyncIterator[bytes]) -> None:
        """Take the bytes of a file. Raises what `pieces` raises, and keeps nothing then."""
        ...

    async def put(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Take some rows of a table."""
        ...

    async def finish(self, outline: Outline, files: Sequence[Named]) -> None:
        """All is there: `outline` holds what isn't in rows."""
        ...

    async def commit(self) -> None:
        """Let it be seen, all at once, durably."""
        ...


class StoreTarget(Target, Cut, Protocol):
    """A target that is a database: what arrived can be read again, and examined, before it is seen."""

    def store(self, history: str) -> Store:
        """The store that it will be, to be read only."""
        ...
