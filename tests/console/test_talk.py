"""Talking in the console: send, steer, queue, stop, files, and what can be done with a whole session."""

import json
import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.console.browsing import Server, client_of
from tests.console.conftest import Axe, OpenPage, Watch
from tests.console.talk import a_session, said, transcript, until_status, waiting

WAIT = "Wait 7 s, then try again."


def field(page: Page) -> Locator:
    """Where one speaks."""
    return page.get_by_role("textbox", name="Message", exact=True)


def button(page: Page, name: str) -> Locator:
    """The button with exactly this name."""
    return page.get_by_role("button", name=name, exact=True)


def queued(page: Page, text: str) -> Locator:
    """A waiting message."""
    return page.get_by_role("region", name="Waiting messages").get_by_role("listitem").filter(has_text=text)


def choose(page: Page, deed: str) -> None:
    """A deed of the session's menu."""
    button(page, "More").click()
    page.get_by_role("menuitem", name=deed, exact=True).click()


def test_enter_sends_and_the_answer_appears(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    page = open_page(f"/sessions/{session}")

    field(page).fill("SAY good morning")
    field(page).press("Enter")

    expect(page.get_by_text("good morning", exact=True)).to_be_visible()
    expect(field(page)).to_have_value("")
    assert transcript(api, session) == [("user", "SAY good morning"), ("assistant", "good morning")]
    assert page.url.endswith(f"/sessions/{session}")


def test_shift_enter_makes_a_new_line(open_page: OpenPage, api: httpx.Client) -> None:
    page = open_page(f"/sessions/{a_session(api)}")

    field(page).fill("SAY one")
    field(page).press("Shift+Enter")
    field(page).press_sequentially("SAY two")

    expect(field(page)).to_have_value("SAY one\nSAY two")


def test_enter_that_ends_a_word_of_an_input_method_sends_nothing(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api)
    page = open_page(f"/sessions/{session}")
    field(page).fill("SAY にほん")

    field(page).evaluate(
        "(node) => node.dispatchEvent(new KeyboardEvent('keydown', "
        "{ key: 'Enter', isComposing: true, bubbles: true, cancelable: true }))"
    )

    expect(field(page)).to_have_value("SAY にほん")
    assert transcript(api, session) == []


def test_a_draft_survives_a_reload_and_belongs_to_its_session(open_page: OpenPage, api: httpx.Client) -> None:
    one, other = a_session(api), a_session(api)
    page = open_page(f"/sessions/{one}")
    field(page).fill("not yet")
    page.reload()
    expect(field(page)).to_have_value("not yet")

    page.goto(f"/sessions/{other}")

    expect(field(page)).to_have_value("")


@pytest.mark.sources("P6")
def test_during_a_run_the_button_is_steer_and_the_run_reads_it(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SLOW 600 100")
    page = open_page(f"/sessions/{session}")
    expect(button(page, "Steer")).to_be_visible()

    field(page).fill("add salt")
    field(page).press("Enter")

    expect(page.get_by_text("steered: add salt")).to_be_visible()
    button(page, "Stop").click()
    expect(button(page, "Send")).to_be_visible()


def test_an_agent_that_takes_no_steering_says_so(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "Tell me", agent="longhaul")
    page = open_page(f"/sessions/{session}")

    field(page).fill("And then?")
    expect(page.get_by_text("longhaul doesn’t read messages while it works")).to_be_visible()
    button(page, "Steer").click()

    expect(queued(page, "And then?")).to_contain_text("Runs next")
    button(page, "Stop").click()


def test_waiting_messages_are_edited_moved_and_withdrawn(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SLOW 900 100", "SAY first", "SAY second", "SAY third")
    page = open_page(f"/sessions/{session}")

    queued(page, "SAY third").get_by_role("button", name="To the front").click()
    expect(page.get_by_role("region", name="Waiting messages").get_by_role("listitem").first).to_contain_text(
        "third"
    )
    queued(page, "SAY first").get_by_role("button", name="Edit").click()
    page.get_by_label("Edit the waiting message").fill("SAY better")
    page.keyboard.press("Enter")
    expect(queued(page, "SAY better")).to_be_visible()
    queued(page, "SAY second").get_by_role("button", name="Withdraw").click()
    expect(queued(page, "SAY second")).to_have_count(0)

    assert waiting(api, session) == ["SAY third", "SAY better"]
    queued(page, "SAY better").get_by_role("button", name="Read now").click()
    expect(page.get_by_text("steered: SAY better")).to_be_visible()


def test_an_edit_that_came_too_late_overwrites_nothing(
    open_page: OpenPage, api: httpx.Client, watch: Watch
) -> None:
    session = a_session(api, "SLOW 900 100", "SAY first")
    page = open_page(f"/sessions/{session}")
    queued(page, "SAY first").get_by_role("button", name="Edit").click()
    message = api.get(f"/v1/sessions/{session}/messages").json()["waiting"][0]["message_id"]
    api.patch(f"/v1/sessions/{session}/messages/{message}", json={"content": "SAY mine"})

    page.get_by_label("Edit the waiting message").fill("SAY yours")
    button(page, "Save").click()

    expect(page.get_by_text("It was edited meanwhile, and reads now: “SAY mine”.")).to_be_visible()
    expect(page.get_by_label("Edit the waiting message")).to_have_value("SAY yours")
    assert waiting(api, session) == ["SAY mine"]


@pytest.mark.sources("P9")
def test_stop_holds_what_waits_until_somebody_goes_on(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SLOW 900 100", "SAY later")
    page = open_page(f"/sessions/{session}")
    expect(page.get_by_text("w1")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.get_by_text("Held since you stopped the run.")).to_be_visible()
    expect(button(page, "Send")).to_be_visible()
    button(page, "Continue").click()
    expect(page.get_by_text("later", exact=True)).to_be_visible()
    assert waiting(api, session) == []


@pytest.mark.sources("P9")
def test_a_run_that_does_not_stop_is_stopped_by_force(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "HANG")
    page = open_page(f"/sessions/{session}")

    button(page, "Stop").click()
    expect(page.get_by_text("Stopping…")).to_be_visible()
    button(page, "Stop by force").click()

    expect(page.get_by_text("Stopping by force…")).to_be_visible()
    expect(button(page, "Stop by force")).to_be_disabled()
    events = api.get(f"/v1/sessions/{session}/events").json()["data"]
    stops = [event["data"]["force"] for event in events if event["type"] == "run.interrupting"]
    assert stops == [False, True]


def test_stop_and_send_is_a_choice_for_the_run_that_is_live(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SLOW 900 100")
    page = open_page(f"/sessions/{session}")
    page.get_by_label("When it is read").select_option("interrupt")
    field(page).fill("SLOW 901 100")
    field(page).press("Enter")

    expect(page.get_by_text("SLOW 901 100", exact=True)).to_be_visible()
    expect(button(page, "Steer")).to_be_visible()
    expect(page.get_by_label("When it is read")).to_have_value("steer")
    button(page, "Stop").click()


def test_files_go_along_with_a_message(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    page = open_page(f"/sessions/{session}")
    with page.expect_file_chooser() as chooser:
        button(page, "Attach").click()
    chooser.value.set_files([{"name": "menu.txt", "mimeType": "text/plain", "buffer": b"soup"}])
    draft = page.get_by_role("form", name="Speak")
    expect(draft.get_by_text("4 B")).to_be_visible()
    page.reload()
    expect(draft.get_by_text("menu.txt")).to_be_visible()

    field(page).fill("SAY read it")
    field(page).press("Enter")
    expect(page.get_by_text("read it", exact=True)).to_be_visible()

    content = api.get(f"/v1/sessions/{session}/messages").json()["data"][0]["content"]
    files = api.get(f"/v1/sessions/{session}/files").json()["data"]
    assert content == [{"type": "text", "text": "SAY read it"}, {"type": "file", "file_id": files[0]["id"]}]
    assert [file["name"] for file in files] == ["menu.txt"]


def test_a_text_that_is_too_long_goes_as_a_file(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    page = open_page(f"/sessions/{session}")
    field(page).evaluate(
        "(node) => { const data = new DataTransfer(); data.setData('text/plain', 'x'.repeat(1100000)); "
        "node.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, cancelable: true })); }"
    )

    draft = page.get_by_role("form", name="Speak")
    expect(draft.get_by_text("message.txt")).to_be_visible()
    expect(draft.get_by_text("1.0 MB")).to_be_visible()
    expect(field(page)).to_have_value("")
    expect(button(page, "Send")).to_be_enabled()


def test_a_message_whose_answer_was_lost_is_said_once(
    open_page: OpenPage, api: httpx.Client, watch: Watch
) -> None:
    watch.allow("Failed to load resource: net::ERR_FAILED|ERR_CONNECTION")
    session = a_session(api)
    page = open_page(f"/sessions/{session}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    lost: list[str] = []

    def lose(route: Route) -> None:
        if len(lost) == 2:
            route.continue_()
            return
        lost.append(route.fetch().text())
        route.abort()

    page.route(re.compile(r"/messages$"), lose)
    field(page).fill("SAY once")
    field(page).press("Enter")

    expect(page.get_by_text("once", exact=True)).to_be_visible()
    expect(page.get_by_text("Not sent yet")).to_have_count(0)
    assert transcript(api, session) == [("user", "SAY once"), ("assistant", "once")]


def test_what_could_not_be_sent_is_sent_once_the_host_is_back(
    open_page: OpenPage, api: httpx.Client, watch: Watch
) -> None:
    watch.allow("Failed to load resource: net::ERR_FAILED")
    session = a_session(api)
    page = open_page(f"/sessions/{session}")
    page.context.route(re.compile(r"/messages$"), lambda route: route.abort())
    field(page).fill("SAY later")
    field(page).press("Enter")
    expect(page.get_by_text("Not sent yet")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Not sent yet")).to_be_visible()

    page.context.unroute(re.compile(r"/messages$"))

    expect(page.get_by_text("later", exact=True)).to_be_visible()
    expect(page.get_by_text("Not sent yet")).to_have_count(0)
    assert transcript(api, session) == [("user", "SAY later"), ("assistant", "later")]


def test_a_file_may_be_dropped_anywhere(open_page: OpenPage, api: httpx.Client) -> None:
    page = open_page(f"/sessions/{a_session(api)}")
    expect(field(page)).to_be_visible()

    page.get_by_role("region", name="Thread").evaluate(
        "(node) => { const data = new DataTransfer(); data.items.add(new File(['soup'], 'dropped.txt')); "
        "node.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true })); }"
    )

    expect(page.get_by_role("form", name="Speak").get_by_text("dropped.txt")).to_be_visible()


def test_a_refused_message_comes_back_with_the_reason(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    page = open_page(f"/sessions/{session}")
    page.route(
        re.compile(r"/messages$"),
        lambda route: route.fulfill(
            status=429,
            content_type="application/problem+json",
            body=json.dumps({"code": "rate_limited", "title": "Too many", "detail": WAIT}),
        ),
    )

    field(page).fill("SAY patience")
    field(page).press("Enter")

    expect(page.get_by_role("alert")).to_have_text(WAIT)
    expect(field(page)).to_have_value("SAY patience")


def test_two_devices_see_each_other_at_once(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, title="Shared desk")
    ana, tablet = open_page(f"/sessions/{session}"), open_page(f"/sessions/{session}", form="phone")

    field(ana).fill("SLOW 900 100")
    field(ana).press("Enter")
    expect(button(tablet, "Steer")).to_be_visible()
    field(tablet).fill("from the tablet")
    button(tablet, "Steer").click()
    expect(ana.get_by_text("steered: from the tablet")).to_be_visible()
    button(tablet, "Stop").click()

    expect(button(ana, "Send")).to_be_visible()
    expect(button(tablet, "Send")).to_be_visible()


@pytest.mark.sources("P1")
def test_closing_the_tab_leaves_the_run_going(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    page = open_page(f"/sessions/{session}")
    field(page).fill("SLOW 12 100")
    field(page).press("Enter")
    expect(page.get_by_text("w1")).to_be_visible()

    page.close()

    until_status(api, session, "idle")
    assert transcript(api, session)[1] == ("assistant", "".join(f"w{n} " for n in range(12)))


def test_the_title_is_edited_where_it_stands(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, title="Draft")
    page = open_page(f"/sessions/{session}")

    page.get_by_role("heading", level=1).get_by_role("button").click()
    page.get_by_label("Title").fill("عشاء العائلة")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("عشاء العائلة")
    assert api.get(f"/v1/sessions/{session}").json()["title"] == "عشاء العائلة"


def test_undo_takes_the_last_turn_back_and_redo_puts_it_there_again(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "SAY one", "SAY two")
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")

    choose(page, "Undo the last turn")
    expect(page.get_by_text("The last turn was taken back.")).to_be_visible()
    assert transcript(api, session) == [("user", "SAY one"), ("assistant", "one")]
    button(page, "Redo").first.click()

    expect(page.get_by_text("Put back.")).to_be_visible()
    assert len(transcript(api, session)) == 4


def test_undo_says_what_it_cannot_take_back(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, 'SET conversation mood "calm"')
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")

    choose(page, "Undo the last turn")

    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("mood")
    dialog.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("The last turn was taken back.")).to_be_visible()
    assert transcript(api, session) == []


def test_a_fork_opens_as_a_session_of_its_own(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "SAY one")
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")

    choose(page, "Fork")

    expect(page.get_by_text("This is the fork.")).to_be_visible()
    child = page.url.rpartition("/")[2]
    assert child != session
    assert transcript(api, child) == transcript(api, session)


def test_labels_are_edited(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    page = open_page(f"/sessions/{session}")
    choose(page, "Labels")
    page.get_by_label("Name of label 1").fill("team")
    page.get_by_label("Value of label 1").fill("guests")
    button(page, "Save").click()

    expect(page.get_by_text("team: guests").first).to_be_visible()
    assert api.get(f"/v1/sessions/{session}").json()["labels"] == {"team": "guests"}


def test_a_closed_session_says_who_closed_it_and_opens_again(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    page = open_page(f"/sessions/{session}")

    choose(page, "Close")
    expect(page.get_by_text("Closed by you")).to_be_visible()
    expect(field(page)).to_have_count(0)
    button(page, "Reopen").click()

    expect(field(page)).to_be_visible()


def test_a_session_is_deleted_after_one_was_asked(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, title="Old")
    page = open_page(f"/sessions/{session}")

    choose(page, "Delete")
    button(page, "Delete for good").click()

    expect(page).to_have_title("Sessions · Tenure")
    assert api.get(f"/v1/sessions/{session}").status_code == 404


def test_the_journal_is_exported_whole(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, "BURST 1500 10")
    head = until_status(api, session, "idle")["head_seq"]
    page = open_page(f"/sessions/{session}")

    with page.expect_download() as download:
        choose(page, "Export the journal")

    with open(download.value.path(), encoding="utf-8") as file:
        exported = json.load(file)
    assert exported["session"]["id"] == session
    assert [event["seq"] for event in exported["events"]] == list(range(1, head + 1))


def test_the_panel_shows_what_belongs_to_the_session(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api, 'SET conversation mood {"calm": true}')
    until_status(api, session, "idle")
    page = open_page(f"/sessions/{session}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.keyboard.press("i")
    panel = page.get_by_role("complementary")
    expect(panel.get_by_text("Completed")).to_be_visible()

    panel.get_by_role("button", name='{"calm":true}').click()
    page.get_by_label("Value, as JSON").fill('{"calm": false}')
    button(page, "Save").click()

    expect(panel.get_by_text('{"calm":false}')).to_be_visible()
    kept = api.get(f"/v1/sessions/{session}/state/conversation/mood").json()
    assert (kept["value"], kept["version"]) == ({"calm": False}, 2)


def test_a_viewer_sees_no_commands(
    open_page: OpenPage, api: httpx.Client, root: httpx.Client, server: Server
) -> None:
    tenant = api.get("/v1/whoami").json()["tenant"]

    def key(role: str) -> str:
        return str(root.post("/v1/keys", json={"role": role, "user": "vi", "tenant": tenant}).json()["key"])

    with client_of(server, key("member")) as member:
        session = a_session(member, "ASK May I?")
    page = open_page(f"/sessions/{session}", key=key("viewer"))

    expect(page.get_by_text("You may read this session, not speak in it.")).to_be_visible()
    expect(page.get_by_text("May I?").first).to_be_visible()
    for name in ("Send", "Steer", "Stop", "Approve", "Deny", "Share"):
        expect(button(page, name)).to_have_count(0)


@pytest.mark.parametrize("form", ["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_conversation_is_accessible_and_fits(
    open_page: OpenPage, api: httpx.Client, axe: Axe, form: str, scheme: str
) -> None:
    session = a_session(api, "SLOW 900 100", "SAY a waiting one", title="x" * 200)
    said(api, session, "SAY مرحبا")
    page = open_page(f"/sessions/{session}", form=form, scheme=scheme)
    expect(queued(page, "a waiting one")).to_be_visible()
    field(page).fill("y" * 300)
    button(page, "Details").click()
    expect(page.get_by_role("heading", name="State")).to_be_visible()

    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if form == "phone":
        button(page, "Close").click()
        axe(page)
    api.post(f"/v1/sessions/{session}/interrupt", json={"waiting": "withdraw"})


def test_escape_closes_a_dialog_and_leaves_the_run_behind_it_alone(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "ASK shall I")
    until_status(api, session, "waiting")
    page = open_page(f"/sessions/{session}")
    button(page, "Share").click()
    button(page, "Make a link").click()
    expect(page.get_by_label("The link, shown only now")).to_be_visible()
    expect(page.locator("body")).to_be_focused()  # the button was disabled meanwhile, and lost the focus

    page.keyboard.press("a")
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button(page, "Approve")).to_be_visible()
    assert api.get(f"/v1/sessions/{session}").json()["status"] == "waiting"
