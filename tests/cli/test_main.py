"""The program itself: versions, what it loads, and what it calls its ends."""

import subprocess
import sys
import tomllib
from pathlib import Path

import tenure as package
from tenure.cli.outcome import Exit, exit_of
from tenure.errors import Code
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
HEAVY = ("httpx", "uvicorn", "starlette", "pydantic", "rich", "sqlite3", "asyncio", "websockets")
LOADED = f"""
import sys
from tenure.cli.main import main
code = main(["--version"])
print(code, [name for name in {HEAVY!r} if name in sys.modules])
"""


def test_version_is_that_of_the_package(tenure: Run) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["version"]

    assert tenure("--version") == (0, f"tenure {declared}\n", "")
    assert package.__version__ == declared


def test_version_loads_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=30, check=True
    )

    assert ran.stdout.splitlines()[1:] == ["0 []"]


def test_nothing_asked_for_shows_the_help(tenure: Run) -> None:
    ran = tenure()

    assert "Usage: tenure" in ran.out + ran.err
    assert ran.code in (0, 2)


def test_every_code_has_an_exit_code_that_is_no_success() -> None:
    ends = {code: exit_of(code) for code in Code}

    assert Exit.OK not in ends.values()
    assert Exit.INTERRUPTED not in ends.values()
    assert {code for code, end in ends.items() if end is Exit.NOT_FOUND} == {
        Code.NOT_FOUND,
        Code.UNKNOWN_AGENT,
        Code.NO_BINDING,
    }


def test_exit_codes_are_those_of_the_contract() -> None:
    assert {end.name: end.value for end in Exit} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "DENIED": 4,
        "CAPACITY": 5,
        "UNREACHABLE": 6,
        "INTERRUPTED": 130,
    }


def test_completion_of_a_shell_knows_the_options_of_a_command(
    environment: dict[str, str],
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tenure.cli.main"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={
            **environment,
            "_TENURE_COMPLETE": "complete_bash",
            "COMP_WORDS": "tenure watch --a",
            "COMP_CWORD": "2",
        },
    )

    assert "--after" in ran.stdout
