"""Takes the pictures of the console: `.venv/bin/python -m tests.console.shots [FOLDER]`.

Without a folder it remakes those that the documentation shows, docs/images/console-*.png. With one it puts
every screen there, in light, in dark and on a phone, to be looked at by a person.
"""

import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from tests.console.browsing import (
    BOUND_S,
    FLAGS,
    FORMS,
    ROOT,
    SCHEMES,
    Server,
    a_server,
    browser_path,
    client_of,
)
from tests.console.conftest import sign_in
from tests.console.places import Place, arrive, places
from tests.console.world import QUESTIONS, World, fill, opened_session, prepare, send

IMAGES = ROOT / "docs" / "images"
SHOWN = ("sessions", "conversation", "moment", "run-timeline", "approvals", "schedules-month", "ops")
ON_A_PHONE = ("conversation",)
WIDE = (1200, 760)
MOST_EACH, MOST_IN_ALL = 150 * 1024, 1_536 * 1024
LONG = 40
"""Turns of the longest session in a picture."""
LIVED_S = 300


def main() -> None:
    """Take them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with TemporaryDirectory() as scratch, a_world(Path(scratch)) as (server, world), a_browser() as browser:
        if folder is None:
            for_the_docs(browser, server, world)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            for_a_person(browser, server, world, folder)


@contextmanager
def a_world(folder: Path) -> Generator[tuple[Server, World]]:
    """A server with a life in it."""
    prepare(folder)
    with a_server(folder) as server:
        yield server, fill(server, LONG)


@contextmanager
def a_browser() -> Generator[Browser]:
    """A browser."""
    expect.set_options(timeout=BOUND_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        yield browser
        browser.close()


def for_the_docs(browser: Browser, server: Server, world: World) -> None:
    """The few that are shown, in light and dark."""
    live(server, world.key)
    wanted = [place for place in places(world) if place.name in SHOWN]
    for scheme in SCHEMES:
        take(browser, server, world, wanted, scheme, "wide", WIDE, IMAGES)
        phone = [place for place in wanted if place.name in ON_A_PHONE]
        take(browser, server, world, phone, scheme, "phone", FORMS["phone"], IMAGES)
    weigh(IMAGES.glob("console-*.png"))


def live(server: Server, key: str) -> None:
    """Some minutes of work, now more and now less, so that charts have something to show."""
    say(f"People work with it for {LIVED_S} seconds.")
    with client_of(server, key) as api:
        session = opened_session(api, "desk", "Is the backup done?")
        for second in range(LIVED_S):
            for _ in range(abs(second % 60 - 30) // 6):
                send(api, session, QUESTIONS[second % len(QUESTIONS)])
            sleep(1)


def for_a_person(browser: Browser, server: Server, world: World, folder: Path) -> None:
    """All of them, in three forms."""
    every = list(places(world))
    take(browser, server, world, every, "light", "wide", WIDE, folder)
    take(browser, server, world, every, "dark", "wide", WIDE, folder)
    take(browser, server, world, every, "light", "phone", FORMS["phone"], folder)


def take(
    browser: Browser,
    server: Server,
    world: World,
    wanted: Iterable[Place],
    scheme: str,
    form: str,
    size: tuple[int, int],
    folder: Path,
) -> None:
    """Pictures of some places in one form, in a folder."""
    keys = {"ana": world.key, "empty": world.empty, "viewer": world.viewer, "nobody": None}
    devices = {who: a_device(browser, server, key, scheme, size) for who, key in keys.items()}
    for place in wanted:
        page = devices[place.who].new_page()
        try:
            arrive(page, place)
            still(page)
        except (AssertionError, Error) as error:  # a picture of what went wrong says more
            say(f"{place.name} {scheme} {form}: {str(error).splitlines()[0]}")
        name = place.name if form == "wide" else f"{place.name}-{form}"
        page.screenshot(path=folder / f"console-{name}.{scheme}.png")
        page.close()
    for device in devices.values():
        device.close()


def a_device(
    browser: Browser, server: Server, key: str | None, scheme: str, size: tuple[int, int]
) -> BrowserContext:
    """A device of somebody."""
    device = browser.new_context(
        base_url=server.url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=SCHEMES[scheme],
        reduced_motion="reduce",
        has_touch=size[0] < 700,
        is_mobile=size[0] < 700,
    )
    if key is not None:
        sign_in(device, key)
    return device


def still(page: Page) -> None:
    """Wait for what is on its way."""
    page.wait_for_function("() => document.fonts.status === 'loaded'")
    page.wait_for_timeout(300)


def say(text: str) -> None:
    """Tell whoever watches."""
    sys.stderr.write(f"{text}\n")


def weigh(pictures: Iterable[Path]) -> None:
    """Say how large they are. Raises SystemExit if one is larger than a page should have to fetch."""
    sizes = {path.name: path.stat().st_size for path in sorted(pictures)}
    for name, size in sizes.items():
        say(f"{size / 1024:7.1f} KiB  {name}")
    say(f"{sum(sizes.values()) / 1024:7.1f} KiB  in all")
    if max(sizes.values()) > MOST_EACH or sum(sizes.values()) > MOST_IN_ALL:
        raise SystemExit("Too large: show less, or fewer.")


if __name__ == "__main__":
    main()
