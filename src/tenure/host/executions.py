"""All executions of a host: each from its start to its settlement, and the events that steer them.

A stop reaches a run as an event of its journal, so it doesn't matter which host took the command.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from tenure.core.entry import Entry
from tenure.core.event import RunFinished, RunInterrupting
from tenure.core.grant import Descriptor
from tenure.core.output import Output, Verdict, failed
from tenure.core.run import RUN, RunState
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Catalogue
from tenure.host.context import Attempt
from tenure.host.execution import Execution
from tenure.host.journal import RunJournal
from tenure.host.settlement import Settlements
from tenure.host.stopping import Stopping
from tenure.host.tasks import Tasks
from tenure.host.telemetry import Telemetry
from tenure.ports.clock import Clock, Ids
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.runner import RunContext, Runner
from tenure.ports.store import Append, Block, Lease, Start, Store, Wake

log = logging.getLogger("tenure.host")

LINGER_S = 5.0
RELEASE_S = 5.0


class Executions:
    """The runs that this host holds."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: Ids,
        catalogue: Catalogue,
        settlements: Settlements,
        tasks: Tasks,
        telemetry: Telemetry,
        landmarks: Landmarks,
        follow: Callable[[Wake], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._catalogue = catalogue
        self._settlements = settlements
        self._tasks = tasks
        self._telemetry = telemetry
        self._landmarks = landmarks
        self._follow = follow
        self._live: dict[str, Execution] = {}
        self._lease: Lease | None = None
        self._draining = False

    def __len__(self) -> int:
        return len(self._live)

    def open(self, lease: Lease) -> None:
        """Runs are held under `lease` from now on."""
        self._lease = lease

    def execute(self, starts: Sequence[Start]) -> None:
        """Begin the runs that were claimed for this host."""
        for start in starts:
            self._landmarks.passed(Landmark.RUN_SPAWNING)
            self._tasks.spawn(self._drive(start), f"run {start.run_id}")
            self._landmarks.passed(Landmark.RUN_SPAWNED)

    # --- events that steer

    def deliver(self, block: Block) -> None:
        """Look for what concerns a live run in a committed block."""
        for entry in block.entries:
            if type(entry.event) is RunInterrupting or type(entry.event) is RunFinished:
                self._steer(entry)

    def _steer(self, entry: Entry) -> None:
        execution = self._live.get(entry.run_id or "")
        if execution is None:
            return
        if isinstance(entry.event, RunInterrupting):
            if execution.stopping is not None:
                execution.stopping.stop(force=entry.event.force)
        else:
            execution.conclude(None)

    # --- one run

    async def _drive(self, start: Start) -> None:
        lease = self._lease
        if lease is None:
            return
        execution, pump = self._begin(start, lease)
        try:
            verdict = await execution.outcome
            await self._end(lease, execution, verdict)
        finally:
            self._live.pop(start.run_id, None)
            execution.gone.set_result(None)
        if verdict is None:
            pump.cancel()
        await self._linger(execution, pump)

    async def _end(self, lease: Lease, execution: Execution, verdict: Verdict | None) -> None:
        if execution.stopping is not None:
            execution.stopping.disarm()
        if verdict is not None:
            await self._settle(lease, execution, verdict)
        elif execution.releasing:
            await self._release(lease, execution)

    def _begin(self, start: Start, lease: Lease) -> tuple[Execution, asyncio.Task[None]]:
        runner = self._runner(start.agent)
        context = Attempt(start, self._store)
        journal = RunJournal(self._store, lease, start.run_id, partial(self._lost, start.run_id))
        execution = Execution(start, runner or _Missing(), context, journal, self._clock, self._ids)
        pump = self._tasks.spawn(execution.pump(), f"runner of {start.run_id}")
        execution.stopping = Stopping(
            context,
            pump,
            expire=partial(self._expire, lease, start.run_id),
            abandon=execution.abandon,
        )
        execution.stopping.arm(start.grant.deadline_s, start.grant.idle_s)
        self._live[start.run_id] = execution
        self._telemetry.started += 1
        self._catch_up(execution)
        return execution, pump

    def _runner(self, agent: str) -> Runner | None:
        try:
            return self._catalogue.agent(agent).runner
        except TenureError:
            return None

    def _catch_up(self, execution: Execution) -> None:
        """What happened to the run between its commit and this moment was delivered to nobody."""
        state = self._store.run_state(execution.start.run_id)
        if state is RunState.INTERRUPTING and execution.stopping is not None:
            execution.stopping.stop(force=False)
        elif state is None or state in RUN.terminal:
            execution.conclude(None)
        if self._draining:
            execution.releasing = True
            execution.conclude(None)

    def _lost(self, run_id: str, error: BaseException) -> None:
        """The store refused the run's output: the run isn't ours any more, or the store has a fault."""
        execution = self._live.get(run_id)
        if execution is None:
            return
        if isinstance(error, TenureError) and error.code is Code.FENCED:
            execution.conclude(None)
            return
        log.error("The output of %s could not be stored.", run_id, exc_info=error)
        execution.conclude(failed("journal_failed"))

    def _expire(self, lease: Lease, run_id: str, reason: str) -> None:
        self._tasks.spawn(self._expired(lease, run_id, reason), f"deadline of {run_id}")

    async def _expired(self, lease: Lease, run_id: str, reason: str) -> None:
        try:
            await self._store.expire(lease, run_id, self._clock.now(), reason)
        except TenureError as error:
            if error.code is not Code.FENCED:
                self._expire_later(lease, run_id, reason)

    def _expire_later(self, lease: Lease, run_id: str, reason: str) -> None:
        """The store can't take it now; the time is up all the same."""
        if run_id in self._live:
            loop = asyncio.get_running_loop()
            loop.call_later(1.0, self._expire, lease, run_id, reason)

    async def _settle(self, lease: Lease, execution: Execution, verdict: Verdict) -> None:
        await execution.land()
        conclusion = execution.conclusion(verdict)
        settled = await self._settlements.settle(
            lease, execution.start, conclusion, takes_next=not self._draining
        )
        self._live.pop(execution.start.run_id, None)
        if settled is not None:
            self._telemetry.finished[settled.status] += 1
            self._follow(settled.wake)

    async def _release(self, lease: Lease, execution: Execution) -> None:
        await execution.land()
        start, rest = execution.start, execution.rest()
        try:
            if rest:
                await self._store.append(lease, Append(start.run_id, rest))
            await self._store.release(lease, start.run_id, self._clock.now(), "drain")
        except TenureError as error:
            # What can't be released now is taken up by the next life of this host.
            if error.code not in (Code.FENCED, Code.STORE_FULL, Code.STORE_UNAVAILABLE):
                raise

    async def _linger(self, execution: Execution, pump: asyncio.Task[None]) -> None:
        """Let the runner come to its own end; what it says now is noted as late."""
        if not pump.done():
            await asyncio.wait({pump}, timeout=LINGER_S)
        if not pump.done():
            pump.cancel()
            self._telemetry.abandoned += 1
            await asyncio.wait({pump})
        if execution.late:
            await self._settlements.note_late(execution.start, execution.late)

    # --- leaving

    async def drain(self) -> None:
        """Let every run go at its next output, at the latest after RELEASE_S, as its next attempt."""
        self._draining = True
        live = list(self._live.values())
        for execution in live:
            execution.releasing = True
        if live:
            await asyncio.wait([e.outcome for e in live], timeout=RELEASE_S)
        for execution in list(self._live.values()):
            execution.conclude(None)
        if live:
            await asyncio.wait([e.gone for e in live], timeout=RELEASE_S)


class _Missing:
    """Stands in for the runner of an agent that this host doesn't have any more."""

    descriptor = Descriptor(runner="missing")

    async def run(self, context: RunContext) -> AsyncIterator[Output]:
        """Fail, and say why."""
        yield failed("unknown_agent")
