"""The spine: the whole journal as one line, and the slider that shows any moment of it."""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Axe, OpenPage
from tests.console.talk import a_session, said, transcript, until_status


def spine(page: Page) -> Locator:
    """The slider."""
    return page.get_by_role("slider", name="Moments of the journal")


def moment(page: Page) -> Locator:
    """The banner over a moment of the past."""
    return page.locator(".moment")


def point(page: Page, share: float) -> tuple[float, float]:
    """Where on the screen a share of the journal is."""
    box = spine(page).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + 8 + share * (box["height"] - 16)


def head_of(api: httpx.Client, session: str) -> int:
    """The number of the last event."""
    return int(api.get(f"/v1/sessions/{session}").json()["head_seq"])


def idle(api: httpx.Client, *messages: str) -> str:
    """A session in which all of this was said and answered."""
    session = a_session(api, *messages)
    until_status(api, session, "idle")
    return session


def test_it_tells_where_one_is(open_page: OpenPage, api: httpx.Client) -> None:
    session = idle(api, "SAY one", "SAY two")
    page = open_page(f"/sessions/{session}")

    head = head_of(api, session)
    expect(spine(page)).to_have_attribute("aria-valuemax", str(head))
    expect(spine(page)).to_have_attribute("aria-valuetext", f"Event {head} of {head}, now: two")


def test_dragging_shows_that_moment_and_one_returns_to_now(open_page: OpenPage, api: httpx.Client) -> None:
    session = idle(api, *(f"SAY word{n}" for n in range(12)))
    page = open_page(f"/sessions/{session}")
    expect(page.locator(".assistant", has_text="word11")).to_be_visible()

    page.mouse.move(*point(page, 0.9))
    page.mouse.down()
    page.mouse.move(*point(page, 0.6))
    page.mouse.move(*point(page, 0.5))
    expect(moment(page)).to_be_visible()
    page.mouse.up()

    at = int(spine(page).get_attribute("aria-valuenow") or 0)
    expect(moment(page)).to_contain_text(f"At {at} of {head_of(api, session)}")
    expect(page.locator(".assistant", has_text="word11")).to_have_count(0)
    expect(page.locator(".assistant", has_text="word4")).to_be_visible()
    page.get_by_role("button", name="Return to now").click()
    expect(moment(page)).to_have_count(0)
    expect(page.locator(".assistant", has_text="word11")).to_be_visible()


def test_keys_go_from_mark_to_mark_and_from_event_to_event(open_page: OpenPage, api: httpx.Client) -> None:
    session = idle(api, "SAY first", "SLOW 8 1")
    page = open_page(f"/sessions/{session}")
    expect(page.locator(".assistant", has_text="w7")).to_be_visible()

    spine(page).focus()
    page.keyboard.press("ArrowUp")
    expect(spine(page)).to_have_attribute("aria-valuetext", re.compile("w0 w1"))
    expect(page.locator(".assistant").last).to_have_text(re.compile("w0"))
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator(".assistant .prose").last).to_have_text("w0 w1 w2")
    page.keyboard.press("Home")
    expect(page.locator("[data-row]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(moment(page)).to_have_count(0)


def test_a_fork_from_a_moment_has_what_there_was(open_page: OpenPage, api: httpx.Client) -> None:
    session = idle(api, "SAY one", "SAY two")
    page = open_page(f"/sessions/{session}")
    expect(page.locator(".assistant", has_text="two")).to_be_visible()
    spine(page).focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowUp")

    page.get_by_role("button", name="Fork from here").click()

    expect(page).not_to_have_url(re.compile(session))
    assert transcript(api, page.url.rpartition("/")[2]) == [("user", "SAY one"), ("assistant", "one")]


def test_now_goes_on_while_one_looks_at_the_past(open_page: OpenPage, api: httpx.Client) -> None:
    session = idle(api, "SAY one", "SAY two")
    page = open_page(f"/sessions/{session}")
    expect(page.locator(".assistant", has_text="two")).to_be_visible()
    spine(page).focus()
    page.keyboard.press("Home")
    expect(moment(page)).to_be_visible()

    said(api, session, "SAY three")
    until_status(api, session, "idle")

    expect(moment(page)).to_contain_text(f"of {head_of(api, session)}")
    expect(page.locator(".assistant")).to_have_count(0)
    page.get_by_role("button", name="Return to now").click()
    expect(page.locator(".assistant", has_text="three")).to_be_in_viewport()


def test_a_question_of_the_past_is_not_decided_there(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SAY one", "ASK once")
    page = open_page(f"/sessions/{session}")
    expect(page.get_by_role("button", name="Approve", exact=True)).to_be_visible()

    spine(page).focus()
    page.keyboard.press("Shift+ArrowUp")

    expect(page.get_by_text("Return to now to decide.")).to_be_visible()
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)


def test_a_long_journal_opens_by_reading_its_end_alone(open_page: OpenPage, api: httpx.Client) -> None:
    session = idle(api, *(f"SAY turn{n}\nBURST 200 20" for n in range(45)))
    page = open_page(None)
    pages: list[str] = []
    page.on("request", lambda request: pages.append(request.url) if "brief=true" in request.url else None)

    page.goto(f"/sessions/{session}")

    expect(page.locator(".assistant", has_text="turn44")).to_be_in_viewport()
    expect(spine(page)).to_have_attribute("aria-valuemax", str(head_of(api, session)))
    assert len(pages) == 1
    spine(page).focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".assistant", has_text="turn0")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_slim_and_still_dragged_on_a_phone(
    open_page: OpenPage, api: httpx.Client, axe: Axe, scheme: str
) -> None:
    session = idle(api, *(f"SAY word{n}" for n in range(12)))
    page = open_page(f"/sessions/{session}", form="phone", scheme=scheme)
    expect(page.locator(".assistant", has_text="word11")).to_be_visible()

    page.touchscreen.tap(*point(page, 0.5))

    expect(moment(page)).to_be_visible()
    expect(page.locator(".assistant", has_text="word11")).to_have_count(0)
    axe(page)
    assert page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth")
