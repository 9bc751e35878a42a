"""Agents on a real host: whatever they do, each run ends once, with a reason, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

import tenure
from tenure.core.entry import Recorded
from tenure.core.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    RunFinished,
    RunnerWarning,
    RunStarted,
    ToolCallCompleted,
    ToolCallStarted,
    Unknown,
    UsageRecorded,
)
from tenure.core.grant import Policy
from tenure.core.limits import Limits
from tenure.core.output import Output
from tenure.core.run import RunState
from tenure.runners.agent import AnyAgent
from tenure.runners.contract import NUMBERS
from tenure.runners.inprocess import InProcessRunner
from tenure.testing import Agent, ScriptedRunner, SmallHost, hosting

pytestmark = pytest.mark.anyio

SCRIPTED = Agent(name="scripted", runner=ScriptedRunner())


def facts(events: list[Recorded]) -> list[Event | Unknown]:
    """What happened, without the start of the run."""
    return [event.event for event in events if not isinstance(event.event, RunStarted)]


def said(events: list[Recorded]) -> str:
    """The text of the run's deltas."""
    return "".join(fact.text for fact in facts(events) if isinstance(fact, MessageDelta))


def warnings(events: list[Recorded]) -> list[str]:
    """The codes of the run's warnings."""
    return [fact.code for fact in facts(events) if isinstance(fact, RunnerWarning)]


async def outcome(*agents: AnyAgent | Agent, message: str = "go") -> list[Recorded]:
    """The events of one run of the first agent."""
    async with hosting(*agents) as host:
        return await (await host.open(agents[0].name)).say(message)


async def finished(agent: AnyAgent | Agent, message: str = "go") -> tuple[str, str]:
    """Status and reason of one run. It must be the only end of that run."""
    events = facts(await outcome(agent, message=message))
    ends = [(event.status, event.reason) for event in events if isinstance(event, RunFinished)]
    assert len(ends) == 1
    return ends[0]


# what an agent says


@pytest.mark.sources("O19")
async def test_everything_an_agent_puts_out_is_journaled_in_order() -> None:
    spent = tenure.Usage(model="m", input_tokens=3, output_tokens=5, cost=0.5)

    @tenure.agent("full")
    async def full(run: tenure.Run) -> AsyncIterator[str | Output]:
        yield tenure.Reasoning("hm ")
        yield tenure.Reasoning("so")
        yield "Look"
        yield "ing. "
        yield tenure.ToolStarted(call_id="c1", tool="look", arguments={"at": run.message.text})
        yield tenure.ToolCompleted(call_id="c1", status="ok", result=[1])
        yield tenure.Said("Found it.")
        yield tenure.Spent(spent)

    ids = dict[str, str]()
    events = facts(await outcome(full, message="the sky"))
    for event in events:
        if isinstance(event, ReasoningCompleted | MessageCompleted):
            ids[str(event.content)] = event.message_id

    assert events == [
        ReasoningDelta(ids["hm so"], "hm "),
        ReasoningDelta(ids["hm so"], "so"),
        ReasoningCompleted(message_id=ids["hm so"], role="assistant", content="hm so"),
        MessageDelta(ids["Looking. "], "Look"),
        MessageDelta(ids["Looking. "], "ing. "),
        MessageCompleted(message_id=ids["Looking. "], role="assistant", content="Looking. "),
        ToolCallStarted(call_id="c1", tool="look", arguments={"at": "the sky"}),
        ToolCallCompleted(call_id="c1", status="ok", result=[1]),
        MessageCompleted(message_id=ids["Found it."], role="assistant", content="Found it."),
        UsageRecorded(model="m", input_tokens=3, output_tokens=5, cost=0.5),
        RunFinished(status="completed", reason="", usage=(spent,)),
    ]


async def test_agent_reads_what_was_said_before_and_the_message_it_answers() -> None:
    @tenure.agent("reader")
    async def reader(run: tenure.Run) -> str:
        page = await run.transcript()
        return " | ".join(f"{item.role}: {item.content}" for item in page.data)

    async with hosting(reader) as host:
        session = await host.open("reader")
        await session.say("one")
        events = await session.say("two")

    assert said(events) == "user: one | assistant: user: one | user: two"


