"""Undo, redo and fork on a host at work: stopped runs, crashes, and what agents read afterwards."""

from collections.abc import AsyncIterator

import pytest

from tenure.core.command import SendMessage
from tenure.core.event import MessageDelta, RunFinished, RunStarted, SessionForked, TranscriptUndone
from tenure.core.history import ForkSession, RedoTurns, UndoReceipt, UndoTurns
from tenure.core.message import BusyPolicy
from tenure.core.output import Output, Text, completed
from tenure.core.view import SessionInfo
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.rooms import Rooms, Talk, agent, in_virtual_time, talk_with
from tests.host.workshop import TOOLED, Bench, approvals, asked, asking, decide


async def recall(run: RunContext) -> AsyncIterator[Output]:
    """Says how much of the conversation it reads; `slow` goes on until it is stopped."""
    page = await run.transcript()
    yield Text("|".join(str(item.content) for item in page.data))
    if run.message.text == "slow":
        await run.stopped()
        return
    yield completed()


async def mailing(run: RunContext) -> AsyncIterator[Output]:
    """An agent that sends one mail, which needs a person."""
    yield Text(str(await run.tools.call("mail", {"to": run.message.text})))
    yield completed()


async def undo(talk: Talk, ask: UndoTurns | None = None) -> UndoReceipt:
    """Take turns off."""
    rooms = talk.rooms
    work = rooms.host.histories.undo(talk.by, talk.session_id, ask or UndoTurns(), None)
    return (await rooms.there(work)).value


async def fork(talk: Talk, at_seq: int | None = None) -> tuple[Talk, SessionInfo]:
    """Fork a session."""
    rooms = talk.rooms
    work = rooms.host.histories.fork(talk.by, talk.session_id, ForkSession(at_seq=at_seq), None)
    made = (await rooms.there(work)).value
    return Talk(rooms, talk.by, made.id), made


@in_virtual_time
async def test_the_agent_reads_what_is_left_after_undo_and_redo(rooms: Rooms) -> None:
    talk = await talk_with(rooms, recall)
    await talk.say("one")
    await talk.say("two")
    await undo(talk)
    await rooms.there(rooms.host.histories.redo(talk.by, talk.session_id, RedoTurns(), None))
    await undo(talk)
    await talk.say("three")

    assert await talk.lines() == [
        ("user", "one", "settled"),
        ("assistant", "one", "completed"),
        ("user", "three", "settled"),
        ("assistant", "one|one|three", "completed"),
    ]


@pytest.mark.sources("D-M14")
@in_virtual_time
async def test_undo_of_a_live_turn_stops_it_first_and_then_takes_it_off(rooms: Rooms) -> None:
    talk = await talk_with(rooms, recall)
    await talk.say("one")
    receipt = await talk.send("slow")
    await talk.send("waits")
    await talk.until(lambda e: e.run_id == receipt.run_id and isinstance(e.event, MessageDelta))
    with pytest.raises(TenureError) as refused:
        await undo(talk)
    answer = await undo(talk, UndoTurns(interrupt=True))
    await talk.until(TranscriptUndone)

    assert refused.value.code is Code.BUSY
    assert (answer.pending, answer.run_ids) == (True, (receipt.run_id,))
    assert (await talk.run(receipt)).status == "cancelled"
    assert await talk.lines() == [("user", "one", "settled"), ("assistant", "one", "completed")]
    info = await rooms.host.store.session(talk.session_id)
    assert info is not None and (info.status, info.queue_held) == ("idle", True)


@in_virtual_time
async def test_a_crash_between_undo_and_the_end_of_the_run_loses_neither(rooms: Rooms) -> None:
    talk = await talk_with(rooms, recall)
    await talk.say("one")
    receipt = await talk.send("slow")
    await talk.until(lambda e: e.run_id == receipt.run_id and isinstance(e.event, RunStarted))
    await undo(talk, UndoTurns(interrupt=True))
    rooms.crash()
    await rooms.up(agent(recall))
    await talk.until(TranscriptUndone)

    assert await talk.lines() == [("user", "one", "settled"), ("assistant", "one", "completed")]
    assert (await talk.run(receipt)).status == "cancelled"


