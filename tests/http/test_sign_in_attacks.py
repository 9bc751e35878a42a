"""What somebody tries who wants another's browser, or wants the host to work for nothing."""

import time
from typing import Any

import httpx
import pytest

from tenure.core.excerpt import excerpt_of
from tenure.core.search import MOST_INDEXED
from tenure.http.call import Options
from tests.http.world import World

pytestmark = pytest.mark.anyio

PUBLIC = "https://tenure.example.com"


async def a_link(world: World) -> str:
    """The path of a fresh link."""
    url: str = (await world.post("/v1/sign-in-links", {}))["url"]
    return "/sign-in/" + url.rpartition("/")[2]


async def opened(world: World, path: str, **headers: str) -> httpx.Response:
    """What a browser is answered that knows nothing of this host yet."""
    world.http.cookies.clear()
    return await world.ask(
        "GET", path, key=None, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


# --- somebody else's link


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_page_elsewhere_signs_no_browser_in_by_a_link_of_its_own(world: World, site: str) -> None:
    path = await a_link(world)

    asked = await opened(world, path, Sec_Fetch_Site=site, Sec_Fetch_Dest="document")

    assert (asked.status_code, asked.headers.get("set-cookie")) == (200, None)
    assert f'href="{path}"' not in asked.text
    assert 'href=""' in asked.text
    assert asked.headers["x-frame-options"] == "DENY"
    assert asked.headers["referrer-policy"] == "no-referrer"
    assert asked.headers["cache-control"] == "no-store"

    followed = await opened(world, path, Sec_Fetch_Site="same-origin", Sec_Fetch_Dest="document")
    assert (followed.status_code, followed.headers["location"]) == (303, "/")
    assert "set-cookie" in followed.headers


async def test_link_that_never_was_takes_no_turn_among_those_who_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await a_link(world)
    await opened(world, path)
    before = world.host.store.commits().made

    for each in (path, "/sign-in/nonsense", "/sign-in/" + "a" * 43):
        assert (await opened(world, each)).headers["location"] == "/#link-used"

    assert world.host.store.commits().made == before


# --- somebody else's cookie


async def signed_in(world: World) -> str:
    """NAME=SECRET of a browser that came by TLS."""
    world.http.cookies.clear()
    answer = await world.ask("POST", "/v1/sign-in", {"key": world.root}, key=None, headers={"Origin": PUBLIC})
    assert answer.status_code == 200, answer.text
    world.http.cookies.clear()
    pair: str = answer.headers["set-cookie"].partition(";")[0]
    return pair


async def reads(world: World, cookie: str) -> Any:
    """Who the host takes the browser for."""
    world.http.cookies.clear()
    answer = await world.ask("GET", "/v1/whoami", key=None, headers={"Cookie": cookie})
    return answer.status_code


async def test_neighbour_under_the_same_domain_plants_no_cookie_where_the_host_speaks_tls(
    world: World,
) -> None:
    world.serve(Options(allowed_hosts=("tenure.example.com",), public_url=PUBLIC))
    cookie = await signed_in(world)
    planted = cookie.removeprefix("__Host-")

    assert cookie.startswith("__Host-tenure_")
    assert await reads(world, cookie) == 200
    assert await reads(world, planted) == 401
    assert await reads(world, f"{planted}; {cookie}") == 200


# --- much work for little


def test_a_search_for_a_long_phrase_keeps_nobody_waiting() -> None:
    phrase = "a " * 490
    text = (("a " * 489 + "b ") * 300)[: MOST_INDEXED - 2 * len(phrase)] + phrase

    began = time.process_time()
    excerpt_of(text, f'"{phrase}"')

    assert time.process_time() - began < 0.2


def test_a_search_for_many_words_keeps_nobody_waiting() -> None:
    words = " ".join(f"w{i}" for i in range(200))

    began = time.process_time()
    excerpt_of("w " * (MOST_INDEXED // 2), words)

    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/faults", "/v1/audit", "/v1/stats/series"])
@pytest.mark.parametrize("since", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
async def test_every_time_that_can_be_written_is_one(world: World, path: str, since: str) -> None:
    assert (await world.ask("GET", f"{path}?since={since}")).status_code == 200


async def test_refusals_are_taken_for_nothing_but_what_they_are(world: World) -> None:
    answer = await world.ask("GET", "/v1/nowhere")

    assert answer.headers["x-content-type-options"] == "nosniff"
