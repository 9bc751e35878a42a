"""What only real connections show: keep-alive after a stream, drops, chunked bodies, real sockets."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.http.served import Address, a_server

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"
WAIT_S = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Address]:
    """One real server for all tests of this file."""
    with a_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
async def client(server: Address, anyio_backend: str) -> AsyncGenerator[httpx.AsyncClient]:
    """The bootstrap admin, with one connection."""
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        base_url=server.url, headers=server.bearer, limits=limits, timeout=WAIT_S
    ) as client:
        yield client


async def opened(client: httpx.AsyncClient) -> str:
    """A new session."""
    made = await client.post("/v1/sessions", json={"agent": "scripted"})
    return made.json()["id"]


async def until(fact: Callable[[], bool]) -> None:
    """Wait for a fact that another thread makes true."""
    loop = asyncio.get_running_loop()
    holds = loop.create_future()

    def look() -> None:
        if fact():
            holds.set_result(None)
        elif not holds.done():
            loop.call_soon(look)

    look()
    await asyncio.wait_for(holds, WAIT_S)


async def test_the_connection_lives_on_after_a_streamed_answer(client: httpx.AsyncClient) -> None:
    session = await opened(client)
    ports: set[Any] = set()
    for _ in range(3):
        headers = {"Accept": "text/event-stream"}
        async with client.stream(
            "POST", f"/v1/sessions/{session}/messages", json={"content": "SAY x"}, headers=headers
        ) as response:
            text = "".join([part async for part in response.aiter_text()])
            ports.add(response.extensions["network_stream"].get_extra_info("client_addr"))
        assert text.startswith("event: receipt\ndata: ")
        assert text.endswith('event: closed\ndata: {"reason":"settled"}\n\n')

    assert len(ports) == 1


async def test_a_dropped_connection_is_noticed_at_once(server: Address, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    request = (
        f"GET /v1/sessions/{session}/events HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {server.key}\r\nAccept: text/event-stream\r\n\r\n"
    )
    writer.write(request.encode())
    await asyncio.wait_for(reader.readuntil(b"up_to_date"), WAIT_S)
    host = server.wired.host
    assert host.fanout.streams == 1

    began = time.monotonic()
    writer.transport.abort()
    await until(lambda: host.fanout.streams == 0)

    assert time.monotonic() - began < 1


@pytest.mark.sources("A15", "D-N8")
async def test_a_reader_that_reads_nothing_holds_up_nobody(
    server: Address, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    stuck = socket.create_connection((server.host, server.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = (
        f"GET /v1/sessions/{session}/events HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {server.key}\r\nAccept: text/event-stream\r\n\r\n"
    )
    stuck.sendall(request.encode())
    await until(lambda: server.wired.host.fanout.streams == 1)

    headers = {"Accept": "text/event-stream"}
    body = {"content": "BURST 5000 1000"}
    async with client.stream(
        "POST", f"/v1/sessions/{session}/messages", json=body, headers=headers
    ) as response:
        text = "".join([part async for part in response.aiter_text()])

    assert text.count("\nid: ") + text.startswith("id: ") == text.count('\ndata: {"seq":')
    assert text.endswith('{"reason":"settled"}\n\n')
    stuck.close()
    await until(lambda: server.wired.host.fanout.streams == 0)
    assert server.wired.host.fanout.streams == 0


async def test_a_chunked_body_that_grows_too_large_is_refused(client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncGenerator[bytes]:
        yield b'{"content": "'
        for _ in range(20):
            yield b"x" * 100_000

    session = await opened(client)
    response = await client.post(f"/v1/sessions/{session}/messages", content=parts())

    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert (await client.get("/healthz")).status_code == 200


@asynccontextmanager
async def a_socket(server: Address, session: str, **how: Any) -> AsyncGenerator[Any]:
    """A real WebSocket on a session."""
    url = f"ws://{server.host}:{server.port}/v1/sessions/{session}/socket"
    how = {"additional_headers": server.bearer, **how}
    async with connect(url, open_timeout=WAIT_S, **how) as wire:
        yield wire


async def test_a_real_socket_follows_and_commands(server: Address, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    async with a_socket(server, session) as wire:
        await wire.send(json.dumps({"id": 1, "command": "send", "body": {"content": "SAY x"}}))
        seen: list[Any] = []
        async with asyncio.timeout(WAIT_S):
            while not seen or seen[-1].get("type") != "run.finished":
                seen.append(json.loads(await wire.recv()))

    journal = (await client.get(f"/v1/sessions/{session}/events")).json()["data"]
    assert [frame for frame in seen if "seq" in frame and "status" not in frame] == journal
    assert [frame["status"] for frame in seen if "status" in frame] == [202]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Authorization": "Bearer tnr_wrong"}, 401), ({"Origin": "http://evil.example"}, 403)],
)
async def test_a_refused_socket_gets_a_problem(
    server: Address, client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    session = await opened(client)

    with pytest.raises(InvalidStatus) as refused:
        async with a_socket(server, session, additional_headers={**server.bearer, **headers}):
            pass

    response = refused.value.response
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(response.body or b"")["status"] == status


async def test_a_socket_that_drops_is_noticed(server: Address, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    async with a_socket(server, session) as wire:
        await asyncio.wait_for(wire.recv(), WAIT_S)
        wire.transport.abort()

    await until(lambda: server.wired.host.fanout.streams == 0)
    assert server.wired.host.fanout.streams == 0
