"""Close, reopen and delete in every state that a session can be in: what happens, event by event."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from tenure.core.command import CloseSession
from tenure.core.entry import Recorded
from tenure.core.event import MessageDelta, RunFinished, SessionClosed, ToolCallStarted
from tenure.core.grant import Budget, BudgetScope, Policy
from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros
from tenure.core.output import Output, Spent, Text, Usage, completed
from tenure.core.view import MessageReceipt, UsageDay
from tenure.errors import Code, TenureError
from tenure.host.fanout import Delivery, Ended
from tenure.ports.limits import UsageFilter
from tenure.ports.runner import RunContext
from tenure.ports.store import SessionFilter
from tenure.ports.tool import ToolCall
from tests.host.rooms import (
    ADA,
    BEN,
    CY,
    PATIENCE_S,
    Rooms,
    Talk,
    agent,
    end,
    in_virtual_time,
    recorded,
    said,
)
from tests.host.workshop import TOOLED, Bench, FakeTool, asked, asking
from tests.simulation.world import SimClock

ANY = SessionFilter(None, None)
Put = Callable[[Talk], Awaitable[None]]


async def work(run: RunContext) -> AsyncIterator[Output]:
    """Speaks, and then does as its message says: returns, waits to be stopped, asks, or won't stop."""
    yield Text("here ")
    match run.message.text:
        case "stay":
            await run.stopped()
        case "resist":
            await run.stopped()
            await asyncio.Event().wait()
        case "ask":
            await run.tools.call("mail", {})
        case "hold":
            await run.tools.call("hold", {})
        case _:
            pass
    yield completed()


# --- the states


async def idle(talk: Talk) -> None:
    await talk.say("go")


async def running(talk: Talk) -> None:
    await talk.send("stay")
    await talk.until(MessageDelta)


async def waiting_messages(talk: Talk) -> None:
    await running(talk)
    await talk.send("next")


async def interrupting(talk: Talk) -> None:
    await talk.send("resist")
    await talk.until(MessageDelta)
    await talk.stop()


async def held_queue(talk: Talk) -> None:
    await waiting_messages(talk)
    await talk.stop()
    await talk.until(RunFinished)


async def queued_for_a_slot(talk: Talk) -> None:
    other = await talk.rooms.open()
    await running(other)
    await talk.send("go")


async def on_approval(talk: Talk) -> None:
    await talk.send("ask")
    await asked(talk)


async def closed(talk: Talk) -> None:
    await close(talk)


async def deleted(talk: Talk) -> None:
    await delete(talk)


# --- the commands


async def close(talk: Talk) -> None:
    commands = talk.rooms.host.commands
    await talk.rooms.there(commands.close_session(ADA, talk.session_id, CloseSession(), None))


async def reopen(talk: Talk) -> None:
    await talk.rooms.there(talk.rooms.host.commands.reopen_session(ADA, talk.session_id, None))


async def delete(talk: Talk) -> None:
    await talk.rooms.there(talk.rooms.host.commands.delete_session(ADA, talk.session_id))


class Row(NamedTuple):
    """What a command does in a state: the facts that follow, and what the session is then."""

    state: Put
    command: Put
    follows: tuple[str, ...]
    status: str | Code


WITHDRAWN, CLOSED, GONE, BACK = "MessageWithdrawn", "SessionClosed", "SessionDeleted", "SessionReopened"
CANCELLED = ("MessageCompleted", "RunFinished")
DENIED = ("ApprovalResolved", "ToolCallCompleted", "RunFinished")

