"""The rooms of one host at a time over one disk, in virtual time: what the tests of this folder act on.

Rooms and store are the real ones; loop, lane, clock and ids are those of the simulation, with delays and
disk troubles that the test chooses. Waiting takes no time, and every moment is exact.
"""

import asyncio
import functools
import inspect
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from tenure.core.binding import Binding
from tenure.core.command import CreateKey, InterruptRun, OpenSession, SendMessage
from tenure.core.content import Content
from tenure.core.entry import Recorded, lines_of, record
from tenure.core.event import Event, MessageDelta, RunFinished, RunnerWarning, RunStarted
from tenure.core.grant import HISTORY, Descriptor, Policy
from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros
from tenure.core.output import Output
from tenure.core.principal import Principal, Role
from tenure.core.rules import Rules
from tenure.core.view import InterruptReceipt, MessageReceipt, RunInfo, TranscriptItem
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent, Catalogue
from tenure.host.doctor import examine
from tenure.host.fanout import Delivery, Ended
from tenure.host.host import Host, Parts
from tenure.ports.files import Fetch, NoFetch
from tenure.ports.landmarks import NoLandmarks
from tenure.ports.runner import RunContext
from tenure.ports.store import Block
from tenure.ports.tool import NO_TOOLS, Tools
from tenure.stores.relational.locks import Lock
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Tx
from tenure.stores.sqlite.store import SqliteStore
from tests.simulation.lane import Disk, SimLane
from tests.simulation.loop import SimLoop
from tests.simulation.world import EPOCH, SimClock, SimIds

T = TypeVar("T")
P = ParamSpec("P")
Work = Callable[[RunContext], AsyncIterator[Output]]

PATIENCE_S = 3_600.0
"""How long a test waits for a fact, in virtual seconds."""

ORDERS: tuple[int | None, ...] = (None, 1, 2)
"""Every test runs once first in, first out, and then with ready steps shuffled by these seeds."""

UNHURRIED = Policy(deadline_s=None)

ROOT = Principal(tenant="default", user="root", role=Role.ADMIN, key_id="key_root", root=True)
ADA = Principal(tenant="acme", user="ada", role=Role.MEMBER, key_id="key_ada")
BEN = Principal(tenant="acme", user="ben", role=Role.MEMBER, key_id="key_ben")
CY = Principal(tenant="zeta", user="cy", role=Role.MEMBER, key_id="key_cy")


class Line(SimLane):
    """A lane whose every step takes `delay` seconds. While it is `full` no transaction finds space.

    As many acts as `breaks` says raise what no act should.
    """

    def __init__(self, loop: SimLoop, disk: Disk) -> None:
        super().__init__(loop, disk, NoLandmarks())
        self.delay = 0.0
        self.full = False
        self.breaks = 0
        self.look_s = 0.0
        """How old an answer of the store is when it comes, in seconds."""
        self.away = False
        """Whether the store answers nothing that it is asked."""
        self.blocks: list[Block] = []

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        def tap(block: Block) -> None:
            self.blocks.append(block)
            listener(block)

        super().on_commit(tap)

    def write(self, act: Callable[[Tx], T], *locks: Lock) -> "asyncio.Future[T]":
        def acted(tx: Tx) -> T:
            if self.breaks:
                self.breaks -= 1
                raise RuntimeError("A bug in an act.")
            if self.full:
                raise TenureError(Code.STORE_FULL, "The disk is full.")
            return act(tx)

        return super().write(acted, *locks)

    async def peek(self, query: Callable[[Look], T]) -> T:
        if self.away:
            raise TenureError(Code.STORE_UNAVAILABLE, "The store is away.")
        found = await super().peek(query)
        if self.look_s:
            await asyncio.sleep(self.look_s)
        return found

    def _delay(self) -> float:
        return self.delay


class Life(NamedTuple):
    """One life of a host, from boot to death."""

    node: str
    host: Host
    lane: Line
    store: SqliteStore


