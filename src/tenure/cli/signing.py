"""`tenure sign-in` and `tenure sign-ins`: a way into the console, and the browsers that took one."""

import sys
from typing import Annotated

import typer

from tenure.cli.groups import is_for_subcommand
from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import print_json, print_table, put
from tenure.core.signing import LINK_S, LONGEST_LINK_S

app = typer.Typer()
group = typer.Typer(help="List the browsers in which you are signed in, or sign one out.")
app.add_typer(group, name="sign-ins")

HEADINGS = ("ID", "KEY", "SINCE", "EXPIRES")


@app.command("sign-in")
def sign_in(
    expires_in_s: Annotated[
        int,
        typer.Option("--expires-in", metavar="SECONDS", min=1, max=LONGEST_LINK_S, help="How long it waits."),
    ] = LINK_S,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a link that signs one browser in to the console, once."""
    with connected(server, key, home) as client:
        link = client.sign_in_link(expires_in_s=expires_in_s)
    if as_json:
        print_json(link)
        return
    put(link.url)
    print(f"Open it in your browser. It works once, until {link.expires_at[:19]}Z.", file=sys.stderr)


def list_sign_ins(
    context: typer.Context,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the browsers in which you are signed in, the latest first."""
    if is_for_subcommand(context):
        return
    with connected(server, key, home) as client:
        found = list(client.sign_ins())
    if as_json:
        for each in found:
            print_json(each)
        return
    print_table(HEADINGS, [(s.id, s.key_id, s.created_at[:19], s.expires_at[:19]) for s in found])


group.callback(invoke_without_command=True)(list_sign_ins)
group.command("list")(list_sign_ins)


@group.command("end")
def end(
    sign_in_id: Annotated[str, typer.Argument(metavar="ID", help="The sign-in's id.")],
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Sign a browser out: its open streams end, and it has to sign in anew."""
    with connected(server, key, home) as client:
        client.end_sign_in(sign_in_id)
    if as_json:
        print_json({"id": sign_in_id, "ended": True})
