"""Connections to Postgres: how they are opened, what of a server is refused, and the schema."""

from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, TypeAlias

from asyncpg import Connection, Pool, Record, connect, create_pool
from asyncpg.connect_utils import SessionAttribute
from asyncpg.exceptions import (
    DuplicatePreparedStatementError,
    InterfaceError,
    InvalidSQLStatementNameError,
    PostgresError,
)
from asyncpg.pool import PoolConnectionProxy

from tenure.errors import ConfigError
from tenure.stores.postgres.address import check, shown, unreachable

Db: TypeAlias = "Connection[Record] | PoolConnectionProxy[Record]"
"""A connection, or one that a pool has lent."""

OLDEST = 150_000
"""Postgres 15: the oldest that is tested."""
STATEMENTS_KEPT = 1_000
_MIGRATING = 0x7E17_0001
UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


if TYPE_CHECKING:
    Connected = Connection[Record]
else:
    Connected = Connection


class Plain(Connected):
    """A connection that is given back as it is: nothing of ours outlives its transaction."""

    def get_reset_query(self) -> str:
        """Nothing is to be reset, which saves a round trip each time."""
        return ""


def settings(lease_s: float) -> Mapping[str, str]:
    """Every connection's settings. No statement, lock or open transaction outlives a third of a lease.

    A lock is waited for less long than a statement may take: whoever waited in vain is run again.
    """
    third = str(max(100, round(lease_s * 1_000 / 3)))
    return {
        "application_name": "tenure",
        "statement_timeout": third,
        "lock_timeout": str(max(75, round(lease_s * 1_000 / 4))),
        "idle_in_transaction_session_timeout": third,
        "default_transaction_isolation": "read committed",
        "timezone": "UTC",
    }


async def pool(url: str, size: int, lease_s: float) -> "Pool[Record]":
    """`size` connections at most."""
    return await create_pool(
        url,
        min_size=0,
        max_size=size,
        connection_class=Plain,
        statement_cache_size=STATEMENTS_KEPT,
        max_inactive_connection_lifetime=0,
        server_settings=dict(settings(lease_s)),
        timeout=lease_s,
    )


async def connection(url: str, lease_s: float, *, made: type[Plain] = Plain) -> Plain:
    """One connection, to a server that takes writes. It is lost if no answer comes for 0.4 of a lease."""
    return await connect(
        url,
        connection_class=made,
        statement_cache_size=STATEMENTS_KEPT,
        max_cached_statement_lifetime=0,
        server_settings=dict(settings(lease_s)),
        target_session_attrs=SessionAttribute.read_write,
        timeout=lease_s / 3,
        command_timeout=lease_s * 0.4,
    )


async def prepare(url: str) -> None:
    """Refuse a server that would lose data, and bring its schema up to date. Raises ConfigError."""
    db = await _reached(url)
    try:
        await _refuse_pooled(db, url)
        await refuse_unsafe(db)
        await migrate(db)
    except PostgresError as error:
        raise ConfigError(
            f"The database {shown(url)} can't be made ready: {error}. Nothing of the step that failed was "
            "kept. The user of the address makes the tables, so let the database belong to that user (ALTER "
            "DATABASE … OWNER TO …). The server's log may say more."
        ) from error
    finally:
        await db.close()


async def _reached(url: str) -> "Connection[Record]":
    check(url)
    try:
        return await connect(url, timeout=10, statement_cache_size=0)
    except (OSError, TimeoutError, PostgresError, InterfaceError, ValueError) as error:
        raise unreachable(url, error) from None


async def refuse_other_schema(url: str) -> None:
    """Raises ConfigError for a database that this version can't read as it is. It is left as it is."""
    db = await _reached(url)
    try:
        there = await db.fetchval("SELECT to_regclass('schema_version') IS NOT NULL")
        have = await db.fetchval("SELECT max(number) FROM schema_version") if there else None
    finally:
        await db.close()
    known = migrations()[-1][0]
    if have is not None and have > known:
        raise newer(have, known)
    if have is None:
        raise ConfigError(
            f"There are no tables of Tenure in the database {shown(url)}. Give one that a host has run on."
        )
    if have != known:
        raise ConfigError(
            f"The database {shown(url)} has schema {have}, and this Tenure reads schema {known}. Start a "
            "host of this version on it once, or use the version that its hosts have."
        )


async def _refuse_pooled(db: "Connection[Record]", url: str) -> None:
    other = await _reached(url)
    try:
        await refuse_shared(db, other)
    finally:
        await other.close()


async def refuse_shared(one: "Connection[Record]", other: "Connection[Record]") -> None:
    """Raises ConfigError if what stands in front of the server gives two connections the same session.

    A pooler that does so between transactions loses what belongs to a session: its time-outs, its prepared
    statements, and whatever it listens to.
    """
    found: list[set[int]] = [set(), set()]
    try:
        for _ in range(3):
            for pids, db in zip(found, (one, other), strict=True):
                pids.add(await db.fetchval("SELECT pg_backend_pid()"))
    except (InvalidSQLStatementNameError, DuplicatePreparedStatementError):
        found = [set(), set()]
    if any(len(pids) != 1 for pids in found) or found[0] == found[1]:
        raise ConfigError(
            "Something between Tenure and Postgres gives each transaction another session, like PgBouncer "
            "with pool_mode = transaction. Connect to Postgres itself, or set pool_mode = session."
        )


async def refuse_unsafe(db: "Connection[Record]") -> None:
    """Raises ConfigError for a server on which an acknowledged commit may be lost."""
    if (version := int(await db.fetchval("SHOW server_version_num"))) < OLDEST:
        raise ConfigError(f"This Postgres is {version // 10_000}; Tenure needs {OLDEST // 10_000} or newer.")
    if (encoding := await db.fetchval("SHOW server_encoding")) != "UTF8":
        raise ConfigError(
            f"The database keeps text as {encoding}, which can't hold every text. "
            "Create one with: CREATE DATABASE tenure ENCODING 'UTF8' TEMPLATE template0."
        )
    for name, unsafe in UNSAFE.items():
        if await db.fetchval("SELECT current_setting($1)", name) == unsafe:
            raise ConfigError(
                f"The Postgres server has {name} = {unsafe}, so what was acknowledged could be lost. "
                f"Set {name} = on."
            )


def migrations() -> list[tuple[int, str]]:
    """(number, text) of every migration, in order."""
    folder = files("tenure.stores.postgres.migrations")
    found = [(int(f.name[:4]), f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql")]
    return sorted(found)


def newer(have: int, known: int) -> ConfigError:
    """What people are told of a database that a later version wrote."""
    return ConfigError(
        f"The database was written by a newer Tenure (schema {have}, this one knows {known}). "
        "Upgrade Tenure, or use another database."
    )


async def migrate(db: "Connection[Record]") -> None:
    """Apply what the database lacks, one host at a time. Raises ConfigError on a newer one."""
    await db.execute("SELECT pg_advisory_lock($1)", _MIGRATING)
    try:
        await db.execute("CREATE TABLE IF NOT EXISTS schema_version (number bigint PRIMARY KEY)")
        have = await db.fetchval("SELECT coalesce(max(number), 0) FROM schema_version")
        known = migrations()
        if have > known[-1][0]:
            raise newer(have, known[-1][0])
        for number, text in known:
            if number > have:
                async with db.transaction():
                    await db.execute(text)
                    await db.execute("INSERT INTO schema_version (number) VALUES ($1)", number)
    finally:
        await db.execute("SELECT pg_advisory_unlock($1)", _MIGRATING)
