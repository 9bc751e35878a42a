"""Holds `./dev`, the guide for contributors and the pages of decisions to one another."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERBS = ["setup", "demo", "test", "check", "bench", "docs", "build", "console", "serve", "lock", "agents"]


def test_dev_without_a_verb_lists_all_verbs() -> None:
    answer = dev()

    assert answer.returncode == 0
    assert re.findall(r"^  (\w+) ", answer.stdout, re.MULTILINE) == VERBS


def test_dev_refuses_an_unknown_verb_and_lists_the_others() -> None:
    answer = dev("fly")

    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("./dev has no verb 'fly'.\n\nusage: ./dev VERB")


def test_dev_refuses_arguments_that_a_verb_would_ignore() -> None:
    answer = dev("check", "src")

    assert answer.returncode == 2
    assert answer.stderr == "./dev check takes no arguments, but got: src\n"


def test_the_contributing_guide_names_every_verb() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()

    assert [verb for verb in VERBS if f"`./dev {verb}" not in guide] == []


def test_every_decision_stands_in_the_index_in_order() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))

    index = (folder / "README.md").read_text()

    assert re.findall(r"^\| \[\d{4}\]\(([^)]+)\)", index, re.MULTILINE) == pages


def dev(*args: str) -> subprocess.CompletedProcess[str]:
    """What `./dev` answers."""
    command = [sys.executable, str(ROOT / "dev"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
