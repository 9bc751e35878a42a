"""The corpus wherever others' words are shown: nothing runs, nothing is fetched, all of it can be read."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, expect

from tests.console.browsing import ROOT, Watch, a_server, client_of, lacking
from tests.console.conftest import OpenPage, sign_in
from tests.console.corpus import ELSEWHERE, FAMILIES, payloads
from tests.console.hostile import (
    a_session,
    asked,
    belongings,
    decide,
    many,
    name_everything,
    names_of,
    said_elsewhere,
    spoken,
)

pytestmark = pytest.mark.timeout(120)

MARKED = ROOT / "console" / "node_modules" / "marked" / "lib" / "marked.umd.js"
CORPUS = tuple(payloads())
SHARE = 80
"""How many payloads go into one session: the queue of one holds a hundred."""

TELLTALE = """
window.fire = (number) => { console.log(`fired ${number}`); return number; };
for (const name of ['alert', 'confirm', 'prompt', 'open', 'msgbox']) window[name] = () => window.fire(0);
"""
ALL_IN_VIEW = """
window.IntersectionObserver = class {
  constructor(told) { this.told = told; }
  observe(target) { queueMicrotask(() => this.told([{ isIntersecting: true, target }])); }
  unobserve() {}
  disconnect() {}
};
window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()));
window.cancelAnimationFrame = clearTimeout;
"""
"""A thread draws what comes near, bit by bit. Here everything is near, and nobody waits for the screen."""
FIRED = re.compile(r"^fired (\d+)")
FETCHED = re.compile(r"elsewhere\.test/(\d+)|//(\d+)\.elsewhere\.test|canary-(\d+)")

POKE = """
(root) => {
  const tell = ('pointerenter pointerover pointerdown pointermove mouseover mousemove focus focusin copy ' +
    'wheel beforeinput input auxclick toggle submit close load error').split(' ');
  for (const one of root.querySelectorAll('*')) for (const type of tell) one.dispatchEvent(new Event(type));
}
"""
"""Everything that a person might do to what is there without meaning to, and what would set off a handler."""

OFFENCES = (Path(__file__).parent / "offences.js").read_text()
"""What stands in the page and mustn't, whether it works or not."""

READ = """
(root) => {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const seen = [];
  while (texts.nextNode()) {
    if (texts.currentNode.parentElement.checkVisibility()) seen.push(texts.currentNode.data);
  }
  return seen.join(' ');
}
"""
"""What a person can read there, also further up or down."""


class Canaries:
    """Which payloads acted on the pages of a device: by a script that ran, or by a request."""

    def __init__(self, device: BrowserContext) -> None:
        self.acted: set[int] = set()
        device.add_init_script(TELLTALE + ALL_IN_VIEW)
        device.on("console", self._console)
        device.on("request", self._request)
        device.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        if found := FIRED.match(message.text):
            self.acted.add(int(found[1]))

    def _request(self, request: Request) -> None:
        if found := FETCHED.search(request.url):
            self.acted.add(int(next(filter(None, found.groups()))))

    def _dialog(self, dialog: Dialog) -> None:
        self.acted.add(0)
        dialog.dismiss()


def open_everything(page: Page) -> None:
    """Unfold what is folded on a page."""
    page.evaluate(
        "() => document.querySelectorAll('details:not([open]) > summary, .call > [aria-expanded=false]')"
        ".forEach((one) => one.click())"
    )


def check(page: Page, canaries: Canaries, shown: Iterable[int] = (), inside: str = "#app") -> None:
    """Assert that nothing on a page acted or could, and that the markers of payloads can be read."""
    open_everything(page)
    page.locator(inside).evaluate(POKE)
    assert page.evaluate(OFFENCES) == []
    text: str = page.locator(inside).evaluate(READ)
    assert [number for number in shown if not re.search(rf"\bn{number}\b", text)] == []
    assert canaries.acted == set()


def numbers_in(names: Iterable[str]) -> list[int]:
    """The markers of payloads that stand in names."""
    return [int(number) for name in names for number in re.findall(r"\bn(\d+)\b", name)]


