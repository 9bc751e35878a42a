"""The run gateway: an MCP server that offers exactly what the live run of a session was granted.

Asked with the official client over real connections, in both eras of the protocol, and by hand.
"""

import asyncio
from collections.abc import AsyncGenerator

import msgspec
import pytest

from tenure.core.command import Answering, SendMessage
from tenure.core.event import (
    MessageCompleted,
    StateUpdated,
    SteeringConsumed,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.grant import Budget
from tenure.core.message import BusyPolicy
from tenure.errors import Code
from tenure.host.catalogue import Agent
from tenure.runners.inprocess import InProcessRunner
from tests.http.gatehouse import (
    ADA,
    FILES,
    MODES,
    OWN,
    TOOLS,
    WAIT_S,
    Gatehouse,
    Mode,
    gatehouse,
    left,
    names,
    narrow,
    refused,
    result,
    told,
    worker,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend: str) -> AsyncGenerator[Gatehouse]:
    """A host with these agents and tools."""
    async with gatehouse(worker, narrow(), tools=TOOLS) as house:
        yield house


# what is offered


@pytest.mark.parametrize("mode", MODES)
async def test_offers_exactly_the_grant_with_schemas(house: Gatehouse, mode: Mode) -> None:
    session = await house.live()
    async with house.client(session, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    shown = ["add", "broken", "members_only", "pay", "stuck", "vanished", "weather-now-700b5356"]
    assert list(tools) == [*OWN, "steering_take", *FILES, *shown]
    assert (tools["add"].description, tools["add"].input_schema) == (
        "Add two numbers.",
        {
            "type": "object",
            "properties": {"one": {"type": "integer"}, "other": {"type": "integer"}},
            "required": ["one", "other"],
            "additionalProperties": False,
        },
    )
    assert tools["state_get"].input_schema["properties"]["scope"]["enum"] == ["conversation", "actor"]


async def test_offers_itself_and_its_files_to_a_run_that_was_granted_nothing(house: Gatehouse) -> None:
    session = await house.live("narrow")
    async with house.client(session) as client:
        offered = await names(client)
        answers = [
            await refused(client, "history"),
            await refused(client, "state_get", scope="actor", key="k"),
            await refused(client, "steering_take"),
            await refused(client, "add", one=1, other=2),
        ]

    assert offered == ["run_info", *FILES]
    assert answers == [Code.FORBIDDEN] * 4
    assert len(await house.warnings(session, 4)) == 4


# tools of the host


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_goes_through_the_ledger_and_stands_among_what_is_said(
    house: Gatehouse, mode: Mode
) -> None:
    session = await house.live()
    async with house.client(session, mode) as client:
        sum_of = await told(client, "add", {"one": 2, "other": 3})
        sky = await told(client, "weather-now-700b5356")
    receipt = await session.stop()
    await house.until(session, "run.finished")
    said = [e.event for e in await house.journal(session)]
    calls = [e for e in said if isinstance(e, ToolCallStarted | ToolCallCompleted)]
    texts = [e for e in said if isinstance(e, MessageCompleted)]

    assert receipt.status == "interrupting"
    assert (sum_of.text, sum_of.data) == ("5", None)
    assert sky.data == {"sky": "blue"}
    assert [(type(call).__name__, call.call_id == calls[0].call_id) for call in calls] == [
        ("ToolCallStarted", True),
        ("ToolCallCompleted", True),
        ("ToolCallStarted", False),
        ("ToolCallCompleted", False),
    ]
    assert [text.content for text in texts] == ["Working. ", "Stopped."]
    assert said.index(texts[0]) < said.index(calls[0]) < said.index(texts[1])


async def test_calls_run_side_by_side(house: Gatehouse) -> None:
    session = await house.live()
    async with house.client(session) as client:
        waiting = asyncio.create_task(told(client, "pay", {"amount": 1}))
        asked = await house.question(session)
        sums = await asyncio.gather(*[told(client, "add", {"one": n, "other": n}) for n in range(20)])
        await house.decide(asked, Answering.APPROVE)
        paid = await waiting

    assert [answer.text for answer in sums] == [str(2 * n) for n in range(20)]
    assert paid.text == "paid 1"


@pytest.mark.sources("P8")
@pytest.mark.parametrize("name", ["delete_everything", "mcp__github__create", "mcp:github/create", ""])
async def test_a_tool_outside_the_grant_is_an_error_and_stands_in_the_journal(
    house: Gatehouse, name: str
) -> None:
    session = await house.live()
    async with house.client(session) as client:
        assert await refused(client, name) is Code.FORBIDDEN
    (warning,) = await house.warnings(session, 1)

    assert warning.startswith("This run may not call the tool ")
    assert "its grant holds: add, broken, members_only, pay, stuck, vanished, weather.now" in warning


async def test_arguments_that_dont_fit_are_told_to_the_agent(house: Gatehouse) -> None:
    session = await house.live()
    async with house.client(session) as client:
        answers = [
            await told(client, "add", {"one": "two", "other": 3}),
            await told(client, "state_get", {"scope": "actor"}),
            await told(client, "history", {"limit": 0}),
            await told(client, "files_save", {"name": "a"}),
            await told(client, "files_save", {"name": "a", "base64": "é"}),
        ]
        floats = await result(client, "history", limit=5.0)

    assert [(a.is_error, a.data["code"]) for a in answers] == [(True, "invalid")] * 5
    assert all(a.text.startswith("invalid: ") for a in answers)
    assert len(floats["messages"]) == 2
    assert await house.warnings(session) == []


async def test_a_call_that_failed_or_whose_outcome_is_unknown_is_an_error_with_its_reason(
    house: Gatehouse,
) -> None:
    session = await house.live()
    async with house.client(session) as client:
        failed = await told(client, "broken")
        unknown = await told(client, "vanished")

    assert (failed.is_error, failed.text) == (
        True,
        "internal: The tool broken failed: ValueError: the printer is on fire",
    )
    assert unknown.is_error and unknown.data["code"] == "outcome_unknown"


# approvals


@pytest.mark.sources("P7")
@pytest.mark.parametrize("mode", MODES)
async def test_an_approval_is_waited_for_and_the_asker_told_so(house: Gatehouse, mode: Mode) -> None:
    session = await house.live()
    messages, enough = list[str | None](), asyncio.Event()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        messages.append(message)
        if message == "Waiting for a person's approval.":
            enough.set()

    async with house.client(session, mode) as client:
        paying = asyncio.create_task(told(client, "pay", {"amount": 7}, progress))
        asked = await house.question(session)
        await asyncio.wait_for(enough.wait(), WAIT_S)
        info = await result(client, "run_info")
        await house.decide(asked, Answering.APPROVE)
        paid = await paying

    assert info["waiting"] is True
    assert (paid.is_error, paid.text) == (False, "paid 7")


async def test_a_denial_is_an_error_with_the_persons_words(house: Gatehouse) -> None:
    session = await house.live()
    async with house.client(session) as client:
        paying = asyncio.create_task(told(client, "pay", {"amount": 7}))
        await house.decide(await house.question(session), Answering.DENY, "too much")
        answer = await paying

    assert (answer.is_error, answer.text) == (
        True,
        "denied: The call of pay was not approved: denied by root: too much",
    )


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_whose_client_gave_up_is_answered_when_it_is_asked_again(
    house: Gatehouse, mode: Mode
) -> None:
    session = await house.live()
    async with house.client(session, mode) as client:
        first = asyncio.create_task(told(client, "pay", {"amount": 7}))
        asked = await house.question(session)
        first.cancel()
        await asyncio.wait({first})
        await left(house, session)
        second = asyncio.create_task(told(client, "pay", {"amount": 7}))
        await house.decide(asked, Answering.APPROVE)
        paid = await second
    types = [type(e.event).__name__ for e in await house.journal(session)]

    assert paid.text == "paid 7"
    assert (types.count("ApprovalRequested"), types.count("ToolCallStarted")) == (1, 1)


async def test_a_call_whose_client_vanished_is_answered_to_the_next_one(house: Gatehouse) -> None:
    session = await house.live()
    async with house.client(session, "legacy") as client:
        first = asyncio.create_task(told(client, "pay", {"amount": 7}))
        asked = await house.question(session)
        first.cancel()
        await asyncio.wait({first})
    await left(house, session)
    await house.decide(asked, Answering.APPROVE)
    await house.until(session, "tool.call.completed")
    async with house.client(session) as client:
        paid = await told(client, "pay", {"amount": 7})

    assert paid.text == "paid 7"
    assert sum(isinstance(e.event, ToolCallStarted) for e in await house.journal(session)) == 1


# the run's own


async def test_a_run_is_told_of_itself(house: Gatehouse) -> None:
    session = await house.live(text="How far is it?")
    async with house.client(session) as client:
        info = await result(client, "run_info")

    attempt = house.host.gateway.enter(house.access(session).token)
    assert 0 < info.pop("seconds_left") <= 3_600
    assert info == {
        "run_id": attempt.run_id,
        "session_id": session.session_id,
        "attempt": 1,
        "agent": "worker",
        "message": {
            "id": attempt.message.id,
            "user": "ada",
            "text": "How far is it?",
            "content": "How far is it?",
        },
        "stopping": False,
        "waiting": False,
        "steering_pending": 0,
        "tools": ["add", "broken", "members_only", "pay", "stuck", "vanished", "weather.now"],
        "apis": ["history"],
        "state_scopes": ["conversation", "actor"],
        "budget": None,
    }


async def test_a_run_is_told_how_it_stands_against_its_budget() -> None:
    policy = msgspec.structs.replace(worker.policy, budget=Budget(tool_calls=3))
    async with gatehouse(
        Agent(name="worker", runner=InProcessRunner(worker), policy=policy), tools=TOOLS
    ) as h:
        session = await h.live()
        async with h.client(session) as client:
            await told(client, "add", {"one": 1, "other": 1})
            info = await result(client, "run_info")

    assert info["budget"] == {
        "terms": {"tokens": None, "cost": None, "tool_calls": 3, "scope": "run", "ask_at": None},
        "level": "within",
        "reached": None,
    }


async def test_state_is_kept_listed_compared_and_deleted(house: Gatehouse) -> None:
    session = await house.live()
    place = {"scope": "actor", "key": "mail"}
    async with house.client(session) as client:
        none = await result(client, "state_get", **place)
        first = await result(client, "state_set", **place, value={"to": "ada"}, if_version=0)
        stale = await told(client, "state_set", {**place, "value": 2, "if_version": 0})
        kept = await result(client, "state_get", **place)
        listed = await result(client, "state_list", scope="actor")
        gone = [await result(client, "state_delete", **place) for _ in range(2)]
    updates = [e.event for e in await house.journal(session) if isinstance(e.event, StateUpdated)]

    assert (none, first) == ({"value": None, "version": 0}, {"version": 1})
    assert (stale.is_error, stale.data["code"]) == (True, "stale")
    assert kept == {"value": {"to": "ada"}, "version": 1}
    assert listed == {"values": {"mail": {"value": {"to": "ada"}, "version": 1}}}
    assert gone == [{"deleted": True}, {"deleted": False}]
    assert len(updates) == 2


async def test_a_scope_that_isnt_enabled_is_refused_and_stands_in_the_journal(house: Gatehouse) -> None:
    session = await house.live()
    async with house.client(session) as client:
        answer = await refused(client, "state_set", scope="runner", key="k", value=1)

    assert answer is Code.FORBIDDEN
    assert len(await house.warnings(session, 1)) == 1


async def test_history_comes_in_pages(house: Gatehouse) -> None:
    session = await house.live(text="Hello")
    async with house.client(session) as client:
        first = await result(client, "history", limit=1)
        second = await result(client, "history", limit=1, cursor=first["next_cursor"])

    assert [(m["role"], m["content"]) for m in first["messages"]] == [("user", "Hello")]
    assert [(m["role"], m["content"]) for m in second["messages"]] == [("assistant", "Working. ")]


async def test_steering_is_handed_out_once(house: Gatehouse) -> None:
    session = await house.live()
    ask = SendMessage(content="left!", when_busy=BusyPolicy.STEER)
    await house.host.commands.send(ADA, session.session_id, ask, None)
    await house.until(session, lambda e: "left!" in str(e.event))
    async with house.client(session) as client:
        pending = (await result(client, "run_info"))["steering_pending"]
        taken = await result(client, "steering_take")
        rest = await result(client, "steering_take", limit=3)
    consumed = [e.event for e in await house.journal(session) if isinstance(e.event, SteeringConsumed)]

    (message,) = taken["messages"]
    assert (pending, rest) == (1, {"messages": []})
    assert (message["user"], message["text"], message["redelivered"]) == ("ada", "left!", False)
    assert [list(each.message_ids) for each in consumed] == [[message["id"]]]


async def test_files_are_saved_listed_and_read_in_parts(house: Gatehouse) -> None:
    session = await house.live()
    async with house.client(session) as client:
        text = await result(
            client, "files_save", name="../notes.md", text="Grüße", media_type="text/markdown"
        )
        data = await result(client, "files_save", name="raw.bin", base64="/wD+")
        listed = (await result(client, "files_list"))["files"]
        whole = await result(client, "files_read", id=text["artifact_id"])
        part = await result(client, "files_read", id=text["artifact_id"], offset=5)
        raw = await result(client, "files_read", id=data["artifact_id"])
        absent = await told(client, "files_read", {"id": "art_" + "0" * 32})

    assert [(file["name"], file["size"]) for file in listed] == [("notes.md", 7), ("raw.bin", 3)]
    assert whole == {
        "name": "notes.md",
        "media_type": "text/markdown",
        "size": 7,
        "offset": 0,
        "text": "Grüße",
    }
    assert (part["base64"], raw["base64"]) == ("n2U=", "/wD+")
    assert (absent.is_error, absent.data["code"]) == (True, "not_found")
