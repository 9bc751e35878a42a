"""The doctor: what it finds, and that it needs no server."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tenure.client import Client
from tests.cli.conftest import Run
from tests.client.hosted import Hosted


def test_home_of_a_live_server_is_sound(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    list(client.say(session, "SAY hi"))

    ran = tenure("doctor")

    assert (ran.code, ran.err) == (0, "")
    assert client.whoami().history in ran.out
    assert "invariants hold" in ran.out


def test_report_as_json_has_history_figures_sizes_and_versions(
    tenure: Run, client: Client, hosted: Hosted
) -> None:
    client.open_session("scripted")

    (report,) = tenure("doctor", "--json").values

    assert report["home"] == str(hosted.home)
    assert report["history"] == client.whoami().history
    assert report["sqlite"] == sqlite3.sqlite_version
    assert report["violations"] == []
    assert isinstance(report["sessions"], int) and report["sessions"] >= 1
    assert isinstance(report["database_bytes"], int) and report["database_bytes"] > 0


def test_old_sqlite_is_warned_of(tenure: Run) -> None:
    (report,) = tenure("doctor", "--json").values

    old = sqlite3.sqlite_version_info < (3, 51, 3)
    assert bool(report["warnings"]) == old


def test_broken_journal_is_found_named_and_left_as_it_is(tenure: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    hosted = Hosted(home).start()
    with Client(hosted.url, hosted.key) as client:
        session = client.open_session("scripted").id
        list(client.say(session, "SAY hi"))
    hosted.stop()
    with closing(sqlite3.connect(home / "tenure.db")) as db, db:
        db.execute("UPDATE head SET seq = seq + 1")

    first = tenure("doctor", "--home", str(home))
    second = tenure("doctor", "--home", str(home), "--json")

    assert first.code == second.code == 1
    assert session in first.out and "The journal is numbered" in first.out
    assert second.values[0]["violations"] != []
    with closing(sqlite3.connect(home / "tenure.db")) as db, db:
        db.execute("UPDATE head SET seq = seq - 1")
    assert tenure("doctor", "--home", str(home)).code == 0


def test_home_without_a_database_is_refused(tenure: Run, tmp_path: Path) -> None:
    ran = tenure("doctor", "--home", str(tmp_path))

    assert (ran.code, ran.out) == (2, "")
    assert str(tmp_path / "tenure.db") in ran.err


def test_file_that_is_no_database_is_refused(tenure: Run, tmp_path: Path) -> None:
    (tmp_path / "tenure.db").write_bytes(b"nothing of the kind" * 100)

    ran = tenure("doctor", "--home", str(tmp_path))

    assert ran.code == 2
    assert "can't be read as a database" in ran.err
