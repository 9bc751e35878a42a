"""Several hosts over one database in simulation, behind a balancer that knows nothing of sessions."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.core.run import RUN, RunState
from tenure.errors import Code, TenureError
from tenure.host.host import Host, Parts
from tenure.ports.hosts import HostCard
from tenure.ports.landmarks import Landmark
from tests.simulation.agents import catalogue
from tests.simulation.airwaves import Airwaves, SimSignals
from tests.simulation.lane import Killed
from tests.simulation.loop import NODE, SimLoop
from tests.simulation.outside import Toolshed
from tests.simulation.shared_store import SharedStore
from tests.simulation.shore import SharedLane, Shore
from tests.simulation.world import BINDING, Life, SimClock, Trap, Unreachable, World, serve

T = TypeVar("T")

LEASE_S = 10.0
HANG_UP_S = 25.0
"""How long a client waits for a host that doesn't answer."""


class Berth:
    """Where a host lives, one life after the other."""

    def __init__(self, name: str, over: "asyncio.Future[None]") -> None:
        self.name = name
        self.node = name
        self.lives = 0
        self.life: Life | None = None
        self.lane: SharedLane | None = None
        self.over = over
        self.frozen = False
        self.trap = Trap()
        self.up_since = 0.0
        self.ended = True

    @property
    def serves(self) -> bool:
        """Whether clients can be sent there."""
        return self.life is not None and not self.frozen


class ClusterLandmarks:
    """Springs the trap of one host."""

    def __init__(self, cluster: "Cluster", berth: Berth, node: str) -> None:
        self._cluster = cluster
        self._berth = berth
        self._node = node

    def passed(self, landmark: Landmark) -> None:
        trap = self._berth.trap
        if trap.landmark is not landmark or self._berth.node != self._node:
            return
        trap.countdown -= 1
        if trap.countdown > 0:
            return
        trap.landmark = None
        self._cluster.kill_at(self._berth, f"at {landmark}")
        if landmark in (Landmark.BATCH_BEGUN, Landmark.COMMIT_BEFORE, Landmark.COMMIT_AFTER):
            raise Killed


