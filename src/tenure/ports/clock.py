"""Time, identity and chance, all injected: a simulation moves the first and seeds the others."""

from typing import Protocol

from tenure.core.moment import Micros


class Clock(Protocol):
    """Two clocks. Only `monotonic` decides time-outs; `now` is information."""

    def now(self) -> Micros:
        """Wall time in microseconds since 1970 UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        ...


class Ids(Protocol):
    """Where ids and secrets come from."""

    def new(self, prefix: str) -> str:
        """A fresh id: `prefix` and 32 hex digits that nobody can guess."""
        ...

    def secret(self) -> str:
        """43 characters that carry 256 random bits."""
        ...
