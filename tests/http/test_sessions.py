"""Sessions, runs and transcripts as clients read and change them."""

from typing import Any

import pytest

from tests.http.world import World, a_world

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"
"""A message whose run goes on until it is stopped."""


async def settled(world: World, session: str, text: str, **how: Any) -> Any:
    """Send a message and wait for its outcome: the receipt."""
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": text}, **how)
    return (await stream.end())[0].data


@pytest.mark.sources("M03")
async def test_opening_a_session_answers_all_of_it(world: World) -> None:
    body = {
        "agent": "scripted",
        "title": "Plans",
        "labels": {"env": "test"},
        "conversation": {"bot_id": "b1", "conversation_id": "c1"},
    }

    response = await world.ask("POST", "/v1/sessions", body, key=await world.key("member", "ann", "acme"))

    made = response.json()
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    assert made == {
        "id": made["id"],
        "agent": "scripted",
        "tenant": "acme",
        "owner": "ann",
        "title": "Plans",
        "labels": {"env": "test"},
        "conversation": {"bot_id": "b1", "conversation_id": "c1"},
        "status": "idle",
        "run_id": None,
        "head_seq": 1,
        "message_count": 0,
        "queue_held": False,
        "pending_approvals": [],
        "usage": {"input_tokens": 0, "output_tokens": 0, "cost": None},
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "as_of_seq": 1,
    }
    assert await world.get(f"/v1/sessions/{made['id']}") == made


async def test_what_the_bootstrap_admin_opens_lives_in_tenant_default(world: World) -> None:
    made = await world.post("/v1/sessions", {"agent": "scripted"})

    assert (made["tenant"], made["owner"]) == ("default", "admin")


async def test_an_unknown_agent_is_refused_with_those_there_are(world: World) -> None:
    response = await world.ask("POST", "/v1/sessions", {"agent": "nobody"})

    assert response.status_code == 404
    assert response.json() == {
        "type": "/docs#unknown_agent",
        "title": "There is no such agent",
        "status": 404,
        "code": "unknown_agent",
        "detail": "There is no agent 'nobody' on this host. It has: concierge, longhaul, reporter, scripted.",
        "agent": "nobody",
    }


@pytest.mark.sources("O27")
async def test_the_catalogue_lists_every_agent(world: World) -> None:
    page = await world.get("/v1/agents", key=await world.key("viewer"))

    assert page["next_cursor"] is None
    assert [agent["name"] for agent in page["data"]] == ["concierge", "longhaul", "reporter", "scripted"]
    assert set(page["data"][0]) == {
        "name",
        "runner",
        "description",
        "fault",
        "capabilities",
        "apis",
        "deadline_s",
        "healthy",
        "operations",
        "resources",
        "state_scopes",
        "storage",
        "tools",
        "tools_absent",
    }


@pytest.mark.sources("M17", "M19")
async def test_a_list_holds_what_the_caller_reaches(world: World) -> None:
    keys = {
        "ann": await world.key("member", "ann", "acme"),
        "ann's viewer": await world.key("viewer", "ann", "acme"),
        "bob": await world.key("member", "bob", "acme"),
        "operator": await world.key("operator", "olga", "acme"),
        "admin": await world.key("admin", "alma", "acme"),
        "rival": await world.key("admin", "ann", "rival"),
        "root": world.root,
    }
    ann, bob, rival = [await world.session(key=keys[who]) for who in ("ann", "bob", "rival")]

    async def reached(who: str) -> set[str]:
        page = await world.get("/v1/sessions", key=keys[who])
        return {session["id"] for session in page["data"]}

    assert {who: await reached(who) for who in keys} == {
        "ann": {ann},
        "ann's viewer": {ann},
        "bob": {bob},
        "operator": {ann, bob},
        "admin": {ann, bob},
        "rival": {rival},
        "root": {ann, bob, rival},
    }


