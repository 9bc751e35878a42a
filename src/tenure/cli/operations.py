"""`tenure capacity`, `tenure users`, `tenure audit`: for those who run the server."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import print_json, print_table, put
from tenure.core.audit import AuditEntry, Deed
from tenure.core.capacity import LimitStanding

app = typer.Typer()

LIMITS = ("LIMIT", "IN USE", "OF", "MOST BY")
LOADS = ("USER", "TENANT", "LIVE RUNS", "QUEUED RUNS", "OPEN SESSIONS", "SCHEDULES", "STREAMS")
USERS = ("USER", "TENANT", "ROLES", "KEYS", "OPEN SESSIONS", "LIVE RUNS")
AUDIT = ("AT", "BY", "ACTION", "SUBJECT", "TENANT", "DETAIL")
TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


@app.command("capacity")
def capacity(server: Server = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """Show the limits, what is used of them, and who uses most."""
    with connected(server, key, home) as client:
        found = client.capacity()
    if as_json:
        print_json(found)
        return
    print_table(LIMITS, [_limit(each) for each in found.limits])
    if found.users:
        put("")
        rows = [
            (u.user, u.tenant, u.live_runs, u.queued_runs, u.open_sessions, u.schedules, u.streams)
            for u in found.users
        ]
        print_table(LOADS, rows)


def _limit(standing: LimitStanding) -> tuple[object, ...]:
    return (
        standing.name,
        "-" if standing.current is None else f"{standing.current:g}",
        "no limit" if standing.limit is None else f"{standing.limit:.10g}",
        standing.session_id or standing.user or "-",
    )


@app.command("users")
def users(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the users that keys and sessions name."""
    with connected(server, key, home) as client:
        found = list(islice(client.users(), limit))
    if as_json:
        for each in found:
            print_json(each)
        return
    rows = [
        (u.user, u.tenant, ", ".join(u.roles) or "-", u.keys, u.open_sessions, u.live_runs) for u in found
    ]
    print_table(USERS, rows)


@app.command("audit")
def audit(
    action: Annotated[Deed | None, typer.Option("--action", help="Only of this action.")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="USER", help="Only what this user did.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", formats=TIMES, help="Only from then on.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what, the latest first."""
    with connected(server, key, home) as client:
        found = list(islice(client.audit(action=action, by=by, since=since), limit))
    if as_json:
        for entry in found:
            print_json(entry)
        return
    print_table(AUDIT, list(_entries(found)))


def _entries(found: list[AuditEntry]) -> Iterator[tuple[object, ...]]:
    for entry in found:
        said = " ".join(f"{name}={value}" for name, value in entry.detail.items())
        subject = f"{entry.subject.kind} {entry.subject.id}"
        yield entry.at[:19], entry.by, entry.action, subject, entry.tenant or "-", said or "-"