class Complaints(logging.Handler):
    """Whatever the product logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        cause = "" if record.exc_info is None else f" {record.exc_info[1]!r}"
        self.said.append(record.getMessage() + cause)


class Plain:
    """A runner at the port, made of a function that yields outputs."""

    def __init__(self, work: Work, permissions: tuple[str, ...] = (HISTORY,)) -> None:
        self._work = work
        self._descriptor = Descriptor(runner="plain", permissions=permissions)

    @property
    def descriptor(self) -> Descriptor:
        """What it asks for."""
        return self._descriptor

    def run(self, context: RunContext) -> AsyncIterator[Output]:
        """One attempt."""
        return self._work(context)


def agent(
    work: Work, policy: Policy = UNHURRIED, *, name: str = "agent", permissions: tuple[str, ...] = (HISTORY,)
) -> Agent:
    """An agent made of a function; without a deadline, unless the policy says otherwise."""
    return Agent(name=name, runner=Plain(work, permissions), policy=policy)


class Rooms:
    """One disk, and the host that lives on it at the moment."""

    def __init__(self, loop: SimLoop) -> None:
        self.loop = loop
        self.disk = Disk()
        self.complaints = Complaints()
        self.tools: Tools = NO_TOOLS
        """What hosts that come up from now on can call."""
        self.fetch: Fetch = NoFetch()
        """How hosts that come up from now on reach what a URL names."""
        self.bindings: tuple[Binding, ...] = ()
        """To whom hosts that come up from now on send incoming events."""
        self.sampled = False
        """Whether hosts that come up from now on keep their figures over time."""
        self._ids = SimIds(random.Random("rooms"))
        self._life: Life | None = None
        self._lives = 0

    # --- lives of a host

    @property
    def life(self) -> Life:
        """The life of the host that is up."""
        assert self._life is not None, "No host is up."
        return self._life

    @property
    def host(self) -> Host:
        """The host that is up."""
        return self.life.host

    @property
    def lane(self) -> Line:
        """Its way to the disk."""
        return self.life.lane

    async def up(self, *agents: Agent, limits: Limits | None = None) -> None:
        """Start a host with these agents on the disk. Ada, Ben and Cy have a key each."""
        assert self._life is None, "A host is up already."
        self._lives += 1
        node = f"host{self._lives}"
        starting = self.loop.spawn(node, self._start(node, Catalogue(agents), limits or Limits()))
        self._life = await starting
        if self._lives == 1:
            for who in (ADA, BEN, CY):
                await self.give_key(who)

    async def _start(self, node: str, catalogue: Catalogue, limits: Limits) -> Life:
        lane = Line(self.loop, self.disk)
        store = await SqliteStore.opened(lane, Rules(limits=limits, terms=catalogue.terms()), self._ids)
        host = Host(
            Parts(
                store=store,
                clock=SimClock(self.loop, 0),
                ids=self._ids,
                catalogue=catalogue,
                limits=limits,
                landmarks=NoLandmarks(),
                folders=self.disk.folders,
                fetch=self.fetch,
                tools=self.tools,
                version="rooms",
                bindings=self.bindings,
                sampled=self.sampled,
            )
        )
        await host.start()
        return Life(node, host, lane, store)

    async def there(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` on the host's node, so that whatever it starts dies with the host."""
        return await self.loop.spawn(self.life.node, work)

    def crash(self) -> None:
        """kill -9: from now on nothing of the host runs."""
        self.loop.kill(self.life.node)
        self._life = None

    async def stop(self) -> float:
        """Stop the host in good order. Returns how many seconds that took."""
        life, began = self.life, self.loop.time()
        await self.there(life.host.stop())
        life.store.close()
        self.crash()
        return self.loop.time() - began

    # --- people

    async def give_key(self, who: Principal) -> None:
        """A message of somebody without a key is withdrawn."""
        wish = CreateKey(user=who.user, role=who.role, tenant=who.tenant)
        await self.there(self.host.commands.create_key(ROOT, wish, None, self._ids.secret()))

    async def open(self, name: str = "agent", *, by: Principal = ADA) -> "Talk":
        """Open a session with an agent."""
        opened = await self.there(self.host.commands.open_session(by, OpenSession(agent=name), None))
        return Talk(self, by, opened.value.id)

    async def check(self) -> None:
        """Fail if anything is wrong with what is stored, or if the host complained."""
        assert self.loop.faults == []
        assert self.complaints.said == []
        if self._life is not None and self.life.store.healthy():
            assert [v.sentence for v in await examine(self.life.store)] == []


