"""What stands around every screen: the ways between them, the palette, keys, signing in again, dialogs."""

import json
import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.browsing import Watch
from tests.console.conftest import Axe, OpenPage
from tests.console.talk import a_session, until_status

DOORS = ("Sessions", "Approvals", "Schedules", "Agents", "Ops", "Settings")


def field(page: Page) -> Locator:
    """The field of the palette."""
    return page.get_by_role("combobox", name="Find a session, a screen or a command")


def chosen(page: Page) -> Locator:
    """What Enter would choose in the palette."""
    return page.get_by_role("listbox", name="Found").get_by_role("option", selected=True)


def ready(page: Page) -> Page:
    """A page on which the sessions have been read."""
    expect(page.get_by_role("heading", level=1, name="Sessions")).to_be_visible()
    return page


# The palette


def test_the_palette_finds_a_session_by_what_was_said_in_it(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SAY an unmistakable walrus", title="Animals")
    until_status(api, session, "idle")
    page = ready(open_page("/sessions"))

    page.keyboard.press("Control+k")
    field(page).fill("walrus")
    expect(chosen(page)).to_contain_text("Animals")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(f"/sessions/{session}$"))
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_palette_goes_to_screens_and_does_deeds(open_page: OpenPage) -> None:
    page = ready(open_page("/sessions"))

    page.keyboard.press("Control+k")
    field(page).fill("appr")
    expect(chosen(page)).to_contain_text("Approvals")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/approvals$"))

    page.keyboard.press("Control+k")
    field(page).fill("ns")
    expect(chosen(page)).to_contain_text("New session")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="New session")).to_be_visible()


def test_the_palette_offers_what_can_be_done_where_one_is(open_page: OpenPage, api: httpx.Client) -> None:
    a_session(api, title="One")
    page = ready(open_page("/sessions"))
    expect(page.get_by_role("link", name="One", exact=True)).to_be_visible()
    page.keyboard.press("j")

    page.keyboard.press("Control+k")
    field(page).fill("close or")
    page.keyboard.press("Enter")

    expect(page.get_by_text("1 session closed.")).to_be_visible()


def test_the_palette_remembers_where_one_was(open_page: OpenPage, api: httpx.Client) -> None:
    first = a_session(api, title="The first")
    a_session(api, title="The second")
    page = open_page(f"/sessions/{first}")
    page.get_by_role("link", name="Settings").first.click()
    expect(page).to_have_url(re.compile(r"/settings"))

    page.keyboard.press("Control+k")

    expect(page.get_by_role("option").first).to_contain_text("The first")


