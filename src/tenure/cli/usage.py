"""`tenure usage`: what users spent, by day."""

from datetime import datetime
from itertools import islice
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import print_json, print_table

app = typer.Typer()

HEADINGS = ("DAY", "USER", "TENANT", "RUNS", "TOKENS IN", "TOKENS OUT", "TOOL CALLS", "COST")
DATES = ["%Y-%m-%d"]


@app.command("usage")
def usage(
    since: Annotated[datetime | None, typer.Option("--from", formats=DATES, help="The first day.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=DATES, help="The last day.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Only of this user.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what was spent by user and day, UTC."""
    first = None if since is None else since.date()
    last = None if until is None else until.date()
    with connected(server, key, home) as client:
        days = list(islice(client.usage(since=first, until=last, user=user), limit))
    if as_json:
        for day in days:
            print_json(day)
        return
    print_table(
        HEADINGS,
        [
            (
                day.day,
                day.user,
                day.tenant,
                day.runs,
                day.input_tokens,
                day.output_tokens,
                day.tool_calls,
                "unknown" if day.cost is None else f"{day.cost:.4f}",
            )
            for day in days
        ],
    )
