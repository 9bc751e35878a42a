"""An idle session costs the host nothing: no task, no timer, no step of the loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.ports.runner import RunContext
from tests.host.rooms import Rooms, Talk, agent, in_virtual_time

A_SWEEP = 15
"""Steps of one round of the recovery loop at most; an hour holds sixty, give or take one."""

PLENTY = Limits(open_sessions_per_user=10_000)


async def echo(run: RunContext) -> AsyncIterator[Output]:
    """Says the message again."""
    yield Text(run.message.text)
    yield completed()


async def steps_of_an_hour(rooms: Rooms) -> int:
    """How many steps the loop takes in an hour in which nobody asks for anything."""
    before = rooms.loop.steps
    await asyncio.sleep(3_600)
    return rooms.loop.steps - before


async def opened(rooms: Rooms, count: int) -> list[Talk]:
    """Idle sessions; one in ten has a conversation behind it."""
    talks = [await rooms.open() for _ in range(count)]
    for talk in talks[::10]:
        await talk.say("hello")
    await asyncio.sleep(60)
    return talks


@pytest.mark.sources("M07", "N04", "D-M10")
@in_virtual_time
async def test_thousand_idle_sessions_take_no_task_and_no_step(rooms: Rooms) -> None:
    await rooms.up(agent(echo), limits=PLENTY)
    await asyncio.sleep(60)
    tasks, steps = rooms.host.tasks, await steps_of_an_hour(rooms)
    await opened(rooms, 1_000)

    assert rooms.host.tasks == tasks == 1
    assert await steps_of_an_hour(rooms) <= steps + A_SWEEP


@in_virtual_time
async def test_followers_of_idle_sessions_take_no_task_and_no_step_of_the_host(rooms: Rooms) -> None:
    await rooms.up(agent(echo), limits=PLENTY)
    await asyncio.sleep(60)
    tasks, steps = rooms.host.tasks, await steps_of_an_hour(rooms)
    talks = await opened(rooms, 300)
    with ExitStack() as streams:
        for talk in talks:
            streams.enter_context(await rooms.host.fanout.follow(talk.session_id, 0))

        assert rooms.host.fanout.streams == 300
        assert rooms.host.tasks == tasks
        assert await steps_of_an_hour(rooms) <= steps + A_SWEEP


@in_virtual_time
async def test_session_among_a_thousand_idle_ones_is_answered_in_as_many_steps_as_alone(rooms: Rooms) -> None:
    await rooms.up(agent(echo), limits=PLENTY)
    (alone,) = await opened(rooms, 1)
    before = rooms.loop.steps
    await alone.say("again")
    cost = rooms.loop.steps - before
    talks = await opened(rooms, 300)
    before = rooms.loop.steps
    await talks[150].say("again")

    assert rooms.loop.steps - before <= cost + A_SWEEP


@in_virtual_time
async def test_ended_run_leaves_no_task_behind(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    tasks = rooms.host.tasks
    for _ in range(20):
        await talk.say("hello")
    await asyncio.sleep(1)

    assert (rooms.host.tasks, rooms.host.executing) == (tasks, 0)
