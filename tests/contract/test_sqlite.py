"""The SQLite store against the contract, on a real file; and what only SQLite can show."""

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenure.core.command import UpdateSession
from tenure.core.message import MESSAGE, REPLY
from tenure.core.rules import Rules
from tenure.core.run import LIVE_RUNS, RUN
from tenure.core.schedule import OCCURRENCE, SCHEDULE
from tenure.core.session import SESSION
from tenure.errors import ConfigError
from tenure.ports.clock import Ids
from tenure.ports.landmarks import NoLandmarks
from tenure.ports.store import Lease, Store
from tenure.stores.contract import Ability, Backend, Stages, StoreContract
from tenure.stores.sqlite import batch
from tenure.stores.sqlite.files import connect, migrate
from tenure.stores.sqlite.lane import ThreadLane
from tenure.stores.sqlite.store import SqliteStore


class SqliteFile:
    """A database file, opened by one store at a time."""

    abilities = frozenset({Ability.RESTART})

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: SqliteStore | None = None

    async def open(self, rules: Rules, ids: Ids) -> Store:
        assert self._store is None
        lane = ThreadLane(str(self._path), NoLandmarks(), fail)
        self._store = await SqliteStore.opened(lane, rules, ids)
        return self._store

    async def close(self, store: Store) -> None:
        assert store is self._store and self._store is not None
        self._store.close()
        self._store = None

    async def lapse(self, store: Store, lease: Lease) -> None:
        """A new life fences all earlier ones, so there is nothing to do."""


def fail(reason: str) -> None:
    """No commit of a test may have an unknown outcome."""
    raise AssertionError(reason)


class TestSqlite(StoreContract):
    """Every case of the contract."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return SqliteFile(tmp_path / "tenure.db")


# --- what only SQLite can show


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database with our schema and nothing in it."""
    with closing(connect(str(tmp_path / "tenure.db"), writer=True)) as db:
        migrate(db)
        yield db


def test_files_are_their_owners_alone(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("INSERT INTO meta (name, value) VALUES ('a', 'b')")

    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert rights == {"tenure.db": 0o600, "tenure.db-wal": 0o600, "tenure.db-shm": 0o600}


def schema(db: sqlite3.Connection, table: str) -> str:
    """How a table was made, on one line."""
    (text,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("table", "check"),
    [
        ("session", SESSION.check("state")),
        ("run", RUN.check("state")),
        ("message", f"role <> 'user' OR {MESSAGE.check('state')}"),
        ("message", f"role <> 'assistant' OR {REPLY.check('state')}"),
        ("schedule", SCHEDULE.check("state")),
        ("occurrence", OCCURRENCE.check("state")),
        ("api_key", "role IN ('admin', 'operator', 'member', 'viewer')"),
    ],
)
def test_the_schema_admits_exactly_the_states_of_the_tables(
    database: sqlite3.Connection, table: str, check: str
) -> None:
    assert f"CHECK ({check})" in schema(database, table)


def test_the_schema_knows_a_run_is_over_exactly_when_the_machine_says_so(
    database: sqlite3.Connection,
) -> None:
    over = tuple(state for state in RUN.states if state in RUN.terminal)

    assert f"CHECK ((finished_at IS NOT NULL) = ({RUN.among('state', over)}))" in schema(database, "run")
    assert schema(database, "run_live").endswith(f"WHERE {RUN.among('state', LIVE_RUNS)}")


RUN_ROW = {
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


def insert(db: sqlite3.Connection, **changed: object) -> None:
    """A row of a run, with some columns of one's own."""
    row = {**RUN_ROW, **changed}
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO run ({names}) VALUES ({marks})", row)


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
def test_the_database_itself_refuses_a_run_that_makes_no_sense(
    database: sqlite3.Connection, nonsense: dict[str, object]
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        insert(database, **nonsense)


@pytest.mark.sources("N10", "D-O15", "P5")
def test_the_database_itself_refuses_a_second_live_run_of_a_session(
    database: sqlite3.Connection,
) -> None:
    insert(database)
    insert(database, id="run_2", state="lost", finished_at=2)
    with pytest.raises(sqlite3.IntegrityError):
        insert(database, id="run_3")


@pytest.mark.sources("P1")
@pytest.mark.parametrize("pragma", ["journal_mode", "synchronous", "foreign_keys", "query_only"])
def test_the_writer_is_durable_and_readers_cannot_write(
    tmp_path: Path, database: sqlite3.Connection, pragma: str
) -> None:
    expected = {
        "journal_mode": ("wal", "wal"),
        "synchronous": (2, 2),
        "foreign_keys": (1, 0),
        "query_only": (0, 1),
    }
    with closing(connect(str(tmp_path / "tenure.db"), writer=False)) as reader:
        found = tuple(db.execute(f"PRAGMA {pragma}").fetchone()[0] for db in (database, reader))

    assert found == expected[pragma]


def test_migrating_again_changes_nothing(database: sqlite3.Connection) -> None:
    before = database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    migrate(database)

    assert database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall() == before


def test_a_file_of_a_newer_version_is_refused_with_the_way_out(
    database: sqlite3.Connection,
) -> None:
    database.execute("PRAGMA user_version = 9999")
    with pytest.raises(ConfigError, match=r"newer Tenure \(schema 9999.*Upgrade Tenure"):
        migrate(database)


def test_a_migration_that_breaks_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [(1, "CREATE TABLE a (x) STRICT;\n"), (2, "CREATE TABLE b (x ANY) STRICT;\nNONSENSE;\n")]
    monkeypatch.setattr("tenure.stores.sqlite.files.migrations", lambda: broken)
    with closing(connect(str(tmp_path / "tenure.db"), writer=True)) as db:
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError):
                migrate(db)
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == []


@pytest.mark.anyio
async def test_one_commit_may_touch_more_sessions_than_are_kept_hot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "HOT_HEADS", 1)
    stages = Stages(SqliteFile(tmp_path / "tenure.db"))
    try:
        stage = await stages.open()
        ones = [await stage.open() for _ in range(3)]
        told = await asyncio.gather(
            *(stage.store.update_session(stage.stamp(), one, UpdateSession(title="x")) for one in ones * 30)
        )
    finally:
        await stages.close()

    assert [info.head_seq for info in told] == [seq for seq in range(2, 32) for _ in ones]
