"""The run gateway's tools for what is said later: what they take, what they answer, and what they refuse.

Asked with the official client over real connections, in both eras of the protocol.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

import tenure
from tenure.core.command import SendMessage
from tenure.core.message import BusyPolicy
from tenure.core.scheduling import CreateSchedule
from tenure.errors import Code
from tests.http.gatehouse import (
    ADA,
    FILES,
    MODES,
    OWN,
    Gatehouse,
    Mode,
    gatehouse,
    names,
    refused,
    result,
    told,
    worker,
)

pytestmark = pytest.mark.anyio

RECALLING = ["recall_schedule", "recall_list", "recall_cancel"]


@tenure.agent("planner", steering=True, permissions=("history", "recalls"))
async def planner(run: tenure.Run) -> AsyncIterator[str]:
    """Works until somebody says something to it."""
    if run.origin.recall is not None:
        yield f"recalled: {run.message.text}"
        return
    yield "Planning. "
    await run.steering.wait()
    await run.steering.take()


@pytest.fixture
async def house(anyio_backend: str) -> AsyncGenerator[Gatehouse]:
    """A host with one agent that asks for the right, and one that doesn't."""
    async with gatehouse(planner, worker) as house:
        yield house


@pytest.mark.parametrize("mode", MODES)
async def test_they_are_offered_with_the_right_alone(house: Gatehouse, mode: Mode) -> None:
    planning, working = await house.live("planner"), await house.live("worker")
    async with house.client(planning, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        info = await result(client, "run_info")
    async with house.client(working, mode) as client:
        offered = await names(client)
        answer = await refused(client, "recall_schedule", message="x", in_s=5)

    assert list(tools) == [*OWN, "steering_take", *FILES, *RECALLING]
    assert info["apis"] == ["history", "recalls"]
    schema = tools["recall_schedule"].input_schema
    assert schema["required"] == ["message"]
    assert schema["$defs"]
    assert {"at", "in_s", "every_s", "cron", "timezone", "missed", "overlap"} <= set(schema["properties"])
    assert not dangling(schema)
    assert not set(offered) & set(RECALLING)
    assert answer is Code.FORBIDDEN


@pytest.mark.sources("N14")
@pytest.mark.parametrize("mode", MODES)
async def test_what_is_scheduled_is_listed_said_and_ended(house: Gatehouse, mode: Mode) -> None:
    session = await house.live("planner")
    async with house.client(session, mode) as client:
        soon = await result(client, "recall_schedule", message="look again", in_s=0.05, name="soon")
        daily = await result(
            client, "recall_schedule", message="x", cron="0 8 * * *", timezone="Europe/Berlin"
        )
        listed = await result(client, "recall_list")
        ended = await result(client, "recall_cancel", id=daily["id"])
    steer = SendMessage(content="enough", when_busy=BusyPolicy.STEER)
    await house.host.commands.send(ADA, session.session_id, steer, None)
    fired = await house.until(session, "recall.fired")
    started = await house.until(session, "run.started", fired.seq)
    await house.until(session, "run.finished", started.seq)

    assert next((one["id"], one["status"]) for one in listed["schedules"]) == (daily["id"], "active")
    assert (soon["name"], soon["session_id"], soon["owner"]) == ("soon", session.session_id, "ada")
    assert (daily["timezone"], ended["id"], ended["status"]) == ("Europe/Berlin", daily["id"], "cancelled")


async def test_a_timing_that_makes_no_sense_is_told_and_what_people_made_stays(house: Gatehouse) -> None:
    session = await house.live("planner")
    ask = CreateSchedule(message="x", every_s=3_600, session_id=session.session_id)
    by_people = (await house.host.scheduling.create(ADA, ask, None)).value
    async with house.client(session) as client:
        answers = [
            await told(client, "recall_schedule", {"message": "x"}),
            await told(client, "recall_schedule", {"message": "x", "every_s": 0}),
            await told(client, "recall_schedule", {"message": "x", "cron": "61 * * * *"}),
            await told(client, "recall_schedule", {"message": "x", "in_s": 5, "session_id": "ses_1"}),
        ]
        answer = await refused(client, "recall_cancel", id=by_people.id)

    assert [each.is_error for each in answers] == [True] * 4
    assert all(each.text.startswith("invalid: ") for each in answers), answers
    assert answer is Code.FORBIDDEN


def dangling(schema: Any) -> set[str]:
    """The references in a schema that lead nowhere."""
    text = json.dumps(schema)
    return set(re.findall(r'"#/\$defs/(\w+)"', text)) - set(schema.get("$defs", {}))
