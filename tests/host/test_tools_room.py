"""Tool calls of a run: judged by the grant, entered into the ledger, made once, answered."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tenure.core.effect import CallStatus
from tenure.core.entry import Recorded, entry
from tenure.core.event import (
    ApprovalRequested,
    EffectResolved,
    GrantReduced,
    MessageCompleted,
    MessageDelta,
    RunFinished,
    RunnerWarning,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.grant import Policy
from tenure.core.moment import Micros
from tenure.core.output import Output, Text, ToolCompleted, completed
from tenure.core.principal import Role
from tenure.core.tool import Arguments, Replay
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tenure.ports.tool import Outcome, ToolCall, Verified
from tests.host.rooms import Rooms, Talk, agent, end, facts, in_virtual_time, said, warnings
from tests.host.workshop import TOOLED, Bench, FakeTool, Work, approvals, asked, asking, decide, kinds
from tests.simulation.world import EPOCH


async def hosted(rooms: Rooms, work: Work, *tools: FakeTool) -> Talk:
    """A session with an agent that may call these tools."""
    rooms.tools = Bench(*tools)
    await rooms.up(agent(work, TOOLED))
    return await rooms.open()


@in_virtual_time
async def test_a_call_is_entered_made_once_and_answered(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("Looking. ")
        result = await run.tools.call("look", {"at": 5.0})
        yield Text(f"Got {result}.")
        yield completed()

    look = FakeTool("look")
    talk = await hosted(rooms, work, look)
    events = await talk.say()

    call = look.calls[0]
    first, second = [e.event.message_id for e in events if isinstance(e.event, MessageCompleted)]
    assert facts(events) == [
        MessageDelta(first, "Looking. "),
        MessageCompleted(message_id=first, role="assistant", content="Looking. "),
        ToolCallStarted(call_id=call.call_id, tool="look", arguments={"at": 5}),
        ToolCallCompleted(call_id=call.call_id, status=CallStatus.OK, result={"given": {"at": 5}}),
        MessageDelta(second, "Got {'given': {'at': 5}}."),
        MessageCompleted(message_id=second, role="assistant", content="Got {'given': {'at': 5}}."),
        RunFinished(status="completed", reason=""),
    ]
    assert (call.idempotency_key, call.user, call.tenant) == (call.call_id, "ada", "acme")


@in_virtual_time
async def test_an_approved_call_is_made_and_the_run_goes_on_held(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        result = await run.tools.call("mail", {"to": "x"})
        yield Text(f"{run.attempt}: {result}")
        yield completed()

    mail = asking()
    talk = await hosted(rooms, work, mail)
    receipt = await talk.send()
    question = await asked(talk)
    assert (mail.made, (await talk.run(receipt)).status) == ([], "waiting")
    decided = await decide(talk, question.approval_id)
    events = await talk.answer(receipt)

    assert kinds(events) == [
        "RunStarted",
        "ToolCallStarted",
        "ApprovalRequested",
        "RunWaiting",
        "ApprovalResolved",
        "RunResumed",
        "ToolCallCompleted",
        "MessageDelta",
        "MessageCompleted",
        "RunFinished",
    ]
    assert said(events) == "1: {'given': {'to': 'x'}}"
    assert (mail.made, end(events)) == ([{"to": "x"}], ("completed", ""))
    assert await approvals(talk) == [decided]


def calling(*calls: tuple[str, Arguments], key: str | None = None) -> Work:
    """An agent that makes these calls one after the other, and says how each ended."""

    async def work(run: RunContext) -> AsyncIterator[Output]:
        for name, arguments in calls:
            try:
                yield Text(f"{await run.tools.call(name, arguments, key=key)} ")
            except TenureError as error:
                yield Text(f"{error.code} ")
        yield completed()

    return work


def completions(events: list[Recorded]) -> list[tuple[str, str, object, bool]]:
    """How calls ended, in order."""
    return [
        (e.call_id, e.status, e.result, e.replayed)
        for event in events
        if isinstance(e := event.event, ToolCallCompleted)
    ]


@pytest.mark.sources("R04", "R07", "R16")
@in_virtual_time
async def test_a_tool_outside_the_grant_is_refused_with_what_the_grant_holds(rooms: Rooms) -> None:
    rooms.tools = Bench(FakeTool("look"), FakeTool("launch"))
    policy = Policy(deadline_s=None, tools=("look",))
    await rooms.up(agent(calling(("launch", {}), ("", {}), ("look", {})), policy))
    events = await (await rooms.open()).say()

    assert said(events) == "forbidden forbidden {'given': {}} "
    told = [e.event.detail for e in events if isinstance(e.event, RunnerWarning)]
    assert told[0] == (
        "This run may not call the tool 'launch': its grant holds: look. Let the runner ask for it and the "
        "agent's policy allow it."
    )
    assert warnings(events) == ["tool_refused", "tool_refused"]


@in_virtual_time
async def test_a_tool_for_a_stronger_role_is_refused_with_the_role_that_it_takes(rooms: Rooms) -> None:
    purge = FakeTool("purge")
    purge.role = Role.OPERATOR
    talk = await hosted(rooms, calling(("purge", {})), purge)
    events = await talk.say()

    assert (said(events), purge.calls) == ("forbidden ", [])
    (told,) = [e.event.detail for e in events if isinstance(e.event, RunnerWarning)]
    assert told == (
        "This run may not call the tool 'purge': its grant holds: none. It takes the role operator, and the "
        "message's author has the role member here. Let somebody with that role send it, to an agent whose "
        "runner asks for it and whose policy allows it."
    )


@in_virtual_time
async def test_another_implementation_under_a_granted_name_is_not_the_granted_tool(rooms: Rooms) -> None:
    bench = Bench(FakeTool("look"))

    async def work(run: RunContext) -> AsyncIterator[Output]:
        impostor = FakeTool("look", source="mcp:elsewhere")
        bench.tools["look"] = impostor
        with pytest.raises(TenureError, match="another implementation has that name now"):
            await run.tools.call("look", {})
        assert (impostor.calls, run.tools.infos()) == ([], ())
        del bench.tools["look"]
        with pytest.raises(TenureError) as caught:
            await run.tools.call("look", {})
        assert caught.value.code is Code.UNSUPPORTED
        yield completed()

    rooms.tools = bench
    await rooms.up(agent(work, TOOLED))
    assert end(await (await rooms.open()).say()) == ("completed", "")


@in_virtual_time
async def test_arguments_that_do_not_fit_enter_nothing_into_the_ledger(rooms: Rooms) -> None:
    look = FakeTool("look")
    bad: list[Arguments] = [
        {"wrong": 1},
        {"x": math.nan},
        {"x": object()},
        {"x": "\x00"},
        {"x": "a" * 300_000},
    ]
    talk = await hosted(rooms, calling(*(("look", each) for each in bad)), look)
    events = await talk.say()

    assert said(events) == "invalid invalid invalid invalid too_large "
    assert (look.calls, completions(events)) == ([], [])


@in_virtual_time
async def test_a_tool_that_raises_fails_its_call_and_not_the_run(rooms: Rooms) -> None:
    async def breaks(call: ToolCall) -> object:
        raise ValueError("no such street")

    async def floods(call: ToolCall) -> object:
        return "x" * 2_000_000

    async def leaves(call: ToolCall) -> object:
        raise asyncio.CancelledError

    tools = [FakeTool("a", breaks), FakeTool("b", floods), FakeTool("c", leaves)]
    talk = await hosted(rooms, calling(("a", {}), ("b", {}), ("c", {})), *tools)
    events = await talk.say()

    assert said(events) == "internal internal internal "
    assert [(status, result) for _, status, result, _ in completions(events)] == [
        ("error", {"error": "ValueError: no such street"}),
        ("error", {"error": "ValueError: its result has 2000002 bytes of JSON; at most 1048576 are taken"}),
        ("error", {"error": "it was cancelled from within"}),
    ]
    assert end(events) == ("completed", "")


@in_virtual_time
async def test_a_call_that_is_asked_for_twice_is_made_twice_and_under_one_key_once(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for key in (None, None, "k", "k"):
            await run.tools.call("look", {"n": 1}, key=key)
        with pytest.raises(TenureError) as caught:
            await run.tools.call("look", {"n": 2}, key="k")
        assert caught.value.code is Code.EFFECT_CONFLICT
        yield completed()

    look = FakeTool("look")
    events = await (await hosted(rooms, work, look)).say()

    assert look.made == [{"n": 1}] * 3
    calls = completions(events)
    assert [replayed for *_, replayed in calls] == [False, False, False, True]
    assert calls[2][0] == calls[3][0]


@in_virtual_time
async def test_a_runner_can_not_answer_a_call_of_the_hosts(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield ToolCompleted(call_id="eff_" + "0" * 32, status="ok")
        yield completed()

    events = await (await hosted(rooms, work)).say()

    assert (warnings(events), completions(events)) == (["payload_invalid"], [])


# --- the host dies


async def die_and_return(rooms: Rooms, work: Work) -> None:
    """kill -9, and a new life on the same disk with the same tools."""
    rooms.crash()
    await rooms.up(agent(work, TOOLED))


@pytest.mark.sources("P4", "D-M16")
@in_virtual_time
async def test_a_finished_call_is_answered_from_the_ledger_after_a_crash(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text(f"{await run.tools.call('pay', {'euro': 5.0})} ")
        if run.attempt == 1:
            await asyncio.Event().wait()
        yield Text(f"{await run.tools.call('pay', {'euro': 5})}")
        yield completed()

    pay = FakeTool("pay")
    talk = await hosted(rooms, work, pay)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await die_and_return(rooms, work)
    events = await talk.answer(receipt)

    # Exactly that was asked for twice by the second attempt: the first is known, the second is new. It is
    # a call that can't be taken back, but nothing that was done before was left out, so nobody is asked.
    assert pay.made == [{"euro": 5}] * 2
    first, again, second = completions(events)
    assert again == (first[0], "ok", {"given": {"euro": 5}}, True)
    assert second[0] != first[0]
    assert end(events) == ("completed", "")


@pytest.mark.sources("P4")
@pytest.mark.parametrize(
    ("replay", "verdict", "told", "calls"),
    [
        (Replay.NEVER, Outcome.UNKNOWN, "outcome_unknown ", 1),
        (Replay.SAFE, Outcome.UNKNOWN, "again ", 2),
        (Replay.VERIFY, Outcome.DONE, "done before ", 1),
        (Replay.VERIFY, Outcome.NOT_DONE, "again ", 2),
        (Replay.VERIFY, Outcome.UNKNOWN, "outcome_unknown ", 1),
    ],
)
@in_virtual_time
async def test_a_call_that_was_cut_off_is_repeated_only_where_that_is_safe(
    rooms: Rooms, replay: Replay, verdict: Outcome, told: str, calls: int
) -> None:
    async def does(call: ToolCall) -> object:
        if len(pay.calls) == 1:
            await asyncio.Event().wait()
        return "again"

    pay = FakeTool("pay", does, replay=replay, verdict=verdict)
    work = calling(("pay", {}))
    talk = await hosted(rooms, work, pay)
    receipt = await talk.send()
    await pay.entered.wait()
    await die_and_return(rooms, work)
    events = await talk.answer(receipt)

    assert (said(events), len(pay.calls)) == (told, calls)
    assert len({call.idempotency_key for call in pay.calls}) == 1
    assert len({e.event.call_id for e in events if isinstance(e.event, ToolCallStarted)}) == 1
    resolved = [e.event for e in events if isinstance(e.event, EffectResolved)]
    assert resolved == (
        [EffectResolved(call_id=pay.calls[0].call_id, status="ok")] if verdict is Outcome.DONE else []
    )


class SlowToTell(FakeTool):
    """A tool that doesn't come to say whether it did something."""

    async def verify(self, call: ToolCall) -> Verified:
        await asyncio.Event().wait()
        return await super().verify(call)


