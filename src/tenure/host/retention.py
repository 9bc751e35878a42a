"""Retention: what is older than the operator wants to keep is taken off the journals, now and then.

The recovery loop asks; there is no loop of its own, and without a setting nothing ever goes.
"""

from tenure.core.moment import SECOND, Micros
from tenure.ports.clock import Clock
from tenure.ports.store import Store

EVERY_S = 3_600.0
FIRST_S = 1.0
"""A host is up before it looks for the first time, however much there is to retire."""

DAY = 86_400 * SECOND


class Retention:
    """Keeps journals for `days`; None is for ever."""

    def __init__(self, store: Store, clock: Clock, days: float | None) -> None:
        self._store = store
        self._clock = clock
        self._days = days
        self._next = clock.monotonic() + FIRST_S

    async def sweep(self) -> int:
        """Retire what is too old, at most once in EVERY_S. Returns how many entries went."""
        if self._days is None or self._clock.monotonic() < self._next:
            return 0
        self._next = self._clock.monotonic() + EVERY_S
        before = Micros(self._clock.now() - round(self._days * DAY))
        return await self._store.limits.retire(before)
