"""kill -9 while agents of others work: an ACP program, and one of pydantic-ai."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tenure.core.ledger import CHANGED
from tenure.ports.landmarks import Landmark
from tests.crash.agents import (
    ONCE,
    PAUSE_S,
    AgentLoad,
    House,
    book_of,
    faults,
    journal,
    log_of,
    own,
    pending,
)
from tests.crash.load import Session
from tests.crash.server import Died, examine_home
from tests.crash.test_calls import asking, said
from tests.models.server import models_aside
from tests.runners.acp.processes import until

pytestmark = pytest.mark.anyio

BOUND_S = 30


@pytest.fixture(scope="module")
def models() -> Iterator[str]:
    """Where the scripted model answers."""
    with models_aside() as models:
        yield models.v1


async def die_at(house: House, load: AgentLoad, landmark: Landmark, nth: int) -> None:
    """A life of the server that ends at a landmark."""
    server = house.server(f"{landmark}:{nth}")
    try:
        server.ready()
    except Died:
        assert server.wait() == -signal.SIGKILL
        return
    with anyio.fail_after(BOUND_S):
        await load.until_dead(server, kill_after=None)


async def die_after(house: House, load: AgentLoad, seen: int) -> None:
    """A life of the server that ends after so many receipts and events, and with it all that it started."""
    server = house.server().ready()
    with anyio.fail_after(BOUND_S):
        await load.until_dead(server, kill_after=seen)
    await house.no_orphans()


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path, models: str) -> Iterator[House]:
    """A home with the agent that the test names."""
    house = House(tmp_path, models, [request.param])
    yield house
    house.close()


Place = tuple[Landmark | None, int]

PLACES: dict[str, list[Place]] = {
    "acp": [
        (Landmark.BATCH_BEGUN, 40),
        (Landmark.RUN_SPAWNED, 5),
        (Landmark.COMMIT_BEFORE, 45),
        (Landmark.CALL_AFTER, 1),
        (Landmark.DELIVERY_AFTER, 30),
        (Landmark.REAP_BEFORE, 1),
        (Landmark.RUN_SETTLING, 3),
        (Landmark.RUN_SPAWNING, 5),
        (None, 60),
        (Landmark.REAP_AFTER, 1),
        (Landmark.RUN_SETTLED, 4),
    ],
    "desk": [(Landmark.COMMIT_AFTER, 45), (Landmark.CALL_BEFORE, 1), (Landmark.DELIVERY_BEFORE, 30)],
}
"""Where a server dies, one life after another on the same home, and at which passing of the landmark; without
one, after how many receipts and events."""


def test_every_landmark_has_its_crash() -> None:
    assert {place for places in PLACES.values() for place, _ in places} == {None, *Landmark}


@pytest.mark.timeout(300)
@pytest.mark.sources("P1", "P2", "P4", "P7", "A29")
@pytest.mark.parametrize("house", ["acp", "desk"], indirect=True)
async def test_agents_whose_server_dies_again_and_again_lose_nothing_and_repeat_nothing(house: House) -> None:
    (agent,) = house.agents
    load = AgentLoad(7, [agent] * 4)
    for landmark, nth in PLACES[agent]:
        if landmark is None:
            await die_after(house, load, nth)
        else:
            await die_at(house, load, landmark, nth)

    assert await judged(house, load) == []
    assert load.decided


WORK = {
    "acp": {
        "own": f"SAY asking\nTOOL {json.dumps(own('wanted'))}\nSAY and done",
        "host": 'MCP confirm {"text": "shall I?"}\nSAY and done',
        "made": f"TOOL {json.dumps(own('hold', ends=False))}\nSLOW 20 100",
        "streams": "SLOW 150 20",
        "call": f"MCP {ONCE}\nSAY and done",
    },
    "desk": {
        "own": 'SAY asking\nTOOL wipe {"command": "wanted"}\nTHEN\nSAY and done',
        "host": 'TOOL confirm {"text": "shall I?"}\nTHEN\nSAY and done',
        "made": 'TOOL wipe {"command": "hold"}\nTHEN\nSAY and done',
        "streams": "SLOW 150 20",
        "call": f"TOOL {ONCE}\nTHEN\nSAY and done",
    },
}


@pytest.mark.timeout(180)
@pytest.mark.sources("P4", "P7", "A17")
@pytest.mark.parametrize("house", ["acp", "desk"], indirect=True)
async def test_whatever_an_agent_did_when_its_server_died_is_done_once_and_asked_once(house: House) -> None:
    (agent,) = house.agents
    server = house.server(f"{Landmark.CALL_AFTER}:1").ready()
    async with asking(server) as http:
        sessions = {what: await opened(http, agent) for what in WORK[agent]}
        for what in ("own", "host", "made"):
            await said(http, sessions[what], WORK[agent][what])
        asked = {what: await event(http, sessions[what], "approval.requested") for what in WAITING}
        first = await event(http, sessions["made"], "approval.requested")
        await decide(http, first["approval_id"], "approve")
        await until(lambda: book_of(house.home, sessions["made"]) == ["hold"])
        await said(http, sessions["streams"], WORK[agent]["streams"])
        await event(http, sessions["streams"], "message.delta")
        await said(http, sessions["call"], WORK[agent]["call"])
    assert server.wait() == -signal.SIGKILL

    server = house.server().ready()
    async with asking(server) as http:
        again = await event(http, sessions["made"], "approval.requested", after=first["approval_id"])
        questions = {approval["id"] for approval in await pending(http)}
        await decide(http, again["approval_id"], "deny")
        for what in WAITING:
            await decide(http, asked[what]["approval_id"], "approve")
        ends = {what: (await event(http, sessions[what], "run.finished"))["status"] for what in sessions}
        events = {what: await journal(http, sessions[what]) for what in sessions}
        broken = [
            fault
            for what in sessions
            for fault in faults(house.home, Session(sessions[what], agent), events[what])
        ]
        found = await examine_home(house.home, {})
    assert server.terminate() == 0
    await house.no_orphans()

    assert questions == {again["approval_id"], *(question["approval_id"] for question in asked.values())}
    assert again["reason"] == CHANGED
    assert ends == dict.fromkeys(sessions, "completed")
    assert broken + found == []
    assert {what: book_of(house.home, sessions[what]) for what in ("own", "made")} == {
        "own": ["wanted"],
        "made": ["hold"],
    }
    assert len(log_of(house.home, sessions["call"])) == 1
    assert [e["data"]["mode"] for e in events["own"] if e["type"] == "run.resumed"] == [MODES[agent]]
    assert counted(events["own"], "approval.requested") == counted(events["host"], "approval.requested") == 1


WAITING = ("own", "host")
MODES = {"acp": "rerun", "desk": "resume"}
"""How a run goes on that waited for a person when its server died."""


def counted(events: list[dict[str, Any]], kind: str) -> int:
    """How many events there are of a type."""
    return sum(event["type"] == kind for event in events)


async def opened(http: httpx.AsyncClient, agent: str) -> str:
    """A new session."""
    return (await http.post("/v1/sessions", json={"agent": agent})).json()["id"]


async def decide(http: httpx.AsyncClient, approval_id: str, decision: str) -> None:
    """Answer a question."""
    answer = await http.post(f"/v1/approvals/{approval_id}", json={"decision": decision})
    assert answer.status_code == 200, answer.text


async def event(http: httpx.AsyncClient, session: str, kind: str, after: str = "") -> dict[str, Any]:
    """Wait for the first event of a type, or the first that isn't about the approval `after`; its data."""
    with anyio.fail_after(BOUND_S):
        while True:
            for found in await journal(http, session):
                if found["type"] == kind and found["data"].get("approval_id", "-") != after:
                    return found["data"]
            await anyio.sleep(PAUSE_S)


async def judged(house: House, load: AgentLoad) -> list[str]:
    """Start once more, let all come to its end, and tell what is wrong."""
    server = house.server().ready()
    async with asking(server) as http:
        found = await load.to_rest(http)
        found += [
            fault
            for session in load.sessions
            for fault in faults(house.home, session, await journal(http, session.id))
        ]
        found += [violation.sentence for violation in await examine_home(house.home, load.observed())]
    if server.terminate() != 0:
        found.append("The server didn't end well.")
    await house.no_orphans()
    return found
