"""Files of a server that is killed, or has no room: what was acknowledged is there, and nothing else is."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.client import Client, ServerUnreachable
from tenure.errors import Code, TenureError
from tests.crash.server import BOUND_S, Server

FILES = 12


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where all servers of a test live."""
    return tmp_path / "home"


@pytest.fixture
def after(home: Path) -> Iterator[Client]:
    """A client of the server that comes after the killed one."""
    server = Server(home)
    try:
        with Client(server.ready().url, server.key) as client:
            yield client
    finally:
        server.close()


def send_until_it_dies(server: Server) -> tuple[str, dict[str, bytes]]:
    """Send files of different bytes until nobody answers. The session, and what was acknowledged."""
    sent: dict[str, bytes] = {}
    with Client(server.url, server.key, patience_s=0.0) as client:
        session = client.open_session("scripted").id
        try:
            for number in range(1_000):
                data = b"%d" % number * 50_000
                sent[client.upload_file(session, f"{number}.bin", data).id] = data
                if len(sent) == FILES:
                    server.kill()
        except ServerUnreachable:
            pass
    server.wait()
    return session, sent


def swept(home: Path, session: str, hashes: list[str]) -> list[str]:
    """What lies on disk for a session, once the server has looked through it."""
    blobs = home / "sessions" / session / "blobs"
    end = time.monotonic() + BOUND_S
    while (found := sorted(path.name for path in blobs.iterdir())) != hashes and time.monotonic() < end:
        pass
    return found


@pytest.mark.parametrize("crash_at", [None, "commit.before:12", "commit.after:12", "batch.begun:12"])
def test_acknowledged_files_survive_a_kill_and_the_rest_leaves_nothing(
    home: Path, crash_at: str | None, request: pytest.FixtureRequest
) -> None:
    session, sent = send_until_it_dies(Server(home, crash_at=crash_at).ready())
    after: Client = request.getfixturevalue("after")
    listed = list(after.files(session))

    assert sent
    assert {info.id for info in listed} >= set(sent)
    assert {file_id: after.download_file(session, file_id) for file_id in sent} == sent
    assert swept(home, session, sorted(info.sha256 for info in listed)) == sorted(i.sha256 for i in listed)


def test_a_file_that_the_disk_has_no_room_for_is_refused_and_the_next_one_is_taken(home: Path) -> None:
    server = Server(home).ready()
    try:
        with Client(server.url, server.key) as client:
            session = client.open_session("scripted").id
            server.limit_files(3_000_000)
            with pytest.raises(TenureError) as refused:
                client.upload_file(session, "large.bin", bytes(4_000_000))
            small = client.upload_file(session, "small.bin", bytes(1_000))
            server.limit_files(None)
            large = client.upload_file(session, "large.bin", bytes(4_000_000))
            listed = list(client.files(session))
    finally:
        server.close()

    assert refused.value.code is Code.STORE_FULL
    assert listed == [small, large]
    assert len(list((home / "sessions" / session / "blobs").iterdir())) == 2
