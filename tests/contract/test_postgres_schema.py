"""What a Postgres database must be like: its server, its schema, its statements and their plans."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from asyncpg import CheckViolationError, Connection, NotNullViolationError, UniqueViolationError, connect

from tenure.core.approval import APPROVAL
from tenure.core.effect import EFFECT
from tenure.core.message import MESSAGE, REPLY
from tenure.core.run import LIVE_RUNS, RUN
from tenure.core.schedule import OCCURRENCE, SCHEDULE
from tenure.core.session import SESSION
from tenure.errors import ConfigError
from tenure.stores.postgres import connect as opening
from tenure.stores.postgres.connect import migrate, prepare, refuse_shared, refuse_unsafe, settings
from tenure.stores.postgres.queries import SQL
from tenure.stores.sqlite.queries import SQL as SQLITE
from tests.postgres.fixtures import Database, fresh
from tests.postgres.server import Postgres

if TYPE_CHECKING:
    from asyncpg import Record

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests, so that they share a connection."""
    return "asyncio"


@pytest.fixture(scope="module")
async def home(anyio_backend: str, postgres: Postgres) -> AsyncIterator[str]:
    """The address of a database with our schema and nothing in it."""
    with fresh(postgres) as database:
        await prepare(database.socket_url)
        yield database.socket_url


@pytest.fixture(scope="module")
async def connected(home: str) -> "AsyncIterator[Connection[Record]]":
    """A connection to it."""
    one = await connect(home)
    yield one
    await one.close()


@pytest.fixture
async def db(connected: "Connection[Record]") -> "AsyncIterator[Connection[Record]]":
    """The same in a transaction of which nothing stays."""
    begun = connected.transaction()
    await begun.start()
    yield connected
    await begun.rollback()


# --- the server


@pytest.mark.sources("P1")
@pytest.mark.parametrize("name", ["synchronous_commit"])
async def test_a_server_that_may_lose_what_it_acknowledged_is_refused(
    db: "Connection[Record]", name: str
) -> None:
    await db.execute(f"SET {name} = off")
    with pytest.raises(ConfigError, match=rf"{name} = off.*Set {name} = on"):
        await refuse_unsafe(db)


async def test_a_database_that_cannot_keep_every_text_is_refused(postgres: Postgres) -> None:
    name = "latin_one"
    form = "template template0 encoding 'LATIN1' locale_provider libc locale 'C'"
    postgres.ask(f"create database {name} {form}")
    try:
        with pytest.raises(ConfigError, match=r"keeps text as LATIN1.*ENCODING 'UTF8'"):
            await prepare(postgres.socket_url(name))
    finally:
        postgres.drop_database(name)


async def test_a_pooler_that_shares_sessions_is_refused(db: "Connection[Record]", home: str) -> None:
    other = await connect(home)
    try:
        await refuse_shared(db, other)
        with pytest.raises(ConfigError, match="pool_mode = transaction"):
            await refuse_shared(db, db)
    finally:
        await other.close()


async def test_a_server_that_is_not_there_is_told_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"can't be reached.*Check the address"):
        await prepare("postgresql://nobody@127.0.0.1:1/nothing")


def test_nothing_outlives_a_third_of_a_lease() -> None:
    given = settings(9.0)
    limits = {name: int(value) for name, value in given.items() if name.endswith("_timeout")}

    assert set(limits) == {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}
    assert max(limits.values()) == 3_000


# --- migrations


@pytest.mark.sources("P5")
async def test_hosts_that_start_at_once_make_one_schema(postgres_database: Database) -> None:
    await asyncio.gather(*(prepare(postgres_database.socket_url) for _ in range(4)))
    db = await connect(postgres_database.socket_url)
    found = await db.fetch("SELECT number FROM schema_version ORDER BY number")
    await db.close()

    assert [number for (number,) in found] == [number for number, _ in opening.migrations()]


async def test_a_database_of_a_newer_version_is_refused_with_the_way_out(db: "Connection[Record]") -> None:
    await db.execute("INSERT INTO schema_version (number) VALUES (9999)")
    with pytest.raises(ConfigError, match=r"newer Tenure \(schema 9999.*Upgrade Tenure"):
        await migrate(db)


async def test_a_migration_that_breaks_leaves_nothing_of_it(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [(1, "CREATE TABLE a (x int);"), (2, "CREATE TABLE b (x int); NONSENSE;")]
    monkeypatch.setattr(opening, "migrations", lambda: broken)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"can't be made ready.*Nothing of the step"):
            await prepare(postgres_database.socket_url)
    db = await connect(postgres_database.socket_url)
    tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    done = await db.fetchval("SELECT max(number) FROM schema_version")
    await db.close()

    assert ([name for (name,) in tables], done) == (["a", "schema_version"], 1)


# --- the schema


def as_postgres_says(check: str) -> str:
    """A CHECK as the server gives it back."""
    return re.sub(r"(\w+) IN \(([^)]*)\)", lambda m: f"{m[1]} = ANY (ARRAY[{m[2]}])", check)


async def checks(db: "Connection[Record]", table: str) -> set[str]:
    """The conditions of a table's CHECKs, on one line, without casts and brackets around columns."""
    found = await db.fetch(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'",
        table,
    )
    return {re.sub(r"::text|[()]", "", text).removeprefix("CHECK ") for (text,) in found}