@pytest.mark.sources("P4")
@in_virtual_time
async def test_a_call_that_the_agent_leaves_while_its_tool_is_asked_ends_unknown(rooms: Rooms) -> None:
    async def does(call: ToolCall) -> object:
        return await asyncio.Event().wait()

    async def work(run: RunContext) -> AsyncIterator[Output]:
        with suppress(TimeoutError):
            async with asyncio.timeout(5 if run.attempt > 1 else None):
                await run.tools.call("pay", {})
        yield completed()

    pay = SlowToTell("pay", does, replay=Replay.VERIFY)
    talk = await hosted(rooms, work, pay)
    receipt = await talk.send()
    await pay.entered.wait()
    await die_and_return(rooms, work)
    events = await talk.answer(receipt)

    assert completions(events) == [(pay.calls[0].call_id, "unknown", None, False)]
    assert (len(pay.calls), end(events)) == (1, ("completed", ""))


@pytest.mark.sources("P4")
@in_virtual_time
async def test_a_changed_call_after_a_restart_asks_a_person(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        words = "Dear Bob" if run.attempt == 1 else "Hi Bob"
        await run.tools.call("mail", {"text": words})
        yield Text("sent")
        if run.attempt == 1:
            await asyncio.Event().wait()
        yield completed()

    mail = FakeTool("mail")
    talk = await hosted(rooms, work, mail)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await die_and_return(rooms, work)
    question = await asked(talk)

    assert question == ApprovalRequested(
        approval_id=question.approval_id,
        call_id=question.call_id,
        tool="mail",
        arguments={"text": "Hi Bob"},
        digest=question.digest,
        expires_at=question.expires_at,
        reason="changed_after_retry",
        done=(mail.calls[0].call_id,),
    )
    assert mail.made == [{"text": "Dear Bob"}]
    await decide(talk, question.approval_id)
    await talk.answer(receipt)
    assert mail.made == [{"text": "Dear Bob"}, {"text": "Hi Bob"}]


# --- stopping


@pytest.mark.sources("D-M12", "A16")
@in_virtual_time
async def test_a_stop_while_an_approved_tool_runs_stops_it(rooms: Rooms) -> None:
    cancelled: list[str] = []

    async def does(call: ToolCall) -> object:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(call.call_id)
            raise

    mail = asking(does=does)
    talk = await hosted(rooms, calling(("mail", {})), mail)
    receipt = await talk.send()
    await decide(talk, (await asked(talk)).approval_id)
    await mail.entered.wait()
    await talk.stop()
    events = await talk.answer(receipt)

    assert cancelled == [mail.calls[0].call_id]
    assert completions(events) == [(mail.calls[0].call_id, "unknown", None, False)]
    assert end(events) == ("cancelled", "interrupted")


@in_virtual_time
async def test_a_run_that_is_being_stopped_starts_no_more_calls(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("here")
        await run.stopped()
        with pytest.raises(TenureError) as caught:
            await run.tools.call("look", {})
        assert caught.value.code is Code.NOT_RUNNING
        yield Text(" I stop")

    look = FakeTool("look")
    talk = await hosted(rooms, work, look)
    receipt = await talk.send()
    await talk.until(MessageDelta)
    await talk.stop()
    events = await talk.answer(receipt)

    assert (said(events), look.calls, completions(events)) == ("here I stop", [], [])


@in_virtual_time
async def test_what_a_run_left_behind_calls_is_refused(rooms: Rooms) -> None:
    late: list[Code] = []

    async def later(run: RunContext) -> None:
        await asyncio.sleep(3)
        try:
            await run.tools.call("look", {})
        except TenureError as error:
            late.append(error.code)

    tasks: list[asyncio.Task[None]] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        tasks.append(asyncio.get_running_loop().create_task(later(run)))
        yield completed()

    look = FakeTool("look")
    talk = await hosted(rooms, work, look)
    await talk.say()
    await asyncio.sleep(5)

    assert (late, look.calls) == ([Code.FENCED], [])


@in_virtual_time
async def test_a_call_without_room_on_the_disk_is_made_once_there_is_room(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("first ")
        rooms.lane.full = True
        asyncio.get_running_loop().call_later(5, setattr, rooms.lane, "full", False)
        yield Text(str(await run.tools.call("look", {})))
        yield completed()

    look = FakeTool("look")
    talk = await hosted(rooms, work, look)
    events = await talk.say()

    assert (said(events), len(look.calls)) == ("first {'given': {}}", 1)
    assert kinds(events)[:4] == ["RunStarted", "MessageDelta", "MessageCompleted", "ToolCallStarted"]


@in_virtual_time
async def test_what_is_taken_from_the_grant_is_refused_from_then_on(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.tools.call("look", {})
        reduced = GrantReduced(run_id=run.run_id, removed=("tool:look",), digest="d")
        await rooms.host.store.note(run.session_id, [entry(Micros(EPOCH), reduced, run.run_id)])
        with pytest.raises(TenureError, match="was taken from its grant") as caught:
            await run.tools.call("look", {})
        assert (caught.value.code, run.tools.infos()) == (Code.FORBIDDEN, ())
        yield completed()

    look = FakeTool("look")
    events = await (await hosted(rooms, work, look)).say()

    assert (len(look.calls), end(events)) == (1, ("completed", ""))
