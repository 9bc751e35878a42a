"""What `import tenure` gives, what it brings along, and how long it takes."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

import pytest

import tenure

MOST_SECONDS = 0.1
MOST_KIB = 30 * 1024
ALLOWED = {"tenure", "msgspec", "typing_extensions"}
"""Outside the standard library. msgspec takes typing_extensions along where it finds it."""

LOOK = """
import sys, time
before, start = set(sys.modules), time.process_time()
import tenure
spent = time.process_time() - start
import json
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]
seen = {"modules": sorted(set(sys.modules) - before), "seconds": spent, "kib": int(peak)}
print(json.dumps(seen))
"""


class Look(TypedDict):
    """What one fresh interpreter saw."""

    modules: list[str]
    seconds: float
    kib: int


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> list[Look]:
    """Six fresh imports after one that compiles, so that compiling isn't measured."""
    folder = tmp_path_factory.mktemp("bytecode")
    return [look(folder) for _ in range(7)][1:]


def look(bytecode: Path) -> Look:
    """Import in a fresh interpreter that keeps its bytecode in a folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV_"))}
    answer = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**kept, "PYTHONPYCACHEPREFIX": str(bytecode)},
        capture_output=True,
        check=True,
        timeout=30,
    )
    return json.loads(answer.stdout)


def test_import_brings_msgspec_and_the_standard_library_only(looks: list[Look]) -> None:
    roots = {name.partition(".")[0] for name in looks[0]["modules"]}

    assert {root for root in roots if root not in sys.stdlib_module_names} <= ALLOWED


def test_import_brings_neither_event_loop_nor_server_nor_client(looks: list[Look]) -> None:
    brought = set(looks[0]["modules"])

    assert brought & {"asyncio", "sqlite3", "importlib.metadata", "logging"} == set()
    assert {name.split(".")[1] for name in brought if name.startswith("tenure.")} == {
        "core",
        "errors",
        "ports",
        "runners",
        "tools",
    }


def test_import_takes_at_most_100_ms_and_30_mib(looks: list[Look]) -> None:
    assert min(look["seconds"] for look in looks) <= MOST_SECONDS
    assert min(look["kib"] for look in looks) <= MOST_KIB


def test_everything_promised_is_there() -> None:
    assert sorted(tenure.__all__) == tenure.__all__
    assert [name for name in tenure.__all__ if name not in vars(tenure)] in ([], ["__version__"])


def test_version_is_that_of_the_installed_package() -> None:
    assert tenure.__version__ == version("tenure")


def test_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="tenure has no attribute 'agnet'"):
        tenure.agnet  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]  # noqa: B018
