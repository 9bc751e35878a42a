"""The monkey: does to hosts and their database, one after another, what a seed says. Used by judgement."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import cycle
from typing import NamedTuple

import httpx

from tests.cluster.chaos.berths import SIGTERM_S, Berth, Fleet
from tests.cluster.servers import ADMIN_KEY
from tests.postgres.server import PostgresServer

Prank = Callable[["Monkey", Berth], Awaitable[None]]


class Deed(NamedTuple):
    """What was done, to whom, and when it began, in seconds since the beginning."""

    at: float
    what: str
    whom: str


class Monkey:
    """Plays pranks until its time is up; then all is as it was."""

    def __init__(self, seed: int, fleet: Fleet, lease_s: float, pranks: Sequence[str] = ()) -> None:
        self.draw = random.Random(seed)
        self.deeds: list[Deed] = []
        self.takeovers: list[float] = []
        """How long the others took to take the runs of one that was killed, in seconds."""
        self.faults: list[str] = []
        self._fleet = fleet
        self._lease_s = lease_s
        self._names = list(pranks) or list(PRANKS)
        if not isinstance(fleet.server, PostgresServer):
            self._names = [name for name in self._names if not name.startswith("postgres")]
        self._began = time.monotonic()

    async def play(self, seconds: float) -> None:
        """Play for about so long: each prank once, as far as there is time, then at random."""
        todo = self.draw.sample(self._names, len(self._names))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(self.draw.uniform(0.3, 1.0))
            name = todo.pop() if todo else self.draw.choice(self._names)
            await self._prank(name, self.draw.choice(self._fleet.berths))

    async def play_these(self, names: Iterable[str]) -> None:
        """Play these pranks in this order, on one host after the other."""
        for berth, name in zip(cycle(self._fleet.berths), names, strict=False):
            await self._prank(name, berth)
            await asyncio.sleep(0.5)

    async def _prank(self, name: str, berth: Berth) -> None:
        self.deeds.append(Deed(round(time.monotonic() - self._began, 1), name, berth.name))
        try:
            await PRANKS[name](self, berth)
        except AssertionError as error:
            self.faults.append(f"{name} of {berth.name}: {error}")
            await berth.killed()
            await berth.start()

    # --- pranks

    async def kill(self, berth: Berth) -> None:
        """kill -9 in the midst of a run, then a new process."""
        await self._fleet.held_by(berth.name, self._lease_s)
        await berth.killed()
        try:
            took = await self._fleet.lost_by(berth.name, 4 * self._lease_s)
        except TimeoutError:
            self.faults.append(f"Nobody took the runs of {berth.name} within {4 * self._lease_s:g} s.")
        else:
            self.takeovers += [] if took is None else [took]
        await berth.start()

    async def kill_and_start(self, berth: Berth) -> None:
        """kill -9, and a new process before anybody can have noticed."""
        await berth.killed()
        await berth.start()

    async def freeze(self, berth: Berth) -> None:
        """SIGSTOP for less or more than a lease, then SIGCONT."""
        berth.host.freeze()
        await asyncio.sleep(self._lease_s * self.draw.uniform(0.3, 2.5))
        berth.host.thaw()

    async def drain(self, berth: Berth) -> None:
        """Out of service by the API, then SIGTERM, then a new process."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        try:
            async with httpx.AsyncClient(base_url=berth.url, headers=headers, timeout=5) as http:
                answer = await http.post("/v1/drain", json={})
            if answer.status_code not in (202, 503):
                self.faults.append(f"drain of {berth.name}: {answer.status_code} {answer.text}")
        except httpx.TransportError as error:
            self.faults.append(f"drain of {berth.name}: {error!r}")
        await asyncio.sleep(self.draw.uniform(0, 1))
        await self.roll(berth)

    async def roll(self, berth: Berth) -> None:
        """SIGTERM, then a new process."""
        await berth.told_to_end()
        if berth.codes[-1] != 0 or berth.slow[-1] > SIGTERM_S:
            self.faults.append(f"{berth.name} ended with {berth.codes[-1]} after {berth.slow[-1]:.1f} s.")
        await berth.start()

    async def part(self, berth: Berth) -> None:
        """Nothing passes to or from the database, for less or more than a lease."""
        berth.line.stall()
        await asyncio.sleep(self._lease_s * self.draw.uniform(0.3, 2.5))
        berth.line.mend()

    async def cut(self, berth: Berth) -> None:
        """All connections to the database are reset."""
        berth.line.drop()

    async def sever(self, berth: Berth) -> None:
        """All connections to the database are refused for a while."""
        berth.line.cut()
        await asyncio.sleep(self._lease_s * self.draw.uniform(0.3, 1.5))
        berth.line.mend()

    async def part_all(self, _: Berth) -> None:
        """Nobody reaches the database, for longer than a lease."""
        for berth in self._fleet.berths:
            berth.line.stall()
        await asyncio.sleep(self._lease_s * self.draw.uniform(0.5, 2))
        for berth in self._fleet.berths:
            berth.line.mend()

    async def postgres_fast(self, _: Berth) -> None:
        """Postgres is restarted in order."""
        await asyncio.to_thread(self._own.restart, "fast")

    async def postgres_immediate(self, _: Berth) -> None:
        """Postgres is restarted without a checkpoint."""
        await asyncio.to_thread(self._own.restart, "immediate")

    async def postgres_kill(self, _: Berth) -> None:
        """kill -9 of Postgres and all its processes; it is away for up to a lease and a half."""
        await asyncio.to_thread(self._own.kill)
        await asyncio.sleep(self._lease_s * self.draw.uniform(0, 1.5))
        await asyncio.to_thread(self._own.start)

    @property
    def _own(self) -> PostgresServer:
        assert isinstance(self._fleet.server, PostgresServer)
        return self._fleet.server


PRANKS: dict[str, Prank] = {
    "kill": Monkey.kill,
    "kill_and_start": Monkey.kill_and_start,
    "freeze": Monkey.freeze,
    "drain": Monkey.drain,
    "roll": Monkey.roll,
    "part": Monkey.part,
    "cut": Monkey.cut,
    "sever": Monkey.sever,
    "part_all": Monkey.part_all,
    "postgres_fast": Monkey.postgres_fast,
    "postgres_immediate": Monkey.postgres_immediate,
    "postgres_kill": Monkey.postgres_kill,
}
