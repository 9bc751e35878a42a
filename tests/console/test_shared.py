"""A shared session: whoever has the link reads it as it goes on, and can do nothing else."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Axe, OpenPage, Watch
from tests.console.talk import a_session, said, until_status

OVER = "This link shows nothing"


def share(api: httpx.Client, session: str) -> dict[str, str]:
    """A share with its link."""
    made = api.post(f"/v1/sessions/{session}/shares", json={})
    assert made.status_code == 201, made.text
    return dict(made.json())


def path_of(made: dict[str, str]) -> str:
    """Where the link leads on this server."""
    return "/share/" + made["url"].rpartition("/")[2]


def no_commands(page: Page) -> None:
    """Nothing on the page says, decides or changes anything."""
    for name in ("Send", "Steer", "Stop", "Approve", "Deny", "Share", "More", "Fork"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("textbox")).to_have_count(0)
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_a_link_made_here_is_read_by_somebody_without_a_key(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SAY for everybody", title="Open house")
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")
    page.get_by_role("button", name="Share", exact=True).click()
    page.get_by_role("button", name="Make a link").click()
    url = page.get_by_label("The link, shown only now").input_value()

    reader = open_page(url, key=None)

    expect(reader.get_by_role("heading", name="Open house")).to_be_visible()
    expect(reader.get_by_text("for everybody", exact=True)).to_be_visible()
    expect(reader.get_by_text("Shared by ana")).to_be_visible()
    expect(reader).to_have_title("Open house · Tenure")
    no_commands(reader)


def test_a_reader_sees_what_is_said_at_once(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    reader = open_page(path_of(share(api, session)), key=None)
    expect(reader.get_by_text("Live", exact=True)).to_be_visible()

    said(api, session, "ASK May I?")

    expect(reader.get_by_text("May I?").first).to_be_visible()
    no_commands(reader)


@pytest.mark.sources("P12")
def test_revoking_ends_what_is_being_read(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SAY secret", title="Held back")
    page = open_page(f"/sessions/{session}")
    reader = open_page(path_of(share(api, session)), key=None)
    expect(reader.get_by_text("secret", exact=True)).to_be_visible()

    page.get_by_role("button", name="Share", exact=True).click()
    page.get_by_role("button", name="Revoke").click()

    expect(reader.get_by_role("heading", name=OVER)).to_be_visible()
    expect(reader.get_by_text("secret", exact=True)).to_have_count(0)
    expect(page.get_by_role("dialog")).to_contain_text("Revoked")


def test_a_link_that_never_worked_says_so(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("404 .*/share/nothing-of-the-kind")
    page = open_page("/share/nothing-of-the-kind", key=None)

    expect(page.get_by_role("heading", name=OVER)).to_be_visible()


@pytest.mark.parametrize("form", ["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_shared_page_is_accessible_and_fits(
    open_page: OpenPage, api: httpx.Client, axe: Axe, form: str, scheme: str
) -> None:
    session = a_session(api, "SAY " + "x" * 300, title="y" * 200)
    until_status(api, session, "idle")
    page = open_page(path_of(share(api, session)), key=None, form=form, scheme=scheme)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()

    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
