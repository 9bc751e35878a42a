"""The console in a browser: how soon is a long session on the screen, and does a burst leave room to type?

The main thread's time is CPU time, so that neighbours change it little; what a person waits for is real time.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Browser

from benchmarks import browser as browsers
from benchmarks.browser import Tab, a_browser, a_device, a_tab
from benchmarks.client import say_request, stream
from benchmarks.figures import Figure, Target
from benchmarks.paced import END
from benchmarks.server import Server, serving

GIVEN = {"TENURE_MODULES": '["benchmarks.paced"]'}
KEY_S = 0.09

FIRST = "() => __shown(() => document.querySelector('tbody tr'))"
CLICKED = """async ([id, end]) => {
  const link = [...document.querySelectorAll('tbody a')]
    .find((one) => one.getAttribute('href')?.includes(id));
  const began = performance.now();
  link.click();
  return (await __shown(__answered(end))) - began;
}"""
LINKED = "(end) => __shown(__answered(end))"
TYPING = """() => {
  window.__late = [];
  const box = document.querySelector('textarea');
  const told = (at) => {
    const turn = new MessageChannel();
    turn.port1.onmessage = () => __late.push(performance.now() - at);
    turn.port2.postMessage(0);
  };
  box.addEventListener('keydown', (event) => requestAnimationFrame(() => told(event.timeStamp)), true);
  box.focus();
}"""
LATE = (
    "(share) => __late.sort((a, b) => a - b)[Math.min(__late.length - 1, Math.floor(share * __late.length))]"
)
WORDS = r"() => (document.querySelector('.lines').textContent.match(/word\d+/g) ?? []).length"


class Size(NamedTuple):
    """Messages of the long session and pieces of each answer; pieces a second and seconds of the bursts."""

    messages: int = 400
    pieces: int = 120
    rates: tuple[int, ...] = (2_000, 5_000)
    seconds: float = 4.0


USUAL = Size()


class First(NamedTuple):
    """A first visit: ms to the list, main thread ms, requests, bytes over the wire."""

    shown: float
    cpu: float
    requests: int
    received: float


class Opened(NamedTuple):
    """A session is opened: ms to its last line and main thread ms by a click; ms by a link elsewhere."""

    clicked: float
    cpu: float
    linked: float


class Burst(NamedTuple):
    """A run speaks fast: % of the main thread, ms from a key to the frame after it, words not shown."""

    busy: float
    late: float
    missing: float


class Round(NamedTuple):
    """All of it once."""

    first: First
    opened: Opened
    bursts: list[Burst]


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures; none, and a word why, where there is no browser or no console."""
    why = browsers.lacking()
    if why is not None:
        print(f"left out, since {why}", end=" ", file=sys.stderr)
        return []
    async with serving(folder, given=GIVEN) as server, a_browser() as browser:
        session_id = await long_session(server, size)
        done = [await _round(browser, server, session_id, size) for _ in range(rounds)]
    return [*_first(done), *_opened(done, size), *_bursts(done, size)]


async def long_session(server: Server, size: Size) -> str:
    """A session with so many messages, each answered in so many pieces."""
    session_id = await server.open("paced")
    answer = await stream(server.address)
    for _ in range(size.messages):
        answer.send(say_request(server.address, session_id, f"TALK {size.pieces}"))
        await answer.whole()
    answer.cut()
    return session_id


async def _round(browser: Browser, server: Server, session_id: str, size: Size) -> Round:
    first = await _visit(browser, server)
    opened = await _open(browser, server, session_id)
    bursts = [await _burst(browser, server, rate, size.seconds) for rate in size.rates]
    return Round(first, opened, bursts)


async def _visit(browser: Browser, server: Server) -> First:
    async with a_device(browser, server) as device:
        tab = await a_tab(device)
        await tab.page.goto("/sessions", wait_until="commit")
        shown = await tab.measured(FIRST)
        cost = await tab.cost()
        return First(shown, cost.cpu_ms, cost.requests, cost.received)


