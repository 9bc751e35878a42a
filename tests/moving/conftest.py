"""One home that was served and left in good order, which tests copy, and a database that it was moved to."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tenure.client import Client
from tenure.client.bundle import export_session
from tenure.config import Settings
from tenure.moving import Poured, migrate
from tests.client.hosted import Hosted
from tests.moving.scenes import Scene, play, retire
from tests.postgres.fixtures import fresh
from tests.postgres.server import Postgres


class Bundles(NamedTuple):
    """Every session of that home as a bundle, and its transcript as role and content."""

    folder: Path
    transcripts: dict[str, list[tuple[str, object]]]

    def of(self, kind: str) -> Path:
        """The bundle of one session."""
        return self.folder / f"{kind}.tenure"


class Left(NamedTuple):
    """A home that nobody serves, what is in it, and the key that opens it."""

    home: Path
    scene: Scene
    key: str
    history: str
    bundles: Bundles


class Arrived(NamedTuple):
    """A database that this home was moved to, and what the move told."""

    there: Settings
    poured: Poured


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """A home with every kind of session. Nobody may change it."""
    home = tmp_path_factory.mktemp("moving") / "home"
    hosted = Hosted(home).start()
    with Client(hosted.url, hosted.key) as client:
        scene = play(client)
        history = client.whoami().history
        key = hosted.key
        bundles = _exported(client, scene, tmp_path_factory.mktemp("bundles"))
    hosted.stop()
    assert retire(home) > 0
    return Left(home, scene, key, history, bundles)


def _exported(client: Client, scene: Scene, folder: Path) -> Bundles:
    transcripts: dict[str, list[tuple[str, object]]] = {}
    for kind, session_id in scene._asdict().items():
        export_session(client, session_id, folder / f"{kind}.tenure")
        said = client.transcript(session_id).data
        transcripts[kind] = [(item.role, item.content) for item in said]
    return Bundles(folder, transcripts)


@pytest.fixture(scope="session")
def arrived(left: Left, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    """The home in Postgres. Nobody may change it."""
    with fresh(postgres) as database:
        there = Settings(home=tmp_path_factory.mktemp("arrived"), store=database.socket_url)
        yield Arrived(there, asyncio.run(migrate(Settings(home=left.home), there)))


@pytest.fixture(scope="session")
def bundles(left: Left) -> Bundles:
    """Its sessions as files."""
    return left.bundles
