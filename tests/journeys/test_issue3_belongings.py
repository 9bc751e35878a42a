"""What belongs to whom: clauses about state, files and events, asked as a client by people of all roles."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tenure.config import BindingSettings
from tests.http.world import Json, World, a_world

pytestmark = pytest.mark.anyio

BINDING = BindingSettings.model_validate(
    {"id": "chat", "agent": "scripted", "scope": {"type": "bot", "id": "tg-1"}}
)
CHAT = {"bot_id": "tg-1", "conversation_id": "c"}


@pytest.fixture
async def world(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[World]:
    """A host with the demo agents and a binding for one bot."""
    async with a_world(tmp_path / "home", (BINDING,)) as world:
        yield world


async def told_a_secret(world: World, connector: str) -> str:
    """A conversation of the platform, in whose state the agent keeps something. Its session."""
    event = {"event_id": "e1", **CHAT, "actor": {"id": "7"}, "input": {"text": "SET conversation pin 1234"}}
    receipt = await world.post("/v1/events", event, key=connector)
    await world.follow(receipt["session_id"]).event("run.finished")
    return receipt["session_id"]


async def state_of(world: World, session: str, key: str = "") -> Json:
    """The conversation state of a session, as the caller sees it."""
    page = await world.get(f"/v1/sessions/{session}/state/conversation", key=key)
    return {value["key"]: value["value"] for value in page["data"]}


async def opened(world: World, key: str) -> str:
    """A session that names the platform's conversation."""
    return (await world.post("/v1/sessions", {"agent": "scripted", "conversation": CHAT}, key=key))["id"]


async def test_to_name_a_conversation_gives_a_member_nothing_of_what_is_kept_there(world: World) -> None:
    connector, ada, bob = [
        await world.key(role, user)
        for role, user in (("operator", "gateway"), ("member", "ada"), ("member", "bob"))
    ]
    session = await told_a_secret(world, connector)
    mine, again, bobs = await opened(world, ada), await opened(world, ada), await opened(world, bob)
    where = f"/v1/sessions/{mine}/state/conversation/pin"
    assert (await world.ask("PUT", where, {"value": 1}, key=ada)).status_code == 200

    assert await state_of(world, session) == {"pin": 1234}
    assert await state_of(world, mine, ada) == await state_of(world, again, ada) == {"pin": 1}
    assert await state_of(world, bobs, bob) == {}


async def test_an_operator_who_names_a_conversation_shares_its_state(world: World) -> None:
    session = await told_a_secret(world, await world.key("operator", "gateway"))
    other = await opened(world, await world.key("operator", "olga"))

    assert await state_of(world, other) == await state_of(world, session) == {"pin": 1234}


async def test_a_change_of_somebody_elses_state_says_whose_it_was(world: World) -> None:
    session = await world.session()
    for scope, query, method in (
        ("actor", "", "PUT"),
        ("actor", "?actor=user:bob", "PUT"),
        ("actor", "?actor=user:bob", "DELETE"),
        ("subject", "?subject=doc:1", "PUT"),
    ):
        body = {"value": 1} if method == "PUT" else None
        path = f"/v1/sessions/{session}/state/{scope}/k{query}"
        assert (await world.ask(method, path, body)).status_code in (200, 204)

    changes = [e["data"] for e in await world.journal(session) if e["type"] == "state.updated"]
    assert [(data["scope"], data.get("of"), data.get("deleted", False)) for data in changes] == [
        ("actor", None, False),
        ("actor", "user:bob", False),
        ("actor", "user:bob", True),
        ("subject", "doc:1", False),
    ]


async def test_a_body_that_curl_sends_as_a_form_is_known_by_its_name(world: World) -> None:
    path = f"/v1/sessions/{await world.session()}/files?name=report.csv"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = await world.ask("POST", path, content=b"a,b\n", headers=headers)

    assert (sent.status_code, sent.json()["media_type"]) == (201, "text/csv")


async def waits(world: World, session: str) -> Json:
    """Wait until a person is asked in a session: the latest approval there."""
    stream = world.follow(session)
    await stream.named("up_to_date")
    await stream.until(lambda: stream.events[-1]["type"] == "run.waiting")
    page = await world.get(f"/v1/approvals?session_id={session}&status=pending")
    return page["data"][0]


async def test_what_is_remembered_holds_for_the_actor_who_asked_and_no_other(world: World) -> None:
    connector, olga = await world.key("operator", "gateway"), await world.key("operator", "olga")

    async def asks(event_id: str, actor: str | None) -> str:
        event: Json = {"event_id": event_id, **CHAT, "input": {"text": "ASK may I?"}}
        if actor is not None:
            event["actor"] = {"id": actor}
        return (await world.post("/v1/events", event, key=connector))["session_id"]

    async def decides(approval: Json, **decision: str) -> int:
        answer = await world.ask("POST", f"/v1/approvals/{approval['id']}", decision, key=olga)
        return answer.status_code

    session = await asks("e1", "7")
    assert await decides(await waits(world, session), decision="approve", remember="session") == 200
    await asks("e2", "7")
    await asks("e3", "8")
    theirs = await waits(world, session)
    resolved = [e["data"]["by"] for e in await world.journal(session) if e["type"] == "approval.resolved"]
    assert resolved == ["olga", "rule"]
    assert await decides(theirs, decision="deny") == 200
    await asks("e4", None)
    unknown = await waits(world, session)
    assert await decides(unknown, decision="approve", remember="session") == 422
    assert await decides(unknown, decision="approve") == 200
