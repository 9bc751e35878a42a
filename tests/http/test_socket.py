"""A session over a WebSocket: the same events, the same commands, the same refusals."""

import json
from typing import Any

import pytest

from tenure.http.call import Options
from tenure.http.routes import ROUTES
from tenure.http.socket import COMMANDS
from tests.http.world import World, a_world

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"


async def test_events_come_as_the_same_bytes_as_over_sse(world: World) -> None:
    session = await world.session()
    await world.spoken(session, "SAY one\nREASON two")
    stream, wire = world.follow(session), world.socket(session)
    await stream.named("up_to_date")
    await wire.control("up_to_date")

    data = [line[6:] for line in stream.text.split("\n") if line.startswith('data: {"seq"')]
    texts = [m["text"] for m in wire.sent if m["type"] == "websocket.send" and '"seq"' in m["text"][:7]]

    assert texts == data
    assert wire.frames[-1] == {
        "control": "up_to_date",
        "head_seq": len(data),
        "history": world.host.store.history,
    }


async def test_a_socket_resumes_at_every_boundary(world: World) -> None:
    session = await world.session()
    journal = await world.spoken(session, "SAY one\nREASON two")

    for after in range(len(journal) + 1):
        wire = world.socket(session, f"?after={after}")
        await wire.control("up_to_date")
        assert wire.events == journal[after:]
        await wire.leave()


async def test_a_command_is_answered_by_its_id_with_the_receipt(world: World) -> None:
    session = await world.session()
    wire = world.socket(session)

    wire.say({"id": "a", "command": "send", "body": {"content": LONG}})
    sent = await wire.reply("a")
    wire.say({"id": 2, "command": "interrupt", "body": {"run_id": sent["body"]["run_id"]}})
    stopped = await wire.reply(2)
    await wire.event("run.finished")

    assert sent == {
        "id": "a",
        "status": 202,
        "body": {
            "message_id": sent["body"]["message_id"],
            "run_id": sent["body"]["run_id"],
            "disposition": "started",
            "queue_position": 0,
            "seq": 2,
        },
    }
    assert stopped["status"] == 202
    assert stopped["body"]["run_id"] == sent["body"]["run_id"]
    assert wire.events == await world.journal(session)


async def test_a_refusal_has_the_problem_as_its_body_and_the_socket_goes_on(world: World) -> None:
    session = await world.session()
    path = f"/v1/sessions/{session}"
    wire = world.socket(session)

    wire.say({"id": 1, "command": "interrupt"})
    wire.say({"id": 2, "command": "send", "body": {"content": 7}})
    wire.say({"id": 3, "command": "send", "body": {"content": "x", "if_head_seq": 9}})
    wire.say({"id": 4, "command": "send", "body": {"content": "SAY x"}})
    await wire.reply(4)

    posted = await world.ask("POST", f"{path}/messages", {"content": 7})
    assert await wire.reply(2) == {"id": 2, "status": 422, "body": posted.json()}
    assert (await wire.reply(1))["body"]["code"] == "not_running"
    assert (await wire.reply(3))["body"]["code"] == "precondition_failed"
    assert (await wire.reply(4))["status"] == 202


@pytest.mark.parametrize("command", ["fork", "shout", ""])
async def test_a_command_that_the_socket_lacks_is_unsupported(world: World, command: str) -> None:
    wire = world.socket(await world.session())

    wire.say({"id": 1, "command": command, "body": {}})

    assert await wire.reply(1) == {
        "id": 1,
        "status": 409,
        "body": {
            "type": "/docs#unsupported",
            "title": "This isn't supported here",
            "status": 409,
            "code": "unsupported",
            "detail": f"The socket has no command {command!r}. It has: {', '.join(COMMANDS)}.",
            "command": command,
        },
    }


