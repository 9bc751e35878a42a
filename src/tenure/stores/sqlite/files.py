"""The database file: opening it, refusing what would lose data, and bringing its schema up to date."""

import fcntl
import os
import re
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import IO

from tenure.core.search import searchable, searchable_content
from tenure.errors import ConfigError

OLDEST_SQLITE = (3, 37, 0)
CACHE_KIB = 8_192
_NETWORK = re.compile(r"^(nfs|cifs|smb|afs|9p|fuse\.sshfs|ceph|glusterfs|lustre)")


def connect(path: str, *, writer: bool) -> sqlite3.Connection:
    """One connection with our pragmas. Only the one writer may write, and only it checkpoints.

    A new file is its owner's alone, even in a home that others may look into; so are the files beside it,
    which get the rights of the first.
    """
    if writer:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    db.execute("PRAGMA busy_timeout = 5000")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    if writer:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 2000")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA secure_delete = ON")
    else:
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA wal_autocheckpoint = 0")
    return db


def lock(home: Path) -> IO[str]:
    """Hold the home for the life of this process. Raises ConfigError if another server holds it.

    The kernel frees the lock when the holder dies, however it dies.
    """
    path = home / "tenure.lock"
    held = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.seek(0)
        pid = held.read().strip() or "unknown"
        held.close()
        raise ConfigError(
            f"Another Tenure server (process {pid}) already uses the home {home}. "
            "Stop it, or start this one with another --home."
        ) from None
    held.truncate(0)
    held.write(str(os.getpid()))
    held.flush()
    return held


def check_home(home: Path) -> None:
    """Make the home if it isn't there. Raises ConfigError if it can't hold a database safely."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / ".tenure-write-test"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"The home {home} can't be written ({error.strerror}). "
            "Give a folder you own with --home or TENURE_HOME."
        ) from error
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigError(
            f"SQLite {sqlite3.sqlite_version} is too old; Tenure needs 3.37 or newer. Use a newer Python."
        )
    if not has_search():
        raise ConfigError(
            f"SQLite {sqlite3.sqlite_version} was built without FTS5, which searching needs. "
            "Use a Python whose SQLite has it, such as those of python.org and of the distributions."
        )
    kind = filesystem(home)
    if _NETWORK.match(kind):
        raise ConfigError(
            f"The home {home} is on a network file system ({kind}), where SQLite's locks don't hold. "
            "Use a local disk, or Postgres."
        )


def has_search() -> bool:
    """Whether this SQLite can keep an index of words."""
    with closing(sqlite3.connect(":memory:")) as db:
        try:
            db.execute("CREATE VIRTUAL TABLE search USING fts5 (text)")
        except sqlite3.OperationalError:
            return False
        return True


def filesystem(path: Path) -> str:
    """The type of the file system that holds `path`, or an empty text where that can't be known."""
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    target = str(path.resolve())
    for line in mounts:
        _, point, found, *_ = line.split(" ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def migrations() -> list[tuple[int, str]]:
    """(number, text) of every migration, in order."""
    folder = files("tenure.stores.sqlite.migrations")
    found = [(int(f.name[:4]), f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql")]
    return sorted(found)


def migrate(db: sqlite3.Connection) -> None:
    """Apply what the file lacks, each migration in one transaction. Raises ConfigError on a newer file."""
    db.create_function("searchable", 1, searchable, deterministic=True)
    db.create_function("searchable_content", 1, searchable_content, deterministic=True)
    known = migrations()
    have = version(db)
    if have > known[-1][0]:
        raise ConfigError(
            f"The database was written by a newer Tenure (schema {have}, this one knows {known[-1][0]}). "
            "Upgrade Tenure, or use another home."
        )
    for number, text in known:
        if number > have:
            with exclusive(db):
                for statement in statements(text):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")


def version(db: sqlite3.Connection) -> int:
    """The number of the last migration applied to the file."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def statements(text: str) -> Iterator[str]:
    """The single statements of a migration file."""
    part = ""
    for line in text.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


@contextmanager
def exclusive(db: sqlite3.Connection) -> Generator[None]:
    """One transaction that nobody else can read or write beside; undone if the body raises."""
    db.execute("BEGIN EXCLUSIVE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
