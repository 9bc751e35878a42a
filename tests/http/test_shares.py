"""Shares: whoever has the link reads one session, and nothing else, until it ends."""

import asyncio
import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenure.core.moment import SECOND, Micros, timestamp
from tenure.http.assets import Asset, Assets, Form
from tenure.http.call import Options
from tenure.http.router import Router, UndeclaredRoute
from tenure.http.routes import ROUTES
from tests.http.world import World, a_world

pytestmark = pytest.mark.anyio

PAGE = Form(b"<!doctype html><title>console</title>", '"x"')
CONSOLE = Assets(page=Asset("text/html; charset=utf-8", PAGE, Form(gzip.compress(PAGE.body), '"y"')))
DAY = 86_400 * SECOND


async def shared(world: World, session: str, **how: Any) -> dict[str, Any]:
    """A share of a session."""
    return await world.post(f"/v1/sessions/{session}/shares", how.pop("body", {}), **how)


def token_of(share: dict[str, Any]) -> str:
    """What whoever has the link presents."""
    return share["url"].rpartition("/")[2]


def ahead(world: World, micros: int) -> str:
    """A moment to come."""
    return timestamp(Micros(world.host.clock.now() + micros))


async def test_share_is_answered_once_with_its_link(world: World) -> None:
    ann = await world.key("member", "ann", "acme")
    session = await world.session(key=ann)
    end = ahead(world, DAY)

    response = await world.ask("POST", f"/v1/sessions/{session}/shares", {"expires_at": end}, key=ann)

    made = response.json()
    assert response.status_code == 201
    assert made == {
        "id": made["id"],
        "session_id": session,
        "by": "ann",
        "status": "active",
        "created_at": made["created_at"],
        "expires_at": end,
        "url": f"http://localhost/share/{token_of(made)}",
    }
    assert len(token_of(made)) == 43
    listed = await world.get(f"/v1/sessions/{session}/shares", key=ann)
    assert listed == {"data": [{k: v for k, v in made.items() if k != "url"}], "next_cursor": None}
    kept = b"".join(path.read_bytes() for path in world.home.rglob("*") if path.is_file())
    assert token_of(made).encode() not in kept


async def test_share_lasts_for_a_week_unless_it_says_otherwise(world: World) -> None:
    before = ahead(world, 7 * DAY)
    made = await shared(world, await world.session())

    assert before <= made["expires_at"] <= ahead(world, 7 * DAY)


@pytest.mark.parametrize("days", [-1, 0, 367])
async def test_share_ends_in_time_to_come_and_within_a_year(world: World, days: int) -> None:
    body = {"expires_at": ahead(world, days * DAY)}
    response = await world.ask("POST", f"/v1/sessions/{await world.session()}/shares", body)

    assert (response.status_code, response.json()["field"]) == (422, "expires_at")


@pytest.mark.parametrize("text", ["", "soon", "2031-01-31", "2031-01-31T12:00:00", "9999-12-31T23:59:59Z"])
async def test_end_of_a_share_is_an_instant(world: World, text: str) -> None:
    body = {"expires_at": text}
    response = await world.ask("POST", f"/v1/sessions/{await world.session()}/shares", body)

    assert response.status_code == 422
    assert response.json()["detail"].startswith(f"expires_at is {text!r}.")


async def test_link_has_the_public_address_of_the_host(world: World) -> None:
    world.serve(Options(public_url="https://tenure.example.com/"))
    made = await shared(world, await world.session())

    assert made["url"] == f"https://tenure.example.com/share/{token_of(made)}"


async def test_reader_has_the_session_its_transcript_and_its_journal(world: World) -> None:
    session = await world.session()
    journal = await world.spoken(session, "SAY hello")
    token = token_of(await shared(world, session))
    path = f"/v1/sessions/{session}"
    stream = world.follow(session, key=token)

    own = await world.get(path)
    assert await world.get(path, key=token) == {**own, "tenant": ""}
    me = await world.get("/v1/whoami", key=token)
    assert (me["session"], me["role"], me["tenant"]) == (session, "viewer", "")
    assert await world.get(f"{path}/messages", key=token) == await world.get(f"{path}/messages")
    assert (await world.get(f"{path}/events", key=token))["data"] == journal
    assert await world.get(f"{path}/events/1", key=token) == journal[0]
    await stream.named("up_to_date")
    assert stream.events == journal
    await world.say(session, "SAY more")
    assert (await stream.event("message.admitted")).data["seq"] > 0


