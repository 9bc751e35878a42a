"""The journal room: a slow or full disk makes runners wait; everything arrives later, once, in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tenure.core.event import MessageDelta, RunFinished, RunInterrupting
from tenure.core.output import Output, Said, Text, ToolCompleted, ToolStarted, completed, failed
from tenure.errors import TenureError
from tenure.host.journal import CONGESTED_BYTES
from tenure.ports.runner import RunContext
from tests.host.rooms import Rooms, Work, end, facts, in_virtual_time, said, second, talk_with

KILO = 1_000


def burst(yielded: list[int], count: int) -> Work:
    """Says `count` numbered texts of a thousand bytes without a pause, and notes how far it is."""

    async def work(run: RunContext) -> AsyncIterator[Output]:
        for number in range(count):
            yielded.append(number)
            yield Text(f"{number} ".ljust(KILO, "."))
        yield completed()

    return work


def whole(count: int) -> str:
    """All that a burst says."""
    return "".join(f"{number} ".ljust(KILO, ".") for number in range(count))


@in_virtual_time
async def test_slow_disk_makes_the_runner_wait_and_all_arrives_in_order(rooms: Rooms) -> None:
    yielded: list[int] = []
    talk = await talk_with(rooms, burst(yielded, 2_000))
    rooms.lane.delay = 10.0
    sending = asyncio.ensure_future(talk.send())
    most, reached = 0, 0
    while not yielded or yielded[-1] < 1_999:
        await asyncio.sleep(1)
        most = max(most, len(yielded) - reached)
        reached = len(yielded)
    events = await talk.answer(await sending)

    assert most * KILO <= 2 * CONGESTED_BYTES
    assert (said(events), end(events)) == (whole(2_000), ("completed", ""))


@pytest.mark.sources("D-O12")
@in_virtual_time
async def test_what_gathers_while_a_commit_is_under_way_goes_in_one_append(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for number in range(100):
            await asyncio.sleep(0.001)
            yield Text(f"{number} ")
        yield completed()

    talk = await talk_with(rooms, work)
    rooms.lane.delay = 1.0
    events = await talk.answer(await talk.send())
    blocks = [block for block in rooms.lane.blocks if block.session_id == talk.session_id]

    assert said(events) == "".join(f"{number} " for number in range(100))
    assert len(blocks) <= 5  # opened, started, the first word, what gathered, the end


@pytest.mark.sources("D-M18")
@in_virtual_time
async def test_full_disk_makes_the_runner_wait_and_all_arrives_once_there_is_space(rooms: Rooms) -> None:
    yielded: list[int] = []
    talk = await talk_with(rooms, burst(yielded, 2_000))
    rooms.lane.delay = 0.01
    receipt = await talk.send()
    await talk.until(MessageDelta)
    rooms.lane.full = True
    await asyncio.sleep(10)
    stuck = len(yielded)
    await asyncio.sleep(600)

    assert len(yielded) == stuck < 2_000
    assert (await talk.run(receipt)).status == "running"
    rooms.lane.full = False
    events = await talk.answer(receipt)
    assert (said(events), end(events)) == (whole(2_000), ("completed", ""))


@in_virtual_time
async def test_disk_that_fills_and_empties_all_the_time_loses_and_repeats_nothing(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst([], 1_500))
    rooms.lane.delay = 0.05
    receipt = await talk.send()
    while (await talk.run(receipt)).finished_at is None:
        rooms.lane.full = not rooms.lane.full
        await asyncio.sleep(rooms.loop.random.choice((0.05, 0.2, 0.4, 0.9)))
    rooms.lane.full = False
    events = await talk.answer(receipt)

    assert (said(events), end(events)) == (whole(1_500), ("completed", ""))


@in_virtual_time
async def test_words_between_acts_that_find_no_space_arrive_once_and_in_order(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for number in range(4):
            yield Text(f"{number} ")
            with suppress(TenureError):
                await run.state.set("conversation", "at", number)
        yield completed()

    talk = await talk_with(rooms, work)
    rooms.lane.delay = 0.1
    for _ in range(40):
        receipt = await talk.send()
        while (await talk.run(receipt)).finished_at is None:
            rooms.lane.full = not rooms.lane.full
            await asyncio.sleep(rooms.loop.random.choice((0.05, 0.1, 0.2, 0.3, 0.5)))
        rooms.lane.full = False
        events = await talk.answer(receipt)

        assert (said(events), end(events)) == ("0 1 2 3 ", ("completed", ""))


@in_virtual_time
async def test_disk_without_another_page_takes_what_it_refused_once_there_is_one(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst([], 1_500))
    rooms.lane.delay = 0.01
    receipt = await talk.send()
    await talk.until(MessageDelta)
    rooms.disk.fill()
    await asyncio.sleep(60)
    assert (await talk.run(receipt)).status == "running"
    rooms.disk.free()
    events = await talk.answer(receipt)

    assert (said(events), end(events)) == (whole(1_500), ("completed", ""))


@pytest.mark.parametrize("verdict", [completed(), failed("no")], ids=["completed", "failed"])
@in_virtual_time
async def test_run_that_ends_while_the_disk_is_full_is_settled_with_all_it_said(
    rooms: Rooms, verdict: Output
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("one ")
        await asyncio.sleep(5)
        yield Text("two ")
        await asyncio.sleep(5)
        yield ToolStarted(call_id="c", tool="look")
        yield ToolCompleted(call_id="c", status="ok")
        yield Said("whole")
        yield Text("three")
        yield verdict

    talk = await talk_with(rooms, work)
    rooms.lane.delay = 0.3
    receipt = await talk.send()
    await talk.until(MessageDelta)
    rooms.lane.full = True
    await asyncio.sleep(60)
    assert (await talk.run(receipt)).status == "running"
    rooms.lane.full = False
    events = await talk.answer(receipt)

    assert [type(fact).__name__ for fact in facts(events)] == [
        "MessageDelta",
        "MessageDelta",
        "MessageCompleted",
        "ToolCallStarted",
        "ToolCallCompleted",
        "MessageCompleted",
        "MessageDelta",
        "MessageCompleted",
        "RunFinished",
    ]
    assert [content for _, content, _ in await talk.lines()] == ["go", "one two ", "whole", "three"]


@in_virtual_time
async def test_runner_that_waits_for_a_full_disk_can_be_stopped_and_its_words_are_kept(rooms: Rooms) -> None:
    yielded: list[int] = []
    talk = await talk_with(rooms, burst(yielded, 2_000))
    rooms.lane.delay = 0.01
    receipt = await talk.send()
    await talk.until(MessageDelta)
    rooms.lane.full = True
    await asyncio.sleep(60)
    rooms.lane.full = False
    await talk.stop()
    events = await talk.answer(receipt)

    assert end(events) in (("cancelled", "interrupted"), ("completed", ""))
    assert said(events) == whole(len(yielded))


@in_virtual_time
async def test_stop_of_a_runner_that_waits_for_a_slow_disk_is_bounded(rooms: Rooms) -> None:
    yielded: list[int] = []
    talk = await talk_with(rooms, burst(yielded, 1_000_000))
    rooms.lane.delay = 2.0
    sending = asyncio.ensure_future(talk.send())
    await talk.until(MessageDelta)
    await sending
    await talk.stop()
    asked = await talk.until(RunInterrupting)
    finished = await talk.until(RunFinished)

    # The verdict comes within ten seconds; landing and settling are three steps of the disk more.
    assert second(finished.at) - second(asked.at) <= 10 + 3 * 2 * 2.0
    assert said(await talk.journal()) == whole(len(yielded))
