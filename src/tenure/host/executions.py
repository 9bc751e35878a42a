"""All executions of a host: each from its start to its settlement, and the events that steer them.

A stop reaches a run as an event of its journal, so it doesn't matter which host took the command.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from tenure.core.approval import Resumption
from tenure.core.budget import EXHAUSTED
from tenure.core.entry import Entry
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    GrantReduced,
    RunFinished,
    RunInterrupting,
    RunResumed,
    RunRetried,
    RunWaiting,
)
from tenure.core.grant import Descriptor
from tenure.core.limits import Limits
from tenure.core.output import Output, Verdict, failed
from tenure.core.run import RUN, RunState
from tenure.core.scope import NO_STATE
from tenure.core.steering import SteeringMessage
from tenure.errors import Code, TenureError
from tenure.host.budgets import Budgets
from tenure.host.catalogue import Catalogue
from tenure.host.checkpoints import RunCheckpoints
from tenure.host.context import Attempt
from tenure.host.execution import Execution
from tenure.host.files import Files, RunFiles
from tenure.host.histories import Compactor, is_compaction
from tenure.host.holding import Holding
from tenure.host.journal import RunJournal
from tenure.host.own_recalls import SCHEDULING, OwnRecalls
from tenure.host.reminders import Reminder, is_reminder
from tenure.host.remote_calls import RemoteCalls
from tenure.host.scheduling import Scheduling
from tenure.host.settlement import Settlements
from tenure.host.states import AttemptState, StateRoom
from tenure.host.steering import STEERING_EVENTS
from tenure.host.stopping import Stopping
from tenure.host.tasks import Tasks
from tenure.host.telemetry import Telemetry
from tenure.host.tools import TOOL_EVENTS, Toolbox, ToolRoom
from tenure.ports.checkpoints import Asked
from tenure.ports.clock import Clock, Ids
from tenure.ports.effects import Caller
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.runner import GatewayAccess, RunContext, Runner
from tenure.ports.store import Append, Block, Lease, Start, Store, Wake

log = logging.getLogger("tenure.host")

RETRY_S = 1.0
"""How long after the store was found away it is asked again, in seconds."""

_PASSING = (Code.STORE_FULL, Code.STORE_UNAVAILABLE)
LINGER_S = 5.0
RELEASE_S = 5.0
AWAY_S = 0.5
"""How long a draining host waits for runs while the store is away, in seconds."""

HEARD = frozenset({RunInterrupting, RunFinished, RunRetried, *STEERING_EVENTS, *TOOL_EVENTS})
"""The types of events that a live run is told of."""


class Executions:
    """The runs that this host holds."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: Ids,
        catalogue: Catalogue,
        files: Files,
        states: StateRoom,
        settlements: Settlements,
        tasks: Tasks,
        telemetry: Telemetry,
        landmarks: Landmarks,
        toolbox: Toolbox,
        limits: Limits,
        gateway: Callable[[str], GatewayAccess | None],
        follow: Callable[[Wake], None],
        scheduling: Scheduling,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._catalogue = catalogue
        self._files = files
        self._states = states
        self._settlements = settlements
        self._tasks = tasks
        self._telemetry = telemetry
        self._landmarks = landmarks
        self._follow = follow
        self._toolbox = toolbox
        self._gateway = gateway
        self._scheduling = scheduling
        self._holding = Holding(limits.hold_s, limits.held_runs, self._let_go)
        self._live: dict[str, Execution] = {}
        self._sessions: dict[str, Execution] = {}
        self._beginning = 0
        self._budgets = Budgets(store, clock, tasks)
        self._lease: Lease | None = None
        self._draining = False
        self.attend: Callable[[str, int], None] = _noted
        """Called when a run of a session is here, with the number behind which it hears all events."""
        self.leave: Callable[[str], None] = _left
        """Called when no run of a session is here any more."""

    def __len__(self) -> int:
        return len(self._live)

    def open(self, lease: Lease) -> None:
        """Runs are held under `lease` from now on."""
        self._lease = lease

    @property
    def held(self) -> int:
        """How many waiting runs have their runner kept here."""
        return len(self._holding)

    @property
    def slots(self) -> int:
        """How many of them hold a slot: all but those that wait for people."""
        return self._beginning + sum(not each.context.tools.waiting for each in self._live.values())

    def halt(self) -> None:
        """This life of the host may be over: stop every run, and let nothing more of them be written."""
        self._lease = None
        for execution in list(self._live.values()):
            execution.conclude(None)
            if execution.releasing and execution.stopping is not None:
                # Its release waits for the store, and its runner would go on meanwhile.
                execution.stopping.cancel()

    async def ended(self, patience_s: float) -> None:
        """Wait until runs that had come to their end before have got their outcome, or were refused it."""
        if gone := [execution.gone for execution in self._live.values()]:
            await asyncio.wait(gone, timeout=patience_s)

    def execute(self, starts: Sequence[Start]) -> None:
        """Begin the runs that were claimed for this host."""
        for start in starts:
            if start.resumed is Resumption.HELD:
                # Its runner is here and heard of it: by the event.
                continue
            self._landmarks.passed(Landmark.RUN_SPAWNING)
            self._beginning += 1
            self._tasks.spawn(self._drive(start), f"run {start.run_id}")
            self._landmarks.passed(Landmark.RUN_SPAWNED)

    # --- events that steer

    def deliver(self, block: Block) -> None:
        """Look for what concerns a live run in a committed block."""
        self._budgets.deliver(block)
        execution = self._sessions.get(block.session_id)
        if execution is None:
            return
        for entry in block.entries:
            if type(entry.event) in HEARD:
                _tell(execution, entry)
                self._hold(execution, entry)

    def here(self, session_id: str) -> bool:
        """Whether a run of the session is here."""
        return session_id in self._sessions

    def gone(self, session_id: str) -> None:
        """The session was deleted elsewhere, and its journal tells nothing any more."""
        execution = self._sessions.get(session_id)
        if execution is not None:
            execution.context.tools.close()
            execution.conclude(None)

    def _hold(self, execution: Execution, entry: Entry) -> None:
        """A run that waits is held for a while; its time stands still."""
        run_id = execution.start.run_id
        if entry.run_id != run_id or execution.stopping is None:
            return
        if isinstance(entry.event, RunWaiting):
            execution.stopping.pause()
            self._holding.waits(run_id)
        elif isinstance(entry.event, RunResumed):
            execution.stopping.resume()
            self._holding.goes_on(run_id)

    def _let_go(self, run_id: str) -> None:
        execution = self._live.get(run_id)
        if execution is not None and self._lease is not None and not self._draining:
            self._tasks.spawn(self._part(self._lease, execution.start), f"letting go of {run_id}")

    async def _part(self, lease: Lease, start: Start) -> None:
        """Keep the runner of a waiting run no longer, unless the run goes on this very moment."""
        execution = self._mine(start)
        caller = Caller(start.run_id, start.attempt, self._clock.now())
        try:
            parted = await self._store.effects.let_go(lease, caller)
        except TenureError as error:
            if error.code is Code.FENCED:
                return
            parted = False
            self._holding.waits(start.run_id)
        if parted and execution is not None:
            execution.conclude(None)

    # --- one run

    async def _drive(self, start: Start) -> None:
        lease = self._lease
        if lease is None or start.incarnation != lease.incarnation:
            # The life that claimed it is over, and the answer to its claim came late.
            self._beginning -= 1
            return
        try:
            opened = await self._opened(start, lease)
        finally:
            self._beginning -= 1
        if self._lease is not lease:
            # The life that claimed it is over: somebody takes it up.
            return
        execution, pump = self._begin(start, lease, *(opened or (self._stateless(start, lease), ())))
        if opened is None:
            # Nobody else would ever begin it, so it ends here.
            execution.conclude(failed("journal_failed"))
        try:
            verdict = await execution.outcome
            await self._end(lease, execution, verdict)
        finally:
            self._forget(execution)
            execution.gone.set_result(None)
        if verdict is None:
            pump.cancel()
        await self._linger(execution, pump)
        # The two hold each other. Parted they go at once, and the collector needn't stop the loop for them.
        execution.stopping = None

    async def _end(self, lease: Lease, execution: Execution, verdict: Verdict | None) -> None:
        execution.context.tools.close()
        execution.context.remote.close()
        self._holding.goes_on(execution.start.run_id)
        if execution.stopping is not None:
            execution.stopping.disarm()
        if verdict is not None:
            await self._settle(lease, execution, verdict)
        elif execution.releasing:
            await self._release(lease, execution)

    async def _opened(self, start: Start, lease: Lease) -> tuple[AttemptState, tuple[Asked, ...]] | None:
        """What the attempt begins with. A store that is away is waited for: nobody else begins the run."""
        while self._lease is lease:
            try:
                state = await self._states.open(start, lease, partial(self._behind, start))
                return state, await self._asked(start)
            except TenureError as error:
                if error.code not in _PASSING:
                    log.error("The run %s can't be begun.", start.run_id, exc_info=error)
                    break
            await asyncio.sleep(RETRY_S)
        return None

    def _stateless(self, start: Start, lease: Lease) -> AttemptState:
        """What takes the place of an attempt's state that can't be read."""
        behind = partial(self._behind, start)
        return AttemptState(self._store, self._clock, start, lease, None, NO_STATE, behind)

    def _begin(
        self, start: Start, lease: Lease, state: AttemptState, asked: tuple[Asked, ...]
    ) -> tuple[Execution, asyncio.Task[None]]:
        runner = self._performer(start)
        journal = RunJournal(self._store, lease, start.run_id, partial(self._lost, start))
        context = self._context(start, lease, state, journal, asked)
        if is_compaction(start.origin) and runner is not None:
            runner = Compactor(start, self._store, self._catalogue.agent(start.agent).summarize)
        execution = Execution(start, runner or _Missing(), context, journal, self._clock, self._ids)
        if isinstance(runner, Compactor):
            execution.parting = runner.parting
        execution.catch_up = self._catch_up
        pump = self._tasks.spawn(execution.pump(), f"runner of {start.run_id}")
        pump.add_done_callback(execution.over)
        execution.stopping = Stopping(
            context,
            pump,
            expire=partial(self._expire, lease, start.run_id),
            abandon=execution.abandon,
        )
        execution.stopping.arm(start.grant.deadline_s, start.grant.idle_s)
        self._live[start.run_id] = self._sessions[start.session_id] = execution
        self.attend(start.session_id, start.seq)
        self._budgets.watch(start, partial(_spent, execution))
        if start.grant.budget is not None:
            execution.weigh = partial(self._budgets.weigh, start, context.tools.put)
            context.tools.clears = partial(self._budgets.clears, start, context.tools.put)
        self._telemetry.started += 1
        if self._draining:
            execution.releasing = True
            execution.conclude(None)
        return execution, pump

    def _context(
        self, start: Start, lease: Lease, state: AttemptState, journal: RunJournal, asked: tuple[Asked, ...]
    ) -> Attempt:
        """What the attempt is offered."""
        files = RunFiles(self._files, self._store, lease, start, journal.sent)
        tools = ToolRoom(
            self._toolbox,
            start,
            lease,
            between=partial(self._interlude, start),
            warn=partial(self._warn, start),
            folder=lambda: files.folder,
            spent=partial(self._out_of_budget, start),
            asked=tuple(each for each in asked if each.tool != SCHEDULING),
        )
        behind = partial(self._behind, start)
        recalls = OwnRecalls(self._scheduling, self._store.schedules, start, lease, behind, asked)
        return Attempt(
            start,
            self._store,
            partial(self._take, start, lease),
            files,
            state,
            tools,
            RunCheckpoints(
                self._store.checkpoints,
                start,
                lease,
                lambda: (*tools.known(), *recalls.known()),
                self._clock,
                journal.sent,
            ),
            self._gateway,
            partial(self._warn, start),
            RemoteCalls(lambda work: self._tasks.spawn(work, f"remote call of {start.run_id}")),
            recalls,
        )

    def _performer(self, start: Start) -> Runner | None:
        """Who does the work of a run: its agent's runner, but for reminders, which need none."""
        return Reminder() if is_reminder(start.origin) else self._runner(start.agent)

    async def _asked(self, start: Start) -> tuple[Asked, ...]:
        """The calls whose outcome the runner knows already: of a run that goes on from its checkpoint."""
        if start.resumed is not Resumption.RESUME:
            return ()
        return await self._store.checkpoints.asked(start.run_id)

    def live(self, session_id: str) -> Attempt | None:
        """What the live run of a session may use, if this host holds one."""
        execution = self._sessions.get(session_id)
        return execution.context if execution is not None and execution.speaking else None

    def _out_of_budget(self, start: Start) -> None:
        execution = self._mine(start)
        if execution is not None:
            _spent(execution)

    def _forget(self, execution: Execution) -> None:
        """Its run isn't live here any more; the session's next one may be already."""
        start = execution.start
        if self._live.get(start.run_id) is execution:
            # Else it was taken up here again, in the host's next life.
            del self._live[start.run_id]
            self._budgets.forget(start.run_id)
        if self._sessions.get(start.session_id) is execution:
            del self._sessions[start.session_id]
            self.leave(start.session_id)

    def _mine(self, start: Start) -> Execution | None:
        """The execution of this very attempt, if it is live here."""
        execution = self._live.get(start.run_id)
        return execution if execution is not None and execution.start is start else None

    async def _take(self, start: Start, lease: Lease, most: int) -> tuple[SteeringMessage, ...]:
        """Take steering for a run. What it said before stands before it in the journal."""
        execution = self._mine(start)
        if execution is None or not execution.speaking:
            return ()
        await execution.sent()
        now = self._clock.now()
        return await self._store.take_steering(lease, start.run_id, start.attempt, most, now)

    async def _behind(self, start: Start, size: int) -> None:
        """Let an act of a run stand behind what it said, and count its bytes. Raises TenureError `fenced`."""
        execution = self._mine(start)
        if execution is None or not await execution.goes_on(size):
            detail = f"This attempt of run {start.run_id} is over: nothing of it counts any more. Stop."
            raise TenureError(Code.FENCED, detail)

    async def _interlude(self, start: Start, size: int) -> None:
        """The same for a tool call, which ends what the run was saying."""
        execution = self._mine(start)
        if execution is not None:
            execution.interlude()
        await self._behind(start, size)

    def _warn(self, start: Start, code: str, detail: str) -> None:
        execution = self._mine(start)
        if execution is not None:
            execution.warn(code, detail)

    def _steers(self, agent: str) -> bool:
        runner = self._runner(agent)
        return runner is not None and runner.descriptor.capabilities.steering

    def _runner(self, agent: str) -> Runner | None:
        try:
            return self._catalogue.agent(agent).runner
        except TenureError:
            return None

    async def _catch_up(self, execution: Execution) -> None:
        """Learn what happened between the run's commit and its being held here: that was delivered to nobody.

        What happens from then on is delivered, also while the store is asked. The runner is called after it.
        """
        while execution.speaking:
            try:
                return await self._learn(execution)
            except TenureError as error:
                if error.code is not Code.STORE_UNAVAILABLE:
                    raise
            await asyncio.sleep(RETRY_S)

    async def _learn(self, execution: Execution) -> None:
        start = execution.start
        state = await self._store.run_state(start.run_id)
        if state is RunState.INTERRUPTING and execution.stopping is not None:
            execution.stopping.stop(force=False)
        elif state is None or state in RUN.terminal:
            execution.conclude(None)
            return
        if self._steers(start.agent):
            look = partial(self._store.steering, start.run_id, start.attempt)
            await execution.context.steering.catch_up(look)
        if not is_reminder(start.origin) and await self._budgets.is_spent(start):
            execution.conclude(failed(EXHAUSTED))

    def _lost(self, start: Start, error: BaseException) -> None:
        """The store refused the run's output: the run isn't ours any more, or the store has a fault."""
        execution = self._mine(start)
        if execution is None:
            return
        if isinstance(error, TenureError) and error.code is Code.FENCED:
            execution.conclude(None)
            return
        log.error("The output of %s could not be stored.", start.run_id, exc_info=error)
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
            lease, execution.start, conclusion, takes_next=not self._draining and self._lease is lease
        )
        self._forget(execution)
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
            self._follow(Wake(backlog=1))
        except TenureError as error:
            # What can't be released now is taken up once this life of the host is over.
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

    async def drain(self, can_write: Callable[[], bool]) -> None:
        """Let every run go at its next output, at the latest after RELEASE_S, as its next attempt.

        A store that is away isn't waited for: the runs are taken up once this life of the host is over.
        """
        self._draining = True
        live = list(self._live.values())
        for execution in live:
            execution.releasing = True
            if execution.context.tools.waiting:
                execution.conclude(None)
        if live:
            await asyncio.wait([e.outcome for e in live], timeout=RELEASE_S if can_write() else AWAY_S)
        for execution in list(self._live.values()):
            execution.conclude(None)
        if live:
            await asyncio.wait([e.gone for e in live], timeout=RELEASE_S if can_write() else AWAY_S)