@pytest.mark.parametrize(
    ("table", "check"),
    [
        ("session", SESSION.check("state")),
        ("run", RUN.check("state")),
        ("message", f"role <> 'user' OR {MESSAGE.check('state')}"),
        ("message", f"role <> 'assistant' OR {REPLY.check('state')}"),
        ("approval", APPROVAL.check("state")),
        ("effect", EFFECT.check("state")),
        ("schedule", SCHEDULE.check("state")),
        ("occurrence", OCCURRENCE.check("state")),
        ("api_key", "role IN ('admin', 'operator', 'member', 'viewer')"),
    ],
)
async def test_the_schema_admits_exactly_the_states_of_the_tables(
    db: "Connection[Record]", table: str, check: str
) -> None:
    assert re.sub(r"[()]", "", as_postgres_says(check)) in await checks(db, table)


async def test_the_schema_knows_a_run_is_over_exactly_when_the_machine_says_so(
    db: "Connection[Record]",
) -> None:
    over = RUN.among("state", tuple(state for state in RUN.states if state in RUN.terminal))
    live = await db.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = 'run_live'")
    condition = re.sub(r"::text|[()]|\[\]", "", live.partition(" WHERE ")[2])

    wanted = re.sub(r"[()]", "", as_postgres_says(over))
    assert f"finished_at IS NOT NULL = {wanted}" in await checks(db, "run")
    assert condition == re.sub(r"[()]", "", as_postgres_says(RUN.among("state", LIVE_RUNS)))


RUN_ROW: dict[str, object] = {
    "id": "run_1",
    "session_no": 1,
    "tenant": "acme",
    "author": "ada",
    "agent": "greeter",
    "message_id": "msg_1",
    "state": "queued",
    "grant_json": "{}",
    "grant_digest": "5e0",
    "queued_at": 1,
}


async def insert(db: "Connection[Record]", **changed: object) -> None:
    """A row of a run, with some columns of one's own."""
    row = {**RUN_ROW, **changed}
    names, marks = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await db.execute(f"INSERT INTO run ({names}) VALUES ({marks})", *row.values())


@pytest.mark.parametrize(
    "nonsense",
    [
        {"state": "stopping"},
        {"state": "running"},
        {"state": "queued", "owner": 1},
        {"state": "completed"},
        {"state": "completed", "finished_at": 2, "owner": 1},
        {"state": "queued", "finished_at": 2},
        {"grant_json": None},
        {"grant_digest": None},
    ],
    ids=str,
)
async def test_the_database_itself_refuses_a_run_that_makes_no_sense(
    db: "Connection[Record]", nonsense: dict[str, object]
) -> None:
    with pytest.raises((CheckViolationError, NotNullViolationError)):
        await insert(db, **nonsense)


@pytest.mark.sources("N10", "D-O15", "P5")
async def test_the_database_itself_refuses_a_second_live_run_of_a_session(db: "Connection[Record]") -> None:
    await insert(db)
    await insert(db, id="run_2", state="lost", finished_at=2)
    with pytest.raises(UniqueViolationError):
        await insert(db, id="run_3")


# --- statements

ONLY_SQLITE = frozenset(
    {
        "head_set",
        "journal_insert",
        "search_merge",
        "search_title",
        "session_touch",
        "slot_turn",
        "slot_turns",
    }
)
"""What the writer of a file does and Postgres does otherwise."""


def test_both_databases_have_the_statements_that_acts_and_reads_name() -> None:
    assert {name for name in SQLITE if name not in SQL} <= ONLY_SQLITE


async def test_every_statement_is_one_that_the_server_understands(db: "Connection[Record]") -> None:
    for statement in SQL.values():
        await db.prepare(statement.sql)


WALKS = {
    "key_revoke_roots": "once, when a server starts with another admin key",
    "read_figures": "counts for stats, on a reader",
    "load_top": "who uses most, on a reader: a row per user",
}
"""What may walk a whole table, and when. Beside these there are the checks of `tenure doctor`."""
SMALL = frozenset({"host", "past_host", "mark", "loose_strand", "schema_version", "meta"})
"""Tables that have a row for each host or so."""


async def walked(db: "Connection[Record]", sql: str) -> set[str]:
    """The tables that a statement has to walk from end to end."""
    count = len((await db.prepare(sql)).get_parameters())
    await db.execute(f"PREPARE planned AS {sql}")
    given = f"({', '.join(['NULL'] * count)})" if count else ""
    lines = await db.fetch(f"EXPLAIN EXECUTE planned{given}")
    await db.execute("DEALLOCATE planned")
    return {table for (line,) in lines for table in re.findall(r"Seq Scan on (\w+)", line)} - SMALL


@pytest.mark.sources("D-R10")
async def test_no_statement_walks_a_table_but_those_that_nobody_waits_for(db: "Connection[Record]") -> None:
    await db.execute("SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan")
    walks = {
        name: await walked(db, statement.sql)
        for name, statement in SQL.items()
        if not name.startswith("audit_")
    }

    assert {name for name, tables in walks.items() if tables} == set(WALKS)
