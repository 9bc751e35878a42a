"""Every screen, in all its states: nothing in the way of anybody, in light, in dark, and on a phone."""

from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.console.browsing import AXE, Server, Watch, a_server, lacking
from tests.console.conftest import sign_in
from tests.console.places import Place, arrive, places
from tests.console.world import World, fill, prepare

pytestmark = pytest.mark.timeout(120)

SHARES = 3
LEAST_TARGET = 24

JUDGE = """
async (rules) => {
  const only = rules ? { runOnly: rules } : {};
  const { violations } = await axe.run(document, { ...only, resultTypes: ['violations'] });
  return violations
    .filter((one) => ['serious', 'critical'].includes(one.impact))
    .flatMap((one) =>
      one.nodes.map((node) => `${one.id} at ${node.target.join(' ')}: ${node.failureSummary}`));
}
"""
TOUCHED = "button, input, select, textarea, summary, [role=option], [role=menuitem]"
NARROW = f"""
() => {{
  const found = [];
  for (const one of [document.documentElement, document.querySelector('main')]) {{
    if (one && one.scrollWidth > one.clientWidth + 1) found.push(`scrolls sideways: ${{one.tagName}}`);
  }}
  for (const one of document.querySelectorAll('{TOUCHED}')) {{
    const box = one.getBoundingClientRect();
    const around = one.closest('label')?.getBoundingClientRect() ?? box;
    const small = Math.max(box.height, around.height) < {LEAST_TARGET}
      || Math.max(box.width, around.width) < {LEAST_TARGET};
    const inText = one.closest('p') && getComputedStyle(one).display === 'inline-block';
    const visible = one.checkVisibility({{ opacityProperty: true, visibilityProperty: true }});
    const seen = visible && box.width > 1 && !(inText && !one.classList.contains('button'));
    if (seen && small) found.push(`small: ${{one.outerHTML.slice(0, 120)}} ${{box.width}}×${{box.height}}`);
  }}
  return found;
}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Generator[tuple[Server, World]]:
    """A server with a life in it."""
    prepare(tmp_path)
    with a_server(tmp_path) as server:
        yield server, fill(server)


@pytest.mark.parametrize("share", range(SHARES))
def test_nothing_is_in_the_way_of_anybody(world: tuple[Server, World], browser: Browser, share: int) -> None:
    server, life = world
    watch = Watch(server)
    watch.allow("/share/nothing")
    devices = {who: device(browser, watch, server, key) for who, key in eyes(life).items()}
    found: list[str] = []
    for place in list(places(life))[share::SHARES]:
        page = devices[place.who].new_page()
        found += (f"{place.name}, {line}" for line in judged(page, place))
        page.close()
    assert found == []
    assert watch.surprises == []


def eyes(life: World) -> dict[str, str | None]:
    """Who looks, and their keys."""
    return {"ana": life.key, "empty": life.empty, "viewer": life.viewer, "nobody": None}


def device(browser: Browser, watch: Watch, server: Server, key: str | None) -> BrowserContext:
    """A device of somebody; of nobody without a key."""
    made = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800})
    watch.over(made)
    if key is not None:
        sign_in(made, key)
    return made


def judged(page: Page, place: Place) -> list[str]:
    """What is wrong with a place: in light, in dark as far as colours go, and on a phone."""
    if not AXE.is_file():
        lacking("axe isn't installed: ./dev console")
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    arrive(page, place)
    page.evaluate(AXE.read_text())
    light: list[str] = page.evaluate(JUDGE, None)
    page.emulate_media(color_scheme="dark")
    dark: list[str] = page.evaluate(JUDGE, ["color-contrast"])
    page.set_viewport_size({"width": 390, "height": 844})
    narrow: list[str] = page.evaluate(NARROW)
    rules = ["scrollable-region-focusable", "aria-hidden-focus", "target-size"]
    phone: list[str] = page.evaluate(JUDGE, rules)
    return [
        *(f"light: {line}" for line in light),
        *(f"dark: {line}" for line in dark),
        *(f"phone: {line}" for line in (*narrow, *phone)),
    ]
