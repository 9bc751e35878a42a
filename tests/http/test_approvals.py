"""Approvals over HTTP and the socket: listed, read, answered once, taken back."""

from typing import Any

import pytest

from tests.http.world import Json, Stream, World

pytestmark = pytest.mark.anyio


async def asked(world: World, text: str = "shall I?", **how: str) -> tuple[str, str, Stream]:
    """A session whose run waits for a person; the approval's id, and the stream of its events."""
    session = await world.session(**how)
    await world.say(session, f"ASK {text}", **how)
    stream = world.follow(session, **how)
    requested = await stream.event("approval.requested")
    await stream.event("run.waiting")
    return session, requested.data["data"]["approval_id"], stream


def said(stream: Stream) -> str:
    """All text that was said."""
    events = [frame.data for frame in stream.frames if frame.id is not None]
    return "".join(e["data"]["text"] for e in events if e["type"] == "message.delta")


async def answered(world: World, approval: str, body: Json, status: int = 200, **how: Any) -> Json:
    """What a decision is answered."""
    answer = await world.ask("POST", f"/v1/approvals/{approval}", body, **how)
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.sources("M13", "M18")
async def test_an_approval_is_read_and_answered(world: World) -> None:
    session, approval, stream = await asked(world)
    pending = await world.get(f"/v1/approvals/{approval}")

    assert {k: pending[k] for k in ("id", "session_id", "tool", "arguments", "status")} == {
        "id": approval,
        "session_id": session,
        "tool": "confirm",
        "arguments": {"text": "shall I?"},
        "status": "pending",
    }
    info = await world.get(f"/v1/sessions/{session}")
    assert (info["status"], [found["id"] for found in info["pending_approvals"]]) == ("waiting", [approval])
    told = await answered(world, approval, {"decision": "approve", "note": "fine"})
    assert told == {
        **pending,
        "status": "granted",
        "decision": "granted",
        "by": "admin",
        "note": "fine",
        "resolved_at": told["resolved_at"],
    }
    await stream.event("run.finished")
    assert said(stream) == "approved: shall I?"
    assert await world.get(f"/v1/approvals/{approval}") == told


@pytest.mark.sources("P7")
async def test_edited_arguments_are_executed_and_misfits_leave_the_approval_pending(world: World) -> None:
    _, approval, stream = await asked(world)
    problem = await answered(world, approval, {"decision": "approve", "arguments": {"txt": 1}}, 422)
    assert problem["code"] == "invalid"
    assert (await world.get(f"/v1/approvals/{approval}"))["status"] == "pending"
    refused = await answered(world, approval, {"decision": "deny", "arguments": {"text": "x"}}, 422)
    assert refused["field"] == "arguments"
    await answered(world, approval, {"decision": "approve", "arguments": {"text": "rather this"}})
    await stream.event("run.finished")

    assert said(stream) == "approved: rather this"


@pytest.mark.sources("A17")
async def test_a_second_answer_is_refused_and_names_the_first(world: World) -> None:
    _, approval, stream = await asked(world)
    first = await answered(world, approval, {"decision": "deny", "note": "no"})
    await stream.event("run.finished")
    problem = await answered(world, approval, {"decision": "approve"}, 409)

    assert said(stream) == "denied"
    assert problem == {
        "type": "/docs#already_resolved",
        "title": "The approval was decided already",
        "status": 409,
        "code": "already_resolved",
        "detail": f"The approval {approval} was denied by admin at {first['resolved_at']}. "
        "Nothing was changed.",
        "approval_id": approval,
        "decision": "denied",
        "by": "admin",
        "resolved_at": first["resolved_at"],
    }


async def test_a_decision_is_given_once_under_one_idempotency_key(world: World) -> None:
    session, approval, stream = await asked(world)
    path, key = f"/v1/approvals/{approval}", {"Idempotency-Key": "k"}
    first = await world.ask("POST", path, {"decision": "approve"}, headers=key)
    again = await world.ask("POST", path, {"decision": "approve"}, headers=key)
    wire = world.socket(session)
    body = {"approval_id": approval, "decision": "approve"}
    wire.say({"id": 1, "command": "decide", "body": body, "idempotency_key": "k"})
    third = await wire.reply(1)

    assert again.headers["idempotency-replayed"] == "true"
    assert first.json() == again.json() == third["body"]
    await stream.event("run.finished")


