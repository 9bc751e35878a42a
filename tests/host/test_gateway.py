"""The run gateway: whose token opens which run, and what becomes of calls whose asker left."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    MessageDelta,
    RunFinished,
    RunResumed,
    RunRetried,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.output import Output, Text
from tenure.errors import Code, TenureError
from tenure.host.gateway import Gateway
from tenure.host.remote_calls import MOST_CALLS
from tenure.ports.runner import GatewayAccess, RunContext
from tenure.ports.tool import ToolCall
from tests.host.rooms import BEN, Rooms, Talk, agent, facts, in_virtual_time
from tests.host.workshop import TOOLED, Bench, FakeTool, asked, asking, decide

BASE = "http://127.0.0.1:8321"


async def until_stopped(run: RunContext) -> AsyncIterator[Output]:
    """Live until somebody stops the run."""
    yield Text("here ")
    await run.stopped()


async def a_live_run(rooms: Rooms, *tools: FakeTool) -> Talk:
    """A session whose run is live, and may call these tools."""
    rooms.tools = Bench(*tools)
    await rooms.up(agent(until_stopped, TOOLED))
    rooms.host.gateway.announce(BASE + "/")
    talk = await rooms.open()
    await began(talk)
    return talk


async def began(talk: Talk) -> None:
    """Start a run, and wait until its runner is at work."""
    await talk.send()
    await talk.until(MessageDelta)


def access(rooms: Rooms, session_id: str) -> GatewayAccess:
    """What the run of a session is given."""
    found = rooms.host.gateway.access(session_id)
    assert found is not None
    return found


def refusal(gateway: Gateway, token: str) -> Code:
    """Why a token is turned away."""
    with pytest.raises(TenureError) as refused:
        gateway.enter(token)
    assert token not in str(refused.value)
    return refused.value.code


@in_virtual_time
async def test_a_token_opens_the_run_of_its_session_that_is_live_now(rooms: Rooms) -> None:
    talk = await a_live_run(rooms)
    token = access(rooms, talk.session_id).token
    first = rooms.host.gateway.enter(token).run_id
    await talk.stop()
    await talk.until(RunFinished)
    between = refusal(rooms.host.gateway, token)
    await talk.send()
    await talk.until(lambda e: isinstance(e.event, MessageDelta) and e.run_id != first)
    second = rooms.host.gateway.enter(token).run_id

    assert access(rooms, talk.session_id) == GatewayAccess(f"{BASE}/mcp/run", token)
    assert (between, first == second) == (Code.FORBIDDEN, False)
    await talk.stop()


@in_virtual_time
async def test_two_sessions_have_two_tokens_and_neither_opens_the_other(rooms: Rooms) -> None:
    talk = await a_live_run(rooms)
    other = await rooms.open(by=BEN)
    await began(other)
    gateway = rooms.host.gateway
    mine, theirs = access(rooms, talk.session_id).token, access(rooms, other.session_id).token
    (name, _), (_, seal) = mine.split("."), theirs.split(".")

    assert gateway.enter(mine).session_id == talk.session_id
    assert gateway.enter(theirs).session_id == other.session_id
    assert refusal(gateway, f"{name}.{seal}") is Code.UNAUTHENTICATED
    await talk.stop()
    await other.stop()


@in_virtual_time
async def test_a_token_with_anything_changed_is_unknown(rooms: Rooms) -> None:
    talk = await a_live_run(rooms)
    token = access(rooms, talk.session_id).token
    changed = [token[:-1], token + "A", token.upper(), "é" + token, token.removeprefix("tnr_run_")[::-1]]

    assert [refusal(rooms.host.gateway, one) for one in changed] == [Code.UNAUTHENTICATED] * len(changed)
    await talk.stop()


@pytest.mark.parametrize("token", ["", "x", "tnr_run_", "tnr_run_.", "tnr_run_" + "0" * 32, "\udcff", "\x00"])
@in_virtual_time
async def test_what_is_no_token_is_unknown(rooms: Rooms, token: str) -> None:
    await a_live_run(rooms)

    with pytest.raises(TenureError) as refused:
        rooms.host.gateway.enter(token)
    assert refused.value.code is Code.UNAUTHENTICATED


@in_virtual_time
async def test_a_token_dies_with_the_life_of_its_host(rooms: Rooms) -> None:
    talk = await a_live_run(rooms)
    token = access(rooms, talk.session_id).token
    rooms.crash()
    await rooms.up(agent(until_stopped, TOOLED))
    rooms.host.gateway.announce(BASE)
    await talk.until(RunRetried)

    assert refusal(rooms.host.gateway, token) is Code.UNAUTHENTICATED
    await talk.stop()
    await talk.until(RunFinished)


@in_virtual_time
async def test_nobody_is_told_of_a_gateway_that_isnt_there(rooms: Rooms) -> None:
    await rooms.up(agent(until_stopped, TOOLED))
    unannounced = rooms.host.gateway.access("ses_" + "0" * 32)
    rooms.host.gateway.withdraw()
    rooms.host.gateway.announce(BASE)

    assert (unannounced, rooms.host.gateway.access("ses_" + "0" * 32)) == (None, None)


def test_an_access_doesnt_show_its_token() -> None:
    access = GatewayAccess("http://h/mcp/run", "tnr_run_secret")

    assert [repr(access), f"{access}", f"{[access]}"] == [
        "GatewayAccess(url='http://h/mcp/run')",
        "GatewayAccess(url='http://h/mcp/run')",
        "[GatewayAccess(url='http://h/mcp/run')]",
    ]


# calls


@in_virtual_time
async def test_a_call_whose_asker_left_goes_on_and_is_answered_to_whoever_asks_the_same(rooms: Rooms) -> None:
    mail = asking("mail")
    talk = await a_live_run(rooms, mail)
    attempt = rooms.host.gateway.enter(access(rooms, talk.session_id).token)

    async def twice() -> object:
        first = attempt.remote.begin("mail", attempt.tools.call("mail", {"to": "eve"}))
        question = await asked(talk)
        attempt.remote.leave("mail", first)
        await decide(talk, question.approval_id)
        second = attempt.remote.begin("mail", attempt.tools.call("mail", {"to": "eve"}))
        answer = await second
        attempt.remote.heard(second)
        return answer

    answer = await rooms.there(twice())
    events = facts(await talk.journal())

    assert (answer, mail.made) == ({"given": {"to": "eve"}}, [{"to": "eve"}])
    assert sum(isinstance(event, ApprovalRequested) for event in events) == 1
    await talk.stop()


@in_virtual_time
async def test_two_askers_of_the_same_get_a_call_each(rooms: Rooms) -> None:
    look = FakeTool("look")
    talk = await a_live_run(rooms, look)
    attempt = rooms.host.gateway.enter(access(rooms, talk.session_id).token)

    async def both() -> None:
        tasks = [attempt.remote.begin("look", attempt.tools.call("look", {})) for _ in range(2)]
        await asyncio.gather(*tasks)

    await rooms.there(both())

    assert look.made == [{}, {}]
    await talk.stop()


@in_virtual_time
async def test_calls_end_with_their_run_and_none_begins_after_it(rooms: Rooms) -> None:
    async def endless(call: ToolCall) -> object:
        await asyncio.Event().wait()
        return None

    slow = FakeTool("slow", endless)
    talk = await a_live_run(rooms, slow)
    attempt = rooms.host.gateway.enter(access(rooms, talk.session_id).token)

    async def outlive() -> tuple[bool, Code]:
        call = attempt.remote.begin("slow", attempt.tools.call("slow", {}))
        await slow.entered.wait()
        await talk.stop()
        await asyncio.wait({call})
        try:
            attempt.remote.begin("slow", attempt.tools.call("slow", {}))
        except TenureError as refused:
            return call.cancelled(), refused.code
        raise AssertionError("a call began after the run")

    outcome = await rooms.there(outlive())
    await talk.until(RunFinished)
    calls = ToolCallStarted | ToolCallCompleted
    started, ended = [e for e in facts(await talk.journal()) if isinstance(e, calls)]

    assert outcome == (True, Code.NOT_RUNNING)
    assert isinstance(started, ToolCallStarted) and isinstance(ended, ToolCallCompleted)
    assert (ended.call_id, ended.status) == (started.call_id, "unknown")


@in_virtual_time
async def test_a_stop_withdraws_the_approval_that_a_remote_call_waits_for(rooms: Rooms) -> None:
    mail = asking("mail")
    talk = await a_live_run(rooms, mail)
    attempt = rooms.host.gateway.enter(access(rooms, talk.session_id).token)

    async def stopped() -> bool:
        call = attempt.remote.begin("mail", attempt.tools.call("mail", {}))
        await asked(talk)
        await talk.stop()
        await asyncio.wait({call})
        return call.cancelled()

    assert await rooms.there(stopped())
    await talk.until(RunFinished)
    resolved = [e for e in facts(await talk.journal()) if isinstance(e, ApprovalResolved)]

    assert [e.decision for e in resolved] == ["withdrawn"]
    assert mail.made == []


@in_virtual_time
async def test_no_more_calls_are_under_way_than_one_run_may_have(rooms: Rooms) -> None:
    async def endless(call: ToolCall) -> object:
        await asyncio.Event().wait()
        return None

    talk = await a_live_run(rooms, FakeTool("slow", endless))
    attempt = rooms.host.gateway.enter(access(rooms, talk.session_id).token)

    async def many() -> TenureError:
        for number in range(MOST_CALLS):
            attempt.remote.begin(f"slow {number}", attempt.tools.call("slow", {}))
        with pytest.raises(TenureError) as refused:
            attempt.remote.begin("one more", attempt.tools.call("slow", {}))
        return refused.value

    refused = await rooms.there(many())

    assert (refused.code, refused.facts["limit"]) == (Code.CAPACITY, MOST_CALLS)
    await talk.stop()
    await talk.until(RunFinished)


@in_virtual_time
async def test_answers_that_nobody_came_back_for_make_room_for_new_calls(rooms: Rooms) -> None:
    talk = await a_live_run(rooms, FakeTool("look"))
    attempt = rooms.host.gateway.enter(access(rooms, talk.session_id).token)

    async def many() -> object:
        for number in range(MOST_CALLS):
            call = attempt.remote.begin(f"look {number}", attempt.tools.call("look", {}))
            await asyncio.wait({call})
            attempt.remote.leave(f"look {number}", call)
        return await attempt.remote.begin("one more", attempt.tools.call("look", {}))

    assert await rooms.there(many()) == {"given": {}}
    await talk.stop()
    await talk.until(RunFinished)


@in_virtual_time
async def test_a_held_run_that_is_let_go_answers_the_same_call_in_its_next_attempt(rooms: Rooms) -> None:
    mail = asking("mail")
    talk = await a_live_run(rooms, mail)
    token = access(rooms, talk.session_id).token
    attempt = rooms.host.gateway.enter(token)

    async def begin() -> None:
        attempt.remote.begin("mail", attempt.tools.call("mail", {}))
        await asked(talk)

    await rooms.there(begin())
    question = await asked(talk)
    await asyncio.sleep(1_000)  # longer than a runner is held
    gone = refusal(rooms.host.gateway, token)
    await decide(talk, question.approval_id)
    resumed = await talk.until(RunResumed)
    await talk.until(MessageDelta, resumed.seq)
    again = rooms.host.gateway.enter(token)
    answer = await rooms.there(again.tools.call("mail", {}))

    assert (gone, again.attempt, answer) == (Code.FORBIDDEN, 2, {"given": {}})
    assert len(mail.made) == 1
    await talk.stop()
    await talk.until(RunFinished)
