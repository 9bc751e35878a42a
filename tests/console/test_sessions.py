"""The sessions' list: live states, search and filters that the address holds, and deeds for many at once."""

import json
import re
import time

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.browsing import Server, client_of
from tests.console.conftest import Axe, OpenPage
from tests.console.talk import a_session, said, until_status

LONG = "A title that goes on and on " * 7
ARABIC = "مرحبا بالعالم"  # the direction of a name mustn't turn the row around


def rows(page: Page) -> Locator:
    """The rows of the list, without their head."""
    return page.get_by_role("table", name="Sessions").locator("tbody tr")


def row(page: Page, name: str) -> Locator:
    """The row of the session with this title."""
    return rows(page).filter(has=page.get_by_role("link", name=name, exact=True))


def search(page: Page) -> Locator:
    """The field that searches and filters."""
    return page.get_by_role("combobox", name="Search and filter sessions")


def titles(page: Page) -> list[str]:
    """What the list shows, from top to bottom."""
    return rows(page).get_by_role("link").all_inner_texts()


def labelled(api: httpx.Client, session: str, **labels: str) -> str:
    """Label a session."""
    assert api.patch(f"/v1/sessions/{session}", json={"labels": labels}).is_success
    return session


def toolbar(page: Page) -> Locator:
    """What can be done to the sessions that are selected."""
    return page.get_by_role("toolbar")


@pytest.fixture
def four(api: httpx.Client) -> dict[str, str]:
    """One session that waits for a person, one that failed, one with words, one that is closed."""
    made = {
        "Asks": a_session(api, "ASK drop the table?", title="Asks"),
        "Broken": a_session(api, "SAY trying\nFAIL no disk", title="Broken"),
        "Talked": a_session(api, "SAY the rollback went well", title="Talked"),
        "Shut": a_session(api, title="Shut"),
    }
    api.post(f"/v1/sessions/{made['Shut']}/close", json={})
    until_status(api, made["Asks"], "waiting")
    until_status(api, made["Broken"], "idle")
    until_status(api, made["Talked"], "idle")
    return made


# Live


def test_each_session_shows_its_state_and_its_last_line(open_page: OpenPage, four: dict[str, str]) -> None:
    page = open_page("/sessions")

    expect(row(page, "Asks")).to_contain_text("Waiting for you")
    expect(row(page, "Broken")).to_contain_text("Failed")
    expect(row(page, "Broken")).to_contain_text("trying")
    expect(row(page, "Talked")).to_contain_text("the rollback went well")
    expect(row(page, "Shut")).to_contain_text("Closed")
    expect(page.get_by_role("status").filter(has_text="4 sessions · 1 waiting for you")).to_be_visible()


def test_what_happens_elsewhere_is_seen_without_a_reload(
    open_page: OpenPage, api: httpx.Client, four: dict[str, str]
) -> None:
    page = open_page("/sessions")
    expect(rows(page)).to_have_count(4)

    said(api, four["Talked"], "ASK go on?")
    a_session(api, title="Brand new")

    expect(row(page, "Talked")).to_contain_text("Waiting for you")
    expect(row(page, "Brand new")).to_be_visible()
    assert titles(page)[0] == "Brand new"


# Search and filters


def test_words_are_found_in_messages_and_marked(open_page: OpenPage, four: dict[str, str]) -> None:
    page = open_page("/sessions")
    page.keyboard.press("/")
    search(page).press_sequentially("rollb")

    expect(rows(page)).to_have_count(1)
    expect(row(page, "Talked").locator("mark")).to_have_text("rollb")
    expect(page).to_have_url(re.compile(r"[?]q=rollb$"))


