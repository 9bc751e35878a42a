"""The front: what it refuses, in which order, and how a refusal looks."""

import asyncio
import logging
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

import tenure
from tenure.core.principal import Action
from tenure.http.app import create_app
from tenure.http.call import Call, NoBody, NoQuery, Options, Route, TenantRule
from tenure.http.router import UndeclaredRoute
from tenure.http.routes import ROUTES
from tests.http.world import World, a_world, scope_of

pytestmark = pytest.mark.anyio

UNKNOWN = "ses_00000000000000000000000000000000"


def refusal(status: int, code: str, title: str, detail: str, **facts: object) -> dict[str, object]:
    """A problem document as a whole."""
    return {
        "type": f"/docs#{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        **facts,
    }


async def problem(world: World, method: str, path: str, status: int, **how: Any) -> dict[str, Any]:
    """The problem that a request is refused with."""
    response = await world.ask(method, path, **how)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def test_an_unknown_path_is_not_found(world: World) -> None:
    assert await problem(world, "GET", "/v1/nothing", 404, key=None) == refusal(
        404,
        "not_found",
        "There is no such thing here",
        "Nothing lives at /v1/nothing. /docs lists every path of this host.",
    )


async def test_a_wrong_method_is_told_which_ones_there_are(world: World) -> None:
    response = await world.ask("PUT", "/v1/sessions")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST, HEAD"
    assert response.json() == refusal(
        405,
        "method_not_allowed",
        "The path doesn't know this method",
        "/v1/sessions doesn't know PUT. It takes GET, POST, HEAD.",
        allow="GET, POST, HEAD",
    )


async def test_head_is_answered_like_get_without_a_body(world: World) -> None:
    response = await world.ask("HEAD", "/healthz")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "15"


async def test_head_never_becomes_a_stream(world: World) -> None:
    session = await world.session()

    stream = world.stream("HEAD", f"/v1/sessions/{session}/events")
    await stream.end()

    assert (stream.status, stream.text) == (200, "")
    assert stream.headers["content-type"] == "application/json"


async def test_a_socket_path_is_no_page(world: World) -> None:
    session = await world.session()

    assert await problem(world, "GET", f"/v1/sessions/{session}/socket", 400) == refusal(
        400,
        "bad_request",
        "The request can't be read",
        f"/v1/sessions/{session}/socket is a WebSocket. Open it with a WebSocket client.",
    )


async def test_no_key_is_refused_with_the_way_out(world: World) -> None:
    response = await world.ask("GET", "/v1/whoami", key=None)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json() == refusal(
        401,
        "unauthenticated",
        "A valid key is needed",
        "The request has no key. Send a valid one as the header: Authorization: Bearer KEY.",
    )


@pytest.mark.parametrize(
    "header", ["Bearer tnr_wrong", "Bearer ", "Bearer", "Basic YTpi", "tnr_bare", "Bearer " + "x" * 2000]
)
async def test_a_wrong_key_is_refused(world: World, header: str) -> None:
    headers = {"Authorization": header}

    answer = await problem(world, "GET", "/v1/whoami", 401, key=None, headers=headers)

    assert answer["code"] == "unauthenticated"
    assert "Send a valid one as the header: Authorization: Bearer KEY." in answer["detail"]


async def test_the_scheme_of_the_key_may_be_in_any_case(world: World) -> None:
    headers = {"Authorization": f"bearer {world.root}"}

    assert (await world.get("/v1/whoami", key=None, headers=headers))["root"] is True


async def test_a_weak_role_is_refused(world: World) -> None:
    viewer = await world.key("viewer")

    answer = await problem(world, "POST", "/v1/sessions", 403, key=viewer, body={"agent": "scripted"})

    assert answer == refusal(
        403,
        "forbidden",
        "The key's role doesn't allow this",
        "A key with role viewer may not POST /v1/sessions. Use a key with a stronger role.",
        role="viewer",
    )


