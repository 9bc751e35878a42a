"""Schedules in the console: made with foresight, listed by what comes next, on a calendar, with history."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Axe, OpenPage

BERLIN: dict[str, Any] = {"timezone_id": "Europe/Berlin"}
SCHEMES: dict[str, tuple[Literal["light", "dark"], ...]] = {"wide": ("light", "dark"), "phone": ("light",)}
NO_SIDEWAYS = "() => document.documentElement.scrollWidth <= innerWidth"


def made(api: httpx.Client, **schedule: object) -> str:
    """A schedule that somebody made by the API; its id."""
    answer = api.post("/v1/schedules", json={"agent": "scripted", "message": "SAY well", **schedule})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def foreseen(page: Page) -> Locator:
    """What the form says it would do."""
    return page.get_by_role("complementary", name="What it does")


def dialled(page: Page, day: str, time: str) -> None:
    """Once, on a day, at a time."""
    page.get_by_label("Day", exact=True).fill(day)
    page.get_by_label("Time", exact=True).fill(time)


def test_with_nothing_scheduled_one_click_makes_a_reminder(page: Page) -> None:
    page.goto("/schedules")
    expect(page.get_by_role("heading", name="Nothing is scheduled")).to_be_visible()

    page.get_by_role("button", name="Remind me in one minute").click()

    row = page.get_by_role("region", name="Next").get_by_role("listitem")
    expect(row.get_by_role("link", name="A first reminder")).to_be_visible()
    expect(row).to_contain_text("Reminder")
    expect(row).to_contain_text(re.compile(r"in \d+s"))


def test_the_form_tells_what_it_would_do_before_it_is_saved(open_page: OpenPage) -> None:
    page = open_page("/schedules/new", **BERLIN)
    page.get_by_label("Message").fill("Report what happened")
    page.get_by_label("Name").fill("Night watch")
    page.get_by_label("Agent").select_option("longhaul")
    page.get_by_text("At times of the day", exact=True).click()
    page.get_by_text("Every day", exact=True).click()

    page.get_by_label("Time", exact=True).fill("02:30")

    expect(page.get_by_label("Cron expression")).to_have_value("30 2 * * *")
    expect(foreseen(page)).to_contain_text("At 02:30 every day (Europe/Berlin)")
    expect(foreseen(page).get_by_role("listitem")).to_have_count(5)
    expect(foreseen(page)).to_contain_text(
        re.compile(r"there is no 02:30 in Europe/Berlin: the clocks go from")
    )
    expect(foreseen(page)).to_contain_text("It fires the first time only")

    page.get_by_role("button", name="Schedule", exact=True).click()

    expect(page.get_by_role("heading", name="Night watch")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/schedules/sch_[0-9a-f]{32}$"))
    expect(page.get_by_text("a new session each time")).to_be_visible()


def test_a_time_that_the_clocks_skip_or_show_twice_is_told(open_page: OpenPage) -> None:
    page = open_page("/schedules/new", **BERLIN)
    spring, autumn = clock_changes(datetime.now(UTC) + timedelta(days=1))

    dialled(page, spring, "02:30")
    expect(foreseen(page)).to_contain_text("go from 02:00 to 03:00 that day, and skip this time")
    expect(foreseen(page).get_by_role("listitem")).to_contain_text("03:00 +02:00")

    dialled(page, autumn, "02:30")
    expect(foreseen(page)).to_contain_text("this time comes twice")
    expect(foreseen(page).get_by_role("listitem")).to_contain_text("02:30 +02:00")
    page.get_by_text("The second 02:30 (+01:00)").click()
    expect(foreseen(page).get_by_role("listitem")).to_contain_text("02:30 +01:00")


def clock_changes(after: datetime) -> tuple[str, str]:
    """The next days on which Berlin's clocks go forward and back: the last Sundays of March and October."""

    def last_sunday(month: int) -> str:
        year = after.year if (after.month, after.day) < (month, 24) else after.year + 1
        last = datetime(year, month, 31, tzinfo=UTC)
        return f"{last - timedelta(days=(last.weekday() + 1) % 7):%Y-%m-%d}"

    return last_sunday(3), last_sunday(10)


def test_what_the_host_refuses_stands_at_its_field(page: Page) -> None:
    page.goto("/schedules/new")
    page.get_by_text("At times of the day", exact=True).click()
    page.get_by_label("Cron expression").fill("99 * * * *")

    expect(page.get_by_label("Cron expression")).to_have_accessible_description(
        re.compile("its minute is '99'. Write 0 to 59")
    )
    expect(page.get_by_role("button", name="Schedule", exact=True)).to_be_disabled()

    page.get_by_label("Cron expression").fill("15 * * * *")
    expect(foreseen(page).get_by_role("listitem")).to_have_count(5)
    page.get_by_label("Time zone").fill("Europe/Atlantis")
    expect(page.get_by_label("Time zone")).to_have_accessible_description(re.compile("There is no time zone"))

    page.get_by_label("Time zone").fill("UTC")
    page.get_by_role("button", name="Schedule", exact=True).click()
    expect(page.get_by_label("Message")).to_have_accessible_description("Say what is to be said.")


