"""What goes wrong among several hosts: kills, freezes, partitions, outages, drains, slowness, lost hints."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from tenure.core.command import SendMessage
from tenure.core.message import BusyPolicy
from tenure.ports.landmarks import Landmark
from tests.simulation.cluster import LEASE_S, Berth, Cluster
from tests.simulation.people import Client
from tests.simulation.shore import Ambush

SLACK_S = 6.0
"""How much more than two leases the slowest database may cost until a run has moved."""


class Held(NamedTuple):
    """What a host held when it went silent, and who could have taken it."""

    node: str
    runs: set[str]
    lives: set[int]
    others: tuple[str, ...]


def holder(cluster: Cluster, draw: random.Random) -> Berth | None:
    """Whoever holds most live runs, mostly; else anybody that is up."""
    up = [berth for berth in cluster.berths if berth.life is not None and not berth.frozen]
    if not up:
        return None
    if draw.random() < 0.3:
        return draw.choice(up)
    return max(up, key=lambda berth: len(cluster.shore.held(berth.node)))


def watch(cluster: Cluster, berth: Berth) -> None:
    """Whatever a host holds that goes silent now is somebody else's within two leases."""
    others = tuple(
        other.node
        for other in cluster.berths
        if other is not berth and able(cluster, other) and cluster.loop.time() - other.up_since > LEASE_S
    )
    lives = set(cluster.shore.lives.get(berth.node, ()))
    held = Held(berth.node, cluster.shore.held(berth.node), lives, others)
    if held.runs and others:
        cluster.loop.spawn("watch", _moved(cluster, held, cluster.troubles))


def able(cluster: Cluster, berth: Berth) -> bool:
    """Whether a host is in a state to take over what others held."""
    return berth.serves and cluster.shore.reaches(berth.node) and berth.node not in cluster.shore.slow


async def _moved(cluster: Cluster, held: Held, troubles: int) -> None:
    back = cluster.returns[held.node]
    await asyncio.sleep(2 * LEASE_S + SLACK_S)
    if cluster.returns[held.node] != back:
        return
    nodes = {berth.node for berth in cluster.berths if able(cluster, berth)}
    if not nodes & {*held.others} or cluster.troubles != troubles:
        return  # there was more trouble than this one
    for run_id in sorted(held.runs):
        query = "SELECT owner, state FROM run WHERE id = ?"
        row = cluster.disk.db.execute(query, (run_id,)).fetchone()
        if row is not None and row[0] in held.lives:
            cluster.fault(f"{held.node} is silent, and {run_id} ({row[1]}) is still its after two leases")


async def outages(cluster: Cluster, clients: Sequence[Client], draw: random.Random) -> None:
    """A few troubles, each where it hurts most: in the middle of work. Some clusters are spared."""
    for _ in range(draw.choice((0, 1, 2, 3, 3, 4))):
        for _ in range(draw.choice((0, 1, 1, 2))):
            await labour(draw.choice(clients), draw)
        await asyncio.sleep(draw.choice((0.0, 0.05, 0.5, 2.0, 5.0)))
        (kind,) = draw.choices(TROUBLES, weights=[weight for _, weight in TROUBLES])
        if draw.random() < 0.25:
            await converse(draw.choice(clients), draw)
            continue
        cluster.troubles += 1
        await kind[0](cluster, draw)
        if draw.random() < 0.3:
            await asyncio.sleep(2 * LEASE_S + SLACK_S + 1)  # long enough to see that everything moves


async def converse(client: Client, draw: random.Random) -> None:
    """Nothing goes wrong: a run is spoken to and stopped while it works, at whatever hosts."""
    session_id = await labour(client, draw)
    if session_id is None:
        return
    for _ in range(3):
        await say(client, session_id, "SAY so", BusyPolicy.STEER)
        await asyncio.sleep(draw.choice((0.1, 0.7)))
    await asyncio.sleep(draw.choice((1.0, 9.0)))
    await client.interrupt(session_id)
    await asyncio.sleep(client.world.stop_s + 0.5)


async def labour(client: Client, draw: random.Random) -> str | None:
    """Something that takes a while. Returns the session, if it was taken."""
    if not client.sessions:
        await client.open()
    if not client.sessions:
        return None
    session_id = client.pick()
    words = f"SLOW {draw.choice((20, 40, 70))} {draw.choice((300, 500))}"
    return session_id if await say(client, session_id, words, BusyPolicy.QUEUE) else None


async def say(client: Client, session_id: str, words: str, policy: BusyPolicy) -> bool:
    """Send a message, and note its receipt."""
    wish = SendMessage(content=f"{words}\n# {client.name}.{client.asked} long", when_busy=policy)
    answer = await client.command(
        f"labour {session_id[-4:]}",
        lambda life, idem: life.host.commands.send(client.user, session_id, wish, idem),
    )
    if answer is not None:
        client.note(session_id, answer.value.seq, "message.admitted", answer.value.message_id)
    return answer is not None


async def caught_writing(cluster: Cluster, draw: random.Random, *, owners: bool = True) -> Berth | None:
    """Whoever holds most runs, in the middle of writing something."""
    berth = holder(cluster, draw)
    if berth is None or berth.lane is None or draw.random() < 0.2:
        return berth
    sprung: asyncio.Future[None] = cluster.loop.create_future()
    berth.lane.ambush = Ambush(draw.choice((1, 2, 3, 5, 8)), owners=owners, sprung=sprung)
    await asyncio.wait([sprung, berth.over], timeout=4.0, return_when=asyncio.FIRST_COMPLETED)
    return None if berth.life is None or berth.frozen else berth


