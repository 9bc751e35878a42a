"""`tenure sessions`: list, open, show, rename, close, reopen, delete."""

import sys
from itertools import islice
from typing import Annotated

import typer

from tenure.cli.groups import is_for_subcommand, pair
from tenure.cli.options import AsJson, Home, Key, Server, SessionId, connected
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_fields, print_json, print_table, put
from tenure.core.run import RunState
from tenure.core.session import SessionStatus
from tenure.core.view import SessionInfo

app = typer.Typer()
group = typer.Typer(help="List, open, show, rename, close, reopen or delete sessions.")
app.add_typer(group, name="sessions")

HEADINGS = ("ID", "AGENT", "STATUS", "OWNER", "EVENTS", "UPDATED", "TITLE")

Agent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only of this agent.")]
Status = Annotated[SessionStatus | None, typer.Option("--status", help="Only with this status.")]
Owner = Annotated[str | None, typer.Option("--owner", metavar="USER", help="Only of this user.")]
LastRun = Annotated[
    RunState | None, typer.Option("--last-run", help="Only whose newest run has this status.")
]
Labels = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Only with this label.")
]
Search = Annotated[
    str | None,
    typer.Option("--search", metavar="WORDS", help="Only with these words in the title or in a message."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]


def list_sessions(
    context: typer.Context,
    agent: Agent = None,
    owner: Owner = None,
    status: Status = None,
    last_run: LastRun = None,
    label: Labels = None,
    search: Search = None,
    limit: Limit = 50,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List sessions, the latest first."""
    if is_for_subcommand(context):
        return
    labels = dict(pair(text) for text in label or ())
    with connected(server, key, home) as client:
        every = client.sessions(
            agent=agent, owner=owner, status=status, last_run=last_run, labels=labels, search=search
        )
        found = list(islice(every, limit))
    if as_json:
        for session in found:
            print_json(session)
        return
    print_table(HEADINGS, [row(session) for session in found])


group.callback(invoke_without_command=True)(list_sessions)
group.command("list")(list_sessions)


@group.command("open")
def open_session(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent's name.")],
    title: Annotated[str | None, typer.Option("--title", help="A title.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="A label.")] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Open a session with an agent, and print its id."""
    labels = dict(pair(text) for text in label or ())
    with connected(server, key, home) as client:
        opened = client.open_session(agent, title=title, labels=labels)
    if as_json:
        print_json(opened)
    else:
        put(opened.id)


@group.command("show")
def show(
    session: SessionId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show one session."""
    with connected(server, key, home) as client:
        report(client.session(session), as_json=as_json)


@group.command("rename")
def rename(
    session: SessionId,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="The new title.")],
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give a session another title."""
    with connected(server, key, home) as client:
        report(client.update_session(session, title=title), as_json=as_json)


@group.command("close")
def close(
    session: SessionId,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the journal.")] = "",
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Close a session: nothing can be sent until it is reopened."""
    with connected(server, key, home) as client:
        report(client.close_session(session, reason=reason), as_json=as_json)


@group.command("reopen")
def reopen(
    session: SessionId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Open a closed session again."""
    with connected(server, key, home) as client:
        report(client.reopen_session(session), as_json=as_json)


@group.command("delete")
def delete(
    session: SessionId,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask at a terminal.")] = False,
    cascade: Annotated[bool, typer.Option("--cascade", help="Delete its forks too.")] = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Delete a session for good, with all its events."""
    with connected(server, key, home) as client:
        if sys.stdin.isatty() and not yes:
            title = client.session(session).title
            named = f"{session} ({title})" if title else session
            if not typer.confirm(f"Delete {named} for good?"):
                raise Stop(Exit.OK, "Nothing was deleted.")
        client.delete_session(session, cascade=cascade)
    if as_json:
        print_json({"id": session, "deleted": True})


def report(session: SessionInfo, *, as_json: bool) -> None:
    """Print one session."""
    if as_json:
        print_json(session)
        return
    print_fields(
        [
            ("id", session.id),
            ("agent", session.agent),
            ("status", session.status),
            ("title", session.title),
            ("labels", session.labels),
            ("owner", f"{session.owner} of {session.tenant}"),
            ("live run", session.run_id),
            ("events", session.head_seq),
            ("messages", session.message_count),
            ("queue held", session.queue_held or None),
            ("tokens in, out", f"{session.usage.input_tokens}, {session.usage.output_tokens}"),
            ("opened", session.created_at),
            ("updated", session.updated_at),
        ]
    )


def row(session: SessionInfo) -> tuple[object, ...]:
    """A session as a line of the table."""
    return (
        session.id,
        session.agent,
        session.status,
        session.owner,
        session.head_seq,
        session.updated_at[:19],
        session.title or "",
    )