async def _open(browser: Browser, server: Server, session_id: str) -> Opened:
    """By a click, the second time that somebody clicks; and by a link, on a device that knows nothing yet."""
    async with a_device(browser, server) as device:
        tab = await a_tab(device)
        await tab.page.goto("/sessions")
        await tab.measured(FIRST)
        await tab.measured(CLICKED, [session_id, END])
        await tab.page.go_back()
        await tab.measured(FIRST)
        before = await tab.cost()
        clicked = await tab.measured(CLICKED, [session_id, END])
        cpu = (await tab.cost()).cpu_ms - before.cpu_ms
    async with a_device(browser, server) as device:
        tab = await a_tab(device)
        await tab.page.goto(f"/sessions/{session_id}", wait_until="commit")
        return Opened(clicked, cpu, await tab.measured(LINKED, END))


async def _burst(browser: Browser, server: Server, rate: int, seconds: float) -> Burst:
    """A run speaks into an open page while somebody types."""
    session_id = await server.open("paced")
    words = int(rate * seconds)
    async with a_device(browser, server) as device:
        tab = await a_tab(device)
        await tab.page.goto(f"/sessions/{session_id}")
        await tab.page.wait_for_selector("textarea")
        await tab.page.evaluate(TYPING)
        before, began = await tab.cost(), time.perf_counter()
        await server.say(session_id, f"RATE {words} {rate}")
        await _type(tab, began + seconds)
        after, took = await tab.cost(), time.perf_counter() - began
        late = await tab.measured(LATE, 0.95)
        await tab.measured(LINKED, END)
        missing = words - await tab.measured(WORDS)
    return Burst((after.cpu_ms - before.cpu_ms) / took / 10, late, missing)


async def _type(tab: Tab, until: float) -> None:
    while time.perf_counter() < until:
        await tab.page.keyboard.press("a")
        await asyncio.sleep(KEY_S)


def _first(done: list[Round]) -> list[Figure]:
    def figure(name: str, unit: str, values: tuple[float, ...], most: float) -> Figure:
        return Figure(work="console", name=name, unit=unit, values=values, goal=Target(most=most))

    visits = [each.first for each in done]
    return [
        figure("first visit to the list on the screen", "ms", tuple(each.shown for each in visits), 1_000),
        figure("main thread for it, CPU", "ms", tuple(each.cpu for each in visits), 200),
        figure("requests for it", "", tuple(float(each.requests) for each in visits), 20),
        figure("over the wire for it", "KB", tuple(each.received / 1e3 for each in visits), 120),
    ]


def _opened(done: list[Round], size: Size) -> list[Figure]:
    def figure(name: str, values: tuple[float, ...], most: float) -> Figure:
        return Figure(work="console", name=name, unit="ms", values=values, goal=Target(most=most))

    what = f"session of {size.messages:,} turns of {size.pieces} pieces"
    opened = [each.opened for each in done]
    return [
        figure(f"{what}: click to its last line", tuple(each.clicked for each in opened), 300),
        figure("main thread for it, CPU", tuple(each.cpu for each in opened), 150),
        figure("the same by a link, nothing cached", tuple(each.linked for each in opened), 1_000),
    ]


def _bursts(done: list[Round], size: Size) -> list[Figure]:
    figures: list[Figure] = []
    for number, rate in enumerate(size.rates):
        bursts = [each.bursts[number] for each in done]
        parts = (
            ("main thread busy", "%", tuple(each.busy for each in bursts), Target(most=50)),
            ("key to frame p95", "ms", tuple(each.late for each in bursts), Target(most=100)),
            ("pieces not shown", "", tuple(each.missing for each in bursts), Target(most=0)),
        )
        figures += [
            Figure(
                work="console",
                name=f"{name}, {rate:,} pieces/s",
                unit=unit,
                values=values,
                goal=goal,
                bar=goal if goal.most == 0 else None,
            )
            for name, unit, values, goal in parts
        ]
    return figures
