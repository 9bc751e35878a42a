"""For how long something is tried, and how long is waited in between. Used by the lane."""

import asyncio
from time import monotonic

FIRST_S = 0.01
LONGEST_S = 0.4
RACE_S = 0.004
GOLDEN = 0.618_033_988_749_895


class Spread:
    """Shares of one that lie far apart, so that nobody who waits meets the same others again.

    Each host begins elsewhere, by a number that no other has; chance has no part in it.
    """

    def __init__(self) -> None:
        self._at = 0.0

    def begin(self, number: int) -> None:
        """Begin where this number says."""
        self._at = number * GOLDEN % 1.0

    def next(self) -> float:
        """The next share, from 0 to 1."""
        self._at = (self._at + GOLDEN) % 1.0
        return self._at


class Patience:
    """How long one thing is tried: `seconds` from now on."""

    def __init__(self, spread: Spread, seconds: float) -> None:
        self._spread = spread
        self._until = monotonic() + seconds
        self._tries = 0

    @property
    def left(self) -> float:
        """Seconds that are left, at least a moment."""
        return max(self._until - monotonic(), FIRST_S)

    @property
    def over(self) -> bool:
        """Whether it was tried long enough."""
        return monotonic() >= self._until

    async def pause(self) -> None:
        """Wait a moment until the next try, each time for longer."""
        longest = min(FIRST_S * 2**self._tries, LONGEST_S)
        self._tries = min(self._tries + 1, 10)
        await asyncio.sleep(min(longest * (0.5 + self._spread.next() / 2), self.left))

    async def step_aside(self, races: int) -> None:
        """Let others go first, after so many lost races."""
        await asyncio.sleep(RACE_S * 2**races * self._spread.next())
