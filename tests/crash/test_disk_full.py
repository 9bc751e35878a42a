"""A disk that fills under a live server: commands are refused, nothing is lost, and it goes on by itself."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from tenure.core.evidence import Acknowledged, Connection, Observed
from tests.crash.server import Server, examine_home

pytestmark = pytest.mark.anyio

BOUND_S = 30


class Named(msgspec.Struct):
    """An answer with an id."""

    id: str


class Receipt(msgspec.Struct):
    """As much of a 202 as is a promise."""

    message_id: str
    seq: int


class Problem(msgspec.Struct):
    """As much of a refusal as programs look at."""

    status: int
    code: str
    detail: str


FULL = Problem(
    507,
    "store_full",
    "The disk that holds the home is full. Nothing was changed. Free some space, then try again.",
)


@asynccontextmanager
async def serving(home: Path) -> AsyncGenerator[tuple[Server, httpx.AsyncClient]]:
    server = Server(home).ready()
    try:
        headers = {"Authorization": f"Bearer {server.key}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=BOUND_S) as http:
            yield server, http
    finally:
        server.close()


async def opened(http: httpx.AsyncClient) -> str:
    answer = await http.post("/v1/sessions", json={"agent": "scripted"})
    return msgspec.json.decode(answer.content, type=Named).id


async def send(http: httpx.AsyncClient, session_id: str, content: str) -> Acknowledged:
    answer = await http.post(f"/v1/sessions/{session_id}/messages", json={"content": content})
    assert answer.status_code == 202, answer.text
    receipt = msgspec.json.decode(answer.content, type=Receipt)
    return Acknowledged(receipt.seq, "message.admitted", receipt.message_id)


class Reader:
    """Follows a session on one connection, which stays open whatever the disk does."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self._arrived = anyio.Event()

    async def follow(self, http: httpx.AsyncClient, session_id: str) -> None:
        """Read until the task is cancelled."""
        rest = b""
        headers = {"Accept": "text/event-stream"}
        async with http.stream("GET", f"/v1/sessions/{session_id}/events", headers=headers) as answer:
            async for chunk in answer.aiter_raw():
                *whole, rest = (rest + chunk).split(b"\n\n")
                self.frames += [f.partition(b"\ndata: ")[2] for f in whole if f.startswith(b"id: ")]
                self._arrived.set()
                self._arrived = anyio.Event()

    async def until(self, count: int, what: bytes) -> None:
        """Wait until `what` was seen in `count` frames."""
        with anyio.fail_after(BOUND_S):
            while self.count(what) < count:
                await self._arrived.wait()

    def count(self, what: bytes) -> int:
        """In how many frames `what` was seen."""
        return sum(what in frame for frame in self.frames)

    def observed(self, told: list[Acknowledged]) -> Observed:
        """For the doctor."""
        return Observed(acknowledged=tuple(told), readers=((Connection(0, tuple(self.frames)),),))


async def refusals(http: httpx.AsyncClient, session_id: str) -> list[Problem]:
    """What each command is answered."""
    path = f"/v1/sessions/{session_id}"
    asked = [
        await http.post("/v1/sessions", json={"agent": "scripted"}),
        await http.post(f"{path}/messages", json={"content": "SAY lost?"}),
        await http.post(f"{path}/interrupt", json={}),
        await http.patch(path, json={"title": "lost?"}),
        await http.post(f"{path}/close", json={}),
        await http.delete(path),
        await http.post("/v1/keys", json={"user": "ada", "role": "member"}),
    ]
    return [msgspec.json.decode(answer.content, type=Problem) for answer in asked]


async def test_a_full_disk_refuses_commands_loses_nothing_and_heals(tmp_path: Path) -> None:
    home, reader = tmp_path / "home", Reader()
    async with serving(home) as (server, http), anyio.create_task_group() as group:
        session_id = await opened(http)
        group.start_soon(reader.follow, http, session_id)
        told = [await send(http, session_id, "SLOW 60 10\nREASON so\nSLOW 40 10")]
        await reader.until(10, b'"message.delta"')

        server.limit_files(0)
        # The first command may still have found room: it shares a commit with what came before.
        assert (await refusals(http, session_id))[1:] == [FULL] * 6
        assert await refusals(http, session_id) == [FULL] * 7
        assert (await http.get(f"/v1/sessions/{session_id}")).status_code == 200
        assert (await http.get("/healthz")).status_code == 200

        server.limit_files(None)
        await reader.until(1, b'"run.finished"')
        told.append(await send(http, session_id, "SAY whole"))
        await reader.until(2, b'"run.finished"')
        assert await examine_home(home, {session_id: reader.observed(told)}) == []
        assert reader.count(b'"text":"w') == 101
        group.cancel_scope.cancel()


async def test_a_server_that_dies_on_a_full_disk_goes_on_when_there_is_space(tmp_path: Path) -> None:
    home, reader = tmp_path / "home", Reader()
    async with serving(home) as (server, http):
        session_id = await opened(http)
        told = [await send(http, session_id, "SLOW 100 10")]
        server.limit_files(0)
        assert (await refusals(http, session_id))[1:] == [FULL] * 6
        server.kill()
    async with serving(home) as (server, http), anyio.create_task_group() as group:
        group.start_soon(reader.follow, http, session_id)
        await reader.until(1, b'"run.finished"')
        assert await examine_home(home, {session_id: reader.observed(told)}) == []
        assert reader.count(b'"run.retried"') == 1
        group.cancel_scope.cancel()
