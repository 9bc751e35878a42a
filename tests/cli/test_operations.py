"""`tenure capacity`, `tenure users` and `tenure audit`."""

from uuid import uuid4

import msgspec

from tenure.client import Client
from tenure.core.capacity import Capacity
from tenure.core.principal import Role
from tests.cli.conftest import Run


def test_capacity_shows_limits_and_who_uses_most(tenure: Run, client: Client) -> None:
    client.open_session("scripted")

    table, as_json = tenure("capacity"), tenure("capacity", "--json")

    lines = table.out.splitlines()
    assert lines[0].split() == ["LIMIT", "IN", "USE", "OF", "MOST", "BY"]
    assert [line.split()[0] for line in lines[1:4]] == [
        "open_sessions",
        "open_sessions_per_user",
        "live_runs",
    ]
    assert "commands_per_minute" in table.out and "no limit" in table.out
    found = msgspec.convert(as_json.values[0], Capacity)
    assert [user.user for user in found.users] == ["admin"]
    assert found.users[0].open_sessions >= 1


def test_users_are_listed_with_their_roles(tenure: Run, client: Client) -> None:
    name = f"u{uuid4().hex}"
    client.create_key(name, Role.OPERATOR)

    table, as_json = tenure("users"), tenure("users", "--json")

    (line,) = [line.split() for line in table.out.splitlines() if name in line]
    assert line == [name, "default", "operator", "1", "0", "0"]
    assert [(v["roles"], v["keys"]) for v in as_json.values if v["user"] == name] == [(["operator"], 1)]


def test_audit_shows_who_did_what(tenure: Run, client: Client) -> None:
    name = f"u{uuid4().hex}"
    key = client.create_key(name, Role.MEMBER)
    client.revoke_key(key.id)

    table = tenure("audit", "--limit", "2")
    made = tenure("audit", "--action", "key.created", "--by", "admin", "--limit", "1", "--json")

    heading, revoked, created = [line.split() for line in table.out.splitlines()]
    assert heading == ["AT", "BY", "ACTION", "SUBJECT", "TENANT", "DETAIL"]
    assert revoked[1:] == ["admin", "key.revoked", "key", key.id, "default", f"user={name}", "role=member"]
    assert created[2] == "key.created"
    assert [(v["action"], v["subject"]) for v in made.values] == [
        ("key.created", {"kind": "key", "id": key.id})
    ]
    assert key.key not in table.out + made.out


def test_audit_refuses_a_time_or_an_action_that_is_none(tenure: Run) -> None:
    since, action = tenure("audit", "--since", "yesterday"), tenure("audit", "--action", "nothing")

    assert (since.code, action.code) == (2, 2)
    assert "yesterday" in since.err and "nothing" in action.err
    assert tenure("audit", "--since", "2999-01-01").out.splitlines()[1:] == []
