"""The host: opens the rooms in order, and closes them in the other."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from tenure.core.binding import Binding
from tenure.core.limits import Limits
from tenure.core.moment import Micros
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
from tenure.host.figures import FiguresRoom
from tenure.host.files import Files
from tenure.host.front_door import FrontDoor
from tenure.host.gateway import Gateway
from tenure.host.histories import Histories
from tenure.host.landing import DECODED, Landing
from tenure.host.leases import Leases
from tenure.host.recall_log import RecallLog
from tenure.host.recalls import Recalls
from tenure.host.recovery import Recovery
from tenure.host.relay import Relay
from tenure.host.retention import Retention
from tenure.host.sampling import Sampling
from tenure.host.scheduling import Scheduling
from tenure.host.settlement import Settlements
from tenure.host.signing import Signing
from tenure.host.states import StateRoom
from tenure.host.tasks import Tasks
from tenure.host.telemetry import Telemetry
from tenure.host.tools import Toolbox
from tenure.ports.clock import Clock, Ids
from tenure.ports.files import Fetch, Folders, NoFetch
from tenure.ports.hosts import UNNAMED, HostCard
from tenure.ports.landmarks import Landmarks
from tenure.ports.signals import Hint, Signals, Silence
from tenure.ports.store import Block, Lease, Start, Store
from tenure.ports.tool import NO_TOOLS, Tools

TIDY_S = 2.0
"""How long after a deletion its host begins to free what was deleted, with others beside it, in seconds."""


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
    card: HostCard = UNNAMED
    signals: Signals = Silence()
    sampled: bool = False
    """Whether figures are kept over time. A host whose time only a test moves keeps none unless asked."""


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
        self._tasks = Tasks()
        self.fanout = Fanout(store)
        self.files = Files(
            store=store, folders=parts.folders, fetch=parts.fetch, clock=clock, ids=ids, wake=self._tidy
        )
        slots = parts.limits.live_runs if parts.card is UNNAMED else parts.card.slots
        card = parts.card._replace(slots=slots)
        self.leases = Leases(store=store, clock=clock, tasks=self._tasks, card=card, life=self)
        self._claims = self._made_claims(parts, slots)
        self.states = StateRoom(store, clock, self.rules.terms)
        self.approvals = self._made_approvals(parts)
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
        self._landing = self._made_landing()
        self._relay = None if store.alone else self._made_relay(parts)
        self.commands = Commands(
            store=store,
            clock=clock,
            ids=ids,
            catalogue=parts.catalogue,
            files=self.files,
            claims=self._claims,
            tasks=self._tasks,
            purge=self._tidy,
        )
        self.histories = self._made_histories(parts)
        self.front_door = self._made_front_door(parts)
        self.signing = Signing(store, clock, ids)
        self._figures = self._made_figures(parts)
        self.sampling = Sampling(
            figures=self._figures,
            store=store,
            clock=clock,
            tasks=self._tasks,
            telemetry=self.telemetry,
            leases=self.leases,
        )
        self._sampled = parts.sampled
        store.on_commit(self._committed)

    def _made_claims(self, parts: Parts, slots: int) -> Claims:
        return Claims(
            store=parts.store,
            clock=parts.clock,
            tasks=self._tasks,
            slots=slots,
            execute=self._execute,
            busy=self._busy,
            firm=self.leases.firm,
            doubt=self.leases.look,
        )

    def _made_approvals(self, parts: Parts) -> Approvals:
        return Approvals(
            store=parts.store,
            clock=parts.clock,
            tools=parts.tools,
            catalogue=parts.catalogue,
            tasks=self._tasks,
            follow=self._claims.follow,
        )

    def _made_histories(self, parts: Parts) -> Histories:
        return Histories(
            store=parts.store,
            files=self.files,
            clock=parts.clock,
            ids=parts.ids,
            claims=self._claims,
            tasks=self._tasks,
            purge=self._tidy,
        )

    def _made_figures(self, parts: Parts) -> FiguresRoom:
        return FiguresRoom(
            store=parts.store,
            clock=parts.clock,
            telemetry=self.telemetry,
            fanout=self.fanout,
            leases=self.leases,
            version=parts.version,
            draining=lambda: self.draining,
        )

    def _made_front_door(self, parts: Parts) -> FrontDoor:
        return FrontDoor(
            bindings=parts.bindings,
            acts=parts.store.incoming,
            attach=self.files.attach,
            clock=parts.clock,
            ids=parts.ids,
            claims=self._claims,
            tasks=self._tasks,
        )

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

    def _made_landing(self) -> Landing:
        return Landing(
            fanout=self.fanout,
            executions=self._executions,
            files=self.files,
            residences=self._residences,
            claims=self._claims,
            recalls=self.recalls,
            approvals=self.approvals,
            tasks=self._tasks,
            heed=self.leases.look,
        )

    def _made_relay(self, parts: Parts) -> Relay:
        relay = Relay(
            store=parts.store, signals=parts.signals, tasks=self._tasks, rooms=self._landing, types=DECODED
        )
        self.fanout.places = relay
        self._executions.attend, self._executions.leave = relay.attend, relay.leave
        self._claims.tell = partial(relay.tell, Hint(work=True))
        self.leases.tell = partial(relay.tell, Hint(hosts=True))
        return relay

    def _made_scheduling(self, parts: Parts) -> Scheduling:
        return Scheduling(
            store=parts.store,
            clock=parts.clock,
            ids=parts.ids,
            catalogue=parts.catalogue,
            files=self.files,
            tasks=self._tasks,
            due=self._due,
            follow=self._claims.follow,
            lease=self._claiming,
        )

    def _due(self, at: Micros) -> None:
        """A schedule wants to be looked at then, by whichever host."""
        self.recalls.due(at)
        if self._relay is not None:
            self._relay.tell(Hint(timers=True))

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
            firm=self.leases.firm,
        )

    @property
    def executing(self) -> int:
        """How many runs this host holds."""
        return len(self._executions)

    @property
    def held(self) -> int:
        """How many waiting runs have their runner kept in memory here."""
        return self._executions.held

    @property
    def tasks(self) -> int:
        """How many tasks the host has. An idle session has none."""
        return len(self._tasks)

    def _busy(self) -> int:
        return self._executions.slots

    def _execute(self, starts: Sequence[Start]) -> None:
        self._executions.execute(starts)

    def _committed(self, block: Block) -> None:
        if self._relay is None:
            self._landing.hand_on(block)
        else:
            self._relay.committed(block)
        self._landing.learn(block)
        self.recalls.deliver(block)
        self._recall_log.deliver(block)

    def _tidy(self) -> None:
        if self._relay is None:
            self._recovery.wake()
        else:
            # The other hosts should have read how the session ended before its journal goes.
            asyncio.get_running_loop().call_later(TIDY_S, self._recovery.wake)

    async def start(self) -> None:
        """Join, put right what an earlier life left, and take runs."""
        lease = await self.leases.join()
        self.begin(lease)
        # First: what follows may take longer than the lease lasts.
        self.leases.open()
        if self._relay is not None:
            await self._relay.open()
        await self._recovery.sweep(lease)
        self._recovery.open(self._claiming)
        await self.approvals.open()
        self.recalls.open()
        if self._sampled:
            self.sampling.open()

    def begin(self, lease: Lease) -> None:
        """Begin a life: take runs, and hold them under `lease`."""
        self._executions.open(lease)
        self.gateway.open(lease.incarnation)
        self._claims.open(lease)

    def halt(self) -> None:
        """This life may be over: take no more runs, and let nothing of those that are held count any more."""
        self._claims.close()
        self._executions.halt()

    async def halted(self, patience_s: float) -> None:
        """Wait until what held runs still had to say has arrived, or was refused."""
        await self._executions.ended(patience_s)

    def take_up(self, lease: Lease) -> None:
        """Other hosts may be gone: see to their runs."""
        self._recovery.look(lease)

    async def drain(self) -> None:
        """Take no more runs, let the live ones go at their next safe point, and end all streams.

        Asked again, it waits for the same end.
        """
        if self._drained is None:
            self.draining = True
            self._claims.close()
            self.leases.drain()
            self.recalls.close()
            self._drained = self._tasks.spawn(self._drain(), "drain")
        await asyncio.shield(self._drained)

    async def _drain(self) -> None:
        await self._executions.drain(lambda: self.leases.trouble() is None)
        self.fanout.end_all("draining")

    async def stop(self) -> None:
        """Drain, and leave in good order. A drain begun before is cut short: its maker has waited enough."""
        if self._drained is None:
            await self.drain()
        self.approvals.close()
        self.recalls.close()
        self.sampling.close()
        await self._tasks.stop()
        for residence in self._residences:
            await residence.close()
        await self.leases.leave()
        if self._relay is not None:
            await self._relay.close()

    def trouble(self) -> TenureError | None:
        """Why this host should get no requests now; None if it should."""
        if self.draining:
            detail = "The host is draining: it takes no new work. Send it to another host."
            return TenureError(Code.DRAINING, detail)
        if self.store.alone and not self.store.healthy():
            detail = "The store doesn't work: its writer stopped. Restart the host."
            return TenureError(Code.STORE_UNAVAILABLE, detail)
        return self.leases.trouble()

    async def stats(self) -> Stats:
        """Live figures. Raises TenureError `store_unavailable`."""
        return await self._figures.stats()
