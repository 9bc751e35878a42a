"""The console's page: what comes with it, what it may load and run, and how much of it there is."""

from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.browsing import Server, Watch
from tests.console.conftest import Axe, OpenPage

MOST_BYTES = 150 * 1024


class Fetched(NamedTuple):
    """A file that the browser fetched, with its bytes on the wire, headers and all."""

    path: str
    size: int


def fetched_for(page: Page) -> list[Fetched]:
    """The files that came with a page. What it shows is data, and isn't counted."""
    entries: list[tuple[str, int]] = page.evaluate(
        "() => ['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind))"
        ".map((entry) => [new URL(entry.name).pathname, entry.transferSize])"
    )
    return [Fetched(path, size) for path, size in entries if not path.startswith("/v1/")]


@pytest.mark.parametrize(("form", "scheme"), [("wide", "light"), ("phone", "dark")])
def test_whoever_is_not_signed_in_can_sign_in(open_page: OpenPage, axe: Axe, form: str, scheme: str) -> None:
    page = open_page("/", key=None, form=form, scheme=scheme)

    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_label("Key")).to_be_visible()
    axe(page)


def test_an_address_of_the_console_opens_it_and_stays(open_page: OpenPage, server: Server) -> None:
    page = open_page("/sessions/ses_1?at=7#1204", key=None)

    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.url == f"{server.url}/sessions/ses_1?at=7#1204"


def test_an_old_tab_is_told_of_the_upgrade(open_page: OpenPage, watch: Watch) -> None:
    page = open_page()
    watch.allow("/assets/Settings-")
    expect(page).to_have_title("Sessions · Tenure")
    page.route("**/assets/Settings-*", lambda route: route.fulfill(status=404))
    page.route("**/", lambda route: route.fulfill(body="<script src=/assets/index-other.js>"))

    page.get_by_role("link", name="Settings").first.click()

    expect(page.get_by_role("button", name="Reload")).to_be_visible()


def test_the_sessions_come_with_at_most_150_kib(open_page: OpenPage) -> None:
    page = open_page("/sessions")
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    files = fetched_for(page)
    assert sum(file.size for file in files) <= MOST_BYTES, files
    assert min(file.size for file in files) > 0, files


def test_a_conversation_comes_with_at_most_150_kib(open_page: OpenPage, api: httpx.Client) -> None:
    session = api.post("/v1/sessions", json={"agent": "scripted"}).json()["id"]
    api.post(f"/v1/sessions/{session}/messages", json={"content": "SAY **hello**"})

    page = open_page(f"/sessions/{session}")
    expect(page.locator("strong", has_text="hello").last).to_be_visible()

    files = fetched_for(page)
    assert sum(file.size for file in files) <= MOST_BYTES, files
    assert min(file.size for file in files) > 0, files