ROWS = [
    Row(idle, close, (CLOSED,), "closed"),
    Row(idle, reopen, (), "idle"),
    Row(idle, delete, (GONE,), Code.NOT_FOUND),
    Row(running, close, ("RunInterrupting", CLOSED, *CANCELLED), "closed"),
    Row(running, reopen, (), "running"),
    Row(running, delete, (*CANCELLED, GONE), Code.NOT_FOUND),
    Row(waiting_messages, close, (WITHDRAWN, "RunInterrupting", CLOSED, *CANCELLED), "closed"),
    Row(waiting_messages, reopen, (), "running"),
    Row(waiting_messages, delete, (WITHDRAWN, *CANCELLED, GONE), Code.NOT_FOUND),
    Row(interrupting, close, (CLOSED, *CANCELLED), "closed"),
    Row(interrupting, reopen, (), "running"),
    Row(interrupting, delete, (*CANCELLED, GONE), Code.NOT_FOUND),
    Row(held_queue, close, (WITHDRAWN, "QueueReleased", CLOSED), "closed"),
    Row(held_queue, reopen, (), "idle"),
    Row(held_queue, delete, (WITHDRAWN, "QueueReleased", GONE), Code.NOT_FOUND),
    Row(queued_for_a_slot, close, (WITHDRAWN, "RunFinished", CLOSED), "closed"),
    Row(queued_for_a_slot, reopen, (), "running"),
    Row(queued_for_a_slot, delete, (WITHDRAWN, "RunFinished", GONE), Code.NOT_FOUND),
    Row(on_approval, close, (*DENIED, CLOSED), "closed"),
    Row(on_approval, reopen, (), "waiting"),
    Row(on_approval, delete, (*DENIED, GONE), Code.NOT_FOUND),
    Row(closed, close, (), "closed"),
    Row(closed, reopen, (BACK,), "idle"),
    Row(closed, delete, (GONE,), Code.NOT_FOUND),
    Row(deleted, close, (), Code.NOT_FOUND),
    Row(deleted, reopen, (), Code.NOT_FOUND),
    Row(deleted, delete, (), Code.NOT_FOUND),
]


def named(row: Row) -> str:
    """For reports."""
    return f"{row.command.__name__} {row.state.__name__}"


async def hosted(rooms: Rooms, *tools: FakeTool, limits: Limits | None = None) -> Talk:
    """A session with the agent of these tests."""
    rooms.tools = Bench(*tools)
    await rooms.up(agent(work, TOOLED), limits=limits)
    return await rooms.open()


