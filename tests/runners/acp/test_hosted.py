"""An ACP agent on a real host: its questions are approvals, it is stopped, it dies, the host is restarted."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tenure.core.command import Answering, CloseSession, CreateKey, DecideApproval, OpenSession, Remember
from tenure.core.entry import Recorded
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    Event,
    MessageDelta,
    RunFinished,
    RunnerWarning,
    RunResumed,
    RunRetried,
    ToolCallCompleted,
    ToolCallStarted,
    Unknown,
)
from tenure.core.limits import Limits
from tenure.core.principal import DEFAULT_TENANT, Principal, Role
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.host.admission import secret_hash
from tenure.host.catalogue import Agent, Catalogue
from tenure.host.clock import RandomIds, SystemClock
from tenure.host.doctor import examine
from tenure.host.host import Host, Parts
from tenure.ports.landmarks import NoLandmarks
from tenure.stores.folders import DiskFolders
from tenure.stores.sqlite.lane import ThreadLane
from tenure.stores.sqlite.store import SqliteStore
from tenure.testing import HostedSession
from tests.runners.acp.scene import Scene, scripted, tool, until

pytestmark = pytest.mark.anyio

LIMITS = Limits()
SECRET = "tnr_" + "0" * 43
ASK = ["allow_once", "reject_once"]


class House(NamedTuple):
    """A host, and ada, who talks to its agent."""

    host: Host
    ada: Principal

    async def open(self) -> HostedSession:
        """A new session."""
        opened = await self.host.commands.open_session(self.ada, OpenSession(agent="scripted"), None)
        return self.session(opened.value.id)

    def session(self, session_id: str) -> HostedSession:
        """A session that is there."""
        return HostedSession(self.host, self.ada, session_id)

    async def decide(self, approval_id: str, decision: Answering, remember: Remember | None = None) -> None:
        """Answer a question."""
        ask = DecideApproval(decision=decision, remember=remember)
        await self.host.approvals.decide(self.ada, approval_id, ask, None)


def broken(reason: str) -> None:
    raise RuntimeError(reason)


@asynccontextmanager
async def house(home: Path, agent: Agent, limits: Limits = LIMITS) -> AsyncGenerator[House]:
    """A host on a store that outlives it."""
    catalogue = Catalogue([agent])
    lane = ThreadLane(str(home / "tenure.db"), NoLandmarks(), broken)
    store = await SqliteStore.opened(lane, Rules(limits=limits, terms=catalogue.terms()), RandomIds())
    parts = Parts(
        store=store,
        clock=SystemClock(),
        ids=RandomIds(),
        catalogue=catalogue,
        limits=limits,
        landmarks=NoLandmarks(),
        folders=DiskFolders(home / "sessions"),
        version="testing",
    )
    host = Host(parts)
    try:
        await host.start()
        yield House(host, await ada(host))
        assert [violation.sentence for violation in await examine(store)] == []
    finally:
        await host.stop()
        store.close()


async def ada(host: Host) -> Principal:
    known = await host.store.principal(secret_hash(SECRET), host.clock.now())
    if known is None:
        root = Principal(tenant=DEFAULT_TENANT, user="root", role=Role.ADMIN, key_id="", root=True)
        await host.commands.create_key(root, CreateKey(user="ada", role=Role.MEMBER), None, SECRET)
        known = await host.store.principal(secret_hash(SECRET), host.clock.now())
    assert known is not None
    return known


async def awaited(session: HostedSession, kind: type[Event], after: int = 0) -> Recorded:
    """The first event of a kind."""
    async for recorded in session.events(after):
        if isinstance(recorded.event, kind):
            return recorded
    raise AssertionError(f"no {kind.__name__}")


async def asked(session: HostedSession, after: int = 0) -> str:
    """The approval that is asked for."""
    event = (await awaited(session, ApprovalRequested, after)).event
    assert isinstance(event, ApprovalRequested)
    return event.approval_id


def calls(events: list[Recorded]) -> list[tuple[str, str]]:
    """The calls that began and ended: what they were of, or how they ended."""
    facts: list[tuple[str, str]] = []
    for recorded in events:
        match recorded.event:
            case ToolCallStarted(call_id=call_id, tool=name):
                facts.append((call_id[:4], name))
            case ToolCallCompleted(call_id=call_id, status=status):
                facts.append((call_id[:4], status))
            case _:
                pass
    return facts


def said(events: list[Recorded]) -> str:
    """What the agent said."""
    return "".join(r.event.text for r in events if isinstance(r.event, MessageDelta))


def ending(events: list[Recorded]) -> RunFinished:
    """How a run ended."""
    last = events[-1].event
    assert isinstance(last, RunFinished)
    return last


def all_of(events: list[Recorded], kind: type[Event]) -> list[Event | Unknown]:
    return [recorded.event for recorded in events if isinstance(recorded.event, kind)]


@pytest.mark.parametrize(
    ("decision", "status", "chosen"),
    [(Answering.APPROVE, "ok", "[allow_once-0]"), (Answering.DENY, "denied", "[reject_once-1]")],
)
@pytest.mark.sources("P7")
async def test_a_permission_is_an_approval_and_its_call_stands_in_the_journal_once(
    tmp_path: Path, decision: Answering, status: str, chosen: str
) -> None:
    async with scripted(tmp_path) as scene, house(tmp_path, scene.agent()) as home:
        session = await home.open()
        receipt = await session.send("SAY well\n" + tool(ask=ASK, append="made"))
        await home.decide(await asked(session), decision)
        events = await session.answer(receipt)

    made = [*tmp_path.glob("sessions/*/files/made")]
    assert calls(events) == [("eff_", "execute"), ("eff_", status)]
    assert said(events) == f"well{chosen}"
    assert ending(events).status == RunState.COMPLETED
    assert len(made) == (decision is Answering.APPROVE)


async def test_what_is_remembered_is_let_through_and_written_down(tmp_path: Path) -> None:
    async with scripted(tmp_path) as scene, house(tmp_path, scene.agent()) as home:
        session = await home.open()
        receipt = await session.send(tool(ask=ASK))
        await home.decide(await asked(session), Answering.APPROVE, Remember.SESSION)
        await session.answer(receipt)
        events = await session.say(tool(ask=ASK, input={"command": "ls"}))

    [resolved] = all_of(events, ApprovalResolved)
    assert isinstance(resolved, ApprovalResolved) and resolved.by == "rule"
    assert said(events) == "[allow_once-0]"


async def test_a_stop_while_a_person_is_asked_withdraws_the_question(tmp_path: Path) -> None:
    async with scripted(tmp_path) as scene, house(tmp_path, scene.agent()) as home:
        session = await home.open()
        receipt = await session.send(tool(ask=ASK))
        await asked(session)
        await session.stop()
        events = await session.answer(receipt)
        later = await session.say("SESSION")

    [resolved] = all_of(events, ApprovalResolved)
    assert isinstance(resolved, ApprovalResolved) and resolved.decision == "withdrawn"
    assert ending(events).status == RunState.CANCELLED
    assert ending(later).status == RunState.COMPLETED


async def test_a_stop_keeps_what_was_said_and_the_next_run_goes_on(tmp_path: Path) -> None:
    async with scripted(tmp_path) as scene, house(tmp_path, scene.agent()) as home:
        session = await home.open()
        receipt = await session.send("SLOW 1000 10")
        await awaited(session, MessageDelta)
        await session.stop()
        events = await session.answer(receipt)
        later = await session.say("SESSION")

    assert said(events).startswith("w0 ")
    assert ending(events).status == RunState.CANCELLED
    assert json.loads(said(later))["prompts"] == 2


async def test_a_session_that_is_deleted_in_the_middle_of_a_run_leaves_no_program(tmp_path: Path) -> None:
    async with scripted(tmp_path) as scene, house(tmp_path, scene.agent()) as home:
        session = await home.open()
        await session.send("SLOW 1000 10")
        await awaited(session, MessageDelta)
        await home.host.commands.delete_session(home.ada, session.session_id)
        await until(lambda: scene.pool.programs == 0)

        assert ending(await (await home.open()).say("SAY back")).status == RunState.COMPLETED


@pytest.mark.sources("P2")
async def test_a_program_that_is_killed_fails_its_runs_and_no_others_after(tmp_path: Path) -> None:
    async with scripted(tmp_path, "--store", str(tmp_path)) as scene, house(tmp_path, scene.agent()) as home:
        one, two = await home.open(), await home.open()
        pid = json.loads(said(await one.say("SESSION")))["pid"]
        receipts = [await session.send("SLOW 1000 10") for session in (one, two)]
        for session, receipt in zip((one, two), receipts, strict=True):
            await awaited(session, MessageDelta, receipt.seq)
        os.kill(pid, signal.SIGKILL)
        ends = [
            ending(await session.answer(receipt))
            for session, receipt in zip((one, two), receipts, strict=True)
        ]
        later = json.loads(said(await one.say("SESSION")))

    assert [(end.status, end.retryable) for end in ends] == [(RunState.FAILED, True)] * 2
    assert (later["prompts"], later["pid"] == pid) == (3, False)


async def test_sessions_are_worked_for_at_once(tmp_path: Path) -> None:
    async with scripted(tmp_path) as scene, house(tmp_path, scene.agent()) as home:
        sessions = [await home.open() for _ in range(5)]
        answers = await asyncio.gather(*(s.say(f"SLOW 5 5\nSAY {n}") for n, s in enumerate(sessions)))
        told = [json.loads(said(await session.say("SESSION"))) for session in sessions]

    assert [said(events) for events in answers] == [f"w0 w1 w2 w3 w4 {n}" for n in range(5)]
    assert (len({one["pid"] for one in told}), len({one["id"] for one in told})) == (1, 5)


async def test_a_flood_is_stopped_by_the_limit_of_the_run_and_the_program_lives(tmp_path: Path) -> None:
    async with scripted(tmp_path) as scene, house(tmp_path, scene.agent(max_output_bytes=50_000)) as home:
        session = await home.open()
        before = json.loads(said(await session.say("SESSION")))
        events = await session.say("FLOOD 20000")
        later = json.loads(said(await session.say("SESSION")))

    assert (ending(events).status, ending(events).reason) == (RunState.FAILED, "output_limit")
    assert (later["pid"], later["id"]) == (before["pid"], before["id"])


@pytest.mark.sources("P4", "P7")
async def test_a_question_survives_a_restart_and_its_answer_holds(tmp_path: Path) -> None:
    async def begin(scene: Scene) -> tuple[str, str]:
        async with house(tmp_path, scene.agent()) as home:
            session = await home.open()
            await session.send("SAY well\n" + tool(ask=ASK, append="made"))
            return session.session_id, await asked(session)

    flags = ("--store", str(tmp_path))
    async with scripted(tmp_path, *flags) as scene:
        session_id, approval_id = await begin(scene)
    async with scripted(tmp_path, *flags) as scene, house(tmp_path, scene.agent()) as home:
        session = home.session(session_id)
        await home.decide(approval_id, Answering.APPROVE)
        last = await awaited(session, RunFinished)
        events = [recorded async for recorded in _through(session, last.seq)]

    resumed, retried = all_of(events, RunResumed), all_of(events, RunRetried)
    assert isinstance(resumed[0], RunResumed) and resumed[0].mode == "rerun"
    assert len(retried) == 1
    assert len(all_of(events, ApprovalRequested)) == 1
    assert ending(events).status == RunState.COMPLETED
    [made] = tmp_path.glob("sessions/*/files/made")
    assert len(made.read_text().splitlines()) == 1


async def test_a_run_that_is_let_go_while_it_waits_prompts_again_and_asks_nobody_again(
    tmp_path: Path,
) -> None:
    limits, log = Limits(hold_s=0.0), tmp_path / "log"
    async with (
        scripted(tmp_path, "--log", str(log)) as scene,
        house(tmp_path, scene.agent(), limits) as home,
    ):
        session = await home.open()
        receipt = await session.send("PROMPT\n" + tool(ask=ASK, append="made"))
        approval_id = await asked(session)
        await until(lambda: "session/cancel" in log.read_text())
        await home.decide(approval_id, Answering.APPROVE)
        events = await session.answer(receipt)

    assert len(all_of(events, RunRetried)) == len(all_of(events, RunResumed)) == 1
    assert len(all_of(events, ApprovalRequested)) == 1
    assert "(Your earlier answer to the following message was cut off" in said(events)
    assert said(events).endswith("[allow_once-0]")
    assert ending(events).status == RunState.COMPLETED
    [made] = tmp_path.glob("sessions/*/files/made")
    assert len(made.read_text().splitlines()) == 1


@pytest.mark.parametrize(("loads", "warned"), [(True, []), (False, ["context_rebuilt"])])
async def test_a_session_goes_on_after_a_restart(tmp_path: Path, loads: bool, warned: list[str]) -> None:
    flags = ("--store", str(tmp_path)) if loads else ()
    async with scripted(tmp_path, *flags) as scene, house(tmp_path, scene.agent()) as home:
        session_id = (await home.open()).session_id
        await home.session(session_id).say("SAY hello")
    async with scripted(tmp_path, *flags) as scene, house(tmp_path, scene.agent()) as home:
        events = await home.session(session_id).say("PROMPT")

    assert ending(events) == RunFinished(status="completed", reason="")
    assert [e.code for e in all_of(events, RunnerWarning) if isinstance(e, RunnerWarning)] == warned
    assert ("assistant: hello" in said(events)) is not loads


async def test_a_closed_session_is_forgotten_by_its_program(tmp_path: Path) -> None:
    async with scripted(tmp_path) as scene, house(tmp_path, scene.agent()) as home:
        session = await home.open()
        await session.say("SAY hi")
        assert scene.pool.programs == 1
        await home.host.commands.close_session(home.ada, session.session_id, CloseSession(), None)
        await until(lambda: scene.pool.programs == 0)
        assert scene.pool.fault is None


async def _through(session: HostedSession, last: int) -> AsyncGenerator[Recorded]:
    async for recorded in session.events():
        yield recorded
        if recorded.seq == last:
            return
