"""Signals over Postgres: NOTIFY tells the others, LISTEN hears them. The wiring opens one for each host.

Nothing is sent in a transaction of data: Postgres lets one transaction at a time pass that notifies. What
comes while one text is on its way goes with the next, over a connection that doesn't wait for the disk.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from asyncpg import Connection, connect
from asyncpg.exceptions import InterfaceError, InternalClientError, PostgresError

from tenure.errors import ConfigError
from tenure.ports.signals import Hint
from tenure.signals.gathering import sum_of
from tenure.signals.payload import heard, payloads

if TYPE_CHECKING:
    from asyncpg import Record

CHANNEL = "tenure"
PROBE_S = 5.0
"""How long the first notification may take to come back, in seconds, before LISTEN is held to be cut off."""

LOOK_S = 10.0
"""How often a silent connection is asked whether it still stands, in seconds."""

PATIENCE_S = 5.0
"""How long an answer of the database may take, in seconds."""

FAREWELL_S = 0.5
"""How long the last words may take, in seconds."""

MOST_WAITING = 10_000
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
LOST = (OSError, TimeoutError, PostgresError, InterfaceError, InternalClientError)
_NOTIFY = "SELECT pg_notify('tenure', t) FROM unnest(CAST($1 AS text[])) AS t"

log = logging.getLogger("tenure.signals")


class PostgresSignals:
    """One host's way to the others of its database, by two connections of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._own = uuid4().hex
        self._listener: Callable[[Hint], None] = _deaf
        self._waiting: list[Hint] = []
        self._woken = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._probed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def hint(self, hint: Hint) -> None:
        if self._tasks:
            self._waiting.append(hint)
            self._woken.set()
            self._quiet.clear()
            if len(self._waiting) > MOST_WAITING:
                # The database is away. Lost hints cost latency only, memory costs more.
                self._waiting.clear()

    def listen(self, listener: Callable[[Hint], None]) -> None:
        self._listener = listener

    async def open(self) -> None:
        """Begin to listen. Raises ConfigError where notifications don't come through.

        A database that is away is waited for in the background.
        """
        listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        loops = (self._keep_listening(listening), self._keep_sending())
        self._tasks = [asyncio.ensure_future(loop) for loop in loops]
        await asyncio.wait([listening], timeout=PROBE_S)
        if not listening.done():
            listening.cancel()
            return
        try:
            await self._probe()
        except LOST:
            return
        except ConfigError:
            await self.close()
            raise

    async def close(self) -> None:
        if self._tasks and not self._quiet.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), FAREWELL_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    async def _connect(self, **settings: str) -> "Connection[Record]":
        given = {"application_name": "tenure signals", **settings}
        return await connect(self._url, timeout=PATIENCE_S, command_timeout=PATIENCE_S, server_settings=given)

    # --- hearing

    async def _keep_listening(self, listening: "asyncio.Future[None]") -> None:
        """Listen, and do so again on another connection when one is lost."""
        pause, again = FIRST_PAUSE_S, False
        while True:
            try:
                db = await self._connect()
                try:
                    lost = await self._attend(db)
                    if not listening.done():
                        listening.set_result(None)
                    if again:
                        # What was said meanwhile was said to nobody.
                        self._listener(Hint(missed=True))
                    pause, again = FIRST_PAUSE_S, True
                    await self._stand_by(db, lost)
                finally:
                    db.terminate()
            except LOST as error:
                log.debug("Nothing is heard from the other hosts for now: %s", error)
            await asyncio.sleep(pause)
            pause, again = min(2 * pause, LONGEST_PAUSE_S), True

    async def _attend(self, db: "Connection[Record]") -> asyncio.Event:
        """Listen on a connection. Returns what is set when it is lost."""
        lost = asyncio.Event()

        def receive(_db: object, _pid: int, _channel: str, text: object) -> None:
            self._receive(str(text))

        def end(_db: object) -> None:
            lost.set()

        db.add_termination_listener(end)
        await db.add_listener(CHANNEL, receive)
        return lost

    async def _stand_by(self, db: "Connection[Record]", lost: asyncio.Event) -> None:
        """Return once the connection is lost. One that only seems to stand raises what it fails with."""
        while not lost.is_set():
            try:
                await asyncio.wait_for(lost.wait(), LOOK_S)
            except TimeoutError:
                await db.fetchval("SELECT 1")

    def _receive(self, text: str) -> None:
        if text == self._own:
            self._probed.set()
            return
        hint = heard(self._own, text)
        if hint is not None:
            self._listener(hint)

    async def _probe(self) -> None:
        """Send oneself a word. Raises ConfigError if it doesn't come, one of LOST if it can't be sent."""
        db = await self._connect()
        try:
            await db.execute(_NOTIFY, [self._own])
            await asyncio.wait_for(self._probed.wait(), PROBE_S)
        except TimeoutError:
            raise ConfigError(
                "Notifications of Postgres don't come through, so hosts can't hear each other. A pooler that "
                "hands out connections by transaction cuts them off: give --store the server's own address."
            ) from None
        finally:
            db.terminate()

    # --- telling

    async def _keep_sending(self) -> None:
        """Send what waits, on one connection after the other. What a lost one took with it stays lost."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                db = await self._connect(synchronous_commit="off")
                try:
                    await self._send(db)
                    pause = FIRST_PAUSE_S
                    while True:
                        await self._send(db)
                finally:
                    db.terminate()
            except LOST as error:
                log.debug("The other hosts can't be told for now: %s", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _send(self, db: "Connection[Record]") -> None:
        """Wait until there is something to tell, and tell it."""
        await self._woken.wait()
        self._woken.clear()
        waiting, self._waiting = self._waiting, []
        await db.execute(_NOTIFY, list(payloads(self._own, sum_of(waiting))))
        if not self._waiting:
            self._quiet.set()


def _deaf(hint: Hint) -> None:
    """Nobody listens as yet: a hint may be lost."""
