"""Statements about approvals and calls find their rows by an index, however many there are."""

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tenure.stores.relational.statements import load
from tenure.stores.sqlite.files import connect, migrate

TEXT = files("tenure.stores.relational").joinpath("sql/approvals.sql").read_text("utf-8")
STATEMENTS = load(TEXT.partition("\n\n")[2])
Plan = Callable[[str], list[str]]

VALUE = re.compile(r"(?<!:):(\w+)")


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    """How the database would carry a statement out."""
    db = connect(str(tmp_path / "tenure.db"), writer=True)
    migrate(db)

    def explain(sql: str) -> list[str]:
        values = dict.fromkeys(VALUE.findall(sql))
        return [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, values)]

    yield explain
    db.close()


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_looks_at_every_row(name: str, plan: Plan) -> None:
    steps = plan(STATEMENTS[name])

    assert [step for step in steps if step.startswith("SCAN")] == []
