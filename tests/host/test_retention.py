"""Retention on a host: old entries go by themselves, readers are told, and nothing else changes."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tenure.core.event import RunFinished
from tenure.core.output import Output, Text, completed
from tenure.host.fanout import Delivery, Gap, UpToDate
from tenure.host.host import Parts
from tenure.ports.runner import RunContext
from tests.host.rooms import UNHURRIED, Rooms, agent, in_virtual_time

DAY = 86_400.0
PIECES = 700


async def chatter(run: RunContext) -> AsyncIterator[Output]:
    """Says a lot."""
    for n in range(PIECES):
        yield Text(f"{n} ")
    yield completed()


async def first(rooms: Rooms, session_id: str) -> int:
    """The number with which the journal begins now."""
    return (await rooms.host.store.page(session_id, 0, 1)).min_available


@in_virtual_time
async def test_entries_older_than_the_operator_keeps_go_by_themselves(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.host.rooms.Parts", partial(Parts, retention_days=1.0))
    await rooms.up(agent(chatter, UNHURRIED))
    talk = await rooms.open()
    for _ in range(3):
        await talk.say()
    lines = await talk.lines()
    await asyncio.sleep(0.9 * DAY)
    young = await first(rooms, talk.session_id)
    await asyncio.sleep(0.2 * DAY)
    old = await first(rooms, talk.session_id)
    head = await rooms.host.store.head(talk.session_id)
    with await rooms.host.fanout.follow(talk.session_id, 5) as follower:
        steps = [await follower.next(), await follower.next()]
        while not isinstance(steps[-1], UpToDate):
            steps.append(await follower.next())

    assert young == 1
    assert 1 < old <= head - 999
    assert steps[0] == Gap(5, old)
    assert isinstance(steps[1], Delivery) and steps[1].first == old
    assert steps[-1] == UpToDate(head)
    assert await talk.lines() == lines


@in_virtual_time
async def test_without_a_setting_nothing_ever_goes(rooms: Rooms) -> None:
    await rooms.up(agent(chatter, UNHURRIED))
    talk = await rooms.open()
    for _ in range(3):
        await talk.say()
    await asyncio.sleep(3 * DAY)

    assert await first(rooms, talk.session_id) == 1


@in_virtual_time
async def test_a_session_goes_on_and_survives_a_restart_after_its_oldest_part_went(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.host.rooms.Parts", partial(Parts, retention_days=1.0))
    talker = agent(chatter, UNHURRIED)
    await rooms.up(talker)
    talk = await rooms.open()
    for _ in range(3):
        await talk.say()
    await asyncio.sleep(1.1 * DAY)
    rooms.crash()
    await rooms.up(talker)
    again = await talk.send()
    await talk.until(RunFinished, again.seq)

    assert [who for who, _, _ in await talk.lines()] == ["user", "assistant"] * 4