@pytest.mark.sources("R10", "P12")
async def test_a_stranger_cannot_tell_a_session_from_none(world: World) -> None:
    session = await world.session(key=await world.key("member", "ann"))
    stranger = await world.key("admin", "eve", "other")

    there = await problem(world, "GET", f"/v1/sessions/{session}", 404, key=stranger)
    nowhere = await problem(world, "GET", f"/v1/sessions/{UNKNOWN}", 404, key=stranger)

    assert there == {**nowhere, "detail": nowhere["detail"].replace(UNKNOWN, session)}
    assert there == refusal(
        404,
        "not_found",
        "There is no such thing here",
        f"There is no session {session} for this key. Check the id, or use another key.",
    )


@pytest.mark.parametrize("session", ["x", "ses_", "ses_" + "0" * 31, "ses_" + "g" * 32, "%00", "ses_%0A"])
async def test_a_malformed_id_is_not_found(world: World, session: str) -> None:
    assert (await problem(world, "GET", f"/v1/sessions/{session}", 404))["code"] == "not_found"


class Unread:
    """A client whose body must not be read: it fails the test that asks for it."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        raise AssertionError("the body was read")

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def status(self, app: ASGIApp, method: str, path: str, headers: dict[str, str]) -> int:
        """The status of an answer that was given without the body."""
        scope = scope_of("http", path, {"Host": "localhost", **headers})
        scope["method"] = method
        await app(scope, self.receive, self.send)
        return self.sent[0]["status"]


async def test_the_body_is_read_only_after_every_gate(world: World) -> None:
    session = await world.session()
    stranger, viewer = await world.key("member", "eve", "other"), await world.key("viewer", "admin")
    path = f"/v1/sessions/{session}/messages"

    async def status(method: str, path: str, **headers: str) -> int:
        return await Unread().status(world.app, method, path, headers)

    assert await status("POST", path, Host="evil.example", **world.bearer("")) == 421
    assert await status("POST", path, Origin="http://evil.example", **world.bearer("")) == 403
    assert await status("POST", path, **{"Content-Length": "1048577", **world.bearer("")}) == 413
    assert await status("POST", path) == 401
    assert await status("POST", path, **world.bearer(viewer)) == 403
    assert await status("POST", path, **world.bearer(stranger)) == 404
    assert await status("POST", "/v1/nothing") == 404
    assert await status("PUT", path) == 405


async def test_the_gates_stand_in_their_order(world: World) -> None:
    """Each request is wrong at its gate and at every later one; the earliest answers."""
    session = await world.session()
    path = f"/v1/sessions/{session}/messages"
    viewer, stranger = await world.key("viewer", "eve", "other"), await world.key("member", "eve", "other")
    wrong: dict[str, Any] = {"content": b"[[", "headers": {}}

    async def code(key: str | None, **headers: str) -> str:
        answer = await world.ask("POST", path, key=key, content=wrong["content"], headers=headers)
        return answer.json()["code"]

    huge = {"Content-Length": "9999999"}
    origin = {"Origin": "http://evil.example", **huge}
    assert await code(None, Host="evil.example", **origin) == "bad_host"
    assert await code(None, **origin) == "bad_origin"
    assert await code(None, **huge) == "too_large"
    assert await code(None) == "unauthenticated"
    assert await code(viewer) == "forbidden"
    assert await code(stranger) == "not_found"
    assert await code("") == "bad_request"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8321", "127.0.0.1:1", "[::1]", "[::1]:8321", "LOCALHOST:80"]
)
async def test_the_host_answers_to_its_loopback_names(world: World, host: str) -> None:
    assert (await world.ask("GET", "/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8321",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example#localhost",
        "localhost:8321@evil.example",
        "::1",
        "0.0.0.0",
        "localhost:",
        "",
    ],
)
async def test_a_hostile_host_is_refused_everywhere(world: World, host: str) -> None:
    session = await world.session()
    headers = {"Host": host}

    plain = await world.ask("GET", "/", key=None, headers=headers)
    stream = await world.follow(session, headers=headers).started()
    socket = await world.socket(session, headers=headers).denied()

    assert plain.json()["code"] == "bad_host"
    assert [plain.status_code, stream.status, socket[0]] == [421, 421, 421]
    assert stream.json == socket[1] == plain.json()


async def test_two_hosts_are_refused(world: World) -> None:
    scope = scope_of("http", "/healthz", {"Host": "localhost"})
    scope["method"] = "GET"
    scope["headers"].append((b"host", b"localhost"))
    client = Unread()

    await world.app(scope, client.receive, client.send)

    assert client.sent[0]["status"] == 421


async def test_the_operator_can_add_hosts(world: World) -> None:
    world.serve(Options(allowed_hosts=("Tenure.example", "with.port:81")))

    async def status(host: str) -> int:
        return (await world.ask("GET", "/healthz", headers={"Host": host})).status_code

    assert await status("tenure.example") == 200
    assert await status("tenure.example:443") == 200
    assert await status("with.port:81") == 200
    assert await status("with.port") == 421
    world.serve(Options(allowed_hosts=("*",)))
    assert await status("anything.example") == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://localhost:1",
        "file://",
        "",
        "http://localhost/path",
        "chrome-extension://abc",
    ],
)
async def test_a_hostile_origin_is_refused_everywhere(world: World, origin: str) -> None:
    session = await world.session()
    headers = {"Origin": origin}

    plain = await world.ask("GET", "/v1/whoami", headers=headers)
    stream = await world.follow(session, headers=headers).started()
    socket = await world.socket(session, headers=headers).denied()

    assert plain.json()["code"] == "bad_origin"
    assert [plain.status_code, stream.status, socket[0]] == [403, 403, 403]
    assert stream.json == socket[1] == plain.json()


async def test_own_pages_and_trusted_origins_may_ask(world: World) -> None:
    world.serve(Options(allowed_origins=("https://desk.example",)))

    async def status(origin: str, host: str = "localhost") -> int:
        headers = {"Origin": origin, "Host": host}
        return (await world.ask("GET", "/v1/whoami", headers=headers)).status_code

    assert await status("http://localhost") == 200
    assert await status("http://localhost:8321", "localhost:8321") == 200
    assert await status("https://desk.example") == 200
    assert await status("https://desk.example.evil") == 403


async def test_a_body_that_says_it_is_too_large_is_refused(world: World) -> None:
    answer = await problem(world, "POST", "/v1/sessions", 413, content=b"x" * (1024 * 1024 + 1))

    assert answer == refusal(
        413,
        "too_large",
        "The request is too large",
        "The body has 1048577 bytes or more; at most 1048576 are taken. Send less at once.",
        limit=1048576,
    )


async def test_a_body_that_grows_too_large_is_refused_before_it_ends(world: World) -> None:
    scope = scope_of("http", "/v1/sessions", {"Host": "localhost", **world.bearer("")})
    scope["method"] = "POST"
    sent: list[Message] = []
    pulled = 0

    async def receive() -> Message:
        nonlocal pulled
        pulled += 1
        return {"type": "http.request", "body": b"x" * 100_000, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    await asyncio.wait_for(world.app(scope, receive, send), 5)

    assert (sent[0]["status"], pulled) == (413, 11)


@pytest.mark.parametrize("length", ["abc", "-1", "1e3"])
async def test_a_garbled_content_length_is_refused(world: World, length: str) -> None:
    answer = await problem(world, "POST", "/v1/sessions", 400, headers={"Content-Length": length})

    assert answer["code"] == "bad_request"


async def test_a_client_that_leaves_before_its_body_is_whole_changes_nothing(world: World) -> None:
    scope = scope_of("http", "/v1/sessions", {"Host": "localhost", **world.bearer("")})
    scope["method"] = "POST"
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"agent": "scr', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(f"nobody is there for {message}")

    await world.app(scope, receive, send)

    assert (await world.get("/v1/sessions"))["data"] == []


async def test_commands_beyond_the_rate_wait(tmp_path: Any) -> None:
    async with a_world(tmp_path, commands_per_minute=6) as world:
        ann, bob = await world.key("member", "ann"), await world.key("member", "bob")
        session = await world.session(key=ann)
        for _ in range(5):
            await world.say(session, "SAY x", key=ann)

        response = await world.ask("POST", f"/v1/sessions/{session}/messages", {"content": "x"}, key=ann)

        assert response.status_code == 429
        assert 1 <= int(response.headers["retry-after"]) <= 10
        assert response.json() == refusal(
            429,
            "rate_limited",
            "Too many commands in a short time",
            response.json()["detail"],
            limit=6,
            retry_after_s=int(response.headers["retry-after"]),
        )
        assert (await world.ask("GET", f"/v1/sessions/{session}", key=ann)).status_code == 200
        assert (await world.ask("POST", "/v1/sessions", {"agent": "scripted"}, key=bob)).status_code == 201


async def test_what_nobody_expected_is_internal_and_says_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret inner text")

    monkeypatch.setattr(world.host.commands, "open_session", broken)
    with caplog.at_level(logging.ERROR, "tenure.http"):
        answer = await problem(world, "POST", "/v1/sessions", 500, body={"agent": "scripted"})

    assert answer == refusal(
        500,
        "internal",
        "Something went wrong inside",
        "The host met an error it didn't expect. Its log says more; try again, and report it if it stays.",
    )
    assert "secret inner text" in caplog.text


async def test_a_stream_that_breaks_is_ended_without_a_second_answer(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = await world.session()
    stream = world.follow(session)
    await stream.named("up_to_date")

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("broken while streaming")

    monkeypatch.setattr("tenure.http.stream.Reader.write", broken)
    with caplog.at_level(logging.ERROR, "tenure.http"):
        await world.say(session, "SAY x")
        await stream.abandon()

    assert (stream.status, stream.ended) == (200, False)
    assert "broken while streaming" in caplog.text


async def handler(_call: Call[NoBody, NoQuery]) -> ASGIApp:
    """A handler that is never asked."""
    raise AssertionError


def a_route(**changes: Any) -> Route[NoBody, NoQuery]:
    """A route that lacks nothing, except what is changed."""
    fields: dict[str, Any] = {
        "method": "GET",
        "path": "/v1/extra",
        "summary": "Extra.",
        "resource": "extra",
        "action": Action.READ,
        "tenant_rule": TenantRule.OWN,
        "query": NoQuery,
        "body": NoBody,
        "handler": handler,
        **changes,
    }
    return Route(**fields)


@pytest.mark.parametrize(
    ("route", "sentence"),
    [
        (
            a_route(resource=""),
            "Route GET /v1/extra doesn't declare a resource. Say it in the route table.",
        ),
        (
            a_route(action=None),
            "Route GET /v1/extra doesn't declare an action. Say it in the route table.",
        ),
        (
            a_route(action=None, tenant_rule=None),
            "Route GET /v1/extra doesn't declare an action and a tenant rule. Say it in the route table.",
        ),
        (
            a_route(path="/v1/whoami"),
            "Route GET /v1/whoami is declared twice. Keep one of them.",
        ),
        (
            a_route(path="/v1/sessions/{session_id}"),
            (
                "Route GET /v1/sessions/{session_id} has tenant rule own, which doesn't fit its path: "
                "the rule session and the path parameter session_id belong together."
            ),
        ),
        (
            a_route(tenant_rule=TenantRule.RUN),
            (
                "Route GET /v1/extra has tenant rule run, which doesn't fit its path: "
                "the rule run and the path parameter run_id belong together."
            ),
        ),
    ],
)
async def test_the_app_refuses_to_start_with_a_hole_in_its_table(
    world: World, route: Route[NoBody, NoQuery], sentence: str
) -> None:
    with pytest.raises(UndeclaredRoute) as refused:
        create_app(world.host, version=tenure.__version__, routes=(*ROUTES, route))

    assert str(refused.value) == sentence


async def test_the_lifespan_is_agreed_to(world: World) -> None:
    incoming: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await world.app({"type": "lifespan"}, receive, send)

    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
