"""The floors of Postgres write what they count, and the fence in them is one. Nothing is timed."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from benchmarks.postgres import (
    BATCHES,
    INCARNATION,
    SESSIONS,
    Connection,
    FenceGone,
    fenced,
    floor,
    flushes,
    furnish,
)
from tests.postgres.fixtures import Database

pytestmark = pytest.mark.anyio

A_MOMENT_S = 0.02
GAPS = """
select count(*) from (
    select first_seq - lag(last_seq, 1, 0::bigint) over (partition by session order by last_seq) as step
    from journal
) as steps where step <> 1
"""


@pytest.fixture
async def furnished(postgres_database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(postgres_database.socket_url)
    await furnish(connection)
    yield connection
    await connection.close()


@pytest.mark.parametrize("batch", BATCHES)
async def test_a_batch_holds_its_events_for_as_many_sessions_as_it_can(batch: int) -> None:
    turns = [flushes(batch, turn) for turn in range(SESSIONS // min(batch, SESSIONS))]

    assert {sum(flush.events for flush in turn) for turn in turns} == {batch}
    assert {sum(flush.body.count(b"\n") + 1 for flush in turn) for turn in turns} == {batch}
    assert {flush.session for turn in turns for flush in turn} == set(range(SESSIONS))


@pytest.mark.parametrize("batch", [10, 1000])
async def test_the_fenced_floor_numbers_every_event_without_a_gap(furnished: Connection, batch: int) -> None:
    await fenced(furnished, A_MOMENT_S, batch)

    counted = await furnished.fetchval("select sum(last_seq - first_seq + 1) from journal")
    assert counted > 0
    assert counted == await furnished.fetchval("select sum(seq) from head")
    assert await furnished.fetchval(GAPS) == 0


async def test_the_fenced_floor_writes_nothing_without_its_host(furnished: Connection) -> None:
    await furnished.execute("delete from host where incarnation = $1", INCARNATION)

    with pytest.raises(FenceGone):
        await fenced(furnished, A_MOMENT_S, 10)

    assert await furnished.fetchval("select count(*) from journal") == 0


async def test_both_floors_of_a_batch_are_measured(postgres_database: Database) -> None:
    measured = await floor(postgres_database.socket_url, 10, A_MOMENT_S)

    assert min(*measured.fenced, *measured.copied) > 0
