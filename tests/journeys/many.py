"""Many sessions with agents at once, and what they leave behind: `python -m tests.journeys.many [COUNT]`."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
import httpx

from benchmarks.machine import NOTE, cpu_seconds, resident_bytes, tree
from tests.crash.agents import House
from tests.crash.server import Server
from tests.models.server import models_aside

USERS = 4
BOUND_S = 120.0
IDLE_S = 0.5
"""How long a server is watched that does nothing, in seconds."""


class Weight(NamedTuple):
    """What a server holds on to: tasks of its loop, open files, threads, processes below it."""

    tasks: int
    files: int
    threads: int
    children: int
    zombies: int

    @property
    def sum(self) -> int:
        """Everything together, to tell the least of several readings."""
        return sum(self)


class Crowd:
    """A server, and several people with many sessions on it."""

    def __init__(self, server: Server, note: Path, people: Sequence[str]) -> None:
        self.server = server
        self._note = note
        self._people = people
        self.sessions: dict[str, list[tuple[str, str]]] = {}

    @property
    def pid(self) -> int:
        """The server's process."""
        return self.server.process.pid

    def http(self, key: str) -> httpx.AsyncClient:
        """A client of one person."""
        limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(base_url=self.server.url, headers=headers, timeout=BOUND_S, limits=limits)

    async def open(self, agent: str, count: int) -> None:
        """Open so many sessions with an agent, shared among all people."""
        self.sessions[agent] = []
        for number in range(count):
            key = self._people[number % len(self._people)]
            async with self.http(key) as http:
                made = await http.post("/v1/sessions", json={"agent": agent})
            self.sessions[agent].append((key, made.json()["id"]))

    async def all_say(self, agent: str, text: str) -> list[str]:
        """Say something in all sessions of an agent at once: how the runs ended."""
        clients = {key: self.http(key) for key in self._people}
        try:
            async with asyncio.timeout(BOUND_S):
                return await asyncio.gather(
                    *(_said(clients[key], session, text) for key, session in self.sessions[agent])
                )
        finally:
            for client in clients.values():
                await client.aclose()

    async def weigh(self) -> Weight:
        """What the server holds on to once it has tidied the last connections away."""
        return min([await self._weighed() for _ in range(20)], key=lambda weight: weight.sum)

    async def settled(self, fits: Callable[[Weight], bool]) -> Weight:
        """Weigh until it fits, or for a good while in vain."""
        weight = await self.weigh()
        with anyio.move_on_after(20):
            while not fits(weight):
                weight = await self.weigh()
        return weight

    async def _weighed(self) -> Weight:
        os.kill(self.pid, signal.SIGUSR2)
        async with asyncio.timeout(BOUND_S):
            while not self._note.exists():  # noqa: ASYNC110 (the server tells by a file)
                await asyncio.sleep(0.01)
        tasks = int(self._note.read_text())
        self._note.unlink()
        process = Path(f"/proc/{self.pid}")
        states = _states_below(self.pid)
        files, threads = len([*(process / "fd").iterdir()]), len([*(process / "task").iterdir()])
        return Weight(tasks, files, threads, len(states), states.count("Z"))

    async def idle_cpu(self) -> float:
        """Seconds of CPU that the server and its programs use in a while in which nobody asks anything."""
        before = self._cpu()
        await asyncio.sleep(IDLE_S)
        return self._cpu() - before

    def _cpu(self) -> float:
        return cpu_seconds(tree(self.pid))


async def _said(http: httpx.AsyncClient, session: str, text: str) -> str:
    sent = await http.post(f"/v1/sessions/{session}/messages", json={"content": text})
    assert sent.status_code == 202, sent.text
    while True:
        message = await http.get(f"/v1/sessions/{session}/messages/{sent.json()['message_id']}")
        if outcome := message.json()["outcome"]:
            return outcome
        await asyncio.sleep(0.1)


def _states_below(pid: int) -> list[str]:
    """The states of the children of a process, Z of those that nobody has buried."""
    found: list[str] = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            except (OSError, ProcessLookupError):
                continue
            if int(parent) == pid:
                found.append(state)
    return found


@asynccontextmanager
async def a_crowd(
    folder: Path, models: str, agents: Sequence[str], users: int = USERS
) -> AsyncGenerator[Crowd]:
    """A server with agents, and people who have keys."""
    house, note = House(folder, models, agents), folder / "tasks"
    env = {
        NOTE: str(note),
        "TENURE_LIMITS__LIVE_RUNS": "1000",
        "TENURE_LIMITS__LIVE_RUNS_PER_USER": "1000",
        "TENURE_LIMITS__HELD_RUNS": "1000",
    }
    server = house.server(env=env, program=(sys.executable, "-m", "benchmarks.watched")).ready()
    try:
        headers = {"Authorization": f"Bearer {server.key}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
            asks = [{"user": f"u{number}", "role": "member"} for number in range(users)]
            keys = [(await http.post("/v1/keys", json=ask)).json()["key"] for ask in asks]
        yield Crowd(server, note, keys)
        assert server.terminate() == 0
        await house.no_orphans()
    finally:
        house.close()


async def main(count: int) -> None:
    """Tell what so many sessions with each agent cost."""
    with tempfile.TemporaryDirectory() as name, models_aside() as models:
        async with a_crowd(Path(name), models.v1, ("acp", "desk")) as crowd:
            print("empty   ", await crowd.weigh(), _megabytes(crowd.pid))  # noqa: T201
            for agent, text in (("acp", "SLOW 5 20"), ("desk", "SLOW 5 20")):
                await crowd.open(agent, count)
                for turn in range(3):
                    before, began = tree(crowd.pid), time.monotonic()
                    used = cpu_seconds([crowd.pid])
                    ends = await crowd.all_say(agent, text)
                    took, used = time.monotonic() - began, cpu_seconds([crowd.pid]) - used
                    assert ends == ["completed"] * count, ends
                    print(  # noqa: T201
                        f"{agent} {turn}: {count} at once in {took:.1f} s, "
                        f"{used / count * 1e3:.1f} ms CPU each,",
                        f"{len(tree(crowd.pid)) - len(before)} more processes;",
                        await crowd.weigh(),
                        _megabytes(crowd.pid),
                        flush=True,
                    )
            print("idle CPU:", [round(await crowd.idle_cpu() / IDLE_S * 100, 1) for _ in range(8)])  # noqa: T201
            print("programs:", [_megabytes(pid) for pid in tree(crowd.pid)[1:]])  # noqa: T201


def _megabytes(pid: int) -> str:
    return f"{resident_bytes([pid]) / 2**20:.0f} MiB"


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
