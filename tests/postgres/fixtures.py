"""Fixtures for tests that need Postgres: one server for the whole run, fresh databases in it.

The worker that first asks starts the server; all workers share it. It ends with the run, also with one that
is killed: its guard watches the process that began the run.
"""

import fcntl
import json
import os
import signal
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from tests.postgres.server import Postgres, PostgresServer, told

RUN = "TESTS_POSTGRES_RUN"
"""The variable by which the processes of one run know its folder and its first process."""
PATIENCE_S = 20.0
TICK_S = 0.005


class Run(NamedTuple):
    """One run of pytest: the folder in which its server is to be, and the process that began it."""

    folder: Path
    owner: int


class Database(NamedTuple):
    """A database that one test has for itself."""

    name: str
    url: str
    socket_url: str


BEGAN: list[Run] = []
"""The run that this process began; empty in a worker."""


def pytest_configure() -> None:
    """Give the run a name that its workers inherit. Nothing is made yet."""
    if RUN not in os.environ:
        place = Path(tempfile.gettempdir()) / f"tenure-pg-run-{uuid4().hex[:12]}"
        BEGAN.append(Run(place, os.getpid()))
        os.environ[RUN] = f"{os.getpid()}:{place}"


def pytest_unconfigure() -> None:
    """End the server of the run, where the run began."""
    while BEGAN:
        _end(BEGAN.pop())
        os.environ.pop(RUN, None)


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    """The server that all tests of this run share: nobody stops it or changes its settings."""
    run = _run()
    run.folder.mkdir(exist_ok=True)
    with locked(run.folder / "lock"):
        return told(run.folder / "place") or _begin(run)


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[Database]:
    """An empty database for one test, dropped after it."""
    with fresh(postgres) as database:
        yield database


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A server that the tests of one module may stop, kill and freeze; each leaves it running."""
    with PostgresServer(owners=[os.getpid(), _run().owner]) as server:
        yield server


@contextmanager
def fresh(postgres: Postgres, template: str = "template0") -> Generator[Database]:
    """A database that is a copy of the template, dropped in the end."""
    name = postgres.create_database(template)
    try:
        yield Database(name, postgres.url(name), postgres.socket_url(name))
    finally:
        postgres.drop_database(name)


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Hold a lock that is shared by the processes of the run."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run() -> Run:
    owner, _, folder = os.environ[RUN].partition(":")
    return Run(Path(folder), int(owner))


def _begin(run: Run) -> Postgres:
    server = PostgresServer(folder=run.folder, owners=[run.owner])
    server.__enter__()
    (run.folder / "guard").write_text(str(server.guard))
    (run.folder / "place").write_text(json.dumps(server.place))
    return server.leave()


def _end(run: Run) -> None:
    """Have the guard end the server; it removes the folder as its last act."""
    if (run.folder / "guard").exists():
        os.kill(int((run.folder / "guard").read_text()), signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while run.folder.exists() and time.monotonic() < deadline:
        time.sleep(TICK_S)
