"""kill -9 around a tool call that must not be repeated: it is made once at most, and nobody is told a lie."""

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tenure.ports.landmarks import Landmark
from tests.crash.server import Server, examine_home

pytestmark = pytest.mark.anyio

BOUND_S = 30


@asynccontextmanager
async def asking(server: Server) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as http:
        yield http


async def opened(http: httpx.AsyncClient) -> str:
    """A session with *scripted*."""
    return (await http.post("/v1/sessions", json={"agent": "scripted"})).json()["id"]


async def said(http: httpx.AsyncClient, session: str, text: str) -> None:
    """Send a message. The server may die over it."""
    with suppress(httpx.TransportError):
        await http.post(f"/v1/sessions/{session}/messages", json={"content": text})


async def event(http: httpx.AsyncClient, session: str, kind: str) -> dict[str, Any]:
    """Wait until the session has an event of this type; its data."""
    with anyio.fail_after(BOUND_S):
        while True:
            page = (await http.get(f"/v1/sessions/{session}/events?limit=1000")).json()
            for found in page["data"]:
                if found["type"] == kind:
                    return found["data"]
            await anyio.sleep(0.02)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many commits a server makes before anybody says anything in a session."""
    return anyio.run(commits, tmp_path_factory.mktemp("rehearsal") / "home")


async def commits(home: Path) -> int:
    server = Server(home).ready()
    try:
        async with asking(server) as http:
            await opened(http)
            return (await http.get("/v1/stats")).json()["commits"]
    finally:
        server.kill()


def lines(home: Path) -> list[str]:
    """What the tool left in the session's folder."""
    return [line for path in home.rglob("log.txt") for line in path.read_text("utf-8").splitlines()]


@pytest.mark.sources("P4", "D-M16")
@pytest.mark.parametrize(
    ("landmark", "nth"),
    [
        (Landmark.CALL_BEFORE, None),
        (Landmark.CALL_AFTER, None),
        (Landmark.COMMIT_BEFORE, 2),
        (Landmark.COMMIT_BEFORE, 3),
        (Landmark.COMMIT_AFTER, 2),
        (Landmark.COMMIT_AFTER, 3),
        (Landmark.BATCH_BEGUN, 3),
        (Landmark.DELIVERY_BEFORE, 2),
        (Landmark.DELIVERY_AFTER, 2),
        (Landmark.RUN_SPAWNING, None),
        (Landmark.RUN_SPAWNED, None),
        (Landmark.RUN_SETTLING, None),
        (Landmark.RUN_SETTLED, None),
    ],
)
async def test_a_call_is_made_once_at_most_wherever_the_host_dies(
    landmark: Landmark, nth: int | None, before: int, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    place = 1 if nth is None else before + nth
    dying = Server(home, crash_at=f"{landmark}:{place}").ready()
    async with asking(dying) as http:
        session = await opened(http)
        await said(http, session, "ONCE log.txt")
    assert dying.wait() == -signal.SIGKILL
    made = lines(home)
    server = Server(home).ready()
    try:
        async with asking(server) as http:
            page = (await http.get(f"/v1/sessions/{session}/events")).json()
            if not any(found["type"] == "message.admitted" for found in page["data"]):
                await said(http, session, "ONCE log.txt")
            await event(http, session, "run.finished")
            call = await event(http, session, "tool.call.completed")
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()

    assert len(lines(home)) <= 1
    assert len(lines(home)) == len(made) or not made
    match landmark:
        case Landmark.CALL_BEFORE:
            assert (call["status"], made) == ("unknown", [])
        case Landmark.CALL_AFTER:
            assert (call["status"], len(made)) == ("unknown", 1)
        case _:
            assert call["status"] == "unknown" or len(lines(home)) == 1


@pytest.mark.sources("P7", "A17")
async def test_an_approval_outlives_kill_9_and_is_answered_afterwards(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = Server(home).ready()
    async with asking(server) as http:
        session = await opened(http)
        await said(http, session, "ASK shall I?")
        approval = (await event(http, session, "approval.requested"))["approval_id"]
    server.kill()
    server = Server(home).ready()
    try:
        async with asking(server) as http:
            pending = (await http.get(f"/v1/sessions/{session}")).json()["pending_approvals"]
            assert [found["id"] for found in pending] == [approval]
            answer = await http.post(f"/v1/approvals/{approval}", json={"decision": "approve"})
            assert (answer.status_code, answer.json()["status"]) == (200, "granted")
            await event(http, session, "run.finished")
            page = (await http.get(f"/v1/sessions/{session}/messages")).json()
            assert page["data"][-1]["content"] == "approved: shall I?"
            again = await http.post(f"/v1/approvals/{approval}", json={"decision": "deny"})
            assert (again.status_code, again.json()["code"]) == (409, "already_resolved")
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()
