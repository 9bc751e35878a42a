"""Runs: their times, their defaults, and that neither clocks, nor long work, nor a second loop end them."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

import tenure
from tenure.core.event import RunInterrupting
from tenure.core.grant import Descriptor, Policy, StatePolicy
from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros, micros
from tenure.core.output import Output, Said, Spent, Text, Usage, completed
from tenure.core.view import RunInfo
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tenure.testing import hosting
from tests.host.rooms import (
    ADA,
    BEN,
    CY,
    UNHURRIED,
    Rooms,
    Talk,
    agent,
    end,
    in_virtual_time,
    said,
    second,
    talk_with,
)
from tests.simulation.loop import SimLoop
from tests.simulation.world import SimClock

HOUR = 3_600.0


async def nap(run: RunContext) -> AsyncIterator[Output]:
    """Works for as many seconds as the message says."""
    await asyncio.sleep(float(run.message.text))
    yield Text("done")
    yield completed()


async def hourly(run: RunContext) -> AsyncIterator[Output]:
    """Says a word each hour, as many as the message says."""
    for _ in range(int(run.message.text)):
        await asyncio.sleep(HOUR)
        yield Text("still at it ")
    yield completed()


def times(run: RunInfo) -> tuple[float | None, ...]:
    """When a run was queued, started and finished, in seconds since the test began."""
    texts = (run.queued_at, run.started_at, run.finished_at)
    return tuple(None if text is None else second(micros(text)) for text in texts)


@pytest.mark.sources("R02")
@in_virtual_time
async def test_run_tells_to_the_microsecond_when_it_was_queued_started_and_finished(rooms: Rooms) -> None:
    await rooms.up(agent(nap), limits=Limits(live_runs=1))
    first, second_ = await rooms.open(), await rooms.open(by=BEN)
    await asyncio.sleep(1.015625)
    one = await first.send("10.25")
    two = await second_.send("5")
    assert (times(await first.run(one)), times(await second_.run(two))) == (
        (1.015625, 1.015625, None),
        (1.015625, None, None),
    )
    await second_.answer(two)

    assert times(await first.run(one)) == (1.015625, 1.015625, 11.265625)
    assert times(await second_.run(two)) == (1.015625, 11.265625, 16.265625)


@pytest.mark.sources("R06")
@in_virtual_time
async def test_agent_without_a_policy_gets_the_transcript_two_scopes_of_state_and_nothing_else(
    rooms: Rooms,
) -> None:
    await rooms.up(agent(nap, Policy()))
    talk = await rooms.open()
    receipt = await talk.send("1")
    await talk.answer(receipt)
    grant, session = (await talk.run(receipt)).grant, await rooms.host.store.session(talk.session_id)

    assert (grant.apis, grant.tools, grant.resources, grant.storage) == (("history",), (), {}, ())
    assert grant.state == StatePolicy(enabled=True, scopes=("conversation", "actor"))
    assert session is not None
    assert session.conversation is None


@pytest.mark.sources("D-R6")
@in_virtual_time
async def test_run_that_works_for_a_day_is_left_alone(rooms: Rooms) -> None:
    talk = await talk_with(rooms, hourly)
    receipt = await talk.send("24")
    await asyncio.sleep(23.5 * HOUR)
    events = await talk.answer(receipt)

    assert (said(events), end(events)) == ("still at it " * 24, ("completed", ""))
    assert [type(event.event).__name__ for event in events].count("RunRetried") == 0


class Stepped(SimClock):
    """A clock whose wall time an operator, or a time server, sets while the host runs."""

    step_s = 0.0

    def __init__(self, loop: SimLoop, skew: int) -> None:
        super().__init__(loop, skew)

    def now(self) -> Micros:
        return Micros(super().now() + round(Stepped.step_s * SECOND))


@pytest.mark.sources("A13", "D-R5", "D-O18")
@pytest.mark.parametrize("step_s", [HOUR, -HOUR, 3_700.0, 86_400.0 * 365])
@in_virtual_time
async def test_step_of_the_wall_clock_ends_no_run_and_moves_no_limit(
    rooms: Rooms, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talkative(run: RunContext) -> AsyncIterator[Output]:
        while not run.stopping:
            yield Text(".")
            await asyncio.sleep(1)

    monkeypatch.setattr("tests.host.rooms.SimClock", Stepped)
    monkeypatch.setattr(Stepped, "step_s", 0.0)
    limited = Policy(deadline_s=30, idle_s=20)
    await rooms.up(agent(hourly, UNHURRIED, name="long"), agent(talkative, limited, name="limited"))
    long, short = await rooms.open("long"), await rooms.open("limited")
    begun, waiting = await long.send("3"), await long.send("1")
    bounded = await short.send()
    await asyncio.sleep(10)
    monkeypatch.setattr(Stepped, "step_s", step_s)
    asked = await short.until(RunInterrupting)
    asked_at = rooms.loop.time()
    await asyncio.sleep(3.5 * HOUR)
    one, two = await long.answer(begun), await long.answer(waiting)

    assert (asked_at, asked.event) == (30, RunInterrupting(by="deadline", reason="deadline_exceeded"))
    assert end(await short.answer(bounded)) == ("timed_out", "deadline_exceeded")
    assert (said(one), end(one)) == ("still at it " * 3, ("completed", ""))
    assert (said(two), end(two)) == ("still at it ", ("completed", ""))
    assert rooms.loop.time() == 4 * HOUR


@tenure.agent("echo")
async def echo(run: tenure.Run) -> AsyncIterator[str]:
    """Says the message again."""
    yield run.message.text


@pytest.mark.sources("D-R7", "M20")
def test_two_hosts_in_two_event_loops_of_one_process_work_side_by_side() -> None:
    both, answers = threading.Barrier(2, timeout=20), dict[str, list[tuple[str, str]]]()

    async def talk(name: str) -> None:
        async with hosting(echo) as host:
            session = await host.open("echo")
            await asyncio.to_thread(both.wait)
            answers[name] = [(said(await session.say(f"{name} {n}")), name) for n in range(20)]
            await asyncio.to_thread(both.wait)

    def alone(name: str) -> None:
        asyncio.run(talk(name))

    threads = [threading.Thread(target=alone, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert answers == {name: [(f"{name} {n}", name) for n in range(20)] for name in ("one", "two")}


class Counting:
    """A runner that counts what is asked of it."""

    descriptor = Descriptor(runner="counting")

    def __init__(self) -> None:
        self.runs = 0

    def run(self, context: RunContext) -> AsyncIterator[Output]:
        """One attempt."""
        self.runs += 1
        return nap(context)


@pytest.mark.sources("M06", "M07")
@in_virtual_time
async def test_opening_sessions_constructs_nothing_and_starts_nothing(rooms: Rooms) -> None:
    runner = Counting()
    await rooms.up(Agent(name="agent", runner=runner, policy=UNHURRIED))
    tasks = rooms.host.tasks
    talks = [await rooms.open() for _ in range(100)]

    assert (runner.runs, rooms.host.tasks, rooms.host.executing) == (0, tasks, 0)
    await talks[50].say("1")
    assert runner.runs == 1


@pytest.mark.sources("N11", "M08")
@in_virtual_time
async def test_one_runner_serves_runs_of_many_people_at_once_each_in_its_own_context(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for _ in range(3):
            await asyncio.sleep(1)
            yield Text(f"{run.message.user}:{run.message.text} ")
        yield completed()

    await rooms.up(agent(work))
    talks = [await rooms.open(by=(ADA, BEN, CY)[number % 3]) for number in range(9)]
    receipts = [await talk.send(f"m{number}") for number, talk in enumerate(talks)]
    answers = [said(await talk.answer(receipt)) for talk, receipt in zip(talks, receipts, strict=True)]

    assert rooms.loop.time() == 3
    assert answers == [f"{talk.by.user}:m{number} " * 3 for number, talk in enumerate(talks)]


@pytest.mark.sources("D-N5")
@in_virtual_time
async def test_end_of_a_runner_that_lingers_leaves_the_status_to_the_run_that_is_live(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text(run.message.text)
        if run.message.text == "second":
            await asyncio.sleep(30)
        yield completed()
        await asyncio.sleep(3)  # The first one lingers for a while after its verdict.

    talk = await talk_with(rooms, work)
    await talk.say("first")
    live = await talk.send("second")
    seen: list[tuple[str, str | None]] = []
    for _ in range(10):
        await asyncio.sleep(1)
        seen.append(await status_of(talk))

    assert seen == [("running", live.run_id)] * 10
    await talk.answer(live)
    assert await status_of(talk) == ("idle", None)


async def status_of(talk: Talk) -> tuple[str, str | None]:
    """What a session says of itself, and its live run."""
    session = await talk.rooms.host.store.session(talk.session_id)
    assert session is not None
    return session.status, session.run_id


@pytest.mark.sources("O17", "O22")
@in_virtual_time
async def test_what_a_run_spent_before_it_failed_is_booked(rooms: Rooms) -> None:
    spent = Usage(model="m", input_tokens=3, output_tokens=5, cost=None)

    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Spent(spent)
        raise RuntimeError("out of ink")

    talk = await talk_with(rooms, work)
    receipt = await talk.send()

    assert end(await talk.answer(receipt)) == ("failed", "RuntimeError: out of ink")
    assert (await talk.run(receipt)).usage == (spent,)


@pytest.mark.sources("O18", "D-O9")
@pytest.mark.parametrize("ending", ["completed", "failed", "cancelled"])
@in_virtual_time
async def test_every_message_of_a_run_reaches_the_transcript_however_it_ends(
    rooms: Rooms, ending: str
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Said("First.")
        yield Said("Second.")
        yield Text("Third")
        match ending:
            case "completed":
                yield completed()
            case "failed":
                raise RuntimeError("no more")
            case _:
                await run.stopped()

    talk = await talk_with(rooms, work)
    receipt = await talk.send()
    await asyncio.sleep(1)
    if ending == "cancelled":
        await talk.stop()
    assert end(await talk.answer(receipt))[0] == ending

    assert await talk.lines() == [
        ("user", "go", "settled"),
        ("assistant", "First.", "completed"),
        ("assistant", "Second.", "completed"),
        ("assistant", "Third", "completed" if ending == "completed" else "partial"),
    ]