@pytest.mark.parametrize("half", [0, 1])
def test_what_is_said_and_thought_and_called_never_acts(
    open_page: OpenPage, api: httpx.Client, half: int
) -> None:
    page = open_page(None)
    canaries = Canaries(page.context)
    for at in range(half * SHARE, len(CORPUS), 2 * SHARE):
        share = CORPUS[at : at + SHARE]
        page.goto(f"/sessions/{spoken(api, share)}")
        expect(page.get_by_text("ASK begin")).to_be_attached()
        expect(page.get_by_text("the end", exact=True)).to_be_attached()
        expect(page.get_by_text("Not drawn yet")).to_have_count(0)
        check(page, canaries, [payload.number for payload in share])


def test_what_things_are_called_never_acts(open_page: OpenPage, api: httpx.Client) -> None:
    names = names_of(CORPUS)
    name_everything(api, names)
    page = open_page(None)
    canaries = Canaries(page.context)

    page.goto("/sessions")
    older = page.get_by_role("button", name="Older sessions")
    expect(older).to_be_visible()
    while older.is_visible():
        older.click()
        expect(page.get_by_text("Reading older sessions")).to_have_count(0)
    check(page, canaries, numbers_in(names))

    page.get_by_role("combobox").first.fill("label:")
    expect(page.get_by_role("option").first).to_be_visible()
    check(page, canaries)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill("n1")
    expect(page.get_by_role("option").first).to_contain_text(re.compile(r"\bn\d+ "))
    check(page, canaries)

    for address, shown in (
        ("/schedules", names[::4]),
        ("/schedules?view=month", ()),
        ("/settings/keys", names[1::4]),
        ("/settings/users", names[1::4]),
        ("/settings/audit", ()),
        ("/ops", ()),
        ("/runs", ()),
    ):
        page.goto(address)
        expect(page.get_by_text(re.compile(r"\bn\d+ ")).first).to_be_visible()
        check(page, canaries, numbers_in(shown))


def test_what_is_asked_and_answered_never_acts(open_page: OpenPage, api: httpx.Client) -> None:
    names = names_of(CORPUS)
    lots = [names[at::30] for at in range(30)]
    questions = [(lot, a_session(api, lot[0])) for lot in lots]
    many(lambda one: asked(api, one[1], "\r".join(one[0])), questions)
    page = open_page(None)
    canaries = Canaries(page.context)

    page.goto("/approvals")
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(len(lots))
    check(page, canaries, numbers_in(names))
    for edit in page.get_by_role("button", name="Edit", exact=True).all()[:3]:
        edit.click()
    check(page, canaries)

    waiting = api.get("/v1/approvals", params={"status": "pending"}).json()["data"]
    for approval, name in zip(waiting, names, strict=False):
        decide(api, approval["id"], decision="deny", note=name)
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
    check(page, canaries)
    page.goto(f"/sessions/{questions[0][1]}")
    expect(page.get_by_text("Denied").first).to_be_visible()
    check(page, canaries, numbers_in(lots[0]))


def test_what_belongs_to_a_session_never_acts(open_page: OpenPage, api: httpx.Client) -> None:
    names = names_of(CORPUS)
    session = belongings(api, names)
    page = open_page(None)
    canaries = Canaries(page.context)

    page.goto(f"/sessions/{session}")
    waiting = page.get_by_role("region", name="Waiting messages")
    expect(waiting.get_by_role("listitem")).to_have_count(60)
    check(page, canaries, numbers_in(names[:60]))
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_role("button", name=re.compile("^Delete ")).first).to_be_visible()
    check(page, canaries)

    first, _live = reversed(api.get(f"/v1/sessions/{session}/runs").json()["data"])
    for tab in ("timeline", "journal", "journal&of=session", "grant", "replay"):
        page.goto(f"/runs/{first['id']}?tab={tab}")
        expect(page.get_by_text(re.compile(r"\bn\d+ ")).first).to_be_visible()
        check(page, canaries)

    shared = api.post(f"/v1/sessions/{session}/shares", json={}).json()["url"]
    reader = open_page(shared, key=None)
    seen = Canaries(reader.context)
    reader.reload()
    expect(reader.get_by_role("heading", level=1)).to_contain_text("n1 ")
    check(reader, seen)


