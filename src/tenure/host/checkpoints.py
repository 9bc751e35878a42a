"""The checkpoints of one attempt: what its runner keeps of the run for itself, and finds again."""

from collections.abc import Awaitable, Callable

from tenure.errors import Code, TenureError
from tenure.ports.acts import Lease, Start
from tenure.ports.checkpoints import MOST_CHECKPOINT, Asked, Checkpoint, CheckpointActs
from tenure.ports.clock import Clock
from tenure.ports.effects import Caller


class RunCheckpoints:
    """What a runner keeps of its runs."""

    def __init__(
        self,
        acts: CheckpointActs,
        start: Start,
        lease: Lease,
        known: Callable[[], tuple[Asked, ...]],
        clock: Clock,
        sent: Callable[[], Awaitable[None]],
    ) -> None:
        self._acts = acts
        self._start = start
        self._lease = lease
        self._known = known
        self._clock = clock
        self._sent = sent

    async def save(self, data: bytes) -> None:
        if len(data) > MOST_CHECKPOINT:
            raise TenureError(
                Code.TOO_LARGE,
                f"The checkpoint of {self._start.run_id} has {len(data)} bytes; at most "
                f"{MOST_CHECKPOINT} are kept. Leave out what the transcript or a file holds.",
                limit=MOST_CHECKPOINT,
            )
        known = self._known()
        # What the run said before this moment stands in the journal first: what it knows, people can see.
        await self._sent()
        caller = Caller(self._start.run_id, self._start.attempt, self._clock.now())
        await self._acts.save(self._lease, caller, bytes(data), known)

    async def load(self, run_id: str | None = None) -> bytes | None:
        return await self._acts.of_run(self._start.session_id, run_id or self._start.run_id)

    async def latest(self) -> Checkpoint | None:
        return await self._acts.latest(self._start.session_id)
