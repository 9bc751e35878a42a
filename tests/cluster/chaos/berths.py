"""The places of several hosts: each a process with a home and a line to Postgres, all of which can be harmed.

Used by the monkey, and by the journeys on outages.
"""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from tests.cluster.chaos.lines import Line, lines
from tests.cluster.odd import odd_program
from tests.cluster.servers import LEASE_S, HostProcess
from tests.postgres.fixtures import Database
from tests.postgres.server import Postgres

SIGTERM_S = 15.0
"""Within how many seconds a host has to end that was told to."""
TICK_S = 0.05
TELLING = odd_program("telling")

HELD = """
SELECT r.id FROM run r JOIN host h ON h.incarnation = r.owner
WHERE h.name = $1 AND r.state IN ('running', 'interrupting')
"""
STILL_HELD = """
SELECT count(*) FROM run r JOIN host h ON h.incarnation = r.owner
WHERE h.name = $1 AND h.incarnation = ANY ($2) AND r.id = ANY ($3) AND r.state IN ('running', 'interrupting')
"""
LIVES = "SELECT incarnation FROM host WHERE name = $1"


class Berth:
    """One place, and the host that is there now. Whatever waits for a process does so beside the loop."""

    def __init__(
        self, root: Path, number: int, url: str, line: Line, lease_s: float, program: Sequence[str]
    ) -> None:
        self.name = f"host{number}"
        self.line = line
        self._home = root / self.name / "home"
        self._url = url
        self._lease_s = lease_s
        self._program = program
        self._host: HostProcess | None = None
        self.codes: list[int] = []
        """With which codes its hosts ended that were told to end."""
        self.slow: list[float] = []
        """How long they took, in seconds."""

    @property
    def host(self) -> HostProcess:
        """The host that is there."""
        assert self._host is not None
        return self._host

    @property
    def url(self) -> str:
        """Where it answers, or did."""
        return self.host.url

    def begin(self) -> None:
        """Start a process; `answers` waits for it."""
        self._host = HostProcess(self._home, self._url, lease_s=self._lease_s, program=self._program)

    async def answers(self) -> None:
        """Wait until the host answers. Raises Died."""
        try:
            await asyncio.to_thread(self.host.ready)
        except AssertionError:
            self.host.process.send_signal(signal.SIGUSR1)  # it may tell what it waits for
            await asyncio.sleep(2)
            raise

    async def start(self) -> None:
        """Start a process that answers."""
        before = self._host
        self.begin()
        if before is not None:
            self.host.url = before.url
        await self.answers()

    async def killed(self) -> None:
        """kill -9."""
        await asyncio.to_thread(self.host.kill)

    async def told_to_end(self) -> None:
        """SIGTERM, and wait."""
        began = time.monotonic()
        self.host.process.send_signal(signal.SIGTERM)
        self.codes.append(await asyncio.to_thread(self.host.wait))
        self.slow.append(time.monotonic() - began)

    def close(self) -> None:
        """End whatever is there."""
        if self._host is not None:
            self._host.close()


class Fleet:
    """All places, and the database behind them."""

    def __init__(self, berths: Sequence[Berth], database: Database, server: Postgres) -> None:
        self.berths = berths
        self.database = database
        self.server = server

    def urls(self) -> list[str]:
        """Where hosts answer, or may."""
        return [berth.url for berth in self.berths]

    async def held_by(self, name: str, patience_s: float) -> bool:
        """Wait until a host holds a run, but not for long."""
        db = await asyncpg.connect(self.database.socket_url)
        try:
            async with asyncio.timeout(patience_s):
                while not await db.fetch(HELD, name):  # noqa: ASYNC110
                    await asyncio.sleep(TICK_S)
        except TimeoutError:
            return False
        finally:
            await db.close()
        return True

    async def lost_by(self, name: str, patience_s: float) -> float | None:
        """How long it took the others, from now on, to take what a host held; None if it held nothing.

        Raises TimeoutError if they didn't.
        """
        began = time.monotonic()
        db = await asyncpg.connect(self.database.socket_url)
        try:
            lives = [row[0] for row in await db.fetch(LIVES, name)]
            held = [row[0] for row in await db.fetch(HELD, name)]
            if not held:
                return None
            async with asyncio.timeout(patience_s):
                while await db.fetchval(STILL_HELD, name, lives, held):  # noqa: ASYNC110
                    await asyncio.sleep(TICK_S)
        finally:
            await db.close()
        return time.monotonic() - began


@asynccontextmanager
async def fleet(
    root: Path,
    database: Database,
    server: Postgres,
    count: int = 3,
    *,
    lease_s: float = LEASE_S,
    program: Sequence[str] = TELLING,
) -> AsyncGenerator[Fleet]:
    """So many hosts that answer, each with a line of its own to the database; all ended in any case."""
    async with AsyncExitStack() as stack:
        berths: list[Berth] = []
        for number, line in enumerate(stack.enter_context(lines(server.port, count))):
            url = server.url(database.name, port=line.port)
            berth = Berth(root, number, url, line, lease_s, program)
            stack.callback(berth.close)
            berth.begin()
            berths.append(berth)
        await asyncio.gather(*(berth.answers() for berth in berths))
        yield Fleet(berths, database, server)
