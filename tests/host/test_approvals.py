"""Approvals: the run waits without a slot, what is decided is what happens, and everything ends once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.approval import ApprovalState, Decided
from tenure.core.command import Answering, InterruptRun, Remember
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    MessageDelta,
    RunFinished,
    RunResumed,
    RunRetried,
    RunWaiting,
    ToolCallCompleted,
)
from tenure.core.grant import Capabilities, Descriptor, Policy
from tenure.core.ledger import digest_of
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.core.view import PendingApproval
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tests.host.mails import hosted, mailing, mails, modes, refused, resolutions
from tests.host.rooms import ADA, BEN, Rooms, agent, end, in_virtual_time, said
from tests.host.workshop import TOOLED, Bench, approvals, asked, asking, decide, kinds

# --- people decide


@pytest.mark.sources("M13")
@in_virtual_time
async def test_a_denied_call_is_not_made_and_the_agent_is_told_why(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    await decide(talk, question.approval_id, Answering.DENY, note="not today")
    events = await talk.answer(receipt)

    assert said(events) == "1: denied: The call of mail was not approved: denied by ada: not today"
    assert mails(rooms).calls == []
    assert [e.event for e in events if isinstance(e.event, ToolCallCompleted)] == [
        ToolCallCompleted(
            call_id=question.call_id,
            status="denied",
            result={"decision": "denied", "by": "ada", "note": "not today"},
        )
    ]


@pytest.mark.sources("P7", "M13")
@in_virtual_time
async def test_what_is_made_is_what_was_approved_edited_or_not(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    assert question.digest == digest_of({"to": "bob"})
    with pytest.raises(TenureError) as caught:
        await decide(talk, question.approval_id, arguments={"wrong": 1})
    assert caught.value.code is Code.INVALID
    assert [a.status for a in await approvals(talk)] == ["pending"]
    info = await decide(talk, question.approval_id, arguments={"to": "eve", "n": 2.0})
    events = await talk.answer(receipt)

    assert mails(rooms).made == [{"to": "eve", "n": 2}]
    assert (info.arguments, info.digest) == ({"to": "eve", "n": 2}, digest_of({"to": "eve", "n": 2}))
    (resolved,) = [e.event for e in events if isinstance(e.event, ApprovalResolved)]
    assert resolved == ApprovalResolved(
        approval_id=question.approval_id, decision="granted", by="ada", arguments={"to": "eve", "n": 2}
    )


@pytest.mark.sources("P7", "A17")
@in_virtual_time
async def test_an_approval_is_resolved_once_and_the_second_answer_names_the_first(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    first = await decide(talk, question.approval_id)

    assert await refused(talk, question.approval_id) == {
        "approval_id": question.approval_id,
        "decision": "granted",
        "by": "ada",
        "resolved_at": first.resolved_at,
    }
    await talk.answer(receipt)
    assert mails(rooms).made == [{"to": "bob"}]


@in_virtual_time
async def test_a_remembered_tool_needs_nobody_in_this_session_until_that_is_revoked(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    await decide(talk, question.approval_id, remember=Remember.SESSION)
    await talk.answer(receipt)
    again = await talk.say("eve")

    assert resolutions(again) == [("granted", "rule")]
    assert kinds(again)[:4] == ["RunStarted", "ToolCallStarted", "ApprovalRequested", "ApprovalResolved"]
    other = await rooms.open()
    await other.send("kim")
    assert (await asked(other)).arguments == {"to": "kim"}
    await rooms.there(rooms.host.approvals.revoke(ADA, question.approval_id))
    head = (await talk.journal())[-1].seq
    await talk.send("joe")
    assert (await asked(talk, head)).arguments == {"to": "joe"}
    assert mails(rooms).made == [{"to": "bob"}, {"to": "eve"}]


@pytest.mark.sources("M21")
@in_virtual_time
async def test_several_approvals_at_once_are_waited_for_together(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        calls = [run.tools.call("mail", {"to": name}) for name in ("a", "b", "c")]
        results = await asyncio.gather(*calls, return_exceptions=True)
        yield Text(" ".join(r.code if isinstance(r, TenureError) else "ok" for r in results if r))
        yield completed()

    talk = await hosted(rooms, work)
    receipt = await talk.send()
    await talk.until(lambda e: isinstance(e.event, RunWaiting) and len(e.event.approval_ids) == 3)
    questions = [e.event for e in await talk.journal() if isinstance(e.event, ApprovalRequested)]
    waits = [e.event.approval_ids for e in await talk.journal() if isinstance(e.event, RunWaiting)]
    ids = tuple(question.approval_id for question in questions)
    assert waits == [ids[:1], ids[:2], ids]
    by_name = {str(question.arguments["to"]): question.approval_id for question in questions}
    await decide(talk, by_name["b"], Answering.DENY)
    await decide(talk, by_name["c"])
    assert (mails(rooms).made, (await talk.run(receipt)).status) == ([], "waiting")
    await decide(talk, by_name["a"])
    events = await talk.answer(receipt)

    assert said(events) == "ok denied ok"
    assert sorted(str(made["to"]) for made in mails(rooms).made) == ["a", "c"]
    assert modes(events) == [(1, "held")]


@pytest.mark.sources("M18")
@in_virtual_time
async def test_a_session_tells_what_it_waits_for(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    info = await rooms.host.store.session(talk.session_id)

    assert info is not None
    assert info.status == "waiting"
    assert info.pending_approvals == (
        PendingApproval(
            id=question.approval_id,
            tool="mail",
            call_id=question.call_id,
            arguments={"to": "bob"},
            expires_at=question.expires_at,
        ),
    )
    await decide(talk, question.approval_id)
    await talk.answer(receipt)
    info = await rooms.host.store.session(talk.session_id)
    assert info is not None
    assert (info.status, info.pending_approvals) == ("idle", ())


# --- slots


@pytest.mark.sources("D-M19")
@in_virtual_time
async def test_a_run_that_waits_for_a_person_costs_no_slot(rooms: Rooms) -> None:
    talk = await hosted(rooms, limits=Limits(live_runs=1))
    receipt = await talk.send("bob")
    question = await asked(talk)
    other = await rooms.open(by=BEN)
    waits = await other.send("eve")
    later = await asked(other)
    third = await rooms.open(by=BEN)
    await third.send("kim")

    await decide(other, later.approval_id, by=BEN)
    await decide(talk, question.approval_id)
    answers = await talk.answer(receipt), await other.answer(waits)
    assert [modes(events) for events in answers] == [[(1, "held")], [(1, "held")]]
    assert [said(events)[:2] for events in answers] == ["1:", "1:"]


@pytest.mark.sources("D-M19")
@in_virtual_time
async def test_an_answered_run_waits_for_a_slot_and_then_goes_on_where_it_stood(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("so ")
        if run.message.text == "busy":
            await asyncio.sleep(60)
        else:
            await run.tools.call("mail", {})
        yield Text("done")
        yield completed()

    talk = await hosted(rooms, work, limits=Limits(live_runs=1))
    receipt = await talk.send("bob")
    question = await asked(talk)
    other = await rooms.open()
    busy = await other.send("busy")
    await other.until(MessageDelta)
    await decide(talk, question.approval_id)
    info = await talk.run(receipt)
    assert (info.status, mails(rooms).calls) == ("queued", [])
    events = await talk.answer(receipt)

    assert (await other.answer(busy))[-1].at <= events[-1].at
    assert (said(events), modes(events)) == ("so done", [(1, "held")])
    assert ((await talk.run(receipt)).attempt, len(mails(rooms).calls)) == (1, 1)


@in_virtual_time
async def test_an_answered_run_that_waits_for_a_slot_can_be_stopped(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        if run.message.text == "busy":
            await asyncio.sleep(60)
        else:
            await run.tools.call("mail", {})
        yield completed()

    talk = await hosted(rooms, work, limits=Limits(live_runs=1))
    receipt = await talk.send("bob")
    question = await asked(talk)
    other = await rooms.open()
    busy = await other.send("busy")
    await decide(talk, question.approval_id)
    await talk.stop()
    events = await talk.answer(receipt)

    assert kinds(events)[-3:] == ["ApprovalResolved", "ToolCallCompleted", "RunFinished"]
    assert [e.event.status for e in events if isinstance(e.event, ToolCallCompleted)] == ["denied"]
    assert (end(events), mails(rooms).calls) == (("cancelled", "interrupted"), [])
    await other.answer(busy)


@in_virtual_time
async def test_the_slot_of_a_run_that_comes_to_wait_goes_to_the_next(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(1)
        if run.message.text != "busy":
            await run.tools.call("mail", {})
        yield completed()

    talk = await hosted(rooms, work, limits=Limits(live_runs=1))
    receipt = await talk.send("bob")
    other = await rooms.open()
    busy = await other.send("busy")
    events = await other.answer(busy)

    assert (busy.disposition, end(events)) == ("queued", ("completed", ""))
    assert (await talk.run(receipt)).status == "waiting"


# --- how long a runner is held


@in_virtual_time
async def test_a_runner_is_held_for_a_while_and_then_its_run_starts_over(rooms: Rooms) -> None:
    talk = await hosted(rooms, limits=Limits(hold_s=900))
    receipt = await talk.send("bob")
    question = await asked(talk)
    await asyncio.sleep(899)
    assert rooms.host.executing == 1
    await asyncio.sleep(2)
    assert (rooms.host.executing, (await talk.run(receipt)).status) == (0, "waiting")
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    retried = next(n for n, event in enumerate(events) if isinstance(event.event, RunRetried))
    assert [event.event for event in events[retried : retried + 2]] == [
        RunRetried(attempt=2, reason="approval"),
        RunResumed(attempt=2, mode="rerun"),
    ]
    assert said(events) == "2: {'given': {'to': 'bob'}}"
    assert mails(rooms).made == [{"to": "bob"}]


@in_virtual_time
async def test_only_so_many_runners_are_held_the_longest_waiting_goes_first(rooms: Rooms) -> None:
    talk = await hosted(rooms, limits=Limits(held_runs=1))
    first = await talk.send("bob")
    question = await asked(talk)
    other = await rooms.open()
    second = await other.send("eve")
    later = await asked(other)
    await asyncio.sleep(1)
    assert rooms.host.executing == 1
    await decide(talk, question.approval_id)
    await decide(other, later.approval_id)

    assert modes(await talk.answer(first)) == [(2, "rerun")]
    assert modes(await other.answer(second)) == [(1, "held")]


@in_virtual_time
async def test_waiting_for_people_does_not_use_up_attempts(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for n in range(4):
            await run.tools.call("mail", {"n": n})
        yield Text(str(run.attempt))
        yield completed()

    rooms.tools = Bench(asking())
    policy = Policy(deadline_s=None, tools=("*",), max_attempts=1)
    await rooms.up(agent(work, policy), limits=Limits(held_runs=0))
    talk = await rooms.open()
    receipt = await talk.send()
    head = 0
    for _ in range(4):
        question = await asked(talk, head)
        await asyncio.sleep(1)
        assert rooms.host.executing == 0
        head = (await talk.journal())[-1].seq
        await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert (said(events), end(events)) == ("5", ("completed", ""))
    assert [made["n"] for made in mails(rooms).made] == [0, 1, 2, 3]


@in_virtual_time
async def test_the_deadline_counts_running_time_only(rooms: Rooms) -> None:
    left: list[float | None] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(20)
        await run.tools.call("mail", {})
        left.append(run.seconds_left)
        await asyncio.sleep(30)
        yield Text("in time ")
        await asyncio.sleep(30)
        yield Text("too late")

    rooms.tools = Bench(asking())
    await rooms.up(agent(work, Policy(deadline_s=60, idle_s=40, tools=("*",))))
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(500)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert [round(seconds or 0, 6) for seconds in left] == [40.0]
    assert (said(events), end(events)) == ("in time ", ("timed_out", "deadline_exceeded"))


# --- the host goes away


@pytest.mark.sources("D-M16", "P7", "A17")
@in_virtual_time
async def test_an_approval_survives_the_host_and_its_call_is_made_once(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    rooms.crash()
    await rooms.up(agent(mailing, TOOLED))
    assert ((await talk.run(receipt)).status, rooms.host.executing) == ("waiting", 0)
    await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert said(events) == "2: {'given': {'to': 'bob'}}"
    assert (mails(rooms).made, modes(events)) == ([{"to": "bob"}], [(2, "rerun")])
    assert await refused(talk, question.approval_id)


@in_virtual_time
async def test_a_host_that_dies_after_the_answer_still_makes_the_call(rooms: Rooms) -> None:
    async def dies(run: RunContext) -> AsyncIterator[Output]:
        if run.message.text == "busy":
            await asyncio.sleep(3_600)
        async for output in mailing(run):
            yield output

    talk = await hosted(rooms, dies, limits=Limits(live_runs=1))
    receipt = await talk.send("bob")
    question = await asked(talk)
    other = await rooms.open()
    await other.send("busy")
    await decide(talk, question.approval_id)
    assert (await talk.run(receipt)).status == "queued"
    rooms.crash()
    await rooms.up(agent(dies, TOOLED), limits=Limits(live_runs=2))
    events = await talk.answer(receipt)

    assert (said(events), modes(events)) == ("2: {'given': {'to': 'bob'}}", [(2, "rerun")])
    assert mails(rooms).made == [{"to": "bob"}]
    await other.stop(InterruptRun(force=True))
    await other.until(RunFinished)


@in_virtual_time
async def test_a_waiting_run_does_not_keep_a_host_from_leaving(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)

    assert await rooms.stop() < 1.0
    await rooms.up(agent(mailing, TOOLED))
    await decide(talk, question.approval_id)
    assert said(await talk.answer(receipt)) == "2: {'given': {'to': 'bob'}}"


@in_virtual_time
async def test_a_runner_that_resumes_is_given_the_decisions_and_nothing_is_superseded(
    rooms: Rooms,
) -> None:
    class Resuming:
        """A runner that goes on after decisions by itself."""

        descriptor = Descriptor(runner="resuming", capabilities=Capabilities(tools=True, resume=True))
        given: tuple[Decided, ...] = ()

        async def run(self, context: RunContext) -> AsyncIterator[Output]:
            if not context.resumed:
                yield Text("first ")
                await context.checkpoints.save(b"said first")
            self.given = context.decisions
            yield Text(str(await context.tools.call("mail", {})))
            yield completed()

    runner = Resuming()
    rooms.tools = Bench(asking())
    resuming = Agent(name="agent", runner=runner, policy=TOOLED)
    await rooms.up(resuming, limits=Limits(hold_s=1))
    talk = await rooms.open()
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(5)
    await decide(talk, question.approval_id, note="fine")
    events = await talk.answer(receipt)

    assert modes(events) == [(2, "resume")]
    assert not [e for e in events if isinstance(e.event, RunRetried)]
    assert runner.given == (
        Decided(
            approval_id=question.approval_id,
            call_id=question.call_id,
            tool="mail",
            arguments={},
            decision=ApprovalState.GRANTED,
            note="fine",
        ),
    )
    assert [line for _, line, _ in await talk.lines()] == ["go", "first ", "{'given': {}}"]
