"""Named places in the code that a test may wait for, or die at. In production they do nothing."""

from enum import StrEnum
from typing import Protocol


class Landmark(StrEnum):
    """Each commit, publication and spawn has one before it and one after it."""

    BATCH_BEGUN = "batch.begun"
    COMMIT_BEFORE = "commit.before"
    COMMIT_AFTER = "commit.after"
    DELIVERY_BEFORE = "delivery.before"
    DELIVERY_AFTER = "delivery.after"
    RUN_SPAWNING = "run.spawning"
    RUN_SPAWNED = "run.spawned"
    RUN_SETTLING = "run.settling"
    RUN_SETTLED = "run.settled"
    CALL_BEFORE = "call.before"
    CALL_AFTER = "call.after"
    REAP_BEFORE = "reap.before"
    REAP_AFTER = "reap.after"


class Landmarks(Protocol):
    """Whoever wants to know that a landmark was passed."""

    def passed(self, landmark: Landmark) -> None:
        """Called each time. Must not raise."""
        ...


class NoLandmarks:
    """The production implementation: nobody is told."""

    def passed(self, landmark: Landmark) -> None:
        """Do nothing."""