def test_a_condition_is_suggested_becomes_a_chip_and_survives_a_reload(
    open_page: OpenPage, four: dict[str, str]
) -> None:
    page = open_page("/sessions")
    search(page).press_sequentially("wai")
    expect(page.get_by_role("option", name="state:waiting")).to_be_visible()

    search(page).press("ArrowDown")
    search(page).press("Enter")

    expect(rows(page)).to_have_count(1)
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(row(page, "Asks")).to_be_visible()
    expect(search(page)).to_have_value("")

    page.get_by_role("button", name="Drop state waiting").click()
    expect(rows(page)).to_have_count(4)
    expect(page).to_have_url(re.compile(r"/sessions$"))


def test_typed_conditions_and_words_hold_together(
    open_page: OpenPage, api: httpx.Client, four: dict[str, str]
) -> None:
    labelled(api, four["Talked"], team="infra")
    labelled(api, four["Asks"], team="infra")
    page = open_page("/sessions")

    search(page).press_sequentially("label:team=infra ")
    expect(rows(page)).to_have_count(2)
    search(page).press_sequentially("went")
    expect(rows(page)).to_have_count(1)

    search(page).fill("")
    search(page).press("Backspace")
    expect(rows(page)).to_have_count(4)


def test_what_failed_is_one_click_away(open_page: OpenPage, four: dict[str, str]) -> None:
    page = open_page("/sessions")
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Failed").click()

    expect(rows(page)).to_have_count(1)
    expect(row(page, "Broken")).to_be_visible()
    expect(page).to_have_url(re.compile("status=failed$"))


def test_a_hit_opens_where_the_words_were_said(
    open_page: OpenPage, api: httpx.Client, four: dict[str, str]
) -> None:
    said(api, four["Talked"], "SAY something else")
    until_status(api, four["Talked"], "idle")
    said_at = [
        event["seq"]
        for event in api.get(f"/v1/sessions/{four['Talked']}/events").json()["data"]
        if "the rollback went well" in str(event["data"].get("text"))
    ]
    page = open_page('/sessions?q="rollback went"')
    row(page, "Talked").get_by_role("link").click()

    expect(page).to_have_url(re.compile(f"/sessions/{four['Talked']}#\\d+$"))
    assert page.url.rpartition("#")[2] == str(said_at[0])


def test_a_view_is_kept_picked_and_forgotten(open_page: OpenPage, four: dict[str, str]) -> None:
    page = open_page("/sessions?status=closed&q=shut")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Keep this view").click()
    page.get_by_label("Name of the view").fill("Put away")
    page.keyboard.press("Enter")

    page.get_by_role("link", name="All", exact=True).click()
    expect(rows(page)).to_have_count(4)
    page.reload()
    page.get_by_role("link", name="Put away").click()
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"status=closed&q=shut$"))

    page.get_by_role("button", name="Forget the view Put away").click()
    expect(page.get_by_role("link", name="Put away")).to_have_count(0)


