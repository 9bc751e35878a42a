"""What happens on one host shows on every other: once, in order, also if no hint ever arrives."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tenure.core.command import Answering, DecideApproval, SendMessage, UpdateSession
from tenure.core.entry import Recorded
from tenure.core.event import (
    ApprovalRequested,
    MessageDelta,
    RecallFired,
    RunFinished,
    RunStarted,
    SessionDeleted,
    SteeringConsumed,
)
from tenure.core.message import BusyPolicy
from tenure.core.run import RunState
from tenure.core.scheduling import CreateSchedule
from tenure.errors import Code, TenureError
from tenure.host import relay
from tenure.ports.signals import Signals, Silence
from tenure.runners.agent import Run, agent
from tenure.signals.local import Ether
from tenure.signals.postgres import PostgresSignals
from tenure.testing import HostedSession
from tenure.tools.calling import FunctionTool
from tenure.tools.function import tool
from tenure.tools.registry import Registry
from tests.cluster.neighbours import neighbours, until
from tests.postgres.fixtures import Database

pytestmark = pytest.mark.anyio

Ways = Callable[[int], list[Signals]]


@agent("speaker")
async def speaker(run: Run) -> AsyncIterator[str]:
    """Says as many numbered words as the message says, in bursts."""
    for number in range(int(run.message.text)):
        if number % 20 == 0:
            await asyncio.sleep(0.001)
        yield f"w{number} "


@agent("patient", steering=True)
async def patient(run: Run) -> AsyncIterator[str]:
    """Waits for something that steers it, and says it."""
    yield "waiting "
    await run.steering.wait()
    for message in await run.steering.take():
        yield str(message.content)


@agent("payer", tools=("pay",))
async def payer(run: Run) -> str:
    """Pays, once somebody lets it."""
    return str(await run.tools.call("pay"))


@tool("pay", approval="always", replay="safe")
def pay() -> str:
    """Pay."""
    return "paid"


TOOLS = Registry([FunctionTool(pay)])


@pytest.fixture(params=["hints", "no hint"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Ways:
    """The ways between hosts: one that carries every hint, and one that loses all."""
    if request.param == "no hint":
        monkeypatch.setattr(relay, "POLL_S", 0.1)
        return lambda count: [Silence() for _ in range(count)]
    ether = Ether()
    return lambda count: [ether.signals() for _ in range(count)]


async def all_of(session: HostedSession) -> list[Recorded]:
    """Every event that a follower gets, up to the end of the run."""
    events: list[Recorded] = []
    async for event in session.events():
        events.append(event)
        if isinstance(event.event, RunFinished):
            break
    return events


@pytest.mark.sources("P3")
async def test_followers_on_every_host_get_every_event_once_and_in_order(
    postgres_database: Database, tmp_path: Path, ways: Ways
) -> None:
    async with neighbours(postgres_database.socket_url, tmp_path, speaker, signals=ways(3)) as cluster:
        sessions = [await cluster.open("speaker", on=number % 3) for number in range(6)]
        following = [asyncio.ensure_future(all_of(view)) for views in sessions for view in views]
        await asyncio.sleep(0)
        for number, views in enumerate(sessions):
            await views[number % 3].send("200")
        for title in ("a", "b", "c"):
            for number, views in enumerate(sessions):
                host = cluster.hosts[(number + 1) % 3]
                await host.commands.update_session(
                    cluster.ada, views[0].session_id, UpdateSession(title=title)
                )
        streams = await asyncio.gather(*following)
        for number in range(len(sessions)):
            first, *others = streams[number * 3 : number * 3 + 3]
            assert [event.seq for event in first] == list(range(1, len(first) + 1))
            assert others == [first, first]
            said = [e.event.text for e in first if isinstance(e.event, MessageDelta)]
            assert said == [f"w{n} " for n in range(200)]


async def test_a_run_is_stopped_from_another_host(
    postgres_database: Database, tmp_path: Path, ways: Ways
) -> None:
    async with neighbours(postgres_database.socket_url, tmp_path, patient, signals=ways(2)) as cluster:
        here, there = await cluster.open("patient")
        await here.send("go")
        await until(here, MessageDelta)
        await there.stop()
        ended = await until(there, RunFinished)
        assert isinstance(ended.event, RunFinished)
        assert ended.event.status == RunState.CANCELLED


async def test_a_run_is_steered_from_another_host(
    postgres_database: Database, tmp_path: Path, ways: Ways
) -> None:
    async with neighbours(postgres_database.socket_url, tmp_path, patient, signals=ways(2)) as cluster:
        here, there = await cluster.open("patient")
        await here.send("go")
        await until(here, MessageDelta)
        ask = SendMessage(content="faster", when_busy=BusyPolicy.STEER)
        await cluster.hosts[1].commands.send(cluster.ada, there.session_id, ask, None)
        await until(there, SteeringConsumed)
        await until(there, RunFinished)
        said = [e.event.text for e in await all_of(there) if isinstance(e.event, MessageDelta)]
        assert said == ["waiting ", "faster"]


async def test_a_call_is_approved_on_another_host(
    postgres_database: Database, tmp_path: Path, ways: Ways
) -> None:
    async with neighbours(
        postgres_database.socket_url, tmp_path, payer, signals=ways(2), tools=TOOLS
    ) as cluster:
        here, there = await cluster.open("payer")
        await here.send("go")
        asked = (await until(there, ApprovalRequested)).event
        assert isinstance(asked, ApprovalRequested)
        await cluster.hosts[1].approvals.decide(
            cluster.ada, asked.approval_id, DecideApproval(decision=Answering.APPROVE), None
        )
        ended = await until(here, RunFinished)
        assert isinstance(ended.event, RunFinished)
        assert ended.event.status == RunState.COMPLETED
        assert [item.content for item in await there.transcript()] == ["go", "paid"]


async def test_a_run_that_waits_for_a_slot_is_taken_by_a_host_that_has_one(
    postgres_database: Database, tmp_path: Path, ways: Ways
) -> None:
    async with neighbours(
        postgres_database.socket_url, tmp_path, patient, speaker, signals=ways(2), slots=(1, 1)
    ) as cluster:
        busy, _ = await cluster.open("patient")
        await busy.send("go")
        await until(busy, MessageDelta)
        here, there = await cluster.open("speaker")
        await here.send("3")
        ended = await until(there, RunFinished)
        assert isinstance(ended.event, RunFinished)
        assert ended.event.status == RunState.COMPLETED
        assert cluster.hosts[0].executing == 1
        await busy.stop()
        await until(busy, RunFinished)


async def test_a_session_that_is_deleted_elsewhere_ends_its_run_and_its_followers(
    postgres_database: Database, tmp_path: Path, ways: Ways
) -> None:
    async with neighbours(postgres_database.socket_url, tmp_path, patient, signals=ways(2)) as cluster:
        here, there = await cluster.open("patient")
        await here.send("go")
        await until(here, MessageDelta)
        rest = [asyncio.ensure_future(_to_the_end(view)) for view in (here, there)]
        await cluster.hosts[1].commands.delete_session(cluster.ada, there.session_id)
        own, other = await asyncio.gather(*rest)
        assert own == other
        assert type(own[-1].event) is SessionDeleted
        await cluster.hosts[0].stop()
        assert cluster.hosts[0].executing == 0


async def _to_the_end(session: HostedSession) -> list[Recorded]:
    return [event async for event in session.events()]


async def test_what_is_scheduled_on_one_host_is_fired_once_by_any(
    postgres_database: Database, tmp_path: Path, ways: Ways
) -> None:
    async with neighbours(postgres_database.socket_url, tmp_path, speaker, signals=ways(3)) as cluster:
        views = await cluster.open("speaker")
        ask = CreateSchedule(session_id=views[0].session_id, message="2", in_s=1)
        await cluster.hosts[1].scheduling.create(cluster.ada, ask, None)
        await until(views[2], RunFinished)
        events = await all_of(views[2])
        assert sum(isinstance(event.event, RecallFired) for event in events) == 1
        assert sum(isinstance(event.event, RunStarted) for event in events) == 1


async def test_a_cursor_that_another_host_gave_out_is_good_here(
    postgres_database: Database, tmp_path: Path
) -> None:
    ways = [Silence(), Silence()]
    async with neighbours(postgres_database.socket_url, tmp_path, speaker, signals=ways) as cluster:
        here, there = await cluster.open("speaker")
        with await cluster.hosts[1].fanout.follow(there.session_id, 0) as watching:
            await here.say("5")
            head = await cluster.hosts[0].store.head(here.session_id)
            with await cluster.hosts[1].fanout.follow(there.session_id, head):
                assert watching.after < head
            with pytest.raises(TenureError) as refusal:
                await cluster.hosts[1].fanout.follow(there.session_id, head + 1)
            assert (refusal.value.code, refusal.value.facts) == (Code.CURSOR_AHEAD, {"head_seq": head})


async def test_hints_go_through_the_database_itself(postgres_database: Database, tmp_path: Path) -> None:
    url = postgres_database.socket_url
    ways = [PostgresSignals(url), PostgresSignals(url)]
    async with neighbours(url, tmp_path, speaker, signals=ways) as cluster:
        here, there = await cluster.open("speaker")
        following = asyncio.ensure_future(all_of(there))
        await here.say("100")
        assert await following == await all_of(here)