def _noted(session_id: str, after: int) -> None:
    """A host alone hears everything anyway."""


def _left(session_id: str) -> None:
    """Nothing."""


def _tell(execution: Execution, entry: Entry) -> None:
    """Let a live run know of an event of its session."""
    mine = entry.run_id == execution.start.run_id
    match entry.event:
        case RunInterrupting(force=force):
            if mine and execution.stopping is not None:
                execution.stopping.stop(force=force)
        case RunFinished():
            if mine:
                execution.context.tools.close()
                execution.conclude(None)
        case GrantReduced(removed=removed):
            if mine:
                execution.context.reduce(removed)
                execution.context.tools.hear(entry.event)
        case RunRetried(attempt=attempt) | RunResumed(attempt=attempt) if (
            mine and attempt > execution.start.attempt
        ):
            # It goes on elsewhere: what this attempt still says counts no more.
            execution.context.tools.close()
            execution.conclude(None)
        case ApprovalRequested() | ApprovalResolved() | RunResumed() | RunWaiting():
            if mine:
                execution.context.tools.hear(entry.event)
        case _:
            execution.context.steering.hear(entry.event)


def _spent(execution: Execution) -> None:
    """Nothing is left of the run's budget: it ends here, and its runner is stopped without being asked."""
    execution.conclude(failed(EXHAUSTED))
    if execution.stopping is not None:
        execution.stopping.stop(force=True)


class _Missing:
    """Stands in for a runner that can't be called: its agent isn't here any more."""

    descriptor = Descriptor(runner="missing")

    async def run(self, context: RunContext) -> AsyncIterator[Output]:
        """Fail, and say why."""
        yield failed("unknown_agent")
