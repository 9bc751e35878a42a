"""Every statement of the Postgres store, by its name, with its values in the order of their places."""

import re
from typing import NamedTuple

from tenure.stores.relational.statements import dialect

_WRITES = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE \"?\w+\"? (?:AS )?(?:\w+ )?SET)\b")
_NAMED = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


class Statement(NamedTuple):
    """A statement with numbered places, the names of what goes there, and whether it changes rows."""

    sql: str
    names: tuple[str, ...]
    writes: bool


def placed(sql: str) -> Statement:
    """A statement with named values, as Postgres wants it: each name gets one numbered place."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return Statement(_NAMED.sub(place, sql), tuple(names), _WRITES.search(sql) is not None)


SQL = {name: placed(sql) for name, sql in dialect("tenure.stores.postgres").items()}
