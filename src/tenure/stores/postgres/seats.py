"""Seats: a host's connections, each opened when it is needed, again if it was lost. Used by the lane."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

from asyncpg import Connection, Record

from tenure.stores.postgres.faults import FAULTS, Away, gone
from tenure.stores.postgres.pace import Spread

if TYPE_CHECKING:
    Db = Connection[Record]

Connect: TypeAlias = "Callable[[], Awaitable[Db]]"
"""How a connection is opened."""

MARK = "INSERT INTO mark DEFAULT VALUES RETURNING seat"
"""A new seat's row: it tells afterwards which of the seat's transactions were committed."""


class Contact:
    """When the database last answered, and whether it does."""

    def __init__(self) -> None:
        self._last = monotonic()
        self.failing = False
        """Whether it didn't answer when it was last asked."""

    def heard(self) -> None:
        """It answered."""
        self._last = monotonic()
        self.failing = False

    def missed(self) -> None:
        """It didn't."""
        self.failing = True

    @property
    def silent_s(self) -> float:
        """Seconds since it last answered."""
        return monotonic() - self._last


class Seat:
    """One connection. Each transaction that writes through it gets a number, counted from one."""

    __slots__ = ("db", "marks", "number")

    def __init__(self, db: "Db", number: int) -> None:
        self.db = db
        self.number = number
        self.marks = 0

    def mark(self) -> int:
        """The number of the next transaction."""
        self.marks += 1
        return self.marks


class Seats:
    """At most so many connections, lent to one user at a time."""

    def __init__(self, connect: Connect, most: int, contact: Contact, spread: Spread | None = None) -> None:
        self._connect = connect
        self._turns = asyncio.Semaphore(most)
        self._contact = contact
        self._spread = spread
        self._free: list[Seat] = []
        self._lent: set[Seat] = set()

    @asynccontextmanager
    async def lent(self, within_s: float) -> AsyncGenerator[Seat]:
        """A seat to use, waited for at most so long. Raises Away, also for what happens while it is used."""
        await self._turn(within_s)
        try:
            seat = self._found() or await self._opened()
            self._lent.add(seat)
            try:
                yield seat
            except FAULTS as fault:
                self._judge(seat, fault)
                raise
            except asyncio.CancelledError:
                seat.db.terminate()
                raise
            finally:
                self._give_back(seat)
        finally:
            self._turns.release()

    async def close(self, within_s: float) -> None:
        """Let all connections go, in good order where the database answers in time."""
        free, self._free = self._free, []
        await asyncio.gather(*(seat.db.close(timeout=within_s) for seat in free), return_exceptions=True)
        for seat in (*free, *self._lent):
            seat.db.terminate()

    async def _turn(self, within_s: float) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            async with asyncio.timeout(within_s):
                await self._turns.acquire()
        except TimeoutError:
            raise Away("all connections are busy") from None

    def _found(self) -> Seat | None:
        while self._free:
            seat = self._free.pop()
            if not seat.db.is_closed():
                return seat
        return None

    async def _opened(self) -> Seat:
        try:
            db = await self._connect()
        except FAULTS as fault:
            self._contact.missed()
            raise Away(_told(fault)) from fault
        try:
            number = int(await db.fetchval(MARK)) if self._spread is not None else 0
        except asyncio.CancelledError:
            db.terminate()
            raise
        except FAULTS as fault:
            db.terminate()
            self._contact.missed()
            raise Away(_told(fault)) from fault
        if self._spread is not None:
            self._spread.begin(number)
        return Seat(db, number)

    def _judge(self, seat: Seat, fault: Exception) -> None:
        """Keep a connection that only refused something; raise Away for one that is of no more use."""
        if gone(fault) or seat.db.is_closed():
            seat.db.terminate()
            self._contact.missed()
            raise Away(_told(fault)) from fault
        if seat.db.is_in_transaction():
            seat.db.terminate()

    def _give_back(self, seat: Seat) -> None:
        self._lent.discard(seat)
        if not seat.db.is_closed():
            self._free.append(seat)
            self._contact.heard()


def _told(fault: Exception) -> str:
    """What a fault says of itself; some say nothing."""
    return str(fault) or type(fault).__name__
