"""A client that doesn't read what it is sent: cut off, and able to go on where it was."""

import asyncio
import socket
import sys
from pathlib import Path

import httpx
import pytest

from tenure.cli.server import listen
from tests.http.served import Address, a_server

pytestmark = pytest.mark.anyio

WAIT_S = 15.0
LOUD = "BURST 12000 1000"
"""A message whose answer fits into no buffer between server and client."""


def stuck_at_the_start(server: Address, session: str) -> socket.socket:
    """A connection that asks for all events and never reads one."""
    connection = socket.create_connection((server.host, server.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.sendall(
        f"GET /v1/sessions/{session}/events HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {server.key}\r\nAccept: text/event-stream\r\n\r\n".encode()
    )
    return connection


async def until_streams(server: Address, count: int) -> None:
    """Wait until so many streams are open."""
    loop = asyncio.get_running_loop()
    there = loop.create_future()

    def look() -> None:
        if server.wired.host.fanout.streams == count:
            there.set_result(None)
        elif not there.done():
            loop.call_later(0.01, look)

    look()
    await asyncio.wait_for(there, WAIT_S)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux cuts a connection that stalls.")
@pytest.mark.sources("A15", "D-N8", "D-M8")
async def test_client_that_stalls_is_cut_off_while_others_get_everything_and_can_resume(
    tmp_path: Path,
) -> None:
    with a_server(tmp_path, listen("127.0.0.1", 0, stalled_s=1.0)) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.bearer, timeout=WAIT_S) as client:
            session = (await client.post("/v1/sessions", json={"agent": "scripted"})).json()["id"]
            with stuck_at_the_start(server, session):
                await until_streams(server, 1)
                body, accept = {"content": LOUD}, {"Accept": "text/event-stream"}
                answer = await client.post(f"/v1/sessions/{session}/messages", json=body, headers=accept)
                await until_streams(server, 0)

            seen, head = 6_000, 6_001
            while seen < head:
                page = (await client.get(f"/v1/sessions/{session}/events?after={seen}&limit=1000")).json()
                numbers, head = [event["seq"] for event in page["data"]], page["head_seq"]
                assert numbers == list(range(seen + 1, seen + 1 + len(numbers)))
                seen = numbers[-1]

        assert answer.text.count('"type":"message.delta"') == 12_000
