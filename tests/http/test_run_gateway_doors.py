"""The run gateway: whose run a token opens, for how long, and that the token opens nothing else."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError

from tenure.core.command import CreateKey
from tenure.core.entry import lines_of
from tenure.core.event import MessageDelta, RunFinished
from tenure.core.principal import Role
from tenure.errors import Code
from tenure.http.call import Options
from tenure.http.run_gateway import MOST_BYTES
from tests.http.gatehouse import (
    FILES,
    MODES,
    ROOT,
    TOOLS,
    Gatehouse,
    Mode,
    gatehouse,
    holding,
    names,
    narrow,
    refused,
    result,
    scripted,
    told,
    worker,
)
from tests.http.world import a_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend: str) -> AsyncGenerator[Gatehouse]:
    """A host with these agents and tools."""
    async with gatehouse(worker, narrow(), tools=TOOLS) as house:
        yield house


# whose run, and for how long


async def test_two_sessions_use_what_is_theirs(house: Gatehouse) -> None:
    one, other = await house.live(), await house.live("narrow")
    async with house.client(one) as first, house.client(other) as second:
        await result(first, "state_set", scope="conversation", key="k", value="mine")
        mine, theirs = await result(first, "run_info"), await result(second, "run_info")
        offered = await names(second)

    assert (mine["session_id"], theirs["session_id"]) == (one.session_id, other.session_id)
    assert offered == ["run_info", *FILES]


@pytest.mark.sources("P8")
@pytest.mark.parametrize("mode", MODES)
async def test_what_is_taken_from_the_grant_is_offered_no_longer(house: Gatehouse, mode: Mode) -> None:
    session = await house.live()
    async with house.client(session, mode) as client:
        before = await names(client)
        await house.host.commands.create_key(
            ROOT, CreateKey(user="ada", role=Role.VIEWER), None, "tnr_" + "v" * 43
        )
        page = await house.host.store.keys(None, None, 100)
        member = next(key for key in page.data if key.user == "ada" and key.role == "member")
        await house.host.commands.revoke_key(ROOT, member.id)
        await house.until(session, "grant.reduced")
        after = await names(client)
        answer = await refused(client, "members_only")

    assert [name for name in before if name not in after] == ["members_only"]
    assert answer is Code.FORBIDDEN


@pytest.mark.parametrize("mode", MODES)
async def test_one_client_serves_the_runs_of_a_session_one_after_the_other(
    house: Gatehouse, mode: Mode
) -> None:
    session = await house.live()
    async with house.client(session, mode) as client:
        first = await result(client, "run_info")
        await session.stop()
        end = await house.until(session, "run.finished")
        with pytest.raises(MCPError):
            await told(client, "run_info")
        await session.send("again")
        await house.until(session, "message.delta", end.seq)
        second = await result(client, "run_info")

    assert (first["message"]["text"], second["message"]["text"]) == ("go", "again")


@pytest.mark.parametrize("tool", ["pay", "stuck"])
async def test_an_interrupt_ends_the_calls_of_the_run_with_an_error(house: Gatehouse, tool: str) -> None:
    session = await house.live()
    async with house.client(session) as client:
        calling = asyncio.create_task(refused(client, tool, **({"amount": 1} if tool == "pay" else {})))
        await house.until(session, "tool.call.started")
        await session.stop()
        answer = await calling
    finished = (await house.until(session, "run.finished")).event

    assert answer is Code.NOT_RUNNING
    assert isinstance(finished, RunFinished) and finished.status == "cancelled"


# who is let in


PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


async def status(
    house: Gatehouse, method: str = "POST", token: str | None = None, content: bytes = PING, **headers: str
) -> Any:
    """What a request by hand is answered: its status, and the code of its problem."""
    sent = {"Authorization": f"Bearer {token}"} if token is not None else {}
    sent |= {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
    answer = await house.http.request(method, "/mcp/run", content=content, headers=sent)
    assert token is None or token not in answer.text
    if answer.headers["content-type"] != "application/problem+json":
        return answer.status_code
    assert answer.headers.get("www-authenticate") == ("Bearer" if answer.status_code == 401 else None)
    return answer.status_code, answer.json()["code"]


async def test_only_a_token_of_a_live_run_is_let_in(house: Gatehouse) -> None:
    session, other = await house.live(), await house.small.open("worker")
    mine, idle = house.access(session).token, house.access(other).token
    name, _, seal = mine.partition(".")
    swapped = f"{idle.partition('.')[0]}.{seal}"

    assert [
        await status(house, token=token) for token in (None, "x", name, mine + "x", swapped, idle, mine)
    ] == [
        *[(401, "unauthenticated")] * 5,
        (403, "forbidden"),
        200,
    ]


async def test_no_key_opens_the_gateway_and_its_token_opens_nothing_else(house: Gatehouse) -> None:
    session = await house.live()
    await house.host.commands.create_key(ROOT, CreateKey(user="eve", role=Role.ADMIN), None, "tnr_admin")
    paths = [f"/v1/sessions/{session.session_id}", "/v1/whoami", f"/v1/sessions/{session.session_id}/events"]
    bearer = {"Authorization": f"Bearer {house.access(session).token}"}

    assert await status(house, token="tnr_admin") == (401, "unauthenticated")
    assert [(await house.http.get(path, headers=bearer)).status_code for path in paths] == [401] * 3


async def test_the_gateway_stands_behind_the_front(house: Gatehouse) -> None:
    token = house.access(await house.live()).token

    assert await status(house, token=token, Host="evil.example") == (421, "bad_host")
    assert await status(house, token=token, Origin="https://evil.example") == (403, "bad_origin")
    assert await status(house, "GET", token) == (405, "method_not_allowed")
    assert await status(house, "DELETE", token) == (405, "method_not_allowed")
    huge = b" " * (MOST_BYTES + 1)
    assert await status(house, token=token, content=huge) == (413, "too_large")


async def test_a_client_without_a_library_is_served_in_any_revision(house: Gatehouse) -> None:
    session = await house.live()
    sent = {
        "Authorization": f"Bearer {house.access(session).token}",
        "Accept": "application/json, text/event-stream",
    }

    async def ask(method: str, params: Any, **headers: str) -> Any:
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        answer = await house.http.post("/mcp/run", json=message, headers={**sent, **headers})
        data = next(line for line in answer.text.splitlines() if line.startswith("data: "))
        return json.loads(data.removeprefix("data: "))["result"], answer.headers

    versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
    hello = {"capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}
    for version in versions:
        said, headers = await ask("initialize", {**hello, "protocolVersion": version})
        assert said["protocolVersion"] == version
        assert said["serverInfo"]["name"] == "tenure"
        named = {"mcp-session-id": headers["mcp-session-id"], "mcp-protocol-version": version}
        sum_of, _ = await ask("tools/call", {"name": "add", "arguments": {"one": 1, "other": 1}}, **named)
        assert sum_of["content"] == [{"type": "text", "text": "2"}]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100, b'{"jsonrpc":"2.0"}'])
async def test_what_is_no_message_is_refused_and_the_gateway_goes_on(house: Gatehouse, body: bytes) -> None:
    session = await house.live()
    headers = {
        "Authorization": f"Bearer {house.access(session).token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    answer = await house.http.post("/mcp/run", content=body, headers=headers)

    assert 400 <= answer.status_code < 500
    async with house.client(session) as client:
        assert (await told(client, "add", {"one": 1, "other": 1})).text == "2"


async def test_a_request_that_is_given_up_ends_without_an_answer(house: Gatehouse) -> None:
    session = await house.live()
    sent = {
        "Authorization": f"Bearer {house.access(session).token}",
        "Accept": "application/json, text/event-stream",
        "Mcp-Session-Id": "mine",
        "Mcp-Protocol-Version": "2025-11-25",
    }
    pay = {"name": "pay", "arguments": {"amount": 1}}
    call = {"jsonrpc": "2.0", "id": "first", "method": "tools/call", "params": pay}
    stop = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "first"}}
    async with house.http.stream("POST", "/mcp/run", json=call, headers=sent) as answer:
        await house.question(session)
        strangers = await house.http.post("/mcp/run", json=stop, headers={**sent, "Mcp-Session-Id": "other"})
        stopped = await house.http.post("/mcp/run", json=stop, headers=sent)
        said = [line async for line in answer.aiter_lines()]

    assert (answer.status_code, strangers.status_code, stopped.status_code) == (200, 202, 202)
    assert [line for line in said if line.startswith("data:")] == []
    assert house.host.gateway.enter(house.access(session).token).remote.forsaken == 1


# secrets, and hosts without


async def test_the_token_is_in_no_journal_and_no_log(
    house: Gatehouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = await house.live()
    token = house.access(session).token
    async with holding(house.access(session), "legacy") as client:
        await told(client, "add", {"one": 1, "other": 1})
        await told(client, "broken")
        await refused(client, "nothing")
    await session.stop()
    await house.until(session, "run.finished")
    await status(house, token=token)
    page = await house.host.store.page(session.session_id, 0, 1_000)
    journal = b"".join(line for span in page.spans for line in lines_of(span.body)).decode()
    logged = "\n".join(f"{r.name} {r.getMessage()} {r.exc_text}" for r in caplog.records if r.name != "httpx")
    metrics = (await house.http.get("/metrics")).text

    seal = token.partition(".")[2]
    assert [seal in text for text in (journal, logged, metrics)] == [False] * 3


async def test_a_host_without_the_library_says_so() -> None:
    async with gatehouse(scripted(), served=False) as house:
        session = await house.live("scripted", "TOKEN\nSLOW 1000 100")
        said = (await session.transcript())[1].content
        assert str(said).startswith("This host has no run gateway.")


async def test_scripted_says_its_token() -> None:
    async with gatehouse(scripted(), tools=TOOLS) as h:
        session = await h.live("scripted", "TOKEN\nSLOW 1000 100")
        said = (await h.until(session, "message.delta")).event
        assert isinstance(said, MessageDelta)
        access = json.loads(said.text)
        assert access == {"url": f"{h.url}/mcp/run", "token": h.access(session).token}
        async with h.client(session) as client:
            assert (await told(client, "add", {"one": 1, "other": 2})).text == "3"


async def test_the_first_requests_load_the_server_and_are_answered(tmp_path: Path) -> None:
    async with a_world(tmp_path / "home") as world:
        world.host.gateway.announce("http://localhost")
        session = await world.session()
        await world.say(session, "TOKEN\nSLOW 1000 100")
        said = await world.follow(session).event("message.delta")
        access = json.loads(said.data["data"]["text"])
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        asked = [
            world.ask("POST", "/mcp/run", json.loads(PING), key=access["token"], headers=headers)
            for _ in range(3)
        ]
        answers = await asyncio.gather(*asked)
        world.serve(Options())
        unserved = await world.ask("POST", "/mcp/run", {}, key=access["token"])
        await world.post(f"/v1/sessions/{session}/interrupt", {"force": True})

    assert access["url"] == "http://localhost/mcp/run"
    assert [answer.status_code for answer in answers] == [200] * 3
    assert (unserved.status_code, unserved.json()["code"]) == (409, "unsupported")


async def test_where_the_extra_is_missing_no_run_is_told_of_a_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        """Nothing of this name is installed."""

    monkeypatch.setattr("tenure.wiring.find_spec", absent)
    async with a_world(tmp_path / "home") as world:
        world.host.gateway.announce("http://localhost")
        events = await world.spoken(await world.session(), "TOKEN")

    assert "This host has no run gateway." in json.dumps(events)


@pytest.mark.parametrize("mode", MODES)
async def test_no_task_is_left_when_the_answer_is_given(house: Gatehouse, mode: Mode) -> None:
    session = await house.live()
    async with house.client(session, mode) as client:
        await told(client, "add", {"one": 1, "other": 1})
    left = [str(task.get_coro()) for task in asyncio.all_tasks()]

    assert [name for name in left if "watch" in name or "mcp" in name] == []
