"""Pours everything that one side holds into another: a backup, a restore, or a change of the database.

It reads and writes through `ports.tables` alone. A database is examined before anybody sees what arrived.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tenure.errors import ConfigError
from tenure.host.doctor import examine
from tenure.ports.tables import MOVED, Cut, Named, Outline, Row, Source, StoreTarget, Table, Target

LOOKS = 5
"""How often a moment is looked for whose files are all there: they may be deleted while they are copied."""


class Poured(NamedTuple):
    """What was moved: rows by table, and files."""

    history: str
    rows: Mapping[str, int]
    files: int


class Digest:
    """The number of some rows, and a hash of them all in their order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._encoder = msgspec.msgpack.Encoder()
        self.rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Take in some more rows."""
        for row in rows:
            self._hash.update(self._encoder.encode(row))
        self.rows += len(rows)

    def told(self) -> tuple[int, str]:
        """The number, and the hash."""
        return self.rows, self._hash.hexdigest()


Progress = Callable[[str, int], None]
"""Told of each table, or of `files`, and how many of it have arrived."""


def silent(what: str, count: int) -> None:
    """Tell nobody."""


async def archive(source: Source, target: Target, tell: Progress = silent) -> Poured:
    """Write a backup. Raises ConfigError."""
    return await _pour(source, target, None, tell, check=None)


async def move(
    source: Source, target: StoreTarget, history: str | None = None, tell: Progress = silent
) -> Poured:
    """Fill an empty database, compare it row by row, and examine it; then it is seen, all at once.

    With `history` what arrives is another history than that of the source. Raises ConfigError, and
    nothing arrives then.
    """
    return await _pour(source, target, history, tell, check=target)


async def _pour(
    source: Source, target: Target, history: str | None, tell: Progress, check: StoreTarget | None
) -> Poured:
    kept: set[Named] = set()
    async with source.cut() as before:
        early = await before.named()
    await _keep(source, target, early, kept, tell)
    for _ in range(LOOKS):
        async with source.cut() as cut:
            files = await cut.named()
            if not await _keep(source, target, files, kept, tell):
                continue
            outline = await cut.outline()
            if history is not None:
                outline = msgspec.structs.replace(outline, history=history)
            columns = _agreed(outline.columns, await target.columns())
            digests = await _rows(cut, target, outline, columns, tell)
        if check is not None:
            await _compare(check, outline, columns, digests)
        await target.finish(outline, files)
        if check is not None:
            await _examine(check, outline.history)
        await target.commit()
        return Poured(outline.history, {name: count for name, (count, _) in digests.items()}, len(files))
    raise ConfigError(
        f"In {LOOKS} looks files were deleted while they were copied. Nothing was written. Try again when "
        "less is going on."
    )


async def _keep(
    source: Source, target: Target, files: Sequence[Named], kept: set[Named], tell: Progress
) -> bool:
    """Copy what isn't copied yet. False if something is gone."""
    whole = True
    for named in files:
        if named in kept:
            continue
        try:
            await target.keep(named, source.bytes_of(named))
        except LookupError:
            whole = False
            continue
        kept.add(named)
        tell("files", len(kept))
    return whole


def _agreed(
    there: Mapping[str, tuple[str, ...]], here: Mapping[str, tuple[str, ...]] | None
) -> dict[str, tuple[str, ...]]:
    """The columns to be moved. Raises ConfigError if the target lacks one."""
    for table in MOVED:
        lacking = set(there.get(table.name, ())) - set(there if here is None else here.get(table.name, ()))
        if here is not None and (lacking or table.name not in there):
            raise ConfigError(
                f"The table {table.name} isn't the same on both sides ({', '.join(sorted(lacking)) or 'none'}"
                " of its columns is known there only). Use the version of Tenure that wrote it, then upgrade."
            )
    return {table.name: there[table.name] for table in MOVED}


async def _rows(
    cut: Cut, target: Target, outline: Outline, columns: Mapping[str, tuple[str, ...]], tell: Progress
) -> dict[str, tuple[int, str]]:
    digests: dict[str, tuple[int, str]] = {}
    for table in MOVED:
        digest = Digest()
        async for rows in _plain(cut, table, columns[table.name], outline):
            await target.put(table, columns[table.name], rows)
            digest.add(rows)
            tell(table.name, digest.rows)
        digests[table.name] = digest.told()
    return digests


async def _plain(
    cut: Cut, table: Table, columns: tuple[str, ...], outline: Outline
) -> AsyncIterator[Sequence[Row]]:
    """The rows of a table, without what belongs to one database or to the life of a host."""
    async for rows in cut.rows(table, columns):
        yield plain(table.name, columns, rows, outline.numbers.get("host", 0) + 1)


def plain(table: str, columns: Sequence[str], rows: Sequence[Row], heir: int) -> Sequence[Row]:
    """Rows as every database can take them. What a host held is held by `heir`, a life that is over.

    One database counts all slots in a row of its own; no words of a message are in the index yet.
    """
    match table:
        case "slot":
            nobody = columns.index("tenant")
            return [row for row in rows if row[nobody] != ""]
        case "run":
            owner = columns.index("owner")
            return [row if row[owner] is None else _with(row, owner, heir) for row in rows]
        case "message":
            sought = columns.index("sought")
            return [_with(row, sought, 0) if row[sought] else row for row in rows]
        case _:
            return rows


def _with(row: Row, place: int, value: int) -> Row:
    return (*row[:place], value, *row[place + 1 :])


async def _compare(
    target: StoreTarget,
    outline: Outline,
    columns: Mapping[str, tuple[str, ...]],
    sent: Mapping[str, tuple[int, str]],
) -> None:
    """Read everything again. Raises ConfigError if it isn't what was sent."""
    for table in MOVED:
        digest = Digest()
        async for rows in _plain(target, table, columns[table.name], outline):
            digest.add(rows)
        if digest.told() != sent[table.name]:
            raise ConfigError(
                f"Of the table {table.name} {sent[table.name][0]} rows were sent and {digest.rows} arrived, "
                "or one of them has changed. Nothing was kept. Check the disk, and try again."
            )


async def _examine(target: StoreTarget, history: str) -> None:
    """Let the invariant checker look. Raises ConfigError if it finds anything."""
    found = await examine(target.store(history))
    if found:
        first = found[0]
        raise ConfigError(
            f"What arrived breaks {len(found)} invariants; the first: {first.session_id or 'the store'}: "
            f"{first.sentence} Nothing was kept. Run `tenure doctor` where it comes from."
        )
