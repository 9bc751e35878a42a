"""Who may answer an approval, over HTTP: those whose session it is, once, with arguments that fit."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tenure.config import BindingSettings
from tests.http.world import Json, World, a_world

pytestmark = pytest.mark.anyio

BINDING = BindingSettings.model_validate(
    {"id": "chat", "tenant": "acme", "agent": "scripted", "scope": {"type": "bot", "id": "b"}}
)


async def question(world: World, session: str, key: str) -> Json:
    """The approval that a session waits for."""
    stream = world.follow(session, key=key)
    requested = await stream.event("approval.requested")
    await stream.event("run.waiting")
    await stream.leave()
    return requested.data["data"]


async def outcome(world: World, session: str, key: str) -> str:
    """What the agent said, once its run has ended."""
    stream = world.follow(session, key=key)
    await stream.event("run.finished")
    said = [e["data"]["content"] for e in stream.events if e["type"] == "message.completed"]
    await stream.leave()
    return "".join(said)


@pytest.mark.sources("P7", "A17")
async def test_strangers_viewers_and_the_service_that_posted_the_event_decide_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path, (BINDING,)) as world:
        gateway = await world.key("operator", "gateway", "acme")
        others = {
            "stranger": await world.key("admin", "eve", "rival"),
            "another member": await world.key("member", "bob", "acme"),
            "viewer": await world.key("viewer", "gateway", "acme"),
        }
        boss = await world.key("admin", "alma", "acme")
        event = {
            "event_id": "e1",
            "event_type": "message.received",
            "source": "platform",
            "bot_id": "b",
            "conversation_id": "c",
            "actor": {"type": "user", "id": "7"},
            "input": {"text": "ASK pay the bill"},
        }
        receipt = await world.post("/v1/events", event, key=gateway)
        asked = await question(world, receipt["session_id"], gateway)
        path, approve = f"/v1/approvals/{asked['approval_id']}", {"decision": "approve"}
        answers = {who: (await world.ask("POST", path, approve, key=key)) for who, key in others.items()}
        poster = await world.ask("POST", path, approve, key=gateway)
        pending = await world.get(path, key=boss)
        decided = await world.ask("POST", path, approve, key=boss)

        assert {who: answer.status_code for who, answer in answers.items()} == {
            "stranger": 404,
            "another member": 404,
            "viewer": 403,
        }
        assert (poster.status_code, poster.json()["code"]) == (403, "forbidden")
        assert (pending["status"], decided.status_code) == ("pending", 200)
        assert await outcome(world, receipt["session_id"], gateway) == "approved: pay the bill"


@pytest.mark.sources("P7", "A17", "M13")
async def test_answers_that_race_are_one_answer_and_arguments_must_fit(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        ann, session = world.root, await world.session()
        await world.say(session, "ASK pay the bill")
        asked = await question(world, session, ann)
        path = f"/v1/approvals/{asked['approval_id']}"
        unfit = await world.ask("POST", path, {"decision": "approve", "arguments": {"text": 5}})
        still = await world.get(path)
        bodies: list[dict[str, Any]] = [
            {"decision": "approve", "arguments": {"text": f"pay {number}"}} for number in range(10)
        ]
        raced = await asyncio.gather(*(world.ask("POST", path, body) for body in bodies))
        (won,) = [answer.json() for answer in raced if answer.status_code == 200]
        lost = {(a.status_code, a.json()["code"]) for a in raced if a.status_code != 200}

        assert (unfit.status_code, unfit.json()["code"], still["status"]) == (422, "invalid", "pending")
        assert lost == {(409, "already_resolved")}
        assert await outcome(world, session, ann) == f"approved: {won['arguments']['text']}"
