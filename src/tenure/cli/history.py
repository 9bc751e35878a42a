"""`tenure undo`, `redo`, `compact` and `fork`: what can be done to the history of a session."""

from collections.abc import Sequence
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, SessionId, connected
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import counted, print_fields, print_json, put, shown
from tenure.client import Client, Gap
from tenure.core.event import MessageWithdrawn, RunFinished, RunStarted, TranscriptCompacted
from tenure.core.history import UndoReceipt
from tenure.core.run import RunState
from tenure.core.view import MessageReceipt

app = typer.Typer()


@app.command("undo")
def undo(
    session: SessionId,
    turns: Annotated[int | None, typer.Option("--turns", min=1, help="How many turns.  [default: 1]")] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="MESSAGE", help="Down to the turn of this message.")
    ] = None,
    interrupt: Annotated[bool, typer.Option("--interrupt", help="Stop a live run for it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take the last turns off the transcript of a session."""
    with connected(server, key, home) as client:
        receipt = client.undo(session, turns=turns, to_message_id=to, interrupt=interrupt, dry_run=dry_run)
    if as_json:
        print_json(receipt)
    else:
        report(receipt)


def report(receipt: UndoReceipt) -> None:
    """Print what an undo took off, or would, and what stays."""
    done = "would go" if receipt.dry_run else "goes when the run has ended" if receipt.pending else "undone"
    print_fields(
        [
            (done, amount(receipt.message_ids, receipt.run_ids)),
            ("back to event", receipt.to_seq),
            ("stays as it is", ", ".join(receipt.kept) or None),
        ]
    )


def amount(message_ids: Sequence[str], run_ids: Sequence[str]) -> str:
    """How much an undo or redo is about."""
    return f"{counted(len(message_ids), 'message')} of {counted(len(run_ids), 'run')}"


@app.command("redo")
def redo(
    session: SessionId,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Put back what the last undo took off."""
    with connected(server, key, home) as client:
        receipt = client.redo(session)
    if as_json:
        print_json(receipt)
    else:
        print_fields([("back", amount(receipt.message_ids, receipt.run_ids))])


@app.command("compact")
def compact(
    session: SessionId,
    instructions: Annotated[
        str, typer.Option("--instructions", help="What the agent's summariser should mind.")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Print the summary; exit with 1 if the run fails.")
    ] = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Replace the older part of the transcript by a summary."""
    with connected(server, key, home) as client:
        receipt = client.compact(session, instructions=instructions)
        if wait:
            await_summary(client, session, receipt, as_json=as_json)
            return
    if as_json:
        print_json(receipt)
    else:
        print_fields([("run", receipt.run_id), ("place in line", receipt.queue_position or None)])


def await_summary(client: Client, session: str, receipt: MessageReceipt, *, as_json: bool) -> None:
    """Print the summary that a compaction makes. Raises Stop with `failed` if it makes none."""
    run_id: str | None = None
    for item in client.follow(session, receipt.seq):
        if isinstance(item, Gap):
            continue
        match item.event:
            case RunStarted(trigger=trigger) if trigger.message == receipt.message_id:
                run_id = item.run_id
            case TranscriptCompacted() as made if item.run_id == run_id:
                print_json(made) if as_json else put(shown(made.summary))
            case RunFinished(status=status, reason=reason) if item.run_id in (run_id, receipt.run_id):
                if status != RunState.COMPLETED:
                    raise Stop(Exit.FAILED, f"Nothing was compacted: {reason}.")
                return
            case MessageWithdrawn(message_id=message_id) if message_id == receipt.message_id:
                raise Stop(Exit.FAILED, "The compaction was withdrawn.")
            case _:
                pass


@app.command("fork")
def fork(
    session: SessionId,
    at: Annotated[int | None, typer.Option("--at", min=1, metavar="SEQ", help="Up to this event.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Another title.")] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Open a session that begins with the journal of another, and print its id."""
    with connected(server, key, home) as client:
        child = client.fork(session, at_seq=at, title=title)
    if as_json:
        print_json(child)
    else:
        put(child.id)
