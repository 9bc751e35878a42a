"""Approvals that nobody answers: they expire, or end with what asked; nothing is left open."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.command import CloseSession, SendMessage
from tenure.core.event import (
    ApprovalResolved,
    RunFinished,
    ToolCallCompleted,
)
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.output import Output, Text, completed, failed
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.mails import hosted, mailing, mails, refused, resolutions
from tests.host.rooms import ADA, Rooms, Talk, agent, end, in_virtual_time, said
from tests.host.workshop import TOOLED, FakeTool, approvals, asked, asking, decide
from tests.simulation.world import SimClock

DAY_S = 86_400.0


@pytest.mark.sources("P7")
@in_virtual_time
async def test_an_approval_that_nobody_answers_expires_as_if_denied(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    waited_from = rooms.loop.time()
    events = await talk.answer(receipt) if await _patient(talk) else []

    assert rooms.loop.time() - waited_from == pytest.approx(DAY_S, abs=1)
    assert resolutions(events) == [("expired", "clock")]
    assert said(events).endswith("denied: The call of mail was not approved: expired by clock.")
    assert (await refused(talk, question.approval_id))["decision"] == "expired"


@pytest.mark.parametrize("hours", [-1, 1, 23])
@in_virtual_time
async def test_an_approval_expires_by_the_clock_on_the_wall_although_somebody_sets_it(
    rooms: Rooms, hours: int
) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    await asked(talk)
    waited_from = rooms.loop.time()
    clock = rooms.host.clock
    assert isinstance(clock, SimClock)
    clock.jump(hours * 3_600)
    await asyncio.sleep(DAY_S - hours * 3_600 - 100)
    assert (await approvals(talk))[0].status == "pending"
    events = await talk.answer(receipt)

    assert rooms.loop.time() - waited_from == pytest.approx(DAY_S - hours * 3_600, abs=60)
    assert resolutions(events) == [("expired", "clock")]


async def _patient(talk: Talk) -> bool:
    """Wait for longer than tests usually do."""
    await asyncio.sleep(DAY_S - 10)
    assert (await approvals(talk))[0].status == "pending"
    return True


@in_virtual_time
async def test_an_approval_expires_on_time_although_the_host_was_away(rooms: Rooms) -> None:
    limits = Limits(approval_ttl_s=100)
    talk = await hosted(rooms, limits=limits)
    receipt = await talk.send("bob")
    await asked(talk)
    other = await rooms.open()
    await asyncio.sleep(50)
    later = await other.send("eve")
    await asked(other)
    rooms.crash()
    await asyncio.sleep(60)
    await rooms.up(agent(mailing, TOOLED), limits=limits)
    first = await talk.answer(receipt)
    assert [a.status for a in await approvals(other)] == ["pending"]
    second = await other.answer(later)

    assert resolutions(first) == resolutions(second) == [("expired", "clock")]
    assert second[-1].at - first[-1].at >= 39_000_000


@pytest.mark.sources("D-M15", "A16")
@in_virtual_time
async def test_an_interrupt_withdraws_what_waits_and_leaves_no_call_open(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    await talk.stop()
    events = await talk.answer(receipt)

    assert [event.event for event in events[-3:]] == [
        ApprovalResolved(approval_id=question.approval_id, decision="withdrawn", by="ada"),
        ToolCallCompleted(
            call_id=question.call_id, status="denied", result={"decision": "withdrawn", "by": "ada"}
        ),
        RunFinished(status="cancelled", reason="interrupted"),
    ]
    assert (await refused(talk, question.approval_id))["decision"] == "withdrawn"
    assert mails(rooms).calls == []


@pytest.mark.sources("D-M15")
@in_virtual_time
async def test_closing_or_deleting_a_session_withdraws_what_waits(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    await asked(talk)
    await rooms.there(rooms.host.commands.close_session(ADA, talk.session_id, CloseSession(), None))
    events = await talk.answer(receipt)
    assert (resolutions(events), end(events)) == ([("withdrawn", "ada")], ("cancelled", "session_closed"))

    other = await rooms.open()
    await other.send("eve")
    question = await asked(other)
    await rooms.there(rooms.host.commands.delete_session(ADA, other.session_id))
    with pytest.raises(TenureError) as caught:
        await decide(other, question.approval_id)
    assert caught.value.code is Code.NOT_FOUND
    assert mails(rooms).calls == []


@in_virtual_time
async def test_an_agent_that_waits_no_longer_withdraws_its_question(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        try:
            async with asyncio.timeout(5):
                await run.tools.call("mail", {})
        except TimeoutError:
            yield Text("then not")
        yield completed()

    talk = await hosted(rooms, work)
    events = await talk.say()

    assert resolutions(events) == [("withdrawn", "runner")]
    assert (said(events), end(events)) == ("then not", ("completed", ""))
    assert mails(rooms).calls == []


@in_virtual_time
async def test_an_agent_that_leaves_at_once_withdraws_its_question_too(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for name in ("mail", "look"):
            call = asyncio.ensure_future(run.tools.call(name, {}))
            await asyncio.sleep(0.1)
            call.cancel()
            await asyncio.wait([call])
        await asyncio.sleep(5)
        yield completed()

    talk = await hosted(rooms, work, asking(), look := FakeTool("look"))
    rooms.lane.delay = 0.5
    events = await talk.say()

    assert resolutions(events) == [("withdrawn", "runner")]
    ends = [e.event.status for e in events if isinstance(e.event, ToolCallCompleted)]
    assert sorted(ends) == ["denied", "error"]
    assert (end(events), mails(rooms).calls, look.calls) == (("completed", ""), [], [])


@in_virtual_time
async def test_a_run_that_ends_while_a_question_is_open_withdraws_it(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        call = asyncio.ensure_future(run.tools.call("mail", {}))
        await asyncio.sleep(5)
        yield failed("no_patience")
        call.cancel()

    talk = await hosted(rooms, work)
    events = await talk.say()

    assert resolutions(events) == [("withdrawn", "runner")]
    assert end(events) == ("failed", "no_patience")
    assert await talk.rooms.host.store.counter_faults() == []


@pytest.mark.sources("M21")
@in_virtual_time
async def test_new_text_waits_behind_an_open_question_unless_it_interrupts(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    receipt = await talk.send("bob")
    question = await asked(talk)
    for policy in (BusyPolicy.QUEUE, BusyPolicy.STEER, BusyPolicy.LATEST, BusyPolicy.MERGE):
        await talk.send(SendMessage(content=str(policy), when_busy=policy))
        assert [a.status for a in await approvals(talk)] == ["pending"]
    head = (await talk.journal())[-1].seq
    await talk.send(SendMessage(content="kim", when_busy=BusyPolicy.INTERRUPT))
    events = await talk.answer(receipt)

    assert (resolutions(events), end(events)) == ([("withdrawn", "ada")], ("cancelled", "interrupted"))
    assert (await refused(talk, question.approval_id))["decision"] == "withdrawn"
    assert (await asked(talk, head)).arguments == {"to": "kim"}
