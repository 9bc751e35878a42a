"""Approvals and effects: asked once, answered once, made once, whatever comes between."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tenure.core.command import Answering, SendMessage
from tenure.core.event import (
    ApprovalResolved,
    RunFinished,
    RunResumed,
    RunWaiting,
    ToolCallCompleted,
    ToolCallStarted,
    TranscriptUndone,
)
from tenure.core.history import UndoTurns
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.output import Output, Text, completed
from tenure.core.tool import Replay
from tenure.core.view import PendingApproval
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tenure.ports.tool import ToolCall
from tests.host.rooms import ADA, BEN, Rooms, Talk, agent, end, in_virtual_time, said, second
from tests.host.workshop import TOOLED, Bench, FakeTool, Work, approvals, asked, asking, decide

DENY = Answering.DENY


async def mailing(run: RunContext) -> AsyncIterator[Output]:
    """Sends one mail and says what came of it."""
    try:
        result = await run.tools.call("mail", {"to": "x"})
        yield Text(f"{result}")
    except TenureError as refusal:
        yield Text(f"{refusal.code}")
    yield completed()


async def up(rooms: Rooms, work: Work, *tools: FakeTool, limits: Limits | None = None) -> None:
    """A host whose agent may call these tools."""
    rooms.tools = Bench(*tools)
    await rooms.up(agent(work, TOOLED), limits=limits)


async def hosted(rooms: Rooms, work: Work, *tools: FakeTool, limits: Limits | None = None) -> Talk:
    """A session on such a host."""
    await up(rooms, work, *tools, limits=limits)
    return await rooms.open()


async def refused(talk: Talk, approval_id: str) -> Code:
    """Answer an approval that can't be answered: why not."""
    with pytest.raises(TenureError) as refusal:
        await decide(talk, approval_id)
    return refusal.value.code


async def pending(talk: Talk) -> tuple[PendingApproval, ...]:
    """What a session says is waiting for a person."""
    session = await talk.rooms.host.store.session(talk.session_id)
    assert session is not None
    return session.pending_approvals


def resolutions(journal: Sequence[object]) -> list[tuple[str, str]]:
    """What became of approvals, and by whom."""
    return [(event.decision, event.by) for event in journal if isinstance(event, ApprovalResolved)]


async def events(talk: Talk) -> list[object]:
    """All facts of a session."""
    return [event.event for event in await talk.journal()]


@pytest.mark.sources("M18")
@in_virtual_time
async def test_session_shows_what_waits_for_a_person_and_nothing_once_it_is_answered(rooms: Rooms) -> None:
    talk = await hosted(rooms, mailing, asking())
    before = await pending(talk)
    receipt = await talk.send()
    question = await asked(talk)
    (shown,) = await pending(talk)
    await decide(talk, question.approval_id)
    await talk.answer(receipt)

    assert before == await pending(talk) == ()
    assert (shown.id, shown.call_id, shown.tool) == (question.approval_id, question.call_id, "mail")
    assert (shown.arguments, shown.expires_at) == ({"to": "x"}, question.expires_at)


@pytest.mark.sources("M13", "P7")
@in_virtual_time
async def test_edited_arguments_are_what_is_executed_and_what_the_journal_shows(rooms: Rooms) -> None:
    mail = asking()
    talk = await hosted(rooms, mailing, mail)
    receipt = await talk.send()
    question = await asked(talk)
    answer = await decide(talk, question.approval_id, arguments={"to": "y"}, note="not x")
    ended = await talk.answer(receipt)

    assert (mail.made, said(ended)) == ([{"to": "y"}], "{'given': {'to': 'y'}}")
    assert (answer.status, answer.arguments, answer.by, answer.note) == (
        "granted",
        {"to": "y"},
        "ada",
        "not x",
    )
    assert ApprovalResolved(
        approval_id=question.approval_id, decision="granted", by="ada", note="not x", arguments={"to": "y"}
    ) in [event.event for event in ended]


@pytest.mark.sources("M13", "P7")
@in_virtual_time
async def test_denied_call_is_not_made_and_the_agent_is_told(rooms: Rooms) -> None:
    mail = asking()
    talk = await hosted(rooms, mailing, mail)
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id, DENY)
    ended = await talk.answer(receipt)

    assert (mail.made, said(ended), end(ended)) == ([], "denied", ("completed", ""))


