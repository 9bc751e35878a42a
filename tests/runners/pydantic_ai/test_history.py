"""What a model is given of the session before, on a real host: undo, fork, compaction, stops, steering."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart

from tenure.core.command import InterruptRun, SendMessage
from tenure.core.event import MessageDelta, RunFinished, SteeringConsumed, ToolCallCompleted, ToolCallStarted
from tenure.core.grant import Policy
from tenure.core.history import CompactSession, ForkSession, UndoTurns
from tenure.core.message import BusyPolicy
from tenure.host.catalogue import Agent
from tenure.runners.pydantic_ai.keeping import FORMAT, Kept, packed, unpacked
from tenure.testing import FakeRun
from tests.host.rooms import UNHURRIED, Rooms, Talk, end, in_virtual_time, said, warnings
from tests.runners.pydantic_ai.acting import Delta, agent, answered, call, calls, results, runner, spoken


class Memory:
    """An agent that notes what its model is given, and calls `note` once for each message."""

    def __init__(self, **more: Any) -> None:
        self.seen: list[list[tuple[str, str]]] = []
        self.systems: list[list[str]] = []
        self.agent: PydanticAgent[Any, Any] = agent(self.speaks, **more)
        self.agent.tool_plain(self.note)

    async def speaks(self, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        self.seen.append(spoken(messages))
        self.systems.append(
            [
                part.content
                for message in messages
                if isinstance(message, ModelRequest)
                for part in message.parts
                if isinstance(part, SystemPromptPart)
            ]
        )
        if answered(messages) == 0:
            yield call("note", {})
        else:
            yield f"answer {len(results(messages))}"

    async def note(self) -> str:
        return "noted"


async def remembering(rooms: Rooms, memory: Memory, policy: Policy = UNHURRIED, **more: Any) -> Talk:
    """A session with such an agent."""
    await rooms.up(Agent(name="agent", runner=runner(memory.agent), policy=policy, **more))
    return await rooms.open()


def turn(text: str, number: int) -> list[tuple[str, str]]:
    """A whole turn, as a model knows it later."""
    return [("user", text), ("note", "noted"), ("model", f"answer {number}")]


@in_virtual_time
async def test_a_later_run_knows_the_calls_of_an_earlier_one(rooms: Rooms) -> None:
    talk = await remembering(rooms, memory := Memory())
    await talk.say("one")
    await talk.say("two")

    assert memory.seen[-1] == [*turn("one", 1), ("user", "two"), ("note", "noted")]


@in_virtual_time
async def test_what_was_undone_is_unknown_to_the_next_run(rooms: Rooms) -> None:
    talk = await remembering(rooms, memory := Memory())
    await talk.say("one")
    await talk.say("two")
    await rooms.there(rooms.host.histories.undo(talk.by, talk.session_id, UndoTurns(), None))
    await talk.say("three")

    assert memory.seen[-1] == [*turn("one", 1), ("user", "three"), ("note", "noted")]


@in_virtual_time
async def test_a_fork_knows_what_was_said_before_it(rooms: Rooms) -> None:
    talk = await remembering(rooms, memory := Memory())
    await talk.say("one")
    made = await rooms.there(rooms.host.histories.fork(talk.by, talk.session_id, ForkSession(), None))
    fork = Talk(rooms, talk.by, made.value.id)
    await talk.say("not here")
    await fork.say("two")

    assert memory.seen[-1] == [*turn("one", 1), ("user", "two"), ("note", "noted")]


@in_virtual_time
async def test_a_compacted_session_begins_with_its_summary_and_keeps_the_system_prompt(rooms: Rooms) -> None:
    async def summarize(_asked: object) -> str:
        return "they counted"

    memory = Memory(system_prompt="Be kind.")
    talk = await remembering(rooms, memory, summarize=summarize)
    for text in ("one", "two"):
        await talk.say(text)
    compacting = rooms.host.histories.compact(talk.by, talk.session_id, CompactSession(), None)
    await talk.answer((await rooms.there(compacting)).value)
    await talk.say("three")

    summary = ("user", "Summary of the conversation so far:\nthey counted")
    assert memory.seen[-1][0] == summary
    assert memory.seen[-1][1:4] == turn("two", 2)
    assert set(map(tuple, memory.systems)) == {("Be kind.",)}


@in_virtual_time
async def test_a_stop_keeps_what_was_said_for_people_and_for_the_model(rooms: Rooms) -> None:
    seen: list[list[tuple[str, str]]] = []

    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        seen.append(spoken(messages))
        yield "half "
        if len(seen) == 1:
            await asyncio.Event().wait()

    await rooms.up(Agent(name="agent", runner=runner(speaks), policy=UNHURRIED))
    talk = await rooms.open()
    receipt = await talk.send("one")
    await talk.until(MessageDelta)
    before = rooms.loop.time()
    await talk.stop()
    events = await talk.answer(receipt)
    await talk.say("two")

    assert rooms.loop.time() - before < 1
    assert (said(events), end(events)) == ("half ", ("cancelled", "interrupted"))
    assert (await talk.lines())[:2] == [("user", "one", "settled"), ("assistant", "half ", "partial")]
    assert seen[-1] == [("user", "one"), ("model", "half "), ("user", "two")]


@in_virtual_time
async def test_a_stop_lets_a_tool_finish_and_calls_no_model_after_it(rooms: Rooms) -> None:
    memory = Memory()
    gate = asyncio.Event()

    async def slow() -> str:
        await asyncio.sleep(2)
        gate.set()
        return "slept"

    owner = agent(memory.speaks)
    owner.tool_plain(name="note")(slow)
    await rooms.up(Agent(name="agent", runner=runner(owner), policy=UNHURRIED))
    talk = await rooms.open()
    receipt = await talk.send("one")
    await talk.until(ToolCallStarted)
    await talk.stop()
    events = await talk.answer(receipt)

    assert (gate.is_set(), len(memory.seen)) == (True, 1)
    assert [e.event.status for e in events if isinstance(e.event, ToolCallCompleted)] == ["ok"]
    assert end(events) == ("cancelled", "interrupted")


@in_virtual_time
async def test_a_forced_stop_waits_for_nothing(rooms: Rooms) -> None:
    owner = agent(Memory().speaks)

    async def endless() -> str:
        await asyncio.Event().wait()
        return "never"

    owner.tool_plain(name="note")(endless)
    await rooms.up(Agent(name="agent", runner=runner(owner), policy=UNHURRIED))
    talk = await rooms.open()
    receipt = await talk.send("one")
    await talk.until(ToolCallStarted)
    await talk.stop(InterruptRun(force=True))

    assert end(await talk.answer(receipt)) == ("cancelled", "interrupted")


@in_virtual_time
async def test_a_deadline_ends_a_run_whose_model_says_nothing(rooms: Rooms) -> None:
    async def speaks(_messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        await asyncio.Event().wait()
        yield ""

    policy = Policy(deadline_s=30)
    await rooms.up(Agent(name="agent", runner=runner(speaks), policy=policy))
    talk = await rooms.open()

    assert end(await talk.say("one")) == ("timed_out", "deadline_exceeded")


@in_virtual_time
async def test_a_model_that_fails_is_asked_again_after_longer_and_longer_waits(rooms: Rooms) -> None:
    asked: list[float] = []

    async def speaks(_messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        asked.append(rooms.loop.time())
        raise ModelHTTPError(503, "acting")
        yield ""

    await rooms.up(Agent(name="agent", runner=runner(speaks), policy=UNHURRIED))
    talk = await rooms.open()
    events = await talk.say("one")
    waits = [after - before for before, after in pairwise(asked)]

    assert [0.375 <= waits[0] <= 0.625, 0.75 <= waits[1] <= 1.25, 1.5 <= waits[2] <= 2.5] == [True] * 3
    assert warnings(events) == ["model_retried"] * 3
    assert end(events)[0] == "failed"


@in_virtual_time
async def test_steering_goes_into_the_next_call_of_the_model_once(rooms: Rooms) -> None:
    memory = Memory()
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "noted"

    owner = agent(memory.speaks)
    owner.tool_plain(name="note")(slow)
    await rooms.up(Agent(name="agent", runner=runner(owner), policy=UNHURRIED))
    talk = await rooms.open()
    receipt = await talk.send("one")
    await talk.until(ToolCallStarted)
    for text in ("left", "right"):
        await talk.send(SendMessage(content=text, when_busy=BusyPolicy.STEER))
    gate.set()
    events = await talk.answer(receipt)

    assert memory.seen[1] == [("user", "one"), ("note", "noted"), ("user", "left"), ("user", "right")]
    assert len([e for e in events if isinstance(e.event, SteeringConsumed)]) == 2
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_steering_during_the_last_answer_leads_to_another(rooms: Rooms) -> None:
    gate = asyncio.Event()
    seen: list[list[tuple[str, str]]] = []

    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        seen.append(spoken(messages))
        yield f"answer {len(seen)} "
        await gate.wait()

    await rooms.up(Agent(name="agent", runner=runner(speaks), policy=UNHURRIED))
    talk = await rooms.open()
    receipt = await talk.send("one")
    await talk.until(MessageDelta)
    await talk.send(SendMessage(content="wait, also this", when_busy=BusyPolicy.STEER))
    gate.set()
    events = await talk.answer(receipt)

    assert seen[-1] == [("user", "one"), ("model", "answer 1 "), ("user", "wait, also this")]
    assert said(events) == "answer 1 answer 2 "
    assert len([e for e in await talk.journal() if isinstance(e.event, RunFinished)]) == 1


@in_virtual_time
async def test_a_failed_run_is_remembered_as_far_as_it_came(rooms: Rooms) -> None:
    memory = Memory()
    broken = [True]

    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        if results(messages) and broken and broken.pop():
            raise LookupError("lost")
        async for delta in memory.speaks(messages):
            yield delta

    owner = agent(speaks)
    owner.tool_plain(memory.note)
    await rooms.up(Agent(name="agent", runner=runner(owner), policy=UNHURRIED))
    talk = await rooms.open()
    assert end(await talk.say("one"))[0] == "failed"
    await talk.say("two")

    first, second = [("user", "one"), ("note", "noted")], [("user", "two"), ("note", "noted")]
    assert memory.seen[-1] == [*first, *second]


@in_virtual_time
async def test_a_call_that_was_made_before_another_broke_the_run_is_known_to_the_next(rooms: Rooms) -> None:
    seen: list[list[tuple[str, str]]] = []

    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        seen.append(spoken(messages))
        if len(seen) == 1:
            yield "On it. "
            for wanted in calls(("pay", {}), ("crash", {})):
                yield wanted
        else:
            yield "done"

    owner, paid = agent(speaks), asyncio.Event()

    async def pay() -> str:
        paid.set()
        return "paid"

    async def crash() -> str:
        await paid.wait()
        await asyncio.sleep(1)
        raise LookupError("lost")

    owner.tool_plain(pay)
    owner.tool_plain(crash)
    await rooms.up(Agent(name="agent", runner=runner(owner), policy=UNHURRIED))
    talk = await rooms.open()
    assert end(await talk.say("one")) == ("failed", "LookupError: lost")
    await talk.say("two")

    assert seen[-1][:3] == [("user", "one"), ("model", "On it. "), ("pay", "paid")]
    assert seen[-1][-1] == ("user", "two")


@in_virtual_time
async def test_what_was_done_and_half_said_before_a_forced_stop_is_known_to_the_next_run(
    rooms: Rooms,
) -> None:
    seen: list[list[tuple[str, str]]] = []

    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        seen.append(spoken(messages))
        if len(seen) == 1:
            yield call("note", {})
        else:
            yield "half "
            if len(seen) == 2:
                await asyncio.Event().wait()

    owner = agent(speaks)
    owner.tool_plain(Memory().note)
    await rooms.up(Agent(name="agent", runner=runner(owner), policy=UNHURRIED))
    talk = await rooms.open()
    receipt = await talk.send("one")
    await talk.until(MessageDelta)
    await talk.stop(InterruptRun(force=True))
    assert end(await talk.answer(receipt)) == ("cancelled", "interrupted")
    await talk.say("two")

    assert seen[-1] == [("user", "one"), ("note", "noted"), ("model", "half "), ("user", "two")]


@pytest.mark.anyio
@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":"pydantic-ai/0","messages":[]}', b"\xff", None])
async def test_a_checkpoint_that_cant_be_read_is_as_good_as_none(data: bytes | None) -> None:
    assert unpacked(data) is None


@pytest.mark.anyio
async def test_a_run_whose_checkpoint_is_of_another_version_starts_over_and_says_so() -> None:
    run = FakeRun("go", attempt=2, resumed=True)
    run.checkpoints.kept[run.run_id] = b'{"format":"pydantic-ai/0","messages":[]}'
    outputs = [output async for output in runner(Memory().agent).run(run)]

    assert [code for code, _ in run.warnings] == ["checkpoint_unreadable"]
    assert "answer 1" in str(outputs)


@pytest.mark.anyio
async def test_a_checkpoint_is_read_as_it_was_kept() -> None:
    kept = Kept(messages=(ModelResponse(parts=[]),), taken=("msg_1",))
    data = packed(kept)

    assert data is not None and FORMAT.encode() in data
    assert unpacked(data) == kept
