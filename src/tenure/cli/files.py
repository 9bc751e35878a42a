"""`tenure files`: list, upload, download or delete the files of a session."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, SessionId, connected
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_json, print_table, put
from tenure.core.artifact import FileInfo

app = typer.Typer()
group = typer.Typer(help="List, upload, download or delete the files of a session.", no_args_is_help=True)
app.add_typer(group, name="files")

HEADINGS = ("ID", "NAME", "BYTES", "TYPE", "KIND", "BY", "CREATED")

FileId = Annotated[str, typer.Argument(metavar="FILE", help="The file's id.")]


@group.command("list")
def list_files(
    session_id: SessionId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the files of a session, oldest first."""
    with connected(server, key, home) as client:
        found = list(client.files(session_id))
    if as_json:
        for each in found:
            print_json(each)
        return
    print_table(
        HEADINGS, [(f.id, f.name, f.size, f.media_type, f.kind, f.by, f.created_at[:19]) for f in found]
    )


@group.command("upload")
def upload(
    session_id: SessionId,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to send.")],
    name: Annotated[str | None, typer.Option("--name", help="Another name for it.")] = None,
    media_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Its media type.  [default: by its name]")
    ] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send a file into a session, and print its id."""
    data = read(path)
    with connected(server, key, home) as client:
        made = client.upload_file(session_id, name or path.name, data, media_type=media_type)
    if as_json:
        print_json(made)
        return
    put(made.id)
    print(f"{made.name}, {made.size} bytes, {made.media_type}.", file=sys.stderr)


@group.command("download")
def download(
    session_id: SessionId,
    file_id: FileId,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="Where to put it, - for stdout.  [default: its name]"
        ),
    ] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a file. What is there already under its name is never overwritten."""
    with connected(server, key, home) as client:
        info = next((f for f in client.files(session_id) if f.id == file_id), None)
        if info is None:
            raise Stop(Exit.NOT_FOUND, f"There is no file {file_id} in session {session_id}. Check the id.")
        data = client.download_file(session_id, file_id)
    if str(output) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    written = write(output, info, data)
    if as_json:
        print_json({"path": str(written), "size": len(data), "sha256": info.sha256})
    else:
        put(str(written))


@group.command("delete")
def delete(
    session_id: SessionId,
    file_id: FileId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Delete a file of a session."""
    with connected(server, key, home) as client:
        client.delete_file(session_id, file_id)
    if as_json:
        print_json({"id": file_id, "deleted": True})


def read(path: Path) -> bytes:
    """The file to send. Raises Stop with `usage`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Stop(Exit.USAGE, f"{path} can't be read: {error.strerror}. Check the path.") from None


def write(output: Path | None, info: FileInfo, data: bytes) -> Path:
    """Write a download: where it was asked for, or under its own name here. Raises Stop with `usage`.

    The server tamed the name, but it may be another's server: only the last part of it counts.
    """
    target = Path(Path(info.name).name or info.id) if output is None else output
    try:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if output is None else os.O_TRUNC)
        with os.fdopen(os.open(target, flags, 0o666), "wb") as file:
            file.write(data)
    except FileExistsError:
        raise Stop(Exit.USAGE, f"{target} is there already. Give another path with --output.") from None
    except OSError as error:
        raise Stop(
            Exit.USAGE, f"{target} can't be written: {error.strerror}. Give another --output."
        ) from None
    return target
