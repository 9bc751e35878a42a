"""What an agent does by itself: people are asked about its own calls, and its runner keeps checkpoints."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from tenure.core.command import Answering, Remember
from tenure.core.effect import CallStatus
from tenure.core.event import (
    ApprovalRequested,
    RunnerWarning,
    RunRetried,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.grant import Capabilities, Descriptor
from tenure.core.ledger import CHANGED
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.ports.checkpoints import MOST_CHECKPOINT
from tenure.ports.runner import RunContext
from tests.host.mails import modes, resolutions
from tests.host.rooms import Rooms, Talk, agent, end, in_virtual_time, said
from tests.host.workshop import TOOLED, Bench, FakeTool, Work, asked, asking, decide, kinds

LET_GO = Limits(held_runs=0)


async def deleting(run: RunContext) -> AsyncIterator[Output]:
    """An agent that deletes a file by itself, if it is let, and says what came of it."""
    permit = await run.own.ask("delete", {"path": run.message.text})
    if permit.granted:
        await run.own.settle(permit.call_id, CallStatus.OK, {"gone": permit.arguments["path"]})
    yield Text(f"{run.attempt}: {permit.granted} {permit.note}")
    yield completed()


async def hosted(rooms: Rooms, work: Work = deleting, limits: Limits | None = None) -> Talk:
    """A session with an agent of this work."""
    rooms.tools = Bench(asking("delete"))
    await rooms.up(agent(work, TOOLED), limits=limits)
    return await rooms.open()


@pytest.mark.sources("P7")
@in_virtual_time
async def test_a_permitted_call_is_journaled_once_with_what_the_agent_says_came_of_it(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("a.txt")
    question = await asked(talk)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert kinds(events) == [
        "RunStarted",
        "ToolCallStarted",
        "ApprovalRequested",
        "RunWaiting",
        "ApprovalResolved",
        "RunResumed",
        "ToolCallCompleted",
        "MessageDelta",
        "MessageCompleted",
        "RunFinished",
    ]
    assert question.own
    assert [e.event for e in events if isinstance(e.event, ToolCallStarted | ToolCallCompleted)] == [
        ToolCallStarted(call_id=question.call_id, tool="delete", arguments={"path": "a.txt"}),
        ToolCallCompleted(call_id=question.call_id, status="ok", result={"gone": "a.txt"}),
    ]
    assert said(events) == "1: True None"


@in_virtual_time
async def test_a_denied_call_is_closed_with_the_reason_and_the_agent_reads_it(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("a.txt")
    question = await asked(talk)
    await decide(talk, question.approval_id, Answering.DENY, note="keep it")
    events = await talk.answer(receipt)

    assert said(events) == "1: False denied by ada: keep it"
    assert [e.event.status for e in events if isinstance(e.event, ToolCallCompleted)] == ["denied"]


@pytest.mark.sources("P7")
@in_virtual_time
async def test_nobody_can_change_the_arguments_of_a_call_that_the_host_cannot_check(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("a.txt")
    question = await asked(talk)
    with pytest.raises(TenureError) as caught:
        await decide(talk, question.approval_id, arguments={"path": "b.txt"})
    assert caught.value.code is Code.UNSUPPORTED
    await decide(talk, question.approval_id)

    assert said(await talk.answer(receipt)) == "1: True None"


@pytest.mark.sources("P7")
@in_virtual_time
async def test_changed_arguments_that_the_agent_can_check_are_what_it_is_let_do(rooms: Rooms) -> None:
    def check(tool: str, arguments: dict[str, object]) -> None:
        if not isinstance(arguments.get("path"), str):
            raise TenureError(Code.INVALID, f"{tool} takes a path.", field="path")

    hosting = msgspec.structs.replace(agent(deleting, TOOLED), check=check)
    await rooms.up(hosting)
    talk = await rooms.open()
    receipt = await talk.send("a.txt")
    question = await asked(talk)
    with pytest.raises(TenureError) as caught:
        await decide(talk, question.approval_id, arguments={"path": 7})
    assert caught.value.code is Code.INVALID
    await decide(talk, question.approval_id, arguments={"path": "b.txt"})
    events = await talk.answer(receipt)

    assert [e.event.result for e in events if isinstance(e.event, ToolCallCompleted)] == [{"gone": "b.txt"}]


@in_virtual_time
async def test_a_remembered_own_tool_asks_nobody_and_the_hosts_of_that_name_still_does(rooms: Rooms) -> None:
    async def both(run: RunContext) -> AsyncIterator[Output]:
        async for output in deleting(run):
            if isinstance(output, Text):
                yield output
        if run.message.text == "b.txt":
            await run.tools.call("delete", {"path": "b.txt"})
        yield completed()

    talk = await hosted(rooms, both)
    first = await talk.send("a.txt")
    await decide(talk, (await asked(talk)).approval_id, remember=Remember.SESSION)
    await talk.answer(first)
    head = (await talk.journal())[-1].seq
    second = await talk.send("b.txt")
    question = await asked(talk, head)
    assert not question.own
    await decide(talk, question.approval_id)
    events = await talk.answer(second)

    assert resolutions(events) == [("granted", "rule"), ("granted", "ada")]


@in_virtual_time
async def test_a_call_that_is_permitted_and_never_settled_ends_unknown(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.own.ask("delete", {})
        yield completed()

    talk = await hosted(rooms, work)
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id)
    events = await talk.answer(receipt)

    assert [e.event.status for e in events if isinstance(e.event, ToolCallCompleted)] == ["unknown"]
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_a_question_that_the_agent_drops_is_withdrawn(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await run.own.ask("delete", {})
        yield Text("never mind")
        yield completed()

    talk = await hosted(rooms, work)
    events = await talk.say("x")

    assert resolutions(events) == [("withdrawn", "runner")]
    assert (said(events), end(events)) == ("never mind", ("completed", ""))


@pytest.mark.sources("P7")
@in_virtual_time
async def test_an_answer_survives_the_host_and_holds_for_the_same_question_of_the_next_attempt(
    rooms: Rooms,
) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("a.txt")
    question = await asked(talk)
    rooms.crash()
    await rooms.up(agent(deleting, TOOLED))
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "rerun")]
    assert said(events) == "2: True None"
    assert [e.event.approval_id for e in events if isinstance(e.event, ApprovalRequested)] == [
        question.approval_id
    ]


@pytest.mark.sources("P4", "P7")
@in_virtual_time
async def test_what_the_agent_did_before_its_host_died_is_asked_about_anew(rooms: Rooms) -> None:
    did = asyncio.Event()

    async def work(run: RunContext) -> AsyncIterator[Output]:
        permit = await run.own.ask("delete", {"path": "a.txt"})
        await run.own.settle(permit.call_id, CallStatus.OK, "gone")
        did.set()
        if run.attempt == 1:
            await asyncio.sleep(1_000)
        yield completed()

    talk = await hosted(rooms, work)
    receipt = await talk.send()
    first = await asked(talk)
    await decide(talk, first.approval_id)
    await did.wait()
    head = (await talk.journal())[-1].seq
    rooms.crash()
    await rooms.up(agent(work, TOOLED))
    again = await asked(talk, head)
    assert (again.reason, again.done) == (CHANGED, (first.call_id,))
    await decide(talk, again.approval_id)

    assert end(await talk.answer(receipt)) == ("completed", "")


@in_virtual_time
@pytest.mark.parametrize("name", ["", " ", "x" * 201])
async def test_an_own_tool_without_a_sensible_name_is_refused(rooms: Rooms, name: str) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        with pytest.raises(TenureError) as caught:
            await run.own.ask(name, {})
        yield Text(str(caught.value.code))
        yield completed()

    talk = await hosted(rooms, work)

    assert said(await talk.say("x")) == "invalid"


class Noting:
    """A runner that notes what it did in its checkpoint, and goes on from there after an answer."""

    descriptor = Descriptor(
        runner="noting", capabilities=Capabilities(tools=True, approvals=True, resume=True)
    )

    async def run(self, context: RunContext) -> AsyncIterator[Output]:
        """Send a mail, ask about a call of its own, and send the same mail once more."""
        if not context.resumed:
            await context.tools.call("mail", {"n": 1})
            yield Text("mailed ")
            await context.checkpoints.save(b"mailed once")
        permit = await context.own.ask("delete", {"path": "a.txt"})
        await context.own.settle(permit.call_id, CallStatus.OK, None)
        await context.tools.call("mail", {"n": 1})
        left = await context.checkpoints.load()
        yield Text(f"{(left or b'').decode()}, {context.attempt}")
        yield completed()


@pytest.mark.sources("P4", "P7")
@in_virtual_time
@pytest.mark.parametrize("crashes", [False, True])
async def test_a_runner_that_resumes_goes_on_from_its_checkpoint_and_repeats_nothing(
    rooms: Rooms, crashes: bool
) -> None:
    rooms.tools = Bench(mail := FakeTool("mail"))
    hosting = Agent(name="agent", runner=Noting(), policy=TOOLED)
    await rooms.up(hosting, limits=LET_GO)
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(1)
    assert rooms.host.executing == 0
    if crashes:
        rooms.crash()
        await rooms.up(hosting)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume")]
    assert [e for e in events if isinstance(e.event, RunRetried)] == []
    assert said(events) == "mailed mailed once, 2"
    assert mail.made == [{"n": 1}, {"n": 1}]


@in_virtual_time
async def test_a_checkpoint_that_is_too_large_is_refused_and_the_former_one_stays(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.checkpoints.save(b"small")
        with pytest.raises(TenureError) as caught:
            await run.checkpoints.save(bytes(MOST_CHECKPOINT + 1))
        yield Text(f"{caught.value.code} {await run.checkpoints.load()!r} {await run.checkpoints.latest()}")
        yield completed()

    talk = await hosted(rooms, work)
    events = await talk.say("x")

    assert said(events).startswith("too_large b'small' Checkpoint(run_id='run_")


@in_virtual_time
async def test_a_warning_of_the_runner_stands_where_it_was_given(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("one ")
        run.warn("model_retried", "The model was asked 2 times.")
        yield Text("two")
        yield completed()

    talk = await hosted(rooms, work)
    events = await talk.say("x")

    assert kinds(events)[1:4] == ["MessageDelta", "RunnerWarning", "MessageDelta"]
    assert [e.event for e in events if isinstance(e.event, RunnerWarning)] == [
        RunnerWarning(code="model_retried", detail="The model was asked 2 times.")
    ]


@in_virtual_time
async def test_a_warning_that_no_journal_could_hold_is_cut_to_what_it_can(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        run.warn("od\x00d", "\ud800" + "x" * 5_000)
        yield completed()

    talk = await hosted(rooms, work)
    events = await talk.say("x")

    assert [e.event for e in events if isinstance(e.event, RunnerWarning)] == [
        RunnerWarning(code="od\N{REPLACEMENT CHARACTER}d", detail="?" + "x" * 999)
    ]


@in_virtual_time
async def test_a_refusal_that_a_runner_raises_is_told_in_its_own_words(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("hm")
        raise TenureError(Code.RUNNER_UNAVAILABLE, "The program isn't there. Install it.")

    talk = await hosted(rooms, work)

    assert end(await talk.say("x")) == ("failed", "The program isn't there. Install it.")
