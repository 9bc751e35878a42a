"""`tenure import`: a session from a file that `tenure export` wrote."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tenure.cli.backup import StoreUrl, settings_of
from tenure.cli.options import AsJson, Home
from tenure.cli.screen import print_json, put
from tenure.core.principal import DEFAULT_TENANT
from tenure.moving import import_session
from tenure.wiring import ADMIN

app = typer.Typer()


@app.command("import")
def imported(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `tenure export` wrote.")],
    owner: Annotated[str, typer.Option("--owner", metavar="USER", help="Whose it is to be.")] = ADMIN,
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="TENANT", help="The tenant of that user.")
    ] = DEFAULT_TENANT,
    title: Annotated[str | None, typer.Option("--title", help="Another title.")] = None,
    home: Home = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Open a session from a file. It begins with the whole journal, under the same numbers.

    A home must have no server while this runs; a database in Postgres may have any number.
    """
    settings = settings_of(home, store)
    info = asyncio.run(import_session(file.expanduser(), settings, owner, tenant, title))
    if as_json:
        print_json(info)
    else:
        put(info.id)
