"""Sessions by owner, runs of all sessions, and what went wrong, from the terminal."""

from tenure.client import Client
from tests.cli.conftest import Run


def failed(client: Client, reason: str) -> str:
    """A session whose run failed. The id of the run."""
    session = client.open_session("scripted").id
    list(client.say(session, f"FAIL {reason}"))
    (run,) = client.runs(session)
    return run.id


def test_sessions_are_listed_by_owner_and_by_how_their_last_run_fared(tenure: Run, client: Client) -> None:
    session = client.run(failed(client, "no luck")).session_id

    mine = tenure("sessions", "--owner", "admin", "--last-run", "failed", "--json")
    nobodys = tenure("sessions", "--owner", "nobody", "--json")

    assert session in [value["id"] for value in mine.values]
    assert nobodys.values == []


def test_runs_without_a_name_are_those_of_all_sessions(tenure: Run, client: Client) -> None:
    run = client.run(failed(client, "no luck"))

    listed = tenure("runs", "--status", "failed", "--agent", "scripted", "--limit", "1")
    as_json = tenure("runs", "--owner", "admin", "--limit", "1", "--json")

    heading, line = listed.out.splitlines()
    assert heading.split()[-3:] == ["AGENT", "OWNER", "SESSION"]
    assert line.split()[0] == run.id
    assert line.split()[-3:] == ["scripted", "admin", run.session_id]
    assert as_json.values[0]["id"] == run.id


def test_what_went_wrong_is_told_put_together(tenure: Run, client: Client) -> None:
    failed(client, "twice")
    run = failed(client, "twice")

    listed, as_json = tenure("runs", "--faults"), tenure("runs", "--faults", "--limit", "1", "--json")

    heading, line, *_ = listed.out.splitlines()
    assert heading.split() == ["COUNT", "AGENT", "STATUS", "REASON", "LATEST", "RUN"]
    assert line.split()[:4] == ["2", "scripted", "failed", "twice"]
    assert line.split()[-1] == run
    assert [value["count"] for value in as_json.values] == [2]


def test_conditions_about_all_runs_are_refused_beside_an_id(tenure: Run, client: Client) -> None:
    ran = tenure("runs", client.open_session("scripted").id, "--status", "failed")

    assert (ran.code, ran.out) == (2, "")
    assert "Leave the id out" in ran.err
