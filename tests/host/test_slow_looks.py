"""A store that answers late tells what was so a while ago. What happened meanwhile is never lost."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tenure.core.command import InterruptRun
from tenure.core.event import RunStarted
from tenure.core.grant import Budget, BudgetScope, Policy
from tenure.core.limits import Limits
from tenure.core.output import Output, Spent, Text, Usage, completed
from tenure.errors import Code, TenureError
from tenure.host.fanout import Delivery, Ended, UpToDate
from tenure.ports.runner import RunContext
from tests.host.diary import plan
from tests.host.rooms import ADA, UNHURRIED, Rooms, agent, end, in_virtual_time, said, second, talk_with
from tests.host.test_fanout import burst, caught_up, rename, whole
from tests.host.test_files import blobs, quiet, send_file
from tests.host.test_steering import steer, steered_talk
from tests.host.workshop import TOOLED, Bench, asked, asking

LATE_S = 0.5


async def echo(run: RunContext) -> AsyncIterator[Output]:
    """Says whether it is to stop, and how much waits to steer it."""
    yield Text(f"{run.stopping} {run.steering.pending}")
    yield completed()


# --- streams


@pytest.mark.parametrize("begins_s", [0.0, 0.4, 0.499])
@in_virtual_time
async def test_what_is_committed_while_the_head_is_read_comes_once(rooms: Rooms, begins_s: float) -> None:
    talk = await talk_with(rooms, burst)
    await rename(talk, "before")
    rooms.lane.look_s = LATE_S
    following = asyncio.ensure_future(rooms.host.fanout.follow(talk.session_id, 1))
    await asyncio.sleep(begins_s)
    await rename(talk, "while it looks")
    await rename(talk, "and again")
    with await following as follower:
        envelopes, steps = await caught_up(follower)
        await rename(talk, "after")
        last = await follower.next()

    rooms.lane.look_s = 0.0
    assert isinstance(last, Delivery)
    assert [*envelopes, *last.envelopes()] == (await whole(talk))[1:]
    assert steps.count(UpToDate(4)) == 1


@in_virtual_time
async def test_a_cursor_at_what_is_committed_while_the_head_is_read_is_taken(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst)
    rooms.lane.look_s = LATE_S
    following = asyncio.ensure_future(rooms.host.fanout.follow(talk.session_id, 2))
    await asyncio.sleep(0.1)
    await rename(talk, "while it looks")
    with await following as follower:
        assert await follower.next() == UpToDate(2)


@in_virtual_time
async def test_several_who_begin_to_follow_at_once_share_one_hub_and_miss_nothing(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst)
    rooms.lane.look_s = LATE_S
    follow = partial(rooms.host.fanout.follow, talk.session_id)
    first = asyncio.ensure_future(follow(0))
    refused = asyncio.ensure_future(follow(9))
    await asyncio.sleep(0.2)
    await rename(talk, "while they look")
    second_ = asyncio.ensure_future(follow(0))
    with pytest.raises(TenureError) as caught:
        await refused
    with await first as one, await second_ as two:
        seen = [(await caught_up(follower))[0] for follower in (one, two)]

    assert (caught.value.code, caught.value.facts) == (Code.CURSOR_AHEAD, {"head_seq": 2})
    assert seen[0] == seen[1]
    assert (len(seen[0]), rooms.host.fanout.streams) == (2, 0)


@in_virtual_time
async def test_who_begins_to_follow_a_session_that_is_deleted_meanwhile_is_told_so(rooms: Rooms) -> None:
    talk = await talk_with(rooms, burst)
    await rename(talk, "before")
    await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
    with await rooms.host.fanout.follow(talk.session_id, 2) as follower:
        assert await follower.next() == Ended("deleted")


# --- runs


@pytest.mark.parametrize("looks", [0.2, 2.2, 3.2])
@in_virtual_time
async def test_a_stop_while_a_run_is_being_begun_reaches_its_runner(rooms: Rooms, looks: float) -> None:
    talk = await talk_with(rooms, echo)
    rooms.lane.look_s = LATE_S
    receipt = await talk.send()
    await asyncio.sleep(looks * LATE_S)
    await talk.stop(InterruptRun())
    events = await talk.answer(receipt)

    assert (said(events), end(events)) == ("True 0", ("completed", ""))


@in_virtual_time
async def test_steering_that_is_withdrawn_while_a_run_is_being_begun_is_not_offered(rooms: Rooms) -> None:
    talk = await steered_talk(rooms, echo)
    rooms.lane.look_s = LATE_S
    receipt = await talk.send()
    sent = await talk.send(steer("forget it"))
    kept = await talk.send(steer("but not this"))
    # Two looks at its state and one at how it stands come before the one at what waits to steer it.
    await asyncio.sleep(3.4 * LATE_S)
    withdrawing = rooms.host.commands.withdraw_message(talk.by, talk.session_id, sent.message_id)
    await rooms.there(withdrawing)
    events = await talk.answer(receipt)

    assert (sent.disposition, kept.disposition) == ("steered", "steered")
    assert said(events) == "False 1"


@in_virtual_time
async def test_a_run_that_is_over_before_it_was_begun_is_never_called(rooms: Rooms) -> None:
    called: list[str] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        called.append(run.run_id)
        yield completed()

    talk = await talk_with(rooms, work)
    rooms.lane.look_s = LATE_S
    await talk.send()
    await rooms.there(rooms.host.commands.delete_session(ADA, talk.session_id))
    await asyncio.sleep(10)

    assert (called, rooms.host.executing) == ([], 0)


@in_virtual_time
async def test_a_run_stops_though_the_store_tells_late_that_its_budget_is_spent(rooms: Rooms) -> None:
    called: list[str] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        called.append(run.message.text)
        if run.message.text == "spend":
            yield Spent(Usage(model="m", input_tokens=100))
            yield completed()
        yield Text("waiting")
        await run.stopped()
        yield completed()

    budget = Budget(tokens=100, scope=BudgetScope.USER_DAY)
    await rooms.up(agent(work, Policy(deadline_s=None, budget=budget)))
    talk, other = await rooms.open(), await rooms.open()
    rooms.lane.look_s = LATE_S
    idle = await talk.send("wait")
    await other.say("spend")
    last = await other.say("too late")

    spent = ("failed", "budget_exhausted")
    assert (end(await talk.answer(idle)), end(last), called) == (spent, spent, ["wait", "spend"])


# --- files


@in_virtual_time
async def test_bytes_that_are_uploaded_while_the_store_says_that_nothing_names_them_stay(
    rooms: Rooms,
) -> None:
    talk = await talk_with(rooms, quiet)
    old = await send_file(talk, "old")
    rooms.lane.look_s = LATE_S
    deleting = asyncio.ensure_future(rooms.there(rooms.host.files.delete(ADA, talk.session_id, old.id)))
    await asyncio.sleep(0.1)
    uploading = asyncio.ensure_future(send_file(talk, "new"))
    await deleting
    new = await uploading
    there = await blobs(talk)
    await rooms.there(rooms.host.files.delete(ADA, talk.session_id, new.id))

    assert (there, await blobs(talk)) == ([new.sha256], [])


# --- timers


@in_virtual_time
async def test_a_recall_that_is_made_while_the_store_tells_what_comes_first_is_on_time(rooms: Rooms) -> None:
    await rooms.up(agent(echo, UNHURRIED))
    talk = await rooms.open()
    await plan(talk, "late", in_s=1_000)
    rooms.lane.look_s = LATE_S
    making = asyncio.ensure_future(plan(talk, "soon", in_s=2))
    await asyncio.sleep(0.6 * LATE_S)
    rooms.host.recalls.look()
    made = await making
    await asyncio.sleep(5)

    assert [(told.state, told.reason) for told in await made.told()] == [("admitted", None)]
    assert [second(e.at) // 1 for e in await talk.journal() if isinstance(e.event, RunStarted)] == [2]


@in_virtual_time
async def test_an_approval_that_is_asked_for_while_the_store_tells_what_expires_first_expires_too(
    rooms: Rooms,
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(float(run.message.text))
        try:
            await run.tools.call("mail", {})
        except TenureError as refusal:
            yield Text(f"{refusal.code}")
        yield completed()

    rooms.tools = Bench(asking())
    await rooms.up(agent(work, TOOLED), limits=Limits(approval_ttl_s=60))
    first, other = await rooms.open(), await rooms.open()
    one, two = await first.send("0"), await other.send("60.2")
    await asked(first)
    rooms.lane.look_s = LATE_S
    events = [await first.answer(one), await other.answer(two)]

    assert [said(each) for each in events] == ["denied", "denied"]
    assert [second(each[-1].at) // 1 for each in events] == [60, 120]


# --- a store that is away


@in_virtual_time
async def test_a_run_whose_host_cannot_reach_the_store_begins_when_it_is_back(rooms: Rooms) -> None:
    await rooms.up(agent(echo))
    talk = await rooms.open()
    rooms.lane.away = True
    receipt = await talk.send()
    await asyncio.sleep(5)
    rooms.lane.away = False
    events = await talk.answer(receipt)

    assert said(events) == "False 0"
    assert second(events[-1].at) >= 5