@in_virtual_time
async def test_rollback_takes_the_live_turn_back_before_its_message_starts(rooms: Rooms) -> None:
    talk = await talk_with(rooms, recall)
    await talk.say("one")
    stopped = await talk.send("slow")
    await talk.until(lambda e: e.run_id == stopped.run_id and isinstance(e.event, MessageDelta))
    instead = await talk.send(SendMessage(content="two", when_busy=BusyPolicy.ROLLBACK))
    await talk.answer(instead)

    assert instead.rolls_back == stopped.run_id
    assert await talk.lines() == [
        ("user", "one", "settled"),
        ("assistant", "one", "completed"),
        ("user", "two", "settled"),
        ("assistant", "one|one|two", "completed"),
    ]


@in_virtual_time
async def test_a_fork_talks_on_from_where_it_branched_off(rooms: Rooms) -> None:
    talk = await talk_with(rooms, recall)
    await talk.say("one")
    live = await talk.send("slow")
    await talk.until(lambda e: e.run_id == live.run_id and isinstance(e.event, MessageDelta))
    branch, made = await fork(talk)
    await branch.say("other")
    forked = await talk.until(SessionForked)
    await talk.stop()
    await talk.until(lambda e: e.run_id == live.run_id and isinstance(e.event, RunFinished))

    assert forked.event == SessionForked(child_id=branch.session_id, at_seq=made.head_seq - 1)
    assert await branch.lines() == [
        ("user", "one", "settled"),
        ("assistant", "one", "completed"),
        ("user", "other", "settled"),
        ("assistant", "one|one|other", "completed"),
    ]
    assert [entry.seq for entry in await branch.journal()] == [*range(1, len(await branch.journal()) + 1)]


@in_virtual_time
async def test_a_follower_of_a_fork_gets_the_shared_part_and_what_comes_in_one_row(rooms: Rooms) -> None:
    talk = await talk_with(rooms, recall)
    await talk.say("one")
    branch, made = await fork(talk)
    for after in range(made.head_seq):
        first = await branch.until(lambda e: True, after)
        assert first.seq == after + 1
    await branch.say("two")
    rooms.crash()
    await rooms.up(agent(recall))
    await branch.say("three")

    assert [item.content for item in await branch.transcript()][::2] == ["one", "two", "three"]


@pytest.mark.sources("D-M14", "A17", "A18")
@in_virtual_time
async def test_undo_of_a_turn_that_waits_for_a_person_withdraws_its_question(rooms: Rooms) -> None:
    rooms.tools = Bench(asking())
    await rooms.up(agent(mailing, TOOLED))
    talk = await rooms.open()
    await talk.send("bob")
    question = await asked(talk)
    with pytest.raises(TenureError) as busy:
        await undo(talk)
    answer = await undo(talk, UndoTurns(interrupt=True))
    with pytest.raises(TenureError) as late:
        await decide(talk, question.approval_id)

    assert (busy.value.code, late.value.code) == (Code.BUSY, Code.ALREADY_RESOLVED)
    assert [found.status for found in await approvals(talk)] == ["withdrawn"]
    assert (answer.pending, await talk.lines()) == (False, [])
    info = await rooms.host.store.session(talk.session_id)
    assert info is not None and (info.status, info.pending_approvals) == ("idle", ())


@pytest.mark.sources("D-M14")
@in_virtual_time
async def test_undo_says_which_calls_and_values_stay(rooms: Rooms) -> None:
    rooms.tools = Bench(asking())
    await rooms.up(agent(mailing, TOOLED))
    talk = await rooms.open()
    receipt = await talk.send("bob")
    question = await asked(talk)
    await decide(talk, question.approval_id)
    await talk.answer(receipt)

    assert (await undo(talk)).kept == ("tool call mail",)
