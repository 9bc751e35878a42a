"""`tenure approvals`, `approve` and `deny`: what waits for a person, and the person's answer."""

from itertools import islice
from typing import Annotated

import msgspec
import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.screen import exact, print_fields, print_json, print_table
from tenure.core.approval import ApprovalState
from tenure.core.command import Remember
from tenure.core.tool import Arguments
from tenure.core.view import ApprovalInfo

app = typer.Typer()

HEADINGS = ("ID", "STATUS", "TOOL", "ARGUMENTS", "SESSION", "EXPIRES")

ApprovalId = Annotated[str, typer.Argument(metavar="APPROVAL", help="The approval's id.")]
Note = Annotated[str | None, typer.Option("--note", help="What to tell the agent.")]


@app.command("approvals")
def approvals(
    status: Annotated[ApprovalState | None, typer.Option("--status", help="Only those that are so.")] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="SESSION", help="Only those of a session.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List approvals: those that wait for a person first, then the newest."""
    with connected(server, key, home) as client:
        found = list(islice(client.approvals(status=status, session_id=session), limit))
    if as_json:
        for approval in found:
            print_json(approval)
        return
    print_table(HEADINGS, [row(approval) for approval in found])


@app.command("approve")
def approve(
    approval: ApprovalId,
    arguments: Annotated[
        str | None,
        typer.Option("--arguments", metavar="JSON", help="Call it with these arguments instead."),
    ] = None,
    note: Note = None,
    remember: Annotated[
        bool, typer.Option("--remember", help="Allow this tool for the rest of the session.")
    ] = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a call be made."""
    edited = None if arguments is None else parsed(arguments)
    kept = Remember.SESSION if remember else None
    with connected(server, key, home) as client:
        report(client.approve(approval, arguments=edited, note=note, remember=kept), as_json=as_json)


@app.command("deny")
def deny(
    approval: ApprovalId,
    note: Note = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a call not be made."""
    with connected(server, key, home) as client:
        report(client.deny(approval, note=note), as_json=as_json)


def parsed(text: str) -> Arguments:
    """The arguments of a call. Raises BadParameter for what is no JSON object."""
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise typer.BadParameter(f"The arguments are no JSON object: {error}.") from error


def report(approval: ApprovalInfo, *, as_json: bool) -> None:
    """Print one approval."""
    if as_json:
        print_json(approval)
        return
    print_fields(
        [
            ("approval", approval.id),
            ("status", approval.status),
            ("tool", approval.tool),
            ("arguments", exact(approval.arguments)),
            ("by", approval.by),
            ("note", approval.note),
            ("run", approval.run_id),
        ]
    )


def row(approval: ApprovalInfo) -> tuple[object, ...]:
    """An approval as a line of the table."""
    # In full: it may be all that the person sees who decides.
    arguments = exact(approval.arguments)
    expires_at = approval.expires_at[:19]
    return (approval.id, approval.status, approval.tool, arguments, approval.session_id, expires_at)
