"""What a host counts. The metrics endpoint, the stats and the console read these same figures."""

from collections import Counter

import msgspec

from tenure.core.run import RunState


class Telemetry(msgspec.Struct):
    """Counts since the host started."""

    started: int = 0
    abandoned: int = 0
    finished: Counter[RunState] = msgspec.field(default_factory=Counter[RunState])
    requeued: int = 0
    requests: int = 0


def percentile(samples: tuple[float, ...], share: float) -> float:
    """The sample below which `share` of all lie; 0 if there are none."""
    if not samples:
        return 0.0
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