AGENTS = """
import json
from pathlib import Path

import tenure

for at, words in enumerate(json.loads((Path(__file__).parent / "words.json").read_text())):

    @tenure.agent(f"agent-{at}", description=words)
    async def nobody(run: tenure.Run):
        yield run.message.text

    globals()[f"agent_{at}"] = nobody
"""
BINDING = """
modules = ["{folder}/worded.py"]

[[bindings]]
id = "all"
agent = "scripted"
scope = {{ type = "global" }}
event_types = ["*"]
"""


def test_what_agents_and_people_elsewhere_are_called_never_acts(browser: Browser, tmp_path: Path) -> None:
    names = names_of(CORPUS)
    (tmp_path / "words.json").write_text(json.dumps([" ".join(names[at::20]) for at in range(20)]))
    (tmp_path / "worded.py").write_text(AGENTS)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tenure.toml").write_text(BINDING.format(folder=tmp_path))
    with a_server(tmp_path) as server, browser.new_context(base_url=server.url) as device:
        watch, canaries = Watch(server), Canaries(device)
        watch.over(device)
        sign_in(device, server.key)
        page = device.new_page()
        page.goto("/agents")
        expect(page.get_by_text(re.compile(r"\bn1 ")).first).to_be_visible()
        check(page, canaries, numbers_in(names))
        with client_of(server, server.key) as root:
            session = said_elsewhere(root, names)
        page.goto(f"/sessions/{session}")
        expect(page.get_by_text("Not drawn yet")).to_have_count(0)
        expect(page.locator(".message.user")).to_have_count(40)
        check(page, canaries, numbers_in(names[:40]))
        page.goto("/agents/agent-0")
        expect(page.get_by_text(re.compile(r"\bn1 ")).first).to_be_visible()
        check(page, canaries)
        assert watch.surprises == []


def test_without_the_console_the_corpus_acts(browser: Browser) -> None:
    """Where Markdown is shown as it comes, most of the corpus runs or fetches: the canaries do sing."""
    if not MARKED.is_file():
        lacking("The console's packages aren't installed: ./dev console")
    with browser.new_context() as device:
        canaries = Canaries(device)
        page = device.new_page()
        page.route(
            f"{ELSEWHERE}/", lambda route: route.fulfill(body="<!DOCTYPE html>", content_type="text/html")
        )
        for at in range(0, len(CORPUS), SHARE):
            page.goto(f"{ELSEWHERE}/")
            page.evaluate(MARKED.read_text())
            page.evaluate(BARE, [one.text for one in CORPUS[at : at + SHARE]])

    acted = canaries.acted - {0}
    assert len(acted) >= 300, len(acted)
    assert {one.family for one in CORPUS if one.number in acted} == set(FAMILIES)


BARE = """
async (texts) => {
  const frames = texts.map((text) => {
    const frame = document.createElement('iframe');
    frame.srcdoc = `<!DOCTYPE html>${marked.parse(text)}`;
    return frame;
  });
  const shown = frames.map((frame) => new Promise((resolve) => frame.addEventListener('load', resolve)));
  document.body.append(...frames);
  const late = new Promise((resolve) => setTimeout(resolve, 1000));
  await Promise.race([Promise.all(shown), late]);
  for (const frame of frames) {
    for (const one of frame.contentDocument?.querySelectorAll('body, body *') ?? []) {
      for (const type of ['pointerenter', 'mouseover', 'focus']) one.dispatchEvent(new Event(type));
      one.removeAttribute('target');
      if (!one.href?.startsWith?.('http')) one.click?.();
    }
  }
  await new Promise((resolve) => setTimeout(resolve));
}
"""
"""Each text in a frame of its own, as Markdown makes it, and then touched everywhere."""
