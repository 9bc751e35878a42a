"""`tenure send`, `steer`, `watch` and `stop`: speak into a session, follow it, stop its run."""

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from tenure.cli.options import AsJson, Home, Key, Server, SessionId, connected
from tenure.cli.outcome import Exit, Stop
from tenure.cli.questions import shape, why
from tenure.cli.screen import print_fields, print_json, put, shown, wants_colour
from tenure.cli.speech import Raw, Speech
from tenure.client import Gap, JournalEvent
from tenure.core.command import Promotion, Waiting
from tenure.core.entry import shell
from tenure.core.event import ApprovalRequested, RunFinished
from tenure.core.message import BusyPolicy
from tenure.core.moment import timestamp
from tenure.core.run import RunState
from tenure.core.view import InterruptReceipt, MessageInfo, MessageReceipt

app = typer.Typer()

SHOWN_DATA = 200


@app.command("send")
def send(
    session: SessionId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say; - reads it from stdin.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Show the answer; exit with 1 if the run fails.")
    ] = False,
    when_busy: Annotated[
        BusyPolicy, typer.Option("--when-busy", help="What to do while another run is live.")
    ] = BusyPolicy.QUEUE,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="Sent twice under one key, it is said once."),
    ] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send a message to a session, and print the receipt."""
    content = sys.stdin.read() if text == "-" else text
    with connected(server, key, home) as client:
        if not wait:
            receipt = client.send(session, content, when_busy=when_busy, idempotency_key=idempotency_key)
            report(receipt, as_json=as_json)
            return
        answer = client.say(session, content, when_busy=when_busy, idempotency_key=idempotency_key)
        listen(answer, as_json=as_json)


@app.command("steer")
def steer(
    session: SessionId,
    text: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT]", help="What to say to the live run; - reads it from stdin."),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option("--message", metavar="MESSAGE", help="Send this waiting message instead."),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="Sent twice under one key, it is said once."),
    ] = None,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say something to the run that is live. If it can't be steered, the message waits its turn."""
    if (text is None) == (message is None):
        raise typer.BadParameter("Give either what to say, or a waiting message with --message.")
    with connected(server, key, home) as client:
        if message is not None:
            report_message(client.promote_message(session, message, Promotion.STEER), as_json=as_json)
            return
        content = sys.stdin.read() if text == "-" else text or ""
        report(client.steer(session, content, idempotency_key=idempotency_key), as_json=as_json)


def report_message(info: MessageInfo, *, as_json: bool) -> None:
    """Print where a message is now."""
    if as_json:
        print_json(info)
        return
    print_fields([("message", info.message_id), ("status", info.status), ("run", info.run_id)])


def listen(answer: Iterable[JournalEvent], *, as_json: bool) -> None:
    """Show the answer to its end. Raises Stop with `failed` if its run didn't complete."""
    listener = Raw() if as_json else Speech(dim=wants_colour(sys.stderr))
    outcome = "withdrawn"
    for event in answer:
        listener.take(event)
        match event.event:
            case ApprovalRequested() as asked if isinstance(listener, Speech):
                way = f"tenure approve {asked.approval_id} lets it be made, tenure deny doesn't."
                lines = shape(asked.tool, asked.arguments, asked.expires_at)
                listener.ask([*lines, *why(asked.reason, asked.done), way])
            case RunFinished(status=status):
                outcome = status
            case _:
                pass
    if outcome != RunState.COMPLETED:
        raise Stop(Exit.FAILED)


@app.command("watch")
def watch(
    session: SessionId,
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="SEQ", help="Only events after this number.")
    ] = 0,
    raw: Annotated[bool, typer.Option("--raw", help="Print the events as they are stored.")] = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Follow the events of a session, from the first one on, until it is deleted or you press Ctrl-C."""
    with connected(server, key, home) as client:
        for item in client.follow(session, after):
            if isinstance(item, Gap):
                print(retired(item), file=sys.stderr)
            else:
                put(item.raw if raw or as_json else line(item))


@app.command("stop")
def stop(
    session: SessionId,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Only if this run is the live one.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Don't let it finish its sentence.")] = False,
    waiting: Annotated[
        Waiting, typer.Option("--waiting", help="What to do with the messages that wait.")
    ] = Waiting.HOLD,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Stop the live run of a session."""
    with connected(server, key, home) as client:
        receipt = client.interrupt(session, run_id=run, force=force, waiting=waiting)
    report(receipt, as_json=as_json)


def report(receipt: MessageReceipt | InterruptReceipt, *, as_json: bool) -> None:
    """Print a receipt."""
    if as_json:
        print_json(receipt)
        return
    match receipt:
        case MessageReceipt():
            print_fields(
                [
                    ("message", receipt.message_id),
                    ("run", receipt.run_id),
                    ("disposition", receipt.disposition),
                    ("place in line", receipt.queue_position or None),
                    ("joined", receipt.into),
                    ("stops", receipt.interrupts),
                    ("takes back", receipt.rolls_back),
                    ("not steered because", receipt.fallback and receipt.fallback.replace("_", " ")),
                ]
            )
        case InterruptReceipt():
            print_fields([("run", receipt.run_id), ("status", receipt.status)])


def line(event: JournalEvent) -> str:
    """An event on one line: number, time, type, data."""
    brief = bytes(shell(event.raw.encode()).data).decode()
    cut = brief if len(brief) <= SHOWN_DATA else f"{brief[:SHOWN_DATA]}…"
    return f"{event.seq:>6}  {timestamp(event.at)[11:23]}  {event.type:<22} {shown(cut)}"


def retired(gap: Gap) -> str:
    """What to say of a part that is gone."""
    return f"(events {gap.after + 1} to {gap.min_available - 1} were retired)"
