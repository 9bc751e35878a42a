"""Several hosts over one database, in one process: each with a store, a home and a way to the others.

What carries their hints is the test's choice. With `Silence` none ever arrives, and polls alone must do.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tenure.core.command import CreateKey, OpenSession
from tenure.core.entry import Recorded
from tenure.core.event import Event
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.core.principal import DEFAULT_TENANT, Principal, Role
from tenure.core.rules import Rules
from tenure.host.admission import secret_hash
from tenure.host.catalogue import Agent, Catalogue
from tenure.host.clock import RandomIds, SystemClock
from tenure.host.host import Host, Parts
from tenure.ports.hosts import HostCard
from tenure.ports.landmarks import NoLandmarks
from tenure.ports.signals import Signals
from tenure.ports.tool import NO_TOOLS, Tools
from tenure.runners.agent import AnyAgent
from tenure.runners.inprocess import InProcessRunner
from tenure.stores.folders import DiskFolders
from tenure.stores.postgres.lane import PostgresLane
from tenure.stores.postgres.store import PostgresStore
from tenure.testing import HostedSession

ROOT = Principal(tenant=DEFAULT_TENANT, user="root", role=Role.ADMIN, key_id="", root=True)
SECRET = "tnr_" + "0" * 43
LEASE_S = 10.0


class Neighbours(NamedTuple):
    """Hosts that are up, and the user who talks to all of them."""

    hosts: tuple[Host, ...]
    ada: Principal

    async def open(self, agent: str, on: int = 0) -> tuple[HostedSession, ...]:
        """A session with an agent, opened on one host: as each host sees it."""
        opened = await self.hosts[on].commands.open_session(self.ada, OpenSession(agent=agent), None)
        return tuple(HostedSession(host, self.ada, opened.value.id) for host in self.hosts)


@asynccontextmanager
async def neighbours(
    url: str,
    root: Path,
    *agents: AnyAgent,
    signals: Iterable[Signals],
    slots: Iterable[int] = (8, 8, 8),
    limits: Limits | None = None,
    tools: Tools = NO_TOOLS,
) -> AsyncGenerator[Neighbours]:
    """As many hosts as there are signals, each with its number of slots."""
    limits = limits or Limits()
    async with AsyncExitStack() as stack:
        hosts: list[Host] = []
        for number, (way, room) in enumerate(zip(signals, slots, strict=False)):
            catalogue = Catalogue(
                Agent(name=agent.name, runner=InProcessRunner(agent), policy=agent.policy) for agent in agents
            )
            lane = await PostgresLane.opened(url, LEASE_S)
            store = await PostgresStore.opened(
                lane, Rules(limits=limits, terms=catalogue.terms()), RandomIds()
            )
            stack.push_async_callback(store.aclose)
            host = Host(
                Parts(
                    store=store,
                    clock=SystemClock(),
                    ids=RandomIds(),
                    catalogue=catalogue,
                    limits=limits,
                    landmarks=NoLandmarks(),
                    folders=DiskFolders(root / str(number)),
                    tools=tools,
                    version="neighbours",
                    card=HostCard(name=f"host {number}", version="1", slots=room, lease_s=LEASE_S),
                    signals=way,
                )
            )
            await host.start()
            stack.push_async_callback(host.stop)
            hosts.append(host)
        await hosts[0].commands.create_key(ROOT, CreateKey(user="ada", role=Role.MEMBER), None, SECRET)
        ada = await hosts[0].store.principal(secret_hash(SECRET), hosts[0].clock.now())
        assert ada is not None
        yield Neighbours(tuple(hosts), ada)


async def until(session: HostedSession, fact: type[Event] | Callable[[Recorded], bool]) -> Recorded:
    """Wait for the first event of a session that is such a fact."""
    async for event in session.events():
        if isinstance(event.event, fact) if isinstance(fact, type) else fact(event):
            return event
    raise AssertionError("The stream ended before.")


async def words(count: int) -> AsyncIterator[Output]:
    """Numbered words, then the end."""
    for number in range(count):
        yield Text(f"w{number} ")
    yield completed()
