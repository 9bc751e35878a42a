"""`tenure state`: what it prints, what it does, and how it ends."""

from tenure.client import Client
from tests.cli.conftest import Run


def test_state_is_set_printed_listed_and_deleted(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    assert tenure("state", "set", session, "conversation", "plan", '{"steps": [1]}') == (0, "1\n", "")
    assert tenure("state", "get", session, "conversation", "plan") == (0, '{"steps":[1]}\n', "")
    listed = tenure("state", "list", session, "conversation")
    assert [line.split() for line in listed.out.splitlines()] == [
        ["KEY", "VERSION", "EXPIRES", "VALUE"],
        ["plan", "1", '{"steps":[1]}'],
    ]
    assert tenure("state", "delete", session, "conversation", "plan") == (0, "", "")
    ran = tenure("state", "get", session, "conversation", "plan")
    assert ran.code == 3
    assert "There is no 'plan' in the conversation state" in ran.err


def test_state_as_json_is_one_value_a_line(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    kept = {"scope": "actor", "key": "json-out", "value": "a@b", "version": 1}

    made = tenure("state", "set", session, "actor", "json-out", '"a@b"', "--json", "--if-version", "0")

    assert made.values == [kept]
    assert tenure("state", "get", session, "actor", "json-out", "--json").values == [kept]
    assert kept in tenure("state", "list", session, "actor", "--json").values
    gone = tenure("state", "delete", session, "actor", "json-out", "--json", "--if-version", "1")
    assert gone.values == [{"scope": "actor", "key": "json-out", "deleted": True}]


def test_state_of_another_version_or_scope_or_no_json_is_refused(tenure: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    client.set_state(session, "conversation", "n", 1)

    late = tenure("state", "set", session, "conversation", "n", "2", "--if-version", "7")
    scope = tenure("state", "get", session, "nope", "n")
    text = tenure("state", "set", session, "conversation", "n", "hello")
    subject = tenure("state", "list", session, "subject")

    assert (late.code, scope.code, text.code, subject.code) == (2, 2, 2, 2)
    assert "has version 1; the write was for version 7" in late.err
    assert "is no JSON" in text.err
    assert "no subject here" in subject.err


def test_value_is_read_from_stdin_and_shown_without_what_a_terminal_obeys(piped: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    kept = piped("state", "set", session, "conversation", "k", "-", "--ttl", "60", given='"a\\u001b[31m"')

    assert kept == (0, "1\n", "")
    value = client.state(session, "conversation", "k")
    assert (value.value, value.expires_at is None) == ("a\x1b[31m", False)
    assert "\x1b" not in piped("state", "list", session, "conversation").out
