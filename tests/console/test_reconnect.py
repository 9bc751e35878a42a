"""The connection, told honestly: offline, catching up, begun anew; and nothing lost or doubled by it."""

import json
import re
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Route, expect

from tests.console.browsing import Watch, a_server, client_of
from tests.console.conftest import OpenPage, sign_in
from tests.console.talk import a_session, said, until_status

FAILED = r"net::ERR_|Failed to load resource"


def words_said(page: Page) -> list[str]:
    """What the agent said, line by line, as the page shows it."""
    return page.locator(".assistant .prose").all_inner_texts()


def test_a_break_is_shown_and_what_was_missed_is_caught_up(
    open_page: OpenPage, api: httpx.Client, watch: Watch
) -> None:
    session = a_session(api, "SAY before")
    page = open_page(f"/sessions/{session}")
    expect(page.locator(".assistant", has_text="before")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    watch.allow(FAILED)

    page.context.set_offline(True)
    expect(
        page.get_by_role("status").filter(has_text=re.compile(r"Offline.*retrying in \d+ s"))
    ).to_be_visible()
    said(api, session, "SAY meanwhile")
    until_status(api, session, "idle")
    assert page.locator(".assistant", has_text="meanwhile").count() == 0
    page.context.set_offline(False)

    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    expect(page.locator(".assistant", has_text="meanwhile")).to_be_visible()
    said(api, session, "SAY after")
    expect(page.locator(".assistant", has_text="after")).to_be_visible()
    assert words_said(page) == ["before", "meanwhile", "after"]


def test_how_far_behind_is_told_while_the_stream_alone_is_broken(
    open_page: OpenPage, api: httpx.Client, watch: Watch
) -> None:
    session = a_session(api, "SAY before")
    until_status(api, session, "idle")
    page = open_page(None)
    watch.allow(FAILED)
    page.route("**/v1/sessions/*/events?after=*", lambda route: route.abort())
    page.goto(f"/sessions/{session}")
    expect(page.locator(".assistant", has_text="before")).to_be_visible()

    said(api, session, "SAY more")
    until_status(api, session, "idle")

    expect(
        page.get_by_role("status").filter(has_text=re.compile(r"Offline\. \d+ events behind, retrying"))
    ).to_be_visible()
    page.unroute("**/v1/sessions/*/events?after=*")
    expect(page.locator(".assistant", has_text="more")).to_be_visible()


def test_another_history_is_read_from_scratch(open_page: OpenPage, api: httpx.Client, watch: Watch) -> None:
    session = a_session(api, "SAY before")
    until_status(api, session, "idle")
    page = open_page(None)
    watch.allow(FAILED)
    problem = {"code": "history_changed", "title": "Another history", "detail": "The store was restored."}
    answers = iter([problem])

    def answer(route: Route) -> None:
        found = next(answers, None)
        if found is None:
            return route.continue_()
        return route.fulfill(status=409, content_type="application/problem+json", body=json.dumps(found))

    page.route("**/v1/sessions/*/events?after=*", answer)
    page.goto(f"/sessions/{session}")

    expect(page.get_by_text("Read again from the start. The store was restored.")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    assert words_said(page) == ["before"]
    page.get_by_role("button", name="All right").click()
    expect(page.get_by_text("Read again from the start.")).to_have_count(0)


def test_a_page_that_nobody_sees_lets_go_and_catches_up_when_it_is_seen(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SAY before")
    until_status(api, session, "idle")
    page = open_page(None)
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.away === true })")
    page.clock.install()
    page.goto(f"/sessions/{session}")
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()

    page.evaluate("() => { window.away = true; document.dispatchEvent(new Event('visibilitychange')) }")
    with page.expect_event("requestfailed", lambda request: "/events?after=" in request.url):
        page.clock.fast_forward(61_000)
    said(api, session, "SAY meanwhile")
    until_status(api, session, "idle")
    expect(page.locator(".assistant", has_text="meanwhile")).to_have_count(0)
    page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')) }")

    expect(page.locator(".assistant", has_text="meanwhile")).to_be_visible()
    assert words_said(page) == ["before", "meanwhile"]


def test_a_session_that_is_deleted_says_so(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SAY before")
    page = open_page(f"/sessions/{session}")
    expect(page.locator(".assistant", has_text="before")).to_be_visible()

    api.delete(f"/v1/sessions/{session}")

    expect(page.get_by_text("This session was deleted.")).to_be_visible()


def test_a_session_that_is_not_there_says_so(open_page: OpenPage) -> None:
    page = open_page("/sessions/ses_00000000000000000000000000000000")

    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_restart_in_the_middle_of_an_answer_loses_and_doubles_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    with a_server(tmp_path) as first:
        with client_of(first, first.key) as root:
            session = a_session(root, "SLOW 150 20")
        device = browser.new_context(base_url=first.url)
        sign_in(device, first.key)
        page = device.new_page()
        page.goto(f"/sessions/{session}")
        expect(page.locator(".assistant", has_text="w3")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Offline")).to_be_visible()

    with a_server(tmp_path, port=httpx.URL(first.url).port or 0) as again:
        assert again.url == first.url
        expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
        with client_of(again, first.key) as root:
            until_status(root, session, "idle")
            whole = root.get(f"/v1/sessions/{session}/messages").json()["data"][-1]["content"]
        said = page.locator(".assistant .prose").last
        expect(said).to_have_text(whole.strip())
        expect(page.locator(".assistant .prose:visible")).to_have_count(1)
        device.close()
