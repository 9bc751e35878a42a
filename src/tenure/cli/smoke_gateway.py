"""A step of the smoke test: a program elsewhere uses what a run was granted, with the run's token."""

import httpx
import msgspec

from tenure.cli.scene import Scene, ends, expect, followed
from tenure.client import JournalEvent
from tenure.core.event import MessageDelta
from tenure.ports.runner import GatewayAccess

AGENT = "scripted"
REVISION = "2025-11-25"
FORBIDDEN = 403


def reaches_a_run_by_its_token(scene: Scene) -> str:
    """Reach a live run by its token; when it is over, the token opens nothing."""
    client, session = scene.client, scene.client.open_session(AGENT).id
    receipt = client.send(session, "TOKEN\nSLOW 1000 50")
    said = [e.event for e in followed(scene, session, receipt.seq, _speaks)][-1]
    assert isinstance(said, MessageDelta)
    if not said.text.startswith("{"):
        _stopped(scene, session)
        return "left out: the extra mcp isn't installed"
    access = GatewayAccess(**msgspec.json.decode(said.text, type=dict[str, str]))
    value = {"scope": "conversation", "key": "seen", "value": "from elsewhere"}
    done = _call(access, "state_set", value)
    kept = client.state(session, "conversation", "seen").value
    expect("what it kept", kept == "from elsewhere", done.text)
    refused = _call(access, "no_such_tool", {})
    expect("a tool that wasn't granted", '"error"' in refused.text, refused.text)
    _stopped(scene, session)
    late = _call(access, "state_set", value)
    expect("the token afterwards", late.status_code == FORBIDDEN, late.text)
    return "a value kept, a tool that wasn't granted refused, and 403 when the run was over"


def _speaks(event: JournalEvent) -> bool:
    return isinstance(event.event, MessageDelta)


def _stopped(scene: Scene, session: str) -> None:
    """Stop the run of a session, and wait for its end."""
    receipt = scene.client.interrupt(session)
    followed(scene, session, receipt.seq - 1, ends)


def _call(access: GatewayAccess, tool: str, arguments: dict[str, str]) -> httpx.Response:
    """Call a tool of the gateway, as a program without an MCP library would."""
    return httpx.post(
        access.url,
        json={
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        },
        headers={
            "Authorization": f"Bearer {access.token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": REVISION,
        },
        timeout=30,
        trust_env=False,
    )
