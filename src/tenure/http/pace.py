"""How fast one user may give commands. The front and the socket ask before each; nobody else counts."""

import math

from tenure.core.principal import Principal
from tenure.errors import Code, TenureError
from tenure.ports.clock import Clock

MINUTE = 60.0
FORGET_ABOVE = 10_000


class Pace:
    """A bucket for each user that holds `per_minute` commands and fills up steadily; None is no limit."""

    def __init__(self, per_minute: int | None, clock: Clock) -> None:
        self._most = per_minute
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, by: Principal) -> None:
        """Count one command of `by`. Raises TenureError `rate_limited` with `retry_after_s`."""
        if self._most is None:
            return
        now = self._clock.monotonic()
        left = self._left((by.tenant, by.user), now, self._most)
        if left < 1:
            raise _too_fast(self._most, left)
        self._buckets[by.tenant, by.user] = (left - 1, now)
        if len(self._buckets) > FORGET_ABOVE:
            self._forget(now, self._most)

    def taken(self) -> dict[tuple[str, str], int]:
        """How many commands of their minute users have given, by tenant and user."""
        if self._most is None:
            return {}
        now, most = self._clock.monotonic(), self._most
        return {who: math.ceil(most - self._left(who, now, most)) for who in self._buckets}

    def _left(self, who: tuple[str, str], now: float, most: int) -> float:
        left, then = self._buckets.get(who, (float(most), now))
        return min(float(most), left + (now - then) * most / MINUTE)

    def _forget(self, now: float, most: int) -> None:
        """Drop the buckets that are full again: forgetting them changes nothing."""
        self._buckets = {
            who: bucket for who, bucket in self._buckets.items() if self._left(who, now, most) < most
        }


def _too_fast(most: int, left: float) -> TenureError:
    wait = math.ceil((1 - left) * MINUTE / most) if most else int(MINUTE)
    return TenureError(
        Code.RATE_LIMITED,
        f"At most {most} commands a minute are taken from one user. Try again in {wait} s.",
        limit=most,
        retry_after_s=wait,
    )
