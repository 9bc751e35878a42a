"""Holds the documentation to the code: what exists is documented, what is documented exists."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tenure.cli.main import COMMANDS
from tenure.config import load
from tenure.core.event import EVENTS
from tenure.core.principal import Role
from tenure.errors import Code
from tenure.http.routes import LISTED
from tests.docs.pages import DOCS, ROOT, Block, blocks, name_of, pages
from tools.reference import stale
from tools.reference.commands import EXITS, Exit, listed
from tools.reference.settings import settings, variables
from tools.reference.states import CHARTS
from tools.reference.words import ENVIRONMENT, SETTINGS

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def reference(name: str) -> str:
    """A page of the reference."""
    return (DOCS / "reference" / name).read_text("utf-8")


def test_the_reference_is_what_the_code_says() -> None:
    assert stale() == [], "Bring docs/reference up to date: .venv/bin/python -m tools.reference"


def test_every_event_is_documented() -> None:
    assert [name for name in EVENTS if f"\n## {name}\n" not in reference("events.md")] == []


def test_every_event_says_what_happened() -> None:
    assert [name for name, cls in EVENTS.items() if not (cls.__doc__ or "").rstrip().endswith(".")] == []


def test_every_error_code_is_documented() -> None:
    assert [code for code in Code if f"| `{code}` |" not in reference("errors.md")] == []


def test_every_route_is_documented() -> None:
    page = reference("http.md")

    assert [route.name for route in LISTED if f"\n### {route.name}\n" not in page] == []


def test_every_command_is_documented() -> None:
    page = reference("commands.md")

    assert [one.words for one in listed() if f"# tenure {one.words}\n" not in page] == []
    assert [name for name in COMMANDS if f"\n## tenure {name}\n" not in page] == []


def test_every_option_of_every_command_says_what_it_is_for() -> None:
    silent = [line for line in reference("commands.md").splitlines() if re.match(r"\| `[^|]*` \|  \|", line)]

    assert silent == []


def test_every_exit_code_is_documented() -> None:
    assert list(EXITS) == list(Exit)


def test_every_setting_has_words_and_no_words_lack_a_setting() -> None:
    assert [setting.name for setting in settings()] == list(SETTINGS)


def test_every_environment_variable_of_the_source_has_words() -> None:
    assert variables() == set(ENVIRONMENT)


def test_every_state_is_drawn() -> None:
    missing = [
        f"{chart.noun}: {state}"
        for chart in CHARTS
        for state in chart.states
        if f">{state}</text>" not in reference(f"states/{chart.noun}.svg")
    ]

    assert missing == []


def test_every_role_is_explained() -> None:
    page = (DOCS / "how-to" / "give-out-keys.md").read_text("utf-8")

    assert [role for role in Role if f"| `{role}` |" not in page] == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [link for link in LINK.findall(without_code(page)) if not leads_somewhere(page, link)]

    assert broken == []


def test_every_page_can_be_reached_from_the_first_one() -> None:
    seen: set[Path] = set()
    todo = [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        seen.add(page)
        links = [link.partition("#")[0] for link in LINK.findall(without_code(page))]
        found = [(page.parent / link).resolve() for link in links if link.endswith(".md")]
        todo += [one for one in found if one not in seen and one.is_file()]

    assert sorted(name_of(page) for page in set(DOCS.rglob("*.md")) - seen) == []


def test_every_page_stands_in_the_navigation() -> None:
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    named = set(re.findall(r"[\w/-]+\.md", str(navigation)))
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}

    # The index of decisions leads to each of them.
    assert {page for page in there ^ named if not page.startswith("decisions/0")} == set()


COMMAND_LINE = re.compile(r"^ *(?:[A-Z_]+=\S+ )*tenure ([^|>&\n]+)$", re.MULTILINE)


def typed_commands() -> list[tuple[str, str]]:
    """Every `tenure …` line of a shell block, with its place."""
    return [
        (block.place, found[1].strip())
        for page in pages()
        for block in blocks(page)
        if block.language == "sh"
        for found in COMMAND_LINE.finditer(block.text)
    ]


@pytest.mark.parametrize(("place", "line"), typed_commands(), ids=str)
def test_a_command_line_is_one_that_can_be_typed(place: str, line: str) -> None:
    known = {one.words: one.command for one in listed()}
    words = shlex.split(line.replace("$(", "").replace(")", ""), comments=True)
    count = next((n for n in (2, 1) if " ".join(words[:n]) in known), 0)
    assert count, f"{place}: tenure has no command {words[0]!r}"

    # Whatever doesn't fit is raised, with what is wrong.
    known[" ".join(words[:count])].make_context(line, words[count:])


def tables() -> list[Block]:
    """Every piece of a tenure.toml."""
    found = (block for page in pages() for block in blocks(page) if block.language == "toml")
    return [block for block in found if "[project" not in block.text]


@pytest.mark.parametrize("block", tables(), ids=lambda block: block.place)
def test_a_piece_of_configuration_can_be_read(block: Block, tmp_path: Path) -> None:
    (tmp_path / "tenure.toml").write_text(block.text)

    assert load({"home": tmp_path}).home == tmp_path


def test_the_architecture_names_files_that_exist_and_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|sql|md))?|[a-z_]+\.py)`", text))
    source = ROOT / "src" / "tenure"
    gone = [name for name in named if not ((source / name).exists() or (ROOT / name).exists())]
    rooms = {f"host/{path.name}" for path in (source / "host").glob("[a-z]*.py")}
    floors = {f"{path.name}/" for path in source.iterdir() if (path / "__init__.py").is_file()}

    assert gone == []
    assert sorted((rooms | floors) - named) == []


def without_code(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether a link within the project names a file that exists and a heading that it has."""
    if re.match(r"https?://", link):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_file():
        return False
    return not anchor or anchor in {slug(heading) for heading in HEADING.findall(target.read_text("utf-8"))}


def slug(heading: str) -> str:
    """How the site names the place of a heading."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
    return "-".join(kept.split())
