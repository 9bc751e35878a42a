"""Connections are lost at every statement, and everything is done once all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from tenure.core.event import MessageDelta
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.stores.contract.stage import BOB, Stage
from tenure.stores.postgres.lane import WRITERS, PostgresLane
from tests.postgres.fixtures import Database
from tests.postgres.proxy import Proxy, Way
from tests.postgres.server import Postgres, PostgresServer
from tests.postgres_store.work import assert_done_once, converse, played

pytestmark = pytest.mark.anyio

STATEMENTS = b"SQ"
"""A client's messages that have a statement executed."""
COMPLETE = b"C"
"""A server's message that it was."""
WAY = {STATEMENTS: Way.TO_SERVER, COMPLETE: Way.FROM_SERVER}
STRIDE = 4
"""Every so many statements are tried; the two directions begin apart."""


@pytest.fixture
async def proxy(postgres: Postgres) -> AsyncIterator[Proxy]:
    async with Proxy(postgres.port) as proxy, asyncio.timeout(50):
        yield proxy


@pytest.fixture
def through(postgres: Postgres, postgres_database: Database, proxy: Proxy) -> str:
    return postgres.url(postgres_database.name, port=proxy.port)


@pytest.mark.parametrize(
    ("way", "kinds", "first"),
    [(Way.TO_SERVER, STATEMENTS, 1), (Way.FROM_SERVER, COMPLETE, 0)],
    ids=["asked", "answered"],
)
async def test_a_connection_lost_at_any_statement_costs_and_repeats_nothing(
    proxy: Proxy, through: str, way: Way, kinds: bytes, first: int
) -> None:
    async with played(through) as stage:
        count, cut = first, True
        while cut:
            proxy.cut_after_messages(count, way, kinds)
            session_id = await converse(stage, str(count))
            cut, proxy.order = proxy.happened.is_set(), None

            await assert_done_once(stage, session_id, str(count))
            count += STRIDE
        assert count > 60
        assert await stage.store.counter_faults() == []


async def test_nothing_is_shown_or_told_while_its_outcome_is_unknown(proxy: Proxy, through: str) -> None:
    async with played(through) as stage:
        session_id = await stage.open()
        for kinds in (COMPLETE, STATEMENTS):
            start = (await stage.send(session_id)).start
            shown = len(stage.delivered(session_id))
            # The last answer of settling is that of its COMMIT, the last question the COMMIT.
            proxy.cut_after_messages(await messages_of_settling(stage, proxy, kinds) - 1, WAY[kinds], kinds)
            settling = asyncio.ensure_future(stage.settle(start.run_id))
            await proxy.happened.wait()
            proxy.cut()
            await until(lambda: not stage.store.healthy())
            assert (settling.done(), len(stage.delivered(session_id))) == (False, shown)
            proxy.mend()

            assert (await settling).status is RunState.COMPLETED
            assert len(stage.delivered(session_id)) == shown + 1
        await stage.check()


async def messages_of_settling(stage: Stage, proxy: Proxy, kinds: bytes) -> int:
    """How many messages of these kinds go when a run is settled."""
    session_id = await stage.open(BOB)
    start = (await stage.send(session_id, by=BOB)).start
    before = passed(proxy, kinds)
    await stage.settle(start.run_id)
    return passed(proxy, kinds) - before


def passed(proxy: Proxy, kinds: bytes) -> int:
    return sum(proxy.passed[WAY[kinds], kinds[n : n + 1]] for n in range(len(kinds)))


async def test_while_the_database_is_away_everything_is_refused_and_nothing_done(
    proxy: Proxy, through: str
) -> None:
    async with played(through, patience_s=0.3) as stage:
        session_id = await stage.open()
        proxy.cut()
        with pytest.raises(TenureError) as refused:
            await stage.send(session_id, key="once")
        with pytest.raises(TenureError) as unread:
            await stage.store.session(session_id)
        assert (refused.value.code, unread.value.code) == (Code.STORE_UNAVAILABLE, Code.STORE_UNAVAILABLE)
        assert not stage.store.healthy()
        proxy.mend()

        sent = await stage.send(session_id, key="once")
        assert (sent.replayed, sent.receipt.seq) == (False, 2)
        assert stage.store.healthy()
        await stage.check()


async def test_what_a_run_puts_out_waits_for_the_database_to_come_back(proxy: Proxy, through: str) -> None:
    async with played(through, patience_s=0.01) as stage:
        start = await stage.begin()
        said = await stage.say(start.run_id, "a")
        proxy.cut()
        more = [stage.say(start.run_id, text, message_id=said) for text in "bcd"]
        spoken = asyncio.gather(*more, stage.settle(start.run_id))
        await until(lambda: not stage.store.healthy())
        proxy.mend()
        await spoken

        types = await stage.types(start.session_id, after=3)
        assert types == ["message.delta"] * 4 + ["message.completed", "run.finished"]
        await stage.check()