async def test_agent_that_didnt_ask_for_the_transcript_is_refused_it() -> None:
    @tenure.agent("nosy", permissions=())
    async def nosy(run: tenure.Run) -> str:
        return str(await run.transcript())

    status, reason = await finished(nosy)

    assert status == RunState.FAILED
    assert reason.startswith("This run may not use 'history'")


async def test_agent_whose_policy_withholds_the_transcript_is_refused_it() -> None:
    @tenure.agent("nosy")
    async def nosy(run: tenure.Run) -> str:
        return str(await run.transcript())

    withheld = Agent(name="nosy", runner=InProcessRunner(nosy), policy=Policy(apis=()))

    assert (await finished(withheld))[0] == RunState.FAILED


async def test_agent_sees_its_deadline_and_its_attempt() -> None:
    @tenure.agent("watcher", deadline_s=60)
    async def watcher(run: tenure.Run) -> str:
        left = run.seconds_left
        return f"{run.attempt} {left is not None and 50 < left <= 60} {run.grant.deadline_s}"

    assert said(await outcome(watcher)) == "1 True 60.0"


@pytest.mark.parametrize(
    "thing",
    [b"bytes", 1, None, {"text": "x"}, tenure.Text(5), tenure.Text("\ud800"), tenure.Said(7)],  # pyright: ignore[reportArgumentType]
)
async def test_what_is_no_output_is_warned_of_and_the_rest_is_said(thing: Any) -> None:
    @tenure.agent("odd")
    async def odd(_run: tenure.Run) -> AsyncIterator[str]:
        yield "before "
        yield thing
        yield "after"

    events = await outcome(odd)

    assert (said(events), warnings(events)) == ("before after", ["payload_invalid"])
    assert facts(events)[-1] == RunFinished(status="completed", reason="")


# how a run ends


async def test_exception_fails_the_run_with_its_type_and_first_1000_characters() -> None:
    @tenure.agent("crasher")
    async def crasher(_run: tenure.Run) -> AsyncIterator[str]:
        yield "half a sen"
        raise LookupError("x" * 5_000)

    events = facts(await outcome(crasher))

    [delta, completed, end] = events
    assert isinstance(delta, MessageDelta)
    assert completed == MessageCompleted(
        message_id=delta.message_id, role="assistant", content="half a sen", partial=True
    )
    assert end == RunFinished(status="failed", reason=("LookupError: " + "x" * 5_000)[:1_000])


class Unusual(BaseException):
    """Raised by code that wants to get past every handler."""


async def test_exception_that_no_handler_takes_fails_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tenure.agent("unusual")
    async def unusual(_run: tenure.Run) -> str:
        raise Unusual

    assert await finished(unusual) == ("failed", "runner_ended")
    assert "runner of run_" in caplog.text


async def test_leaving_the_program_fails_the_run_and_leaves_the_host_up() -> None:
    @tenure.agent("leaver")
    async def leaver(run: tenure.Run) -> str:
        if run.message.text == "leave":
            raise SystemExit(3)
        return "still here"

    async with hosting(leaver) as host:
        session = await host.open("leaver")
        left = await session.say("leave")
        stayed = await session.say("stay")

    assert facts(left) == [RunFinished(status="failed", reason="SystemExit: 3")]
    assert said(stayed) == "still here"


@pytest.mark.parametrize("status", ["queued", "running", "waiting", "interrupting", "lost"])
async def test_verdict_that_ends_no_run_is_warned_of_and_the_run_fails(status: str) -> None:
    @tenure.agent("judge")
    async def judge(_run: tenure.Run) -> AsyncIterator[Output]:
        yield tenure.Verdict(status=RunState(status))

    events = await outcome(judge)

    assert warnings(events) == ["payload_invalid"]
    assert facts(events)[-1] == RunFinished(status="failed", reason="runner_ended")


async def test_first_verdict_counts_and_what_follows_is_late() -> None:
    @tenure.agent("judge")
    async def judge(_run: tenure.Run) -> AsyncIterator[str | Output]:
        yield tenure.failed("not today", retryable=True)
        yield tenure.completed()

    async with hosting(judge) as host:
        session = await host.open("judge")
        events = await session.say("go")
        async with aclosing(session.events(after=events[-1].seq)) as journal:
            late = (await anext(journal)).event

    assert facts(events) == [RunFinished(status="failed", reason="not today", retryable=True)]
    assert isinstance(late, RunnerWarning)
    assert late.code == "late_result"


