"""The Postgres of the tests is the one that they claim, obeys, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from tests.postgres.fixtures import Database, fresh
from tests.postgres.programs import PostgresFailed, programs
from tests.postgres.server import SETTINGS, Postgres, PostgresServer

ROOT = Path(__file__).parents[2]

ONE_RUN = """
def test_a(postgres_database): print("server", postgres_database.url.rpartition("/")[0])
def test_b(postgres_database): print("server", postgres_database.url.rpartition("/")[0])
def test_c(postgres_database): print("server", postgres_database.url.rpartition("/")[0])
"""

ABANDONED = """
import os, signal
from tests.postgres.server import PostgresServer
server = PostgresServer().__enter__()
print(server.guard, server.place.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.anyio
async def test_the_server_is_postgres_18_with_durable_commits(postgres_database: Database) -> None:
    connection = await asyncpg.connect(postgres_database.url)
    try:
        named = {name: await connection.fetchval(f"show {name}") for name in SETTINGS}
        version = connection.get_server_version()
    finally:
        await connection.close()

    assert version.major == 18
    assert named == {**SETTINGS, "timezone": "UTC"}


def test_text_is_compared_by_code_point(postgres: Postgres, postgres_database: Database) -> None:
    ordered = postgres.ask(
        "select string_agg(x, '' order by x) from unnest(array['b','a','B','é']) x", postgres_database.name
    )

    assert ordered == "Babé"


def test_each_test_has_a_database_of_its_own(postgres: Postgres) -> None:
    with fresh(postgres) as one, fresh(postgres) as other:
        postgres.ask("create table t ()", one.name)
        assert postgres.ask("select count(*) from pg_class where relname = 't'", other.name) == "0"

    assert not postgres.has_database(one.name)


def test_a_template_is_copied_with_what_it_holds(postgres: Postgres) -> None:
    def prepare(url: str) -> None:
        postgres.ask("create table t as select 1 as one", url.rpartition("/")[2])

    postgres.prepare_template("prepared", prepare)
    with fresh(postgres, "prepared") as database:
        assert postgres.ask("select one from t", database.name) == "1"


@pytest.mark.anyio
async def test_terminated_connections_end_and_others_stay(postgres: Postgres) -> None:
    with fresh(postgres) as one, fresh(postgres) as other:
        ended, stays = await asyncpg.connect(one.url), await asyncpg.connect(other.socket_url)
        assert postgres.terminate_connections(one.name) == 1

        with pytest.raises(asyncpg.PostgresConnectionError):
            await ended.fetchval("select 1")
        assert await stays.fetchval("select 1") == 1
        ended.terminate()
        await stays.close()


@pytest.mark.parametrize("end", ["smart", "fast", "immediate", "kill"])
def test_what_was_committed_is_there_after_every_kind_of_end(own_postgres: PostgresServer, end: str) -> None:
    ends: dict[str, Callable[[], None]] = {
        "smart": lambda: own_postgres.stop("smart"),
        "fast": lambda: own_postgres.stop("fast"),
        "immediate": lambda: own_postgres.stop("immediate"),
        "kill": own_postgres.kill,
    }
    with fresh(own_postgres) as database:
        own_postgres.ask("create table t as select 7 as kept", database.name)
        ends[end]()
        assert not own_postgres.running
        with pytest.raises(PostgresFailed):
            own_postgres.ask("select 1")
        own_postgres.start()

        assert own_postgres.ask("select kept from t", database.name) == "7"


def test_a_frozen_server_is_silent_until_it_thaws(own_postgres: PostgresServer) -> None:
    own_postgres.freeze()
    psql = programs(Path(own_postgres.place.folder)) / "psql"
    with subprocess.Popen(
        [psql, "-At", "-c", "select 5", own_postgres.url()], stdout=subprocess.PIPE, text=True
    ) as asked:
        with pytest.raises(subprocess.TimeoutExpired):
            asked.wait(0.2)
        own_postgres.thaw()

        assert asked.communicate(timeout=20)[0] == "5\n"


def test_settings_count_from_the_next_start() -> None:
    with PostgresServer({"fsync": "off"}) as server:
        assert server.ask("show fsync") == "off"
        server.settings["fsync"] = "on"
        server.restart()
        assert server.ask("show fsync") == "on"
        folder = Path(server.place.folder)

    assert not folder.exists()


def test_a_setting_that_postgres_refuses_shows_why() -> None:
    server = PostgresServer({"shared_buffers": "much"})

    with pytest.raises(PostgresFailed, match='invalid value for parameter "shared_buffers": "much"'):
        server.__enter__()

    assert not Path(server.place.folder).exists()


def test_a_server_whose_owner_is_killed_ends_with_everything_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDONED], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == -signal.SIGKILL, done.stderr
    _, folder = done.stdout.split()
    within(10, lambda: not Path(folder).exists())
    assert not any(folder in command for command in commands())


def test_all_workers_of_a_run_share_one_server_that_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "test_one_run.py").write_text(ONE_RUN)
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("TESTS_", "PYTEST_"))
    }
    outside["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plugins = ["-p", "tests.postgres.fixtures", "-p", "xdist", "-p", "no:cacheprovider"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-n", "2", "-rP", f"--rootdir={tmp_path}", tmp_path],
        cwd=ROOT, env=outside, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    servers = [line for line in done.stdout.splitlines() if line.startswith("server ")]
    assert len(servers) == 3
    assert len(set(servers)) == 1
    port = servers[0].rpartition(":")[2]
    assert not any(f"--port={port}" in command for command in commands())


def commands() -> list[str]:
    """The command lines of all processes."""
    return subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def within(seconds: float, fact: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it didn't happen"
        time.sleep(0.01)
