"""Who follows a session right now: counted per user, kept awake, and let go when their key ends.

Every stream and socket takes a seat here. One shared sweep serves all seats; it runs only while there
are any, so an idle host has neither task nor timer for it. It never reads a journal.
"""

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from tenure.core.limits import Limits, full
from tenure.core.principal import Principal
from tenure.errors import TenureError
from tenure.host.fanout import Follower
from tenure.ports.clock import Clock
from tenure.ports.store import Store

SWEEP_S = 1.0

REVOKED = "revoked"


class Seat:
    """One open stream or socket. Its writer tells when it spoke; the sweep tells when it is silent."""

    def __init__(self, key_hash: bytes, user: tuple[str, str], now: float) -> None:
        self.key_hash = key_hash
        self.user = user
        self.spoke_at = now
        self.gone = False
        self.silent = False
        self._follower: Follower | None = None

    def listen(self, follower: Follower) -> None:
        """From now on, wake this follower when there is something to say besides events."""
        self._follower = follower

    def leave(self) -> None:
        """The client went away: its follower is woken to find out."""
        self.gone = True
        self._wake()

    def beat(self) -> None:
        """Nothing was sent for a while: the writer is woken to send a comment."""
        self.silent = True
        self._wake()

    def end(self, reason: str) -> None:
        """End the stream with `closed` and this reason."""
        if self._follower is not None:
            self._follower.end(reason)

    def _wake(self) -> None:
        if self._follower is not None:
            self._follower.wake()


class Audience:
    """All seats of one host."""

    def __init__(
        self, store: Store, clock: Clock, limits: Limits, heartbeat_s: float, recheck_s: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._most = limits.streams_per_user
        self._heartbeat_s = heartbeat_s
        self._recheck_s = recheck_s
        self._seats: set[Seat] = set()
        self._taken: Counter[tuple[str, str]] = Counter()
        self._checked_at = 0.0
        self._sweeping = False
        self._checking: asyncio.Task[None] | None = None

    @contextmanager
    def seat(self, by: Principal, key_hash: bytes) -> Generator[Seat]:
        """A seat while the stream is open. Raises TenureError `capacity` if the user has too many."""
        user = (by.tenant, by.user)
        if self._taken[user] >= self._most:
            raise full(
                "per_user", "open streams", self._most, self._taken[user], "Close one that isn't needed."
            )
        seat = Seat(key_hash, user, self._clock.monotonic())
        self._taken[user] += 1
        self._seats.add(seat)
        self._arm()
        try:
            yield seat
        finally:
            self._seats.discard(seat)
            self._taken[user] -= 1
            if not self._taken[user]:
                del self._taken[user]

    def taken(self) -> dict[tuple[str, str], int]:
        """How many seats each user has here, by tenant and user."""
        return dict(self._taken)

    def spoke(self, seat: Seat) -> None:
        """Something was sent to this seat just now."""
        seat.spoke_at = self._clock.monotonic()

    def _arm(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            every = min(SWEEP_S, self._heartbeat_s, self._recheck_s)
            asyncio.get_running_loop().call_later(every, self._sweep)

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        self._sweeping = False
        if self._seats:
            self._arm()  # first: whatever happens below, the next sweep comes
        for seat in self._seats:
            if now - seat.spoke_at >= self._heartbeat_s:
                seat.beat()
        if now - self._checked_at >= self._recheck_s and (self._checking is None or self._checking.done()):
            self._checked_at = now
            self._checking = asyncio.get_running_loop().create_task(self._let_go(), name="check of keys")

    async def _let_go(self) -> None:
        """End the streams whose key was revoked or has expired. A store that is away decides nothing."""
        for key_hash in {seat.key_hash for seat in self._seats}:
            try:
                valid = await self._store.principal(key_hash, self._clock.now()) is not None
            except TenureError:
                return
            if not valid:
                self._end_all(key_hash)

    def _end_all(self, key_hash: bytes) -> None:
        for seat in self._seats:
            if seat.key_hash == key_hash:
                seat.end(REVOKED)
