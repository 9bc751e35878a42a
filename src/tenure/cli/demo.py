"""`tenure demo`: a server with the demo agents for a while, and a chat with one of them."""

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tenure.cli import chat, server, smoke
from tenure.cli.child import ChildServer
from tenure.cli.options import AsJson, Home, Target, expanded
from tenure.cli.screen import put
from tenure.cli.serve import host_sessions
from tenure.config import load
from tenure.errors import ConfigError

app = typer.Typer()

USUAL_PORT = 8321
AGENT = "concierge"
TRY = "My name is Ada. Book a table for 4 at the Old Mill tomorrow at 19:30."


@app.command("demo")
def demo(
    smoke_test: Annotated[
        bool,
        typer.Option("--smoke", help="Hold one scripted conversation with the server, and end."),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", help="0 takes a free one.  [default: 8321 if free]"),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Start a server with the demo agents, and chat with one. Without --home, nothing is kept."""
    with a_home(expanded(home)) as folder:
        if smoke_test:
            smoke.converse(folder, port or 0, as_json=as_json)
        elif sys.stdin.isatty() and sys.stdout.isatty():
            chat_with(folder, usable(port))
        else:
            flags = {"home": folder, "port": usable(port), "demo": True, "log_json": as_json}
            host_sessions(load(flags), as_json=as_json)


def chat_with(home: Path, port: int) -> None:
    """Chat at this terminal with a server that runs beside it, and ends with the chat."""
    with ChildServer(home, port) as child:
        put(f"Tenure answers at {child.url}. The server ends with this chat.")
        put(f"Open the console:  {child.console}")
        put(f'Try: "{TRY}"')
        wish = chat.Wish(session=None, last=False, agent=AGENT)
        code = chat.talk(wish, Target(child.url, None, home), as_json=False, stays=False)
    raise typer.Exit(code)


@contextmanager
def a_home(given: Path | None) -> Generator[Path]:
    """The home that was given, or one that goes when the block ends."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="tenure-demo-") as folder:
        yield Path(folder)


def usable(port: int | None) -> int:
    """The port that was asked for; else the usual one, or any if that is taken."""
    if port is not None:
        return port
    try:
        server.listen("127.0.0.1", USUAL_PORT).close()
    except ConfigError:
        return 0
    return USUAL_PORT
