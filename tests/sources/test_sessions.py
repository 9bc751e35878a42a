"""Sessions end at once: closing waits for nobody, frees what it held, and is seen by who follows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tenure.core.command import CloseSession
from tenure.core.event import RunFinished, RunInterrupting, SessionClosed
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.rooms import BEN, CY, Rooms, Talk, agent, end, in_virtual_time, said, second

YEAR = 31_536_000.0


async def deaf(run: RunContext) -> AsyncIterator[Output]:
    """Ignores every request to stop."""
    yield Text("working ")
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(YEAR)


async def echo(run: RunContext) -> AsyncIterator[Output]:
    """Says the message again."""
    yield Text(run.message.text)
    yield completed()


async def close(rooms: Rooms, talk: Talk) -> float:
    """Close a session. How many seconds the answer took."""
    began = rooms.loop.time()
    await rooms.there(rooms.host.commands.close_session(talk.by, talk.session_id, CloseSession(), None))
    return rooms.loop.time() - began


@pytest.mark.sources("A2", "D-M2", "M15")
@in_virtual_time
async def test_idle_session_is_closed_at_once_and_its_place_is_free(rooms: Rooms) -> None:
    await rooms.up(agent(echo), limits=Limits(open_sessions=1))
    talk = await rooms.open()
    with pytest.raises(TenureError) as full:
        await rooms.open(by=BEN)
    took = await close(rooms, talk)
    seen = await talk.until(SessionClosed)
    other = await rooms.open(by=BEN)

    assert full.value.code is Code.CAPACITY
    assert (took, seen.event) == (0, SessionClosed(by="ada", reason=""))
    assert said(await other.say("hello")) == "hello"


@pytest.mark.sources("D-M2", "D-M3", "D-M5", "M15")
@in_virtual_time
async def test_closing_a_session_whose_run_does_not_listen_keeps_nobody_waiting(rooms: Rooms) -> None:
    await rooms.up(agent(deaf, name="deaf"), agent(echo, name="echo"), limits=Limits(open_sessions=2))
    talk, other = await rooms.open("deaf"), await rooms.open("echo", by=BEN)
    receipt = await talk.send()
    await asyncio.sleep(1)
    took = await close(rooms, talk)
    began = rooms.loop.time()
    answer = await other.say("meanwhile")
    answered = rooms.loop.time() - began
    third = await rooms.open("echo", by=CY)
    finished = await talk.until(RunFinished)

    assert (took, answered, said(answer)) == (0, 0, "meanwhile")
    assert said(await third.say("a place was free")) == "a place was free"
    assert (second(finished.at), end(await talk.answer(receipt))) == (11, ("cancelled", "interrupted"))
    journal = [type(event.event) for event in await talk.journal()]
    assert journal.index(SessionClosed) < journal.index(RunFinished)
    assert RunInterrupting in journal


@pytest.mark.sources("D-M4", "A3")
@in_virtual_time
async def test_message_that_meets_the_closing_of_its_session_is_handled_or_refused(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    rooms.lane.delay = 0.05
    fates: set[str] = set()
    for lag in range(0, 120, 10):
        talk = await rooms.open()
        closing = asyncio.ensure_future(close(rooms, talk))
        await asyncio.sleep(lag / 1_000)
        fates.add(await fate(talk))
        await closing
        early = await rooms.open()
        sending = asyncio.ensure_future(fate(early))
        await asyncio.sleep(lag / 1_000)
        await close(rooms, early)
        fates.add(await sending)

    assert fates <= {"refused", "answered", "withdrawn", "stopped"}
    assert {"refused", "answered"} <= fates


async def fate(talk: Talk) -> str:
    """What becomes of a message that is sent now."""
    try:
        receipt = await talk.send("hello")
    except TenureError as refusal:
        return "refused" if refusal.code is Code.SESSION_CLOSED else refusal.code
    for _ in range(1_000):
        message = await talk.rooms.host.store.message(talk.session_id, receipt.message_id)
        assert message is not None
        if message.status == "withdrawn":
            return "withdrawn"
        if message.status == "settled":
            return "answered" if message.outcome == "completed" else "stopped"
        await asyncio.sleep(0.1)
    return "forgotten"