async def kill(cluster: Cluster, draw: random.Random) -> None:
    berth = await caught_writing(cluster, draw)
    if berth is None:
        return
    watch(cluster, berth)
    cluster.kill_at(berth, "who holds the runs")
    await asyncio.sleep(draw.choice((0, 0.3, 5.0, 30.0)))
    await cluster.boot_at(berth)


async def trap(cluster: Cluster, draw: random.Random) -> None:
    """Kill a host at a landmark."""
    berth = holder(cluster, draw)
    if berth is None:
        return
    berth.trap.landmark = draw.choice(tuple(Landmark))
    berth.trap.countdown = draw.choice((1, 2, 5))
    await asyncio.sleep(draw.choice((0.5, 3.0)))
    berth.trap.landmark = None
    await cluster.boot_at(berth)


async def freeze(cluster: Cluster, draw: random.Random) -> None:
    """SIGSTOP whoever holds the runs, past its lease or not, and let it go on."""
    berth = await caught_writing(cluster, draw)
    if berth is None:
        return
    watch(cluster, berth)
    cluster.freeze_at(berth)
    await asyncio.sleep(draw.choice((1.0, 8.5, 11.0, 14.0, 28.0)))
    if draw.random() < 0.1:
        cluster.kill_at(berth, "while it is frozen")
        await cluster.boot_at(berth)
    cluster.thaw_at(berth)


async def part(cluster: Cluster, draw: random.Random) -> None:
    """Cut whoever holds the runs off from the database; its clients still reach it."""
    berth = await caught_writing(cluster, draw, owners=draw.random() < 0.5)
    if berth is None:
        return
    watch(cluster, berth)
    node = berth.node
    cluster.say(f"cut off {node}")
    cluster.shore.cut.add(node)
    cluster.harmed.add(node)
    await asyncio.sleep(draw.choice((0.5, 4.0, 7.5, 9.0, 12.0, 28.0)))
    cluster.say(f"heal {node}")
    cluster.shore.cut.discard(node)
    cluster.returns[node] += 1


async def away(cluster: Cluster, draw: random.Random) -> None:
    """Nobody reaches the database. That kills nobody."""
    cluster.say("database away")
    shore = cluster.shore
    stood = shore.rows()
    gone = shore.given_up()
    shore.away = True
    cluster.outages += 1
    cluster.harmed |= {berth.node for berth in cluster.berths}
    # Long enough for the first of them to be late, and short enough for others to be in time still.
    first = min(
        (left for life in stood if (left := shore.expires_in(life)) is not None and left > 0), default=0.5
    )
    await asyncio.sleep(draw.choice((0.5, 4.0, 9.0, 13.0, 25.0, 45.0, first + 0.2, first + 0.2, first + 0.8)))
    cluster.say("database back")
    for berth in cluster.berths:  # not all of them find that out at once
        shore.cut.add(berth.node)
        cluster.loop.call_later(draw.choice((0.0, 0.0, 0.7, 1.5, 3.0)), shore.cut.discard, berth.node)
    shore.away = False
    await asyncio.sleep(LEASE_S - 1)
    alive = {life for berth in cluster.berths if able(cluster, berth) for life in shore.lives[berth.node]}
    if lost := (shore.given_up() - gone) & stood & alive:
        cluster.fault(f"the lives {sorted(lost)} were given up because of an outage that everybody had")


async def stop(cluster: Cluster, draw: random.Random) -> None:
    """Drain a host, and start it again."""
    berth = holder(cluster, draw)
    if berth is None:
        return
    await cluster.stop_at(berth)
    await asyncio.sleep(draw.choice((0, 1.0, 12.0)))
    await cluster.boot_at(berth)


async def roll(cluster: Cluster, draw: random.Random) -> None:
    """Restart every host, one after the other."""
    for berth in cluster.berths:
        await cluster.stop_at(berth)
        await cluster.boot_at(berth)
        await asyncio.sleep(draw.choice((0.1, 2.0)))


async def slow(cluster: Cluster, draw: random.Random) -> None:
    """The way of one host to the database is slow."""
    berth = holder(cluster, draw)
    if berth is None:
        return
    cluster.say(f"slow {berth.node}")
    node = berth.node
    cluster.shore.slow.add(node)
    cluster.harmed.add(node)
    await asyncio.sleep(draw.choice((2.0, 15.0)))
    cluster.shore.slow.discard(node)
    cluster.returns[node] += 1


async def hush(cluster: Cluster, draw: random.Random) -> None:
    """No hint arrives for a while."""
    before, cluster.airwaves.loss = cluster.airwaves.loss, 1.0
    await asyncio.sleep(draw.choice((2.0, 10.0)))
    cluster.airwaves.loss = before


TROUBLES: tuple[tuple[Callable[[Cluster, random.Random], Awaitable[None]], int], ...] = (
    (kill, 16),
    (trap, 16),
    (freeze, 18),
    (part, 14),
    (away, 8),
    (stop, 10),
    (roll, 4),
    (slow, 6),
    (hush, 4),
)