@pytest.mark.parametrize(
    ("text", "answers", "status", "code"),
    [
        ("nonsense", None, 400, "bad_request"),
        ("", None, 422, "invalid"),
        ("[]", None, 422, "invalid"),
        ('{"id": null, "command": "send"}', None, 422, "invalid"),
        ('{"id": [1], "command": "send"}', None, 422, "invalid"),
        ('{"id": 7}', 7, 422, "invalid"),
        ('{"id": "a", "command": 3}', "a", 422, "invalid"),
        ('{"id": 7, "command": "send", "more": 1}', 7, 422, "invalid"),
        ('{"id": 7, "command": "send", "body": ' + "[" * 70 + "]" * 70 + "}", None, 422, "too_deep"),
    ],
)
async def test_a_garbled_frame_is_refused_by_its_id_if_it_has_one(
    world: World, text: str, answers: str | int | None, status: int, code: str
) -> None:
    wire = world.socket(await world.session())

    wire.say(text)
    reply = await wire.reply(answers)
    wire.say({"id": 1, "command": "send", "body": {"content": "SAY x"}})

    assert (reply["status"], reply["body"]["code"]) == (status, code)
    assert (await wire.reply(1))["status"] == 202


async def test_a_frame_that_is_too_large_or_binary_ends_the_socket(world: World) -> None:
    session = await world.session()
    large, binary = world.socket(session), world.socket(session)

    large.say(json.dumps({"id": 1, "command": "send", "body": {"content": "x" * 1024 * 1024}}))
    binary.say_bytes(b"{}")

    assert ((await large.reply(None))["body"]["code"], (await large.closed())["code"]) == ("too_large", 4413)
    assert ((await binary.reply(None))["body"]["code"], (await binary.closed())["code"]) == (
        "bad_request",
        4400,
    )
    assert await world.host.store.head(session) == 1


async def test_the_idempotency_key_of_a_command_is_the_headers_equal(world: World) -> None:
    session = await world.session()
    wire = world.socket(session)
    command = {"command": "send", "body": {"content": "SAY x"}, "idempotency_key": "k"}

    wire.say({"id": 1, **command})
    wire.say({"id": 2, **command})
    first, again = await wire.reply(1), await wire.reply(2)
    posted = await world.ask(
        "POST", f"/v1/sessions/{session}/messages", {"content": "SAY x"}, headers={"Idempotency-Key": "k"}
    )
    wire.say({"id": 3, **command, "body": {"content": "SAY y"}})
    wire.say({"id": 4, **command, "idempotency_key": "x" * 256})

    assert first["body"] == again["body"] == posted.json()
    assert posted.headers["idempotency-replayed"] == "true"
    assert (await wire.reply(3))["body"]["code"] == "idempotency_conflict"
    assert (await wire.reply(4))["body"]["code"] == "invalid"


async def test_the_key_may_come_in_the_first_frame(world: World) -> None:
    session = await world.session()
    wire = world.socket(session, "?after=1", key=None)

    wire.say({"auth": world.root})
    await wire.control("up_to_date")
    wire.say({"id": 1, "command": "send", "body": {"content": "SAY x"}})

    assert (await wire.reply(1))["status"] == 202


@pytest.mark.parametrize(
    ("frame", "status", "code"),
    [
        ({"auth": "tnr_wrong"}, 401, "unauthenticated"),
        ({"auth": ""}, 401, "unauthenticated"),
        ({"id": 1, "command": "send"}, 422, "invalid"),
        ("nonsense", 400, "bad_request"),
    ],
)
async def test_a_first_frame_without_a_valid_key_ends_the_socket(
    world: World, frame: object, status: int, code: str
) -> None:
    wire = world.socket(await world.session(), key=None)

    wire.say(frame)

    reply = await wire.reply(None)
    assert (reply["status"], reply["body"]["code"]) == (status, code)
    assert (await wire.closed())["code"] == 4000 + status
    assert wire.events == []


async def test_a_socket_without_a_key_is_closed_in_time(world: World) -> None:
    world.serve(Options(key_frame_s=0.02))
    wire = world.socket(await world.session(), key=None)

    reply = await wire.reply(None)

    assert reply["body"]["detail"] == (
        'No key came within 0.02 s. Send {"auth": KEY} first, or the Authorization header.'
    )
    assert (await wire.closed())["code"] == 4401


async def test_a_client_that_leaves_before_its_key_is_forgotten(world: World) -> None:
    wire = world.socket(await world.session(), key=None)

    await wire.leave()

    assert [m["type"] for m in wire.sent] == ["websocket.accept"]


