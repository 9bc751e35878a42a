"""Execution: whatever a runner does at the port, its run ends once, and what it said is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tenure.core.command import SendMessage
from tenure.core.event import (
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.grant import HISTORY, Descriptor, Policy
from tenure.core.output import (
    Output,
    Reasoning,
    Said,
    Text,
    ToolCompleted,
    ToolStarted,
    Verdict,
    completed,
    failed,
)
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tests.host.rooms import (
    Rooms,
    agent,
    end,
    facts,
    in_virtual_time,
    lasted,
    said,
    talk_with,
    warnings,
)


def opened(events: list[object]) -> str:
    """The id of the first message or reasoning that was begun."""
    return next(e.message_id for e in events if isinstance(e, MessageDelta | ReasoningDelta))


# the first terminal signal


@pytest.mark.sources("D-O8", "A8")
@in_virtual_time
async def test_first_verdict_counts_and_all_that_follows_is_late(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("done")
        yield completed()
        yield failed("changed my mind")
        yield Text("and another thing")

    talk = await talk_with(rooms, work)
    events = await talk.say()
    await talk.until(RunnerWarning)
    await asyncio.sleep(1)
    journal = await talk.journal()

    assert end(events) == ("completed", "")
    assert [e.event.code for e in journal[-2:] if isinstance(e.event, RunnerWarning)] == ["late_result"] * 2
    assert {e.run_id for e in journal[-2:]} == {events[0].run_id}
    assert await talk.lines() == [("user", "go", "settled"), ("assistant", "done", "completed")]


@in_virtual_time
async def test_runner_that_goes_on_for_long_after_its_verdict_leaves_ten_short_warnings(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield completed()
        for _ in range(1_000):
            yield Text("x" * 10_000)

    talk = await talk_with(rooms, work)
    await talk.say()
    await asyncio.sleep(10)
    late = [e.event for e in await talk.journal() if isinstance(e.event, RunnerWarning)]

    assert [warning.code for warning in late] == ["late_result"] * 10
    assert max(len(warning.detail) for warning in late) < 300


@in_virtual_time
async def test_runner_that_lingers_after_its_verdict_is_cancelled_and_keeps_nobody_waiting(
    rooms: Rooms,
) -> None:
    left: list[float] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield completed()
        try:
            await asyncio.sleep(3_600)
        finally:
            left.append(rooms.loop.time())

    talk = await talk_with(rooms, work)
    first, second = await talk.say(), await talk.say()

    assert (lasted(first), lasted(second)) == (0, 0)
    await asyncio.sleep(10)
    assert left == [5.0, 5.0]
    assert rooms.host.telemetry.abandoned == 2


@in_virtual_time
async def test_next_message_starts_while_the_last_runner_still_lingers(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text(run.message.text)
        yield completed()
        await asyncio.sleep(3)
        yield Text("late words of " + run.message.text)

    talk = await talk_with(rooms, work)
    await talk.say("one")
    await talk.say("two")
    await asyncio.sleep(10)

    assert await talk.lines() == [
        ("user", "one", "settled"),
        ("assistant", "one", "completed"),
        ("user", "two", "settled"),
        ("assistant", "two", "completed"),
    ]


# ends without a verdict


@pytest.mark.sources("O21", "D-O7", "A8", "P2")
@in_virtual_time
async def test_stream_that_ends_without_a_verdict_has_failed(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("That was")

    talk = await talk_with(rooms, work)
    events = facts(await talk.say())

    assert events == [
        MessageDelta(opened(events), "That was"),
        MessageCompleted(message_id=opened(events), role="assistant", content="That was", partial=True),
        RunFinished(status="failed", reason="runner_ended"),
    ]


@in_virtual_time
async def test_runner_that_ends_without_a_word_has_failed(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        for nothing in ():
            yield nothing

    talk = await talk_with(rooms, work)

    assert facts(await talk.say()) == [RunFinished(status="failed", reason="runner_ended")]


class Refusing:
    """A runner whose `run` raises at once, before there is a stream."""

    descriptor = Descriptor(runner="refusing")

    def run(self, context: RunContext) -> AsyncIterator[Output]:
        """Refuse."""
        raise ConnectionError("no route to the model")


@pytest.mark.sources("D-M9")
@in_virtual_time
async def test_runner_that_can_not_even_begin_has_failed_with_its_reason(rooms: Rooms) -> None:
    await rooms.up(Agent(name="agent", runner=Refusing()))

    assert end(await (await rooms.open()).say()) == (
        "failed",
        "ConnectionError: no route to the model",
    )


class Listing:
    """A runner whose stream is an iterator of its own kind, with nothing to close."""

    descriptor = Descriptor(runner="listing")

    def run(self, context: RunContext) -> AsyncIterator[Output]:
        """Three outputs."""
        return _Listed([Text("a"), Text("b"), completed()])


class _Listed:
    def __init__(self, outputs: list[Output]) -> None:
        self._outputs = outputs

    def __aiter__(self) -> "_Listed":
        return self

    async def __anext__(self) -> Output:
        if not self._outputs:
            raise StopAsyncIteration
        return self._outputs.pop(0)


@in_virtual_time
async def test_stream_needs_not_be_a_generator(rooms: Rooms) -> None:
    await rooms.up(Agent(name="agent", runner=Listing()))
    events = await (await rooms.open()).say()

    assert (said(events), end(events)) == ("ab", ("completed", ""))


# exceptions


class Hopeless(Exception):
    """An exception that can't even say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.sources("O17", "O22")
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LookupError("x" * 1_000_000), ("LookupError: " + "x" * 1_000)[:1_000]),
        (ValueError(), "ValueError: "),
        (TimeoutError("the model"), "TimeoutError: the model"),
        (ExceptionGroup("two", [ValueError(1), ValueError(2)]), "ExceptionGroup: two (2 sub-exceptions)"),
        (StopIteration(3), "RuntimeError: async generator raised StopIteration"),
        (LookupError("half a pair: \ud800"), "LookupError: half a pair: ?"),
        (LookupError("a zero: \0"), "LookupError: a zero: \N{REPLACEMENT CHARACTER}"),
        (Hopeless(), "Hopeless: (it can't be shown)"),
    ],
    ids=["long", "empty", "builtin", "group", "stop", "surrogate", "zero", "hopeless"],
)
@in_virtual_time
async def test_whatever_a_runner_raises_fails_its_run_with_a_short_reason(
    rooms: Rooms, error: Exception, reason: str
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("so far")
        raise error

    talk = await talk_with(rooms, work)
    events = await talk.say()

    assert end(events) == ("failed", reason)
    assert (await talk.lines())[-1] == ("assistant", "so far", "partial")


@in_virtual_time
async def test_refusal_that_a_runner_lets_pass_fails_the_run_with_its_sentence(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await run.transcript("nonsense")
        yield completed()

    status, reason = end(await (await talk_with(rooms, work)).say())

    assert status == "failed"
    assert reason.startswith("The cursor 'nonsense' was not given by this list.")


@in_virtual_time
async def test_reason_that_a_runner_gives_for_its_failure_is_kept_short(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield failed("so " * 1_000_000)

    talk = await talk_with(rooms, work)

    assert end(await talk.say()) == ("failed", ("so " * 1_000)[:1_000])


@pytest.mark.sources("N13")
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "timed_out"])
@in_virtual_time
async def test_runner_may_end_its_run_in_any_way_but_lost(rooms: Rooms, status: str) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Verdict(status=RunState(status), reason="as it wished", retryable=True)

    events = await (await talk_with(rooms, work)).say()

    assert facts(events) == [RunFinished(status=status, reason="as it wished", retryable=status == "failed")]


# what was said is kept


def _whole() -> tuple[list[Output], list[object]]:
    """Outputs that leave everything open that can be, and what of them is journaled."""
    outputs: list[Output] = [
        ToolStarted(call_id="c1", tool="look", arguments={}),
        ToolStarted(call_id="c2", tool="look", arguments={}),
        ToolCompleted(call_id="c1", status="ok"),
        Text("I see"),
        Text(" that"),
    ]
    return outputs, [
        ToolCallStarted(call_id="c1", tool="look", arguments={}),
        ToolCallStarted(call_id="c2", tool="look", arguments={}),
        ToolCallCompleted(call_id="c1", status="ok"),
    ]


@pytest.mark.sources("D-O9", "D-M15")
@pytest.mark.parametrize("ending", ["fails", "raises", "vanishes", "is stopped", "times out", "completes"])
@in_virtual_time
async def test_what_was_begun_is_closed_before_the_run_ends_however_it_ends(
    rooms: Rooms, ending: str
) -> None:
    outputs, first = _whole()

    async def work(run: RunContext) -> AsyncIterator[Output]:
        for output in outputs:
            yield output
        match ending:
            case "fails":
                yield failed("no")
            case "raises":
                raise RuntimeError
            case "completes":
                yield completed()
            case "vanishes":
                return
            case _:
                await run.stopped()

    talk = await talk_with(rooms, work, Policy(deadline_s=5.0 if ending == "times out" else None))
    receipt = await talk.send()
    if ending == "is stopped":
        await talk.until(MessageDelta)
        await talk.stop()
    events = [e for e in facts(await talk.answer(receipt)) if not isinstance(e, RunInterrupting)]
    message_id = opened(events)

    assert events[:-1] == [
        *first,
        MessageDelta(message_id, "I see"),
        MessageDelta(message_id, " that"),
        MessageCompleted(
            message_id=message_id,
            role="assistant",
            content="I see that",
            partial=ending != "completes",
        ),
        ToolCallCompleted(call_id="c2", status="unknown"),
    ]
    assert isinstance(events[-1], RunFinished)


@in_virtual_time
async def test_reasoning_that_is_cut_off_is_closed_as_partial(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Reasoning("If so, ")
        yield failed("no idea")

    events = facts(await (await talk_with(rooms, work)).say())

    assert events[1] == ReasoningCompleted(
        message_id=opened(events), role="assistant", content="If so, ", partial=True
    )


# too much


@in_virtual_time
async def test_run_that_says_more_than_its_limit_fails_and_keeps_what_it_said(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        while True:
            yield Text("x" * 1_000)

    talk = await talk_with(rooms, work, Policy(max_output_bytes=20_000))
    events = await talk.say()

    assert end(events) == ("failed", "output_limit")
    text = said(events)
    assert 10_000 < len(text) <= 20_000
    assert (await talk.lines())[-1] == ("assistant", text, "partial")


@pytest.mark.parametrize("kind", [Text, Reasoning, Said], ids=["text", "reasoning", "said"])
@in_virtual_time
async def test_output_that_would_break_the_limit_by_itself_is_not_taken(
    rooms: Rooms, kind: Callable[[str], Output]
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("fine")
        yield kind("x" * 1_000_000)
        yield completed()

    talk = await talk_with(rooms, work, Policy(max_output_bytes=20_000))
    events = await talk.say()

    assert (said(events), end(events)) == ("fine", ("failed", "output_limit"))
    assert (await talk.lines())[1:] == [("assistant", "fine", "partial")]


@in_virtual_time
async def test_limit_counts_the_warnings_that_a_runner_causes(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        nothing: object = None
        while True:
            yield nothing  # pyright: ignore[reportReturnType] - that is the point

    talk = await talk_with(rooms, work, Policy(max_output_bytes=20_000))
    receipt = await talk.send()
    await talk.until(RunFinished)
    events = await talk.answer(receipt)

    assert end(events) == ("failed", "output_limit")
    assert len(warnings(events)) < 200


@in_virtual_time
async def test_runner_that_never_awaits_keeps_nobody_else_from_working(rooms: Rooms) -> None:
    stretch = longest = step = 0

    async def shouting(run: RunContext) -> AsyncIterator[Output]:
        nonlocal stretch, longest, step
        while not run.stopping:
            stretch = stretch + 1 if step == rooms.loop.steps else 1
            step, longest = rooms.loop.steps, max(longest, stretch)
            yield Text("x" * 100)

    async def calm(run: RunContext) -> AsyncIterator[Output]:
        for _ in range(20):
            await asyncio.sleep(0)
            yield Text(".")
        yield completed()

    await rooms.up(agent(shouting, name="shouting"), agent(calm, name="calm"))
    rooms.lane.delay = 0.001
    loud, quiet = await rooms.open("shouting"), await rooms.open("calm")
    shouted = await loud.send()
    answer = await quiet.say()
    assert (said(answer), end(answer)) == ("." * 20, ("completed", ""))
    assert (await loud.run(shouted)).status == "running"

    assert longest <= 100  # outputs before everybody else has a turn
    await loud.stop()
    assert end(await loud.answer(shouted)) == ("cancelled", "interrupted")


@in_virtual_time
async def test_output_that_the_store_breaks_over_fails_its_run_and_the_session_goes_on(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("one ")
        await asyncio.sleep(1)
        rooms.lane.breaks = int(run.message.text == "bad")
        yield Said("two")
        await asyncio.sleep(100)
        yield completed()

    talk = await talk_with(rooms, work)
    bad = await talk.say("bad")
    complaints = list(rooms.complaints.said)
    rooms.complaints.said.clear()

    assert (end(bad), lasted(bad)) == (("failed", "journal_failed"), 1)
    assert await talk.lines() == [("user", "bad", "settled"), ("assistant", "one ", "partial")]
    assert len(complaints) == 1
    assert end(await talk.say("good")) == ("completed", "")


# what a run may use


@pytest.mark.sources("R04")
@in_virtual_time
async def test_transcript_is_refused_to_a_run_whose_grant_lacks_it(rooms: Rooms) -> None:
    refusals: list[TenureError] = []

    async def work(run: RunContext) -> AsyncIterator[Output]:
        try:
            await run.transcript()
        except TenureError as refusal:
            refusals.append(refusal)
        yield completed()

    cases = {
        "neither": agent(work, Policy(apis=()), name="neither", permissions=()),
        "unasked": agent(work, Policy(apis=(HISTORY,)), name="unasked", permissions=()),
        "forbidden": agent(work, Policy(apis=()), name="forbidden"),
    }
    await rooms.up(*cases.values())
    for name in cases:
        await (await rooms.open(name)).say()

    assert [(refusal.code, refusal.facts) for refusal in refusals] == [
        (Code.FORBIDDEN, {"api": "history"})
    ] * 3


@in_virtual_time
async def test_run_sees_the_transcript_up_to_its_own_message_in_pages(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        seen: list[object] = []
        cursor = None
        while True:
            page = await run.transcript(cursor, 1)
            seen += [item.content for item in page.data]
            cursor = page.next_cursor
            if cursor is None:
                break
        yield Said("/".join(map(str, seen)))
        yield completed()

    talk = await talk_with(rooms, work)
    await talk.say("one")
    await talk.say("two")

    assert (await talk.lines())[-1] == ("assistant", "one/one/two", "completed")


@in_virtual_time
async def test_run_knows_its_message_its_attempt_and_the_time_it_has_left(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        await asyncio.sleep(7)
        known = (run.message.user, run.message.text, run.attempt, run.seconds_left)
        ids = (run.message.id, run.run_id, run.session_id)
        yield Text(f"{known} {ids}")
        yield completed()

    talk = await talk_with(rooms, work, Policy(deadline_s=100))
    receipt = await talk.send(SendMessage(content="go", deadline_s=30))
    events = await talk.answer(receipt)

    ids = (receipt.message_id, receipt.run_id, talk.session_id)
    assert said(events) == f"{('ada', 'go', 1, 23.0)} {ids}"


@in_virtual_time
async def test_settlement_that_the_store_breaks_over_still_gives_the_run_an_outcome(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("one ")
        await asyncio.sleep(1)
        rooms.lane.breaks = int(run.message.text == "bad")
        yield completed()

    talk = await talk_with(rooms, work)
    bad = await talk.say("bad")
    complaints = list(rooms.complaints.said)
    rooms.complaints.said.clear()

    assert end(bad) == ("failed", "settlement_failed")
    assert await talk.lines() == [("user", "bad", "settled"), ("assistant", "one ", "partial")]
    assert len(complaints) == 1
    assert end(await talk.say("good")) == ("completed", "")