async def test_stopped_agent_says_its_last_words_and_ends_cancelled() -> None:
    @tenure.agent("polite")
    async def polite(run: tenure.Run) -> AsyncIterator[str]:
        yield "working "
        await run.stopped()
        yield "bye"

    async with hosting(polite) as host:
        events = await stopped_while_talking(host, "polite")

    assert said(events) == "working bye"
    assert facts(events)[-1] == RunFinished(status="cancelled", reason="interrupted")


async def test_forced_stop_cancels_an_agent_that_waits_and_runs_its_finally_block() -> None:
    tidied = asyncio.Event()

    @tenure.agent("waiter")
    async def waiter(_run: tenure.Run) -> AsyncIterator[str]:
        try:
            yield "working "
            await asyncio.Event().wait()
        finally:
            tidied.set()

    async with hosting(waiter) as host:
        events = await stopped_while_talking(host, "waiter", force=True)
        await asyncio.wait_for(tidied.wait(), 5)

    assert facts(events)[-1] == RunFinished(status="cancelled", reason="interrupted")


async def test_deadline_stops_an_agent_and_the_run_is_timed_out() -> None:
    @tenure.agent("slow", deadline_s=0.05)
    async def slow(run: tenure.Run) -> AsyncIterator[str]:
        yield "working "
        await run.stopped()
        yield "too late"

    events = await outcome(slow)

    assert said(events) == "working too late"
    assert facts(events)[-1] == RunFinished(status="timed_out", reason="deadline_exceeded")


@pytest.mark.sources("M09")
async def test_one_failed_run_leaves_the_session_usable() -> None:
    async with hosting(SCRIPTED) as host:
        session = await host.open("scripted")
        ends = [
            facts(await session.say(message))[-1]
            for message in ("CRASH", "VANISH", "FAIL no luck", "SAY fine")
        ]

    assert ends == [
        RunFinished(status="failed", reason="RuntimeError: The message asked for a CRASH."),
        RunFinished(status="failed", reason="runner_ended"),
        RunFinished(status="failed", reason="no luck"),
        RunFinished(status="completed", reason=""),
    ]


@pytest.mark.sources("O09", "O10", "O11", "O12", "D-O2", "D-O3", "A4")
async def test_runner_numbers_lose_nothing_repeat_nothing_and_are_warned_of() -> None:
    events = await outcome(SCRIPTED, message=f"SEQ {','.join(NUMBERS)}")

    assert said(events) == "#0 #1 #x #5 "
    assert warnings(events) == [
        "sequence_invalid",
        "sequence_duplicate",
        "sequence_invalid",
        "sequence_gap",
    ]


async def test_burst_is_journaled_in_full() -> None:
    events = await outcome(SCRIPTED, message="BURST 5000 40")

    assert said(events) == "".join(f"b{k}".ljust(39, ".") + " " for k in range(5_000))


# the small host


async def test_small_host_keeps_to_its_limits() -> None:
    async with hosting(SCRIPTED, limits=Limits(open_sessions=1)) as host:
        await host.open("scripted")
        with pytest.raises(tenure.TenureError) as refusal:
            await host.open("scripted")

    assert refusal.value.code == tenure.Code.CAPACITY


async def test_small_host_keeps_a_transcript() -> None:
    async with hosting(SCRIPTED) as host:
        session = await host.open("scripted")
        await session.say("SAY hello")
        transcript = await session.transcript()

    assert [(item.role, item.content) for item in transcript] == [
        ("user", "SAY hello"),
        ("assistant", "hello"),
    ]


@pytest.mark.sources("M08")
async def test_message_behind_a_run_is_answered_in_its_turn() -> None:
    async with hosting(SCRIPTED) as host:
        session = await host.open("scripted")
        first, second = await session.send("SLOW 3 10"), await session.send("SAY next")

        assert (first.disposition, second.disposition) == ("started", "queued")
        assert said(await session.answer(second)) == "next"


async def stopped_while_talking(host: SmallHost, agent: str, *, force: bool = False) -> list[Recorded]:
    """The events of a run that is interrupted after its first words."""
    session = await host.open(agent)
    receipt = await session.send("go")
    async with aclosing(session.events()) as events:
        async for event in events:
            if isinstance(event.event, MessageDelta):
                break
    await session.stop(force=force)
    return await session.answer(receipt)