async def test_reader_has_nothing_else(world: World) -> None:
    session, other = await world.session(), await world.session()
    token = token_of(await shared(world, session))
    fork = (await world.post(f"/v1/sessions/{session}/fork", {}))["id"]
    tries: list[tuple[str, str, object, int]] = [
        ("GET", f"/v1/sessions/{other}", None, 404),
        ("GET", f"/v1/sessions/{fork}", None, 404),
        ("GET", f"/v1/sessions/{fork}/events", None, 404),
        ("GET", f"/v1/sessions/{other}/events/1", None, 404),
        ("GET", "/v1/sessions", None, 403),
        ("GET", "/v1/agents", None, 403),
        ("GET", "/v1/stats", None, 403),
        ("GET", f"/v1/sessions/{session}/runs", None, 403),
        ("GET", f"/v1/sessions/{session}/files", None, 403),
        ("GET", f"/v1/sessions/{session}/shares", None, 403),
        ("POST", f"/v1/sessions/{session}/shares", {}, 403),
        ("POST", f"/v1/sessions/{session}/messages", {"content": "SAY x"}, 403),
        ("POST", f"/v1/sessions/{session}/fork", {}, 403),
        ("POST", "/v1/sign-in-links", {}, 403),
        ("POST", "/v1/sign-out", {}, 403),
        ("POST", "/v1/sign-in", {"key": token}, 401),
        ("PATCH", f"/v1/sessions/{session}", {"title": "x"}, 403),
        ("DELETE", f"/v1/sessions/{session}", None, 403),
    ]
    head = await world.host.store.head(session)

    answers = [
        (await world.ask(method, path, body, key=token)).status_code for method, path, body, _ in tries
    ]

    assert answers == [status for *_, status in tries]
    assert await world.host.store.head(session) == head


def test_so_much_can_be_read_by_a_share_and_no_more() -> None:
    session = "/v1/sessions/{session_id}"

    assert {route.name for route in ROUTES if route.shareable} == {
        f"GET {session}",
        f"GET {session}/messages",
        f"GET {session}/events",
        f"GET {session}/events/{{seq}}",
        f"GET {session}/outline",
        "GET /v1/whoami",
    }


@pytest.mark.parametrize(
    "name", ["GET /v1/sessions", "POST /v1/sessions/{session_id}/messages", "GET /v1/runs/{run_id}"]
)
def test_host_with_a_table_that_would_share_more_does_not_start(name: str) -> None:
    (route,) = [route for route in ROUTES if route.name == name]

    with pytest.raises(UndeclaredRoute) as refused:
        Router([msgspec.structs.replace(route, shareable=True)])

    assert str(refused.value) == (
        f"Route {name} is shareable, and a share only reads one session. Take the word away."
    )


async def test_reader_opens_no_socket(world: World) -> None:
    session = await world.session()
    token = token_of(await shared(world, session))
    by_header, by_frame = world.socket(session, key=token), world.socket(session, key=None)
    by_frame.say({"auth": token})

    assert (await by_header.denied())[0] == 403
    assert (await by_frame.reply(None))["status"] == 403
    assert (await by_frame.closed())["code"] == 4403


async def test_share_is_no_cookie(world: World) -> None:
    session = await world.session()
    token = token_of(await shared(world, session))
    signed = await world.ask("POST", "/v1/sign-in", {"key": world.root}, key=None)
    name = signed.headers["set-cookie"].partition("=")[0]
    world.http.cookies.clear()

    response = await world.ask(
        "GET", f"/v1/sessions/{session}", key=None, headers={"Cookie": f"{name}={token}"}
    )

    assert response.status_code == 401