class Cluster(World):
    """A world of several hosts. Whoever asks is sent to any of them."""

    def __init__(self, loop: SimLoop, seed: int, limits: Limits, hosts: int) -> None:
        super().__init__(loop, seed, limits)
        self.chance = random.Random(f"cluster {seed}")
        self.shore = Shore(loop, self.disk, limits)
        self.shore.faults = self.faults
        self.disk.shared = True
        self.airwaves = Airwaves(loop, self.shore, random.Random(f"airwaves {seed}"))
        self.tools = Toolshed(self.outside, self._entering, self.disk.head)
        self.outside.working = self._working
        self.thawed: dict[str, float] = {}
        """When each host went on that was frozen."""
        self.harmed: set[str] = set()
        """Hosts that something happened to."""
        self.berths = [Berth(name, loop.create_future()) for name in "abcd"[:hosts]]
        self.troubles = 0
        self.returns: Counter[str] = Counter()
        """How often each host came back from silence."""
        self.outages = 0
        self.stop_s = 16.0

    # --- hosts

    async def boot(self) -> None:
        """Start a host wherever there is none."""
        await asyncio.gather(*(self._boot_some_time(berth) for berth in self.berths))

    async def _boot_some_time(self, berth: Berth) -> None:
        """Hosts don't start at the same moment, and so don't renew at the same moments."""
        await asyncio.sleep(self.chance.choice((0.0, 0.8, 1.7, 2.6)))
        await self.boot_at(berth)

    async def boot_at(self, berth: Berth) -> None:
        """Start a host there, again if it dies or fails while it starts."""
        while berth.life is None:
            if not berth.ended:  # another one is at it
                await asyncio.sleep(1)
                continue
            berth.lives += 1
            berth.ended = False
            berth.node, berth.over = f"{berth.name}{berth.lives}", self.loop.create_future()
            node, over = berth.node, berth.over
            self.say(f"boot {node}")
            starting = self.loop.spawn(node, self._start_at(berth))
            await asyncio.wait([starting, over], return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                continue
            failure = starting.exception()
            if failure is None:
                berth.life = starting.result()
                berth.up_since = self.loop.time()
                self._elect()
                continue
            if not isinstance(failure, TenureError):
                self.fault(f"boot failed: {failure!r}")
            self.kill_at(berth, f"for it can't start: {failure}")
            await asyncio.sleep(1)

    async def _start_at(self, berth: Berth) -> Life:
        node, over = berth.node, berth.over
        landmarks = ClusterLandmarks(self, berth, node)
        agents = catalogue(self.outside, self.almanac)
        lane = berth.lane = SharedLane(self.loop, self.shore, landmarks, node)
        rules = Rules(limits=self.limits, terms=agents.terms())
        store = await SharedStore.over(lane, rules, self.ids)
        clock = SimClock(self.loop, self.chance.randint(-self.skew, self.skew))
        parts = Parts(
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
            card=HostCard(name=node, version="simulated", slots=self.limits.live_runs, lease_s=LEASE_S),
            signals=SimSignals(self.airwaves, node),
        )
        host = Host(parts)
        await host.start()
        return Life(node, host, store, lane, over, clock)

    def kill_at(self, berth: Berth, why: str) -> None:
        """kill -9 the host that lives or starts there. What it had sent may arrive yet."""
        if berth.over.done() or berth.ended:
            return
        self.say(f"kill {berth.node} {why}")
        self.loop.kill(berth.node)
        if berth.lane is not None:
            berth.lane.strand(self.chance)
        berth.life, berth.frozen, berth.ended = None, False, True
        self.shore.cut.discard(berth.node)
        self.shore.slow.discard(berth.node)
        berth.over.set_result(None)
        self._elect()

    def kill(self, why: str) -> None:
        """kill -9 all of them."""
        for berth in self.berths:
            self.kill_at(berth, why)

    def freeze_at(self, berth: Berth) -> None:
        """SIGSTOP the host. Some of what it was about to send is sent."""
        assert berth.lane is not None
        self.say(f"freeze {berth.node}")
        berth.lane.flush(self.chance)
        berth.frozen = True
        self.harmed.add(berth.node)
        self.loop.freeze(berth.node)
        self._elect()

    def thaw_at(self, berth: Berth) -> None:
        """SIGCONT: it goes on, and may have been replaced."""
        if berth.frozen:
            self.say(f"thaw {berth.node}")
            berth.frozen = False
            self.returns[berth.node] += 1
            self.thawed[berth.node] = self.loop.time()
            self.loop.thaw(berth.node)
            self._elect()

    async def stop_at(self, berth: Berth) -> None:
        """Stop a host in good order."""
        life, over = berth.life, berth.over
        if life is None or berth.frozen:
            return
        self.say(f"stop {life.node}")
        stopping = self.loop.spawn(life.node, life.host.stop())
        await asyncio.wait([stopping, over], return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            return
        if stopping.exception() is not None:
            self.fault(f"stop failed: {stopping.exception()!r}")
        life.store.close()
        self.kill_at(berth, "after its stop")

    def _elect(self) -> None:
        """`life` is one of those that clients can be sent to."""
        served = [berth.life for berth in self.berths if berth.life is not None and berth.serves]
        self.life = served[0] if served else None
        if self.life is None:
            self._up.clear()
        else:
            self._up.set()

    async def living(self) -> Life:
        """Any host that serves; the balancer sends nobody to one that drains, if it can help it."""
        while self.life is None:
            await self._up.wait()
        served = [berth.life for berth in self.berths if berth.life is not None and berth.serves]
        ready = [life for life in served if not life.host.draining]
        return self.chance.choice(ready or served)

    def lives(self) -> list[Life]:
        """All hosts that serve."""
        return [berth.life for berth in self.berths if berth.life is not None and berth.serves]

    def era(self, run_id: str) -> object:
        """Which host holds the run, if it is well, and how often it wasn't."""
        held = self.shore.holder(run_id)
        for berth in self.berths:
            if held is not None and held[0] in self.shore.lives.get(berth.node, ()):
                well = berth.serves and self.shore.reaches(berth.node) and berth.node not in self.shore.slow
                return (held[0], self.returns[berth.node], self.outages) if well else None
        return None

    # --- the network

    async def ask(self, act: Callable[[Life], Awaitable[T]]) -> T:
        """Let any host serve a request. Raises what it raises, or Unreachable."""
        life = await self.living()
        await asyncio.sleep(self.latency())
        serving = self.loop.spawn(life.node, serve(life, act))
        await asyncio.wait([serving, life.over], timeout=HANG_UP_S, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(self.latency())
        if not serving.done() or serving.cancelled() or self.draw.random() < 0.01:
            raise Unreachable
        answer = serving.result()
        if isinstance(answer, TenureError):
            if answer.code in (Code.STORE_UNAVAILABLE, Code.DRAINING):
                raise Unreachable  # a client tries again, and is sent to another host perhaps
            raise answer
        return answer

    # --- effects

    def _entering(self, call_id: str) -> tuple[str, str] | None:
        """A tool is called: by a host that holds its lease, and the run."""
        self._holds(self.shore.run_of(call_id), f"called the tool of {call_id}")
        return self.disk.effect(call_id)

    def _working(self, run_id: str) -> None:
        """An agent goes on. One whose host was frozen needs a moment to be told that it is over."""
        if self.loop.time() - self.thawed.get(NODE.get(), -1.0) > 1.0:
            self._holds(run_id, "went on")

    def _holds(self, run_id: str | None, what: str) -> None:
        held = None if run_id is None else self.shore.holder(run_id)
        if held is None or held[1] in RUN.terminal:
            return
        node, (life, state) = NODE.get(), held
        if life is None and state == RunState.WAITING:
            return  # let go this very moment: nobody has taken it over
        left = None if life is None else self.shore.expires_in(life)
        if life not in self.shore.lives.get(node, ()) or left is None or left < 0:
            self.fault(f"{node} {what} in {run_id} ({state}), which life {life} holds for {left} s")
