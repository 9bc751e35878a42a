"""Look-ups stay flat: no statement that a session or a run waits for walks a whole table."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenure.stores.sqlite.files import connect, migrate
from tenure.stores.sqlite.queries import SQL

WALKS = {
    "deed_expire": "the oldest entries of the audit log, a few at a time",
    "fork_family": "the forks of one session, which it found by an index",
    "hosts_expired": "the hosts that stand: one on a file",
    "hosts_others": "the hosts that stand: one on a file",
    "key_revoke_roots": "once, when a server starts with another admin key",
    "load_of": "the one row that it made itself",
    "load_queue": "what waits in all sessions, by an index of nothing else, on a reader",
    "load_top": "counters of users, for capacity, on a reader",
    "purge_next": "the index of deleted sessions alone",
    "read_figures": "counts for stats, on a reader",
    "read_hosts": "the hosts that stand: one on a file",
    "read_waiting": "what waits in one session, which it found by two indexes",
    "retirable": "retention, on a reader",
    "run_faults": "groups that it made of an index of failed runs, on a reader",
    "run_orphans": "once, when a host starts",
    "runs_fault": "a page of an index of failed runs, on a reader",
    "runs_live": "the runs that are live, by an index of nothing else, on a reader",
    "runs_of_owner": "a page of one user's runs, on a reader",
    "schedule_figures": "counts for stats, by an index, on a reader",
    "search_pending": "the index of messages that can't be searched yet, a few at a time",
    "session_facets": "the latest sessions, as many as it is told, on a reader",
    "strand_loose": "strands that wait to be freed",
    "usage_days": "pages of an index, on a reader",
    "user_page": "a page of users, on a reader",
}
"""What may walk a whole table or index, and when. Beside these there are the checks of `tenure doctor`."""

BOUNDED = ("VIRTUAL TABLE", "CONSTANT", "(subquery")
"""A search through an index of words, the parts of a list, and what the statement made itself."""

NAMED = re.compile(r"(?<![:\w]):([a-z_0-9]+)")
POSITION = re.compile(r"\?(\d*)")


def walked(db: sqlite3.Connection, sql: str) -> Iterator[str]:
    """What a statement walks from end to end, by its plan."""
    names, places = NAMED.findall(sql), POSITION.findall(sql)
    count = max((int(place) for place in places if place), default=len(places))
    given: object = dict.fromkeys(names) if names else [None] * count
    for *_, step in db.execute(f"EXPLAIN QUERY PLAN {sql}", given):
        what = str(step)
        if what.startswith("SCAN ") and not any(word in what for word in BOUNDED):
            yield what


@pytest.mark.sources("D-R10")
def test_no_statement_walks_a_table_but_those_that_nobody_waits_for(tmp_path: Path) -> None:
    with closing(connect(str(tmp_path / "tenure.db"), writer=True)) as db:
        migrate(db)
        walks = {name: list(walked(db, sql)) for name, sql in SQL.items() if not name.startswith("audit_")}

    assert {name for name, steps in walks.items() if steps} == set(WALKS)
