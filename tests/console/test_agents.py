"""Agents in the console: the catalogue, what each can do and may touch, trying one, lines that call it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.browsing import BOUND_S, ROOT, Server, lacking
from tests.console.conftest import Axe, OpenPage

SAID = """it's "here" for $HOME"""
NO_SIDEWAYS = "() => document.documentElement.scrollWidth <= innerWidth"
TRANSPILE = """
const { readFileSync, writeFileSync } = require('node:fs');
const ts = require('typescript');
const compilerOptions = { target: 'ES2022', module: 'ESNext', strict: true };
const { outputText } = ts.transpileModule(readFileSync('line.ts', 'utf8'), { compilerOptions });
writeFileSync('line.mjs', outputText);
"""


def line_of(page: Page, language: str, message: str) -> str:
    """The line that the page of an agent shows in a language, to say `message`."""
    page.get_by_label("Message to scripted").fill(message)
    page.get_by_role("tab", name=language).click()
    shown = page.get_by_role("tabpanel").locator("pre")
    expect(shown).to_contain_text("/v1/" if language != "Python" else "Client(")
    return shown.inner_text()


def said_by(command: list[str], key: str, folder: Path, **more: str) -> str:
    """What a program prints, with a key in its environment."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "TENURE_KEY": key, "TENURE_HOME": str(folder), **more},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def program(name: str) -> str:
    """Where a program is. Skips, or fails in CI, if there is none."""
    found = shutil.which(name)
    if found is None:
        lacking(f"{name} isn't installed")
    return str(found)


def test_the_catalogue_is_searched_and_walked_by_keys(open_page: OpenPage) -> None:
    page = open_page("/agents")
    names = page.locator("main [data-row]")
    expect(names).to_have_text(["concierge", "longhaul", "reporter", "scripted"])

    page.get_by_label("Search agents").fill("book_table")
    expect(names).to_have_text(["concierge", "scripted"])
    assert page.url.endswith("?q=book_table")
    page.get_by_role("heading", name="Agents").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="concierge")).to_be_visible()
    assert page.url.endswith("/agents/concierge")


def test_what_an_agent_can_do_and_may_touch_is_told_in_words(open_page: OpenPage) -> None:
    page = open_page("/agents/concierge")
    aside = page.get_by_role("complementary")

    expect(aside.get_by_role("definition")).to_contain_text(
        ["what it says comes in pieces", "it calls tools"]
    )
    expect(aside).to_contain_text("Not: resume, attachments, multimodal.")
    expect(aside).to_contain_text("book_table always asks, safe to repeat")
    expect(aside).to_contain_text("weather never asks, safe to repeat")
    expect(aside).to_contain_text("history: reads the transcript of its session")
    expect(aside).to_contain_text("actor: for each person")
    expect(aside.get_by_role("definition").last).to_have_text("1 h 0 min")


def test_the_answer_comes_in_place_and_the_session_stays(open_page: OpenPage, api: httpx.Client) -> None:
    page = open_page("/agents/scripted")
    page.get_by_label("Message to scripted").fill("SAY **good** morning")

    page.get_by_role("button", name="Send").click()

    tried = page.get_by_role("region", name="Try it")
    expect(tried.locator("strong")).to_have_text("good")
    page.get_by_label("Message to scripted").fill("SLOW 200 50")
    page.keyboard.press("Enter")
    expect(tried).to_contain_text("w3")
    tried.get_by_role("button", name="Stop").click()
    expect(tried).to_contain_text("Stopped")
    (session,) = api.get("/v1/sessions").json()["data"]
    expect(tried.get_by_role("link", name="Open the session")).to_have_attribute(
        "href", f"/sessions/{session['id']}"
    )
    assert session["title"] == "Trying scripted"
    expect(page.get_by_role("complementary")).to_contain_text("1 of 1 run completed")


def test_a_question_of_the_agent_leads_to_its_session(open_page: OpenPage) -> None:
    page = open_page("/agents/scripted")
    page.get_by_label("Message to scripted").fill("ASK may I")
    page.keyboard.press("Enter")

    link = page.get_by_role("link", name="Decide in the session")
    expect(link).to_have_attribute("href", re.compile(r"^/sessions/ses_"))


def test_the_python_line_works_as_it_stands(open_page: OpenPage, account: str, tmp_path: Path) -> None:
    line = line_of(open_page("/agents/scripted"), "Python", f"SAY {SAID}")

    assert said_by([sys.executable, "-c", line], account, tmp_path) == f"{SAID}\n"


def test_the_curl_line_works_as_it_stands(open_page: OpenPage, account: str, tmp_path: Path) -> None:
    program("curl")
    line = line_of(open_page("/agents/scripted"), "curl", f"SAY {SAID}")

    printed = said_by([program("sh"), "-c", line], account, tmp_path, NO_PROXY="127.0.0.1")

    events = [json.loads(row[5:]) for row in printed.splitlines() if row.startswith("data:")]
    assert [one["data"]["content"] for one in events if one.get("type") == "message.completed"] == [SAID]


def test_the_typescript_line_works_as_it_stands(open_page: OpenPage, account: str, tmp_path: Path) -> None:
    node, modules = program("node"), ROOT / "console" / "node_modules"
    line = line_of(open_page("/agents/scripted"), "TypeScript", f"SAY {SAID}")
    (tmp_path / "line.ts").write_text(line)
    said_by([node, "-e", TRANSPILE], account, tmp_path, NODE_PATH=str(modules))

    assert said_by([node, "line.mjs"], account, tmp_path) == f"{SAID}\n"


def test_a_line_is_copied_and_the_language_is_remembered(open_page: OpenPage, server: Server) -> None:
    page = open_page("/agents/longhaul", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("tab", name="Python").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="TypeScript")).to_be_focused()

    page.get_by_role("button", name="Copy").click()

    expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.startswith(f'const host = "{server.url}";')
    page.reload()
    expect(page.get_by_role("tab", name="TypeScript")).to_have_attribute("aria-selected", "true")


def answered(page: Page, agents: list[dict[str, object]]) -> None:
    """Let the host have these agents."""

    def fulfil(route: Route) -> None:
        route.fulfill(json={"data": agents, "next_cursor": None})

    page.route("**/v1/agents", fulfil)


def test_a_host_without_agents_says_how_to_have_one(open_page: OpenPage) -> None:
    page = open_page(None)
    answered(page, [])

    page.goto("/agents")

    expect(page.get_by_role("heading", name="This host has no agent yet")).to_be_visible()
    expect(page.get_by_text("tenure serve my_agents.py")).to_be_visible()


def test_what_is_wrong_with_an_agent_is_told(open_page: OpenPage, api: httpx.Client, axe: Axe) -> None:
    (agent, *_) = api.get("/v1/agents").json()["data"]
    page = open_page(None)
    sick = {"healthy": False, "fault": "Its command isn't there: codex.", "tools_absent": ["mcp:github/*"]}
    answered(page, [agent | sick])

    page.goto("/agents")
    row = page.get_by_role("listitem").filter(has=page.get_by_role("link", name="concierge"))
    expect(row).to_contain_text("Its command isn't there: codex.")
    expect(row).to_contain_text("1 tool not there")
    page.get_by_role("link", name="concierge").click()

    expect(page.get_by_text("It can’t run now. Its command isn't there: codex.")).to_be_visible()
    expect(page.get_by_text("Not there: mcp:github/*.")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    axe(page)


def test_an_agent_that_is_not_there_is_no_dead_end(open_page: OpenPage) -> None:
    page = open_page("/agents/nobody")

    expect(page.get_by_role("heading", name="No agent has this name")).to_be_visible()
    page.get_by_role("link", name="See those it has").click()
    expect(page.get_by_role("link", name="longhaul")).to_be_visible()


def test_whoever_may_only_read_tries_nothing(open_page: OpenPage, api: httpx.Client) -> None:
    key = api.post("/v1/keys", json={"role": "viewer", "user": "ana"}).json()["key"]
    page = open_page("/agents/longhaul", key=key)

    expect(page.get_by_role("region", name="Call it")).to_be_visible()
    expect(page.get_by_role("region", name="Try it")).to_have_count(0)
    expect(page.get_by_role("link", name="Schedule it")).to_have_count(0)


@pytest.mark.parametrize("form", ["wide", "phone"])
def test_everybody_can_use_it(open_page: OpenPage, axe: Axe, form: str) -> None:
    page = open_page("/agents", form=form)
    expect(page.get_by_role("link", name="scripted")).to_be_visible()
    axe(page)
    page.get_by_role("link", name="scripted").click()
    page.get_by_label("Message to scripted").fill("TOOL weather {}\nREASON why\nFAIL no luck")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Try it")).to_contain_text("no luck")
    axe(page)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    axe(page)
    assert page.evaluate(NO_SIDEWAYS)
