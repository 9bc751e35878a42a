"""The line to Postgres breaks where it is told to, and carries everything otherwise."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.postgres.fixtures import Database
from tests.postgres.proxy import Proxy, Way
from tests.postgres.server import Postgres

pytestmark = pytest.mark.anyio

COMPLETE = b"C"
SYNC = b"S"
GONE = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)


@pytest.fixture
async def proxy(postgres: Postgres) -> AsyncIterator[Proxy]:
    async with Proxy(postgres.port) as proxy, asyncio.timeout(20):
        yield proxy


@pytest.fixture
def through(postgres: Postgres, postgres_database: Database, proxy: Proxy) -> str:
    postgres.ask("create table t (x bigint)", postgres_database.name)
    return postgres.url(postgres_database.name, port=proxy.port)


async def test_a_line_that_nobody_touches_changes_nothing(through: str) -> None:
    async with connected(through) as connection:
        large = await connection.fetchval("select repeat('x', 3000000)")
        await connection.copy_records_to_table("t", records=[(x,) for x in range(1000)], columns=["x"])

        assert large == "x" * 3_000_000
        assert await connection.fetchval("select count(*) from t") == 1000


async def test_a_cut_line_takes_nobody_until_it_is_mended(proxy: Proxy, through: str) -> None:
    async with connected(through) as connection:
        proxy.cut()
        with pytest.raises(GONE):
            await connection.fetchval("select 1")
        with pytest.raises(GONE):
            await asyncpg.connect(through)
        proxy.mend()

        async with connected(through) as again:
            assert await again.fetchval("select 1") == 1


async def test_a_dropped_connection_may_come_back_at_once(proxy: Proxy, through: str) -> None:
    async with connected(through) as connection:
        proxy.drop()
        with pytest.raises(GONE):
            await connection.fetchval("select 1")

        async with connected(through) as again:
            assert await again.fetchval("select 1") == 1


async def test_a_stalled_line_says_nothing_and_then_delivers(proxy: Proxy, through: str) -> None:
    async with connected(through) as connection:
        proxy.stall()
        asked = asyncio.create_task(connection.fetchval("select 1"))
        new = asyncio.create_task(asyncpg.connect(through))
        done, _ = await asyncio.wait({asked, new}, timeout=0.1)
        assert done == set()
        proxy.mend()

        assert await asked == 1
        await (await new).close()


async def test_a_statement_is_done_though_its_answer_is_cut_off(proxy: Proxy, through: str) -> None:
    async with connected(through) as connection:
        proxy.cut_after_messages(0, Way.FROM_SERVER, COMPLETE)
        with pytest.raises(GONE):
            await connection.execute("insert into t values (1)")

    assert await rows(through) == 1


async def test_a_statement_whose_last_message_is_cut_off_is_undone(proxy: Proxy, through: str) -> None:
    async with connected(through) as connection:
        insert = await connection.prepare("insert into t values ($1)")
        proxy.cut_after_messages(0, Way.TO_SERVER, SYNC)
        with pytest.raises(GONE):
            await insert.fetch(1)

    assert await rows(through) == 0


async def test_a_cut_at_every_message_leaves_a_statement_done_or_undone(proxy: Proxy, through: str) -> None:
    outcomes = list[int]()
    for count in range(100):
        async with connected(through) as connection:
            insert = await connection.prepare("insert into t values ($1), ($1)")
            before = await rows(through)
            proxy.cut_after_messages(count, Way.FROM_SERVER)
            try:
                await insert.fetch(count)
            except GONE:
                outcomes.append(await rows(through) - before)
                continue
            break

    assert outcomes
    assert set(outcomes) <= {0, 2}


async def test_bytes_are_cut_in_the_middle_of_a_message(proxy: Proxy, through: str) -> None:
    async with connected(through) as connection:
        proxy.cut_after_bytes(100_000, Way.FROM_SERVER)
        with pytest.raises(GONE):
            await connection.fetchval("select repeat('x', 3000000)")

    assert proxy.happened.is_set()


async def rows(url: str) -> int:
    """How many rows there are, by a connection of its own."""
    async with connected(url) as connection:
        return int(await connection.fetchval("select count(*) from t"))


@asynccontextmanager
async def connected(url: str) -> "AsyncGenerator[asyncpg.Connection[asyncpg.Record]]":
    """A connection that may end in any state."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()
