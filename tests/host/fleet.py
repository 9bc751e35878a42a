"""Several hosts over one database, in virtual time: what the tests of leases and takeovers act on.

The rooms are those of `tests.host.rooms`; the database has a clock of its own, and may be cut off from any
host. A host may be killed, and frozen and thawed.
"""

import random
from collections.abc import Callable, Coroutine
from typing import cast

from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros
from tenure.core.rules import Rules
from tenure.host.catalogue import Agent, Catalogue
from tenure.host.doctor import examine
from tenure.host.host import Host, Parts
from tenure.ports.hosts import HostCard, HostRow
from tenure.ports.landmarks import NoLandmarks
from tenure.ports.tool import NO_TOOLS, Tools
from tenure.stores.sqlite.store import SqliteStore
from tests.host.rooms import ADA, BEN, CY, Life, Line, Rooms, play
from tests.simulation.airwaves import Airwaves, SimSignals
from tests.simulation.shared_store import SharedStore
from tests.simulation.shore import SharedLane, Shore
from tests.simulation.world import SimClock, SimIds

LEASE_S = 10.0
DRAW = random.Random("fleet")


class Site(Rooms):
    """One host of the fleet, by its name."""

    def __init__(self, fleet: "Fleet", name: str, lease_s: float, slots: int | None) -> None:
        self.loop = fleet.rooms.loop
        self.disk = fleet.rooms.disk
        self.complaints = fleet.rooms.complaints
        self.tools: Tools = fleet.tools
        self.fleet = fleet
        self.name = name
        self.lease_s = lease_s
        self.slots = slots
        self.shared: SharedLane | None = None
        self._ids = fleet.ids
        self._life = None
        self._lives = 0

    async def up(self, *agents: Agent, limits: Limits | None = None) -> None:
        """Start the host, again after its death."""
        self._lives += 1
        node = f"{self.name}{self._lives}"
        starting = self._start(node, Catalogue(agents), limits or Limits())
        self._life = await self.loop.spawn(node, starting)

    async def _start(self, node: str, catalogue: Catalogue, limits: Limits) -> Life:
        lane = self.shared = SharedLane(self.loop, self.fleet.shore, NoLandmarks(), node)
        store = await SharedStore.over(lane, Rules(limits=limits, terms=catalogue.terms()), self._ids)
        slots = limits.live_runs if self.slots is None else self.slots
        host = Host(
            Parts(
                store=store,
                clock=SimClock(self.loop, 0),
                ids=self._ids,
                catalogue=catalogue,
                limits=limits,
                landmarks=NoLandmarks(),
                folders=self.disk.folders,
                tools=self.tools,
                version="fleet",
                signals=SimSignals(self.fleet.airwaves, node),
                card=HostCard(name=self.name, version="fleet", slots=slots, lease_s=self.lease_s),
            )
        )
        await host.start()
        return Life(node, host, cast("Line", lane), cast("SqliteStore", store))

    def freeze(self) -> None:
        """SIGSTOP. What it had sent is written."""
        assert self.shared is not None
        self.shared.flush(DRAW)
        self.loop.freeze(self.life.node)

    def thaw(self) -> None:
        """SIGCONT."""
        self.loop.thaw(self.life.node)

    def cut(self) -> None:
        """It can't reach the database any more."""
        self.fleet.shore.cut.add(self.life.node)

    def join(self) -> None:
        """It can reach the database again."""
        self.fleet.shore.cut.discard(self.life.node)

    @property
    def incarnation(self) -> int:
        """The number of its life; 0 between two lives."""
        lease = self.host.leases.lease
        return 0 if lease is None else lease.incarnation

    @property
    def trouble(self) -> str | None:
        """Why it isn't ready, as a code."""
        trouble = self.host.trouble()
        return None if trouble is None else str(trouble.code)


class Coast(Shore):
    """The database, whose clock somebody may set."""

    set_by: Micros = Micros(0)

    def now(self) -> Micros:
        return Micros(super().now() + self.set_by)

    def jump(self, seconds: float) -> None:
        """Set its clock to so much later."""
        self.set_by = Micros(self.set_by + round(seconds * SECOND))


class Fleet:
    """Hosts over one database."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.rooms.disk.shared = True
        self.loop = rooms.loop
        self.ids = SimIds(random.Random("fleet"))
        self.shore = Coast(rooms.loop, rooms.disk, Limits())
        self.tools: Tools = NO_TOOLS
        self.airwaves = Airwaves(rooms.loop, self.shore, random.Random("airwaves"))
        self.sites: list[Site] = []

    async def up(
        self,
        name: str,
        *agents: Agent,
        limits: Limits | None = None,
        lease_s: float = LEASE_S,
        slots: int | None = None,
    ) -> Site:
        """Start a host."""
        site = Site(self, name, lease_s, slots)
        await site.up(*agents, limits=limits)
        self.sites.append(site)
        if len(self.sites) == 1:
            for who in (ADA, BEN, CY):
                await site.give_key(who)
        return site

    def crash(self, site: Site) -> None:
        """kill -9."""
        site.crash()
        self.sites.remove(site)

    async def rows(self) -> tuple[HostRow, ...]:
        """The hosts as the database knows them."""
        return await self.sites[0].there(self.sites[0].host.store.hosts.all())

    async def standing(self) -> list[str]:
        """The names of the hosts that stand, in order."""
        return sorted(row.name for row in await self.rows())

    async def check(self) -> None:
        """Fail if anything is wrong with what is stored, or a run stays without an outcome."""
        assert self.shore.faults == []
        if self.sites:
            store = self.sites[0].host.store
            assert [violation.sentence for violation in await examine(store)] == []


def in_a_fleet(test: Callable[[Fleet], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test in virtual time, in order and shuffled, and check what it leaves."""

    async def run(rooms: Rooms) -> None:
        fleet = Fleet(rooms)
        await test(fleet)
        await fleet.check()

    # Not `wraps`: pytest would take the parameter of the test for a fixture.
    def played() -> None:
        for seed in (None, 1):
            play(run, seed)

    played.__name__, played.__doc__, played.__module__ = test.__name__, test.__doc__, test.__module__
    return played
