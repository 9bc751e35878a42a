"""The inbox of approvals: what waits for a person over all sessions, decided by mouse or by keys alone."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.browsing import Server, client_of
from tests.console.conftest import Axe, OpenPage
from tests.console.talk import BOUND_S, a_session, transcript, until_status


def asking(api: httpx.Client, text: str, title: str = "Books") -> str:
    """A session that asks, once it does."""
    session = a_session(api, f"ASK {text}", title=title)
    until_status(api, session, "waiting")
    return session


def card(page: Page, text: str) -> Locator:
    """The question with these words."""
    return page.get_by_role("article").filter(has_text=text)


def gateway_of(api: httpx.Client, session: str) -> dict[str, str]:
    """The address and the token of the live run's gateway, as `TOKEN` says them."""
    end = time.monotonic() + BOUND_S
    while time.monotonic() < end:
        events = api.get(f"/v1/sessions/{session}/events").json()["data"]
        for event in events:
            if event["type"] == "message.delta" and event["data"]["text"].startswith("{"):
                return dict(json.loads(event["data"]["text"]))
    raise AssertionError("The run said no token.")


def confirm(gate: dict[str, str], text: str) -> str:
    """Have the live run call `confirm`. Returns what comes of it, once it was decided."""
    call = {"name": "confirm", "arguments": {"text": text}}
    body = {"jsonrpc": "2.0", "id": text, "method": "tools/call", "params": call}
    headers = {"Authorization": f"Bearer {gate['token']}", "Accept": "application/json, text/event-stream"}
    with httpx.Client(timeout=BOUND_S, trust_env=False) as client:
        return client.post(gate["url"], json=body, headers=headers).text


def answer_of(api: httpx.Client, session: str) -> str:
    """What the agent says, once it has its answer."""
    until_status(api, session, "idle")
    return transcript(api, session)[-1][1]


def test_an_empty_inbox_starts_an_agent_that_asks(open_page: OpenPage) -> None:
    page = open_page("/approvals")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()

    page.get_by_role("button", name="Have the concierge ask something").click()

    expect(card(page, "book_table")).to_contain_text("Old Mill")
    expect(page).to_have_title("(1) Approvals · Tenure")


@pytest.mark.sources("P7")
def test_what_is_approved_is_done(open_page: OpenPage, api: httpx.Client) -> None:
    session = asking(api, "Close the books?")
    page = open_page("/approvals")

    card(page, "Close the books?").get_by_role("button", name="Approve", exact=True).click()

    expect(card(page, "Books")).to_contain_text("Approved")
    assert answer_of(api, session) == "approved: Close the books?"


@pytest.mark.sources("P7")
def test_what_is_edited_is_what_is_done(open_page: OpenPage, api: httpx.Client) -> None:
    session = asking(api, "Pay 900?")
    page = open_page("/approvals")

    card(page, "Pay 900?").get_by_role("button", name="Edit").click()
    card(page, "Books").get_by_label("text").fill("Pay 90?")
    card(page, "Books").get_by_role("button", name="Approve", exact=True).click()

    expect(card(page, "Books")).to_contain_text("Approved")
    assert answer_of(api, session) == "approved: Pay 90?"


def test_the_oldest_comes_first_and_keys_decide(open_page: OpenPage, api: httpx.Client) -> None:
    first, second = asking(api, "one?", "First"), asking(api, "two?", "Second")
    page = open_page("/approvals")
    expect(page.get_by_role("article")).to_have_count(2)
    assert "one?" in page.get_by_role("article").first.inner_text()

    page.keyboard.press("j")
    page.keyboard.press("d")
    expect(card(page, "First")).to_contain_text("Denied")
    expect(card(page, "Second")).to_be_focused()
    page.keyboard.press("a")
    expect(card(page, "Second")).to_contain_text("Approved")

    assert (answer_of(api, first), answer_of(api, second)) == ("denied", "approved: two?")


def test_enter_opens_the_session_at_the_question(open_page: OpenPage, api: httpx.Client) -> None:
    session = asking(api, "Here?")
    events = api.get(f"/v1/sessions/{session}/events").json()["data"]
    seq = next(event["seq"] for event in events if event["type"] == "approval.requested")
    page = open_page("/approvals")
    expect(card(page, "Here?")).to_be_visible()

    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(f"/sessions/{session}#{seq}$"))
    expect(page.get_by_role("button", name="Approve", exact=True)).to_be_visible()


