"""The run inspector: lanes over time, the journal, the grant, what it cost, replay, and the list of runs."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.console.conftest import Axe, OpenPage
from tests.console.talk import a_session, said, until_status

STORY = "\n".join(
    (
        "REASON Let me think",
        "SAY I look first.",
        'TOOL opening_hours {"place": "Aurora"}',
        "SET conversation place 1",
        "ASK go on?",
        "SLOW 5 20",
        "FAIL no table left",
    )
)


@pytest.fixture
def ended(api: httpx.Client) -> dict[str, Any]:
    """A run that thought, called a tool, was allowed to go on, and failed."""
    session = a_session(api, "SAY before", STORY, title="A rich one")
    until_status(api, session, "waiting")
    question = api.get("/v1/approvals", params={"status": "pending"}).json()["data"][0]
    assert api.post(f"/v1/approvals/{question['id']}", json={"decision": "approve"}).is_success
    until_status(api, session, "idle")
    runs = api.get(f"/v1/sessions/{session}/runs").json()["data"]
    return next(run for run in runs if run["status"] == "failed")


def sides(page: Page) -> Locator:
    """The ways between the sides of the run."""
    return page.get_by_role("navigation", name="Sides of the run")


def events(page: Page) -> Locator:
    """The rows of the journal."""
    return page.get_by_role("region", name="Events").locator("tbody tr")


def journal(api: httpx.Client, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of its session."""
    return api.get(f"/v1/sessions/{run['session_id']}/events").json()["data"]


def number(api: httpx.Client, run: dict[str, Any], kind: str) -> int:
    """Which number the first event of a kind has in the run."""
    return next(
        event["seq"] for event in journal(api, run) if event["type"] == kind and event["run_id"] == run["id"]
    )


def test_the_head_says_whose_run_it_is_and_how_it_ended(open_page: OpenPage, ended: dict[str, Any]) -> None:
    page = open_page(f"/runs/{ended['id']}")

    expect(page.get_by_role("heading", level=1)).to_have_text("Run in A rich one")
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    expect(page.get_by_text("no table left").first).to_be_visible()
    expect(page.get_by_text("started by a message of ana")).to_be_visible()


def test_the_timeline_shows_every_stretch_in_its_lane(open_page: OpenPage, ended: dict[str, Any]) -> None:
    page = open_page(f"/runs/{ended['id']}")
    page.get_by_text("The same as a table").click()

    table = page.get_by_role("region", name="Timeline as a table")
    for lane, what in (
        ("Run", "Attempt 1"),
        ("Run", "Waiting for people"),
        ("Thinks", "Let me think"),
        ("Says", "I look first."),
        ("opening_hours", 'opening_hours {"place":"Aurora"}'),
        ("Asks people", "May it call confirm? granted by ana"),
        ("Marks", "State conversation place"),
    ):
        expect(table.get_by_role("row").filter(has_text=lane).filter(has_text=what).first).to_be_visible()


def test_the_timeline_is_walked_zoomed_and_left_by_keys(
    open_page: OpenPage, api: httpx.Client, ended: dict[str, Any]
) -> None:
    page = open_page(f"/runs/{ended['id']}")
    expect(page.get_by_text(re.compile(r"^\d+ to \d+$"))).to_be_visible()
    page.get_by_role("group", name="Lanes of the run").focus()
    expect(page.get_by_role("button", name="All")).to_be_disabled()

    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(re.compile("^Waiting for its turn · "))).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="All")).to_be_enabled()
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="All")).to_be_disabled()

    page.keyboard.press("Enter")
    expect(page).to_have_url(
        re.compile(f"/sessions/{ended['session_id']}#{number(api, ended, 'run.started')}$")
    )