async def fact(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(int(PATIENCE_S)):
        if holds():
            return
        await asyncio.sleep(1)
    raise AssertionError("It never held.")


@pytest.mark.sources("M10", "M12", "M15", "M16", "M19", "D-M5", "D-M10")
@pytest.mark.parametrize("row", ROWS, ids=named)
@in_virtual_time
async def test_a_command_does_in_each_state_exactly_this(rooms: Rooms, row: Row) -> None:
    limits = Limits(live_runs=1) if row.state is queued_for_a_slot else None
    talk = await hosted(rooms, asking("mail"), limits=limits)
    await row.state(talk)
    head = await rooms.host.store.head(talk.session_id)
    if row.state is deleted:
        with pytest.raises(TenureError) as refused:
            await row.command(talk)
        assert refused.value.code is row.status
        return
    with await rooms.host.fanout.follow(talk.session_id, head) as follower:
        await row.command(talk)
        seen: list[Recorded] = []
        while len(seen) < len(row.follows):
            step = await follower.next()
            assert not isinstance(step, Ended), (step, [type(e.event).__name__ for e in seen])
            seen += recorded(step) if isinstance(step, Delivery) else []
        ended = await follower.next() if row.command is delete else None

    assert tuple(type(e.event).__name__ for e in seen) == row.follows
    info = await rooms.host.store.session(talk.session_id)
    if row.command is delete:
        assert (ended, info) == (Ended("deleted"), None)
    else:
        assert info is not None and info.status == row.status
        listed = [s.id for s in (await rooms.host.store.sessions(ANY, None, 100)).data]
        assert talk.session_id in listed


# --- what deletion does to a live run


@pytest.mark.sources("M16")
@in_virtual_time
async def test_deleting_a_session_stops_its_runner_and_the_call_it_is_in_and_frees_its_folder(
    rooms: Rooms,
) -> None:
    ended: list[str] = []

    async def hold(call: ToolCall) -> object:
        (call.folder / "left.txt").write_text("x")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(call.session_id)
        return None

    talk = await hosted(rooms, FakeTool("hold", hold))
    await talk.send("hold")
    await talk.until(ToolCallStarted)
    await fact(lambda: bool(list(rooms.disk.folders.folder(talk.session_id).iterdir())))
    folder = rooms.disk.folders.folder(talk.session_id)
    await delete(talk)
    await fact(lambda: rooms.host.executing == 0 and not folder.exists())

    assert ended == [talk.session_id]
    assert await rooms.host.store.session(talk.session_id) is None


# --- closing waits for nobody


@pytest.mark.sources("A2", "M15", "D-M2", "D-M3", "D-M5")
@in_virtual_time
async def test_closing_waits_for_no_run_frees_the_place_and_disturbs_nobody(rooms: Rooms) -> None:
    talk = await hosted(rooms, limits=Limits(open_sessions_per_user=1))
    await interrupting(talk)
    began = rooms.loop.time()
    head = await rooms.host.store.head(talk.session_id)
    await close(talk)
    bens = await rooms.open(by=BEN)
    again = await rooms.open()
    events = await bens.say("go")
    shown = await talk.until(SessionClosed, head)

    assert rooms.loop.time() == began
    assert (shown.seq, type(events[-1].event)) == (head + 1, RunFinished)
    assert again.session_id != talk.session_id
    with pytest.raises(TenureError) as refused:
        await talk.send("late")
    assert refused.value.code is Code.SESSION_CLOSED
    await talk.until(RunFinished)
    with pytest.raises(TenureError):
        await rooms.open()


@pytest.mark.sources("A3", "M12", "D-M4")
@in_virtual_time
async def test_a_message_sent_at_the_instant_of_closing_has_an_outcome_or_was_refused(rooms: Rooms) -> None:
    talk = await hosted(rooms)
    tried = await asyncio.gather(
        *(talk.send("go") for _ in range(10)),
        close(talk),
        *(talk.send("go") for _ in range(10)),
        return_exceptions=True,
    )
    receipts = [r for r in tried if isinstance(r, MessageReceipt)]
    refused = {r.code for r in tried if isinstance(r, TenureError)}
    await fact(lambda: rooms.host.executing == 0)
    messages = [await rooms.host.store.message(talk.session_id, r.message_id) for r in receipts]
    states = {message.state for message in messages if message is not None}

    assert refused <= {Code.SESSION_CLOSED}
    assert len(receipts) + sum(isinstance(r, TenureError) for r in tried) == 20
    assert len(messages) == len(receipts) and None not in messages
    assert states <= {"settled", "withdrawn"}


# --- the wall clock


class Stepped(SimClock):
    """A wall clock that somebody sets forward or back."""

    step_s = 0.0

    def now(self) -> Micros:
        return Micros(super().now() + round(self.step_s * SECOND))


@pytest.mark.sources("A13", "D-R5")
@pytest.mark.parametrize("hours", [-1, 1])
@in_virtual_time
async def test_a_step_of_the_wall_clock_ends_no_session_loses_no_spending_and_retires_nothing(
    rooms: Rooms, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def spends(run: RunContext) -> AsyncIterator[Output]:
        yield Spent(Usage(model="m", input_tokens=40))
        yield Text("before ")
        await asyncio.sleep(20)
        yield Spent(Usage(model="m", input_tokens=40))
        yield Text("after ")
        yield completed()

    monkeypatch.setattr("tests.host.rooms.SimClock", Stepped)
    monkeypatch.setattr(Stepped, "step_s", 0.0)
    budgets = {scope: Budget(tokens=100, scope=scope) for scope in BudgetScope}
    policies = {scope: Policy(deadline_s=60.0, idle_s=30.0, budget=b) for scope, b in budgets.items()}
    await rooms.up(*(agent(spends, policy, name=scope) for scope, policy in policies.items()))
    talks = [
        (await rooms.open(scope, by=who)) for scope, who in zip(BudgetScope, (ADA, BEN, CY), strict=True)
    ]
    receipts = [await talk.send() for talk in talks]
    for talk in talks:
        await talk.until(MessageDelta)
    monkeypatch.setattr(Stepped, "step_s", hours * 3_600.0)
    await rooms.there(rooms.host.store.purge(rooms.host.clock.now()))
    runs = [await talk.answer(receipt) for talk, receipt in zip(talks, receipts, strict=True)]
    booked = await rooms.host.store.limits.days(UsageFilter(None, None), None, 100)

    assert [(said(events), end(events)) for events in runs] == [("before after ", ("completed", ""))] * 3
    assert [(day.user, day.input_tokens, day.runs) for day in merged(booked.data)] == [
        ("ada", 80, 1),
        ("ben", 80, 1),
        ("cy", 80, 1),
    ]


def merged(days: list[UsageDay]) -> list[UsageDay]:
    """One row for each user, whatever day a stepped clock put it on."""
    users: dict[str, UsageDay] = {}
    for day in sorted(days, key=lambda one: one.user):
        known = users.get(day.user)
        users[day.user] = (
            day
            if known is None
            else replace(
                known, input_tokens=known.input_tokens + day.input_tokens, runs=known.runs + day.runs
            )
        )
    return list(users.values())
