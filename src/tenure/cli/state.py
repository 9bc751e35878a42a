"""`tenure state`: get, set, delete or list what an agent keeps."""

import sys
from typing import Annotated

import msgspec
import typer

from tenure.cli.options import AsJson, Home, Key, Server, SessionId, connected
from tenure.cli.screen import print_json, print_table, put, shown
from tenure.core.scope import Scope
from tenure.core.state import StateValue

app = typer.Typer()
group = typer.Typer(help="Get, set, delete or list what an agent keeps.", no_args_is_help=True)
app.add_typer(group, name="state")

HEADINGS = ("KEY", "VERSION", "EXPIRES", "VALUE")
SHOWN_VALUE = 120

ScopeName = Annotated[Scope, typer.Argument(metavar="SCOPE", help=f"One of: {', '.join(Scope)}.")]
KeyName = Annotated[str, typer.Argument(metavar="KEY", help="The key of the value.")]
Actor = Annotated[
    str | None,
    typer.Option("--actor", metavar="TYPE:ID", help="Whose actor state.  [default: your own]"),
]
Subject = Annotated[str | None, typer.Option("--subject", metavar="TYPE:ID", help="Whose subject state.")]
IfVersion = Annotated[
    int | None,
    typer.Option("--if-version", min=0, metavar="N", help="Only if this version is there; 0: none yet."),
]


@group.command("get")
def get_value(
    session: SessionId,
    scope: ScopeName,
    name: KeyName,
    actor: Actor = None,
    subject: Subject = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a value as JSON."""
    with connected(server, key, home) as client:
        found = client.state(session, scope, name, actor=actor, subject=subject)
    if as_json:
        print_json(found)
    else:
        put(line_of(found))


@group.command("set")
def set_value(
    session: SessionId,
    scope: ScopeName,
    name: KeyName,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The value as JSON; - reads it from stdin.")],
    if_version: IfVersion = None,
    ttl: Annotated[float | None, typer.Option("--ttl", metavar="SECONDS", help="How long it lasts.")] = None,
    actor: Actor = None,
    subject: Subject = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Keep a value, and print its version."""
    given = json_of(sys.stdin.read() if value == "-" else value)
    with connected(server, key, home) as client:
        kept = client.set_state(
            session, scope, name, given, if_version=if_version, ttl_s=ttl, actor=actor, subject=subject
        )
    if as_json:
        print_json(kept)
    else:
        put(str(kept.version))


@group.command("delete")
def delete_value(
    session: SessionId,
    scope: ScopeName,
    name: KeyName,
    if_version: IfVersion = None,
    actor: Actor = None,
    subject: Subject = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Delete a value."""
    with connected(server, key, home) as client:
        client.delete_state(session, scope, name, if_version=if_version, actor=actor, subject=subject)
    if as_json:
        print_json({"scope": scope, "key": name, "deleted": True})


@group.command("list")
def list_values(
    session: SessionId,
    scope: ScopeName,
    actor: Actor = None,
    subject: Subject = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the values of a scope."""
    with connected(server, key, home) as client:
        found = list(client.states(session, scope, actor=actor, subject=subject))
    if as_json:
        for each in found:
            print_json(each)
        return
    print_table(HEADINGS, [(v.key, v.version, (v.expires_at or "")[:19], brief(v)) for v in found])


def json_of(text: str) -> object:
    """A value that was given as JSON. Raises BadParameter."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise typer.BadParameter(
            f"The value {text[:100]!r} is no JSON: {error}. A text stands in double quotes: '\"hello\"'."
        ) from None


def line_of(value: StateValue) -> str:
    """A value as JSON, on one line, without what a terminal would obey."""
    return shown(msgspec.json.encode(value.value).decode())


def brief(value: StateValue) -> str:
    """The beginning of a value."""
    line = line_of(value)
    return line if len(line) <= SHOWN_VALUE else f"{line[:SHOWN_VALUE]}…"
