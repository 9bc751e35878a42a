"""Holds the page about coding agents to what the code knows of them, and to what it says when they fail."""

import re

import pytest

from tenure.agent_tables import AcpAgent
from tests.docs.pages import DOCS, ROOT, blocks
from tools import known_agents

PAGE = DOCS / "how-to" / "host-coding-agents-for-a-team.md"
TEXT = PAGE.read_text("utf-8")
QUOTED = re.compile(r"`((?:[^`])+)`")


@pytest.mark.parametrize("part", [known_agents.agents, known_agents.abilities, known_agents.details])
def test_the_tables_are_what_the_code_knows(part: "known_agents.Part") -> None:
    assert part() in TEXT, f"Bring {PAGE.name} up to date: .venv/bin/python -m tools.known_agents"


def test_every_ability_has_words() -> None:
    assert list(known_agents.ABILITIES) == sorted(
        known_agents.ABILITIES, key=list(known_agents.ABILITIES).index
    )
    assert set(known_agents.ABILITIES) == set(known_agents.Abilities.__struct_fields__)


def test_the_example_is_a_table_that_the_server_takes() -> None:
    (example,) = [block.text for block in blocks(PAGE) if block.language == "toml"]

    assert 'agent = "claude-code"' in example
    assert set(re.findall(r"^\s*(\w+) =", example, re.MULTILINE)) <= set(AcpAgent.model_fields)


def test_every_sentence_of_the_troubleshooting_is_one_that_the_code_says() -> None:
    table = TEXT.partition("| it says |")[2].partition("\n\n")[0]
    said = [quote for line in table.splitlines()[2:] for quote in QUOTED.findall(line.split(" | ")[0])]
    source = "".join(
        path.read_text("utf-8")
        for folder in ("runners/acp", ".")
        for path in (ROOT / "src" / "tenure" / folder).glob("*.py")
    )
    words = re.sub(r'"\s*\n\s*f?"', "", source)
    pieces = {piece.strip() for quote in said for piece in quote.split("…") if piece.strip(" .:")}

    assert len(said) > 10
    assert {piece for piece in pieces if piece not in words} == set()
