"""Settlement: a run's one outcome, in one transaction, whatever became of its task.

It runs in a task of its own, which nothing but the end of the process cancels. If the store has no space
or is away it tries again until that is over; if the run was ended by someone else meanwhile, there is
nothing left to do.
"""

import asyncio
import logging

from tenure.core.entry import Entry, entry
from tenure.core.event import RunnerWarning
from tenure.core.ids import RUN
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.host.execution import Conclusion
from tenure.ports.clock import Clock, Ids
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.store import Lease, Settled, Settlement, Start, Store

log = logging.getLogger("tenure.host")

FIRST_RETRY_S, LAST_RETRY_S = 0.25, 5.0
_PASSING = (Code.STORE_FULL, Code.STORE_UNAVAILABLE)

_UNSAID = {
    RunState.FAILED: "failed_by_runner",
    RunState.CANCELLED: "cancelled_by_runner",
    RunState.TIMED_OUT: "timed_out_by_runner",
}
"""Reasons of runs whose runners gave none: every end but `completed` has one."""


def _nothing(status: RunState) -> tuple[Entry, ...]:
    """No last entries."""
    return ()


class Settlements:
    """Settles the runs of one host."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, landmarks: Landmarks) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._landmarks = landmarks

    async def settle(
        self, lease: Lease, start: Start, conclusion: Conclusion, *, takes_next: bool
    ) -> Settled | None:
        """Give the run its outcome. None if it isn't this host's any more."""
        settlement = Settlement(
            run_id=start.run_id,
            at=self._clock.now(),
            verdict=conclusion.verdict.status,
            reason=conclusion.verdict.reason or _UNSAID.get(conclusion.verdict.status, ""),
            retryable=conclusion.verdict.retryable,
            usage=conclusion.assembly.usage,
            final=conclusion.final,
            next_run_id=self._ids.new(RUN),
            takes_next=takes_next,
        )
        self._landmarks.passed(Landmark.RUN_SETTLING)
        settled = await self._surely(lease, settlement)
        self._landmarks.passed(Landmark.RUN_SETTLED)
        return settled

    async def _surely(self, lease: Lease, settlement: Settlement) -> Settled | None:
        """Settle; if that meets a fault, settle as failed with nothing but the end, so that it has one."""
        try:
            return await self._until_written(lease, settlement)
        except (TenureError, RuntimeError, TypeError, ValueError, LookupError) as fault:
            log.error("The run %s could not be settled as it ended.", settlement.run_id, exc_info=fault)
        bare = settlement._replace(
            verdict=RunState.FAILED, reason="settlement_failed", usage=(), final=_nothing
        )
        return await self._until_written(lease, bare)

    async def _until_written(self, lease: Lease, settlement: Settlement) -> Settled | None:
        pause = FIRST_RETRY_S
        while True:
            try:
                return await self._store.settle(lease, settlement)
            except TenureError as error:
                if error.code is Code.FENCED:
                    return None
                if error.code not in _PASSING:
                    raise
            await asyncio.sleep(pause)
            pause = min(LAST_RETRY_S, pause * 2)

    async def note_late(self, start: Start, details: list[str]) -> None:
        """Journal what a runner said after its run had ended."""
        at = self._clock.now()
        entries = [
            entry(at, RunnerWarning(code="late_result", detail=detail), start.run_id) for detail in details
        ]
        try:
            await self._store.note(start.session_id, entries)
        except TenureError as error:
            # Nothing waits for these warnings, so a full disk costs them and nothing else.
            if error.code not in _PASSING:
                raise
            log.warning("There was no space to note %d late outputs of %s.", len(details), start.run_id)
