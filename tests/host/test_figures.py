"""Telemetry and stats: the figures that metrics, console and operators read are true."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tenure.core.command import CloseSession, InterruptRun
from tenure.core.event import MessageDelta, RunFinished
from tenure.core.grant import Policy
from tenure.core.limits import Limits
from tenure.core.moment import Micros, timestamp
from tenure.core.output import Output, Text, completed, failed
from tenure.core.run import RunState
from tenure.core.view import HostInfo, Stats
from tenure.errors import Code, TenureError
from tenure.host.telemetry import Telemetry, percentile
from tenure.ports.runner import RunContext
from tests.host.rooms import ADA, Rooms, Talk, agent, in_virtual_time
from tests.simulation.world import EPOCH


async def moody(run: RunContext) -> AsyncIterator[Output]:
    """Ends as the message says."""
    yield Text("working ")
    match run.message.text:
        case "complete":
            yield completed()
        case "fail":
            yield failed("no")
        case "deaf":
            until = asyncio.get_running_loop().time() + 60
            while (left := until - asyncio.get_running_loop().time()) > 0:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(left)
        case _:
            await run.stopped()


@in_virtual_time
async def test_stats_are_what_is_there(rooms: Rooms) -> None:
    await rooms.up(agent(moody), limits=Limits(live_runs=2))
    talks = [await rooms.open() for _ in range(5)]
    for talk in talks[:3]:
        await talk.send("wait")
    close = rooms.host.commands.close_session(ADA, talks[4].session_id, CloseSession(), None)
    await rooms.there(close)
    await talks[1].until(MessageDelta)
    await asyncio.sleep(100)
    with await rooms.host.fanout.follow(talks[0].session_id, 0):
        stats = await rooms.host.stats()
    events = sum([len(await talk.journal()) for talk in talks])
    commits = rooms.host.store.commits()

    assert stats == Stats(
        sessions=5,
        open_sessions=4,
        live_runs=2,
        queued_runs=1,
        streams=1,
        events=events,
        schedules={"active": 0, "paused": 0, "done": 0, "cancelled": 0},
        recalls=0,
        recall_p50_ms=0.0,
        recall_p99_ms=0.0,
        commits=commits.made,
        commit_p50_ms=1.0,
        commit_p99_ms=1.0,
        loop_lag_ms=0.0,
        uptime_s=100.0,
        version="rooms",
        history=rooms.host.store.history,
        draining=False,
        hosts=(
            HostInfo(
                id=1,
                name="",
                version="",
                slots=2,
                live_runs=2,
                draining=False,
                joined_at=timestamp(Micros(EPOCH)),
                renewed_at=timestamp(Micros(EPOCH)),
                lease_left_s=None,
                answers=True,
            ),
        ),
        database_bytes=stats.database_bytes,
    )
    assert commits.events == events


@in_virtual_time
async def test_stats_of_a_draining_host_say_so_and_a_deleted_session_is_not_counted(rooms: Rooms) -> None:
    await rooms.up(agent(moody))
    talk = await rooms.open()
    await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
    await asyncio.sleep(1)
    await rooms.there(rooms.host.drain())
    stats = await rooms.host.stats()

    assert (stats.sessions, stats.open_sessions, stats.events, stats.draining) == (0, 0, 0, True)


@in_virtual_time
async def test_history_and_counts_outlive_the_host_and_its_uptime_does_not(rooms: Rooms) -> None:
    await rooms.up(agent(moody))
    await (await rooms.open()).say("complete")
    await asyncio.sleep(50)
    before = await rooms.host.stats()
    await rooms.stop()
    await rooms.up(agent(moody))
    after = await rooms.host.stats()

    assert (after.history, after.events, after.sessions) == (before.history, before.events, 1)
    assert (before.uptime_s, after.uptime_s) == (50, 0)


@in_virtual_time
async def test_telemetry_counts_every_end_once(rooms: Rooms) -> None:
    short = Policy(deadline_s=5)
    await rooms.up(agent(moody), agent(moody, short, name="short"))
    talk = await rooms.open()
    for text in ("complete", "fail", "complete"):
        await talk.say(text)
    await (await rooms.open("short")).say("wait")
    for text in ("wait", "deaf"):
        receipt = await talk.send(text)
        await talk.stop(InterruptRun(force=True))
        await talk.answer(receipt)
    await asyncio.sleep(120)

    assert rooms.host.telemetry == Telemetry(
        started=6,
        abandoned=1,
        finished=Telemetry().finished.__class__(
            {
                RunState.COMPLETED: 2,
                RunState.FAILED: 1,
                RunState.TIMED_OUT: 1,
                RunState.CANCELLED: 2,
            }
        ),
        requeued=0,
    )


@in_virtual_time
async def test_runs_of_a_dead_host_count_as_requeued(rooms: Rooms) -> None:
    await rooms.up(agent(moody))
    talks: list[Talk] = [await rooms.open() for _ in range(3)]
    for talk in talks:
        await talk.send("wait")
        await talk.until(MessageDelta)
    await talks[0].stop(InterruptRun(force=True))
    await talks[0].until(RunFinished)
    rooms.crash()
    await rooms.up(agent(moody))
    await talks[1].until(MessageDelta)

    assert rooms.host.telemetry.requeued == 2


@in_virtual_time
async def test_catalogue_refuses_an_unknown_agent_and_says_which_there_are(rooms: Rooms) -> None:
    await rooms.up(agent(moody, name="zoe"), agent(moody, Policy(apis=(), deadline_s=9), name="abe"))
    with pytest.raises(TenureError) as refusal:
        await rooms.open("eve")

    assert (refusal.value.code, refusal.value.facts) == (Code.UNKNOWN_AGENT, {"agent": "eve"})
    assert refusal.value.detail == "There is no agent 'eve' on this host. It has: abe, zoe."
    assert [(a.name, a.apis, a.deadline_s) for a in rooms.host.catalogue.agents()] == [
        ("abe", (), 9),
        ("zoe", ("history",), None),
    ]


@pytest.mark.parametrize(
    ("samples", "share", "value"),
    [
        ((), 0.5, 0.0),
        ((3.0,), 0.99, 3.0),
        ((3.0, 1.0, 2.0), 0.5, 2.0),
        (tuple(map(float, range(100))), 0.99, 99.0),
    ],
    ids=["none", "one", "three", "hundred"],
)
def test_percentile_is_a_sample_of_those_there_are(
    samples: tuple[float, ...], share: float, value: float
) -> None:
    assert percentile(samples, share) == value
