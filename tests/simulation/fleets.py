"""One seed, one schedule of several hosts: clients and trouble act, all comes to rest, and is judged."""

import asyncio
import random
from contextlib import suppress

import msgspec

from tenure.core.limits import Limits
from tenure.core.moment import SECOND
from tenure.errors import TenureError
from tests.simulation.cluster import Cluster
from tests.simulation.everyone import PENDING, Everyone
from tests.simulation.judge import judge
from tests.simulation.loop import SimLoop
from tests.simulation.outages import outages
from tests.simulation.people import Client, Reader
from tests.simulation.schedule import USERS, YES, Outcome, catch_up
from tests.simulation.takeovers import judge_hosts, judge_steering, judge_writers
from tests.simulation.world import DAY, DESK, ROOT, Life, Unreachable

FLEETS: dict[str, type[Client]] = {"cluster": Client, "crowd": Everyone}
"""Which people act in a schedule of several hosts, by the word that replays it."""
QUIET_S = 400
IDLE_S = 10
LAG_S = 4.0
"""How far readers may be behind when all hints are lost: a poll, and a slow database."""
MOST_STEPS = 600_000


def run(seed: int, kind: type[Client] = Client) -> Outcome:
    """Run the schedule of `seed` on two to four hosts. The same seed gives the same outcome."""
    draw = random.Random(f"fleet {seed}")
    loop = SimLoop(seed, shuffle=seed % 4 != 0, max_steps=MOST_STEPS)
    cluster = Cluster(loop, seed, _limits(draw, kind), draw.choice((2, 2, 3, 4)))
    # Approvals and recalls go by the clocks of hosts, which NTP holds together; leases by the database's.
    cluster.skew = round(draw.choice((0, 0.3)) * SECOND) if kind is Everyone else DAY
    try:
        loop.run(_live(cluster, seed, kind))
    except (AssertionError, RuntimeError) as error:
        cluster.fault(f"{type(error).__name__}: {error}")
    finally:
        cluster.faults += [f"a callback raised {fault.get('exception')!r}" for fault in loop.faults]
        outcome = Outcome(cluster.faults, cluster.log, loop.trace, loop.steps, cluster.disk.journals())
        loop.close()
        cluster.close()
    return outcome


def _limits(draw: random.Random, kind: type[Client]) -> Limits:
    limits = Limits(live_runs=draw.choice((1, 2, 100)), live_runs_per_user=draw.choice((1, 2, 100)))
    if kind is Client:
        return limits
    return msgspec.structs.replace(
        limits, approval_ttl_s=draw.choice((60, 864_000)), hold_s=draw.choice((0.5, 900.0))
    )


async def _live(cluster: Cluster, seed: int, kind: type[Client]) -> None:
    draw = random.Random(f"schedule {seed}")
    await cluster.boot()
    await cluster.welcome((*USERS, DESK))
    clients = [kind(cluster, draw.choice(USERS), number, seed) for number in range(draw.randint(1, 3))]
    if draw.random() < 0.5:
        shared: list[str] = []
        for client in clients:
            client.sessions = shared
    worry = cluster.loop.spawn("outages", outages(cluster, clients, draw))
    acting = [cluster.loop.spawn(c.name, _act(c, worry, draw.randint(3, 9))) for c in clients]
    await asyncio.gather(*acting, worry)
    await put_right(cluster)
    if cluster.faults:
        return  # the rest of the story would only take time
    await settle_down(cluster)
    if draw.random() < 0.6:
        await _answer_all(cluster)
        await settle_down(cluster)
    readers = [*(r for c in clients for r in c.readers), *await _latecomers(cluster)]
    await catch_up(cluster, readers, LAG_S)
    await judge(cluster)
    judge_writers(cluster)
    judge_hosts(cluster)
    judge_steering(cluster)
    for life in cluster.lives():
        if life.host.fanout.streams:
            cluster.fault(f"{life.host.fanout.streams} streams are left at {life.node}")


async def _act(client: Client, worry: "asyncio.Task[None]", steps: int) -> None:
    """Do things, a few more than that as long as there is trouble."""
    while steps > 0 or not worry.done():
        await client.act(1)
        steps -= 1
        await asyncio.sleep(client.draw.choice((0, 0.2, 1, 6) if steps > 0 else (1, 6, 15)))


async def put_right(cluster: Cluster) -> None:
    """No more trouble: every host is there, goes on, and reaches the database. Hints may still be lost."""
    cluster.troubles += 1
    cluster.returns.update(berth.node for berth in cluster.berths)
    cluster.shore.away = False
    cluster.shore.cut.clear()
    cluster.shore.slow.clear()
    for berth in cluster.berths:
        berth.trap.landmark = None
        cluster.thaw_at(berth)
        if berth.life is None or berth.life.host.draining:
            cluster.kill_at(berth, "in the middle of its start or stop")
    await cluster.boot()


async def settle_down(cluster: Cluster) -> None:
    """Every run must end or wait for people, and every queue that isn't held must empty itself."""
    idle = 0
    figures = None
    for _ in range(QUIET_S):
        await asyncio.sleep(1)
        figures = await (await cluster.living()).store.figures()
        idle = idle + 1 if figures.queued_runs and not figures.live_runs else 0
        if idle > IDLE_S:
            cluster.fault(f"{figures.queued_runs} runs wait for a slot though all slots are free")
            return
        if not figures.live_runs and not figures.queued_runs:
            return
    cluster.fault(f"no quiet after {QUIET_S} s: {figures}")


async def _answer_all(cluster: Cluster) -> None:
    """Somebody answers whatever is asked, at any host, until nothing is."""
    for _ in range(QUIET_S):
        store = (await cluster.living()).store
        page = await store.approvals.page(PENDING, None, 100)
        for found in page.data:
            with suppress(TenureError, Unreachable):  # it may expire at this very moment
                await cluster.ask(lambda life, i=found.id: life.host.approvals.decide(ROOT, i, YES, None))
        figures = await store.figures()
        if not page.data and not figures.live_runs and not figures.queued_runs:
            return
        await asyncio.sleep(1)
    cluster.fault("runs ask again and again")


async def _latecomers(cluster: Cluster) -> list[Reader]:
    """One more reader at each host for some session, to begin with nothing and get it all."""
    found = sorted(each for each in cluster.notes if cluster.disk.head(each) is not None)
    readers: list[Reader] = []
    for life in cluster.lives():
        if found:
            readers.append(StayingReader(cluster, cluster.chance.choice(found), 0, life))
    for reader in readers:
        reader.task = cluster.loop.spawn("latecomer", reader.read())
    return readers


class StayingReader(Reader):
    """Reads at one host only."""

    def __init__(self, cluster: Cluster, session_id: str, seed: int, life: Life) -> None:
        super().__init__(cluster, session_id, seed)
        self.place = life

    async def host(self) -> Life:
        """Its place, until that is gone."""
        return await self.world.living() if self.place.over.done() else self.place