def test_no_hit_says_so_and_offers_the_way_back(open_page: OpenPage, four: dict[str, str]) -> None:
    page = open_page("/sessions?q=nowheretobefound")

    expect(page.get_by_role("heading", name="No session is like that")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(rows(page)).to_have_count(4)
    expect(search(page)).to_be_focused()


def test_more_come_as_one_scrolls_all_are_selected_and_back_finds_the_place(
    open_page: OpenPage, api: httpx.Client
) -> None:
    for number in range(120):
        a_session(api, title=f"Number {number}")
    page = open_page("/sessions")
    expect(rows(page)).to_have_count(50)
    row(page, "Number 119").get_by_role("checkbox").check()
    toolbar(page).get_by_role("button", name="Select all of this filter").click()
    expect(toolbar(page)).to_contain_text("120 selected")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Older sessions").scroll_into_view_if_needed()
    expect(rows(page)).to_have_count(100)
    page.get_by_role("button", name="Older sessions").scroll_into_view_if_needed()
    expect(rows(page)).to_have_count(120)
    row(page, "Number 3").get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/sessions/ses_"))

    page.go_back()
    expect(row(page, "Number 3")).to_be_in_viewport()
    expect(rows(page)).to_have_count(120)


# Many at once


def test_a_range_is_selected_and_closed_and_reopened(open_page: OpenPage, api: httpx.Client) -> None:
    for name in ("One", "Two", "Three", "Four"):
        a_session(api, title=name)
    page = open_page("/sessions")
    row(page, "Four").get_by_role("checkbox").check()
    row(page, "Two").get_by_role("checkbox").click(modifiers=["Shift"])
    expect(toolbar(page)).to_contain_text("3 selected")

    toolbar(page).get_by_role("button", name="Close").click()

    expect(page.get_by_text("3 sessions closed.")).to_be_visible()
    expect(rows(page).filter(has_text="Closed")).to_have_count(3)
    expect(toolbar(page)).to_have_count(0)

    page.get_by_role("checkbox", name="Select all that are shown").check()
    expect(toolbar(page)).to_contain_text("4 selected")
    toolbar(page).get_by_role("button", name="Reopen").click()
    expect(page.get_by_text("3 sessions reopened.")).to_be_visible()
    expect(rows(page).filter(has_text="Closed")).to_have_count(0)


def test_live_runs_are_stopped_together(open_page: OpenPage, api: httpx.Client) -> None:
    live = [a_session(api, "SLOW 1000 100", title=name) for name in ("One", "Two")]
    a_session(api, title="Idle")
    page = open_page("/sessions?status=running")
    expect(rows(page)).to_have_count(2)

    page.get_by_role("checkbox", name="Select all that are shown").check()
    toolbar(page).get_by_role("button", name="Stop").click()

    expect(page.get_by_text("2 sessions stopped.")).to_be_visible()
    for session in live:
        until_status(api, session, "idle")


def test_deleting_names_what_goes_and_takes_a_second_yes(
    open_page: OpenPage, api: httpx.Client, four: dict[str, str]
) -> None:
    page = open_page("/sessions")
    row(page, "Shut").get_by_role("checkbox").check()
    row(page, "Talked").get_by_role("checkbox").check()
    toolbar(page).get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 2 sessions for good?")
    expect(dialog.get_by_role("listitem")).to_have_text(["Shut", "Talked"])

    dialog.get_by_role("button", name="Keep them").click()
    assert api.get(f"/v1/sessions/{four['Shut']}").status_code == 200
    toolbar(page).get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete 2 sessions").click()

    expect(rows(page)).to_have_count(2)
    assert [api.get(f"/v1/sessions/{four[name]}").status_code for name in ("Shut", "Talked")] == [404, 404]


def test_what_was_refused_is_told_of_each_and_stays_selected(open_page: OpenPage, api: httpx.Client) -> None:
    for name in ("One", "Two"):
        a_session(api, title=name)
    page = open_page("/sessions")
    page.get_by_role("checkbox", name="Select all that are shown").check()
    page.route(
        re.compile(r"/close$"),
        lambda route: route.fulfill(
            status=409,
            content_type="application/problem+json",
            body=json.dumps({"code": "busy", "detail": "It is busy."}),
        ),
        times=1,
    )

    toolbar(page).get_by_role("button", name="Close").click()

    dialog = page.get_by_role("dialog", name="1 closed, 1 not")
    expect(dialog).to_contain_text("It is busy.")
    dialog.get_by_role("button", name="Close", exact=True).first.click()
    expect(toolbar(page)).to_contain_text("1 selected")


def test_a_label_is_put_on_without_touching_the_others(open_page: OpenPage, api: httpx.Client) -> None:
    session = labelled(api, a_session(api, title="One"), team="web")
    page = open_page("/sessions")
    row(page, "One").get_by_role("checkbox").check()

    toolbar(page).get_by_role("button", name="Label").click()
    page.get_by_role("textbox", name="Label").fill("due=friday")
    page.keyboard.press("Enter")

    expect(page.get_by_text("1 session labelled.")).to_be_visible()
    assert api.get(f"/v1/sessions/{session}").json()["labels"] == {"team": "web", "due": "friday"}


def test_an_export_holds_the_whole_journals(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SAY hello", title="One")
    until_status(api, session, "idle")
    journal = api.get(f"/v1/sessions/{session}/events").json()["data"]
    page = open_page("/sessions")
    row(page, "One").get_by_role("checkbox").check()

    with page.expect_download() as download:
        toolbar(page).get_by_role("button", name="Export").click()

    file = json.loads(download.value.path().read_text())
    assert [one["events"] for one in file["sessions"]] == [journal]
    assert file["sessions"][0]["session"]["id"] == session


# The keyboard


def test_the_list_is_walked_selected_and_opened_by_keys(open_page: OpenPage, api: httpx.Client) -> None:
    for name in ("One", "Two", "Three"):
        a_session(api, title=name)
    page = open_page("/sessions")
    expect(rows(page)).to_have_count(3)

    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Three", exact=True)).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(toolbar(page)).to_contain_text("3 selected")
    page.keyboard.press("Escape")
    expect(toolbar(page)).to_have_count(0)

    page.keyboard.press("e")
    expect(row(page, "One")).to_contain_text("Closed")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/sessions/ses_"))


# An empty account, and who may what


@pytest.mark.parametrize(
    ("button", "seen"),
    [
        ("Book a table", "Old Mill"),
        ("Hear a long story", "night train"),
        ("Have it come back", "I will report"),
    ],
)
def test_an_empty_account_starts_a_demo_with_one_click(open_page: OpenPage, button: str, seen: str) -> None:
    page = open_page("/sessions")
    expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible()

    page.get_by_role("button", name=button).click()

    expect(page).to_have_url(re.compile(r"/sessions/ses_"))
    expect(page.get_by_text(seen).first).to_be_visible()


def test_whoever_may_only_read_is_offered_no_deeds(
    open_page: OpenPage, server: Server, api: httpx.Client
) -> None:
    viewer = api.post("/v1/keys", json={"role": "viewer", "user": "ana"}).json()["key"]
    a_session(api, title="One")

    page = open_page("/sessions", key=viewer)

    expect(row(page, "One")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("button", name="New session")).to_have_count(0)
    with client_of(server, viewer) as reader:
        assert reader.post("/v1/sessions", json={"agent": "scripted"}).status_code == 403


# How it looks


@pytest.mark.parametrize("form", ["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_is_accessible_and_fits(
    open_page: OpenPage, axe: Axe, api: httpx.Client, four: dict[str, str], form: str, scheme: str
) -> None:
    a_session(api, f"SAY {'wide' * 60}", title=LONG[:200])
    a_session(api, f"SAY {ARABIC}", title=ARABIC)
    page = open_page("/sessions", form=form, scheme=scheme)
    expect(rows(page)).to_have_count(6)
    axe(page)

    if form == "phone":
        page.get_by_role("button", name="Select", exact=True).click()
    row(page, "Talked").get_by_role("checkbox").check()
    search(page).fill("a")
    expect(page.get_by_role("option", name="agent:")).to_be_visible()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "(main) => main.scrollWidth <= main.clientWidth", page.locator("#main").element_handle()
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_empty_list_is_accessible(open_page: OpenPage, axe: Axe, scheme: str) -> None:
    page = open_page("/sessions", form="phone", scheme=scheme)
    expect(page.get_by_role("button", name="Book a table")).to_be_visible()

    axe(page)


def test_a_list_that_is_looked_at_is_read_every_two_seconds_and_no_more_often(page: Page) -> None:
    page.goto("/sessions")
    with page.expect_request(lambda request: "/v1/sessions?" in request.url):
        pass
    began = time.monotonic()
    with page.expect_request(lambda request: "/v1/sessions?" in request.url):
        pass

    assert time.monotonic() - began > 1
