"""What runners keep for themselves: one checkpoint a run, which nobody else reads.

A runner that goes on after an answer finds its run again in it; one that speaks to an agent elsewhere finds
how that agent knows the session. The journal never holds it: deleting the session frees it.
"""

from typing import NamedTuple, Protocol

from tenure.ports.acts import Lease
from tenure.ports.effects import Caller

MOST_CHECKPOINT = 8 * 1024 * 1024
"""How many bytes a checkpoint may have."""


class Asked(NamedTuple):
    """How often exactly this call was asked for, and its outcome known, when a checkpoint was made."""

    tool: str
    own: bool
    digest: str
    times: int


class Checkpoint(NamedTuple):
    """What a runner left of a run."""

    run_id: str
    data: bytes


class CheckpointActs(Protocol):
    """The checkpoints of a store."""

    async def save(self, lease: Lease, caller: Caller, data: bytes, asked: tuple[Asked, ...]) -> None:
        """Keep `data` for the run, in place of what it left before.

        Raises TenureError `fenced` for whoever doesn't hold the run in that attempt.
        """
        ...

    async def asked(self, run_id: str) -> tuple[Asked, ...]:
        """The calls that the run's last checkpoint knows the outcome of. Empty if there is none."""
        ...

    async def of_run(self, session_id: str, run_id: str) -> bytes | None:
        """What a run of the session left, or one that the session was forked off after."""
        ...

    async def latest(self, session_id: str) -> Checkpoint | None:
        """What the newest run of the session itself left that left anything."""
        ...