async def test_a_stranger_is_denied_before_the_socket_opens(world: World) -> None:
    session = await world.session(key=await world.key("member", "ann", "acme"))
    stranger = await world.key("admin", "eve", "rival")

    by_header = await world.socket(session, key=stranger).denied()
    wire = world.socket(session, key=None)
    wire.say({"auth": stranger})

    assert (by_header[0], by_header[1]["code"]) == (404, "not_found")
    assert (await wire.reply(None))["body"] == by_header[1]
    assert (await wire.closed())["code"] == 4404


async def test_a_server_that_cannot_answer_by_http_closes_with_the_status(world: World) -> None:
    session = await world.session()

    wire = world.socket(session, key="tnr_wrong", denial=False)

    assert await wire.closed() == {"type": "websocket.close", "code": 4401, "reason": "unauthenticated"}


async def test_unknown_parameters_and_bad_cursors_are_denied(world: World) -> None:
    session = await world.session()

    async def denied(query: str) -> tuple[int, str]:
        status, problem = await world.socket(session, query).denied()
        return status, problem["code"]

    assert await denied("?limit=5") == (422, "invalid")
    assert await denied("?after=x") == (400, "bad_cursor")
    assert await denied("?after=2") == (409, "cursor_ahead")
    assert await denied("?after=0&history=his_old") == (409, "history_changed")


async def test_a_viewer_follows_but_gives_no_commands(world: World) -> None:
    session = await world.session(key=await world.key("member", "ann"))
    wire = world.socket(session, key=await world.key("viewer", "ann"))
    await wire.control("up_to_date")

    wire.say({"id": 1, "command": "send", "body": {"content": "SAY x"}})

    assert (await wire.reply(1))["body"]["detail"] == (
        "A key with role viewer may not give the command send. Use a key with a stronger role."
    )


async def test_commands_of_a_socket_count_towards_the_rate(tmp_path: Any) -> None:
    async with a_world(tmp_path, commands_per_minute=2) as world:
        ann = await world.key("member", "ann")
        wire = world.socket(await world.session(key=ann), key=ann)

        for frame_id in (1, 2):
            wire.say({"id": frame_id, "command": "send", "body": {"content": "SAY x"}})

        assert (await wire.reply(1))["status"] == 202
        assert (await wire.reply(2))["body"]["code"] == "rate_limited"


async def test_deleting_the_session_closes_the_socket(world: World) -> None:
    session = await world.session()
    wire = world.socket(session)
    await wire.control("up_to_date")

    await world.ask("DELETE", f"/v1/sessions/{session}")

    assert (await wire.closed())["code"] == 1000
    assert wire.frames[-1] == {"control": "closed", "reason": "deleted"}


@pytest.mark.sources("N07")
async def test_a_socket_that_leaves_stops_nothing(world: World) -> None:
    session = await world.session()
    wire = world.socket(session)
    wire.say({"id": 1, "command": "send", "body": {"content": LONG}})
    await wire.event("message.delta")

    await wire.leave()

    assert world.host.fanout.streams == 0
    assert (await world.get(f"/v1/sessions/{session}"))["status"] == "running"


async def test_an_unexpected_error_ends_the_socket_with_internal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret inner text")

    monkeypatch.setattr(world.host.commands, "send", broken)
    wire = world.socket(await world.session())
    wire.say({"id": 1, "command": "send", "body": {"content": "x"}})

    assert (await wire.reply(None))["body"]["code"] == "internal"
    assert (await wire.closed())["code"] == 4500
    assert "secret" not in str(wire.sent)


ELSEWHERE = {
    "withdraw": "DELETE /v1/sessions/{session_id}/messages/{message_id}",
    "promote": "PATCH /v1/sessions/{session_id}/messages/{message_id}",
    "decide": "POST /v1/approvals/{approval_id}",
}
"""The commands whose request names its object in the path: their body names it instead."""


@pytest.mark.sources("M01")
def test_each_command_is_answered_as_the_request_that_it_stands_for() -> None:
    declared = {route.name: route for route in ROUTES}

    for name, command in COMMANDS.items():
        route = declared[ELSEWHERE.get(name, "POST /v1/sessions/{session_id}/" + command.path)]
        assert (name, route.action, route.status) == (name, command.action, command.status)
        if name not in ELSEWHERE:
            assert route.body is command.body
