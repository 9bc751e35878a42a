"""A home with every kind of session, for moves to be tried on."""

import asyncio
import time
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tenure.client import Client
from tenure.config import Settings
from tenure.core.moment import Micros
from tenure.host.catalogue import Catalogue
from tenure.ports.landmarks import NoLandmarks
from tenure.wiring import open_store

LONG = 1_400
"""So many events make a journal of which something can be retired."""
MAP = b"here be dragons"


class Scene(NamedTuple):
    """The sessions of a home, by what became of them."""

    talked: str
    forked: str
    undone: str
    asked: str
    deciding: str
    stateful: str
    recalled: str
    held: str
    closed: str
    orphan: str
    long: str


def say(client: Client, session_id: str, text: str) -> None:
    """Have it said, and wait until the run is over."""
    for _ in client.say(session_id, text):
        pass


def play(client: Client) -> Scene:
    """Sessions with all that a session can have."""
    return Scene(
        talked=(talked := _talked(client)),
        forked=_forked(client, talked),
        undone=_undone(client),
        asked=_asked(client, decided=True),
        deciding=_asked(client, decided=False),
        stateful=_stateful(client),
        recalled=_recalled(client),
        held=_held(client),
        closed=_closed(client),
        orphan=_orphan(client),
        long=_long(client),
    )


def _fresh(client: Client, title: str | None = None) -> str:
    return client.open_session("scripted", title=title, labels={"team": "blue"}).id


def _talked(client: Client) -> str:
    session_id = _fresh(client, "A trip to Rome")
    say(client, session_id, "SAY hello")
    client.upload_file(session_id, "map.txt", MAP)
    say(client, session_id, "SAY again")
    return session_id


def _forked(client: Client, parent: str) -> str:
    child = client.fork(parent, title="Another way").id
    say(client, child, "SAY elsewhere")
    return child


def _undone(client: Client) -> str:
    session_id = _fresh(client)
    for text in ("SAY one", "SAY two", "SAY three"):
        say(client, session_id, text)
    client.undo(session_id, turns=1)
    client.compact(session_id)
    _until(client, session_id, "transcript.compacted")
    _until_idle(client, session_id)
    say(client, session_id, "SAY four")
    client.undo(session_id, turns=1)
    return session_id


def _asked(client: Client, *, decided: bool) -> str:
    session_id = _fresh(client)
    client.send(session_id, 'TOOL confirm {"text": "sure?"}')
    _until(client, session_id, "approval.requested")
    if decided:
        (approval,) = [a for a in client.approvals() if a.session_id == session_id]
        client.approve(approval.id)
        _until_idle(client, session_id)
    return session_id


def _stateful(client: Client) -> str:
    session_id = _fresh(client)
    client.set_state(session_id, "conversation", "visits", {"count": 3})
    client.set_state(session_id, "conversation", "gone", 1)
    client.delete_state(session_id, "conversation", "gone")
    say(client, session_id, 'SET conversation colour "red"')
    return session_id


def _recalled(client: Client) -> str:
    session_id = _fresh(client)
    client.create_schedule("SAY later", session_id=session_id, in_s=86_400)
    often = client.create_schedule("SAY now", session_id=session_id, every_s=3_600)
    client.trigger_schedule(often.id)
    _until(client, session_id, "run.finished")
    return session_id


def _held(client: Client) -> str:
    session_id = _fresh(client)
    client.send(session_id, "SLOW 1000 100")
    _until(client, session_id, "message.delta")
    client.send(session_id, "SAY waiting")
    client.interrupt(session_id)
    _until(client, session_id, "run.finished")
    return session_id


def _closed(client: Client) -> str:
    session_id = _fresh(client)
    say(client, session_id, "SAY bye")
    client.close_session(session_id)
    return session_id


def _orphan(client: Client) -> str:
    """The fork of a session that is gone."""
    parent = _fresh(client)
    say(client, parent, "SAY mine")
    child = client.fork(parent).id
    client.delete_session(parent)
    return child


def _long(client: Client) -> str:
    session_id = _fresh(client)
    for _ in range(2):
        say(client, session_id, f"BURST {LONG // 2} 10")
    return session_id


def _until(client: Client, session_id: str, kind: str) -> None:
    for _ in client.follow(session_id, until=lambda event: event.type == kind):
        pass


def _until_idle(client: Client, session_id: str) -> None:
    """Until no run is live, which is soon after its last event."""
    deadline = time.monotonic() + 20
    for _ in count():
        if client.session(session_id).status == "idle":
            return
        assert time.monotonic() < deadline


def retire(home: Path) -> int:
    """Take the oldest entries off every journal of a home that nobody serves."""

    async def work() -> int:
        opened = await open_store(home, Catalogue([]), Settings(home=home), NoLandmarks())
        gone = 0
        while some := await opened.store.limits.retire(Micros(4_000_000_000_000_000)):
            gone += some
        await opened.close()
        return gone

    return asyncio.run(work())
