"""A real server with agents in programs of their own: whatever becomes of it, none of them is left."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.crash.server import Server
from tests.runners.acp.processes import AGENT, a_mark, marked, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are listed by /proc"),
]

PROMPT = 'DETACH\nASK terminal/create {"command": "sleep 301"}\nSLOW 1000 100'
"""The agent starts a process that leaves its group, and has the host start a command in a terminal."""


class Live:
    """A run in the middle of its work, and the session it is in."""

    def __init__(self, server: Server, http: httpx.AsyncClient, session: str) -> None:
        self.server = server
        self.http = http
        self.session = session

    async def killed(self) -> None:
        self.server.kill()

    async def stopped(self) -> None:
        assert self.server.terminate() == 0

    async def deleted(self) -> None:
        assert (await self.http.delete(f"/v1/sessions/{self.session}")).is_success


@asynccontextmanager
async def working(home: Path, mark: str) -> AsyncGenerator[Live]:
    """A server whose agent is in the middle of a run, with a daemon and a terminal."""
    home.mkdir()
    command = json.dumps([sys.executable, "-S", AGENT])
    (home / "tenure.toml").write_text(
        f'[agents.scripted-acp]\nrunner = "acp"\ncommand = {command}\nenv = {{ MARK = "{mark}" }}\n'
    )
    server = Server(home).ready()
    headers = {"Authorization": f"Bearer {server.key}"}
    try:
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as http:
            made = await http.post("/v1/sessions", json={"agent": "scripted-acp"})
            session = made.json()["id"]
            sent = await http.post(f"/v1/sessions/{session}/messages", json={"content": PROMPT})
            assert sent.is_success, sent.text
            await until(lambda: {"sleep 300", "sleep 301"} <= {line.strip() for line in marked(mark)})
            yield Live(server, http, session)
    finally:
        server.close()


@pytest.mark.parametrize("end", [Live.killed, Live.stopped, Live.deleted])
async def test_no_process_of_an_agent_is_left(tmp_path: Path, end: Callable[[Live], Awaitable[None]]) -> None:
    mark = a_mark()
    async with working(tmp_path / "home", mark) as live:
        assert len(marked(mark)) > 1, "a daemon and a terminal live beside the agent"
        await end(live)
        await until(lambda: marked(mark) == [])


def called(mark: str, name: str) -> list[int]:
    """What `pkill -f name` would kill, of the processes with `mark` in their environment."""
    found: list[int] = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and mark.encode() in (process / "environ").read_bytes():
                found += [int(process.name)] * (name.encode() in (process / "cmdline").read_bytes())
    return found


async def test_whoever_kills_an_agent_by_its_name_leaves_nothing_behind(tmp_path: Path) -> None:
    mark = a_mark()
    async with working(tmp_path / "home", mark):
        [agent] = called(mark, AGENT)
        assert len(marked(mark)) > 1, "a daemon and a terminal live beside it"
        os.kill(agent, signal.SIGKILL)
        await until(lambda: marked(mark) == [])
