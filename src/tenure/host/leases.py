"""The lease of a host: how long this life of it may act without having been heard of.

It is renewed every third of its time. A host that can't renew it stops its own runs before another may take
them up, and one that was given up begins a new life. Where only one host can be there is nothing to renew.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from tenure.core.moment import SECOND, Micros
from tenure.errors import Code, TenureError
from tenure.host.tasks import Tasks
from tenure.ports.clock import Clock
from tenure.ports.hosts import HostCard
from tenure.ports.store import Lease, Store

T = TypeVar("T")
log = logging.getLogger("tenure.host")

MARGIN_S = 2.0
"""How long before the end of a lease its host stops its runs, in seconds; of a short lease a fifth."""

RETRY_S = 1.0
"""How long after a renewal that failed the next is tried, in seconds; with a short lease a twelfth of it."""

LEAVE_S = 1.0
"""How long a host that stops tries to say goodbye, in seconds. The others will find out."""


def margin(lease_s: float) -> float:
    """How long before the end of its lease a host starts nothing any more, in seconds."""
    return min(MARGIN_S, lease_s / 5)


def _nobody() -> None:
    """There are no other hosts to be told."""


class Standing(StrEnum):
    """How a host stands with its lease."""

    HELD = "held"
    LAPSED = "lapsed"
    """Its time is all but up, or it stood still: its runs are stopped, and it goes on in a new life."""
    GONE = "gone"
    """This life is over; the next one hasn't begun."""


class Heard(NamedTuple):
    """A renewal that succeeded: when it was asked for by the host's clock, and what the store's said."""

    asked: float
    told: Micros


class Life(Protocol):
    """What begins and ends with each life of a host."""

    def begin(self, lease: Lease) -> None:
        """Take runs, and hold them under `lease`."""
        ...

    def halt(self) -> None:
        """Take no more runs, stop those that are held, and let nothing of them count any more."""
        ...

    async def halted(self, patience_s: float) -> None:
        """Wait until what they still had to say has arrived, or was refused."""
        ...

    def take_up(self, lease: Lease) -> None:
        """Put the runs of lives that are over back into the queue, soon."""
        ...