@pytest.mark.sources("M10", "M19")
async def test_a_list_is_narrowed_by_agent_status_and_labels(world: World) -> None:
    async def opened(agent: str, **labels: str) -> str:
        made = await world.post("/v1/sessions", {"agent": agent, "labels": labels})
        return made["id"]

    one = await opened("scripted", env="a:b", team="x")
    two = await opened("scripted", env="a:b")
    three = await opened("longhaul")
    await world.post(f"/v1/sessions/{two}/close")
    await world.say(one, LONG)

    async def found(query: str) -> set[str]:
        return {session["id"] for session in (await world.get(f"/v1/sessions?{query}"))["data"]}

    assert await found("agent=longhaul") == {three}
    assert await found("status=closed") == {two}
    assert await found("status=running") == {one}
    assert await found("status=idle") == {three}
    assert await found("label=env:a:b") == {one, two}
    assert await found("label=env:a:b&label=team:x") == {one}
    assert await found("label=team:y") == set()
    assert await found("agent=nobody") == set()


async def test_pages_of_a_list_hold_everything_once(world: World) -> None:
    opened = [await world.session() for _ in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = await world.get(f"/v1/sessions?limit=3{cursor}")
        seen += [session["id"] for session in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert sorted(seen) == sorted(opened)


@pytest.mark.parametrize("list_", ["sessions", "keys", "runs", "messages"])
async def test_a_cursor_that_no_list_gave_is_refused(world: World, list_: str) -> None:
    session = await world.session()
    path = f"/v1/{list_}" if list_ in ("sessions", "keys") else f"/v1/sessions/{session}/{list_}"

    response = await world.ask("GET", f"{path}?cursor=nonsense")

    assert (response.status_code, response.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", {f"name {n}": "value" for n in range(65)}),
        ("labels", {"name": "x" * 201}),
        ("labels", {"x" * 201: "value"}),
        ("conversation", {"thread_id": "x" * 1_001}),
        ("title", "x" * 201),
    ],
)
async def test_what_a_session_is_called_by_has_bounds(world: World, field: str, value: object) -> None:
    response = await world.ask("POST", "/v1/sessions", {"agent": "scripted", field: value})

    assert (response.status_code, response.json()["code"]) == (422, "invalid")
    assert response.json()["field"].startswith(field)


async def test_renaming_and_relabelling_leave_the_rest(world: World) -> None:
    session = await world.session()
    path = f"/v1/sessions/{session}"

    async def patched(body: dict[str, Any]) -> tuple[Any, Any]:
        response = await world.ask("PATCH", path, body)
        assert response.status_code == 200
        assert response.json() == await world.get(path)
        return response.json()["title"], response.json()["labels"]

    assert await patched({"title": "One"}) == ("One", {})
    assert await patched({"labels": {"a": "1"}}) == ("One", {"a": "1"})
    assert await patched({"title": None}) == (None, {"a": "1"})
    assert await patched({"labels": {}}) == (None, {})
    response = await world.ask("PATCH", path, {"owner": "eve"})
    assert (response.status_code, response.json()["field"]) == (422, "owner")


async def test_a_closed_session_takes_no_message_until_it_is_reopened(world: World) -> None:
    session = await world.session()

    closed = await world.post(f"/v1/sessions/{session}/close", {"reason": "done"})
    refused = await world.ask("POST", f"/v1/sessions/{session}/messages", {"content": "SAY x"})
    reopened = await world.post(f"/v1/sessions/{session}/reopen")

    assert (closed["status"], reopened["status"]) == ("closed", "idle")
    assert refused.status_code == 409
    assert refused.json() == {
        "type": "/docs#session_closed",
        "title": "The session is closed",
        "status": 409,
        "code": "session_closed",
        "detail": f"Session {session} is closed. Reopen it to send messages.",
        "session_id": session,
    }
    assert (await world.say(session, "SAY x"))["disposition"] == "started"


async def test_a_deleted_session_is_gone_for_everybody(world: World) -> None:
    session = await world.session()
    receipt = await settled(world, session, "SAY x")

    deleted = await world.ask("DELETE", f"/v1/sessions/{session}")
    again = await world.ask("DELETE", f"/v1/sessions/{session}")
    run = await world.ask("GET", f"/v1/runs/{receipt['run_id']}")

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (again.status_code, run.status_code) == (404, 404)
    assert (await world.get("/v1/sessions"))["data"] == []


@pytest.mark.sources("M05")
async def test_too_many_sessions_are_refused_with_scope_limit_and_current(tmp_path: Any) -> None:
    async with a_world(tmp_path, open_sessions=3, open_sessions_per_user=2) as world:
        ann, bob = await world.key("member", "ann"), await world.key("member", "bob")

        async def opened(key: str) -> tuple[int, Any]:
            response = await world.ask("POST", "/v1/sessions", {"agent": "scripted"}, key=key)
            facts = ("code", "scope", "limit", "current")
            return response.status_code, [response.json().get(fact) for fact in facts]

        answers = [await opened(key) for key in (ann, ann, ann, bob, bob)]

        assert [status for status, _ in answers] == [201, 201, 429, 201, 429]
        assert answers[2][1] == ["capacity", "per_user", 2, 2]
        assert answers[4][1] == ["capacity", "global", 3, 3]


@pytest.mark.sources("R01")
async def test_a_run_tells_how_it_went(world: World) -> None:
    session = await world.session()
    receipt = await settled(world, session, "FAIL out of ink")

    run = await world.get(f"/v1/runs/{receipt['run_id']}")

    assert run == {
        "id": receipt["run_id"],
        "session_id": session,
        "agent": "scripted",
        "status": "failed",
        "reason": "out of ink",
        "retryable": False,
        "attempt": 1,
        "message_id": receipt["message_id"],
        "grant": run["grant"],
        "grant_digest": run["grant_digest"],
        "usage": [],
        "queued_at": run["queued_at"],
        "started_at": run["started_at"],
        "finished_at": run["finished_at"],
    }
    assert run["grant"]["author"] == {"tenant": "default", "user": "admin", "role": "admin"}
    assert (await world.get(f"/v1/sessions/{session}/runs")) == {"data": [run], "next_cursor": None}


@pytest.mark.sources("M14")
async def test_interrupt_stops_the_live_run(world: World) -> None:
    session = await world.session()
    receipt = await world.say(session, LONG)
    stream = world.follow(session)
    await stream.event("run.started")

    response = await world.ask("POST", f"/v1/sessions/{session}/interrupt", {"run_id": receipt["run_id"]})

    finished = await stream.event("run.finished")
    assert response.status_code == 202
    assert response.json() == {
        "run_id": receipt["run_id"],
        "status": "interrupting",
        "seq": response.json()["seq"],
    }
    assert finished.data["data"]["status"] == "cancelled"


@pytest.mark.sources("M14")
async def test_interrupt_needs_the_run_that_is_live(world: World) -> None:
    session = await world.session()
    path = f"/v1/sessions/{session}/interrupt"
    idle = await world.ask("POST", path)
    await world.say(session, LONG)
    stale = await world.ask("POST", path, {"run_id": "run_" + "0" * 32})

    assert [(r.status_code, r.json()["code"]) for r in (idle, stale)] == [(409, "not_running")] * 2
    assert (await world.get(f"/v1/sessions/{session}"))["status"] == "running"


async def test_the_transcript_holds_what_was_said_and_what_waits(world: World) -> None:
    session = await world.session()
    first = await settled(world, session, "SAY hello")
    second = await world.say(session, LONG)
    third = await world.say(session, "SAY later")
    stream = world.follow(session)
    spoken = await stream.frame(lambda f: f.id is not None and f.data["data"].get("text") == "w0 ")

    page = await world.get(f"/v1/sessions/{session}/messages")

    assert [(i["message_id"], i["role"], i["run_id"], i["status"]) for i in page["data"]] == [
        (first["message_id"], "user", first["run_id"], "settled"),
        (page["data"][1]["message_id"], "assistant", first["run_id"], "completed"),
        (second["message_id"], "user", second["run_id"], "started"),
        (spoken.data["data"]["message_id"], "assistant", second["run_id"], "streaming"),
    ]
    assert [i["content"] for i in page["data"][:3]] == ["SAY hello", "hello", LONG]
    assert page["data"][3]["content"].startswith("w0 ")
    assert [(i["message_id"], i["content"], i["queue_position"]) for i in page["waiting"]] == [
        (third["message_id"], "SAY later", 1)
    ]
    assert (page["queue_held"], page["next_cursor"]) == (False, None)
    assert set(page) == {"data", "waiting", "queue_held", "as_of_seq", "next_cursor"}


async def test_pages_of_the_transcript_hold_everything_once(world: World) -> None:
    session = await world.session()
    for n in range(4):
        await settled(world, session, f"SAY {n}")
    whole = await world.get(f"/v1/sessions/{session}/messages")
    seen: list[Any] = []
    cursor = ""
    while True:
        page = await world.get(f"/v1/sessions/{session}/messages?limit=3{cursor}")
        seen += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == whole["data"]
    assert len(seen) == 8


async def test_a_message_tells_where_it_is_and_how_it_ended(world: World) -> None:
    session = await world.session()
    done = await settled(world, session, "SAY x")
    live = await world.say(session, LONG)
    waiting = await world.say(session, "SAY y")

    async def told(receipt: Any) -> tuple[Any, ...]:
        message = await world.get(f"/v1/sessions/{session}/messages/{receipt['message_id']}")
        return tuple(message[name] for name in ("status", "run_id", "queue_position", "outcome"))

    assert await told(done) == ("settled", done["run_id"], None, "completed")
    assert await told(live) == ("started", live["run_id"], None, None)
    assert await told(waiting) == ("queued", None, 1, None)
    missing = await world.ask("GET", f"/v1/sessions/{session}/messages/msg_{'0' * 32}")
    assert missing.json()["detail"] == (
        f"There is no message msg_{'0' * 32} for this key. Check the id, or use another key."
    )


@pytest.mark.sources("M12")
async def test_a_receipt_says_what_was_decided(world: World) -> None:
    session = await world.session()

    first = await world.ask("POST", f"/v1/sessions/{session}/messages", {"content": LONG})
    second = await world.ask("POST", f"/v1/sessions/{session}/messages", {"content": "SAY x"})

    assert (first.status_code, second.status_code) == (202, 202)
    one, two = first.json(), second.json()
    assert one == {
        "message_id": one["message_id"],
        "run_id": one["run_id"],
        "disposition": "started",
        "queue_position": 0,
        "seq": 2,
    }
    assert two == {
        "message_id": two["message_id"],
        "run_id": None,
        "disposition": "queued",
        "queue_position": 1,
        "seq": two["seq"],
    }
    events = {event["seq"]: event for event in await world.journal(session)}
    assert events[two["seq"]]["data"]["message_id"] == two["message_id"]


async def test_preconditions_and_policies_refuse_without_a_trace(world: World) -> None:
    session = await world.session()
    await world.say(session, LONG)
    path = f"/v1/sessions/{session}/messages"

    async def code(**fields: object) -> tuple[int, str]:
        response = await world.ask("POST", path, {"content": "x", **fields})
        return response.status_code, response.json()["code"]

    assert await code(when_busy="reject") == (409, "busy")
    assert await code(if_idle=True) == (409, "precondition_failed")
    assert await code(if_head_seq=1) == (409, "precondition_failed")
    kinds = [event["type"] for event in await world.journal(session)]
    assert kinds.count("message.admitted") == 1


async def test_a_full_queue_is_refused_per_session(tmp_path: Any) -> None:
    async with a_world(tmp_path, queued_messages_per_session=1) as world:
        session = await world.session()
        await world.say(session, LONG)
        await world.say(session, "SAY x")

        response = await world.ask("POST", f"/v1/sessions/{session}/messages", {"content": "x"})

        answer = response.json()
        assert response.status_code == 429
        assert {name: answer[name] for name in ("code", "scope", "limit", "current")} == {
            "code": "capacity",
            "scope": "per_session",
            "limit": 1,
            "current": 1,
        }
