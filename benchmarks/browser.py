"""A browser for the works of the console: devices that are signed in, and what their pages cost.

Times are taken within the page, by its own clock, to the frame that shows what was waited for.
"""

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple, cast

import msgspec
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright

from benchmarks.server import Server
from tenure.http.assets import FOLDER, INDEX

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)

WATCH = """
window.__shown = (test) => new Promise((done) => {
  const told = () => {
    const turn = new MessageChannel();
    turn.port1.onmessage = () => done(performance.now());
    turn.port2.postMessage(0);
  };
  const look = () => {
    if (!test()) return requestAnimationFrame(look);
    requestAnimationFrame(told);
  };
  look();
});
window.__answered = (text) => () =>
  [...document.querySelectorAll('.lines > li')].slice(-3).some((line) => line.textContent.includes(text));
"""
"""What pages get beside their own scripts: a promise of the moment at which something is on the screen."""


class Cost(NamedTuple):
    """CPU of the page's main thread so far in ms, requests, and bytes over the wire."""

    cpu_ms: float
    requests: int
    received: float


class _Metric(msgspec.Struct):
    name: str
    value: float


class _Metrics(msgspec.Struct):
    metrics: list[_Metric]


class _Finished(msgspec.Struct):
    encodedDataLength: float  # noqa: N815 - the name that the browser gives it


class Tab:
    """One page with what it costs."""

    def __init__(self, page: Page, devtools: CDPSession) -> None:
        self.page = page
        self._devtools = devtools
        self._sizes: list[float] = []
        devtools.on("Network.loadingFinished", self._finished)

    def _finished(self, event: dict[str, object]) -> None:
        self._sizes.append(msgspec.convert(event, _Finished).encodedDataLength)

    async def cost(self) -> Cost:
        """What it has cost since it was made."""
        told = msgspec.convert(await _asked(self._devtools, "Performance.getMetrics"), _Metrics)
        cpu = next(each.value for each in told.metrics if each.name == "TaskDuration")
        return Cost(cpu * 1e3, len(self._sizes), sum(self._sizes))

    async def measured(self, script: str, given: object = None) -> float:
        """The number that a script comes to."""
        return msgspec.convert(await self.page.evaluate(script, given), float, strict=False)


def lacking() -> str | None:
    """Why nothing can be measured here, in words; None if it can."""
    if not any(shutil.which(name) for name in BROWSERS):
        return "there is no browser: apt-get install --no-install-recommends chromium"
    if not (FOLDER / INDEX).is_file():
        return "the console isn't built: ./dev console"
    return None


@asynccontextmanager
async def a_browser() -> AsyncGenerator[Browser]:
    """The browser of this machine, for the length of the block."""
    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        await browser.close()


@asynccontextmanager
async def a_device(browser: Browser, server: Server) -> AsyncGenerator[BrowserContext]:
    """A device on which the admin is signed in, with nothing in its cache."""
    host, port, key = server.address.host, server.address.port, server.address.key
    device = await browser.new_context(
        base_url=f"http://{host}:{port}", viewport={"width": 1280, "height": 800}
    )
    await device.add_init_script(WATCH)
    answer = await device.request.post("/v1/sign-in", data={"key": key})
    assert answer.ok, await answer.text()
    yield device
    await device.close()


async def a_tab(device: BrowserContext) -> Tab:
    """A new page, with its costs counted in CPU time of its own, whatever else the machine does."""
    page = await device.new_page()
    devtools = await device.new_cdp_session(page)
    await _asked(devtools, "Performance.enable", {"timeDomain": "threadTicks"})
    await _asked(devtools, "Network.enable")
    return Tab(page, devtools)


async def _asked(devtools: CDPSession, what: str, given: dict[str, object] | None = None) -> object:
    # Playwright doesn't say what is in the dictionaries; whoever asks converts the answer.
    answer = await devtools.send(what, given)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("object", answer)