def test_the_palette_says_that_nothing_is_called_so(open_page: OpenPage) -> None:
    page = ready(open_page("/sessions"))
    page.keyboard.press("Control+k")
    field(page).fill("zzzzqqq")

    expect(page.get_by_text("Nothing is called “zzzzqqq”")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


# Keys, doors, focus


def test_two_letters_go_to_a_screen(open_page: OpenPage) -> None:
    page = ready(open_page("/sessions"))
    for letter, address in (("c", "/schedules"), ("o", "/ops"), ("s", "/sessions")):
        page.keyboard.press("g")
        page.keyboard.press(letter)
        expect(page).to_have_url(re.compile(f"{address}$"))


def test_the_help_lists_the_keys_of_the_screen(open_page: OpenPage) -> None:
    page = ready(open_page("/sessions"))
    page.keyboard.press("?")

    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("Search and filter")
    expect(dialog).to_contain_text("Find a session, a screen or a command")


def test_letters_typed_into_a_field_stay_letters(open_page: OpenPage, api: httpx.Client) -> None:
    a_session(api)
    page = ready(open_page("/sessions"))
    search = page.get_by_role("combobox", name="Search and filter sessions")
    search.press_sequentially("njx?")

    expect(search).to_have_value("njx?")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("form", ["wide", "phone"])
def test_every_door_leads_to_its_screen_and_the_focus_goes_along(open_page: OpenPage, form: str) -> None:
    page = ready(open_page("/sessions", form=form))
    for name in (*DOORS[1:], DOORS[0]):
        door = page.get_by_role("navigation", name="Screens").get_by_role("link", name=re.compile(f"^{name}"))
        expect(door).to_be_in_viewport(ratio=1)
        door.click()
        expect(page.get_by_role("heading", level=1).first).to_be_focused()
        expect(page).to_have_title(re.compile(f"{name} · Tenure$"))
        expect(door).to_have_attribute("aria-current", "page")
    for name in ("New session", "Find"):
        expect(
            page.get_by_role("navigation").get_by_role("button", name=re.compile(f"^{name}"))
        ).to_be_in_viewport(ratio=1)


def test_what_waits_for_a_person_is_counted_in_rail_and_title(open_page: OpenPage, api: httpx.Client) -> None:
    until_status(api, a_session(api, "ASK one?"), "waiting")
    page = open_page("/settings")

    expect(page.get_by_role("link", name=re.compile("^Approvals"))).to_contain_text("1 waiting for you")
    expect(page).to_have_title(re.compile(r"^\(1\) "))


def test_the_title_of_the_page_names_the_session(open_page: OpenPage, api: httpx.Client) -> None:
    page = open_page(f"/sessions/{a_session(api, title='Animals')}")
    expect(page).to_have_title("Animals · Tenure")

    page.get_by_role("link", name="Settings").first.click()
    expect(page).to_have_title("Settings · Tenure")


def test_an_address_where_nothing_lives_says_so(open_page: OpenPage) -> None:
    page = open_page("/sessions")
    page.evaluate("history.pushState(null, '', '/elsewhere'); dispatchEvent(new PopStateEvent('popstate'))")

    expect(page.get_by_role("heading", name="Nothing lives at this address")).to_be_visible()
    page.get_by_role("link", name="Go to the sessions").click()
    ready(page)


def test_one_can_skip_to_the_content(open_page: OpenPage) -> None:
    page = ready(open_page("/sessions"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


# Signing in again, and out


def test_when_the_sign_in_ends_one_signs_in_and_goes_on_where_one_was(
    open_page: OpenPage, api: httpx.Client, account: str
) -> None:
    until_status(api, a_session(api, "SAY walrus", title="Animals"), "idle")
    page = open_page("/sessions?q=walrus")
    expect(page.get_by_role("link", name="Animals")).to_be_visible()
    origin = {"Origin": page.url.split("/sessions")[0]}

    assert page.context.request.post("/v1/sign-out", headers=origin).ok

    expect(page.get_by_text("Your sign-in has ended")).to_be_visible()
    assert page.url.endswith("/sessions?q=walrus")
    page.get_by_label("Key").fill("tnr_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text=re.compile(r"\w"))).to_be_visible()
    page.get_by_label("Key").fill(account)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Animals")).to_be_visible()
    assert page.url.endswith("/sessions?q=walrus")


def test_signing_out_leaves_nothing_behind(open_page: OpenPage, api: httpx.Client) -> None:
    page = open_page(f"/sessions/{a_session(api, title='Private')}")
    page.get_by_role("button", name=re.compile("Account")).click()
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_label("Key")).to_be_visible()
    assert page.evaluate("localStorage.getItem('tenure.recent')") is None
    page.reload()
    expect(page.get_by_label("Key")).to_be_visible()


def test_a_look_is_kept(open_page: OpenPage) -> None:
    page = ready(open_page("/sessions"))
    page.get_by_role("button", name=re.compile("Account")).click()
    page.get_by_role("radio", name="Dark").check()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 19, 17)"

    page.reload()
    ready(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 19, 17)"


def test_a_host_that_is_away_is_asked_again_until_it_is_back(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("Failed to load resource")
    page = open_page(None)
    page.route("**/v1/whoami", lambda route: route.abort(), times=1)
    page.goto("/sessions")

    expect(page.get_by_text("The host can’t be reached").first).to_be_visible()
    ready(page)


# A new session


def test_enter_opens_a_session_with_its_first_message(open_page: OpenPage) -> None:
    page = ready(open_page("/sessions"))
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog", name="New session")
    dialog.get_by_role("radio", name=re.compile("^scripted")).check()
    dialog.get_by_role("textbox", name="Title").fill("Mine")
    dialog.get_by_role("textbox", name="First message").fill("SAY **here** we are")
    dialog.get_by_role("textbox", name="First message").press("Enter")

    expect(page).to_have_url(re.compile(r"/sessions/ses_"))
    expect(page.locator("strong", has_text="here").last).to_be_visible()


def test_words_that_were_refused_are_kept(open_page: OpenPage) -> None:
    page = ready(open_page("/sessions"))
    problem = json.dumps({"code": "capacity", "detail": "Too many messages wait."})
    page.route(
        "**/messages", lambda route: route.fulfill(status=429, content_type="application/json", body=problem)
    )
    page.keyboard.press("n")
    page.get_by_role("radio", name=re.compile("^scripted")).check()
    page.get_by_role("textbox", name="First message").fill("SAY something long and precious")
    page.get_by_role("button", name="Open session").click()

    expect(page.get_by_role("alert").filter(has_text="Too many messages wait.").first).to_be_visible()
    page.get_by_role("link", name="Settings").first.click()
    page.keyboard.press("n")
    expect(page.get_by_role("textbox", name="First message")).to_have_value("SAY something long and precious")


# How it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_stands_in_front_is_accessible(
    open_page: OpenPage, axe: Axe, api: httpx.Client, scheme: str
) -> None:
    a_session(api, title="One")
    page = ready(open_page("/sessions", scheme=scheme))
    for key, name in (("Control+k", "Find"), ("?", "Keys"), ("n", "New session")):
        page.keyboard.press(key)
        expect(page.get_by_role("dialog", name=name)).to_be_visible()
        axe(page)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name=re.compile("Account")).click()
    axe(page)
