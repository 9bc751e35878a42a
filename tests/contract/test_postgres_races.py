"""Several hosts on one Postgres at the same time: nobody waits in a circle, and the fence is what holds."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import pytest

from tenure.core.command import OpenSession
from tenure.core.event import MessageCompleted
from tenure.core.limits import Limits
from tenure.core.output import Usage
from tenure.errors import Code, TenureError
from tenure.ports.acts import Start
from tenure.stores.contract import Stage, Stages
from tenure.stores.contract.settlements import fenced
from tenure.stores.contract.stage import ADA, BOB
from tenure.stores.postgres.queries import SQL
from tests.contract.postgres_place import PostgresPlace, prepared
from tests.postgres.fixtures import fresh
from tests.postgres.server import Postgres

pytestmark = pytest.mark.anyio

T = TypeVar("T")
FENCE = "SELECT incarnation FROM host WHERE incarnation = $3 FOR KEY SHARE"
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
ROUNDS = 4


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests, so that connections outlive them."""
    return "asyncio"


@pytest.fixture(scope="module")
async def place(anyio_backend: str, postgres: Postgres) -> AsyncIterator[PostgresPlace]:
    """One database for all tests."""
    with fresh(postgres) as database:
        async with prepared(database.socket_url) as prepared_place:
            yield prepared_place


@pytest.fixture
async def stages(place: PostgresPlace) -> AsyncIterator[Stages]:
    """Hosts over it."""
    await place.empty()
    stages = Stages(place)
    yield stages
    await stages.close()


async def pair(stages: Stages, limits: Limits | None = None) -> tuple[Stage, Stage]:
    """Two hosts."""
    one = await stages.open(limits)
    return one, await stages.beside(one)


# --- the fence


@pytest.mark.sources("P5")
async def test_output_waits_for_whoever_gives_its_host_up_and_is_refused_then(
    stages: Stages, place: PostgresPlace
) -> None:
    one, _ = await pair(stages)
    start = await one.begin()
    said = await one.say(start.run_id, "in time")
    head = await one.store.head(start.session_id)
    other = await place.connect()
    begun = other.transaction()
    await begun.start()
    await other.execute("DELETE FROM host WHERE incarnation = $1", one.lease.incarnation)
    saying = asyncio.create_task(one.say(start.run_id, "late", message_id=said))
    await somebody_waits(place)
    assert not saying.done()
    await begun.commit()
    await other.close()

    assert await fenced(saying)
    assert await one.store.head(start.session_id) == head


@pytest.mark.sources("P5")
async def test_without_the_fence_a_host_that_was_given_up_would_still_write(
    stages: Stages, place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = SQL["journal_append"]
    assert statement.sql.count(FENCE) == 1
    open_to_all = statement._replace(sql=statement.sql.replace(FENCE, "SELECT $3::bigint AS incarnation"))
    one, _ = await pair(stages)
    start = await one.begin()
    said = await one.say(start.run_id, "in time")
    await place.lapse(one.store, one.lease)
    head = await one.store.head(start.session_id)

    assert await fenced(one.say(start.run_id, "late", message_id=said))
    assert await one.store.head(start.session_id) == head
    monkeypatch.setitem(SQL, "journal_append", open_to_all)
    await one.say(start.run_id, "late", message_id=said)
    assert await one.store.head(start.session_id) == head + 1


async def somebody_waits(place: PostgresPlace) -> None:
    """Until a transaction of this database waits for a lock."""
    db = await place.connect()
    async with asyncio.timeout(20):
        while not await db.fetchval(WAITING):
            pass
    await db.close()


# --- locks


class Person:
    """Somebody who uses two hosts in turn: opens, sends, stops, deletes; hosts run what comes of it."""

    def __init__(self, hosts: tuple[Stage, Stage], number: int) -> None:
        self.hosts = hosts
        self.by = (ADA, BOB)[number % 2]
        self.chance = random.Random(number)

    async def live(self) -> None:
        """Some rounds of a life."""
        for _ in range(ROUNDS):
            session = await self.host.open(self.by, OpenSession(agent="greeter", title="a title"))
            await self.use(session)

    @property
    def host(self) -> Stage:
        """The host that a request meets."""
        return self.chance.choice(self.hosts)

    async def use(self, session: str) -> None:
        """Two messages, and what they start; the second is stopped, and the session may go."""
        host = self.host
        sent = await host.send(session, by=self.by)
        await self.host.send(session, "again", by=self.by)
        for start in sent.wake.starts:
            await work(host, start)
        await unless(Code.NOT_RUNNING, self.host.interrupt(session, by=self.by))
        if self.chance.random() < 0.5:
            await host.store.delete_session(host.stamp(self.by), session)
        for start in (await host.claim(2)).starts:
            await work(host, start)


async def work(host: Stage, start: Start) -> None:
    """Run what was started, and the one behind it, unless somebody ended it meanwhile."""
    said = await unless(Code.FENCED, host.say(start.run_id, "text"))
    if said is None:
        return
    usage = (Usage(model="m", input_tokens=1, output_tokens=1),)
    final = [MessageCompleted(message_id=said, role="assistant", content="text")]
    done = await unless(Code.FENCED, host.settle(start.run_id, usage=usage, final=final))
    for following in () if done is None else done.wake.starts:
        await work(host, following)


async def unless(code: Code, act: Awaitable[T]) -> T | None:
    """What an act came to; None if it was refused for this reason."""
    try:
        return await act
    except TenureError as refusal:
        if refusal.code is not code:
            raise
        return None


@pytest.mark.sources("P5")
@pytest.mark.parametrize("limits", [Limits(), Limits(live_runs=4, live_runs_per_user=3)], ids=["far", "near"])
async def test_no_two_acts_of_two_hosts_wait_for_each_other(
    stages: Stages, postgres: Postgres, limits: Limits
) -> None:
    before = postgres.place.log.read_text().count("deadlock detected")
    hosts = await pair(stages, limits)
    await asyncio.gather(*(Person(hosts, number).live() for number in range(8)))

    assert postgres.place.log.read_text().count("deadlock detected") == before
    figures = await hosts[0].store.figures()
    assert figures.live_runs <= limits.live_runs
