"""kill -9 right after an answer, and at random in the midst of tool calls: what was answered holds."""

import random
import re
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.crash.server import Server, examine_home
from tests.crash.test_calls import asking, event, opened, said

pytestmark = pytest.mark.anyio

BOUND_S = 30
SESSIONS = 6
LIVES = 3


async def sent(http: httpx.AsyncClient, session: str, text: str, when_busy: str = "queue") -> dict[str, Any]:
    """Send a message; its receipt."""
    body = {"content": text, "when_busy": when_busy}
    answer = await http.post(f"/v1/sessions/{session}/messages", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def transcript(http: httpx.AsyncClient, session: str) -> dict[str, Any]:
    """What was said, and what waits."""
    return (await http.get(f"/v1/sessions/{session}/messages")).json()


async def at_rest(http: httpx.AsyncClient, session: str) -> list[str]:
    """Wait until nothing runs and nothing waits; the contents of the transcript."""
    with anyio.fail_after(BOUND_S):
        while True:
            info = (await http.get(f"/v1/sessions/{session}")).json()
            page = await transcript(http, session)
            if info["status"] == "idle" and not page["waiting"]:
                return [item["content"] for item in page["data"]]
            await anyio.sleep(0.02)


async def entries(http: httpx.AsyncClient, session: str) -> list[dict[str, Any]]:
    """The whole journal."""
    return (await http.get(f"/v1/sessions/{session}/events?limit=1000")).json()["data"]


@pytest.mark.sources("P6", "P1")
async def test_what_was_answered_about_waiting_messages_outlives_kill_9(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = Server(home).ready()
    async with asking(server) as http:
        session = await opened(http)
        await sent(http, session, "SLOW 40 20")
        await event(http, session, "message.delta")
        steering = await sent(http, session, "SAY steering", "steer")
        edited = await sent(http, session, "SAY as it was")
        withdrawn = await sent(http, session, "SAY never")
        path = f"/v1/sessions/{session}/messages"
        answers = [
            await http.patch(f"{path}/{edited['message_id']}", json={"content": "SAY edited"}),
            await http.delete(f"{path}/{withdrawn['message_id']}"),
        ]
        assert [answer.status_code for answer in answers] == [200, 204]
    server.kill()

    assert steering["disposition"] == "steered"
    server = Server(home).ready()
    try:
        async with asking(server) as http:
            contents = await at_rest(http, session)
            consumed = [e for e in await entries(http, session) if e["type"] == "steering.consumed"]
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()
    assert [content for content in contents if content in ("SAY edited", "SAY as it was", "SAY never")] == [
        "SAY edited"
    ]
    assert sum("steered: SAY steering" in content for content in contents) == 1
    first = [e for e in consumed if not e["data"].get("redelivered")]
    assert [e["data"]["message_ids"] for e in first] == [[steering["message_id"]]]


@pytest.mark.sources("P1")
async def test_an_undo_and_a_fork_that_were_answered_outlive_kill_9(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = Server(home).ready()
    async with asking(server) as http:
        session = await opened(http)
        for text in ("SAY one", "SAY two"):
            await sent(http, session, text)
            await at_rest(http, session)
        forked = await http.post(f"/v1/sessions/{session}/fork", json={})
        undone = await http.post(f"/v1/sessions/{session}/undo", json={})
        assert (forked.status_code, undone.status_code) == (201, 200)
    server.kill()

    server = Server(home).ready()
    try:
        async with asking(server) as http:
            assert await at_rest(http, session) == ["SAY one", "one"]
            assert await at_rest(http, forked.json()["id"]) == ["SAY one", "one", "SAY two", "two"]
            redone = await http.post(f"/v1/sessions/{session}/redo", json={})
            assert redone.status_code == 200
            assert await at_rest(http, session) == ["SAY one", "one", "SAY two", "two"]
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()


@pytest.mark.sources("P7")
async def test_what_was_approved_just_before_kill_9_is_what_is_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = Server(home).ready()
    async with asking(server) as http:
        session = await opened(http)
        await said(http, session, "ASK as it was")
        approval = (await event(http, session, "approval.requested"))["approval_id"]
        body = {"decision": "approve", "arguments": {"text": "as it was approved"}}
        answer = await http.post(f"/v1/approvals/{approval}", json=body)
        assert (answer.status_code, answer.json()["status"]) == (200, "granted")
        server.kill()

    server = Server(home).ready()
    try:
        async with asking(server) as http:
            contents = await at_rest(http, session)
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()
    assert contents == ["ASK as it was", "approved: as it was approved"]


@pytest.mark.sources("P4")
@pytest.mark.parametrize("seed", [1, 2])
async def test_calls_that_must_not_be_repeated_are_made_once_at_most_over_random_deaths(
    seed: int, tmp_path: Path
) -> None:
    home, draw = tmp_path / "home", random.Random(seed)
    sessions: list[str] = []
    for _ in range(LIVES):
        server = Server(home).ready()
        async with asking(server) as http:
            while len(sessions) < SESSIONS:
                sessions.append(await opened(http))
                await said(http, sessions[-1], "SLOW 4 15\nONCE log.txt\nSLOW 4 15\nONCE log.txt\nSLOW 2 10")
            await event(http, draw.choice(sessions), draw.choice(("run.started", "tool.call.started")))
            for _ in range(draw.randint(0, 30)):  # some time passes
                await http.get("/v1/stats")
            server.kill()

    server = Server(home).ready()
    try:
        async with asking(server) as http:
            for session in sessions:
                await at_rest(http, session)
                told = await entries(http, session)
                made = lines_of(home, session)
                assert len(made) == len(set(made)), "a call was made twice"
                known = {e["data"]["call_id"] for e in told if e["type"] == "tool.call.started"}
                assert set(made) <= known
                ended = {
                    e["data"]["call_id"]: e["data"]["status"]
                    for e in told
                    if e["type"] == "tool.call.completed"
                }
                assert ended.keys() == known, "nobody was told how a call ended"
                assert {call for call, status in ended.items() if status == "ok"} <= set(made)
                finished = [e["data"] for e in told if e["type"] == "run.finished"]
                assert [end["status"] for end in finished] == ["completed"]
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()


def lines_of(home: Path, session: str) -> list[str]:
    """What the tool left in the session's folder: a call's id for each time that it was made."""
    made = [path.read_text("utf-8") for path in home.rglob("log.txt") if session in str(path)]
    return re.findall(r"eff_[0-9a-f]+", "".join(made))
