"""Every screen of the console and what opens in front of it, in the account of `world`.

For axe, and for pictures.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from playwright.sync_api import Page, expect

from tests.console.world import World

Deed = Callable[[Page], None]


def nothing(_page: Page) -> None:
    """It is as it should be."""


class Place(NamedTuple):
    """Where to look: an address, who looks, what has to be there first, and what is done then."""

    name: str
    path: str
    ready: str
    deed: Deed = nothing
    who: str = "ana"


def places(world: World) -> Iterator[Place]:
    """All of them."""
    yield from screens(world)
    yield from fronts(world)
    yield from other_eyes(world)


def screens(world: World) -> Iterator[Place]:
    """The screens as they are."""
    session, run = world.session, world.run
    yield Place("sessions", "/sessions", "table[aria-label=Sessions] tbody tr")
    yield Place("conversation", f"/sessions/{session['asking']}", ".question.open")
    yield Place("long", f"/sessions/{session['long']}", ".message.assistant")
    yield Place("arabic", f"/sessions/{session['arabic']}", ".message.assistant")
    yield Place("failed", f"/sessions/{session['failed']}", ".note.bad")
    yield Place("queue", f"/sessions/{session['working']}", "[aria-label='Waiting messages'] li")
    yield Place("closed", f"/sessions/{session['closed']}", ".message.assistant")
    yield Place("moment", f"/sessions/{session['long']}", ".message.assistant", into_the_past)
    for tab in ("timeline", "journal", "grant", "usage", "replay"):
        yield Place(f"run-{tab}", f"/runs/{run['asking']}?tab={tab}", ".tabs a[aria-current]")
    yield Place("runs", "/runs", "main a[href^='/runs/run_']")
    yield Place("approvals", "/approvals", ".question.open")
    yield Place("schedules", "/schedules", "main a[href^='/schedules/sch_']")
    yield Place("schedules-month", "/schedules?view=month", "main h1")
    yield Place("schedule", f"/schedules/{world.schedule}", "main h1")
    yield Place("schedule-new", "/schedules/new", "main form, main .field")
    yield Place("agents", "/agents", "main a[href='/agents/desk']")
    yield Place("agent", "/agents/desk", "main h1")
    yield Place("ops", "/ops", ".tile strong")
    for section in ("appearance", "sign-ins", "limits", "keys", "users", "audit", "about"):
        yield Place(f"settings-{section}", f"/settings/{section}", "main h2")


def fronts(world: World) -> Iterator[Place]:
    """What opens in front of them."""
    table = "table[aria-label=Sessions] tbody tr"
    asking = f"/sessions/{world.session['asking']}"
    yield Place("palette", "/sessions", table, typed("Control+k"))
    yield Place("help", "/sessions", table, typed("?"))
    yield Place("new-session", "/sessions", table, typed("n"))
    yield Place("filter", "/sessions", table, typed("/"))
    yield Place("selected", "/sessions", table, select_three)
    yield Place("details", asking, ".question.open", pressed("Details"))
    yield Place("more", asking, ".question.open", pressed("More"))
    yield Place("share", asking, ".question.open", chosen("Share"))
    yield Place("labels", asking, ".question.open", chosen("Labels"))
    yield Place("delete", asking, ".question.open", chosen("Delete"))
    yield Place("edit", asking, ".question.open", pressed("Edit"))
    yield Place("new-key", "/settings/keys", "main table", pressed("New key"))


def other_eyes(world: World) -> Iterator[Place]:
    """What others see, and what is seen where something is missing."""
    yield Place("empty-sessions", "/sessions", "main h2", who="empty")
    for screen in ("approvals", "schedules", "runs", "ops"):
        yield Place(f"empty-{screen}", f"/{screen}", "main h1", who="empty")
    yield Place("viewer", f"/sessions/{world.session['asking']}", ".question", who="viewer")
    yield Place("viewer-sessions", "/sessions", "main h1", who="viewer")
    yield Place("sign-in", "/", "input", who="nobody")
    yield Place("shared", world.share, ".message.assistant", who="nobody")
    yield Place("shared-over", "/share/nothing", "main h1", who="nobody")
    yield Place("no-session", "/sessions/ses_00000000000000000000000000000000", "[role=alert], .fault")
    yield Place("no-run", "/runs/run_00000000000000000000000000000000", "[role=alert], .fault")


def arrive(page: Page, place: Place) -> None:
    """Go there, and wait until it can be looked at."""
    page.goto(place.path)
    expect(page.locator(place.ready).first).to_be_visible()
    place.deed(page)


def typed(key: str) -> Deed:
    """A key, pressed."""
    return lambda page: page.keyboard.press(key)


def pressed(name: str) -> Deed:
    """A button of that name, pressed."""
    return lambda page: page.get_by_role("button", name=name, exact=True).first.click()


def chosen(name: str) -> Deed:
    """A deed of the session's menu, chosen."""

    def choose(page: Page) -> None:
        pressed("More")(page)
        page.get_by_role("menuitem", name=name, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()

    return choose


def select_three(page: Page) -> None:
    """Three sessions, selected."""
    for box in page.locator("tbody input[type=checkbox]").all()[:3]:
        box.check()


def into_the_past(page: Page) -> None:
    """The session as it was some events ago."""
    spine = page.get_by_role("slider").first
    spine.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    expect(page.get_by_text("eturn to now").first).to_be_visible()
