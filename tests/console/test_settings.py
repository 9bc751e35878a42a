"""Settings: the look, where one is signed in, keys that are shown once, users, limits, and who did what."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.browsing import Server, client_of
from tests.console.conftest import Axe, OpenPage, Watch

SECTIONS = ("appearance", "sign-ins", "limits", "keys", "users", "audit", "about")


def paper(page: Page) -> str:
    """The colour of the page."""
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_look_that_was_chosen_stays(open_page: OpenPage) -> None:
    page = open_page("/settings/appearance")
    light = paper(page)

    page.get_by_role("radio", name="Dark Paper on ink.").check()
    page.reload()

    expect(page.get_by_role("radio", name="Dark Paper on ink.")).to_be_checked()
    assert paper(page) != light


def test_a_new_key_is_shown_once_and_opens_the_door(open_page: OpenPage, server: Server) -> None:
    page = open_page("/settings/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("User").fill("Bo Ngata")
    page.get_by_label("Role").select_option("viewer")
    page.get_by_role("button", name="Make key").click()
    secret = page.get_by_role("dialog").locator("code").inner_text()
    page.get_by_role("button", name="I have it").click()

    with client_of(server, secret) as bo:
        whoami = bo.get("/v1/whoami").json()
    assert (whoami["user"], whoami["role"]) == ("Bo Ngata", "viewer")
    expect(page.get_by_role("row").filter(has_text="Bo Ngata")).to_contain_text("Active")
    assert secret not in page.content()


def test_a_revoked_key_opens_nothing_any_more(open_page: OpenPage, api: httpx.Client, server: Server) -> None:
    made = api.post("/v1/keys", json={"user": "Chi", "role": "member", "name": "old laptop"}).json()
    page = open_page("/settings/keys")
    row = page.get_by_role("row").filter(has_text="Chi")
    row.get_by_role("button", name="Revoke…").click()
    expect(page.get_by_role("dialog")).to_contain_text("old laptop")
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()

    expect(row).to_contain_text("Revoked")
    with client_of(server, made["key"]) as chi:
        assert chi.get("/v1/whoami").status_code == 401


def test_a_key_that_cannot_be_made_says_why_and_keeps_the_form(open_page: OpenPage, watch: Watch) -> None:
    page = open_page("/settings/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("User").fill("Dee")
    page.get_by_label("Ends").fill("2001-01-01T00:00")
    page.get_by_role("button", name="Make key").click()

    expect(page.get_by_role("alert").filter(has_text="expires_at")).to_be_visible()
    expect(page.get_by_label("User")).to_have_value("Dee")


def test_another_browser_can_be_signed_out(open_page: OpenPage) -> None:
    other = open_page("/sessions")
    expect(other.get_by_role("heading", name="Sessions", level=1)).to_be_visible()
    page = open_page("/settings/sign-ins")
    rows = page.get_by_role("row").filter(has=page.get_by_role("button", name="Sign out"))
    expect(rows).to_have_count(2)

    rows.filter(has_not_text="this browser").get_by_role("button").click()

    expect(rows).to_have_count(1)
    other.reload()
    expect(other.get_by_label("Key")).to_be_visible()


def test_a_link_signs_another_device_in_once(open_page: OpenPage) -> None:
    page = open_page("/settings/sign-ins")
    page.get_by_role("button", name="Link for another device").click()
    link = page.locator("code", has_text="/sign-in/").inner_text()

    phone = open_page(None, key=None, form="phone")
    phone.goto(link)
    expect(phone.get_by_role("heading", name="Sessions", level=1)).to_be_visible()

    third = open_page(None, key=None)
    third.goto(link)
    expect(third.get_by_text("That sign-in link was used already")).to_be_visible()


def test_users_are_whoever_has_a_key(open_page: OpenPage, api: httpx.Client) -> None:
    api.post("/v1/keys", json={"user": "Eve", "role": "operator"})

    page = open_page("/settings/users")

    expect(page.get_by_role("row").filter(has_text="Eve")).to_contain_text("operator")


def test_the_audit_log_tells_who_made_a_key_and_can_be_narrowed(
    open_page: OpenPage, api: httpx.Client
) -> None:
    api.post("/v1/keys", json={"user": "Fay", "role": "member"})
    session = api.post("/v1/sessions", json={"agent": "scripted"}).json()["id"]
    api.delete(f"/v1/sessions/{session}")

    page = open_page("/settings/audit")
    expect(page.get_by_role("row").filter(has_text="Deleted a session")).to_be_visible()
    page.get_by_label("What").select_option("key.created")

    expect(page.get_by_role("row").filter(has_text="Made a key").first).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Deleted a session")).to_have_count(0)


def test_a_viewer_sees_no_keys_users_or_audit(open_page: OpenPage, api: httpx.Client) -> None:
    key = api.post("/v1/keys", json={"user": "Gil", "role": "viewer"}).json()["key"]

    page = open_page("/settings", key=key)

    sections = page.get_by_role("navigation", name="Sections of the settings")
    expect(sections.get_by_role("link")).to_have_text(["Appearance", "Sign-ins", "Limits", "About"])
    page.goto("/settings/keys")
    expect(page.get_by_role("heading", name="Not for this role")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_stands_in_the_way_of_anybody(open_page: OpenPage, axe: Axe, scheme: str) -> None:
    page = open_page(None, scheme=scheme)
    for section in SECTIONS:
        page.goto(f"/settings/{section}")
        expect(page.get_by_role("heading", level=2).first).to_be_visible()
        axe(page)


def test_a_phone_shows_every_section_without_scrolling_sideways(open_page: OpenPage) -> None:
    page = open_page(None, form="phone")
    for section in SECTIONS:
        page.goto(f"/settings/{section}")
        expect(page.get_by_role("heading", level=2).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), section
