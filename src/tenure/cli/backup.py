"""`tenure backup`, `restore` and `migrate`: all that a store holds, as a file or in another database."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from tenure.cli.options import AsJson, Home, expanded
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_fields, print_json
from tenure.client.place import home_of
from tenure.config import Settings, load
from tenure.moving import Poured, Progress, back_up, migrate, place, restore

app = typer.Typer()

StoreUrl: TypeAlias = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="The database, if it isn't in the home."),
]


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    place: str
    history: str
    sessions: int
    rows: dict[str, int]
    files: int
    seconds: float


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    home: Home = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write everything that is stored to one file, also beside a running server."""
    path = file.expanduser()
    if path.exists() and not force:
        raise Stop(Exit.USAGE, f"{path} is there already. Choose another name, or give --force.")
    _done(str(path), as_json, lambda tell: back_up(settings_of(home, store), path, tell))


@app.command("restore")
def restored(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `tenure backup` wrote.")],
    home: Home = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Fill an empty home, or an empty database, from a backup. Clients are told to begin anew."""
    settings = settings_of(home, store)
    _done(_name(settings), as_json, lambda tell: restore(file.expanduser(), settings, tell))


@app.command("migrate")
def migrated(
    source: Annotated[
        str, typer.Option("--from", metavar="HOME|URL", help="A home, or the address of a database.")
    ],
    target: Annotated[str, typer.Option("--to", metavar="HOME|URL", help="An empty one of either.")],
    as_json: AsJson = False,
) -> None:
    """Move everything to another database. Stop the servers before; clients go on where they were."""
    there, here = place(source), place(target)
    _done(_name(here), as_json, lambda tell: migrate(there, here, tell))


def settings_of(home: Path | None, store: str | None) -> Settings:
    """The store that a server on this home would have."""
    given: dict[str, object] = {"home": home_of(expanded(home))}
    return load(given if store is None else {**given, "store": store})


def _name(settings: Settings) -> str:
    """Where a store is, without the password that its address may hold."""
    return str(settings.home) if settings.store is None else "the database"


def _done(where: str, as_json: bool, work: Callable[[Progress], Coroutine[Any, Any, Poured]]) -> None:
    """Do it, tell how it goes on a terminal, and print what came of it."""
    began = perf_counter()
    poured = asyncio.run(work(_shown if sys.stderr.isatty() else _untold))
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    moved = Moved(
        place=where,
        history=poured.history,
        sessions=poured.rows["session"],
        rows=dict(poured.rows),
        files=poured.files,
        seconds=round(perf_counter() - began, 3),
    )
    if as_json:
        print_json(moved)
        return
    print_fields(
        [
            ("where", moved.place),
            ("history", moved.history),
            ("sessions", moved.sessions),
            ("rows", f"{sum(moved.rows.values()):,}"),
            ("files", moved.files),
            ("seconds", f"{moved.seconds:.1f}"),
        ]
    )


def _shown(what: str, count: int) -> None:
    sys.stderr.write(f"\r\x1b[K{what} {count:,}")
    sys.stderr.flush()


def _untold(what: str, count: int) -> None:
    """Nobody looks at a pipe while it goes on."""
