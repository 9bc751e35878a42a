"""The host: opens the rooms in order, and closes them in the other."""

import asyncio
from collections.abc import Sequence

import msgspec

from tenure.core.binding import Binding
from tenure.core.event import SessionClosed, SessionDeleted
from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.core.view import Stats
from tenure.errors import Code, TenureError
from tenure.host.admission import Commands
from tenure.host.approvals import Approvals
from tenure.host.catalogue import Catalogue
from tenure.host.claims import Claims
from tenure.host.context import Attempt
from tenure.host.executions import Executions
from tenure.host.fanout import Fanout
from tenure.host.files import Files
from tenure.host.front_door import FrontDoor
from tenure.host.gateway import Gateway
from tenure.host.histories import Histories
from tenure.host.recall_log import RecallLog
from tenure.host.recalls import Recalls
from tenure.host.recovery import Recovery
from tenure.host.retention import Retention
from tenure.host.scheduling import Scheduling
from tenure.host.settlement import Settlements
from tenure.host.states import StateRoom
from tenure.host.tasks import Tasks
from tenure.host.telemetry import Telemetry, percentile
from tenure.host.tools import Toolbox
from tenure.ports.clock import Clock, Ids
from tenure.ports.files import Fetch, Folders, NoFetch
from tenure.ports.landmarks import Landmarks
from tenure.ports.store import Block, Lease, Start, Store
from tenure.ports.tool import NO_TOOLS, Tools

