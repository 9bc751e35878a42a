"""What the tests of the console share: a real server, a browser, and pages that somebody is signed in on.

Each test has an account of its own on the server that the tests of one worker share: a tenant with nothing
in it. Playwright's loop lives as long as a module, so the modules of this folder hold no asynchronous tests.
"""

from collections.abc import Generator
from itertools import count
from typing import Protocol

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.console.browsing import (
    BOUND_S,
    FLAGS,
    FORMS,
    SCHEMES,
    Server,
    Watch,
    a_server,
    axe_findings,
    browser_path,
    client_of,
)

SOMEBODY = "ana"
_tenants = count(1)


class OpenPage(Protocol):
    """Opens a page on a device of its own."""

    def __call__(
        self,
        path: str | None = "/",
        *,
        key: str | None = "",
        form: str = "wide",
        scheme: str = "light",
        **context: object,
    ) -> Page:
        """At an address, or at none yet.

        `key` is whose, by default the account's, None for nobody; `form` is wide or phone, `scheme` light
        or dark; what else is given goes to Playwright's `new_context`.
        """
        ...


class Axe(Protocol):
    """Asserts that axe finds nothing serious or critical on a page."""

    def __call__(self, page: Page) -> None:
        """Look at it as it is now."""
        ...


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """The server of this worker, with the demo agents."""
    with a_server(tmp_path_factory.mktemp("console")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """The browser of this module."""
    path = browser_path()
    expect.set_options(timeout=BOUND_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def root(server: Server) -> Generator[httpx.Client]:
    """The bootstrap admin, without a browser."""
    with client_of(server, server.key) as client:
        yield client


@pytest.fixture
def account(root: httpx.Client) -> str:
    """The key of an admin whose tenant has nothing in it yet."""
    made = root.post(
        "/v1/keys", json={"role": "admin", "user": SOMEBODY, "tenant": f"console-{next(_tenants)}"}
    )
    assert made.status_code == 201, made.text
    return made.json()["key"]


@pytest.fixture
def api(server: Server, account: str) -> Generator[httpx.Client]:
    """The admin of the account, without a browser."""
    with client_of(server, account) as client:
        yield client


@pytest.fixture
def watch(server: Server) -> Generator[Watch]:
    """What the pages of this test did that they mustn't; anything fails the test."""
    watch = Watch(server)
    yield watch
    assert watch.surprises == [], "\n".join(watch.surprises)


@pytest.fixture
def open_page(server: Server, browser: Browser, account: str, watch: Watch) -> Generator[OpenPage]:
    """Opens pages, each on a device of its own."""
    devices: list[BrowserContext] = []

    def opened(
        path: str | None = "/",
        *,
        key: str | None = "",
        form: str = "wide",
        scheme: str = "light",
        **context: object,
    ) -> Page:
        width, height = FORMS[form]
        device = browser.new_context(
            base_url=server.url,
            viewport={"width": width, "height": height},
            color_scheme=SCHEMES[scheme],
            is_mobile=form == "phone",
            has_touch=form == "phone",
            **context,  # pyright: ignore[reportArgumentType]
        )
        devices.append(device)
        device.set_default_timeout(BOUND_S * 1000)
        watch.over(device)
        if key is not None:
            sign_in(device, key or account)
        page = device.new_page()
        if path is not None:
            page.goto(path)
        return page

    yield opened
    for device in devices:
        device.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A wide page at `/`, signed in to the account."""
    return open_page()


@pytest.fixture
def axe() -> Axe:
    """Asserts that axe finds nothing serious on a page."""

    def check(page: Page) -> None:
        findings = axe_findings(page)
        assert findings == [], "\n".join(findings)

    return check


def sign_in(device: BrowserContext, key: str) -> None:
    """Sign a device in, as the console does with a key that somebody typed."""
    answer = device.request.post("/v1/sign-in", data={"key": key})
    assert answer.ok, answer.text()
