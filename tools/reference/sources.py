"""The page of sources: each behaviour and fault of the neighbours, what became of it, the tests that show it.

The words stand in `sources.toml`, by id. Which tests show a row is read from the marks in the tests:
`@pytest.mark.sources("R01", "D-R3")`. Nothing is imported for that.
"""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tools.reference.markdown import code, document, table

ROOT = Path(__file__).parents[2]
WORDS = Path(__file__).with_name("sources.toml")
TESTED = (
    "tests/**/test_*.py",
    "src/tenure/stores/contract/*.py",
    "src/tenure/runners/contract/*.py",
)
"""Where marks are looked for: the tests, and the suites that stores and runners are tested with."""
MARK = "pytest.mark.sources"

INTRO = """\
Three hosts of agents came before this one, and taught us most of what it has to do: the runner host of
LangBot (rows R, S and O), the session manager of ml-intern (M) and the session orchestrator of Navi (N).
Each of their behaviours exists here or was replaced by a better one, and each fault that we found in them
(D) has been made impossible. So have the promises of the product (P) and the scenes it is accepted by (A).

The tests of a row carry its id as a mark (`@pytest.mark.sources`); another test holds marks and rows to
each other both ways. Those of the [store suite](../how-to/write-a-store.md) (`stores/contract`) run for every
store."""


class Group(NamedTuple):
    """Rows of one kind, numbered from 1."""

    prefix: str
    size: int
    digits: int
    title: str
    heads: tuple[str, str]

    @property
    def ids(self) -> list[str]:
        """The ids of its rows, in order."""
        return [f"{self.prefix}{number:0{self.digits}}" for number in range(1, self.size + 1)]


ROW, FAULT = ("behaviour", "here"), ("fault", "why it can't happen here")
GROUPS = (
    Group("R", 20, 2, "Runs, grants and steering", ROW),
    Group("S", 25, 2, "State", ROW),
    Group("O", 32, 2, "From an event to its outcome", ROW),
    Group("M", 21, 2, "Many sessions", ROW),
    Group("N", 21, 2, "Streams, and recalls", ROW),
    Group("D-R", 11, 0, "Faults of runs, grants and steering", FAULT),
    Group("D-S", 10, 0, "Faults of state", FAULT),
    Group("D-O", 21, 0, "Faults between an event and its outcome", FAULT),
    Group("D-M", 19, 0, "Faults of many sessions", FAULT),
    Group("D-N", 16, 0, "Faults of streams and recalls", FAULT),
    Group("P", 12, 0, "Promises", ("promise", "how it is kept")),
    Group("A", 30, 0, "Acceptance", ("scene", "outcome")),
)


class Row(NamedTuple):
    """One row in words: what it was, what is here instead."""

    what: str
    how: str


class Mark(NamedTuple):
    """A test that says it shows a row."""

    id: str
    test: str


def page() -> str:
    """The whole page."""
    return document("Sources", INTRO, *(_section(group) for group in GROUPS))


@cache
def rows() -> dict[str, Row]:
    """All rows, by id."""
    return {id_: Row(**row) for id_, row in tomllib.loads(WORDS.read_text("utf-8")).items()}


@cache
def marks() -> tuple[Mark, ...]:
    """Every mark of every test, by file and line."""
    paths = sorted({path for pattern in TESTED for path in ROOT.glob(pattern)})
    return tuple(mark for path in paths for mark in _marks_in(path))


def problems() -> list[str]:
    """Where rows and marks don't fit each other: each as a sentence. Empty if they do."""
    wanted = [id_ for group in GROUPS for id_ in group.ids]
    shown, known = {mark.id for mark in marks()}, rows()
    return [
        *(f"{id_} has no words in sources.toml." for id_ in wanted if id_ not in known),
        *(f"{id_} in sources.toml is no id of any group." for id_ in known if id_ not in wanted),
        *(
            f"{mark.test} is marked with the unknown id {mark.id!r}."
            for mark in marks()
            if mark.id not in known
        ),
        *(f"No test is marked with {id_}." for id_ in known if id_ not in shown),
    ]


def _section(group: Group) -> str:
    tests: dict[str, list[str]] = defaultdict(list)
    for mark in marks():
        tests[mark.id].append(mark.test)
    lines = [
        [f'<a id="{id_}"></a>{id_}', row.what, row.how, _tests(tests[id_])]
        for id_ in group.ids
        for row in [rows()[id_]]
    ]
    return f"## {group.title}\n\n{table(['id', *group.heads, 'shown by'], lines)}"


def _tests(names: list[str]) -> str:
    return "<br>".join(code(name) for name in names)


def _marks_in(path: Path) -> Iterator[Mark]:
    place = path.relative_to(ROOT).as_posix().removeprefix("src/tenure/")
    text = path.read_text("utf-8")
    tree = ast.parse(text if MARK in text else "")
    for inside in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        for node in inside.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for id_ in _ids_of(node):
                    yield Mark(id_, f"{place}::{node.name}")


def _ids_of(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == MARK:
            for argument in decorator.args:
                yield ast.literal_eval(argument)