@pytest.mark.sources("M21")
@in_virtual_time
async def test_new_text_waits_behind_a_pending_approval_or_withdraws_it_if_it_interrupts(
    rooms: Rooms,
) -> None:
    mail = asking()
    talk = await hosted(rooms, mailing, mail)
    first = await talk.send()
    question = await asked(talk)
    polite = await talk.send("and then?")
    still = await pending(talk)
    rude = await talk.send(SendMessage(content="stop that", when_busy=BusyPolicy.INTERRUPT))
    ended = await talk.answer(first)
    late = await refused(talk, question.approval_id)

    assert (polite.disposition, [one.id for one in still]) == ("queued", [question.approval_id])
    assert rude.interrupts == first.run_id
    assert end(ended) == ("cancelled", "interrupted")
    assert resolutions([event.event for event in ended]) == [("withdrawn", "ada")]
    assert (late, mail.made) == (Code.ALREADY_RESOLVED, [])
    answered = await asked(talk, after=ended[-1].seq)
    await decide(talk, answered.approval_id, DENY)
    await talk.answer(rude)
    await talk.stop()


@pytest.mark.sources("M21", "M13")
@in_virtual_time
async def test_calls_approved_together_run_together_and_keep_their_order(rooms: Rooms) -> None:
    async def slow(call: ToolCall) -> object:
        await asyncio.sleep(10 if call.arguments["n"] == 1 else 5)
        return call.arguments["n"]

    async def work(run: RunContext) -> AsyncIterator[Output]:
        results = await asyncio.gather(*(run.tools.call("mail", {"n": n}) for n in (1, 2, 3)))
        yield Text(str(results))
        yield completed()

    talk = await hosted(rooms, work, asking(does=slow))
    receipt = await talk.send()
    await talk.until(lambda e: isinstance(e.event, RunWaiting) and len(e.event.approval_ids) == 3)
    for one in await pending(talk):
        await decide(talk, one.id)
    began = rooms.loop.time()
    ended = await talk.answer(receipt)

    assert (said(ended), rooms.loop.time() - began) == ("[1, 2, 3]", 10)


@pytest.mark.sources("A16", "D-M12", "D-M15")
@in_virtual_time
async def test_stop_while_an_approved_tool_runs_stops_the_tool_and_closes_its_call(rooms: Rooms) -> None:
    left: list[float] = []

    async def slow(call: ToolCall) -> object:
        try:
            await asyncio.sleep(3_600)
        finally:
            left.append(rooms.loop.time())
        return None

    talk = await hosted(rooms, mailing, asking(does=slow))
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id)
    await asyncio.sleep(100)
    await talk.stop()
    ended = await talk.answer(receipt)
    calls = [event.event for event in ended if isinstance(event.event, ToolCallCompleted)]

    assert end(ended) == ("cancelled", "interrupted")
    assert (len(left), second(ended[-1].at) <= 110) == (1, True)
    assert [call.status for call in calls] == ["unknown"]


@pytest.mark.sources("A16", "D-M12", "P9")
@in_virtual_time
async def test_stop_while_a_run_waits_for_an_answer_withdraws_the_question_at_once(rooms: Rooms) -> None:
    mail = asking()
    talk = await hosted(rooms, mailing, mail)
    receipt = await talk.send()
    question = await asked(talk)
    await asyncio.sleep(50)
    await talk.stop()
    ended = await talk.answer(receipt)
    late = await refused(talk, question.approval_id)
    facts = [event.event for event in ended]

    assert (end(ended), second(ended[-1].at)) == (("cancelled", "interrupted"), 50)
    assert resolutions(facts) == [("withdrawn", "ada")]
    assert isinstance(facts[-1], RunFinished)
    assert (late, mail.made, await pending(talk)) == (Code.ALREADY_RESOLVED, [], ())


@pytest.mark.sources("D-M19")
@in_virtual_time
async def test_run_that_waits_for_an_answer_costs_no_slot_and_its_question_expires(rooms: Rooms) -> None:
    talk = await hosted(rooms, mailing, asking(), limits=Limits(live_runs=1, approval_ttl_s=600))
    receipt = await talk.send()
    question = await asked(talk)
    other = await rooms.open(by=BEN)
    second_ = await other.send()
    others = await asked(other)
    await decide(other, others.approval_id, DENY, by=BEN)
    meanwhile = await other.answer(second_)
    ended = await talk.answer(receipt)

    assert (said(meanwhile), second(meanwhile[-1].at)) == ("denied", 0)
    assert resolutions([event.event for event in ended])[0][0] == "expired"
    assert (said(ended), second(ended[-1].at)) == ("denied", 600)
    assert await refused(talk, question.approval_id) is Code.ALREADY_RESOLVED


