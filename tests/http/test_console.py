"""The console's pages and files: what they are served with, and that nothing else can be had there."""

import gzip
import hashlib
from pathlib import Path

import httpx
import pytest

from tenure.http.assets import Assets, read
from tenure.http.call import Options
from tenure.http.console import takes_gzip
from tests.http.world import World

pytestmark = pytest.mark.anyio

PAGE = b'<!doctype html><script type="module" src="/assets/index-1a.js"></script>'
SCRIPT = b"document.title = 'Tenure';" * 40
ICON = b'<svg xmlns="http://www.w3.org/2000/svg"/>'

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html dompurify markdown"
)
ADDRESSES = (
    "/",
    "/sessions",
    "/sessions/ses_1",
    "/sessions?status=running&status=idle&x=%00",
    "/runs/run_1",
    "/approvals",
    "/schedules",
    "/schedules/sch_1",
    "/agents",
    "/agents/concierge",
    "/ops",
    "/settings",
    "/settings/keys",
    "/sign-in",
)
NO_FILES = (
    "/assets/gone-2b.js",
    "/assets/index-1a.js.gz",
    "/assets/index.html",
    "/assets/..%2findex.html",
    "/assets/../../../pyproject.toml",
    "/assets/%2e%2e%2f%2e%2e%2fpages.py",
    "/assets/..%5cindex.html",
    "/assets/",
    "/built-of",
    "/index.html",
    "/console_files/index.html",
    "/robots.txt",
)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What a build of the console leaves."""
    folder = tmp_path / "built"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "favicon.svg").write_bytes(ICON)
    (folder / "built-of").write_text("a fingerprint")
    (folder / "assets" / "index-1a.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-1a.js.gz").write_bytes(gzip.compress(SCRIPT, mtime=0))
    return folder


@pytest.fixture
def served(world: World, built: Path) -> World:
    """A host with that console."""
    world.serve(Options(), read(built))
    return world


async def plain(world: World, path: str, **headers: str) -> httpx.Response:
    """What a stranger is answered who takes nothing compressed."""
    return await world.ask("GET", path, key=None, headers={"accept-encoding": "identity", **headers})


async def test_every_address_of_the_console_answers_its_one_page(served: World) -> None:
    answers = {path: await plain(served, path) for path in ADDRESSES}

    assert {path: (answer.status_code, answer.content) for path, answer in answers.items()} == dict.fromkeys(
        ADDRESSES, (200, PAGE)
    )


async def test_the_page_comes_with_every_guard_and_is_asked_for_again_each_time(served: World) -> None:
    answer = await plain(served, "/")

    assert dict(answer.headers) == {
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(PAGE)),
        "cache-control": "no-cache",
        "etag": f'"{tag_of(PAGE)}"',
        "vary": "accept-encoding",
        "content-security-policy": POLICY,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": answer.headers["permissions-policy"],
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "x-robots-tag": "noindex, nofollow",
    }
    assert {"camera=()", "geolocation=()", "microphone=()"} <= set(
        answer.headers["permissions-policy"].split(", ")
    )


async def test_a_part_of_the_console_may_be_kept_for_ever(served: World) -> None:
    answer = await plain(served, "/assets/index-1a.js")

    assert answer.content == SCRIPT
    assert dict(answer.headers) == {
        "content-type": "text/javascript; charset=utf-8",
        "content-length": str(len(SCRIPT)),
        "cache-control": "public, max-age=31536000, immutable",
        "etag": f'"{tag_of(SCRIPT)}"',
        "vary": "accept-encoding",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


async def test_who_takes_gzip_gets_it_under_a_tag_of_its_own(served: World) -> None:
    for path, content in (("/", PAGE), ("/assets/index-1a.js", SCRIPT)):
        answer = await served.ask("GET", path, key=None, headers={"accept-encoding": "br, gzip"})

        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["etag"] == f'"{tag_of(content)}-gzip"'
        assert answer.content == content


async def test_a_browser_that_has_the_page_is_not_sent_it_again(served: World) -> None:
    tag = (await plain(served, "/")).headers["etag"]

    again = [await plain(served, "/", **{"if-none-match": known}) for known in (tag, f'"x", W/{tag}', "*")]
    other = await plain(served, "/", **{"if-none-match": '"x"'})

    assert [(one.status_code, one.content) for one in again] == [(304, b"")] * 3
    assert again[0].headers["cache-control"] == "no-cache"
    assert (other.status_code, other.content) == (200, PAGE)


async def test_head_answers_as_get_without_the_body(served: World) -> None:
    answer = await served.ask("HEAD", "/", key=None, headers={"accept-encoding": "identity"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(PAGE))


async def test_nothing_but_the_files_of_the_console_can_be_had(served: World) -> None:
    answers = {path: await plain(served, path) for path in NO_FILES}

    assert {
        path: (answer.status_code, answer.headers["cache-control"]) for path, answer in answers.items()
    } == (dict.fromkeys(NO_FILES, (404, "no-store")))


async def test_the_icon_is_served_beside_the_page(served: World) -> None:
    answer = await plain(served, "/favicon.svg")

    assert (answer.headers["content-type"], answer.content) == ("image/svg+xml", ICON)


async def test_without_the_console_each_of_its_addresses_says_how_to_get_it(world: World) -> None:
    world.serve(Options(), Assets())

    for path in ADDRESSES:
        answer = await plain(world, path)
        assert (answer.status_code, "<pre>./dev console</pre>" in answer.text) == (200, True), path


async def test_a_page_of_the_console_takes_nothing_but_get(served: World) -> None:
    answer = await served.ask("POST", "/sessions", {})

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("GZIP;q=0.5, br", True),
        ("deflate, *", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*, gzip;q=0", False),
        ("xgzip", False),
    ],
)
def test_only_who_says_so_takes_gzip(header: str, takes: bool) -> None:
    assert takes_gzip(header) is takes


def tag_of(content: bytes) -> str:
    """How a form of a file is told from others."""
    return hashlib.sha256(content).hexdigest()[:32]
