"""How agents are found in files, modules and installed packages, and what is said if they aren't."""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import dedent

import pytest

from tenure.errors import ConfigError
from tenure.runners.agent import AnyAgent
from tenure.runners.loader import by_name, installed_agents, installed_things, load_agents, load_things
from tenure.tools.function import AnyTool, ToolDefinition

pytestmark = pytest.mark.usefixtures("fresh_imports")

Write = Callable[[str, str], Path]

GREETER = """
    import tenure

    @tenure.agent("greeter")
    async def greet(run):
        yield "hello"
"""

TWO = (
    GREETER
    + """
    @tenure.agent("parting")
    async def part(run):
        return "bye"

    again = greet
"""
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the folder of this test."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    return write


def names(agents: list[AnyAgent]) -> list[str]:
    return [agent.name for agent in agents]


# what is found


def test_file_gives_every_agent_at_its_top_level_once_and_in_order(write: Write) -> None:
    path = write("my_agents.py", TWO)

    assert names(load_agents(str(path))) == ["greeter", "parting"]


def test_file_is_looked_for_from_the_folder(write: Write, tmp_path: Path) -> None:
    write("team/my_agents.py", GREETER)

    assert names(load_agents("team/my_agents.py", tmp_path)) == ["greeter"]


def test_file_is_looked_for_from_the_working_directory(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("my_agents.py", GREETER)
    monkeypatch.chdir(tmp_path)

    assert names(load_agents("my_agents.py")) == ["greeter"]


def test_file_may_have_a_name_that_no_module_can_have(write: Write) -> None:
    assert names(load_agents(str(write("my-agents.v2.py", GREETER)))) == ["greeter"]


def test_file_may_import_its_neighbours_and_offer_their_agents(write: Write) -> None:
    write("neighbour.py", GREETER)
    path = write("my_agents.py", "from neighbour import greet\n")

    assert names(load_agents(str(path))) == ["greeter"]


def test_module_gives_its_agents(write: Write, tmp_path: Path) -> None:
    write("shop/__init__.py", "")
    write("shop/agents.py", TWO)

    assert names(load_agents("shop.agents", tmp_path)) == ["greeter", "parting"]


@pytest.mark.parametrize("source", ["my_agents", "my_agents.py"])
def test_one_agent_is_picked_by_its_variable(source: str, write: Write, tmp_path: Path) -> None:
    write("my_agents.py", TWO)

    assert names(load_agents(f"{source}:part", tmp_path)) == ["parting"]


def test_file_and_module_of_one_name_are_the_same_agents(write: Write, tmp_path: Path) -> None:
    write("my_agents.py", GREETER)

    by_path, by_module = load_agents("my_agents.py", tmp_path), load_agents("my_agents", tmp_path)

    assert by_path == by_module
    assert names(list(by_name([*by_path, *by_module]).values())) == ["greeter"]


def test_file_loaded_twice_gives_the_same_agents(write: Write) -> None:
    path = str(write("my_agents.py", GREETER))

    assert load_agents(path) == load_agents(path)


def test_files_of_one_name_in_two_folders_are_both_loaded(write: Write) -> None:
    here, there = write("here/agents.py", GREETER), write("there/agents.py", TWO)

    loaded = [load_agents(str(here)), load_agents(str(there)), load_agents(str(here))]

    assert [names(agents) for agents in loaded] == [
        ["greeter"],
        ["greeter", "parting"],
        ["greeter"],
    ]
    assert loaded[0] == loaded[2]


@pytest.mark.parametrize("name", ["json.py", "colorsys.py", "tenure.py"])
def test_file_called_like_a_known_module_doesnt_take_its_place(name: str, write: Write) -> None:
    module = name.removesuffix(".py")
    before = sys.modules.get(module)

    assert names(load_agents(str(write(name, GREETER)))) == ["greeter"]
    assert sys.modules.get(module) is before


def test_classes_of_a_loaded_file_find_their_module(write: Write) -> None:
    text = "from dataclasses import dataclass\n@dataclass\nclass Note:\n    text: 'str'\n"

    path = write("noted_agents.py", text + dedent(GREETER))

    assert names(load_agents(str(path))) == ["greeter"]


# what is refused


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("absent.py", "There is no file {folder}/absent.py. Give the path of a Python file"),
        ("absent/agents.py:x", "There is no file {folder}/absent/agents.py. Give the path"),
        ("./", "./ is a folder. Give the Python file in it that holds the agents."),
        ("notes.txt", "notes.txt isn't a Python file. Give a file whose name ends in .py."),
        ("absent", "There is no module absent in {folder} or among installed packages. Give the"),
        ("absent.agents", "There is no module absent.agents in {folder} or among installed"),
        ("json.absent", "There is no module json.absent in {folder} or among installed packages."),
        ("", "'' is neither a Python file nor the name of a module. Give one of the two"),
        (".agents", "'.agents' is neither a Python file nor the name of a module."),
        ("my-agents", "'my-agents' is neither a Python file nor the name of a module."),
        ("empty.py", 'empty.py holds no agent. Put @tenure.agent("greeter") above an async'),
        ("json", "json holds no agent. Put @tenure.agent"),
        ("two.py:absent", "two.py has no absent. Its agents are: greet, part, again. Name one"),
        ("two.py:tenure", "two.py has tenure, but it isn't an agent. Its agents are: greet, part"),
    ],
)
def test_target_that_names_no_agent_is_refused(
    target: str, sentence: str, write: Write, tmp_path: Path
) -> None:
    write("notes.txt", "")
    write("empty.py", "greeting = 'hello'")
    write("two.py", TWO)

    assert refusal(target, tmp_path).startswith(sentence.format(folder=tmp_path))


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("def greet(:\n", 1, "invalid syntax. Correct it, then start again."),
        ("import json\n\n  x = 1\n", 3, "unexpected indent. Correct it, then start again."),
        (
            "x = 1\nimport not_installed_anywhere\n",
            2,
            "there is no module not_installed_anywhere. Install it where Tenure is installed, or",
        ),
        (
            "from json import absent\n",
            1,
            "ImportError: cannot import name 'absent' from 'json'",
        ),
        ("import os\nkey = os.environ['ABSENT_KEY']\n", 2, "KeyError: 'ABSENT_KEY'. Correct it"),
        ("def f():\n    raise ValueError('no')\nf()\n", 2, "ValueError: no. Correct it"),
        ("import sys\nsys.exit(3)\n", 2, "the code ends the program while it is loaded. Guard"),
        (
            "import tenure\n@tenure.agent('bad name')\nasync def f(run): yield ''\n",
            2,
            "'bad name' can't be the name of an agent. Use 1 to 64 letters",
        ),
        (
            "import tenure\n\n@tenure.agent('greeter')\ndef f(run): return ''\n",
            3,
            "The agent greeter is a function without `async`",
        ),
    ],
)
@pytest.mark.parametrize("target", ["broken_agents.py", "broken_agents"])
def test_code_that_cant_be_loaded_is_refused_with_its_line(
    target: str, text: str, line: int, what: str, write: Write, tmp_path: Path
) -> None:
    path = write("broken_agents.py", text)

    assert refusal(target, tmp_path).startswith(f"{path}, line {line}: {what}")
    assert "broken_agents" not in sys.modules


