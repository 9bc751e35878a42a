"""Statements that show much at once find their rows by the right index, among a million others."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import pytest

from tenure.stores.sqlite.files import connect, migrate
from tenure.stores.sqlite.queries import SQL

VALUE = re.compile(r"(?<!:):(\w+)")
FIRST, WITHIN = r"\(strand=\? AND last_seq>\?\)", r"\(strand=\? AND last_seq>\? AND last_seq<\?\)"

FOUND_BY = {
    "brief_after": [f"journal_order {WITHIN}", f"journal_order {FIRST}"],
    "brief_before": [f"journal_order {WITHIN}", f"journal_order {FIRST}"],
    "journal_before": [r"journal_order \(strand=\? AND last_seq<\?\)", f"journal_order {FIRST}"],
    "journal_until": [f"journal_order {WITHIN}", f"journal_order {FIRST}"],
    "journal_back": [r"journal_order \(strand=\? AND last_seq<\?\)", f"journal_order {FIRST}"],
    "journal_left": [f"journal_order {FIRST}"],
    "brief_openings": ["message_transcript", r"journal_order \(strand=\? AND last_seq=\?\)"],
    "brief_unfinished": ["message_streaming", "message_transcript"],
    "brief_live": ["run_live", "message_id"],
    "session_lasts": ["run_session", "message_transcript"],
    "session_hits": ["VIRTUAL TABLE INDEX 0:M"],
    "runs_latest": [r"INTEGER PRIMARY KEY \(rowid>\? AND rowid<\?\)"],
    "runs_live": ["run_live"],
    "runs_fault": ["run_fault_latest"],
    "runs_of_owner": ["session_owner", "run_session"],
    "run_faults": ["run_fault "],
    "run_number_from": ["INTEGER PRIMARY KEY"],
    "outline_messages": ["message_transcript"],
    "outline_traces": ["trace_run", "approval_call"],
}
SORTED_BY_ITS_INDEX = {
    "brief_after",
    "brief_before",
    "journal_before",
    "journal_until",
    "journal_back",
    "runs_latest",
    "outline_messages",
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Connection]:
    """A database with our schema and nothing in it."""
    with closing(connect(str(tmp_path / "tenure.db"), writer=True)) as db:
        migrate(db)
        yield db


def test_each_statement_uses_its_index_and_what_can_be_long_is_never_sorted(database: Connection) -> None:
    for name, indexes in FOUND_BY.items():
        values = dict.fromkeys(VALUE.findall(SQL[name]))
        plan = [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values)]

        for index in indexes:
            assert any(re.search(index, step) for step in plan), (name, index, plan)
        assert not (name in SORTED_BY_ITS_INDEX and any("TEMP B-TREE" in step for step in plan)), (name, plan)
