"""`tenure runs`: the runs of a session, or one of them."""

from itertools import islice
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import print_fields, print_json, print_table
from tenure.core.ids import RUN
from tenure.core.view import RunInfo

app = typer.Typer()

HEADINGS = ("ID", "STATUS", "REASON", "ATTEMPT", "QUEUED", "FINISHED")


@app.command("runs")
def runs(
    name: Annotated[str, typer.Argument(metavar="SESSION|RUN", help="The id of a session, or of one run.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of a session, the latest first, or show one run."""
    with connected(server, key, home) as client:
        if name.startswith(RUN):
            report(client.run(name), as_json=as_json)
            return
        found = list(islice(client.runs(name), limit))
    if as_json:
        for run in found:
            print_json(run)
        return
    print_table(HEADINGS, [row(run) for run in found])


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
