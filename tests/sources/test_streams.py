"""Streams: numbers of host and runner never meet, and readers miss nothing whoever comes and goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from tenure.core.command import UpdateSession
from tenure.core.entry import Recorded
from tenure.core.event import MessageDelta, RunFinished, RunStarted, SessionUpdated
from tenure.core.output import Output, Text, completed
from tenure.host.fanout import Delivery, Follower, UpToDate
from tenure.ports.runner import RunContext
from tests.host.rooms import (
    ADA,
    BEN,
    Rooms,
    Talk,
    agent,
    end,
    in_virtual_time,
    recorded,
    said,
    talk_with,
    warnings,
)


async def counting(run: RunContext) -> AsyncIterator[Output]:
    """Says numbered words, one each 10 ms, as many as the message says."""
    for number in range(int(run.message.text)):
        await asyncio.sleep(0.01)
        yield Text(f"{run.attempt}.{number} ", sequence=number + 1)
    yield completed()


async def to_the_head(follower: Follower) -> list[Recorded]:
    """What a follower gets until it is told that it is up to date."""
    events: list[Recorded] = []
    while not isinstance(step := await follower.next(), UpToDate):
        assert isinstance(step, Delivery), step
        events += recorded(step)
    return events


@pytest.mark.sources("A5", "D-O19", "D-O3")
@in_virtual_time
async def test_host_events_between_runner_outputs_take_no_number_from_them(rooms: Rooms) -> None:
    talk = await talk_with(rooms, counting)
    receipt = await talk.send("100")
    for number in range(30):
        await asyncio.sleep(0.03)
        title = UpdateSession(title=f"Title {number}")
        await rooms.there(rooms.host.commands.update_session(ADA, talk.session_id, title))
        await talk.send("0")
    events = await talk.answer(receipt)
    journal = await talk.journal()

    assert said(events) == "".join(f"1.{number} " for number in range(100))
    assert (warnings(events), end(events)) == ([], ("completed", ""))
    assert [event.seq for event in journal] == list(range(1, len(journal) + 1))
    assert sum(isinstance(event.event, SessionUpdated) for event in journal) == 30


@pytest.mark.sources("A14", "D-M17", "D-N9")
@in_virtual_time
async def test_reader_resumes_at_every_boundary_over_turns_and_a_crash(rooms: Rooms) -> None:
    talk = await talk_with(rooms, counting)
    await talk.say("5")
    live = await talk.send("20")
    await talk.until(lambda event: event.run_id == live.run_id and isinstance(event.event, MessageDelta))
    before = await talk.journal()
    rooms.crash()
    await rooms.up(agent(counting))
    await talk.answer(live)
    journal = await talk.journal()

    assert journal[: len(before)] == before
    assert [event.seq for event in journal] == list(range(1, len(journal) + 1))
    assert sum(isinstance(event.event, RunFinished) for event in journal) == 2
    for after in range(len(journal) + 1):
        with await rooms.host.fanout.follow(talk.session_id, after) as follower:
            assert await to_the_head(follower) == journal[after:]


@pytest.mark.sources("D-M17")
@in_virtual_time
async def test_replay_goes_past_the_end_of_an_old_turn_into_the_live_one(rooms: Rooms) -> None:
    talk = await talk_with(rooms, counting)
    await talk.say("3")
    live = await talk.send("50")
    await talk.until(lambda event: event.run_id == live.run_id and isinstance(event.event, MessageDelta))
    seen: list[Recorded] = []
    with await rooms.host.fanout.follow(talk.session_id, 0) as follower:
        while sum(isinstance(event.event, RunFinished) for event in seen) < 2:
            step = await follower.next()
            seen += recorded(step) if isinstance(step, Delivery) else []

    assert seen == await talk.journal()


@pytest.mark.sources("D-N6", "N03")
@in_virtual_time
async def test_readers_who_come_and_go_while_many_are_told_disturb_nobody(rooms: Rooms) -> None:
    talk = await talk_with(rooms, counting)
    others: list[Talk] = []
    with ExitStack() as streams:
        loyal = [streams.enter_context(await rooms.host.fanout.follow(talk.session_id, 0)) for _ in range(20)]
        receipt = await talk.send("100")
        for number in range(50):
            await asyncio.sleep(0.01)
            others.append(await rooms.open(by=BEN))
            with (
                await rooms.host.fanout.follow(others[-1].session_id, 0) as elsewhere,
                await rooms.host.fanout.follow(talk.session_id, number % 3) as passing,
            ):
                assert len(await to_the_head(elsewhere)) == 1
                await passing.next()
        await talk.answer(receipt)
        journal = await talk.journal()

        assert [await to_the_head(follower) for follower in loyal] == [journal] * 20
    assert rooms.host.fanout.streams == 0


@pytest.mark.sources("N09", "A16")
@in_virtual_time
async def test_stop_of_a_run_is_seen_by_every_reader_with_its_reason(rooms: Rooms) -> None:
    talk = await talk_with(rooms, counting)
    with ExitStack() as streams:
        readers = [
            streams.enter_context(await rooms.host.fanout.follow(talk.session_id, 0)) for _ in range(5)
        ]
        await talk.send("1000")
        await talk.until(RunStarted)
        await talk.stop()
        await talk.until(RunFinished)
        seen = [await to_the_head(reader) for reader in readers]

    assert [end(events) for events in seen] == [("cancelled", "interrupted")] * 5
