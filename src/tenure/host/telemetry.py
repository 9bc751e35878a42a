"""What a host counts. The metrics endpoint, the stats and the console read these same figures."""

from collections import Counter, deque

import msgspec

from tenure.core.run import RunState


class Telemetry(msgspec.Struct):
    """Counts since the host started."""

    started: int = 0
    abandoned: int = 0
    finished: Counter[RunState] = msgspec.field(default_factory=Counter[RunState])
    requeued: int = 0
    requests: int = 0
    recalls: int = 0
    """Occurrences that were admitted."""
    lateness: deque[float] = msgspec.field(default_factory=lambda: deque[float](maxlen=1_000))
    """How late the latest recalls were that came on time, in seconds."""

    def late(self, seconds: float) -> None:
        """A recall that came on time came so late."""
        self.lateness.append(seconds)


def percentile(samples: tuple[float, ...], share: float) -> float:
    """The sample below which `share` of all lie; 0 if there are none."""
    if not samples:
        return 0.0
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
