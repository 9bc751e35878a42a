"""The program `tenure`: finds the command that was asked for, runs it, and turns its end into an exit code.

Only the module of that command is loaded, so that `tenure --version` answers at once. This is the one
place where refusals become a sentence on stderr; nothing here knows what any command does.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, NamedTuple, Protocol, cast

import typer

import tenure
from tenure.cli.outcome import Exit, Stop, exit_of
from tenure.errors import ConfigError, TenureError


class Place(NamedTuple):
    """In which module a command stands, and what it does in a line."""

    module: str
    help: str


COMMANDS: dict[str, Place] = {
    "serve": Place("serve", "Start the server."),
    "demo": Place("demo", "Start a server with the demo agents, and chat with one."),
    "chat": Place("chat", "Talk with an agent."),
    "sessions": Place("sessions", "List, open, show, rename, close, reopen or delete sessions."),
    "runs": Place("runs", "List runs, show one, or what went wrong."),
    "watch": Place("messages", "Follow the events of a session."),
    "send": Place("messages", "Send a message to a session."),
    "steer": Place("messages", "Say something to the live run of a session."),
    "stop": Place("messages", "Stop the live run of a session."),
    "approvals": Place("approvals", "List the calls that wait for a person."),
    "approve": Place("approvals", "Let a call be made that waits for a person."),
    "deny": Place("approvals", "Let a call not be made that waits for a person."),
    "undo": Place("history", "Take the last turns off the transcript of a session."),
    "redo": Place("history", "Put back what the last undo took off."),
    "compact": Place("history", "Replace the older part of the transcript by a summary."),
    "fork": Place("history", "Open a session that begins with the journal of another."),
    "schedules": Place("schedules", "Have things said later, and see what became of it."),
    "state": Place("state", "Get, set, delete or list what an agent keeps."),
    "files": Place("files", "List, upload, download or delete the files of a session."),
    "export": Place("export", "Write a session to one file."),
    "import": Place("bundles", "Open a session from a file that export wrote."),
    "backup": Place("backup", "Write everything that is stored to one file."),
    "restore": Place("backup", "Fill an empty home or database from a backup."),
    "migrate": Place("backup", "Move everything to another database."),
    "bindings": Place("events", "List the bindings that send incoming events to agents."),
    "post": Place("events", "Post an incoming event."),
    "agents": Place("agents", "List the agents that the server hosts."),
    "usage": Place("usage", "Show what was spent by user and day."),
    "capacity": Place("operations", "Show the limits, what is used of them, and who uses most."),
    "audit": Place("operations", "Show who did what, the latest first."),
    "hosts": Place("hosts", "List the hosts that share the store."),
    "users": Place("operations", "List the users that keys and sessions name."),
    "sign-in": Place("signing", "Print a link that signs a browser in to the console."),
    "sign-ins": Place("signing", "List the browsers in which you are signed in, or sign one out."),
    "shares": Place("shares", "Share a session by a link, list its shares, or revoke one."),
    "keys": Place("keys", "Create, list or revoke API keys."),
    "doctor": Place("doctor", "Check everything that is stored."),
}

COMPLETING = "_TENURE_COMPLETE"
"""Set by a shell that completes a line, whose words don't come as arguments then."""


class CommandModule(Protocol):
    """What each module of commands has."""

    app: typer.Typer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        program(given)(args=given, prog_name="tenure")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.OK
    except Stop as stop:
        return failed(stop.text, stop.code)
    except TenureError as error:
        return failed(error.detail, exit_of(error.code))
    except ConfigError as error:
        return failed(str(error), Exit.USAGE)
    except ConnectionError as error:
        return failed(str(error), Exit.UNREACHABLE)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.OK


def program(given: Sequence[str]) -> typer.Typer:
    """The program. Of the commands that `given` doesn't name it knows the names only."""
    root = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    root.callback()(about)
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, place in COMMANDS.items():
        root.command(name, help=place.help)(unloaded)
    for name, place in COMMANDS.items():
        if name == wanted or COMPLETING in os.environ:
            module = cast("CommandModule", import_module(f"tenure.cli.{place.module}"))
            # A nameless group lends its commands to the root, where they take the place of the names.
            root.add_typer(module.app)
    return root


def print_version(asked: bool) -> None:
    """Print the version and end."""
    if asked:
        print(f"tenure {tenure.__version__}")
        raise typer.Exit


def about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A durable home for agent sessions."""


def unloaded() -> None:
    """Stands for a command whose module isn't loaded. It is never called."""
    raise AssertionError("A command was called that wasn't loaded.")


def failed(text: str, code: Exit) -> Exit:
    """Say on stderr why the command ends, and with which code."""
    if text:
        print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
