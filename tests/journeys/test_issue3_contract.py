"""Clauses of the contract, asked by a client that knows only the contract: statuses, fields, events."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.http.world import Json, World, a_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[World]:
    """A host with the demo agents; a user may have one live run."""
    async with a_world(tmp_path / "home", live_runs_per_user=1) as world:
        yield world


async def asked(world: World, session: str, text: str) -> str:
    """Send an ASK and wait until a person is asked: the approval."""
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": f"ASK {text}"})
    frame = await stream.event("run.waiting")
    return frame.data["data"]["approval_ids"][0]


async def data_of(world: World, session: str, kind: str) -> list[Json]:
    """The data of all events of a type."""
    return [event["data"] for event in await world.journal(session) if event["type"] == kind]


async def said(world: World, session: str) -> list[Any]:
    """What the transcript says, oldest first."""
    return [item["content"] for item in (await world.get(f"/v1/sessions/{session}/messages"))["data"]]


async def test_events_show_each_field_that_the_contract_names(world: World) -> None:
    session = await world.session()
    approval = await asked(world, session, "really?")
    follow = world.follow(session)
    await world.post(f"/v1/approvals/{approval}", {"decision": "approve"})
    await follow.event("run.finished")
    undone = await world.post(f"/v1/sessions/{session}/undo", {})

    assert [sorted(data) for data in await data_of(world, session, "tool.call.completed")] == [
        ["call_id", "replayed", "result", "status"]
    ]
    assert await data_of(world, session, "approval.resolved") == [
        {
            "approval_id": approval,
            "decision": "granted",
            "by": "admin",
            "note": None,
            "arguments": None,
            "remember": None,
        }
    ]
    empty = await world.session()
    await world.spoken(empty, "SAY nothing to keep")
    await world.post(f"/v1/sessions/{empty}/undo", {})
    assert [data["kept"] for data in await data_of(world, empty, "transcript.undone")] == [[]]
    assert undone["interrupts"] is None


async def test_an_undo_that_stops_a_run_which_waits_for_a_person_is_answered_202(world: World) -> None:
    session = await world.session()
    approval = await asked(world, session, "x")

    refused = await world.ask("POST", f"/v1/sessions/{session}/undo", {})
    taken = await world.ask("POST", f"/v1/sessions/{session}/undo", {"interrupt": True})

    run = (await world.journal(session))[2]["run_id"]
    assert (refused.status_code, refused.json()["code"]) == (409, "busy")
    assert (taken.status_code, taken.json()["interrupts"], taken.json()["pending"]) == (202, run, False)
    assert (await world.get(f"/v1/approvals/{approval}"))["status"] == "withdrawn"
    assert await said(world, session) == []


async def test_the_same_undo_on_the_socket_is_answered_202_too(world: World) -> None:
    session = await world.session()
    await asked(world, session, "x")
    wire = world.socket(session)

    wire.say({"id": "u", "command": "undo", "body": {"interrupt": True}})

    assert (await wire.reply("u"))["status"] == 202


@pytest.mark.sources("S11")
async def test_a_run_reads_the_outside_id_of_its_conversation_though_nobody_stored_it(world: World) -> None:
    ask = {"agent": "scripted", "conversation": {"bot_id": "b", "conversation_id": "c-7"}}
    session = (await world.post("/v1/sessions", ask))["id"]

    await world.spoken(session, "GET conversation external.conversation_id\nGET conversation conversation_id")

    assert (await said(world, session))[-1] == '"c-7""c-7"'
    listed = await world.get(f"/v1/sessions/{session}/state/conversation")
    assert listed["data"] == []


async def test_subject_state_of_others_is_reached_by_the_parameter_of_the_contract(world: World) -> None:
    session = await world.session()
    where = f"/v1/sessions/{session}/state/subject/k"

    kept = await world.ask("PUT", where + "?actor=order:7", {"value": 1})

    assert kept.status_code == 200
    assert (await world.get(where + "?subject=order:7"))["value"] == 1
    assert (await world.ask("GET", where)).status_code == 422


async def test_who_stops_a_run_that_waits_for_its_slot_is_named_by_both_events(world: World) -> None:
    ann = await world.key("member")
    session = await world.session(key=ann)
    follow = world.follow(session, key=ann)
    busy = await world.session(key=ann)
    await world.say(busy, "SLOW 100000 20", key=ann)
    receipt = await world.say(session, "SAY later", key=ann)

    stopped = await world.ask("POST", f"/v1/sessions/{session}/interrupt", {}, key=ann)

    assert (receipt["disposition"], receipt["queue_position"]) == ("queued", 1)
    assert (stopped.status_code, stopped.json()["status"]) == (202, "cancelled")
    await follow.event("run.finished")
    assert await data_of(world, session, "message.withdrawn") == [
        {"message_id": receipt["message_id"], "by": "ann", "reason": "interrupted"}
    ]


async def test_the_answer_to_a_deletion_says_how_many_forks_keep_what_they_share(world: World) -> None:
    session = await world.session()
    await world.spoken(session, "SAY shared")
    child = (await world.post(f"/v1/sessions/{session}/fork", {}))["id"]
    await world.post(f"/v1/sessions/{child}/fork", {})

    gone = await world.ask("DELETE", f"/v1/sessions/{session}")

    assert (gone.status_code, gone.headers["tenure-shared-with"]) == (204, "2")
    assert await said(world, child) == ["SAY shared", "shared"]
    last = await world.ask("DELETE", f"/v1/sessions/{child}")
    assert last.headers["tenure-shared-with"] == "1"
    alone = await world.ask("DELETE", f"/v1/sessions/{await world.session()}")
    assert alone.headers["tenure-shared-with"] == "0"