def test_a_form_that_is_begun_survives_a_reload(page: Page) -> None:
    page.goto("/schedules/new")
    page.get_by_label("Message").fill("Half a thought")
    page.get_by_text("At intervals", exact=True).click()
    expect(foreseen(page)).to_contain_text("Every hour")

    page.reload()

    expect(page.get_by_label("Message")).to_have_value("Half a thought")
    expect(page.get_by_label("At intervals")).to_be_checked()


def test_a_reminder_for_a_session_is_found_by_its_words(page: Page, api: httpx.Client) -> None:
    session = api.post("/v1/sessions", json={"agent": "scripted", "title": "The harbour plan"}).json()["id"]
    page.goto("/schedules/new")
    page.get_by_text("Reminder", exact=True).click()
    page.get_by_label("Message").fill("Stretch your legs")
    page.get_by_text("One session", exact=True).click()
    page.get_by_role("combobox", name="Session").fill("harbour")
    page.get_by_role("option", name="The harbour plan").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("At intervals", exact=True).click()
    page.get_by_label("Every", exact=True).fill("20")
    page.get_by_label("Unit").select_option("minutes")
    expect(foreseen(page)).to_contain_text("Every 20 minutes")

    page.get_by_role("button", name="Schedule", exact=True).click()

    expect(page.get_by_role("heading", name="Stretch your legs")).to_be_visible()
    expect(page.get_by_role("link", name="The harbour plan")).to_have_attribute(
        "href", f"/sessions/{session}"
    )


def test_what_became_of_it_is_told_as_it_happens(page: Page, api: httpx.Client) -> None:
    schedule = made(api, name="Backup", message="FAIL no disk", cron="0 0 1 1 *")
    page.goto(f"/schedules/{schedule}")
    expect(page.get_by_text("Nothing has come of it yet.")).to_be_visible()

    page.get_by_role("button", name="Run now").click()

    row = page.get_by_role("group", name="History").get_by_role("row").nth(1)
    expect(row).to_contain_text("Failed")
    expect(row).to_contain_text("asked for by hand")
    run = api.get(f"/v1/schedules/{schedule}/occurrences").json()["data"][1]["run_id"]
    expect(row.get_by_role("link", name="Run")).to_have_attribute("href", f"/runs/{run}")


def test_it_is_paused_resumed_changed_and_cancelled(page: Page, api: httpx.Client) -> None:
    schedule = made(api, name="Pulse", every_s=3600)
    page.goto(f"/schedules/{schedule}")

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Nothing of it comes until it is resumed.").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()

    anchor = api.get(f"/v1/schedules/{schedule}").json()["anchor"]
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Name").fill("Slow pulse")
    page.get_by_label("Every", exact=True).fill("2")
    page.get_by_text("More: what is missed").click()
    page.get_by_label("Tries after a failure").fill("3")
    expect(foreseen(page)).to_contain_text("Every 2 hours")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("heading", name="Slow pulse")).to_be_visible()
    changed = api.get(f"/v1/schedules/{schedule}").json()
    assert (changed["every_s"], changed["retries"], changed["anchor"]) == (7200.0, 3, anchor)

    page.get_by_role("button", name="Cancel it").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the schedule").click()
    expect(page.get_by_text("Nothing comes any more.").first).to_be_visible()
    assert api.get(f"/v1/schedules/{schedule}").json()["status"] == "cancelled"


def test_keys_direct_it_and_lead_on(page: Page, api: httpx.Client) -> None:
    schedule = made(api, name="Pulse", every_s=3600)
    page.goto(f"/schedules/{schedule}")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()

    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="Edit Pulse")).to_be_visible()
    page.go_back()
    page.keyboard.press("g")
    page.keyboard.press("e")

    expect(page.get_by_role("heading", name="Agents")).to_be_visible()


def test_one_that_failed_too_often_says_what_to_do(page: Page, api: httpx.Client) -> None:
    made(api, name="Fragile", message="FAIL again", in_s=0.1, pause_after_failures=1)
    made(api, name="Fragile too", message="FAIL again", every_s=1, pause_after_failures=1)
    page.goto("/schedules")

    over = page.get_by_role("region", name="Over").get_by_role("listitem")
    expect(over.get_by_role("link", name="Fragile")).to_be_visible()
    expect(over).to_contain_text("Failed")
    paused = page.get_by_role("region", name="Paused").get_by_role("listitem")
    expect(paused).to_contain_text("It failed too often in a row. See its history")


def test_what_comes_first_stands_first_and_the_filters_stay_in_the_address(
    page: Page, api: httpx.Client
) -> None:
    made(api, name="Later", in_s=7200)
    made(api, name="Sooner", in_s=3600, agent="longhaul")
    page.goto("/schedules")
    names = page.locator("main [data-row]")
    expect(names).to_have_text(["Sooner", "Later"])

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(names.nth(1)).to_be_focused()
    page.get_by_label("Agent").select_option("longhaul")
    expect(names).to_have_text(["Sooner"])
    page.reload()
    expect(names).to_have_text(["Sooner"])
    page.get_by_label("Filter by words").fill("later")
    page.get_by_role("button", name="Show all").click()
    expect(names).to_have_text(["Sooner", "Later"])


