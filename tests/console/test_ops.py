"""Ops: the figures of the host, what is full, slow and failed, and taking a host out of service."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.browsing import Server, a_server, client_of
from tests.console.conftest import Axe, OpenPage, sign_in


def failed_run(api: httpx.Client, reason: str) -> str:
    """A run of the scripted agent that fails; its id."""
    session = api.post("/v1/sessions", json={"agent": "scripted"}).json()["id"]
    answer = api.post(
        f"/v1/sessions/{session}/messages",
        json={"content": f"FAIL {reason}"},
        headers={"accept": "text/event-stream"},
    )
    assert "run.finished" in answer.text
    return str(api.get(f"/v1/sessions/{session}/runs").json()["data"][0]["id"])


def tile(page: Page, label: str) -> str:
    """What a tile says."""
    return page.locator(".tile", has_text=label).locator("strong").inner_text()


def test_figures_are_those_of_the_stats(open_page: OpenPage, root: httpx.Client, server: Server) -> None:
    page = open_page("/ops", key=server.key)
    expect(page.get_by_role("heading", name="Ops", level=1)).to_be_visible()
    expect(page.locator(".tile", has_text="Open sessions")).to_be_visible()

    before = int(tile(page, "Open sessions").replace(",", ""))
    root.post("/v1/sessions", json={"agent": "scripted"})

    expect(page.locator(".tile", has_text="Open sessions").locator("strong")).not_to_have_text(f"{before:,}")


def test_charts_tell_in_words_what_they_show(open_page: OpenPage) -> None:
    page = open_page("/ops")

    for title in ("Runs", "Throughput", "Latency", "Runs ended"):
        expect(page.get_by_role("img", name=f"{title}. ")).to_be_visible()


def test_how_far_charts_look_back_stays_in_the_address(open_page: OpenPage) -> None:
    page = open_page("/ops")
    page.get_by_role("button", name="24 hours").click()

    page.wait_for_url("**/ops?span=24h")
    page.reload()

    expect(page.get_by_role("button", name="24 hours")).to_have_attribute("aria-pressed", "true")


def test_a_failed_run_stands_among_the_recent_failures(open_page: OpenPage, api: httpx.Client) -> None:
    run_id = failed_run(api, "the-disk-is-full")

    page = open_page("/ops")
    row = page.get_by_role("row").filter(has_text="the-disk-is-full")
    expect(row).to_contain_text("Failed")
    row.get_by_role("link").click()

    page.wait_for_url(f"**/runs/{run_id}")


def test_limits_show_what_is_used_of_them(open_page: OpenPage, api: httpx.Client) -> None:
    for _ in range(3):
        api.post("/v1/sessions", json={"agent": "scripted"})

    page = open_page("/ops")

    limit = page.get_by_role("listitem").filter(has_text="Open sessions of one user")
    expect(limit).to_contain_text("3 of 1,000")
    expect(limit.get_by_role("meter")).to_be_visible()


def test_only_the_bootstrap_admin_is_offered_to_drain(open_page: OpenPage) -> None:
    page = open_page("/ops")
    expect(page.locator(".tile").first).to_be_visible()

    expect(page.get_by_role("button", name="Drain…")).to_have_count(0)


def test_a_host_drains_once_that_is_confirmed(tmp_path: Path, browser: Browser) -> None:
    with a_server(tmp_path) as server, browser.new_context(base_url=server.url) as device:
        sign_in(device, server.key)
        page = device.new_page()
        page.goto("/ops")
        page.get_by_role("button", name="Drain…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("It is the only host.")
        dialog.get_by_role("button", name="Drain ").click()

        expect(page.locator("header").first).to_contain_text("Draining")
        with client_of(server, server.key) as client:
            assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_stands_in_the_way_of_anybody(open_page: OpenPage, axe: Axe, scheme: str) -> None:
    page = open_page("/ops", scheme=scheme)
    expect(page.get_by_role("img", name="Runs ended. ")).to_be_visible()
    expect(page.get_by_text("No run has ended badly.")).to_be_visible()

    axe(page)


def test_a_phone_shows_it_without_scrolling_sideways(open_page: OpenPage) -> None:
    page = open_page("/ops", form="phone")
    expect(page.get_by_role("img", name="Runs ended. ")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(m => m.scrollWidth <= m.clientWidth)(document.querySelector('main'))")
