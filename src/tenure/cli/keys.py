"""`tenure keys`: create, list and revoke API keys."""

import sys
from typing import Annotated

import typer

from tenure.cli.groups import is_for_subcommand
from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import print_json, print_table, put
from tenure.core.principal import Role

app = typer.Typer()
group = typer.Typer(help="Create, list or revoke API keys.")
app.add_typer(group, name="keys")

HEADINGS = ("ID", "TENANT", "USER", "ROLE", "NAME", "CREATED", "EXPIRES", "REVOKED")


def list_keys(
    context: typer.Context,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the keys, without their secrets."""
    if is_for_subcommand(context):
        return
    with connected(server, key, home) as client:
        found = list(client.keys())
    if as_json:
        for each in found:
            print_json(each)
        return
    rows = [
        (
            each.id,
            each.tenant,
            each.user,
            each.role,
            each.name,
            each.created_at[:19],
            each.expires_at,
            each.revoked_at,
        )
        for each in found
    ]
    print_table(HEADINGS, rows)


group.callback(invoke_without_command=True)(list_keys)
group.command("list")(list_keys)


@group.command("create")
def create(
    user: Annotated[str, typer.Option("--user", help="Whose key it is.")],
    role: Annotated[Role, typer.Option("--role", help="What it may do.")] = Role.MEMBER,
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "",
    tenant: Annotated[str | None, typer.Option("--tenant", help="The tenant.  [default: your own]")] = None,
    expires_at: Annotated[
        str | None,
        typer.Option("--expires-at", metavar="TIME", help="Such as 2031-01-31T12:00:00Z."),
    ] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it. It is shown only now."""
    with connected(server, key, home) as client:
        made = client.create_key(user, role, name=name, tenant=tenant, expires_at=expires_at)
    if as_json:
        print_json(made)
        return
    put(made.key)
    print(
        f"{made.id} for {made.user} of {made.tenant}, role {made.role}. Keep the key: it is shown only now.",
        file=sys.stderr,
    )


@group.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, not its secret.")],
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key: it opens nothing any more, and its open streams end."""
    with connected(server, key, home) as client:
        client.revoke_key(key_id)
    if as_json:
        print_json({"id": key_id, "revoked": True})
