"""The system's clock and source of ids, for every host that isn't simulated."""

import secrets
import sys
import time
from collections import deque

from tenure.core.moment import Micros

DRAWN = 256

BOOTTIME: int = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC
"""The clock that nobody sets and that goes on while the machine sleeps; macOS counts its sleep anyway."""


class SystemClock:
    """The machine's two clocks."""

    def now(self) -> Micros:
        return Micros(time.time_ns() // 1_000)

    def monotonic(self) -> float:
        # The other one stands still while the machine sleeps, and a lease doesn't.
        return time.clock_gettime(BOOTTIME)


class RandomIds:
    """Ids and secrets from the system's source of randomness."""

    def __init__(self) -> None:
        self._fresh: deque[str] = deque()

    def new(self, prefix: str) -> str:
        while True:
            try:
                return prefix + self._fresh.popleft()
            except IndexError:
                self._draw()

    def _draw(self) -> None:
        """Draw many at once: asking the system costs more than an id. Threads may draw side by side."""
        drawn = secrets.token_hex(16 * DRAWN)
        self._fresh.extend(drawn[i : i + 32] for i in range(0, len(drawn), 32))

    def secret(self) -> str:
        return secrets.token_urlsafe(32)
