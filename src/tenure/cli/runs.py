"""`tenure runs`: the runs of a session or of all, one of them, or what went wrong."""

from itertools import islice
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_fields, print_json, print_table
from tenure.core.ids import RUN
from tenure.core.run import RunState
from tenure.core.view import ListedRun, RunFault, RunInfo

app = typer.Typer()

HEADINGS = ("ID", "STATUS", "REASON", "ATTEMPT", "QUEUED", "FINISHED")


@app.command("runs")
def runs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[SESSION|RUN]", help="The id of a session, or of one run. Left out: all runs."
        ),
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Of all, only this agent's.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="USER", help="Of all, only in this user's sessions.")
    ] = None,
    status: Annotated[
        RunState | None, typer.Option("--status", help="Of all, only with this status.")
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="Tell what went wrong in the last day, put together.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of a session, or of all, the latest first; or show one run, or what went wrong."""
    if name is not None and (agent or owner or status or faults):
        raise Stop(
            Exit.USAGE, "--agent, --owner, --status and --faults are about all runs. Leave the id out."
        )
    with connected(server, key, home) as client:
        if name is None and faults:
            list_faults(client.run_faults()[:limit], as_json=as_json)
        elif name is None:
            every = client.latest_runs(agent=agent, owner=owner, status=status)
            list_latest(list(islice(every, limit)), as_json=as_json)
        elif name.startswith(RUN):
            report(client.run(name), as_json=as_json)
        else:
            list_runs(list(islice(client.runs(name), limit)), as_json=as_json)


def list_runs(found: list[RunInfo], *, as_json: bool) -> None:
    """Print the runs of one session."""
    if as_json:
        for run in found:
            print_json(run)
        return
    print_table(HEADINGS, [row(run) for run in found])


def list_latest(found: list[ListedRun], *, as_json: bool) -> None:
    """Print runs of many sessions."""
    if as_json:
        for run in found:
            print_json(run)
        return
    rows = [(*row(run), run.agent, run.session_owner, run.session_id) for run in found]
    print_table((*HEADINGS, "AGENT", "OWNER", "SESSION"), rows)


def list_faults(found: tuple[RunFault, ...], *, as_json: bool) -> None:
    """Print what went wrong."""
    if as_json:
        for fault in found:
            print_json(fault)
        return
    rows = [(f.count, f.agent, f.status, f.reason, f.latest_at[:19], f.latest_run_id) for f in found]
    print_table(("COUNT", "AGENT", "STATUS", "REASON", "LATEST", "RUN"), rows)


def report(run: RunInfo, *, as_json: bool) -> None:
    """Print one run."""
    if as_json:
        print_json(run)
        return
    print_fields(
        [
            ("id", run.id),
            ("session", run.session_id),
            ("agent", run.agent),
            ("status", run.status),
            ("reason", run.reason),
            ("attempt", run.attempt),
            ("message", run.message_id),
            ("queued", run.queued_at),
            ("started", run.started_at),
            ("finished", run.finished_at),
            ("usage", run.usage),
            ("grant", run.grant),
        ]
    )


def row(run: RunInfo) -> tuple[object, ...]:
    """A run as a line of the table."""
    return (
        run.id,
        run.status,
        run.reason,
        run.attempt,
        run.queued_at[:19],
        run.finished_at and run.finished_at[:19],
    )
