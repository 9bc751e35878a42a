"""What a person wrote isn't lost, and isn't left over, when the session moves on under their hands."""

import httpx
from playwright.sync_api import expect

from tests.console.conftest import OpenPage
from tests.console.talk import a_session, said, until_status


def test_an_edit_of_a_message_that_a_run_took_is_in_the_message_field(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SLOW 600 50", "SAY first")
    page = open_page(f"/sessions/{session}")
    row = page.get_by_role("list").locator("li", has_text="SAY first")
    row.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit the waiting message").fill("SAY first, in better words")
    api.post(f"/v1/sessions/{session}/interrupt", json={"waiting": "run", "force": True})
    expect(page.get_by_label("Message", exact=True)).to_have_value("SAY first, in better words")
    expect(page.get_by_text("taken while you edited it")).to_be_visible()


def test_escape_in_the_note_of_a_question_stops_nothing(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "ASK Which one?")
    until_status(api, session, "waiting")
    page = open_page(f"/sessions/{session}")
    page.get_by_label("Note to the agent").fill("The left one")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    page.get_by_role("button", name="Approve").click()
    until_status(api, session, "idle")
    events = api.get(f"/v1/sessions/{session}/events", params={"limit": 1000}).json()["data"]
    assert "run.interrupting" not in [event["type"] for event in events]


def test_a_summary_that_waited_leaves_the_queue_when_it_begins(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SAY hello")
    until_status(api, session, "idle")
    said(api, session, "SLOW 600 50")
    assert api.post(f"/v1/sessions/{session}/compact", json={}).status_code == 202
    page = open_page(f"/sessions/{session}")
    expect(page.get_by_text("Compact the conversation")).to_be_visible()
    api.post(f"/v1/sessions/{session}/interrupt", json={"waiting": "run", "force": True})
    until_status(api, session, "idle")
    expect(page.get_by_label("Waiting messages")).to_have_count(0)


def test_an_edit_that_somebody_overtook_is_told_so_and_can_be_saved_again(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SLOW 600 50", "SAY first")
    waiting = api.get(f"/v1/sessions/{session}/messages").json()["waiting"][0]["message_id"]
    page = open_page(f"/sessions/{session}")
    row = page.get_by_role("list").locator("li", has_text="SAY first")
    row.get_by_role("button", name="Edit").click()
    field = page.get_by_label("Edit the waiting message")
    field.fill("SAY mine")
    path = f"/v1/sessions/{session}/messages/{waiting}"
    assert api.patch(path, json={"content": "SAY theirs"}).status_code == 200

    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("It was edited meanwhile, and reads now: “SAY theirs”.")).to_be_visible()
    expect(field).to_have_value("SAY mine")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("list").locator("li", has_text="SAY mine")).to_be_visible()
    assert api.get(path).json()["content"] == "SAY mine"


def test_the_next_person_at_a_browser_finds_no_draft_of_the_one_before(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api)
    bo = api.post("/v1/keys", json={"user": "bo", "role": "operator"}).json()["key"]
    page = open_page(f"/sessions/{session}")
    field = page.get_by_label("Message", exact=True)
    field.fill("Half a thought of Ana’s")
    page.reload()
    expect(field).to_have_value("Half a thought of Ana’s")

    assert page.context.request.post("/v1/sign-in", data={"key": bo}).ok
    page.reload()

    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(field).to_have_value("")
