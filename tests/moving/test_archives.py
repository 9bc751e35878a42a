"""Backups that aren't whole, and what is moved at all."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import asyncpg
import pytest

from tenure.config import Settings
from tenure.errors import ConfigError
from tenure.moving import back_up, migrate, place, restore
from tenure.ports.tables import MOVED
from tests.moving.conftest import Arrived, Left

Parts = dict[str, bytes]

STAY = {
    "body",  # files of sessions are moved through the port that keeps them
    "body_part",
    "blob",
    "host",  # lives end
    "mark",  # of connections
    "meta",  # the history is in the outline
    "schema_version",
    "search",  # made anew
    "sign_in",  # browsers sign in anew
    "sign_in_link",
}


def rehashed(parts: Parts) -> None:
    manifest = json.loads(parts["manifest.json"])
    for part in manifest["parts"]:
        data = parts.get(part["path"], b"")
        part["size"], part["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    parts["manifest.json"] = json.dumps(manifest).encode()


def other(path: str, data: bytes) -> Callable[[Parts], None]:
    """A backup with another part, and hashes that fit."""

    def breaking(parts: Parts) -> None:
        parts[path] = data
        rehashed(parts)

    return breaking


def told(change: Callable[[dict[str, Any]], object]) -> Callable[[Parts], None]:
    """A backup whose manifest says something else."""

    def breaking(parts: Parts) -> None:
        manifest = json.loads(parts["manifest.json"])
        change(manifest)
        parts["manifest.json"] = json.dumps(manifest).encode()

    return breaking


def without(prefix: str) -> Callable[[Parts], None]:
    def breaking(parts: Parts) -> None:
        del parts[next(name for name in parts if name.startswith(prefix))]

    return breaking


def spoiled(parts: Parts) -> None:
    parts["tables/journal.rows"] = parts["tables/journal.rows"][:-1] + b"\0"


BROKEN: dict[str, Callable[[Parts], None]] = {
    "another byte": spoiled,
    "a table missing": without("tables/journal"),
    "a file missing": without("files/"),
    "another part": lambda parts: parts.update({"../evil": b"x"}),
    "no manifest": without("manifest"),
    "a newer version": told(lambda manifest: manifest.update(version=99)),
    "another format": told(lambda manifest: manifest.update(format="zip")),
    "a table it doesn't know of": told(lambda manifest: manifest["outline"]["columns"].pop("journal")),
    "an unknown column": told(lambda manifest: manifest["outline"]["columns"]["session"].append("secret")),
    "no rows": other("tables/journal.rows", b""),
    "rows of nothing": other("tables/session.rows", b"\x00\x00\x00\x02\x91\x90"),
    "torn rows": other("tables/session.rows", b"\x00\x00\x10\x00\x91"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_backup_is_refused_whole(how: str, whole: Path, tmp_path: Path) -> None:
    with ZipFile(whole) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    BROKEN[how](parts)
    with ZipFile(tmp_path / "broken.backup", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)

    with pytest.raises(ConfigError):
        asyncio.run(restore(tmp_path / "broken.backup", Settings(home=tmp_path / "new")))

    assert not (tmp_path / "new" / "tenure.db").exists()
    assert not (tmp_path / "evil").exists()


@pytest.fixture(scope="module")
def whole(left: Left, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "all.backup"
    asyncio.run(back_up(Settings(home=left.home), path))
    return path


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"PK nothing")

    for name in ("odd", "absent"):
        with pytest.raises(ConfigError):
            asyncio.run(restore(tmp_path / name, Settings(home=tmp_path / "new")))

    assert not (tmp_path / "new").exists()


def test_backup_is_its_owners_alone_and_holds_no_key(left: Left, whole: Path) -> None:
    with ZipFile(whole) as archive:
        held = b"".join(archive.read(name) for name in archive.namelist())

    assert whole.stat().st_mode & 0o077 == 0
    assert left.key.encode() not in held


def test_every_table_is_moved_or_known_to_stay(left: Left, arrived: Arrived) -> None:
    with closing(sqlite3.connect(left.home / "tenure.db")) as db:
        here = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    there = asyncio.run(tables(str(arrived.there.store)))
    moved = {table.name for table in MOVED}

    own = {name for name in here if not name.startswith(("sqlite_", "search_"))}
    assert own - moved <= STAY
    assert there - moved <= STAY
    assert moved <= own & there


async def tables(url: str) -> set[str]:
    db = await asyncpg.connect(url)
    found = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await db.close()
    return {row[0] for row in found}


def test_filled_database_is_no_target(left: Left, arrived: Arrived) -> None:
    with pytest.raises(ConfigError, match="already"):
        asyncio.run(migrate(Settings(home=left.home), arrived.there))


def test_side_that_is_neither_home_nor_known_database_is_refused() -> None:
    with pytest.raises(ConfigError, match="mysql"):
        place("mysql://localhost/tenure")