async def test_revoking_a_share_ends_its_streams_and_no_others(world: World) -> None:
    world.serve(Options(recheck_s=0.02))
    session = await world.session()
    first, second = await shared(world, session), await shared(world, session)
    streams = [world.follow(session, key=token_of(share)) for share in (first, second)]
    await asyncio.gather(*(stream.named("up_to_date") for stream in streams))

    response = await world.ask("DELETE", f"/v1/sessions/{session}/shares/{first['id']}")

    assert response.status_code == 204
    assert (await streams[0].named("closed")).data == {"reason": "revoked"}
    assert not streams[1].ended
    answers = [
        (await world.ask("GET", f"/v1/sessions/{session}", key=token_of(share))).status_code
        for share in (first, second)
    ]
    assert answers == [401, 200]
    listed = (await world.get(f"/v1/sessions/{session}/shares"))["data"]
    assert [(s["id"], s["status"]) for s in listed] == [(second["id"], "active"), (first["id"], "revoked")]


async def test_share_that_ends_ends_its_streams(world: World) -> None:
    world.serve(Options(recheck_s=0.02))
    session = await world.session()
    body = {"expires_at": ahead(world, SECOND // 2)}
    token = token_of(await shared(world, session, body=body))

    stream = world.follow(session, key=token)

    assert (await stream.named("closed")).data == {"reason": "revoked"}
    assert (await world.ask("GET", f"/v1/sessions/{session}", key=token)).status_code == 401


async def test_share_goes_with_its_session(world: World) -> None:
    session = await world.session()
    token = token_of(await shared(world, session))
    stream = world.follow(session, key=token)
    await stream.named("up_to_date")

    await world.ask("DELETE", f"/v1/sessions/{session}")

    assert (await stream.named("closed")).data == {"reason": "deleted"}
    assert (await world.ask("GET", f"/v1/sessions/{session}", key=token)).status_code == 401


async def test_share_goes_with_the_key_that_made_it(world: World) -> None:
    made = await world.post("/v1/keys", {"user": "ann", "role": "member"})
    session = await world.session(key=made["key"])
    token = token_of(await shared(world, session, key=made["key"]))

    await world.ask("DELETE", f"/v1/keys/{made['id']}")

    assert (await world.ask("GET", f"/v1/sessions/{session}", key=token)).status_code == 401
    (listed,) = (await world.get(f"/v1/sessions/{session}/shares"))["data"]
    assert listed["status"] == "revoked"


async def test_readers_take_no_streams_from_the_owner_and_none_from_each_other(tmp_path: Path) -> None:
    async with a_world(tmp_path / "home", streams_per_user=1) as world:
        session = await world.session()
        first, second = [token_of(await shared(world, session)) for _ in "ab"]
        open_ones = [world.follow(session, key=key) for key in ("", first, second)]
        await asyncio.gather(*(stream.named("up_to_date") for stream in open_ones))

        refused = await world.follow(session, key=first).started()

    assert refused.status == 429


async def test_repeated_request_shares_once(world: World) -> None:
    session = await world.session()
    headers = {"Idempotency-Key": "k"}

    first, again = [
        await world.ask("POST", f"/v1/sessions/{session}/shares", {}, headers=headers) for _ in "ab"
    ]

    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert len((await world.get(f"/v1/sessions/{session}/shares"))["data"]) == 1


async def test_page_of_a_share_says_by_its_status_whether_it_works(world: World) -> None:
    world.serve(Options(), CONSOLE)
    session = await world.session()
    made = await shared(world, session)
    page = f"/share/{token_of(made)}"

    works = await world.ask("GET", page, key=None)
    await world.ask("DELETE", f"/v1/sessions/{session}/shares/{made['id']}")
    gone = await world.ask("GET", page, key=None)
    never = await world.ask("GET", "/share/x?utm=1", key=None)
    key = await world.ask("GET", f"/share/{world.root}", key=None)

    assert [r.status_code for r in (works, gone, never, key)] == [200, 404, 404, 404]
    assert {r.content for r in (works, gone, never, key)} == {PAGE.body}
    assert works.headers["referrer-policy"] == gone.headers["referrer-policy"] == "no-referrer"
    assert gone.headers["cache-control"] == "no-store"
