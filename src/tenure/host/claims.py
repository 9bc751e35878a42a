"""Claims: which waiting runs this host starts. It is woken when there is a backlog, and never polls."""

import asyncio
from collections.abc import Callable, Sequence

from tenure.core.limits import Limits
from tenure.errors import Code, TenureError
from tenure.host.tasks import Tasks
from tenure.ports.clock import Clock
from tenure.ports.store import Lease, Start, Store, Wake

AT_ONCE = 64
RETRY_S = 1.0
"""How long after a full disk the host tries to claim again, in seconds."""


class Claims:
    """Takes runs that wait for a slot, and hands them to `execute`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        tasks: Tasks,
        limits: Limits,
        execute: Callable[[Sequence[Start]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._limits = limits
        self._execute = execute
        self._lease: Lease | None = None
        self._busy = False
        self._again = False

    @property
    def lease(self) -> Lease | None:
        """This host's lease while it takes runs, else None."""
        return self._lease

    def open(self, lease: Lease) -> None:
        """Take runs from now on."""
        self._lease = lease

    def close(self) -> None:
        """Take no more runs."""
        self._lease = None

    def follow(self, wake: Wake) -> None:
        """Do what an act left to do: execute its starts, and look for more if runs wait."""
        if wake.starts:
            self._execute(wake.starts)
        if wake.backlog:
            self.wake()

    def wake(self) -> None:
        """There may be runs to claim."""
        self._again = True
        if not self._busy and self._lease is not None:
            self._busy = True
            self._tasks.spawn(self._claim(), "claims")

    async def _claim(self) -> None:
        try:
            while self._again and self._lease is not None:
                self._again = False
                wake = await self._store.claim(self._lease, AT_ONCE, self._clock.now())
                self._execute(wake.starts)
                self._again = self._again or (bool(wake.starts) and wake.backlog > 0)
        except TenureError as error:
            if error.code not in (Code.STORE_FULL, Code.STORE_UNAVAILABLE):
                raise
            asyncio.get_running_loop().call_later(RETRY_S, self.wake)
        finally:
            self._busy = False