async def test_a_silent_line_is_given_up_and_what_it_held_back_changes_nothing(
    proxy: Proxy, through: str
) -> None:
    async with played(through, lease_s=1.5) as stage:
        start = await stage.begin()
        said = await stage.say(start.run_id, "a")
        proxy.stall([Way.TO_SERVER])
        saying = asyncio.gather(*(stage.say(start.run_id, text, message_id=said) for text in "bc"))
        sending = asyncio.ensure_future(stage.send(start.session_id, key="once"))
        await until(lambda: not stage.store.healthy())
        proxy.mend()
        await saying
        assert (await sending).receipt.queue_position == 1
        await stage.settle(start.run_id)

        deltas = [
            r.event.text for r in await stage.journal(start.session_id) if isinstance(r.event, MessageDelta)
        ]
        assert deltas == ["a", "b", "c"]
        await stage.check()


async def test_what_goes_on_in_the_server_after_its_connection_was_lost_is_not_repeated(
    postgres_database: Database, proxy: Proxy, through: str
) -> None:
    async with (
        played(through) as stage,
        asyncpg.create_pool(postgres_database.socket_url, min_size=1) as pool,
    ):
        start = await stage.begin()
        said = await stage.say(start.run_id, "a")
        async with pool.acquire() as other, other.transaction():
            await other.execute("SELECT 1 FROM head FOR UPDATE")
            saying = asyncio.ensure_future(stage.say(start.run_id, "b", message_id=said))
            await waiting(pool, 1)
            proxy.drop()
            await waiting(pool, 2)
            assert not saying.done()
        await saying

        events = await stage.events(start.session_id, after=3)
        assert [e.text for e in events if isinstance(e, MessageDelta)] == ["a", "b"]
        await stage.check()


async def waiting(db: "asyncpg.Pool[asyncpg.Record]", count: int) -> None:
    """Wait until so many others wait for locks."""
    asked = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(10):
        while await db.fetchval(asked) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_output_that_the_database_refuses_fails_alone(postgres_database: Database) -> None:
    async with played(postgres_database.socket_url) as stage:
        start = await stage.begin()
        said = await stage.say(start.run_id, "a")
        told = await asyncio.gather(
            stage.say(start.run_id, "b", message_id=said),
            stage.say("run_\0", "c", message_id=said),
            stage.say(start.run_id, "d", message_id=said),
            return_exceptions=True,
        )

        assert (told[0], told[2]) == (said, said)
        assert isinstance(told[1], TenureError) and told[1].code is Code.INTERNAL
        await stage.check()


async def test_the_lease_is_renewed_however_busy_all_connections_are(postgres_database: Database) -> None:
    async with played(postgres_database.socket_url) as stage, asyncio.timeout(20):
        session_id = await stage.open()
        other = await asyncpg.connect(postgres_database.socket_url)
        async with other.transaction():
            await other.execute("SELECT 1 FROM head FOR UPDATE")
            waiting = [asyncio.ensure_future(stage.send(session_id)) for _ in range(2 * WRITERS)]
            await until(lambda: len(asyncio.all_tasks()) > WRITERS)
            await stage.store.hosts.renew(stage.lease, stage.at())
            assert not any(sending.done() for sending in waiting)
        await other.close()

        positions = [(await sending).receipt.queue_position for sending in waiting]
        assert sorted(positions) == list(range(2 * WRITERS))
        await stage.check()


async def test_a_lane_closes_in_time_though_the_database_is_away(proxy: Proxy, through: str) -> None:
    lane = await PostgresLane.opened(through, 10)
    act = lane.write(lambda tx: tx.one("clock"))
    await act
    proxy.stall()
    late = [lane.write(lambda tx: tx.one("clock")) for _ in range(3)]
    reading = asyncio.ensure_future(lane.peek(lambda db: db.one("clock")))
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    await lane.aclose(0.2)

    assert asyncio.get_running_loop().time() - began < 2
    outcomes = await asyncio.gather(*late, reading, return_exceptions=True)
    assert all(isinstance(e, TenureError) and e.code is Code.STORE_UNAVAILABLE for e in outcomes), outcomes


async def test_a_server_killed_under_load_loses_and_repeats_nothing(own_postgres: PostgresServer) -> None:
    url = own_postgres.url(own_postgres.create_database("template0"))
    async with asyncio.timeout(50), played(url, patience_s=20) as stage:
        await converse(stage, "warm")
        talks = {key: asyncio.ensure_future(converse(stage, key)) for key in "abcdefgh"}
        await until(lambda: len(stage.blocks) > 20)
        await asyncio.to_thread(own_postgres.kill)
        await asyncio.to_thread(own_postgres.start)

        for key, talk in talks.items():
            await assert_done_once(stage, await talk, key)
        assert await stage.store.counter_faults() == []


async def until(fact: Callable[[], bool]) -> None:
    """Wait for something that happens in this loop."""
    async with asyncio.timeout(10):
        while not fact():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
