"""What reads see of a database: named statements, one snapshot. Each dialect brings one."""

from collections.abc import Iterator
from typing import Any, Protocol


class Look(Protocol):
    """Runs named queries. Values are given by name; rows come as tuples, or by column name."""

    def one(self, name: str, /, **values: object) -> Any:
        """The first row, or None."""
        ...

    def all(self, name: str, /, **values: object) -> list[Any]:
        """All rows."""
        ...

    def each(self, name: str, /, **values: object) -> Iterator[Any]:
        """The rows one after the other; those that nobody asks for may never be read."""
        ...

    def rows(self, name: str, /, **values: object) -> Iterator[dict[str, Any]]:
        """The rows by column name, one after the other."""
        ...

    def first(self, name: str, /, **values: object) -> dict[str, Any] | None:
        """The first row by column name, or None."""
        ...

    def match(self, words: str, tenant: str | None) -> str:
        """What a search box holds, as a query of the index, within `tenant` unless that is None."""
        ...
