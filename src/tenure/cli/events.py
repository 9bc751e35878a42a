"""`tenure bindings` and `post`: where incoming events go, and one of them by hand, as a connector would."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tenure.cli.options import AsJson, Home, Key, Server, connected
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import print_fields, print_json, print_table
from tenure.core.envelope import EventEnvelope

app = typer.Typer()

HEADINGS = ("ID", "TENANT", "AGENT", "SCOPE", "EVENTS", "USED")


@app.command("bindings")
def bindings(server: Server = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """List the bindings that send incoming events to agents."""
    with connected(server, key, home) as client:
        found = client.bindings()
    if as_json:
        for binding in found:
            print_json(binding)
        return
    rows = [
        (
            b.id,
            b.tenant,
            b.agent,
            " ".join(filter(None, b.scope.values())),
            ", ".join(b.event_types),
            b.enabled,
        )
        for b in found
    ]
    print_table(HEADINGS, rows)


@app.command("post")
def post(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The event as JSON; - reads it from stdin.")],
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Post an incoming event, and print the receipt. The same event again gets the same one."""
    event = _event(file)
    with connected(server, key, home) as client:
        receipt = client.post_event(event)
    if as_json:
        print_json(receipt)
        return
    print_fields(
        [
            ("session", receipt.session_id),
            ("message", receipt.message_id),
            ("run", receipt.run_id),
            ("disposition", receipt.disposition),
            ("place in line", receipt.queue_position or None),
            ("binding", receipt.binding_id),
            ("left out", ", ".join(receipt.dropped)),
        ]
    )


def _event(file: str) -> EventEnvelope:
    """The event in a file. Raises Stop with `usage`."""
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return msgspec.json.decode(text, type=EventEnvelope)
    except OSError as error:
        raise Stop(Exit.USAGE, f"{file} can't be read: {error.strerror}. Check the path.") from error
    except msgspec.MsgspecError as error:
        raise Stop(Exit.USAGE, f"{file} holds no event: {error}. /docs lists its fields.") from error
