"""Holds the map of sources to the tests both ways: every row is shown, every mark names a row."""

import ast

from tools.reference import FOLDER
from tools.reference.sources import MARK, ROOT, TESTED, marks, page, problems, rows


def test_every_row_has_a_test_and_every_mark_a_row() -> None:
    assert problems() == []


def test_every_mark_is_the_decorator_of_a_test() -> None:
    written = sum(
        len(node.args)
        for pattern in TESTED
        for path in ROOT.glob(pattern)
        if MARK in (text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == MARK
    )

    assert written == len(marks())


def test_no_test_is_marked_twice_with_one_row() -> None:
    assert sorted(set(marks())) == sorted(marks())


def test_every_row_says_in_a_sentence_what_it_is_and_what_is_here() -> None:
    silent = [id_ for id_, row in rows().items() if not row.what.endswith(".") or not row.how.endswith(".")]

    assert silent == []


def test_the_page_is_what_rows_and_marks_say() -> None:
    path = FOLDER / "sources.md"

    assert path.read_text("utf-8") == page(), "Bring it up to date: .venv/bin/python -m tools.reference"
