"""Holding: how long the runner of a waiting run is kept in memory, and of how many at most.

A run that waits costs no slot, but its runner costs memory. One that waits too long is let go; the next
attempt of its run goes on from the effect ledger. There is a timer for each, and no task.
"""

import asyncio
from collections.abc import Callable

Forget = Callable[[str], None]


class Holding:
    """The waiting runs whose runners are kept here, the one that waits longest first."""

    def __init__(self, hold_s: float, most: int, let_go: Forget) -> None:
        self._hold_s = hold_s
        self._most = most
        self._let_go = let_go
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def waits(self, run_id: str) -> None:
        """The run waits from now on. If it waits already, its time goes on."""
        if run_id in self._timers:
            return
        loop = asyncio.get_running_loop()
        self._timers[run_id] = loop.call_later(self._hold_s, self._ring, run_id)
        while len(self._timers) > self._most:
            self._ring(next(iter(self._timers)))

    def goes_on(self, run_id: str) -> None:
        """The run waits no longer, or isn't held here."""
        timer = self._timers.pop(run_id, None)
        if timer is not None:
            timer.cancel()

    def _ring(self, run_id: str) -> None:
        self.goes_on(run_id)
        self._let_go(run_id)
