"""Holds the source to the project's bars of form: lengths, floors of purity, forbidden habits.

It reads the source as text and as syntax trees; it never imports it.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tenure"

WIRING = "wiring.py"
BROAD_EXCEPT_MAY_END_IN = {"host/execution.py", "host/tools.py", "http/front.py", "tools/threads.py"}
SHARED_PLACES = (
    "signals/postgres.py",
    "stores/folders.py",
    "stores/postgres/files.py",
    "runners/acp/memory.py",
)
"""What keeps things where other hosts keep theirs: names that nobody else has, and how old a file is."""
MAY_ASK_THE_MACHINE = (
    *(WIRING, "ports/clock.py", "host/clock.py", "client/", "cli/", "tools/town.py"),
    *SHARED_PLACES,
)
MACHINE_MODULES = {"random", "secrets", "uuid"}
MACHINE_CALLS = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "os.urandom",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef

COMMENT = r"#[^/]*(\./dev lock)?"
PIN = r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==[\w.+!]+( ; [^:/]+)? \\"
HASH = r"    --hash=sha256:[0-9a-f]{64}( \\)?"
LOCK_LINE = re.compile(f"{COMMENT}|{PIN}|{HASH}")


def test_no_function_is_longer_than_80_lines() -> None:
    assert {name: length for name, length in lengths().items() if length > 80} == {}


def test_hardly_any_function_is_longer_than_50_lines() -> None:
    long = {name: length for name, length in lengths().items() if length > 50}

    assert len(long) <= 0.02 * len(lengths()), long


def test_half_of_all_functions_have_at_most_10_lines() -> None:
    assert quantile(0.5) <= 10


def test_19_of_20_functions_have_at_most_40_lines() -> None:
    assert quantile(0.95) <= 40


def test_no_file_is_longer_than_600_lines() -> None:
    files = {place(path): path.read_text().count("\n") for path in sorted(SOURCE.rglob("*.py"))}

    assert {name: count for name, count in files.items() if count > 600} == {}


def test_every_module_begins_with_what_it_is() -> None:
    silent = [name for name, tree in trees().items() if not ast.get_docstring(tree)]

    assert silent == []


def test_imports_stand_at_the_top_except_for_late_extras_in_the_wiring() -> None:
    late = {
        at(name, node)
        for name, function in functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and name != WIRING
    }

    assert late == set()


def test_core_and_host_never_ask_an_object_whether_it_has_a_name() -> None:
    assert [spot for spot in asked_for_names() if spot.startswith(("core/", "host/"))] == []


def test_hardly_anything_asks_an_object_whether_it_has_a_name() -> None:
    assert len(asked_for_names()) <= 5, asked_for_names()


def test_core_has_no_mapping_of_anything() -> None:
    shapeless = [
        at(name, node)
        for name, node in nodes()
        if name.startswith("core/")
        and isinstance(node, ast.Subscript)
        and ast.unparse(node) in {"dict[str, Any]", "Mapping[str, Any]"}
    ]

    assert shapeless == []


def test_only_the_boundaries_to_runners_tools_and_http_swallow_whatever_is_raised() -> None:
    swallowing = [
        at(name, node)
        for name, node in nodes()
        if isinstance(node, ast.ExceptHandler)
        and is_broad(node)
        and not raises_again(node)
        and name not in BROAD_EXCEPT_MAY_END_IN
    ]

    assert swallowing == []


def test_time_and_chance_come_from_outside() -> None:
    asking = [
        at(name, node)
        for name, node in nodes()
        if not name.startswith(MAY_ASK_THE_MACHINE) and asks_the_machine(node)
    ]

    assert asking == []


def test_lock_files_hold_pins_and_hashes_but_no_address_or_path() -> None:
    strange = [
        f"{path.name}: {line}"
        for path in sorted((ROOT / "requirements").glob("*.txt"))
        for line in path.read_text().splitlines()
        if not LOCK_LINE.fullmatch(line)
    ]

    assert strange == []


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether the handler takes whatever is raised."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(kind) in {"Exception", "BaseException"} for kind in kinds)


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether the handler only tidies up and lets the exception go on."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def asks_the_machine(node: ast.AST) -> bool:
    """Whether the node reads the wall clock or draws at random."""
    match node:
        case ast.Import(names=names):
            return any(name.name in MACHINE_MODULES for name in names)
        case ast.ImportFrom(module=str(module), names=names):
            return module in MACHINE_MODULES or any(
                f"{module}.{name.name}" in MACHINE_CALLS for name in names
            )
        case ast.Attribute():
            return ".".join(ast.unparse(node).split(".")[-2:]) in MACHINE_CALLS
        case _:
            return False


def asked_for_names() -> list[str]:
    """Where `getattr` or `hasattr` is called with a name known beforehand."""
    return [
        at(name, node)
        for name, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"getattr", "hasattr"}
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    ]


def quantile(share: float) -> int:
    """The length that the given share of all functions doesn't exceed."""
    ordered = sorted(lengths().values())
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@cache
def lengths() -> dict[str, int]:
    """The number of lines of every function, by its place and name."""
    return {
        f"{at(name, node)} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for name, node in functions()
    }


def functions() -> Iterator[tuple[str, Function]]:
    """Every function of the source, with the file it stands in."""
    for name, node in nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, node


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of every syntax tree, with the file it stands in."""
    for name, tree in trees().items():
        for node in ast.walk(tree):
            yield name, node


@cache
def trees() -> dict[str, ast.Module]:
    """The syntax trees of all source files, by their place in the package."""
    return {place(path): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}


def place(path: Path) -> str:
    """Where a file stands in the package."""
    return path.relative_to(SOURCE).as_posix()


def at(name: str, node: ast.AST) -> str:
    """A place that an editor can open."""
    line = node.lineno if isinstance(node, ast.stmt | ast.expr | ast.ExceptHandler) else 0
    return f"{name}:{line}"