def test_fault_of_a_neighbour_is_told_with_both_lines(write: Write, tmp_path: Path) -> None:
    neighbour = write("faulty_neighbour.py", "\n1 / 0\n")
    path = write("my_agents.py", "import json\nimport faulty_neighbour\n")

    assert refusal("my_agents.py", tmp_path) == (
        f"{path}, line 2 (in {neighbour}, line 2): ZeroDivisionError: division by zero. "
        "Correct it, then start again."
    )


def test_file_that_isnt_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "null.py").write_bytes(b"x = '\x00'\n")

    for name in ("bytes.py", "null.py"):
        assert re.search(rf"{name}.*Correct it, then start again\.$", refusal(name, tmp_path))


def test_corrected_file_can_be_loaded_after_its_refusal(write: Write) -> None:
    path = write("my_agents.py", "1 / 0\n")
    with pytest.raises(ConfigError):
        load_agents(str(path))
    write("my_agents.py", GREETER)

    assert names(load_agents(str(path))) == ["greeter"]


def test_interrupt_from_the_keyboard_is_no_fault_of_the_code(write: Write) -> None:
    path = write("my_agents.py", "raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        load_agents(str(path))


def test_two_agents_of_one_name_are_refused_with_their_places(write: Write) -> None:
    here, there = write("here/agents.py", GREETER), write("there/agents.py", GREETER)

    with pytest.raises(ConfigError) as refused:
        by_name([*load_agents(str(here)), *load_agents(str(there))])

    assert str(refused.value) == (
        f"Two agents are called greeter: {here}:4 and {there}:4. Rename one, or serve only one of them."
    )


# installed packages


@pytest.fixture
def install(write: Write, tmp_path: Path) -> Callable[[str, str], None]:
    """Installs a package that consists of one module and one entry point."""

    def install(name: str, value: str) -> None:
        folder = f"{name}-1.0.dist-info"
        write(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        write(f"{folder}/entry_points.txt", f"[tenure.agents]\n{name} = {value}\n")
        if str(tmp_path) not in sys.path:
            sys.path.insert(0, str(tmp_path))

    return install


def test_installed_packages_offer_modules_and_single_agents(
    write: Write, install: Callable[[str, str], None]
) -> None:
    write("first_package.py", GREETER)
    write("second_package.py", TWO)
    install("first", "first_package")
    install("second", "second_package:part")

    assert names(installed_agents()) == ["greeter", "parting"]


def test_without_packages_that_offer_agents_there_are_none() -> None:
    assert installed_agents() == []
    assert installed_things(ToolDefinition) == []


TOOLED = """
import tenure


@tenure.tool
def shout(text: str) -> str:
    return text.upper()


again = shout
"""


def tool_names(tools: Iterable[AnyTool]) -> list[str]:
    """The names of tools, in order."""
    return [tool.name for tool in tools]


def test_what_stands_beside_agents_is_found_by_its_kind_and_each_once(write: Write) -> None:
    path = write("tooled.py", TOOLED)

    assert tool_names(load_things(f"{path}:greeter", ToolDefinition)) == ["shout"]
    assert load_things(str(write("plain.py", GREETER)), ToolDefinition) == []


def test_a_module_without_agents_is_empty_where_none_is_required(write: Write) -> None:
    path = str(write("tooled.py", TOOLED))

    assert load_agents(path, required=False) == []
    with pytest.raises(ConfigError, match="holds no agent"):
        load_agents(path)


def test_tools_beside_the_agents_of_installed_packages_are_found(
    write: Write, install: Callable[[str, str], None]
) -> None:
    agent = '@tenure.agent("greeter")\nasync def greeter(run: tenure.Run) -> str:\n    return "Hello"\n'
    write("tooled_package.py", f"{TOOLED}\n\n{agent}")
    install("tooled", "tooled_package:greeter")

    assert tool_names(installed_things(ToolDefinition)) == ["shout"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("absent_module", "There is no module absent_module, which the package broken names."),
        ("offering:absent", "offering:absent (entry point broken of the package broken): Attribute"),
        ("offering:tenure", "offering:tenure (entry point broken of the package broken) holds no"),
        ("offering:__name__", "offering:__name__ (entry point broken of the package broken) isn't"),
        ("raising", "{folder}/raising.py, line 1: ZeroDivisionError: division by zero."),
    ],
)
def test_package_that_cant_keep_its_offer_is_refused_by_name(
    value: str,
    sentence: str,
    write: Write,
    install: Callable[[str, str], None],
    tmp_path: Path,
) -> None:
    write("offering.py", GREETER)
    write("raising.py", "1 / 0\n")
    install("broken", value)

    with pytest.raises(ConfigError) as refused:
        installed_agents()

    assert str(refused.value).startswith(sentence.format(folder=tmp_path))


def refusal(target: str, folder: Path) -> str:
    """The sentence with which `target` is refused."""
    with pytest.raises(ConfigError) as refused:
        load_agents(target, folder)
    return str(refused.value)
