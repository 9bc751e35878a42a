"""Claims: which waiting runs this host starts.

It is woken when there is a backlog. With other hosts beside it, it takes its share of the runs at most, and
looks now and then by itself: a hint may be lost, and what others leave must not wait for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tenure.errors import Code, TenureError
from tenure.host.tasks import Tasks
from tenure.ports.clock import Clock
from tenure.ports.hosts import HostRow
from tenure.ports.store import Lease, Start, Store, Wake

T = TypeVar("T")

AT_ONCE = 64
RETRY_S = 1.0
"""How long after a full disk the host tries to claim again, in seconds."""

POLL_S = 1.5
"""How often a host with others beside it looks for runs that nobody took, in seconds."""

_PASSING = (Code.STORE_FULL, Code.STORE_UNAVAILABLE)


class Claims:
    """Takes runs that wait for a slot, and hands them to `execute`."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        tasks: Tasks,
        slots: int,
        execute: Callable[[Sequence[Start]], None],
        busy: Callable[[], int],
        firm: Callable[[], bool],
        doubt: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._slots = slots
        self._execute = execute
        self._taken = busy
        self._firm = firm
        self._doubt = doubt
        self._lease: Lease | None = None
        self._busy = False
        self._again = False
        self._left_over = False
        self._polling: asyncio.Task[None] | None = None
        self.tell: Callable[[], None] = _nobody
        """Tells other hosts that runs wait, if there are any."""

    @property
    def lease(self) -> Lease | None:
        """This host's lease while it takes runs, else None."""
        return self._lease if self._lease is not None and self._firm() else None

    @property
    def free(self) -> Lease | None:
        """The same while it has a free slot: what is admitted then may start here at once."""
        lease = self.lease
        return lease if lease is not None and self._taken() < self._slots else None

    def open(self, lease: Lease) -> None:
        """Take runs from now on."""
        self._lease = lease
        if self._polling is None and not self._store.alone:
            self._polling = self._tasks.spawn(self._poll(), "poll for runs")

    def close(self) -> None:
        """Take no more runs."""
        self._lease = None

    async def offering(self, act: Callable[[Lease | None], Awaitable[T]]) -> T:
        """Do an act that may start a run here. If this life of the host is over, another host starts it."""
        lease = self.free
        try:
            return await act(lease)
        except TenureError as error:
            if lease is None or error.code is not Code.FENCED:
                raise
        self._lost(lease)
        return await act(None)

    def follow(self, wake: Wake) -> None:
        """Do what an act left to do: execute its starts, and look for more if runs wait."""
        if wake.starts:
            self._execute(wake.starts)
        if wake.backlog:
            self.wake()
            self.tell()

    def wake(self) -> None:
        """There may be runs to claim."""
        self._again = True
        if not self._busy and self._lease is not None:
            self._busy = True
            self._tasks.spawn(self._claim(), "claims")

    def _lost(self, lease: Lease) -> None:
        """An act was told that this life of the host is over."""
        if self._lease is lease:
            self._lease = None
        self._doubt()

    async def _poll(self) -> None:
        waited = False
        while True:
            await asyncio.sleep(POLL_S)
            waits = self.lease is not None and await self._waits()
            if waits:
                # The others have looked too since the last time: what still waits, they leave.
                self._left_over = waited
                self.wake()
            waited = waits

    async def _waits(self) -> bool:
        try:
            return await self._store.hosts.queued() > 0
        except TenureError:
            # The store is away; the next look comes soon.
            return False

    async def _claim(self) -> None:
        try:
            while self._again and (lease := self.lease) is not None:
                self._again = False
                await self._round(lease)
        except TenureError as error:
            if error.code not in _PASSING:
                raise
            asyncio.get_running_loop().call_later(RETRY_S, self.wake)
        finally:
            self._busy = False

    async def _round(self, lease: Lease) -> None:
        room = await self._room(lease)
        if room <= 0 or self.lease is not lease:
            return
        try:
            wake = await self._store.claim(lease, room, self._clock.now())
        except TenureError as error:
            if error.code is not Code.FENCED:
                raise
            self._lost(lease)
            return
        self._execute(wake.starts)
        self._again = self._again or (bool(wake.starts) and wake.backlog > 0)

    async def _room(self, lease: Lease) -> int:
        """How many runs to take now: as many as slots are free, and this host's share at most.

        What was left over for others and still waits goes to whoever looks first.
        """
        free = min(AT_ONCE, self._slots - self._taken())
        left_over, self._left_over = self._left_over, False
        if free <= 0 or left_over or self._store.alone:
            return free
        queued = await self._store.hosts.queued()
        if not queued:
            return 0
        return min(free, fair_share(await self._store.hosts.all(), queued, lease.incarnation))


def _nobody() -> None:
    """There are no other hosts."""


def fair_share(hosts: Sequence[HostRow], queued: int, incarnation: int) -> int:
    """How many more runs a host takes if all with a free slot are to have as many, rounded up."""
    able = [host for host in hosts if not host.draining and host.live_runs < host.slots]
    own = next((host.live_runs for host in able if host.incarnation == incarnation), None)
    if own is None:
        return queued
    each = -(-(sum(host.live_runs for host in able) + queued) // len(able))
    return max(0, each - own)
