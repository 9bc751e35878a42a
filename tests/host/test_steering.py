"""Steering: what is sent to a live run is taken once by it, or runs by itself, whatever the moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.command import ChangeMessage, InterruptRun, Promotion, RetryRun, SendMessage, Waiting
from tenure.core.content import text_of
from tenure.core.event import (
    MessageAdmitted,
    MessageDelta,
    MessagePromoted,
    RunFinished,
    RunInterrupting,
    RunStarted,
    SteeringConsumed,
)
from tenure.core.grant import Capabilities, Descriptor
from tenure.core.message import BusyPolicy
from tenure.core.output import Output, Text, completed, failed
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tests.host.rooms import UNHURRIED, Rooms, Talk, Work, end, in_virtual_time, said


class Steered:
    """A runner that takes steering, made of a function."""

    descriptor = Descriptor(runner="steered", capabilities=Capabilities(steering=True))

    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self, context: RunContext) -> AsyncIterator[Output]:
        """One attempt."""
        return self._work(context)


async def steered_talk(rooms: Rooms, work: Work) -> Talk:
    """A session with an agent that takes steering."""
    await rooms.up(Agent(name="agent", runner=Steered(work), policy=UNHURRIED))
    return await rooms.open()


def steer(text: str) -> SendMessage:
    """A message that is to steer."""
    return SendMessage(content=text, when_busy=BusyPolicy.STEER)


async def obliging(run: RunContext) -> AsyncIterator[Output]:
    """Works for ten seconds, looks once a second whether somebody said something, and says it back."""
    yield Text("working ")
    for _ in range(10):
        await asyncio.sleep(1)
        for message in await run.steering.take():
            yield Text(f"({message.text}) ")


async def heedless(run: RunContext) -> AsyncIterator[Output]:
    """Works for a while and never looks."""
    yield Text(f"did {run.message.text} ")
    await asyncio.sleep(2)


@pytest.mark.sources("P6", "O28", "O29", "R14")
@in_virtual_time
async def test_a_run_takes_what_is_said_to_it_while_it_works(rooms: Rooms) -> None:
    talk = await steered_talk(rooms, obliging)
    first = await talk.send("go")
    await talk.until(MessageDelta)
    receipts = [await talk.send(steer(text)) for text in ("shorter", "in French")]
    events = await talk.answer(first)

    assert said(events) == "working (shorter) (in French) "
    assert [e.event for e in events if isinstance(e.event, SteeringConsumed)] == [
        SteeringConsumed(message_ids=(receipt.message_id,)) for receipt in receipts
    ]
    assert [(role, text) for role, text, _ in await talk.lines()] == [
        ("user", "go"),
        ("assistant", "working (shorter) (in French) "),
        ("user", "shorter"),
        ("user", "in French"),
    ]


@pytest.mark.sources("P6")
@in_virtual_time
async def test_a_run_can_wait_for_steering(rooms: Rooms) -> None:
    async def waits(run: RunContext) -> AsyncIterator[Output]:
        yield Text("What now? ")
        await run.steering.wait()
        (message,) = await run.steering.take("one")
        yield Text(message.text)

    talk = await steered_talk(rooms, waits)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await talk.send(steer("stop there"))
    assert said(await talk.answer(receipt)) == "What now? stop there"


@in_virtual_time
async def test_who_waits_for_steering_is_woken_by_a_stop(rooms: Rooms) -> None:
    async def waits(run: RunContext) -> AsyncIterator[Output]:
        yield Text("What now? ")
        await run.steering.wait()
        yield Text(f"{len(await run.steering.take())} taken")

    talk = await steered_talk(rooms, waits)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await talk.stop()
    events = await talk.answer(receipt)
    assert (said(events), end(events)) == ("What now? 0 taken", ("cancelled", "interrupted"))


@pytest.mark.sources("P6", "A9", "O23", "D-O6")
@pytest.mark.parametrize("moment", [0.0, 0.5, 0.999, 1.0, 1.5, 1.999, 2.0, 2.001, 3.0])
@in_virtual_time
async def test_whatever_the_moment_steering_is_taken_once_or_runs_once(rooms: Rooms, moment: float) -> None:
    rooms_delay = 0.001

    async def looks_at_the_end(run: RunContext) -> AsyncIterator[Output]:
        yield Text(f"[{run.message.text}] ")
        await asyncio.sleep(2)
        for message in await run.steering.take():
            yield Text(f"<{message.text}> ")

    talk = await steered_talk(rooms, looks_at_the_end)
    rooms.lane.delay = rooms_delay
    await talk.send("go")
    await asyncio.sleep(moment)
    sent = [await talk.send(steer(f"s{n}")) for n in range(3)]
    await asyncio.sleep(30)

    journal = await talk.journal()
    taken = [
        message_id
        for event in journal
        if isinstance(event.event, SteeringConsumed)
        for message_id in event.event.message_ids
    ]
    ran = [event.event.trigger.id for event in journal if isinstance(event.event, RunStarted)]
    assert sorted(taken + ran[1:]) == sorted(receipt.message_id for receipt in sent)
    words = said(journal)
    assert all(words.count(f"s{n}") == 1 for n in range(3)), words


@pytest.mark.sources("P6", "A9", "D-O14", "D-R9")
@pytest.mark.parametrize("moment", [1.0, 2.0, 2.0005, 2.001, 2.0015, 2.5])
@in_virtual_time
async def test_a_crash_between_send_and_use_loses_no_steering(rooms: Rooms, moment: float) -> None:
    async def thinks_first(run: RunContext) -> AsyncIterator[Output]:
        yield Text(f"[{run.message.text}] ")
        await asyncio.sleep(2)
        for message in await run.steering.take():
            await asyncio.sleep(1)
            yield Text(f"<{message.text}> ")

    def thinker() -> Agent:
        return Agent(name="agent", runner=Steered(thinks_first), policy=UNHURRIED)

    await rooms.up(thinker())
    talk = await rooms.open()
    rooms.lane.delay = 0.001
    receipt = await talk.send("go")
    await talk.send(steer("more"))
    await asyncio.sleep(moment)
    rooms.crash()
    await rooms.up(thinker())
    await talk.until(lambda e: e.run_id == receipt.run_id and isinstance(e.event, RunFinished))

    lines = [text_of(content) for role, content, _ in await talk.lines() if role == "assistant"]
    assert lines == ["[go] <more> "]
    once = [
        event.event.redelivered for event in await talk.journal() if isinstance(event.event, SteeringConsumed)
    ]
    assert once.count(False) == 1


@in_virtual_time
async def test_what_a_run_did_not_take_runs_before_the_queue(rooms: Rooms) -> None:
    talk = await steered_talk(rooms, heedless)
    await talk.send("first")
    await talk.send("queued")
    last = await talk.send(steer("steering"))
    await talk.answer(last)
    starts = [e.event.trigger.id for e in await talk.journal() if isinstance(e.event, RunStarted)]
    promoted = [e.event for e in await talk.journal() if isinstance(e.event, MessagePromoted)]

    assert starts[1] == last.message_id
    assert promoted == [MessagePromoted(message_id=last.message_id, to="run")]


@in_virtual_time
async def test_a_waiting_message_can_be_sent_to_the_live_run(rooms: Rooms) -> None:
    talk = await steered_talk(rooms, obliging)
    first = await talk.send("go")
    waiting = await talk.send("later")
    change = ChangeMessage(promote=Promotion.STEER)
    commands = rooms.host.commands
    info = await rooms.there(commands.change_message(talk.by, talk.session_id, waiting.message_id, change))
    assert (info.state, info.run_id) == ("steered", first.run_id)
    assert said(await talk.answer(first)) == "working (later) "


@in_virtual_time
async def test_withdrawn_steering_is_never_taken(rooms: Rooms) -> None:
    talk = await steered_talk(rooms, obliging)
    first = await talk.send("go")
    sent = await talk.send(steer("forget it"))
    await rooms.there(rooms.host.commands.withdraw_message(talk.by, talk.session_id, sent.message_id))
    assert said(await talk.answer(first)) == "working "


@in_virtual_time
async def test_a_wrong_way_to_take_is_told_and_takes_nothing(rooms: Rooms) -> None:
    refusals: list[Code] = []

    async def careless(run: RunContext) -> AsyncIterator[Output]:
        yield Text("working ")
        await run.steering.wait()
        for mode, limit in (("all", 0), ("all", -1), ("all", True), ("some", None)):
            try:
                await run.steering.take(mode, limit)
            except TenureError as refusal:
                refusals.append(refusal.code)
        yield Text(f"{run.steering.pending} pending")

    talk = await steered_talk(rooms, careless)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await talk.send(steer("one"))
    events = await talk.answer(receipt)
    assert said(events) == "working 1 pending"
    assert refusals[-4:] == [Code.INVALID] * 4


@in_virtual_time
async def test_an_interrupting_message_stops_the_run_and_runs_next(rooms: Rooms) -> None:
    talk = await steered_talk(rooms, heedless)
    first = await talk.send("first")
    await talk.until(MessageDelta)
    await talk.send("queued")
    now = await talk.send(SendMessage(content="now", when_busy=BusyPolicy.INTERRUPT))
    answer = await talk.answer(now)

    assert now.interrupts == first.run_id
    assert (await talk.run(first)).status in ("cancelled", "completed")
    assert said(answer) == "did now "
    kinds = [type(e.event) for e in await talk.journal()]
    assert kinds.count(RunInterrupting) == 1


@in_virtual_time
async def test_rolling_back_takes_the_stopped_turn_off_the_transcript(rooms: Rooms) -> None:
    talk = await steered_talk(rooms, heedless)
    await talk.send("first")
    await talk.until(MessageDelta)
    instead = await talk.send(SendMessage(content="instead", when_busy=BusyPolicy.ROLLBACK))
    await talk.answer(instead)
    assert [(role, text) for role, text, _ in await talk.lines()] == [
        ("user", "instead"),
        ("assistant", "did instead "),
    ]


@in_virtual_time
async def test_a_failed_run_can_be_tried_again(rooms: Rooms) -> None:
    tries: list[str] = []

    async def moody(run: RunContext) -> AsyncIterator[Output]:
        tries.append(run.run_id)
        yield Text(f"try {len(tries)} ")
        if len(tries) % 2:
            yield failed("not in the mood")
        else:
            yield completed()

    talk = await steered_talk(rooms, moody)
    tries.clear()
    receipt = await talk.send()
    await talk.answer(receipt)
    commands, run_id = rooms.host.commands, receipt.run_id or ""
    from_retry = await rooms.there(commands.retry_run(talk.by, run_id, RetryRun(), None))
    await talk.until(lambda e: e.run_id == from_retry.value.run_id and isinstance(e.event, RunFinished))
    assert (await talk.run(from_retry.value)).status == "completed"
    assert [(role, text) for role, text, _ in await talk.lines()] == [
        ("user", "go"),
        ("assistant", "try 1 "),
        ("assistant", "try 2 "),
    ]


@in_virtual_time
async def test_a_stop_with_waiting_run_lets_untaken_steering_run_at_once(rooms: Rooms) -> None:
    talk = await steered_talk(rooms, heedless)
    await talk.send("first")
    sent = await talk.send(steer("after all"))
    await talk.stop(InterruptRun(waiting=Waiting.RUN))
    assert said(await talk.answer(sent)) == "did after all "
    assert isinstance((await talk.journal())[1].event, MessageAdmitted)
