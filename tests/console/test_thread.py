"""The thread: what was said and done, how it is read, and what can be done with each line of it."""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.console.conftest import Axe, OpenPage
from tests.console.talk import a_session, said, transcript, until_status

MIXED = "pay 100 to p\u0430ypal\u200b\u202ereven"
"""Holds a Cyrillic letter, a zero-width space and an override of the direction."""


def lines(page: Page) -> Locator:
    """What stands in the thread."""
    return page.locator("[data-row]")


def thread(page: Page) -> Locator:
    """What is scrolled."""
    return page.get_by_role("region", name="Thread")


def act(page: Page, line: Locator, deed: str) -> None:
    """Something that can be done with a line that is pointed at."""
    line.hover()
    line.get_by_role("button", name=deed).click()


def question(page: Page) -> Locator:
    """What waits for a person."""
    return page.get_by_role("region", name="Question")


def said_by_agent(page: Page, text: str | re.Pattern[str]) -> Locator:
    """A line of the agent's."""
    return page.locator(".message.assistant").filter(has_text=text)


def test_code_is_copied_by_its_button(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "```python\nx = 1\n```")
    page = open_page(f"/sessions/{session}", permissions=["clipboard-read", "clipboard-write"])

    page.get_by_role("button", name="Copy this python").click()

    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == "x = 1\n"


