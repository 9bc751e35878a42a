"""Recovery: a loop, not a start-up step. Runs that nobody holds are taken up again, the deleted are freed.

One loop per host, whatever the number of sessions; it sleeps until it is woken or SWEEP_S have passed.
"""

import asyncio
from collections.abc import Callable

from tenure.errors import Code, TenureError
from tenure.host.claims import Claims
from tenure.host.files import Files
from tenure.host.retention import Retention
from tenure.host.tasks import Tasks
from tenure.host.telemetry import Telemetry
from tenure.ports.clock import Clock
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.store import Lease, Store, Wake

SWEEP_S = 60.0
_PASSING = (Code.STORE_FULL, Code.STORE_UNAVAILABLE)


class Recovery:
    """Puts right what a dead host, a full disk or a lost hint left behind."""

    def __init__(
        self,
        *,
        store: Store,
        files: Files,
        retention: Retention,
        clock: Clock,
        claims: Claims,
        tasks: Tasks,
        telemetry: Telemetry,
        landmarks: Landmarks,
    ) -> None:
        self._store = store
        self._files = files
        self._retention = retention
        self._clock = clock
        self._claims = claims
        self._tasks = tasks
        self._telemetry = telemetry
        self._landmarks = landmarks
        self._woken = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    def open(self, lease: Callable[[], Lease | None]) -> None:
        """Begin the loop. It rests while the host has no lease."""
        self._tasks.spawn(self._loop(lease), "recovery")
        self._tasks.spawn(self._files.sweep(), "sweep of files")

    def wake(self) -> None:
        """There may be something to put right."""
        self._woken.set()

    async def _loop(self, held: Callable[[], Lease | None]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(SWEEP_S, self._woken.set)
            await self._woken.wait()
            timer.cancel()
            self._woken.clear()
            lease = held()
            if lease is None:
                continue
            try:
                await self.sweep(lease)
            except TenureError as error:
                if error.code not in _PASSING:
                    raise

    async def sweep(self, lease: Lease) -> None:
        """Look once for runs without a host, and for rows without a session."""
        await self.take_up(lease)
        await self._retention.sweep()
        freed = 1
        while freed:
            freed = await self._store.purge(self._clock.now())
        await self._files.clear()
        while await self._store.index_words():
            pass

    def look(self, lease: Lease) -> None:
        """A host may be gone: take up its runs soon."""
        if self._looking is None or self._looking.done():
            self._looking = self._tasks.spawn(self._look(lease), "taking up runs")

    async def _look(self, lease: Lease) -> None:
        try:
            await self.take_up(lease)
        except TenureError as error:
            if error.code not in _PASSING:
                raise

    async def take_up(self, lease: Lease) -> None:
        """Put runs without a host back into the queue, or end them."""
        self._landmarks.passed(Landmark.REAP_BEFORE)
        reaped = await self._store.reap(lease, self._clock.now())
        self._landmarks.passed(Landmark.REAP_AFTER)
        self._telemetry.requeued += reaped.requeued
        if reaped.requeued or reaped.backlog:
            # Hosts that have room hear of it.
            self._claims.follow(Wake(backlog=reaped.requeued + reaped.backlog))
