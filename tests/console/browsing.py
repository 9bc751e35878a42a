"""A browser in front of a real server: who is signed in, what pages do that they mustn't, and axe.

`conftest` makes fixtures of these. The server is a process of its own, as people start it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebSocket

from tenure.http.assets import FOLDER, INDEX

ROOT = Path(__file__).parents[2]
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing else in the world has an address
)
FORMS = {"wide": (1280, 800), "phone": (390, 844)}
SCHEMES: dict[str, Literal["light", "dark"]] = {"light": "light", "dark": "dark"}
BOUND_S = 15.0

TELL_OF_BREACHES = """
document.addEventListener('securitypolicyviolation', (e) =>
  console.error(`policy: ${e.effectiveDirective} stopped ${e.blockedURI || 'something'} ${e.sample}`));
"""
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
"""What Chromium logs of a refusal. The API refuses as it should, so only refused files count."""


def lacking(what: str) -> None:
    """Skip for want of something; in CI it is a failure, since there nothing may go untested."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def browser_path() -> str:
    """Where a browser is. Skips, or fails in CI, if there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        lacking("There is no browser: apt-get install --no-install-recommends chromium")
    if not (FOLDER / INDEX).is_file():
        lacking("The console isn't built: ./dev console")
    return str(found)


class Server(NamedTuple):
    """A server in a process of its own, with the bootstrap admin's key."""

    url: str
    key: str
    home: Path


@contextmanager
def a_server(folder: Path, port: int = 0) -> Generator[Server]:
    """`tenure serve --demo`, on a free port or a certain one, for the length of the block."""
    home = folder / "home"
    command = [sys.executable, "-m", "tenure.cli.main", "serve", "--demo", "--json", "--port", str(port)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "--home", str(home)], cwd=folder, env=clean, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, f"The server didn't start:\n{(folder / 'log').read_text()}"
            yield Server(json.loads(line)["url"], (home / "admin.key").read_text().strip(), home)
        finally:
            process.terminate()
            process.communicate(timeout=BOUND_S)


def client_of(server: Server, key: str) -> httpx.Client:
    """Whoever holds this key, without a browser."""
    return httpx.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=BOUND_S, trust_env=False
    )


class Watch:
    """What the pages of a context do that none of ours may: errors, breaches of policy, strange requests."""

    def __init__(self, server: Server) -> None:
        self._own = (
            server.url + "/",
            "data:",
            f"blob:{server.url}/",
            server.url.replace("http", "ws", 1) + "/",
        )
        self._allowed: list[re.Pattern[str]] = []
        self.seen: list[str] = []

    def over(self, context: BrowserContext) -> None:
        """Watch every page of a context."""
        context.add_init_script(TELL_OF_BREACHES)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.seen.append(f"thrown: {error.error}"))
        context.on("request", self._request)
        context.on("page", lambda page: page.on("websocket", self._socket))

    def allow(self, pattern: str) -> None:
        """What a test provokes is no surprise."""
        self._allowed.append(re.compile(pattern))

    @property
    def surprises(self) -> list[str]:
        """All that was seen and that nobody allowed."""
        return [line for line in self.seen if not any(one.search(line) for one in self._allowed)]

    def _console(self, message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        if message.type != "error" or (REFUSED.match(message.text) and "/v1/" in url):
            return
        self.seen.append(f"error: {message.text} ({url})")

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _socket(self, socket: WebSocket) -> None:
        self._address(socket.url)

    def _address(self, url: str) -> None:
        if not url.startswith(self._own):
            self.seen.append(f"request: {url}")


def axe_findings(page: Page) -> list[str]:
    """What axe finds serious or critical on a page: the rule, and where."""
    if not AXE.is_file():
        lacking("axe isn't installed: ./dev console")
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {one['help']} ({', '.join(' '.join(map(str, n['target'])) for n in one['nodes'])})"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
