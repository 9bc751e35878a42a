"""Deletion really deletes: afterwards nothing that was said is left in the home, not even in free pages."""

import asyncio
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.http.world import WAIT_S, World, a_world

pytestmark = pytest.mark.anyio

CANARY = "zanzibarcanary"


def holders(home: Path) -> dict[str, int]:
    """The files of the home that hold the canary, and how often."""
    needle = CANARY.encode()
    found: dict[str, int] = {}
    for folder, _, names in os.walk(home):
        for path in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):  # a file may go at any moment
                found[str(path.relative_to(home))] = path.read_bytes().lower().count(needle)
    return {name: count for name, count in found.items() if count}


async def live(world: World, session: str, *, state: bool) -> None:
    """Put the canary into everything that a client can put something into."""
    text = f"SAY {CANARY} said"
    key = {"Idempotency-Key": f"send {session}"}
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": text}, headers=key)
    await stream.end()
    said = [f"REASON {CANARY}", f'TOOL once {{"path": "{CANARY}"}}']
    for content in [*said, f'SET conversation k "{CANARY}"'] if state else said:
        stream = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": content})
        await stream.end()
    asking = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": f"ASK {CANARY}"})
    asked = await asking.event("approval.requested")
    answer = {"decision": "approve", "note": CANARY, "arguments": {"text": f"{CANARY} edited"}}
    path = f"/v1/approvals/{asked.data['data']['approval_id']}"
    await world.post(path, answer, headers={"Idempotency-Key": f"decide {session}"})
    await asking.end()
    await world.post(f"/v1/sessions/{session}/messages", {"content": f"SLOW 900 10 {CANARY}"})
    await world.post(f"/v1/sessions/{session}/messages", {"content": f"waiting {CANARY}"})
    named = await world.ask("PATCH", f"/v1/sessions/{session}", {"title": f"{CANARY} renamed"})
    assert named.status_code == 200
    uploaded = await world.ask(
        "POST",
        f"/v1/sessions/{session}/files?name={CANARY}.txt",
        content=f"{CANARY} file".encode(),
        headers={"Idempotency-Key": f"upload {session}"},
    )
    assert uploaded.status_code == 201, uploaded.text


async def opened(world: World, key: str) -> str:
    """A session opened under an idempotency key, with the canary in its title, labels and identity."""
    made = await world.post(
        "/v1/sessions",
        {
            "agent": "scripted",
            "title": f"{CANARY} title",
            "labels": {"label": CANARY, CANARY: "x"},
            "conversation": {"conversation_id": CANARY},
        },
        headers={"Idempotency-Key": key},
    )
    return made["id"]


async def gone(world: World) -> None:
    """Wait until nothing of deleted sessions is left to be freed."""
    async with asyncio.timeout(WAIT_S):
        while holders(world.home):
            await world.get("/v1/stats")


async def test_nothing_of_a_deleted_session_is_left_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with a_world(home) as world:
        other = await world.session()
        await world.spoken(other, "SAY something else")
        session, plain = await opened(world, "open it"), await world.session()
        # The state of a conversation that has an identity outside belongs to it, not to a session.
        await live(world, session, state=False)
        await live(world, plain, state=True)
        before = holders(home)
        fork = await world.post(f"/v1/sessions/{session}/fork", {})
        for one in (fork["id"], session, plain):
            assert (await world.ask("DELETE", f"/v1/sessions/{one}")).status_code == 204
        await gone(world)
        again = await world.ask(
            "POST",
            "/v1/sessions",
            {
                "agent": "scripted",
                "title": f"{CANARY} title",
                "labels": {"label": CANARY, CANARY: "x"},
                "conversation": {"conversation_id": CANARY},
            },
            headers={"Idempotency-Key": "open it"},
        )

        assert "tenure.db" in before or "tenure.db-wal" in before
        assert (again.json()["id"], again.json()["title"]) == (session, None)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert not (home / "sessions" / session).exists()
        assert [s["id"] for s in (await world.get("/v1/sessions"))["data"]] == [other]
    assert holders(home) == {}
    with closing(sqlite3.connect(home / "tenure.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.execute("INSERT INTO search (search) VALUES ('integrity-check')")
