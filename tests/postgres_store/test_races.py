"""Several hosts at the same rows at the same moment, many times over: what each decided on was still so."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from asyncpg.exceptions import TargetServerAttributeNotMatched

from tenure.core.command import InterruptRun, UpdateSession
from tenure.core.event import MessageDelta
from tenure.core.grant import Budget, BudgetScope
from tenure.core.history import ForkSession, UndoTurns
from tenure.core.ids import SESSION
from tenure.core.limits import Limits
from tenure.core.recall import RecallPolicy
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.ports.schedules import Maker
from tenure.ports.store import SessionFilter
from tenure.stores.contract.calling import Calls
from tenure.stores.contract.recalling import planned
from tenure.stores.contract.several import outcomes
from tenure.stores.contract.stage import ADA, GREETER, CountedIds, Stage, Stages
from tenure.stores.postgres.connect import connection
from tests.contract.postgres_place import PostgresPlace, prepared
from tests.postgres.fixtures import Database

pytestmark = pytest.mark.anyio

MANY_ROWS = """INSERT INTO journal (strand, first_seq, last_seq, body)
SELECT h.strand, 1000 + n, 1000 + n, '' FROM head h, generate_series(1, 5000) n"""
MANY_MESSAGES = """WITH made AS (
    INSERT INTO message (session_no, id, role, state, content, entered_seq, sought)
    SELECT no, 'msg_' || n, 'assistant', 'completed', '"word"', 10 + n, 1
    FROM session, generate_series(1, 5000) n
    RETURNING no)