def test_the_calendar_shows_what_was_and_what_comes(open_page: OpenPage, api: httpx.Client) -> None:
    today = datetime.now(UTC)
    tomorrow = today + timedelta(days=1)
    made(api, name="Broken", message="FAIL it", in_s=0.1)
    made(api, name="Daily", cron="0 12 * * *")
    made(api, name="Often", cron="* * * * *")
    page = open_page("/schedules?view=week", timezone_id="UTC")
    cell = page.locator(f"#day-{today:%Y-%m-%d}")
    expect(cell).to_contain_text("Broken")
    expect(cell.get_by_title("Failed")).to_be_visible()
    expect(cell).to_have_attribute("aria-current", "date")

    cell.focus()
    page.keyboard.press("ArrowRight")

    chosen = page.get_by_role("region", name="The chosen day")
    expect(page.locator(f"#day-{tomorrow:%Y-%m-%d}")).to_be_focused()
    expect(chosen).to_contain_text(re.compile(r"12:00\s+Daily"))
    expect(chosen).to_contain_text("Every minute")
    assert f"on={tomorrow:%Y-%m-%d}" in page.url
    page.keyboard.press("Enter")
    expect(chosen.get_by_role("link").first).to_be_focused()


def test_a_month_is_walked_by_keys_and_survives_a_reload(open_page: OpenPage, api: httpx.Client) -> None:
    made(api, name="Daily", cron="0 12 * * *")
    page = open_page("/schedules?view=month&on=2027-01-31", timezone_id="UTC")
    expect(page.get_by_role("heading", name="January 2027")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(6)

    page.locator("#day-2027-01-31").focus()
    page.keyboard.press("PageDown")

    expect(page.get_by_role("heading", name="February 2027")).to_be_visible()
    expect(page.locator("#day-2027-02-28")).to_be_focused()
    page.reload()
    expect(page.locator("#day-2027-02-28")).to_have_attribute("aria-selected", "true")
    page.get_by_role("button", name="Today").click()
    expect(page.locator("[aria-current=date]")).to_have_attribute("aria-selected", "true")


def test_on_a_phone_the_calendar_is_a_list_of_days(open_page: OpenPage, api: httpx.Client) -> None:
    made(api, name="Soon", in_s=5)
    page = open_page("/schedules?view=month", form="phone", timezone_id="UTC")

    agenda = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="today"))
    expect(agenda.get_by_role("link", name="Soon")).to_be_visible()
    expect(page.get_by_role("grid")).to_be_hidden()
    assert page.evaluate(NO_SIDEWAYS)


def test_whoever_may_only_read_sees_no_deeds(open_page: OpenPage, api: httpx.Client) -> None:
    schedule = made(api, name="Pulse", every_s=3600)
    key = api.post("/v1/keys", json={"role": "viewer", "user": "ana"}).json()["key"]

    page = open_page(f"/schedules/{schedule}", key=key)

    expect(page.get_by_role("heading", name="Pulse")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Run now|Pause|Edit|Cancel"))).to_have_count(0)
    page.goto("/schedules")
    expect(page.get_by_role("link", name="Pulse")).to_be_visible()
    expect(page.get_by_role("link", name="New schedule")).to_have_count(0)


def test_one_that_is_not_there_says_so(open_page: OpenPage) -> None:
    page = open_page("/schedules/sch_00000000000000000000000000000000")

    expect(page.get_by_role("alert")).to_contain_text("There is no schedule")
    expect(page.get_by_role("link", name="All schedules")).to_be_visible()


@pytest.mark.parametrize("form", ["wide", "phone"])
def test_everybody_can_use_it(open_page: OpenPage, api: httpx.Client, axe: Axe, form: str) -> None:
    long = made(api, name="A name that goes on and on, " * 7, cron="30 2 * * *", timezone="Europe/Berlin")
    made(api, name="تذكير يومي بالاجتماع", kind="reminder", every_s=7200)
    made(api, name="Broken", message="FAIL it", in_s=0.1)
    made(api, name="<img src=https://example.org onerror=alert(1)>", in_s=30)
    page = open_page("/schedules", form=form)
    places = {
        "/schedules": page.get_by_role("region", name="Over"),
        "/schedules?view=month": page.get_by_role("link", name="Broken").locator("visible=true"),
        f"/schedules/{long}": page.get_by_text("there is no 02:30"),
        f"/schedules/{long}?edit=1": foreseen(page).get_by_text("there is no 02:30"),
        "/schedules/new": foreseen(page).get_by_role("listitem"),
    }
    for path, shown in places.items():
        page.goto(path)
        expect(shown.first).to_be_visible()
        for scheme in SCHEMES[form]:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            axe(page)
        assert page.evaluate(NO_SIDEWAYS), path