_PARTINGS = frozenset({SessionClosed, SessionDeleted})


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is made of from outside."""

    store: Store
    clock: Clock
    ids: Ids
    catalogue: Catalogue
    limits: Limits
    landmarks: Landmarks
    folders: Folders
    fetch: Fetch = NoFetch()
    version: str
    bindings: tuple[Binding, ...] = ()
    tools: Tools = NO_TOOLS
    retention_days: float | None = None


class Host:
    """All rooms over one store. Several hosts in one process don't know of each other."""

    def __init__(self, parts: Parts) -> None:
        store, clock, ids = parts.store, parts.clock, parts.ids
        self.store = store
        self.clock = clock
        self.ids = ids
        self.catalogue = parts.catalogue
        self.catalogue.equip(parts.tools)
        self.rules = Rules(limits=parts.limits, terms=parts.catalogue.terms())
        self.telemetry = Telemetry()
        self.draining = False
        self._drained: asyncio.Task[None] | None = None
        self._version = parts.version
        self._lease: Lease | None = None
        self._began = clock.monotonic()
        self._tasks = Tasks()
        self.fanout = Fanout(store)
        self.files = Files(
            store=store, folders=parts.folders, fetch=parts.fetch, clock=clock, ids=ids, wake=self._tidy
        )
        self._claims = Claims(store, clock, self._tasks, parts.limits, self._execute)
        self.states = StateRoom(store, clock, self.rules.terms)
        self.approvals = Approvals(
            store=store,
            clock=clock,
            tools=parts.tools,
            catalogue=parts.catalogue,
            tasks=self._tasks,
            follow=self._claims.follow,
        )
        self._recall_log = RecallLog(self.telemetry)
        self.recalls = Recalls(
            acts=store.schedules,
            clock=clock,
            ids=ids,
            tasks=self._tasks,
            telemetry=self.telemetry,
            lease=self._claiming,
            follow=self._claims.follow,
        )
        self.scheduling = self._made_scheduling(parts)
        self.gateway = Gateway(self._live, ids)
        self._residences = parts.catalogue.residences()
        self._executions = self._made_executions(parts)
        self._recovery = self._made_recovery(parts)
        self.commands = Commands(
            store=store,
            clock=clock,
            ids=ids,
            catalogue=parts.catalogue,
            files=self.files,
            claims=self._claims,
            tasks=self._tasks,
            purge=self._recovery.wake,
        )
        self.histories = Histories(
            store=store,
            files=self.files,
            clock=clock,
            ids=ids,
            claims=self._claims,
            tasks=self._tasks,
            purge=self._recovery.wake,
        )
        self.front_door = FrontDoor(
            bindings=parts.bindings,
            acts=store.incoming,
            attach=self.files.attach,
            clock=clock,
            ids=ids,
            claims=self._claims,
            tasks=self._tasks,
        )
        store.on_commit(self._committed)

    def _made_executions(self, parts: Parts) -> Executions:
        return Executions(
            store=parts.store,
            toolbox=self._toolbox(parts),
            limits=parts.limits,
            states=self.states,
            clock=parts.clock,
            ids=parts.ids,
            catalogue=parts.catalogue,
            files=self.files,
            settlements=Settlements(parts.store, parts.clock, parts.ids, parts.landmarks),
            tasks=self._tasks,
            telemetry=self.telemetry,
            landmarks=parts.landmarks,
            gateway=self.gateway.access,
            follow=self._claims.follow,
            scheduling=self.scheduling,
        )

    def _made_scheduling(self, parts: Parts) -> Scheduling:
        return Scheduling(
            store=parts.store,
            clock=parts.clock,
            ids=parts.ids,
            catalogue=parts.catalogue,
            files=self.files,
            tasks=self._tasks,
            due=self.recalls.due,
            follow=self._claims.follow,
            lease=self._claiming,
        )

    def _claiming(self) -> Lease | None:
        return self._claims.lease

    def _live(self, session_id: str) -> Attempt | None:
        return self._executions.live(session_id)

    def _made_recovery(self, parts: Parts) -> Recovery:
        return Recovery(
            store=parts.store,
            files=self.files,
            retention=Retention(parts.store, parts.clock, parts.retention_days),
            clock=parts.clock,
            claims=self._claims,
            tasks=self._tasks,
            telemetry=self.telemetry,
            landmarks=parts.landmarks,
        )

    def _toolbox(self, parts: Parts) -> Toolbox:
        return Toolbox(
            effects=parts.store.effects,
            tools=parts.tools,
            clock=parts.clock,
            ids=parts.ids,
            tasks=self._tasks,
            landmarks=parts.landmarks,
            follow=self._claims.follow,
            due=self.approvals.due,
        )

    @property
    def executing(self) -> int:
        """How many runs this host holds."""
        return len(self._executions)

    @property
    def tasks(self) -> int:
        """How many tasks the host has. An idle session has none."""
        return len(self._tasks)

    def _execute(self, starts: Sequence[Start]) -> None:
        self._executions.execute(starts)

    def _committed(self, block: Block) -> None:
        self.fanout.deliver(block)
        self._executions.deliver(block)
        self.files.deliver(block)
        self.recalls.deliver(block)
        self._recall_log.deliver(block)
        if self._residences and any(type(entry.event) in _PARTINGS for entry in block.entries):
            self._tasks.spawn(self._forget(block.session_id), f"letting go of {block.session_id}")

    async def _forget(self, session_id: str) -> None:
        for residence in self._residences:
            await residence.forget(session_id)

    def _tidy(self) -> None:
        self._recovery.wake()

    async def start(self) -> None:
        """Join, put right what an earlier life left, and take runs."""
        lease = self._lease = await self.store.join(self.clock.now())
        self._executions.open(lease)
        self.gateway.open(lease.incarnation)
        self._claims.open(lease)
        await self._recovery.sweep(lease)
        self._recovery.open(lease)
        self.approvals.open()
        self.recalls.open()

    async def drain(self) -> None:
        """Take no more runs, let the live ones go at their next safe point, and end all streams.

        Asked again, it waits for the same end.
        """
        if self._drained is None:
            self.draining = True
            self._claims.close()
            self.recalls.close()
            self._drained = self._tasks.spawn(self._drain(), "drain")
        await asyncio.shield(self._drained)

    async def _drain(self) -> None:
        await self._executions.drain()
        self.fanout.end_all("draining")

    async def stop(self) -> None:
        """Drain, and leave in good order. A drain begun before is cut short: its maker has waited enough."""
        if self._drained is None:
            await self.drain()
        self.approvals.close()
        self.recalls.close()
        await self._tasks.stop()
        for residence in self._residences:
            await residence.close()
        if self._lease is not None and self.store.healthy():
            await self._leave(self._lease)

    async def _leave(self, lease: Lease) -> None:
        """Say goodbye. The next life fences this one anyway, so a full disk costs nothing but the word."""
        try:
            await self.store.leave(lease, self.clock.now())
        except TenureError as error:
            if error.code not in (Code.STORE_FULL, Code.STORE_UNAVAILABLE):
                raise

    async def stats(self) -> Stats:
        """Live figures."""
        figures, commits = await self.store.figures(), self.store.commits()
        lateness = tuple(self.telemetry.lateness)
        return Stats(
            sessions=figures.sessions,
            open_sessions=figures.open_sessions,
            live_runs=figures.live_runs,
            queued_runs=figures.queued_runs,
            streams=self.fanout.streams,
            events=figures.events,
            schedules=await self.store.schedules.figures(),
            recalls=self.telemetry.recalls,
            recall_p50_ms=percentile(lateness, 0.5) * 1e3,
            recall_p99_ms=percentile(lateness, 0.99) * 1e3,
            commits=commits.made,
            commit_p50_ms=percentile(commits.recent, 0.5) * 1e3,
            commit_p99_ms=percentile(commits.recent, 0.99) * 1e3,
            loop_lag_ms=await self._lag() * 1e3,
            uptime_s=self.clock.monotonic() - self._began,
            version=self._version,
            history=self.store.history,
            draining=self.draining,
        )

    async def _lag(self) -> float:
        """How long the loop takes to come round, in seconds."""
        # Not the loop's clock: uvloop's is read once a round, in whole milliseconds.
        before = self.clock.monotonic()
        await asyncio.sleep(0)
        return self.clock.monotonic() - before