@pytest.mark.sources("A17", "D-M16", "P7", "P4")
@in_virtual_time
async def test_approval_survives_a_crash_is_answered_once_and_its_call_is_made_once(rooms: Rooms) -> None:
    mail = asking()
    talk = await hosted(rooms, mailing, mail)
    receipt = await talk.send()
    question = await asked(talk)
    rooms.crash()
    await up(rooms, mailing, mail)
    after = await pending(talk)
    await decide(talk, question.approval_id)
    twice = await refused(talk, question.approval_id)
    ended = await talk.answer(receipt)

    assert [one.id for one in after] == [question.approval_id]
    assert (twice, mail.made) == (Code.ALREADY_RESOLVED, [{"to": "x"}])
    assert end(ended) == ("completed", "")
    assert [event.event.mode for event in ended if isinstance(event.event, RunResumed)] == ["rerun"]
    assert resolutions([event.event for event in ended]) == [("granted", "ada")]


@pytest.mark.sources("A17", "A18", "D-M14")
@in_virtual_time
async def test_undo_of_a_turn_with_a_pending_approval_withdraws_it(rooms: Rooms) -> None:
    mail = asking()
    talk = await hosted(rooms, mailing, mail)
    first = await talk.send("first")
    await decide(talk, (await asked(talk)).approval_id, DENY)
    before = (await talk.answer(first))[-1].seq
    await talk.send("second")
    question = await asked(talk, after=before)
    undo = rooms.host.histories.undo(ADA, talk.session_id, UndoTurns(interrupt=True), None)
    await rooms.there(undo)
    await talk.until(TranscriptUndone)
    late = await refused(talk, question.approval_id)

    assert resolutions(await events(talk)) == [("denied", "ada"), ("withdrawn", "ada")]
    assert (late, mail.made, await pending(talk)) == (Code.ALREADY_RESOLVED, [], ())
    assert [content for _, content, _ in await talk.lines()] == ["first", "denied"]
    assert [one.status for one in await approvals(talk)] == ["withdrawn", "denied"]


@pytest.mark.sources("P4")
@pytest.mark.parametrize(
    ("replay", "made", "heard"),
    [(Replay.NEVER, 1, "outcome_unknown"), (Replay.SAFE, 2, "done")],
    ids=["never", "safe"],
)
@in_virtual_time
async def test_call_that_a_crash_cut_off_is_surfaced_or_made_again_under_the_same_key(
    rooms: Rooms, replay: Replay, made: int, heard: str
) -> None:
    async def slow(call: ToolCall) -> object:
        await asyncio.sleep(10)
        return "done"

    mail = FakeTool("mail", slow, replay=replay)
    talk = await hosted(rooms, mailing, mail)
    receipt = await talk.send()
    await talk.until(ToolCallStarted)
    await asyncio.sleep(5)
    rooms.crash()
    await up(rooms, mailing, mail)
    ended = await talk.answer(receipt)

    assert (len(mail.calls), said(ended)) == (made, heard)
    assert len({call.idempotency_key for call in mail.calls}) == 1


@pytest.mark.sources("P4")
@in_virtual_time
async def test_call_that_was_finished_before_a_crash_is_answered_from_the_ledger(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        result = await run.tools.call("mail", {"to": "x"})
        await asyncio.sleep(10)
        yield Text(f"{run.attempt}: {result}")
        yield completed()

    mail = FakeTool("mail")
    talk = await hosted(rooms, work, mail)
    receipt = await talk.send()
    await talk.until(ToolCallCompleted)
    rooms.crash()
    await up(rooms, work, mail)
    ended = await talk.answer(receipt)
    calls = [event.event for event in ended if isinstance(event.event, ToolCallCompleted)]

    assert (mail.made, said(ended)) == ([{"to": "x"}], "2: {'given': {'to': 'x'}}")
    assert [call.replayed for call in calls] == [False, True]
    assert len({call.call_id for call in calls}) == 1


@pytest.mark.sources("R20", "R04", "P8")
@in_virtual_time
async def test_tool_with_another_implementation_than_the_granted_one_is_refused(rooms: Rooms) -> None:
    async def late(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(10)
        async for output in mailing(run):
            yield output

    granted = FakeTool("mail", source="python:shop:mail")
    talk = await hosted(rooms, late, granted)
    receipt = await talk.send()
    await asyncio.sleep(1)
    rooms.crash()
    replaced = FakeTool("mail", source="python:elsewhere:mail")
    await up(rooms, late, replaced)
    ended = await talk.answer(receipt)
    again = await talk.say()

    assert (granted.made, said(ended)) == ([], "forbidden")
    assert (len(replaced.made), said(again)) == (1, "{'given': {'to': 'x'}}")