class Leases:
    """The lease of this host, from one life to the next."""

    def __init__(self, *, store: Store, clock: Clock, tasks: Tasks, card: HostCard, life: Life) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._card = card
        self._life = life
        self.tell: Callable[[], None] = _nobody
        """Lets the other hosts know that one came or went."""
        self._lease: Lease | None = None
        self._standing = Standing.GONE
        self._until = 0.0
        self._since = 0.0
        """Since when it has been renewed without a break."""
        self._contact = 0.0
        """When the latest request was made that the store answered."""
        self._heard: Heard | None = None
        self._failing = False
        self._stood_still = False
        self._draining = False
        self._woken = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._giving_up: asyncio.Task[None] | None = None

    # --- what others ask

    @property
    def lease(self) -> Lease | None:
        """The lease of this life; None between two lives."""
        return self._lease

    def firm(self) -> bool:
        """Whether this life may begin anything now: nobody else can have taken over its runs."""
        if self._standing is not Standing.HELD:
            return False
        return self._store.alone or self._clock.monotonic() < self._until

    def left_s(self) -> float | None:
        """How long the lease lasts if it isn't renewed, in seconds; None where it lasts for ever."""
        if self._store.alone:
            return None
        return max(0.0, self._until + margin(self._card.lease_s) - self._clock.monotonic())

    def store_now(self) -> Micros:
        """What time it is by the store's clock, as far as it is known here."""
        if self._heard is None:
            return self._clock.now()
        return Micros(self._heard.told + round((self._clock.monotonic() - self._heard.asked) * SECOND))

    def trouble(self) -> TenureError | None:
        """Why this host should get no requests now; None if it should."""
        if self._store.alone:
            return None
        silent_s = self._clock.monotonic() - self._contact
        if self._failing or (self._standing is Standing.HELD and silent_s > self._card.lease_s / 2):
            return TenureError(
                Code.STORE_UNAVAILABLE,
                f"The store hasn't answered this host for {silent_s:.0f} s. It goes on when it is back.",
            )
        if self._standing is not Standing.HELD:
            return TenureError(
                Code.FENCED, "The host lost its lease and begins anew. Ask again, or ask another host."
            )
        return None

    # --- its life

    async def join(self) -> Lease:
        """Begin a life. Raises TenureError `store_unavailable`."""
        asked = self._clock.monotonic()
        lease = await self._store.join(self._clock.now(), self._card)
        self._lease, self._standing, self._stood_still = lease, Standing.HELD, False
        self._since, self._contact, self._heard = asked, asked, None
        self._hold(asked)
        self.tell()
        return lease

    def open(self) -> None:
        """Renew from now on."""
        if not self._store.alone:
            self._tasks.spawn(self._loop(), "lease")

    def look(self) -> None:
        """Another host came or went, or an act was told that this life is over: see how it stands now."""
        self._woken.set()

    def drain(self) -> None:
        """Let the other hosts know that this one takes no more runs."""
        self._draining = True
        self._woken.set()

    async def leave(self) -> None:
        """Say goodbye, if that is quickly done."""
        self._disarm()
        lease, self._lease = self._lease, None
        self._standing = Standing.GONE
        if lease is None or not self._store.healthy():
            return
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._store.leave(lease, self._clock.now())
            self.tell()
        except (TimeoutError, TenureError) as error:
            log.info("The host left without goodbye; its runs are taken up all the same.", exc_info=error)

    async def _loop(self) -> None:
        # The first at once: it also tells what time it is by the store's clock.
        pause_s = 0.0
        while True:
            await self._pause(pause_s)
            pause_s = await self._step()

    async def _pause(self, seconds: float) -> None:
        timer = asyncio.get_running_loop().call_later(seconds, self._woken.set)
        await self._woken.wait()
        timer.cancel()
        self._woken.clear()

    async def _step(self) -> float:
        """Renew, or begin anew. Returns after how many seconds to do so again."""
        lease_s, began = self._card.lease_s, self._clock.monotonic()
        self._check()
        try:
            await (self._begin_anew() if self._lease is None else self._renew(self._lease))
        except TenureError as error:
            if error.code is Code.FENCED:
                self._lose()
                return 0.0
            if not self._failing:
                log.warning("The lease can't be renewed: %s", error.detail)
            self._failing = True
            return min(RETRY_S, lease_s / 12)
        # Counted from when it was asked for: a store that answers slowly takes none of the lease's time.
        return max(0.0, began + lease_s / 3 - self._clock.monotonic())

    async def _renew(self, lease: Lease) -> None:
        asked = self._clock.monotonic()
        told = await self._in_time(
            self._store.hosts.renew(lease, self._clock.now(), draining=self._draining), self._card.lease_s / 3
        )
        broken = self._failing or self._is_broken(Heard(asked, told))
        self._failing, self._contact, self._heard = False, asked, Heard(asked, told)
        if self._standing is Standing.LAPSED:
            await self._start_over(lease)
            return
        self._hold(asked)
        if broken:
            self._since = asked
        elif asked - self._since >= self._card.lease_s:
            # Whoever is alive has renewed meanwhile: an outage of the store costs nobody his life.
            self._see_to_others(lease)
            return
        self._life.take_up(lease)

    def _see_to_others(self, lease: Lease) -> None:
        """Give up who wasn't heard of, beside the renewals: their rows may have to be waited for."""
        if self._giving_up is None or self._giving_up.done():
            self._giving_up = self._tasks.spawn(self._give_up(lease), "giving up hosts")

    async def _give_up(self, lease: Lease) -> None:
        given_up = self._store.hosts.give_up(lease, self._clock.now())
        try:
            if await self._in_time(given_up, self._card.lease_s):
                self.tell()
        except TenureError as error:
            # That is tried again with the next renewal, and says nothing of this host's own lease.
            log.info("Who wasn't heard of can't be given up now: %s", error.detail)
        if self._lease is lease:
            self._life.take_up(lease)

    def _is_broken(self, now: Heard) -> bool:
        """Whether this host wasn't heard of for a while, or the store's clock was set."""
        before, slack = self._heard, self._card.lease_s / 2
        if before is None:
            return False
        passed_s = now.asked - before.asked
        return passed_s > slack or abs((now.told - before.told) / SECOND - passed_s) > slack

    async def _start_over(self, lease: Lease) -> None:
        """End a life whose runs were stopped, in good order, and begin another: they go on from there.

        Runs that an outage stopped keep their attempts; a host that stood still may do so because of one of
        them, so theirs count.
        """
        await self._life.halted(self._card.lease_s / 2)
        await self._in_time(
            self._store.leave(lease, self._clock.now(), lost=self._stood_still), self._card.lease_s
        )
        self._lease, self._standing = None, Standing.GONE
        await self._begin_anew()

    async def _begin_anew(self) -> None:
        """Join again. Nothing of the old life is left by then."""
        await self._life.halted(self._card.lease_s / 2)
        if self._draining:
            # It takes no more runs, so it needs no life for them.
            return
        lease = await self._in_time(self.join(), self._card.lease_s)
        self._failing = False
        log.warning("The host goes on as host life %d.", lease.incarnation)
        self._life.begin(lease)
        self._life.take_up(lease)

    async def _in_time(self, act: Awaitable[T], patience_s: float) -> T:
        try:
            async with asyncio.timeout(patience_s):
                return await act
        except TimeoutError:
            raise TenureError(
                Code.STORE_UNAVAILABLE, f"The store didn't answer within {patience_s:.1f} s."
            ) from None

    # --- its end

    def _hold(self, asked: float) -> None:
        """The lease lasts its time from when it was asked for."""
        self._until = asked + self._card.lease_s - margin(self._card.lease_s)
        self._disarm()
        if not self._store.alone:
            wait_s = self._until - self._clock.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wait_s), self._check)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """If the time is up, stop everything. Who looks late stood still meanwhile."""
        late_s = self._clock.monotonic() - self._until
        if self._standing is not Standing.HELD or late_s < 0:
            return
        self._standing = Standing.LAPSED
        self._stood_still = late_s > self._card.lease_s / 20
        log.warning("The lease of host life %d couldn't be renewed in time: its runs are stopped.", self._no)
        self._life.halt()
        self._woken.set()

    def _lose(self) -> None:
        """This life was given up: others go on with its runs."""
        log.warning("Host life %d was given up by another host: its runs go on elsewhere.", self._no)
        self._disarm()
        self._lease, self._standing, self._failing = None, Standing.GONE, False
        self._life.halt()

    @property
    def _no(self) -> int:
        return 0 if self._lease is None else self._lease.incarnation
