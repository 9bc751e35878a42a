"""Signing a browser in, by key or by a link that works once, and out again; and what its cookie is for."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tenure.http.call import Options
from tests.http.world import World, a_world

pytestmark = pytest.mark.anyio

OWN = {"Origin": "http://localhost"}
EVIL = "https://evil.example"
TOOLS = "https://tools.example"


def cookie_in(response: httpx.Response) -> str:
    """NAME=SECRET of the cookie that an answer sets."""
    return response.headers["set-cookie"].partition(";")[0]


async def asked(
    world: World, method: str, path: str, cookie: str, body: object = None, **headers: str
) -> Any:
    """One request of a browser: with its cookie, and with no key."""
    world.http.cookies.clear()
    sent = {"Cookie": cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await world.ask(method, path, body, key=None, headers=sent)


async def signed_in(world: World, key: str | None = None) -> str:
    """The cookie of a browser that was signed in with a key."""
    response = await world.ask("POST", "/v1/sign-in", {"key": key or world.root}, key=None)
    assert response.status_code == 200, response.text
    world.http.cookies.clear()
    return cookie_in(response)


async def a_link(world: World, key: str = "", **body: object) -> str:
    """The path of a fresh link."""
    made = await world.post("/v1/sign-in-links", body, key=key)
    return made["url"].removeprefix("http://localhost")


async def opened(world: World, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """What opening a link answers: status, where it leads, and the cookie that it sets."""
    world.http.cookies.clear()
    response = await world.ask(method, path, key=None, headers=headers)
    cookie = cookie_in(response) if "set-cookie" in response.headers else ""
    return response.status_code, response.headers.get("location", ""), cookie


async def test_key_signs_a_browser_in_and_the_cookie_is_not_the_key(world: World) -> None:
    key = await world.key("member", "ann", "acme")

    response = await world.ask("POST", "/v1/sign-in", {"key": f" {key}\n"}, key=None)

    name, secret = cookie_in(response).split("=", 1)
    assert response.headers["set-cookie"] == (
        f"{name}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"
    )
    assert (len(name), name[:7], len(secret)) == (15, "tenure_", 43)
    assert secret not in key
    assert response.json() == await world.get("/v1/whoami", key=key)
    assert (await asked(world, "GET", "/v1/whoami", f"{name}={secret}")).json() == response.json()


@pytest.mark.parametrize(
    ("how", "secure"),
    [
        ({"scheme": "http"}, False),
        ({"scheme": "https"}, True),
        ({"proto": "https"}, True),
        ({"proto": "https, http"}, True),
        ({"proto": "http"}, False),
        ({"origin": "https://localhost"}, True),
        ({"origin": "http://localhost"}, False),
        ({"public": "https://tenure.example.com"}, True),
    ],
)
async def test_cookie_is_kept_to_tls_wherever_the_browser_came_by_it(
    world: World, how: dict[str, str], *, secure: bool
) -> None:
    world.serve(Options(public_url=how.get("public")))
    headers = {"x-forwarded-proto": how.get("proto", ""), "origin": how.get("origin", "")}
    url = f"{how.get('scheme', 'http')}://localhost/v1/sign-in"

    response = await world.http.post(
        url, json={"key": world.root}, headers={name: value for name, value in headers.items() if value}
    )

    assert response.headers["set-cookie"].endswith("; Secure") is secure


@pytest.mark.parametrize("key", ["", "tnr_wrong", "x" * 2000, "ü"])
async def test_wrong_key_signs_nobody_in(world: World, key: str) -> None:
    response = await world.ask("POST", "/v1/sign-in", {"key": key}, key=None)

    assert response.status_code in (401, 422)
    assert "set-cookie" not in response.headers


# --- which pages


POST_ONLY_OWN: list[tuple[dict[str, str], bool, bool]] = [
    ({}, True, False),
    ({"Origin": "http://localhost"}, True, True),
    ({"Origin": "https://localhost"}, True, True),
    ({"Origin": "http://LOCALHOST"}, True, True),
    ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, True, True),
    ({"Origin": "http://localhost", "Sec-Fetch-Site": "none"}, True, True),
    ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, False, False),
    ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-site"}, False, False),
    ({"Sec-Fetch-Site": "same-origin"}, True, False),
    ({"Sec-Fetch-Site": "cross-site"}, False, False),
    ({"Sec-Fetch-Site": "same-site"}, False, False),
    ({"Sec-Fetch-Site": "none"}, True, False),
    ({"Origin": "http://localhost:9999"}, False, False),
    ({"Origin": "http://127.0.0.1"}, False, False),
    ({"Origin": EVIL}, False, False),
    ({"Origin": TOOLS}, False, False),
    ({"Origin": "null"}, False, False),
    ({"Origin": "http://localhost", "X-Forwarded-Proto": "https"}, False, False),
    ({"Origin": "https://localhost", "X-Forwarded-Proto": "https"}, True, True),
]
"""Headers of a request with a cookie, whether it may read, and whether it may do anything else."""


@pytest.mark.parametrize(("headers", "reads", "acts"), POST_ONLY_OWN)
async def test_cookie_counts_only_for_pages_of_this_host(
    world: World, headers: dict[str, str], *, reads: bool, acts: bool
) -> None:
    cookie = await signed_in(world)
    session = await world.session()
    world.serve(Options(allowed_origins=(TOOLS,)))
    path = f"/v1/sessions/{session}"

    answers: list[int] = []
    for method, body in (("GET", None), ("HEAD", None), ("PATCH", {"title": "t"}), ("DELETE", None)):
        response = await world.ask(method, path, body, key=None, headers={"Cookie": cookie, **headers})
        answers.append(response.status_code)
        if response.status_code == 403 and method != "HEAD":
            assert response.json()["code"] == "bad_origin"
    wire = world.socket(await world.session(), key=None, headers={"Cookie": cookie, **headers})
    await wire.until(lambda: bool(wire.sent))

    assert answers == [200 if reads else 403] * 2 + ([200, 204] if acts else [403, 403])
    assert wire.sent[0]["type"] == ("websocket.accept" if acts else "websocket.http.response.start")


async def test_trusted_page_elsewhere_acts_with_a_key_and_not_with_a_cookie(world: World) -> None:
    cookie = await signed_in(world)
    world.serve(Options(allowed_origins=(TOOLS,)))
    body, headers = {"agent": "scripted"}, {"Origin": TOOLS}

    by_key = await world.ask("POST", "/v1/sessions", body, headers=headers)
    by_cookie = await asked(world, "POST", "/v1/sessions", cookie, body, Origin=TOOLS)

    assert (by_key.status_code, by_cookie.status_code) == (201, 403)
    assert by_cookie.json()["detail"] == (
        f"A signed-in browser was used by a page of {TOOLS}, and its cookie counts only for pages of this "
        "host. Use the console at this host's own address, or send a key: Authorization: Bearer KEY."
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": EVIL}, 403),
        ({"Origin": TOOLS}, 403),
    ],
)
async def test_no_other_page_signs_a_browser_in_as_somebody_else(
    world: World, headers: dict[str, str], status: int
) -> None:
    world.serve(Options(allowed_origins=(TOOLS,)))

    response = await world.ask("POST", "/v1/sign-in", {"key": world.root}, key=None, headers=headers)

    assert response.status_code == status
    assert ("set-cookie" in response.headers) is (status == 200)


async def test_public_address_is_an_own_page_though_the_proxy_gives_another_name(world: World) -> None:
    world.serve(Options(public_url="https://tenure.example.com:443/"))
    cookie = await signed_in(world)
    origin = "https://tenure.example.com"

    made = await asked(world, "POST", "/v1/sessions", cookie, {"agent": "scripted"}, Origin=origin)
    link = await asked(world, "POST", "/v1/sign-in-links", cookie, {}, Origin=origin)
    plain = await asked(world, "POST", "/v1/sign-in-links", cookie, {}, Origin="http://localhost")

    assert (made.status_code, link.status_code, plain.status_code) == (201, 201, 403)
    assert link.json()["url"].startswith("https://tenure.example.com:443/sign-in/")


# --- what is what


async def test_cookie_is_no_key_and_a_key_is_no_cookie(world: World) -> None:
    cookie = await signed_in(world)
    name, secret = cookie.split("=", 1)
    tries = [
        await world.ask("GET", "/v1/whoami", key=secret),
        await world.ask("POST", "/v1/sign-in", {"key": secret}, key=None),
        await asked(world, "GET", "/v1/whoami", f"{name}={world.root}"),
        await asked(world, "GET", "/v1/whoami", f"{name}="),
        await asked(world, "GET", "/v1/whoami", f"x{name}={secret}"),
        await asked(world, "GET", "/v1/whoami", f"{name}=other; {name}={secret}"),
        await asked(world, "GET", "/v1/whoami", f"tenure_00000000={secret}"),
    ]

    assert [response.status_code for response in tries] == [401] * 7
    right = await asked(world, "GET", "/v1/whoami", f"a=b;{name}={secret} ; theme=dark")
    assert right.status_code == 200


async def test_key_in_the_header_wins_over_the_cookie(world: World) -> None:
    cookie = await signed_in(world)
    viewer = await world.key("viewer", "vera")

    response = await world.ask("GET", "/v1/whoami", key=viewer, headers={"Cookie": cookie})
    wrong = await world.ask("GET", "/v1/whoami", key="tnr_wrong", headers={"Cookie": cookie})

    assert (response.json()["user"], wrong.status_code) == ("vera", 401)


async def test_two_hosts_on_one_machine_keep_their_sign_ins_apart(world: World, tmp_path: Path) -> None:
    async with a_world(tmp_path / "other") as other:
        both = f"{await signed_in(world)}; {await signed_in(other)}"

        assert (await asked(world, "GET", "/v1/whoami", both)).json()["history"] == world.host.store.history
        assert (await asked(other, "GET", "/v1/whoami", both)).json()["history"] == other.host.store.history
        signed_out = await asked(world, "POST", "/v1/sign-out", both, {}, **OWN)
        assert signed_out.status_code == 204
        assert (await asked(world, "GET", "/v1/whoami", both)).status_code == 401
        assert (await asked(other, "GET", "/v1/whoami", both)).status_code == 200


async def test_repeated_request_is_the_same_one_with_key_and_with_cookie(world: World) -> None:
    cookie = await signed_in(world)
    headers = {"Idempotency-Key": "once", **OWN}
    body = {"agent": "scripted"}

    by_cookie = await world.ask("POST", "/v1/sessions", body, key=None, headers={"Cookie": cookie, **headers})
    by_key = await world.ask("POST", "/v1/sessions", body, headers={"Idempotency-Key": "once"})

    assert by_key.json() == by_cookie.json()
    assert by_key.headers["idempotency-replayed"] == "true"


async def test_key_that_was_made_under_a_cookie_is_answered_again_to_that_cookie_alone(world: World) -> None:
    cookie, other = await signed_in(world), await signed_in(world)
    body = {"user": "ann", "role": "member"}
    headers = {"Idempotency-Key": "k", **OWN}

    made = [
        await world.ask("POST", "/v1/keys", body, key=None, headers={"Cookie": c, **headers})
        for c in (cookie, cookie, other)
    ]
    by_key = await world.ask("POST", "/v1/keys", body, headers={"Idempotency-Key": "k"})

    assert [r.status_code for r in (*made, by_key)] == [201, 201, 409, 409]
    assert made[0].json() == made[1].json()
    assert (await world.get("/v1/whoami", key=made[0].json()["key"]))["user"] == "ann"
    assert by_key.json()["code"] == "idempotency_conflict"


# --- links


async def test_link_signs_one_browser_in_and_leads_to_the_console(world: World) -> None:
    key = await world.key("viewer", "vera", "acme")
    path = await a_link(world, key)

    response = await world.ask("GET", path, key=None)
    again = await opened(world, path)

    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert again == (303, "/#link-used", "")
    me = (await asked(world, "GET", "/v1/whoami", cookie_in(response))).json()
    assert (me["user"], me["role"]) == ("vera", "viewer")


async def test_of_many_browsers_at_once_one_is_signed_in(world: World) -> None:
    path = await a_link(world)

    answers = await asyncio.gather(*(opened(world, path) for _ in range(20)))

    assert sorted(where for _, where, _ in answers) == ["/"] + ["/#link-used"] * 19
    assert sum(cookie != "" for *_, cookie in answers) == 1


async def test_looking_at_a_link_does_not_use_it_up(world: World) -> None:
    path = await a_link(world)

    assert await opened(world, path, "HEAD") == (303, "/", "")
    assert (await opened(world, path, **{"Sec-Purpose": "prefetch;prerender"}))[0] == 409
    assert (await opened(world, path, Purpose="prefetch"))[2] == ""
    assert (await opened(world, path, **{"Sec-Fetch-Dest": "image"}))[2] == ""
    assert (await opened(world, path, **{"Sec-Fetch-Dest": "document"}))[1] == "/"


@pytest.mark.parametrize("token", ["x", "%00", "tnr_" + "x" * 43, "a" * 5000, "%ff", "ü"])
async def test_link_that_never_was_leads_to_the_console_that_says_so(world: World, token: str) -> None:
    assert await opened(world, f"/sign-in/{token}") == (303, "/#link-used", "")


async def test_link_of_a_key_that_ended_signs_nobody_in(world: World) -> None:
    made = await world.post("/v1/keys", {"user": "ann", "role": "member"})
    path = await a_link(world, made["key"])
    await world.ask("DELETE", f"/v1/keys/{made['id']}")

    assert await opened(world, path) == (303, "/#link-used", "")


@pytest.mark.parametrize("seconds", [0, -1, 86_401, "soon", 1.5])
async def test_link_waits_for_a_day_at_most(world: World, seconds: object) -> None:
    response = await world.ask("POST", "/v1/sign-in-links", {"expires_in_s": seconds})

    assert (response.status_code, response.json()["field"]) == (422, "expires_in_s")


async def test_repeated_request_for_a_link_answers_the_same_one(world: World) -> None:
    headers = {"Idempotency-Key": "k"}

    first, again = [await world.ask("POST", "/v1/sign-in-links", {}, headers=headers) for _ in "ab"]

    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())


async def test_no_secret_is_in_a_log_an_error_or_the_home(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, cookie = await a_link(world), await signed_in(world)
    token, secret = link.rpartition("/")[2], cookie.partition("=")[2]
    wrong = [await world.ask(m, f"{link}{more}", key=None) for m, more in (("POST", ""), ("GET", "/x"))]

    async def broken(*_: object) -> bool:
        raise RuntimeError("The store is broken.")

    monkeypatch.setattr(world.host.store.sign_ins, "redeem", broken)
    wrong.append(await world.ask("GET", link, key=None))

    assert [response.status_code for response in wrong] == [405, 404, 500]
    assert "A request failed: GET /sign-in/…" in caplog.text
    seen = caplog.text + "".join(response.text for response in wrong)
    kept = b"".join(path.read_bytes() for path in world.home.rglob("*") if path.is_file())
    assert (token in seen, secret in seen) == (False, False)
    assert (token.encode() in kept, secret.encode() in kept) == (False, False)


# --- where one is signed in, and out


async def test_browsers_are_listed_to_their_user_and_ended_one_by_one(world: World) -> None:
    ann = await world.key("member", "ann", "acme")
    first, second = await signed_in(world, ann), await signed_in(world, ann)
    await signed_in(world)

    listed = (await asked(world, "GET", "/v1/sign-ins", second)).json()["data"]
    ended = await asked(world, "DELETE", f"/v1/sign-ins/{listed[1]['id']}", second, **OWN)

    assert [(s["current"], s["key_id"]) for s in listed] == [
        (True, (await world.get("/v1/whoami", key=ann))["key_id"]),
        (False, (await world.get("/v1/whoami", key=ann))["key_id"]),
    ]
    assert ended.status_code == 204
    assert (await asked(world, "GET", "/v1/whoami", first)).status_code == 401
    left = await world.get("/v1/sign-ins", key=ann)
    assert left == {"data": [{**listed[0], "current": False}], "next_cursor": None}


async def test_signing_out_takes_the_cookie_and_ends_its_streams(world: World) -> None:
    world.serve(Options(recheck_s=0.02))
    session = await world.session()
    cookie, other = await signed_in(world), await signed_in(world)
    stream = world.follow(session, key=None, headers={"Cookie": cookie})
    kept = world.follow(session, key=None, headers={"Cookie": other})
    wire = world.socket(session, key=None, headers={"Cookie": cookie, **OWN})
    await asyncio.gather(stream.named("up_to_date"), kept.named("up_to_date"), wire.control("up_to_date"))

    response = await asked(world, "POST", "/v1/sign-out", cookie, {}, **OWN)

    name = cookie.partition("=")[0]
    assert response.status_code == 204
    assert response.headers["set-cookie"] == f"{name}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"
    assert (await stream.named("closed")).data == {"reason": "revoked"}
    assert (await wire.closed())["code"] == 4401
    assert (await asked(world, "GET", "/v1/whoami", cookie)).status_code == 401
    assert (await asked(world, "GET", "/v1/whoami", other)).status_code == 200
    assert not kept.ended


async def test_revoking_the_key_ends_its_browsers_and_their_streams(world: World) -> None:
    world.serve(Options(recheck_s=0.02))
    made = await world.post("/v1/keys", {"user": "ann", "role": "member"})
    session = await world.session(key=made["key"])
    cookie = await signed_in(world, made["key"])
    stream = world.follow(session, key=None, headers={"Cookie": cookie})
    await stream.named("up_to_date")

    await world.ask("DELETE", f"/v1/keys/{made['id']}")

    assert (await stream.named("closed")).data == {"reason": "revoked"}
    assert (await asked(world, "GET", "/v1/whoami", cookie)).status_code == 401


async def test_key_is_not_signed_out(world: World) -> None:
    response = await world.ask("POST", "/v1/sign-out", {})

    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert (await world.get("/v1/whoami"))["root"] is True


async def test_signing_in_counts_as_a_command(tmp_path: Path) -> None:
    async with a_world(tmp_path / "home", commands_per_minute=2) as world:
        key = await world.key("member", "ann")
        answers = [
            (await world.ask("POST", "/v1/sign-in", {"key": key}, key=None)).status_code,
            (await world.ask("POST", "/v1/sign-in-links", {}, key=key)).status_code,
            (await world.ask("POST", "/v1/sign-in", {"key": key}, key=None)).status_code,
            (await world.ask("POST", "/v1/sign-in-links", {}, key=key)).status_code,
        ]

    assert answers == [200, 201, 429, 429]
