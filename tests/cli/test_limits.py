"""`tenure sessions --search` and `tenure usage`."""

from datetime import UTC, datetime
from uuid import uuid4

from tenure.client import Client
from tests.cli.conftest import Run


def test_sessions_are_searched(tenure: Run, client: Client) -> None:
    word = f"w{uuid4().hex}"
    session = client.open_session("scripted", title=f"A {word}")

    ran = tenure("sessions", "--search", word, "--json")

    assert (ran.code, [value["id"] for value in ran.values]) == (0, [session.id])


def test_usage_is_shown_by_day(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted")
    list(client.say(session.id, "SAY hi"))
    today = datetime.now(UTC).date().isoformat()

    table, as_json = tenure("usage", "--from", today), tenure("usage", "--user", "admin", "--json")

    heading, line = table.out.splitlines()
    assert heading.split()[:4] == ["DAY", "USER", "TENANT", "RUNS"]
    assert line.split()[:3] == [today, "admin", "default"]
    assert line.split()[-1] == "unknown"
    assert [(v["day"], v["user"], v["cost"]) for v in as_json.values] == [(today, "admin", None)]


def test_a_day_that_is_none_is_refused(tenure: Run) -> None:
    ran = tenure("usage", "--from", "yesterday")

    assert ran.code == 2
    assert "yesterday" in ran.err
