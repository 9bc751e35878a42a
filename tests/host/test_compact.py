"""Compaction on a host at work: a run like any other, whose parting word is the summary."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from tenure.core.event import RunFinished, RunStarted, TranscriptCompacted
from tenure.core.history import CompactSession, Summarizing
from tenure.core.output import Output, Text, completed
from tenure.core.view import MessageReceipt
from tenure.ports.runner import RunContext
from tests.host.rooms import Rooms, Talk, agent, end, in_virtual_time, talk_with

Summarize = Callable[[Summarizing], Awaitable[str]]


async def recall(run: RunContext) -> AsyncIterator[Output]:
    """Says what it reads first."""
    page = await run.transcript()
    yield Text(f"{page.data[0].role}: {page.data[0].content}")
    yield completed()


async def told(asked: Summarizing) -> str:
    """A summariser that shows what it was given."""
    return f"{len(asked.said)} lines, {asked.instructions}"


async def summed(rooms: Rooms, summarize: Summarize, turns: int = 3) -> Talk:
    """A session with an agent that has a summariser of its own, after some turns."""
    await rooms.up(msgspec.structs.replace(agent(recall), summarize=summarize))
    talk = await rooms.open()
    for n in range(turns):
        await talk.say(f"{n}")
    return talk


async def compact(talk: Talk, instructions: str = "") -> MessageReceipt:
    """Ask for a compaction."""
    rooms, ask = talk.rooms, CompactSession(instructions=instructions)
    return (await rooms.there(rooms.host.histories.compact(talk.by, talk.session_id, ask, None))).value


@in_virtual_time
async def test_without_a_model_the_summary_is_made_of_what_was_said(rooms: Rooms) -> None:
    talk = await talk_with(rooms, recall)
    for n in range(3):
        await talk.say(f"{n}")
    events = await talk.answer(await compact(talk))
    await talk.say("next")

    start, made, finished = (entry.event for entry in events)
    assert isinstance(start, RunStarted) and start.trigger.kind == "command"
    assert isinstance(made, TranscriptCompacted) and made.summary.startswith("It began with: 0\nada: 0\n")
    assert finished == RunFinished(status="completed", reason="")
    page = await talk.transcript()
    assert [item.role for item in page] == ["summary", "user", "assistant", "user", "assistant"]
    assert page[-1].content == f"summary: {made.summary}"


@pytest.mark.sources("M13")
@in_virtual_time
async def test_the_agents_own_summariser_gets_what_is_covered_and_the_instructions(rooms: Rooms) -> None:
    talk = await summed(rooms, told, turns=4)
    await talk.answer(await compact(talk, "be brief"))

    page = await talk.transcript()
    assert [item.content for item in page][:2] == ["4 lines, be brief", "2"]


@in_virtual_time
async def test_the_next_compaction_is_given_the_summary_before(rooms: Rooms) -> None:
    talk = await summed(rooms, told)
    await talk.answer(await compact(talk, "one"))
    await talk.say("more")
    await talk.answer(await compact(talk, "two"))

    page = await talk.transcript()
    assert [item.content for item in page if item.role == "summary"] == ["3 lines, two"]


async def raises(asked: Summarizing) -> str:
    """A summariser that fails."""
    raise ValueError("no model")


async def blank(asked: Summarizing) -> str:
    """A summariser that says nothing."""
    return "  "


async def nul(asked: Summarizing) -> str:
    """A summariser that says what can't be stored."""
    return "a\x00b"


async def endless(asked: Summarizing) -> str:
    """A summariser without measure."""
    return "x" * 100_001


@pytest.mark.parametrize(
    ("summarize", "reason"),
    [
        (raises, "ValueError: no model"),
        (blank, "summary_empty"),
        (nul, "summary_invalid"),
        (endless, "summary_too_long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@in_virtual_time
async def test_a_summariser_that_fails_changes_nothing(
    rooms: Rooms, summarize: Summarize, reason: str
) -> None:
    talk = await summed(rooms, summarize)
    before = await talk.lines()
    events = await talk.answer(await compact(talk))

    status, because = end(events)
    assert status == "failed" and because.startswith(reason)
    assert await talk.lines() == before


async def slow(asked: Summarizing) -> str:
    """A summariser that takes its time."""
    await asyncio.sleep(100)
    return "Late."


@in_virtual_time
async def test_a_compaction_can_be_stopped_and_what_waits_goes_on(rooms: Rooms) -> None:
    talk = await summed(rooms, slow)
    receipt = await compact(talk)
    await talk.until(lambda e: e.run_id == receipt.run_id and isinstance(e.event, RunStarted))
    await talk.stop()
    events = await talk.answer(receipt)

    assert end(events) == ("cancelled", "interrupted")
    assert (await talk.transcript())[0].role == "user"


@in_virtual_time
async def test_a_compaction_is_taken_up_again_after_a_crash(rooms: Rooms) -> None:
    talk = await summed(rooms, slow)
    receipt = await compact(talk)
    await talk.until(lambda e: e.run_id == receipt.run_id and isinstance(e.event, RunStarted))
    rooms.crash()
    await rooms.up(msgspec.structs.replace(agent(recall), summarize=told))
    events = await talk.answer(receipt)

    assert end(events) == ("completed", "")
    assert (await talk.transcript())[0].content == "4 lines, "


@in_virtual_time
async def test_a_compaction_that_was_queued_is_listed_as_a_command(rooms: Rooms) -> None:
    talk = await summed(rooms, slow)
    first = await compact(talk)
    second = await compact(talk, "again")
    page = await rooms.host.store.transcript(talk.session_id, None, 10)

    assert first.disposition == "started"
    assert [(item.role, item.message_id) for item in page.waiting] == [("command", second.message_id)]
