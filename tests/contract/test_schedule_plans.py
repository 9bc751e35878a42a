"""Statements about schedules find their rows by the right index, and in order, among a million others."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import pytest

from tenure.stores.sqlite.files import connect, migrate
from tenure.stores.sqlite.queries import SQL

VALUE = re.compile(r"(?<!:):(\w+)")

FOUND_BY = {
    "schedule_next": ["schedule_due"],
    "retry_next": ["occurrence_retry"],
    "read_due": ["schedule_due"],
    "read_retries": ["occurrence_retry"],
    "read_schedules": ["INTEGER PRIMARY KEY"],
    "read_schedules_in_state": ["schedule_state"],
    "read_schedules_of_session": ["schedule_session"],
    "read_own_schedules": ["schedule_owner", "schedule_session_owner"],
    "read_own_schedules_in_state": ["schedule_owner_state", "schedule_session_owner"],
    "read_occurrences": ["occurrence_schedule"],
    "read_last_occurrence": ["occurrence_schedule"],
    "occurrence_of_message": ["occurrence_message"],
    "occurrences_give_up": ["occurrence_retrying"],
    "occurrences_oldest": ["occurrence_schedule"],
    "schedule_quota_lock": ["PRIMARY KEY"],
    "schedules_of_session": ["schedule_session"],
    "purge_recalled": ["occurrence_message"],
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Connection]:
    """A database with our schema and nothing in it."""
    with closing(connect(str(tmp_path / "tenure.db"), writer=True)) as db:
        migrate(db)
        yield db


def test_each_statement_uses_its_index_and_sorts_nothing(database: Connection) -> None:
    for name, indexes in FOUND_BY.items():
        sql = SQL[name]
        values = dict.fromkeys(VALUE.findall(sql))
        plan = [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        used = [step for step in plan if re.match(r"SEARCH (s|o|schedule|schedule_quota|occurrence)\b", step)]

        assert [step for step in plan if "TEMP B-TREE" in step] == [], name
        for index in indexes:
            assert any(re.search(rf"\b{index}\b", step) for step in used), (name, plan)
