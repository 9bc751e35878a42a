"""Servers for the client's tests, and both clients for each test."""

from collections.abc import Generator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tenure.client import Client
from tests.client.both import Connect, awaiting, blocking
from tests.client.canned import Canned
from tests.client.hosted import Hosted
from tests.client.proxy import Proxy


@pytest.fixture(scope="session")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Generator[Hosted]:
    """A server that all tests share."""
    hosted = Hosted(tmp_path_factory.mktemp("client") / "home").start()
    yield hosted
    hosted.stop()


@pytest.fixture
def own_hosted(tmp_path: Path) -> Generator[Hosted]:
    """A server of the test's own, to be stopped and started."""
    hosted = Hosted(tmp_path / "home").start()
    yield hosted
    hosted.stop()


@pytest.fixture(scope="session")
def portal() -> Generator[BlockingPortal]:
    """A loop in another thread."""
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture
def proxy(hosted: Hosted) -> Generator[Proxy]:
    """Something lossy in front of the shared server."""
    proxy = Proxy(hosted.port)
    yield proxy
    proxy.close()


@pytest.fixture
def canned() -> Generator[Canned]:
    """A server that says what it's told to."""
    canned = Canned()
    yield canned
    canned.close()


@pytest.fixture(params=["blocking", "awaiting"])
def connect(request: pytest.FixtureRequest, portal: BlockingPortal) -> Connect:
    """What makes clients: each test runs with both kinds."""
    return blocking if request.param == "blocking" else awaiting(portal)


@pytest.fixture
def client(connect: Connect, hosted: Hosted) -> Generator[Client]:
    """A client of the shared server."""
    with connect(hosted.url, hosted.key) as client:
        yield client
