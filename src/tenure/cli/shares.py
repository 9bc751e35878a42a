"""`tenure shares`: let others read a session by a link, list such links, and revoke them."""

import sys
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, SessionId, connected
from tenure.cli.screen import print_json, print_table, put

app = typer.Typer()
group = typer.Typer(help="Share a session by a link, list its shares, or revoke one.", no_args_is_help=True)
app.add_typer(group, name="shares")

HEADINGS = ("ID", "STATUS", "BY", "CREATED", "EXPIRES")


@group.command("create")
def create(
    session_id: SessionId,
    expires_at: Annotated[
        str | None,
        typer.Option(
            "--expires-at", metavar="TIME", help="Such as 2031-01-31T12:00:00Z.  [default: in 7 days]"
        ),
    ] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a link by which whoever has it reads the session. It is shown only now."""
    with connected(server, key, home) as client:
        made = client.share(session_id, expires_at=expires_at)
    if as_json:
        print_json(made)
        return
    put(made.url)
    print(
        f"{made.id}: whoever has the link reads the session until {made.expires_at[:19]}Z. "
        "It is shown only now.",
        file=sys.stderr,
    )


@group.command("list")
def list_shares(
    session_id: SessionId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the shares of a session, the latest first, without their links."""
    with connected(server, key, home) as client:
        found = list(client.shares(session_id))
    if as_json:
        for each in found:
            print_json(each)
        return
    print_table(HEADINGS, [(s.id, s.status, s.by, s.created_at[:19], s.expires_at[:19]) for s in found])


@group.command("revoke")
def revoke(
    session_id: SessionId,
    share_id: Annotated[str, typer.Argument(metavar="SHARE", help="The share's id.")],
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a share: its link shows nothing any more, and its open streams end."""
    with connected(server, key, home) as client:
        client.revoke_share(session_id, share_id)
    if as_json:
        print_json({"id": share_id, "revoked": True})