def test_a_live_run_grows_while_one_looks(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    run = said(api, session, "SAY first\nASK go on?\nSAY second")["run_id"]
    until_status(api, session, "waiting")
    page = open_page(f"/runs/{run}?tab=journal")
    expect(page.get_by_role("button", name="approval.requested")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()

    question = api.get("/v1/approvals", params={"status": "pending"}).json()["data"][0]["id"]
    api.post(f"/v1/approvals/{question}", json={"decision": "approve"})

    expect(page.get_by_role("button", name="run.finished")).to_be_visible()
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_a_live_run_is_stopped_from_here(open_page: OpenPage, api: httpx.Client) -> None:
    session = a_session(api)
    run = said(api, session, "SLOW 1000 100")["run_id"]
    page = open_page(f"/runs/{run}")
    page.get_by_role("button", name="Stop").click()

    expect(page.get_by_text("Stopped", exact=True).first).to_be_visible()
    assert until_status(api, session, "idle")["run_id"] is None


def test_the_journal_holds_exactly_the_events_of_the_run(
    open_page: OpenPage, api: httpx.Client, ended: dict[str, Any]
) -> None:
    page = open_page(f"/runs/{ended['id']}?tab=journal")
    expect(page.get_by_role("button", name="run.finished")).to_be_visible()
    page.get_by_role("button", name="Read the pieces too").click()
    expect(page.get_by_text("With every piece")).to_be_visible()

    shown = {int(text.removeprefix("#")) for text in events(page).get_by_role("link").all_inner_texts()}
    owned = {event["seq"] for event in journal(api, ended) if event["run_id"] == ended["id"]}
    admitted = {e["seq"] for e in journal(api, ended) if e["data"].get("message_id") == ended["message_id"]}
    assert shown == owned | admitted


def test_the_journal_is_filtered_by_kind_and_widened_to_the_session(
    open_page: OpenPage, ended: dict[str, Any]
) -> None:
    page = open_page(f"/runs/{ended['id']}?tab=journal")
    page.get_by_label("Kind").select_option("tool")
    expect(events(page)).to_have_count(4)
    expect(page).to_have_url(re.compile("kind=tool"))

    page.get_by_label("Kind").select_option("")
    page.get_by_role("combobox", name="Of", exact=True).select_option("session")
    expect(page).to_have_url(re.compile("of=session"))
    page.reload()
    expect(page.get_by_role("combobox", name="Of", exact=True)).to_have_value("session")


def test_an_event_is_read_as_json_and_its_values_are_copied(
    open_page: OpenPage, api: httpx.Client, ended: dict[str, Any]
) -> None:
    page = open_page(f"/runs/{ended['id']}?tab=journal", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="tool.call.started").first.click()
    lines = page.get_by_role("listbox", name=re.compile("^Event"))
    lines.get_by_role("option").filter(has_text='"place"').click()

    page.get_by_role("button", name="Copy path").click()
    expect(page.get_by_text("The path is copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "data.arguments.place"
    page.get_by_role("button", name="Copy value").click()
    expect(page.get_by_text("The value is copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "Aurora"
    page.reload()
    expect(lines).to_contain_text('"Aurora"')


def test_two_events_are_compared(open_page: OpenPage, ended: dict[str, Any]) -> None:
    page = open_page(f"/runs/{ended['id']}?tab=journal")
    page.get_by_role("button", name="tool.call.started").first.click()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="tool.call.started").nth(1).click()

    table = page.get_by_role("region", name="Differences")
    expect(table.get_by_role("row").filter(has_text="data.tool")).to_contain_text('"opening_hours""confirm"')
    expect(table.get_by_role("row").filter(has_text="data.arguments.text")).to_contain_text('"go on?"')


def test_each_event_leads_to_its_place_in_the_conversation(
    open_page: OpenPage, api: httpx.Client, ended: dict[str, Any]
) -> None:
    seq = number(api, ended, "tool.call.started")
    page = open_page(f"/runs/{ended['id']}?tab=journal")
    page.get_by_role("link", name=f"#{seq}", exact=True).click()

    expect(page).to_have_url(re.compile(f"/sessions/{ended['session_id']}#{seq}$"))
    expect(page.get_by_text("opening_hours").first).to_be_visible()


def test_the_grant_is_told_in_words_with_what_the_runner_got(
    open_page: OpenPage, ended: dict[str, Any]
) -> None:
    page = open_page(f"/runs/{ended['id']}")
    sides(page).get_by_role("link", name="Grant").click()

    expect(page.get_by_text("for ana as admin")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="confirm")).to_contain_text("always")
    expect(page.get_by_text(ended["grant_digest"])).to_be_visible()
    expect(page.locator("blockquote").first).to_have_text(STORY)


def test_usage_says_that_none_was_told(open_page: OpenPage, ended: dict[str, Any]) -> None:
    page = open_page(f"/runs/{ended['id']}?tab=usage")

    expect(page.get_by_text("This run has told of no tokens.")).to_be_visible()


def test_usage_sums_by_model_and_shows_each_call(open_page: OpenPage, ended: dict[str, Any]) -> None:
    spent = iter(
        (
            {"model": "small", "input_tokens": 1200, "output_tokens": 300, "cost": 0.004},
            {"model": "small", "input_tokens": 800, "output_tokens": 200, "cost": 0.002},
            {"model": "large", "input_tokens": 5000, "output_tokens": 900},
        )
    )

    def with_usage(route: Route) -> None:
        """No demo agent pays for a model: some of its events are told as if they were of one that does."""
        answer = route.fetch()
        page = answer.json()
        for event in page["data"]:
            if event["type"] in ("message.delta", "state.updated") and event["run_id"] == ended["id"]:
                event.update(type="usage.recorded", data=next(spent, {"model": "none"}))
        route.fulfill(response=answer, json=page)

    page = open_page(None)
    page.route(re.compile(r"/events[?]"), with_usage)
    page.goto(f"/runs/{ended['id']}?tab=usage")

    sums = page.get_by_role("region", name="Sums by model").get_by_role("row")
    expect(sums.nth(1)).to_have_text(re.compile(r"small\s*2\s*2,000\s*500\s*\$0.0060"))
    expect(sums.nth(2)).to_have_text(re.compile(r"large\s*1\s*5,000\s*900\s*unknown"))
    expect(page.get_by_role("region", name="Model calls").locator("tbody tr")).to_have_count(4)


def test_replay_shows_the_conversation_at_any_moment(
    open_page: OpenPage, api: httpx.Client, ended: dict[str, Any]
) -> None:
    page = open_page(f"/runs/{ended['id']}?tab=replay&at={number(api, ended, 'tool.call.started')}")
    expect(page.get_by_text("I look first.").last).to_be_visible()
    expect(page.get_by_text("approved: go on?")).to_have_count(0)

    slider = page.get_by_role("slider", name="Moments of the run")
    slider.focus()
    slider.press("End")
    expect(page.get_by_text("approved: go on?").first).to_be_visible()
    slider.press("Home")
    expect(page.get_by_text("I look first.", exact=True)).to_have_count(0)

    page.get_by_role("button", name="Next event").click()
    page.get_by_role("button", name="Next event").click()
    expect(page).to_have_url(re.compile(r"at=\d+"))
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_text("approved: go on?").first).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_run_in_a_long_session_is_found_without_reading_all_of_it(
    open_page: OpenPage, api: httpx.Client
) -> None:
    session = a_session(api, "BURST 3000 10", "SAY the middle one", "BURST 3000 10")
    until_status(api, session, "idle")
    run = api.get(f"/v1/sessions/{session}/runs").json()["data"][1]
    page = open_page(f"/runs/{run['id']}?tab=journal")

    expect(page.get_by_role("button", name="run.finished")).to_have_count(1)
    expect(page.get_by_role("row").filter(has_text="message.completed")).to_contain_text("the middle one")


def test_runs_of_all_sessions_are_listed_and_filtered(
    open_page: OpenPage, api: httpx.Client, ended: dict[str, Any]
) -> None:
    page = open_page("/runs")
    rows = page.get_by_role("region", name="Runs").locator("tbody tr")
    expect(rows).to_have_count(2)

    page.get_by_label("State").select_option("failed")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("no table left")
    page.reload()
    expect(rows).to_have_count(1)
    rows.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/runs/{ended['id']}$"))


def test_a_run_that_is_not_there_is_told_in_words(open_page: OpenPage) -> None:
    page = open_page("/runs/run_00000000000000000000000000000000")

    expect(page.get_by_role("alert")).to_contain_text("run_00000000000000000000000000000000")


@pytest.mark.parametrize(("form", "scheme"), [("wide", "light"), ("wide", "dark"), ("phone", "light")])
def test_every_side_is_accessible_and_fits(
    open_page: OpenPage, axe: Axe, api: httpx.Client, ended: dict[str, Any], form: str, scheme: str
) -> None:
    page = open_page(f"/runs/{ended['id']}", form=form, scheme=scheme)
    for name, shown in (
        ("Journal", page.get_by_role("button", name="run.finished")),
        ("Grant", page.get_by_role("heading", name="What it may touch")),
        ("Usage", page.get_by_text("no tokens")),
        ("Replay", page.get_by_role("slider")),
        ("Timeline", page.get_by_role("group", name="Lanes of the run")),
    ):
        sides(page).get_by_role("link", name=name).click()
        expect(shown).to_be_visible()
        axe(page)
        assert page.evaluate(
            "(main) => main.scrollWidth <= main.clientWidth", page.locator("#main").element_handle()
        )