def test_an_agents_picture_is_a_link_and_its_headings_stand_below_the_screens(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SAY # Big ![pixel](https://example.com/p.png)")
    page = open_page(f"/sessions/{session}")

    expect(page.get_by_role("heading", level=3, name="Big")).to_be_visible()
    expect(said_by_agent(page, "pixel").get_by_role("link")).to_have_attribute(
        "href", "https://example.com/p.png"
    )
    expect(page.get_by_role("heading", level=1)).to_have_count(1)


def test_what_does_not_show_in_a_question_is_written_out(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, f"ASK {MIXED}")
    page = open_page(f"/sessions/{session}")

    asked = question(page)
    expect(asked.locator("mark")).to_have_text(["U+200B zero-width space", "U+202E right-to-left override"])
    expect(asked.get_by_text("mixes Latin and Cyrillic letters")).to_be_visible()


def test_a_question_is_edited_and_approved_by_keys(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "ASK once")
    page = open_page(f"/sessions/{session}")
    expect(question(page).get_by_role("button", name="Approve", exact=True)).to_be_visible()

    page.keyboard.press("e")
    page.get_by_role("textbox", name="text").fill("twice")
    expect(page.get_by_role("group", name="What was changed")).to_contain_text('"text": "twice"')
    page.get_by_label("Note to the agent").fill("so be it")
    page.get_by_role("button", name="Approve", exact=True).click()

    expect(said_by_agent(page, "approved: twice")).to_be_visible()
    expect(question(page)).to_contain_text("Approved by you")
    expect(question(page)).to_contain_text("so be it")


@pytest.mark.parametrize(("key", "answer"), [("a", "approved: once"), ("d", "denied")])
def test_a_key_decides(open_page: OpenPage, api: httpx.Client, key: str, answer: str) -> None:
    session = a_session(api, "ASK once")
    page = open_page(f"/sessions/{session}")
    expect(question(page).get_by_role("button", name="Deny", exact=True)).to_be_visible()

    page.keyboard.press(key)

    expect(said_by_agent(page, answer)).to_be_visible()


def test_arguments_that_are_no_json_are_not_sent(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "ASK once")
    page = open_page(f"/sessions/{session}")

    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("button", name="As JSON").click()
    page.get_by_label("Arguments as JSON").fill('{"text": ')
    page.get_by_role("button", name="Approve", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("can’t be read")
    assert api.get("/v1/approvals", params={"status": "pending"}).json()["data"][0]["session_id"] == session


def test_what_somebody_else_decided_first_is_said(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "ASK once")
    page = open_page(f"/sessions/{session}")
    deny = question(page).get_by_role("button", name="Deny", exact=True)
    expect(deny).to_be_visible()
    page.route("**/v1/sessions/*/events?after=*", lambda route: route.abort())
    asked = api.get("/v1/approvals", params={"status": "pending"}).json()["data"][0]["id"]
    page.route(f"**/v1/approvals/{asked}", lambda route: _after_another(route, api, asked))

    deny.click()

    expect(page.get_by_role("alert").or_(question(page).get_by_text("Approved by you"))).to_be_visible()


def _after_another(route: Route, api: httpx.Client, asked: str) -> None:
    api.post(f"/v1/approvals/{asked}", json={"decision": "approve"})
    route.continue_()


def test_steering_stands_where_it_took_effect(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SLOW 200 50")
    page = open_page(f"/sessions/{session}")
    expect(said_by_agent(page, "w0")).to_be_visible()

    said(api, session, "look here", "steer")

    expect(page.locator(".message.user").filter(has_text="look here")).to_contain_text("Steered by you")


def test_a_recall_says_where_it_comes_from(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "RECALL 1 SAY again")
    page = open_page(f"/sessions/{session}")

    recalled = page.locator(".message.user").filter(has_text="From the schedule")
    expect(recalled.get_by_role("link", name="the schedule")).to_have_attribute(
        "href", re.compile(r"^/schedules/sch_")
    )


def test_reasoning_calls_and_state_are_folded_and_open(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(
        api, "REASON deep thought\nSET conversation plan 1\nSET conversation step 2\nASK once"
    )
    page = open_page(f"/sessions/{session}")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(said_by_agent(page, "approved")).to_be_visible()

    page.get_by_text("Thought for").first.click()
    expect(page.get_by_text("deep thought", exact=True)).to_be_visible()
    page.get_by_text("State: set 2 keys").first.click()
    expect(page.get_by_text("conversation plan = 1")).to_be_visible()
    page.get_by_role("button", name=re.compile("confirm text: once .*Done")).click()
    page.get_by_role("button", name="Raw").click()
    expect(page.get_by_role("group", name="JSON").last).to_contain_text('"text": "once"')


def test_a_failed_run_says_why_and_is_tried_again(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "FAIL the lamp broke")
    page = open_page(f"/sessions/{session}")
    expect(lines(page).filter(has_text=re.compile(r"Failed at \d\d:\d\d: the lamp broke"))).to_be_visible()

    page.get_by_role("button", name="Retry").click()

    expect(lines(page).filter(has_text="Tried again with the same message")).to_be_visible()
    expect(lines(page).filter(has_text="the lamp broke")).to_have_count(3)


def test_a_stopped_run_says_who_stopped_it(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SLOW 200 50")
    page = open_page(f"/sessions/{session}")
    expect(said_by_agent(page, "w1")).to_be_visible()

    api.post(f"/v1/sessions/{session}/interrupt", json={})

    expect(lines(page).filter(has_text=re.compile(r"Stopped by you at \d\d:\d\d"))).to_be_visible()
    expect(page.get_by_text("Cut off here.")).to_be_visible()


def test_undo_to_a_message_tells_what_stays_and_redo_puts_it_back(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SAY one", "SET conversation plan 1\nSAY two", "SAY three")
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")

    act(page, lines(page).filter(has_text="SAY two"), "Undo to here")
    dialog = page.get_by_role("dialog", name="Undo to here")
    expect(dialog).to_contain_text("2 turns go")
    expect(dialog).to_contain_text("state conversation/plan")
    dialog.get_by_role("button", name="Undo", exact=True).click()

    expect(page.get_by_text("2 undone turns")).to_be_visible()
    assert [text for _, text in transcript(api, session)] == ["SAY one", "one"]
    lines(page).last.get_by_role("button", name="Redo").click()
    expect(said_by_agent(page, "three")).to_be_visible()


def test_a_fork_from_a_message_has_what_was_said_up_to_it(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SAY one", "SAY two")
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")

    act(page, lines(page).filter(has=page.locator(".assistant")).filter(has_text="one"), "Fork")

    expect(page).not_to_have_url(re.compile(session))
    expect(lines(page).filter(has_text="Forked from")).to_be_visible()
    child = page.url.rpartition("/")[2]
    assert transcript(api, child) == [("user", "SAY one"), ("assistant", "one")]


def test_keys_move_along_the_thread_and_reach_what_a_line_can_do(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SAY one", "SAY two")
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}", permissions=["clipboard-read", "clipboard-write"])
    expect(said_by_agent(page, "two")).to_be_visible()

    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(lines(page).filter(has_text="SAY two")).to_be_focused()
    page.keyboard.press("y")
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == "SAY two"
    page.keyboard.press("Enter")
    expect(page.get_by_role("toolbar").get_by_role("button", name="Copy")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("toolbar").get_by_role("button", name=re.compile("#"))).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(lines(page).filter(has=page.locator(".assistant")).filter(has_text="two")).to_be_focused()


def test_a_link_to_an_event_shows_it_however_far_back_it_lies(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, *(f"SAY word{n}" for n in range(60)))
    until_status(api, session, "idle")
    events = api.get(f"/v1/sessions/{session}/events", params={"limit": 40}).json()["data"]
    seq = next(event["seq"] for event in events if event["data"].get("text") == "word2")

    page = open_page(f"/sessions/{session}#{seq}")

    marked = page.locator("li.marked")
    expect(marked).to_contain_text("word2")
    expect(marked).to_be_in_viewport()


def test_it_opens_at_the_end_and_reads_back_without_moving_what_is_read(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, *(f"SAY word{n}\nBURST 30 20" for n in range(80)))
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")
    expect(said_by_agent(page, "word79")).to_be_in_viewport()
    expect(page.get_by_text("There is more above.")).to_be_attached()

    read = page.evaluate_handle(
        "() => [...document.querySelectorAll('[data-row]')]"
        ".findLast((line) => line.textContent.includes('word78'))"
    )
    top = "(line) => Math.round(line.getBoundingClientRect().top - line.closest('.scroller').scrollTop)"
    before = page.evaluate(f"(line) => ({top})(line) + line.closest('.scroller').scrollTop * 2", read)
    for _ in range(60):
        thread(page).evaluate("(node) => node.scrollBy(0, -4000)")
        if page.get_by_text("opened this session with").is_visible():
            break
        page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.get_by_text("opened this session with")).to_be_in_viewport()
    thread(page).evaluate("(node) => node.scrollTo(0, 0)")
    after = page.evaluate(f"(line) => ({top})(line) + line.closest('.scroller').scrollTop * 2", read)
    assert abs(after - before) <= 1


def test_it_follows_only_whoever_is_at_the_end(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, *("SAY " + "word " * 300 for _ in range(3)))
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")
    expect(lines(page).last).to_be_in_viewport()
    thread(page).evaluate("(node) => { node.scrollTop = -900 }")
    pill = page.get_by_role("button", name="To the end")
    expect(pill).to_be_visible()

    said(api, session, "SAY something new")

    more = page.get_by_role("button", name="new", exact=False).filter(has_text=re.compile(r"\d+ new"))
    expect(more).to_be_visible()
    assert thread(page).evaluate("(node) => node.scrollTop") < -900
    more.click()
    expect(said_by_agent(page, "something new")).to_be_in_viewport()
    said(api, session, "SAY " + "and more " * 200)
    expect(said_by_agent(page, "and more")).to_be_in_viewport()
    expect(more).to_have_count(0)


CONTENT = (
    "REASON hm\nSAY **bold** `code` [link](https://example.com)\nSET conversation plan 1",
    "```python\nx = '" + "long " * 60 + "'\n```\n\n| a | b |\n|---|---|\n| " + "wide " * 40 + "| 2 |",
    "SAY مرحبا بالعالم، هذا نص من اليمين إلى اليسار",
    "FAIL the lamp broke",
    f"ASK {MIXED}" + "x" * 200,
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("form", ["wide", "phone"])
def test_it_is_accessible_and_fits(
    open_page: OpenPage, api: httpx.Client, axe: Axe, form: str, scheme: str
) -> None:
    session = a_session(api, *CONTENT, title="A title that is long " * 8)
    page = open_page(f"/sessions/{session}", form=form, scheme=scheme)
    expect(question(page).get_by_role("button", name="Approve", exact=True)).to_be_visible()

    axe(page)
    assert page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth")
    assert thread(page).evaluate("(node) => node.scrollWidth <= node.clientWidth")


def test_a_viewer_reads_and_is_offered_nothing(
    open_page: OpenPage, root: httpx.Client, api: httpx.Client
) -> None:
    session = a_session(api, "SAY one", "ASK once")
    me = api.get("/v1/whoami").json()
    key = root.post("/v1/keys", json={"role": "viewer", "user": me["user"], "tenant": me["tenant"]}).json()[
        "key"
    ]
    page = open_page(f"/sessions/{session}", key=key)

    expect(question(page)).to_contain_text("Somebody who may write in this session decides.")
    lines(page).filter(has_text="SAY one").hover()
    expect(page.get_by_role("toolbar").get_by_role("button")).to_have_count(2)
