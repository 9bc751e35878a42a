"""kill -9 while state is written: what was acknowledged is there, and no increment was made twice."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.crash.server import Server, examine_home

pytestmark = pytest.mark.anyio

WRITERS = 4
ENOUGH = 200
"""Acknowledged increments after which the server is killed in the midst of more."""


class Counter:
    """Several clients that increment one value by compare-and-set, until the server is gone."""

    def __init__(self, server: Server) -> None:
        headers = {"Authorization": f"Bearer {server.key}"}
        self._http = httpx.AsyncClient(base_url=server.url, headers=headers)
        self.path = ""
        self.acknowledged: list[int] = []
        self.enough = asyncio.Event()

    async def open(self) -> None:
        """Make the value."""
        made = await self._http.post("/v1/sessions", json={"agent": "scripted"})
        self.path = f"/v1/sessions/{made.json()['id']}/state/conversation/count"
        kept = await self._http.put(self.path, json={"value": 0})
        assert kept.status_code == 200

    async def increment_for_ever(self) -> None:
        """One client."""
        while True:
            now = (await self._http.get(self.path)).json()
            tag = {"If-Match": f'"{now["version"]}"'}
            answer = await self._http.put(self.path, json={"value": now["value"] + 1}, headers=tag)
            if answer.status_code == 200:
                self.acknowledged.append(answer.json()["value"])
            if len(self.acknowledged) == ENOUGH:
                self.enough.set()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


@pytest.mark.sources("D-S7", "D-S10", "P1")
async def test_a_server_that_is_killed_loses_no_acknowledged_write(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = Server(home).ready()
    counter = Counter(server)
    await counter.open()
    writers = [asyncio.create_task(counter.increment_for_ever()) for _ in range(WRITERS)]
    await asyncio.wait_for(counter.enough.wait(), 30)
    server.kill()
    ended = await asyncio.wait_for(asyncio.gather(*writers, return_exceptions=True), 30)
    await counter.close()

    assert all(isinstance(end, httpx.TransportError) for end in ended)
    assert await examine_home(home, {}) == []
    again = Server(home).ready()
    async with httpx.AsyncClient(base_url=again.url) as http:
        kept = (await http.get(counter.path, headers={"Authorization": f"Bearer {again.key}"})).json()
    assert again.terminate() == 0
    known = counter.acknowledged
    assert sorted(set(known)) == sorted(known) == list(range(1, len(known) + 1))
    assert len(known) <= kept["value"] <= len(known) + WRITERS
    assert kept["version"] == kept["value"] + 1