class Talk:
    """One session and the user who talks in it. It outlives the host."""

    def __init__(self, rooms: Rooms, by: Principal, session_id: str) -> None:
        self.rooms = rooms
        self.by = by
        self.session_id = session_id

    async def send(self, ask: Content | SendMessage = "go") -> MessageReceipt:
        """Send a message and don't wait for its run."""
        wish = ask if isinstance(ask, SendMessage) else SendMessage(content=ask)
        commands = self.rooms.host.commands
        return (await self.rooms.there(commands.send(self.by, self.session_id, wish, None))).value

    async def stop(self, ask: InterruptRun | None = None) -> InterruptReceipt:
        """Interrupt the live run."""
        commands = self.rooms.host.commands
        return (
            await self.rooms.there(commands.interrupt(self.by, self.session_id, ask or InterruptRun(), None))
        ).value

    async def journal(self) -> list[Recorded]:
        """Every event of the session."""
        events: list[Recorded] = []
        while True:
            page = await self.rooms.host.store.page(self.session_id, len(events), 1_000)
            events += [
                record(seq, b"{" + line)
                for span in page.spans
                for seq, line in enumerate(lines_of(span.body), span.first)
                if seq > len(events)
            ]
            if len(events) >= page.head:
                return events

    async def until(self, fact: type[Event] | Callable[[Recorded], bool], after: int = 0) -> Recorded:
        """Wait for the first event that is such a fact."""
        async with asyncio.timeout(PATIENCE_S):
            with await self.rooms.host.fanout.follow(self.session_id, after) as follower:
                while True:
                    step = await follower.next()
                    assert not isinstance(step, Ended), step
                    for event in recorded(step) if isinstance(step, Delivery) else ():
                        if isinstance(event.event, fact) if isinstance(fact, type) else fact(event):
                            return event

    async def say(self, ask: Content | SendMessage = "go") -> list[Recorded]:
        """Send a message, wait for the end of the run that takes it; the events of that run."""
        return await self.answer(await self.send(ask))

    async def answer(self, receipt: MessageReceipt) -> list[Recorded]:
        """The events of the run that took a message, from its start to its end."""
        start = await self.until(lambda e: takes(e, receipt.message_id))
        await self.until(lambda e: e.run_id == start.run_id and isinstance(e.event, RunFinished))
        events = [event for event in await self.journal() if event.run_id == start.run_id]
        ends = [event for event in events if isinstance(event.event, RunFinished)]
        assert len(ends) == 1
        return [event for event in events if event.seq <= ends[0].seq]

    async def transcript(self) -> list[TranscriptItem]:
        """What was said, oldest first."""
        return list((await self.rooms.host.store.transcript(self.session_id, None, 1_000)).data)

    async def lines(self) -> list[tuple[str, Content, str]]:
        """What was said, oldest first: by whom, what, and how far it came."""
        return [(item.role, item.content, item.status) for item in await self.transcript()]

    async def run(self, receipt: MessageReceipt | str) -> RunInfo:
        """A run by its id or its message's receipt."""
        run_id = receipt if isinstance(receipt, str) else receipt.run_id
        info = await self.rooms.host.store.run(run_id or "")
        assert info is not None
        return info


async def talk_with(rooms: Rooms, work: Work, policy: Policy = UNHURRIED) -> Talk:
    """A session with an agent made of `work`."""
    await rooms.up(agent(work, policy))
    return await rooms.open()


def takes(event: Recorded, message_id: str) -> bool:
    """Whether the event is the start of the run that took a message."""
    return isinstance(event.event, RunStarted) and event.event.trigger.id == message_id


def recorded(delivery: Delivery) -> list[Recorded]:
    """The events of a delivery."""
    return [record(seq, b"{" + rest) for seq, rest in enumerate(lines_of(delivery.body), delivery.first)]


def facts(events: Iterable[Recorded]) -> list[object]:
    """What happened, without the start of the run."""
    return [event.event for event in events if not isinstance(event.event, RunStarted)]


def said(events: Iterable[Recorded]) -> str:
    """The text of all deltas."""
    return "".join(event.event.text for event in events if isinstance(event.event, MessageDelta))


def warnings(events: Iterable[Recorded]) -> list[str]:
    """The codes of all warnings."""
    return [event.event.code for event in events if isinstance(event.event, RunnerWarning)]


def end(events: Iterable[Recorded]) -> tuple[str, str]:
    """Status and reason of the run."""
    (finished,) = [event.event for event in events if isinstance(event.event, RunFinished)]
    return finished.status, finished.reason


def second(at: Micros) -> float:
    """A moment as seconds since the test began."""
    return (at - EPOCH) / SECOND


def lasted(events: list[Recorded], since: type[Event] = RunStarted) -> float:
    """Seconds from the first event of a kind to the last event."""
    first = next(event for event in events if isinstance(event.event, since))
    return (events[-1].at - first.at) / SECOND


def in_virtual_time(test: Callable[Concatenate[Rooms, P], Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on the deterministic loop, in every order of ORDERS, and check what it leaves."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        for seed in ORDERS:
            try:
                play(lambda rooms: test(rooms, *args, **kwargs), seed)
            except BaseException as failure:
                failure.add_note(f"Ready steps were taken {'in order' if seed is None else f'as by {seed}'}.")
                raise

    # For pytest, whose fixtures are all parameters but the first.
    signature = inspect.signature(test)
    rest = list(signature.parameters.values())[1:]
    run.__dict__["__signature__"] = signature.replace(parameters=rest)
    return run


def play(test: Callable[[Rooms], Coroutine[Any, Any, None]], seed: int | None) -> None:
    """Run one test in one order of ready steps."""
    loop = SimLoop(seed or 0, shuffle=seed is not None)
    rooms = Rooms(loop)
    logging.getLogger("tenure").addHandler(rooms.complaints)
    try:
        loop.run(_checked(rooms, test))
    finally:
        loop.close()
        logging.getLogger("tenure").removeHandler(rooms.complaints)
        rooms.disk.close()


async def _checked(rooms: Rooms, test: Callable[[Rooms], Coroutine[Any, Any, None]]) -> None:
    await test(rooms)
    await rooms.check()
