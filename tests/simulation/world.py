"""The simulated world: one disk, one host at a time, a network, and everything that clients observed.

Hosts run real rooms over the real SQLite store; only the loop, the lane, the clock and the ids are ours.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import msgspec

from tenure.core.binding import ANY, Binding, BindingScope, ScopeType
from tenure.core.command import CreateKey
from tenure.core.evidence import Acknowledged, Connection, Observed
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.moment import SECOND, Micros
from tenure.core.principal import Principal, Role
from tenure.core.rules import Rules
from tenure.core.view import TranscriptPage
from tenure.errors import TenureError
from tenure.host.host import Host, Parts
from tenure.ports.landmarks import Landmark
from tenure.stores.relational.store import RelationalStore
from tenure.stores.sqlite.store import SqliteStore
from tests.simulation.agents import catalogue
from tests.simulation.almanac import Almanac
from tests.simulation.lane import Disk, Killed, SimLane
from tests.simulation.loop import NODE, SimLoop
from tests.simulation.outside import Outside, Toolshed
from tests.simulation.shore import SharedLane

T = TypeVar("T")

EPOCH = 1_700_000_000 * SECOND
DAY = 86_400 * SECOND
DESK = Principal(tenant="acme", user="desk", role=Role.OPERATOR, key_id="key_desk")
"""The connector that posts what happens on a platform."""
BINDING = Binding(
    id="bnd_1",
    tenant="acme",
    agent="diligent",
    scope=BindingScope(type=ScopeType.GLOBAL),
    event_types=(ANY,),
    when_busy=BusyPolicy.STEER,
)
ROOT = Principal(tenant="default", user="root", role=Role.ADMIN, key_id="key_root", root=True)


class Unreachable(Exception):
    """The host died, or the network failed: whether the command was done is unknown."""


class SimClock:
    """Virtual time; the wall clock of each host is off by up to a day."""

    def __init__(self, loop: SimLoop, skew: int) -> None:
        self._loop = loop
        self._skew = skew

    def now(self) -> Micros:
        return Micros(EPOCH + self._skew + int(self._loop.time() * SECOND))

    def monotonic(self) -> float:
        return self._loop.time()

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._skew += round(seconds * SECOND)

    def set(self, seconds: float) -> None:
        """Somebody sets the wall clock to so much off what is right."""
        self._skew = round(seconds * SECOND)


class SimIds:
    """Ids drawn from the seed."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def new(self, prefix: str) -> str:
        return f"{prefix}{self._draw.getrandbits(128):032x}"

    def secret(self) -> str:
        return f"{self._draw.getrandbits(256):064x}"[:43]


class Trap(msgspec.Struct):
    """Kills the host when it passes a landmark for the n-th time from now."""

    landmark: Landmark | None = None
    countdown: int = 0


class SimLandmarks:
    """Springs the trap. Inside a batch the host dies on the spot, elsewhere at the end of the step."""

    def __init__(self, world: "World", node: str) -> None:
        self._world = world
        self._node = node

    def passed(self, landmark: Landmark) -> None:
        trap = self._world.trap
        if trap.landmark is not landmark or not self._world.loop.alive(self._node):
            return
        trap.countdown -= 1
        if trap.countdown > 0:
            return
        trap.landmark = None
        self._world.kill(f"at {landmark}")
        if landmark in (Landmark.BATCH_BEGUN, Landmark.COMMIT_BEFORE, Landmark.COMMIT_AFTER):
            raise Killed


class Life(NamedTuple):
    """One life of a host, from boot to death."""

    node: str
    host: Host
    store: RelationalStore
    lane: SimLane | SharedLane
    over: "asyncio.Future[None]"
    clock: SimClock


