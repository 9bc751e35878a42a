"""Steering: kept durably for the live run, taken once by it, or answered by a run of its own."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import pytest

from tenure.core.command import SendMessage
from tenure.core.entry import Recorded
from tenure.core.event import MessageAdmitted, MessagePromoted, RunFinished, RunStarted, SteeringConsumed
from tenure.core.grant import HISTORY, Capabilities, Descriptor
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.output import Output, Text, completed
from tenure.core.steering import MOST_PENDING, SteeringMessage, how_many
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tests.host.rooms import UNHURRIED, Rooms, Talk, Work, end, in_virtual_time, said

STEER = BusyPolicy.STEER


class Steerable:
    """A runner that says it can be steered, made of a function."""

    descriptor = Descriptor(
        runner="steerable", capabilities=Capabilities(steering=True), permissions=(HISTORY,)
    )

    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self, context: RunContext) -> AsyncIterator[Output]:
        """One attempt."""
        return self._work(context)


async def listening(run: RunContext) -> AsyncIterator[Output]:
    """Works for ten seconds, and looks each second whether it is steered."""
    for _ in range(10):
        await asyncio.sleep(1)
        for message in await run.steering.take():
            yield Text(f"[{message.user}: {message.text}{' again' if message.redelivered else ''}] ")
    yield completed()


async def deaf(run: RunContext) -> AsyncIterator[Output]:
    """Works for ten seconds and never looks."""
    await asyncio.sleep(10)
    yield Text(f"answered {run.message.text}")
    yield completed()


async def up(rooms: Rooms, work: Work) -> None:
    """A host with room for many runs, whose agent can be steered."""
    roomy = Limits(live_runs=1_000, live_runs_per_user=1_000)
    await rooms.up(Agent(name="agent", runner=Steerable(work), policy=UNHURRIED), limits=roomy)


async def begun(rooms: Rooms, work: Work) -> tuple[Talk, MessageReceipt]:
    """A session whose run is live, and the receipt of the message that started it."""
    await up(rooms, work)
    talk = await rooms.open()
    return talk, await talk.send()


async def steer(talk: Talk, text: str) -> MessageReceipt:
    """Send a message that is to steer the live run."""
    return await talk.send(SendMessage(content=text, when_busy=STEER))


def takers(journal: list[Recorded], message_id: str) -> list[str]:
    """By what a message was taken: a run that it steered, or one that it started."""
    return [
        "steered" if isinstance(event.event, SteeringConsumed) else "started"
        for event in journal
        if (isinstance(event.event, SteeringConsumed) and message_id in event.event.message_ids)
        or (isinstance(event.event, RunStarted) and event.event.trigger.id == message_id)
    ]


@pytest.mark.sources("R12", "R13", "R14", "O28", "O29", "O31", "D-O14")
@in_virtual_time
async def test_message_that_steers_is_kept_for_the_live_run_and_taken_by_it_once(rooms: Rooms) -> None:
    talk, first = await begun(rooms, listening)
    await asyncio.sleep(0.5)
    receipt = await steer(talk, "faster")
    admitted = (await talk.journal())[receipt.seq - 1]
    events = await talk.answer(first)
    taken = [event for event in events if isinstance(event.event, SteeringConsumed)]

    assert (receipt.disposition, receipt.run_id) == ("steered", first.run_id)
    assert isinstance(admitted.event, MessageAdmitted)
    assert (admitted.event.disposition, admitted.event.run_id) == ("steered", first.run_id)
    assert [event.event for event in taken] == [SteeringConsumed(message_ids=(receipt.message_id,))]
    assert taken[0].seq > admitted.seq
    assert (said(events), end(events)) == ("[ada: faster] ", ("completed", ""))
    assert [content for _, content, _ in await talk.lines()] == ["go", "faster", "[ada: faster] "]
    assert takers(await talk.journal(), receipt.message_id) == ["steered"]


@pytest.mark.sources("R14", "R15")
@in_virtual_time
async def test_steering_is_taken_in_order_one_at_a_time_some_or_all(rooms: Rooms) -> None:
    taken: list[list[str]] = []

    async def choosy(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(5)
        for mode, limit in (("one", None), ("One-At-A-Time", 3), ("all", 2), ("all", None), ("all", None)):
            taken.append([message.text for message in await run.steering.take(mode, limit)])
        yield completed()

    talk, first = await begun(rooms, choosy)
    for number in range(7):
        await steer(talk, f"m{number}")
    await talk.answer(first)

    assert taken == [["m0"], ["m1"], ["m2", "m3"], ["m4", "m5", "m6"], []]


@pytest.mark.sources("R15", "D-R8")
@pytest.mark.parametrize(
    ("mode", "limit", "most"),
    [
        ("one", None, 1),
        ("ONE_AT_A_TIME", 50, 1),
        ("one-at-a-time", None, 1),
        ("all", None, MOST_PENDING),
        ("ALL", 7, 7),
        ("all", 10_000, MOST_PENDING),
    ],
)
def test_a_take_takes_at_most(mode: str, limit: int | None, most: int) -> None:
    assert how_many(mode, limit) == most


@pytest.mark.sources("R15", "D-R8")
@pytest.mark.parametrize(
    ("mode", "limit", "field"),
    [
        ("all", 0, "limit"),
        ("all", -1, "limit"),
        ("all", True, "limit"),
        ("one", 0, "limit"),
        ("some", 1, "mode"),
    ],
)
def test_a_take_with_a_limit_or_mode_that_is_none_is_refused(mode: str, limit: int, field: str) -> None:
    with pytest.raises(TenureError) as refusal:
        how_many(mode, limit)

    assert (refusal.value.code, refusal.value.facts["field"]) == (Code.INVALID, field)


@pytest.mark.sources("R13", "D-O15")
@in_virtual_time
async def test_steering_beyond_a_hundred_waits_as_a_message_and_says_why(rooms: Rooms) -> None:
    talk, _ = await begun(rooms, deaf)
    receipts = [await steer(talk, f"m{number}") for number in range(MOST_PENDING + 2)]

    assert [r.disposition for r in receipts] == ["steered"] * MOST_PENDING + ["queued"] * 2
    assert {r.fallback for r in receipts[:MOST_PENDING]} == {None}
    assert [(r.fallback, r.run_id) for r in receipts[MOST_PENDING:]] == [
        ("too_much_steering_pending", None)
    ] * 2
    await talk.stop()


@pytest.mark.sources("O28")
@in_virtual_time
async def test_message_that_should_steer_an_idle_session_or_a_deaf_runner_is_dispatched_as_usual(
    rooms: Rooms,
) -> None:
    class Unsteerable(Steerable):
        descriptor = Descriptor(runner="unsteerable")

    await rooms.up(Agent(name="agent", runner=Unsteerable(deaf), policy=UNHURRIED))
    talk = await rooms.open()
    started, waiting = await steer(talk, "one"), await steer(talk, "two")
    answers = [said(await talk.answer(receipt)) for receipt in (started, waiting)]

    assert (started.disposition, started.fallback) == ("started", None)
    assert (waiting.disposition, waiting.fallback) == ("queued", "runner_takes_no_steering")
    assert answers == ["answered one", "answered two"]


@pytest.mark.sources("R09", "O23", "O31", "D-O6", "P6")
@in_virtual_time
async def test_steering_that_a_run_did_not_take_is_answered_next_in_its_order(rooms: Rooms) -> None:
    talk, first = await begun(rooms, deaf)
    behind = await talk.send("behind")
    steering = [await steer(talk, f"m{number}") for number in range(3)]
    answers = {receipt.message_id: await talk.answer(receipt) for receipt in (first, *steering, behind)}
    journal = await talk.journal()
    promoted = [event for event in journal if isinstance(event.event, MessagePromoted)]
    ended = next(event for event in journal if isinstance(event.event, RunFinished))

    assert [r.disposition for r in steering] == ["steered"] * 3
    assert [event.event for event in promoted] == [
        MessagePromoted(message_id=receipt.message_id, to="run") for receipt in steering
    ]
    assert {type(e.event) for e in journal[ended.seq - 5 : ended.seq + 4]} >= {MessagePromoted, RunStarted}
    assert [said(answers[r.message_id]) for r in (*steering, behind)] == [
        "answered m0",
        "answered m1",
        "answered m2",
        "answered behind",
    ]
    order = [e.event.trigger.id for e in journal if isinstance(e.event, RunStarted)]
    assert order == [r.message_id for r in (first, *steering, behind)]


@pytest.mark.sources("A9", "P6", "D-O6", "D-R10")
@in_virtual_time
async def test_steering_that_meets_the_end_of_a_run_is_taken_exactly_once_whatever_comes_first(
    rooms: Rooms,
) -> None:
    async def last_look(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(1)
        for message in await run.steering.take():
            yield Text(f"[{message.text}] ")
        yield completed()

    await up(rooms, last_look)
    rooms.lane.delay = 0.05
    fates: set[str] = set()
    for lag in range(0, 300, 10):
        talk = await rooms.open()
        first = await talk.send()
        await talk.until(RunStarted)
        await asyncio.sleep(0.85 + lag / 1_000)
        sent = await asyncio.gather(*(steer(talk, f"m{number}") for number in range(4)))
        await talk.answer(first)
        await settled(talk, sent)
        journal = await talk.journal()
        for receipt in sent:
            (taken,) = takers(journal, receipt.message_id)
            fates.add(f"{receipt.disposition}, {taken}")

    assert {"steered, steered", "steered, started"} <= fates
    assert fates <= {"steered, steered", "steered, started", "queued, started", "started, started"}


async def settled(talk: Talk, receipts: list[MessageReceipt]) -> None:
    """Wait until messages have an outcome."""
    for receipt in receipts:
        for _ in range(1_000):
            info = await talk.rooms.host.store.message(talk.session_id, receipt.message_id)
            assert info is not None
            if info.outcome is not None:
                break
            await asyncio.sleep(0.1)


@pytest.mark.sources("A9", "D-R9", "P6")
@in_virtual_time
async def test_steering_that_was_taken_before_a_crash_is_offered_again_and_said_to_be(rooms: Rooms) -> None:
    talk, first = await begun(rooms, listening)
    await asyncio.sleep(0.5)
    taken = await steer(talk, "faster")
    await talk.until(SteeringConsumed)
    rooms.crash()
    await up(rooms, listening)
    events = await talk.answer(first)

    assert end(events) == ("completed", "")
    assert (await talk.lines())[-1] == ("assistant", "[ada: faster again] ", "completed")
    assert takers(await talk.journal(), taken.message_id) == ["steered", "steered"]
    redelivered = [e.event.redelivered for e in events if isinstance(e.event, SteeringConsumed)]
    assert redelivered == [False, True]


@pytest.mark.sources("D-R11", "A9", "D-M16")
@in_virtual_time
async def test_steering_that_waits_outlives_a_crash_in_its_order(rooms: Rooms) -> None:
    talk, first = await begun(rooms, listening)
    sent = [await steer(talk, f"m{number}") for number in range(5)]
    rooms.crash()
    await up(rooms, listening)
    events = await talk.answer(first)

    assert said(events) == "".join(f"[ada: m{number}] " for number in range(5))
    assert [takers(events, receipt.message_id) for receipt in sent] == [["steered"]] * 5


@pytest.mark.sources("D-R4", "R08")
@in_virtual_time
async def test_message_that_steers_and_is_sent_again_steers_once_and_harms_no_other(rooms: Rooms) -> None:
    talk, first = await begun(rooms, listening)
    other = await steer(talk, "other")
    again = SendMessage(content="same", when_busy=STEER, message_id="msg_" + "a" * 32)
    receipts = [await talk.send(again) for _ in range(5)]
    events = await talk.answer(first)

    assert receipts == receipts[:1] * 5
    assert said(events) == "[ada: other] [ada: same] "
    assert takers(events, other.message_id) == ["steered"]


@pytest.mark.sources("O30")
@in_virtual_time
async def test_steering_carries_who_said_what_under_which_id(rooms: Rooms) -> None:
    taken: list[SteeringMessage] = []

    async def keeping(run: RunContext) -> AsyncIterator[Output]:
        await run.steering.wait()
        assert run.steering.pending == 1
        taken.extend(await run.steering.take())
        assert run.steering.pending == 0
        yield completed()

    talk, first = await begun(rooms, keeping)
    receipt = await steer(talk, "faster")
    await talk.answer(first)

    assert [(m.id, m.content, m.text, m.user, m.redelivered) for m in taken] == [
        (receipt.message_id, "faster", "faster", "ada", False)
    ]


@pytest.mark.sources("D-R10", "R12")
@in_virtual_time
async def test_steering_reaches_its_own_run_among_many_in_as_many_steps_as_alone(rooms: Rooms) -> None:
    numbers = count()

    async def patient(run: RunContext) -> AsyncIterator[Output]:
        await run.steering.wait()
        for message in await run.steering.take():
            yield Text(message.text)
        yield completed()

    async def steps() -> int:
        before, text = rooms.loop.steps, f"for run {next(numbers)}"
        talk = await rooms.open()
        first = await talk.send()
        await steer(talk, text)
        assert said(await talk.answer(first)) == text
        return rooms.loop.steps - before

    await up(rooms, patient)
    alone = await steps()
    talks = [await rooms.open() for _ in range(200)]
    for talk in talks:
        await talk.send()

    assert await steps() <= alone + 10
    for talk in talks:
        await talk.stop()
