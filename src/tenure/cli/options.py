"""The options that commands share, and the way from them to a client. It sends nothing by itself."""

import shlex
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import typer

from tenure.client import Client

Server: TypeAlias = Annotated[
    str | None,
    typer.Option("--server", envvar="TENURE_SERVER", metavar="URL", help="The server's address."),
]
Key: TypeAlias = Annotated[
    str | None,
    typer.Option("--key", envvar="TENURE_KEY", metavar="KEY", help="The API key to use."),
]
Home: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="TENURE_HOME",
        metavar="DIR",
        help="The home directory that names server and key.  [default: ~/.tenure]",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, one value a line.")]
SessionId: TypeAlias = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")]


class Target(NamedTuple):
    """Which server a command speaks to, as far as the command line says."""

    server: str | None
    key: str | None
    home: Path | None

    def command(self, *words: str) -> str:
        """Another command for the same server, to be typed. The key isn't shown."""
        named = [("--server", self.server), ("--home", self.home)]
        given = [word for name, value in named if value for word in (name, str(value))]
        return shlex.join(["tenure", *words, *given])


@contextmanager
def connected(server: str | None, key: str | None, home: Path | None) -> Generator[Client]:
    """A client of the server that the options name, or that runs on the home."""
    with Client(server, key, home=expanded(home)) as client:
        yield client


def expanded(home: Path | None) -> Path | None:
    """The home with `~` as the user's folder: the environment isn't read by a shell."""
    return None if home is None else home.expanduser()
