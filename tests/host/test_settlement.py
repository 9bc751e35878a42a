"""Settlement: one outcome per run, whoever went away meanwhile, and the next message begins with it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.command import InterruptRun, SendMessage, Waiting
from tenure.core.event import MessageDelta, RunFinished, RunStarted
from tenure.core.message import BusyPolicy
from tenure.core.output import Output, Spent, Text, Usage, completed
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tests.host.rooms import (
    ADA,
    Rooms,
    Talk,
    agent,
    end,
    in_virtual_time,
    said,
    second,
    takes,
    talk_with,
)


async def echo(run: RunContext) -> AsyncIterator[Output]:
    """Says the message again, slowly."""
    for word in run.message.text.split():
        await asyncio.sleep(1)
        if run.stopping:
            return
        yield Text(word + " ")
    yield completed()


async def cancelled(rooms: Rooms, talk: Talk, after: float) -> None:
    """Send a message and give up waiting for the answer `after` seconds later."""
    ask = SendMessage(content="one two")
    waiting = rooms.loop.spawn(rooms.life.node, rooms.host.commands.send(ADA, talk.session_id, ask, None))
    await asyncio.sleep(after)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


# --- whoever asked may go


@pytest.mark.parametrize("after", [0.05, 0.15, 0.25])
@in_virtual_time
async def test_message_of_a_sender_who_went_away_is_answered_all_the_same(rooms: Rooms, after: float) -> None:
    talk = await talk_with(rooms, echo)
    rooms.lane.delay = 0.1 if after < 0.2 else 0.2
    await cancelled(rooms, talk, after)
    await talk.until(RunFinished)

    assert await talk.lines() == [("user", "one two", "settled"), ("assistant", "one two ", "completed")]


@in_virtual_time
async def test_refusal_that_nobody_waits_for_troubles_nobody(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    await talk.send("one two three")
    rooms.lane.delay = 0.1
    ask = SendMessage(content="now", when_busy=BusyPolicy.REJECT)
    waiting = rooms.loop.spawn(rooms.life.node, rooms.host.commands.send(ADA, talk.session_id, ask, None))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await talk.until(RunFinished)

    assert await talk.lines() == [
        ("user", "one two three", "settled"),
        ("assistant", "one two three ", "completed"),
    ]


@in_virtual_time
async def test_stop_of_somebody_who_went_away_is_carried_out(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    await talk.send("one two three four five")
    await talk.until(MessageDelta)
    rooms.lane.delay = 0.1
    stopping = rooms.loop.spawn(
        rooms.life.node, rooms.host.commands.interrupt(ADA, talk.session_id, InterruptRun(), None)
    )
    await asyncio.sleep(0.05)
    stopping.cancel()

    assert end([await talk.until(RunFinished)]) == ("cancelled", "interrupted")


@pytest.mark.sources("D-O5", "A7")
@in_virtual_time
async def test_reader_who_goes_away_stops_nothing(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    receipt = await talk.send("one two three")
    reading = asyncio.ensure_future(talk.until(RunFinished))
    await asyncio.sleep(1.5)
    reading.cancel()

    assert said(await talk.answer(receipt)) == "one two three "


# --- what begins with the end


@pytest.mark.sources("P2")
@in_virtual_time
async def test_next_message_begins_in_the_commit_that_ends_the_run(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    rooms.lane.delay = 0.1
    first, second_ = await talk.send("one"), await talk.send("two")
    await talk.answer(first)
    await talk.answer(second_)
    (block,) = [
        block
        for block in rooms.lane.blocks
        if any(type(e.event) is RunFinished and e.run_id == first.run_id for e in block.entries)
    ]

    kinds = [type(entry.event).__name__ for entry in block.entries]
    assert kinds[-3:] == ["MessageCompleted", "RunFinished", "RunStarted"]


@pytest.mark.sources("M08")
@in_virtual_time
async def test_waiting_messages_are_answered_first_in_first_out(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    receipts = [await talk.send(f"m{number}") for number in range(20)]
    for receipt in receipts:
        assert said(await talk.answer(receipt)) == f"m{receipts.index(receipt)} "

    assert [receipt.queue_position for receipt in receipts] == list(range(20))


@pytest.mark.sources("D-M4", "A3")
@in_virtual_time
async def test_message_that_comes_as_the_run_ends_is_answered_whatever_comes_first(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    rooms.lane.delay = 0.05
    for lag in range(0, 240, 20):
        first = await talk.send("one")
        await talk.until(lambda e, at=first: takes(e, at.message_id))
        await asyncio.sleep(0.9 + lag / 1_000)
        assert said(await talk.answer(await talk.send("two"))) == "two "


@pytest.mark.sources("D-M13")
@in_virtual_time
async def test_held_queue_waits_for_the_next_message(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    await talk.send("one two three")
    waiting = await talk.send("behind")
    await talk.stop(InterruptRun(waiting=Waiting.HOLD))
    await talk.until(RunFinished)
    await asyncio.sleep(100)
    assert [e for e in await talk.journal() if takes(e, waiting.message_id)] == []

    last = await talk.send("release")
    assert said(await talk.answer(waiting)) == "behind "
    assert said(await talk.answer(last)) == "release "


@pytest.mark.sources("D-M13")
@in_virtual_time
async def test_waiting_messages_go_on_after_a_stop_that_says_so(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    await talk.send("one two three")
    waiting = await talk.send("behind")
    await talk.stop(InterruptRun(waiting=Waiting.RUN))

    assert said(await talk.answer(waiting)) == "behind "


# --- a disk that is full, and runs that others ended


@in_virtual_time
async def test_settlement_waits_for_space_and_the_next_message_after_it(rooms: Rooms) -> None:
    talk = await talk_with(rooms, echo)
    first, behind = await talk.send("one"), await talk.send("two")
    await asyncio.sleep(0.5)
    rooms.lane.full = True
    await asyncio.sleep(100)
    assert (await talk.run(first)).status == "running"
    with pytest.raises(TenureError) as refusal:
        await talk.send("three")
    rooms.lane.full = False
    events = await talk.answer(behind)

    assert refusal.value.code == Code.STORE_FULL
    assert second(events[0].at) <= 106
    assert said(events) == "two "
    assert [content for _, content, _ in await talk.lines()] == ["one", "one ", "two", "two "]


@pytest.mark.sources("D-O10")
@in_virtual_time
async def test_run_of_a_session_that_is_deleted_as_it_ends_has_one_outcome(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    rooms.lane.delay = 0.05
    for lag in range(0, 240, 20):
        talk = await rooms.open()
        run = await talk.send("one")
        started = await talk.until(RunStarted)
        until = second(started.at) + 0.9 + lag / 1_000
        await asyncio.sleep(until - rooms.loop.time())
        deleting = rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
        await deleting
        ends = [
            entry.event
            for block in rooms.lane.blocks
            for entry in block.entries
            if entry.run_id == run.run_id and isinstance(entry.event, RunFinished)
        ]
        assert len(ends) == 1
    await asyncio.sleep(10)

    assert rooms.host.executing == 0
    assert (await rooms.host.stats()).live_runs == 0


# --- what it books


@in_virtual_time
async def test_usage_is_booked_per_model_on_the_run_and_in_sum_on_the_session(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Spent(Usage(model="a", input_tokens=1, output_tokens=2, cost=0.5))
        yield Spent(Usage(model="b", input_tokens=10, output_tokens=20, cost=0.25))
        yield Spent(Usage(model="a", input_tokens=100, output_tokens=200, cost=1.0))
        yield completed()

    talk = await talk_with(rooms, work)
    receipt = await talk.send()
    await talk.answer(receipt)
    session = await rooms.host.store.session(talk.session_id)

    assert (await talk.run(receipt)).usage == (
        Usage(model="a", input_tokens=101, output_tokens=202, cost=1.5),
        Usage(model="b", input_tokens=10, output_tokens=20, cost=0.25),
    )
    assert session is not None
    assert (session.usage.input_tokens, session.usage.output_tokens, session.usage.cost) == (
        111,
        222,
        1.75,
    )
