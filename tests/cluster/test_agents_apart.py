"""Hosts over one database that don't have the same agents: each does what is its own, and leaves the rest."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tenure.core.command import CreateKey, OpenSession, SendMessage
from tenure.core.ids import MESSAGE, RUN
from tenure.core.moment import SECOND, Micros
from tenure.core.principal import Role
from tenure.core.scheduling import CreateSchedule
from tenure.errors import Code, TenureError
from tenure.host.admission import secret_hash
from tenure.host.fanout import Ended
from tenure.http.audience import Audience
from tenure.ports.hosts import HostCard
from tenure.ports.store import Admission, Stamp
from tenure.testing import HostedSession
from tests.cluster.filing import LIMITS, ROOT, Pair, pair
from tests.postgres.fixtures import Database

pytestmark = pytest.mark.anyio

OTHER = "tnr_" + "1" * 43


@pytest.fixture
async def apart(postgres_database: Database, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two hosts: both have the clerk, and each an agent of its own."""
    async with pair(postgres_database.socket_url, tmp_path, agents=("left", "right")) as both:
        yield both


async def own_of_b(apart: Pair) -> HostedSession:
    """A session with the agent that only the second host has."""
    opened = await apart.b.commands.open_session(apart.ada, OpenSession(agent="right"), None)
    return HostedSession(apart.b, apart.ada, opened.value.id)


async def test_a_waiting_run_is_claimed_only_where_its_agent_is(apart: Pair) -> None:
    talk = await own_of_b(apart)
    a, b = apart.a.store, apart.b.store
    now, fresh = apart.b.clock.now(), apart.b.ids
    ask = SendMessage(content="")
    waiting = Admission(
        stamp=Stamp(now, apart.ada),
        session_id=talk.session_id,
        ask=ask,
        message_id=fresh.new(MESSAGE),
        run_id=fresh.new(RUN),
        lease=None,
    )
    left, right = [await store.join(now, HostCard(name)) for store, name in ((a, "left"), (b, "right"))]
    answer, _ = await b.admit(waiting)
    claimed = [await a.claim(left, 5, now), await b.claim(right, 5, now)]

    assert [[start.run_id for start in wake.starts] for wake in claimed] == [[], [answer.value.run_id]]


async def test_a_schedule_is_left_to_the_host_that_has_its_agent(apart: Pair) -> None:
    talk = await own_of_b(apart)
    ask = CreateSchedule(message="", session_id=talk.session_id, in_s=1)
    info = (await apart.b.scheduling.create(apart.ada, ask, None)).value
    later = Micros(apart.b.clock.now() + 60 * SECOND)
    on_a, on_b = [await host.store.schedules.due(Micros(0), later, 10) for host in (apart.a, apart.b)]

    assert ([each.schedule_id for each in on_a.schedules], await apart.a.store.schedules.next_at()) == (
        [],
        None,
    )
    assert [each.schedule_id for each in on_b.schedules] == [info.id]


async def test_a_token_of_the_gateway_is_good_on_the_host_that_made_it_alone(apart: Pair) -> None:
    session_id = await apart.open()
    for host in (apart.a, apart.b):
        host.gateway.announce("http://127.0.0.1:1")
    access = apart.a.gateway.access(session_id)
    assert access is not None
    refusals: list[Code] = []
    for host in (apart.a, apart.b):
        with pytest.raises(TenureError) as refused:
            host.gateway.enter(access.token)
        refusals.append(refused.value.code)
    apart.a.gateway.open(10_000)  # a next life of the host
    with pytest.raises(TenureError) as refused:
        apart.a.gateway.enter(access.token)

    assert [*refusals, refused.value.code] == [Code.FORBIDDEN, Code.UNAUTHENTICATED, Code.UNAUTHENTICATED]


async def test_a_revoked_key_ends_the_streams_of_every_host(apart: Pair) -> None:
    key = secret_hash(OTHER)
    made = await apart.a.commands.create_key(ROOT, CreateKey(user="ben", role=Role.MEMBER), None, OTHER)
    ben = await apart.b.store.principal(key, apart.b.clock.now())
    assert ben is not None
    audience = Audience(apart.b.store, apart.b.clock, LIMITS, heartbeat_s=60, recheck_s=0.02)
    session_id = (await apart.a.commands.open_session(ben, OpenSession(agent="clerk"), None)).value.id
    with audience.seat(ben, key) as seat, await apart.b.fanout.follow(session_id, 0) as follower:
        seat.listen(follower)
        await apart.a.commands.revoke_key(ROOT, made.value.id)
        async with asyncio.timeout(5):
            while not isinstance(step := await follower.next(), Ended):
                pass

    assert step.reason == "revoked"