INSERT INTO search (doc, words) SELECT no, 'word' FROM made"""
FAILS_LATE = """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN RAISE EXCEPTION ''no''; END';
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON session DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION fail()"""


@pytest.fixture
async def place(postgres_database: Database) -> AsyncIterator[PostgresPlace]:
    """A database for one test."""
    async with prepared(postgres_database.socket_url) as place:
        yield place


@pytest.fixture
async def stages(place: PostgresPlace) -> AsyncIterator[Stages]:
    """Hosts on it, checked when they are closed."""
    stages = Stages(place)
    yield stages
    await stages.close()


@pytest.fixture
async def hosts(stages: Stages) -> tuple[Stage, Stage]:
    """Two hosts."""
    one = await stages.open()
    return one, await stages.beside(one)


async def count(place: PostgresPlace, what: str) -> int:
    """How many rows there are."""
    db = await place.connect()
    found = await db.fetchval(f"SELECT count(*) FROM {what}")
    await db.close()
    return int(found)


async def test_hosts_that_start_together_on_a_new_database_know_one_history(place: PostgresPlace) -> None:
    rules = Rules(limits=Limits(), terms={})
    known: list[set[str]] = []
    for _ in range(20):
        await place.do("DELETE FROM meta")
        ids = CountedIds()
        stores = await asyncio.gather(*(place.open(rules, ids) for _ in range(4)))
        known.append({store.history for store in stores})
        for store in stores:
            await place.close(store)

    assert [len(each) for each in known] == [1] * 20


@pytest.mark.sources("P5")
async def test_hosts_that_free_a_deleted_session_together_leave_nothing_of_it(
    place: PostgresPlace, hosts: tuple[Stage, Stage]
) -> None:
    one, other = hosts

    async def free(stage: Stage) -> None:
        while await stage.store.purge(stage.at()):
            pass

    left: list[tuple[int, int]] = []
    for _ in range(8):
        session_id = await one.open()
        await place.do(MANY_ROWS)
        await one.store.delete_session(one.stamp(), session_id)
        await asyncio.gather(*(free(stage) for stage in (one, other, one, other)))
        left.append((await count(place, "session"), await count(place, "journal")))
    assert left == [(0, 0)] * 8


@pytest.mark.sources("P7")
async def test_what_begins_as_its_author_loses_the_last_key_begins_without_rights(
    hosts: tuple[Stage, Stage],
) -> None:
    one, other = hosts
    wrong: list[str] = []
    for _ in range(25):
        zoe = msgspec.structs.replace(ADA, user="zoe")
        key_id = await one.key(zoe)
        first = await one.begin()
        session_id = first.session_id
        await one.send(session_id, "Next", by=zoe)
        settled, _ = await asyncio.gather(
            one.settle(first.run_id), other.store.revoke_key(other.stamp(), key_id)
        )
        for start in settled.wake.starts:
            wrong += (await one.run(start.run_id)).grant.names()
            await one.settle(start.run_id)
    assert wrong == []


@pytest.mark.sources("P5")
async def test_output_and_stops_at_the_same_moment_lose_and_double_nothing(
    hosts: tuple[Stage, Stage],
) -> None:
    one, other = hosts
    for _ in range(40):
        start = await one.begin()
        said = await one.say(start.run_id, "0 ")
        await asyncio.gather(
            *(one.say(start.run_id, f"{n} ", message_id=said) for n in range(1, 6)),
            other.interrupt(start.session_id, InterruptRun()),
            other.send(start.session_id, "more"),
            *(one.say(start.run_id, f"{n} ", message_id=said) for n in range(6, 9)),
        )
        journal = await one.journal(start.session_id)
        assert [r.event.text for r in journal if isinstance(r.event, MessageDelta)] == [
            f"{n} " for n in range(9)
        ]
        await one.settle(start.run_id, RunState.CANCELLED)


async def test_a_budget_of_a_day_is_exact_over_all_hosts(stages: Stages) -> None:
    budget = Budget(tool_calls=5, scope=BudgetScope.USER_DAY)
    policy = msgspec.structs.replace(GREETER.policy, budget=budget)
    agents = [msgspec.structs.replace(GREETER, policy=policy)]
    one = await stages.open(agents=agents)
    other = await stages.beside(one)
    calls = [Calls(host, await host.begin()) for host in (one, other) * 6]
    begun, refused = await outcomes(*(each.intend() for each in calls))

    assert (len(begun), refused) == (5, [Code.CAPACITY] * 7)


@pytest.mark.sources("P10")
async def test_runs_of_one_schedule_that_fail_together_are_all_counted(hosts: tuple[Stage, Stage]) -> None:
    one, _ = hosts
    plan = await planned(one, policy=RecallPolicy(pause_after_failures=100))
    for _ in range(3):
        begun = [(await plan.trigger())[1].starts[0] for _ in range(6)]
        await asyncio.gather(*(one.settle(start.run_id, RunState.FAILED) for start in begun))

    assert (await plan.info()).failures == 18


@pytest.mark.sources("P5")
async def test_a_run_whose_host_was_given_up_schedules_nothing_more(
    hosts: tuple[Stage, Stage], place: PostgresPlace
) -> None:
    one, _ = hosts
    start = await one.begin()
    maker = Maker(one.lease, start.run_id, start.attempt)
    await place.lapse(one.store, one.lease)
    with pytest.raises(TenureError) as refused:
        await planned(one, start.session_id, maker=maker)
    assert refused.value.code is Code.FENCED


async def test_what_the_database_says_of_a_row_that_it_refuses_is_told_to_nobody(
    place: PostgresPlace, hosts: tuple[Stage, Stage]
) -> None:
    one, _ = hosts
    session_id = await one.open()
    await place.do("ALTER TABLE session ADD CHECK (title <> 'hidden words')")
    with pytest.raises(TenureError) as refused:
        await one.store.update_session(one.stamp(), session_id, UpdateSession(title="hidden words"))
    assert refused.value.code is Code.INTERNAL
    assert "hidden" not in str(refused.value)


async def test_forks_made_while_the_family_is_deleted_are_deleted_or_outlive_it_whole(
    hosts: tuple[Stage, Stage],
) -> None:
    one, other = hosts
    for _ in range(15):
        session_id = await one.open()
        children = [one.ids.new(SESSION) for _ in range(4)]
        one.sessions += children
        await outcomes(
            *(one.store.histories.fork(one.stamp(), session_id, ForkSession(), each) for each in children),
            other.store.histories.delete_family(other.stamp(), session_id),
        )
        assert await one.store.session(session_id) is None
        assert [each for each in children if await one.store.session(each) is not None] == []


async def test_a_transaction_that_fails_as_it_is_committed_is_refused_once_and_at_once(
    place: PostgresPlace, hosts: tuple[Stage, Stage]
) -> None:
    one, _ = hosts
    session_id = await one.open()
    await place.do(FAILS_LATE)
    async with asyncio.timeout(2):
        with pytest.raises(TenureError) as refused:
            await one.store.update_session(one.stamp(), session_id, UpdateSession(title="Late"))
    assert refused.value.code is Code.INTERNAL
    assert (await one.info(session_id)).title is None


async def test_hosts_that_index_words_together_wait_for_nobody_and_leave_none_out(
    hosts: tuple[Stage, Stage],
) -> None:
    one, other = hosts
    sessions = [await one.open() for _ in range(4)]
    for session_id in sessions:
        for n in range(6):
            start = (await one.send(session_id, f"apple {n}")).start
            await one.settle(start.run_id)
    undoing = (one.store.histories.undo(one.stamp(), each, UndoTurns(turns=5)) for each in sessions)
    found = SessionFilter(None, None, words="apple")
    pages, *_ = await asyncio.gather(
        other.store.sessions(found, None, 10),
        asyncio.gather(other.store.index_words(), one.store.index_words(), *undoing),
    )
    again = await one.store.sessions(found, None, 10)
    assert [sorted(info.id for info in page.data) for page in (pages, again)] == [sorted(sessions)] * 2


async def test_a_session_of_many_messages_is_freed_in_steps(
    place: PostgresPlace, hosts: tuple[Stage, Stage]
) -> None:
    one, _ = hosts
    session_id = await one.open()
    await place.do(MANY_MESSAGES)
    await one.store.delete_session(one.stamp(), session_id)
    steps: list[int] = []
    while freed := await one.store.purge(one.at()):
        steps.append(freed)

    assert max(steps) <= 2_001
    assert [await count(place, each) for each in ("session", "message", "search", "journal")] == [0] * 4


async def test_a_server_that_takes_no_writes_is_not_read_either(
    place: PostgresPlace, postgres_database: Database
) -> None:
    name = postgres_database.name
    await place.do(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with pytest.raises(TargetServerAttributeNotMatched):
        await connection(postgres_database.socket_url, 10.0)


async def test_marks_that_nobody_has_used_for_a_day_are_cleared_away(
    place: PostgresPlace, hosts: tuple[Stage, Stage]
) -> None:
    one, _ = hosts
    session_id = await one.open()
    await place.do("INSERT INTO mark (at) SELECT now() - interval '2 days' FROM generate_series(1, 50)")
    await place.do("UPDATE mark SET at = now() - interval '2 days'")
    while await one.store.purge(one.at()):
        pass

    assert await count(place, "mark WHERE at < now() - interval '1 day'") == 0
    await one.send(session_id)