@dataclass
class Notes:
    """What the clients of one session were told and shown."""

    acknowledged: list[Acknowledged] = field(default_factory=list[Acknowledged])
    readers: list[list[tuple[int, list[bytes]]]] = field(default_factory=list[list[tuple[int, list[bytes]]]])
    transcripts: list[TranscriptPage] = field(default_factory=list[TranscriptPage])
    deletion_asked: bool = False

    def observed(self) -> Observed:
        """For the invariant checker."""
        return Observed(
            acknowledged=tuple(self.acknowledged),
            readers=tuple(tuple(Connection(a, tuple(f)) for a, f in reader) for reader in self.readers),
            deletion_asked=self.deletion_asked,
        )


class _Complaints(logging.Handler):
    """A host that logs an error in simulation has a bug."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.zombies: set[str] = set()
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        if NODE.get() in self.zombies:
            return  # it has every reason to complain
        cause = "" if record.exc_info is None else f" {record.exc_info[1]!r}"
        self._faults.append(f"logged: {record.getMessage()}{cause}")


class World:
    """Everything there is in one simulation."""

    def __init__(self, loop: SimLoop, seed: int, limits: Limits) -> None:
        self.loop = loop
        self.draw = random.Random(f"world {seed}")
        self.limits = limits
        self.disk = Disk()
        self.outside = Outside()
        self.outside.heads = self.disk.head
        self.tools = Toolshed(self.outside, self.disk.effect, self.disk.head)
        self.connector = DESK
        self.ids = SimIds(random.Random(f"ids {seed}"))
        self.trap = Trap()
        self.notes: dict[str, Notes] = {}
        self.faults: list[str] = []
        self.log: list[str] = []
        self.times_full = 0
        self.skew = DAY
        self.stop_s = 13.0
        """A stop ends a run within 5 s of asking and 5 s of cancelling; the rest is for the slowest disk."""
        self.almanac = Almanac()
        self.life: Life | None = None
        self._lives = 0
        self._body: tuple[str, asyncio.Future[None]] = ("nobody", loop.create_future())
        self._up = asyncio.Event()
        self._complaints = _Complaints(self.faults)
        logging.getLogger("tenure").addHandler(self._complaints)

    def close(self) -> None:
        """Free what the simulation holds outside its loop."""
        logging.getLogger("tenure").removeHandler(self._complaints)
        self.disk.close()

    def say(self, what: str) -> None:
        """Write a line into the story of this world."""
        self.log.append(f"{self.loop.time():9.4f} {NODE.get():>9} {what}")

    def fault(self, what: str) -> None:
        """Something is wrong."""
        self.say(f"FAULT {what}")
        self.faults.append(what)

    def notes_of(self, session_id: str) -> Notes:
        """The notes of a session."""
        return self.notes.setdefault(session_id, Notes())

    # --- hosts

    async def boot(self) -> None:
        """Start a host on the disk. One that dies or fails while it starts is started again."""
        while self.life is None:
            self._lives += 1
            node, over = f"host{self._lives}", self.loop.create_future()
            self._body = node, over
            self.say(f"boot {node}")
            starting = self.loop.spawn(node, self._start(node, over))
            await asyncio.wait([starting, over], return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                continue
            failure = starting.exception()
            if failure is None:
                self.life = starting.result()
                self._up.set()
                continue
            if not isinstance(failure, TenureError):
                self.fault(f"boot failed: {failure!r}")
            self.kill(f"for it can't start: {failure}")
            await asyncio.sleep(1)

    async def _start(self, node: str, over: "asyncio.Future[None]") -> Life:
        landmarks = SimLandmarks(self, node)
        agents = catalogue(self.outside, self.almanac)
        lane = SimLane(self.loop, self.disk, landmarks)
        rules = Rules(limits=self.limits, terms=agents.terms())
        store = await SqliteStore.opened(lane, rules, self.ids)
        clock = SimClock(self.loop, self.draw.randint(-self.skew, self.skew))
        host = Host(
            Parts(
                store=store,
                clock=clock,
                ids=self.ids,
                catalogue=agents,
                limits=self.limits,
                landmarks=landmarks,
                folders=self.disk.folders,
                bindings=(BINDING,),
                tools=self.tools,
                version="simulated",
            )
        )
        await host.start()
        return Life(node, host, store, lane, over, clock)

    def kill(self, why: str) -> None:
        """kill -9 the host that lives or starts."""
        node, over = self._body
        if over.done():
            return
        self.say(f"kill {node} {why}")
        self.loop.kill(node)
        self.life = None
        self._up.clear()
        over.set_result(None)

    async def restart(self, why: str) -> None:
        """Kill the host, and start another one."""
        self.kill(why)
        await self.boot()

    async def freeze(self) -> Life:
        """SIGSTOP the host. What it had sent to the disk is written; nobody can reach it any more."""
        life = await self.living()
        self.say(f"freeze {life.node}")
        assert isinstance(life.lane, SimLane)
        life.lane.flush()
        self.disk.shared = True
        self._complaints.zombies.add(life.node)
        self.loop.freeze(life.node)
        self.life = None
        self._up.clear()
        life.over.set_result(None)
        return life

    def thaw(self, life: Life) -> None:
        """SIGCONT: it goes on and doesn't know that it was replaced."""
        self.say(f"thaw {life.node}")
        self.loop.thaw(life.node)

    def bury(self, life: Life) -> None:
        """kill -9 a host that was replaced."""
        self.say(f"bury {life.node}")
        self.loop.kill(life.node)

    async def stop(self) -> None:
        """Stop the host in good order."""
        life = self.life
        if life is None:
            return
        self.say(f"stop {life.node}")
        stopping = self.loop.spawn(life.node, life.host.stop())
        await asyncio.wait([stopping, life.over], return_when=asyncio.FIRST_COMPLETED)
        if life.over.done():
            return
        if stopping.exception() is not None:
            self.fault(f"stop failed: {stopping.exception()!r}")
        life.store.close()
        self.kill("after its stop")

    def date(self) -> Micros:
        """What a clock says that is right."""
        return Micros(EPOCH + int(self.loop.time() * SECOND))

    def era(self, run_id: str) -> object:
        """What is the same as long as nothing goes wrong that concerns a run; None while something does."""
        return None if self.life is None or self.disk.full else (self.life.node, self.times_full)

    async def living(self) -> Life:
        """The host that is up; waits until there is one."""
        while self.life is None:
            await self._up.wait()
        return self.life

    # --- the network

    def latency(self) -> float:
        """How long a packet takes."""
        return self.draw.choice((0.0, 0.000_1, 0.001, 0.02, 0.3))

    async def ask(self, act: Callable[[Life], Awaitable[T]]) -> T:
        """Let the host serve a request. Raises what the host raises, or Unreachable."""
        life = await self.living()
        await asyncio.sleep(self.latency())
        serving = self.loop.spawn(life.node, serve(life, act))
        await asyncio.wait([serving, life.over], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(self.latency())
        if not serving.done() or serving.cancelled() or self.draw.random() < 0.01:
            raise Unreachable
        answer = serving.result()
        if isinstance(answer, TenureError):
            raise answer
        return answer

    async def welcome(self, users: Iterable[Principal]) -> None:
        """Give every user a key; a message of somebody without one is withdrawn."""
        for user in users:
            wish = CreateKey(user=user.user, role=user.role, tenant=user.tenant)
            await self._make_key(wish)

    async def _make_key(self, wish: CreateKey) -> None:
        while True:
            secret = self.ids.secret()
            with suppress(Unreachable):
                await self.ask(
                    lambda life, drawn=secret: life.host.commands.create_key(ROOT, wish, None, drawn)
                )
                return


async def serve(life: Life, act: Callable[[Life], Awaitable[T]]) -> T | TenureError:
    """The host's side of a request."""
    try:
        return await act(life)
    except TenureError as refusal:
        return refusal
