"""`tenure export`: a whole session as one file."""

from pathlib import Path
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, SessionId, connected
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_fields, print_json
from tenure.client.bundle import export_session

app = typer.Typer()


@app.command("export")
def export(
    session: SessionId,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where to write it.  [default: SESSION.tenure]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write a session, its whole journal and its files, to one file with a hash for each part."""
    path = (out or Path(f"{session}.tenure")).expanduser()
    if path.exists() and not force:
        raise Stop(Exit.USAGE, f"{path} is there already. Choose another name with --out, or give --force.")
    with connected(server, key, home) as client:
        manifest = export_session(client, session, path)
    if as_json:
        print_json(manifest)
        return
    files = sum(part.file is not None for part in manifest.parts)
    print_fields(
        [
            ("file", str(path)),
            ("events", manifest.head_seq - manifest.first_seq + 1),
            ("files", files),
        ]
    )