def test_all_calls_of_one_tool_in_one_session_are_approved_together(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "TOKEN\nSLOW 900 100", title="Two at once")
    gate = gateway_of(api, session)
    page = open_page("/approvals")
    with ThreadPoolExecutor(2) as calls:
        answers = [calls.submit(confirm, gate, text) for text in ("one?", "two?")]
        expect(page.get_by_role("article")).to_have_count(2)

        page.get_by_role("button", name="Approve all 2 of confirm").click()

        expect(page.get_by_text("2 calls of confirm approved.")).to_be_visible()
        told = "".join(answer.result(BOUND_S) for answer in answers)
    assert "one?" in told
    assert "two?" in told
    expect(page.get_by_role("article").filter(has_text="Approved")).to_have_count(2)
    api.post(f"/v1/sessions/{session}/interrupt", json={})


def test_somebody_else_was_quicker(open_page: OpenPage, api: httpx.Client) -> None:
    asking(api, "Race?")
    page = open_page("/approvals")
    expect(card(page, "Race?")).to_be_visible()
    pending = api.get("/v1/approvals", params={"status": "pending"}).json()["data"][0]["id"]

    api.post(f"/v1/approvals/{pending}", json={"decision": "deny", "note": "not today"})

    expect(card(page, "Books")).to_contain_text("Denied by you")
    expect(card(page, "Books")).to_contain_text("not today")
    expect(page.get_by_role("row").filter(has_text="not today")).to_be_visible()


def test_what_appears_while_one_looks_comes_at_the_end(open_page: OpenPage, api: httpx.Client) -> None:
    asking(api, "early?")
    page = open_page("/approvals")
    expect(card(page, "early?")).to_be_visible()

    asking(api, "late?")

    expect(page.get_by_role("article").last).to_contain_text("late?")


def test_decided_ones_are_listed_and_filtered(open_page: OpenPage, api: httpx.Client) -> None:
    for text, decision in (("yes?", "approve"), ("no?", "deny")):
        session = asking(api, text)
        pending = api.get("/v1/approvals", params={"session_id": session}).json()["data"][0]["id"]
        api.post(f"/v1/approvals/{pending}", json={"decision": decision})
    page = open_page("/approvals")
    rows = page.get_by_role("row").filter(has=page.get_by_role("cell"))
    expect(rows).to_have_count(2)

    page.get_by_label("Outcome").select_option("denied")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("no?")
    page.reload()

    expect(rows).to_have_count(1)
    assert "decided=denied" in page.url


def test_what_was_allowed_for_a_session_can_be_asked_again(open_page: OpenPage, api: httpx.Client) -> None:
    session = asking(api, "always?")
    page = open_page("/approvals")
    card(page, "always?").get_by_label("Always allow").check()
    card(page, "always?").get_by_role("button", name="Approve", exact=True).click()
    until_status(api, session, "idle")

    page.get_by_role("button", name="ask again").click()

    expect(page.get_by_text("asks again")).to_be_visible()
    api.post(f"/v1/sessions/{session}/messages", json={"content": "ASK once more?"})
    until_status(api, session, "waiting")


def test_a_viewer_reads_and_decides_nothing(
    open_page: OpenPage, api: httpx.Client, root: httpx.Client, server: Server
) -> None:
    tenant = api.get("/v1/whoami").json()["tenant"]

    def key(role: str) -> str:
        return str(root.post("/v1/keys", json={"role": role, "user": "vi", "tenant": tenant}).json()["key"])

    with client_of(server, key("member")) as member:
        asking(member, "Mine?")
    page = open_page("/approvals", key=key("viewer"))

    expect(card(page, "Mine?")).to_contain_text("Somebody who may write in this session decides.")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)


@pytest.mark.parametrize("form", ["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_inbox_is_accessible_and_fits(
    open_page: OpenPage, api: httpx.Client, axe: Axe, form: str, scheme: str
) -> None:
    asking(api, "x" * 300, title="y" * 200)
    asking(api, "يدفع؟", title="عشاء")
    page = open_page("/approvals", form=form, scheme=scheme)
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("article").first.get_by_role("button", name="Edit").click()

    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