async def test_the_socket_decides_what_its_own_session_waits_for(world: World) -> None:
    session, approval, stream = await asked(world)
    other, foreign, _ = await asked(world)
    wire = world.socket(session)
    wire.say({"id": "a", "command": "decide", "body": {"approval_id": foreign, "decision": "deny"}})
    wire.say({"id": "b", "command": "decide", "body": {"approval_id": approval, "decision": "approve"}})
    refused, made = await wire.reply("a"), await wire.reply("b")
    await stream.event("run.finished")

    assert (refused["status"], refused["body"]["code"]) == (404, "not_found")
    assert (made["body"]["status"], said(stream)) == ("granted", "approved: shall I?")
    assert (await world.get(f"/v1/sessions/{other}"))["status"] == "waiting"


async def test_lists_show_what_the_caller_reaches_and_asks_for(world: World) -> None:
    ann, bob = await world.key("member", "ann", "acme"), await world.key("member", "bob", "acme")
    olga = await world.key("operator", "olga", "acme")
    first = await asked(world, key=ann)
    second = await asked(world, key=ann)
    third = await asked(world, key=bob)
    await answered(world, second[1], {"decision": "deny"}, key=ann)

    async def ids(key: str, query: str = "") -> list[str]:
        return [found["id"] for found in (await world.get(f"/v1/approvals{query}", key=key))["data"]]

    assert await ids(ann) == [first[1], second[1]]
    assert await ids(bob) == [third[1]]
    assert await ids(olga) == [third[1], first[1], second[1]]
    assert await ids(olga, "?status=denied") == [second[1]]
    assert await ids(olga, f"?session_id={first[0]}&status=pending") == [first[1]]
    page = await world.get("/v1/approvals?limit=2", key=olga)
    assert await ids(olga, f"?limit=2&cursor={page['next_cursor']}") == [second[1]]
    bad = await world.ask("GET", "/v1/approvals?status=maybe", key=olga)
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid")


async def test_who_may_not_reach_an_approval_is_told_that_there_is_none(world: World) -> None:
    ann = await world.key("member", "ann", "acme")
    _, approval, _ = await asked(world, key=ann)
    for role, user, tenant in (("member", "bob", "acme"), ("admin", "ann", "rival")):
        key = await world.key(role, user, tenant)
        assert (await world.ask("GET", f"/v1/approvals/{approval}", key=key)).status_code == 404
        await answered(world, approval, {"decision": "approve"}, 404, key=key)
    viewer = await world.key("viewer", "ann", "acme")
    assert (await world.get(f"/v1/approvals/{approval}", key=viewer))["status"] == "pending"
    await answered(world, approval, {"decision": "approve"}, 403, key=viewer)


async def test_a_remembered_tool_is_asked_about_again_once_that_is_revoked(world: World) -> None:
    session, approval, stream = await asked(world)
    await answered(world, approval, {"decision": "approve", "remember": "session"})
    await stream.event("run.finished")
    journal = await world.spoken(session, "ASK again")
    resolved = [event["data"] for event in journal if event["type"] == "approval.resolved"]
    assert [(found["decision"], found["by"]) for found in resolved] == [
        ("granted", "admin"),
        ("granted", "rule"),
    ]

    for _ in range(2):
        revoked = await world.ask("DELETE", f"/v1/approvals/{approval}")
        assert revoked.status_code == 204
    head = journal[-1]["seq"]
    await world.say(session, "ASK once more")
    await world.follow(session, f"?after={head}").event("run.waiting")


@pytest.mark.sources("A16")
async def test_a_stop_while_an_approval_waits_withdraws_it(world: World) -> None:
    session, approval, stream = await asked(world)
    await world.post(f"/v1/sessions/{session}/interrupt", {})
    finished = await stream.event("run.finished")

    assert finished.data["data"]["status"] == "cancelled"
    problem = await answered(world, approval, {"decision": "approve"}, 409)
    assert (problem["code"], problem["decision"]) == ("already_resolved", "withdrawn")
