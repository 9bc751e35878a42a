"""What the in-process runner makes of the ends that an `@tenure.agent` can come to.

The contract suite holds the rest; here is what only functions in this process can do.
"""

import asyncio
import enum
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

import tenure
from tenure.core.output import Output, Text, Verdict, completed, failed
from tenure.core.run import RunState
from tenure.runners.agent import AnyAgent
from tenure.runners.inprocess import InProcessRunner
from tenure.runners.rehearsal import FakeRun

pytestmark = pytest.mark.anyio

STOPPED = Verdict(status=RunState.CANCELLED, reason="interrupted")


async def outputs_of(definition: AnyAgent, run: FakeRun | None = None) -> list[Output]:
    """Everything that one attempt puts out."""
    async with asyncio.timeout(5):
        return [output async for output in InProcessRunner(definition).run(run or FakeRun())]


async def test_text_becomes_an_output_and_outputs_pass_as_they_are() -> None:
    given: list[str | Output] = [
        "hello",
        "",
        tenure.Text("x", sequence=7),
        tenure.Said("whole"),
        tenure.Reasoning("hm"),
        tenure.ToolStarted(call_id="c", tool="look", arguments={"at": 1}),
        tenure.ToolCompleted(call_id="c", status="ok", result=[1]),
        tenure.Spent(tenure.Usage(model="m", input_tokens=1)),
    ]

    @tenure.agent("mixed")
    async def mixed(_run: tenure.Run) -> AsyncIterator[str | Output]:
        for output in given:
            yield output

    assert await outputs_of(mixed) == [Text("hello"), Text(""), *given[2:], completed()]


class Colour(str, enum.Enum):  # noqa: UP042 - its str() isn't its value
    RED = "red"


async def test_text_of_a_subclass_of_str_becomes_plain_text() -> None:
    @tenure.agent("painter")
    async def painter(_run: tenure.Run) -> AsyncIterator[str]:
        yield Colour.RED

    [said, _] = await outputs_of(painter)

    assert isinstance(said, Text)
    assert (type(said.text), said.text) == (str, "red")


async def test_wrong_objects_pass_for_the_host_to_judge() -> None:
    strange = [b"bytes", 1, 1.5, None, {"text": "x"}, ["x"], object(), "fine"]

    @tenure.agent("strange")
    async def odd(_run: tenure.Run) -> AsyncIterator[str]:
        for thing in strange:
            yield thing  # pyright: ignore[reportReturnType]

    assert await outputs_of(odd) == [*strange[:-1], Text("fine"), completed()]


@pytest.mark.parametrize(
    ("answer", "outputs"),
    [
        ("hello", [Text("hello"), completed()]),
        (None, [completed()]),
        (tenure.Said("whole"), [tenure.Said("whole"), completed()]),
        (failed("no"), [failed("no")]),
    ],
)
async def test_answer_of_a_coroutine_function_is_its_output(
    answer: str | Output | None, outputs: list[Output]
) -> None:
    @tenure.agent("answerer")
    async def answerer(_run: tenure.Run) -> str | Output | None:
        return answer

    assert await outputs_of(answerer) == outputs


async def test_yielded_verdict_stands_and_none_is_added() -> None:
    @tenure.agent("judge")
    async def judge(_run: tenure.Run) -> AsyncIterator[str | Output]:
        yield failed("not today", retryable=True)
        yield "by the way"

    assert await outputs_of(judge) == [failed("not today", retryable=True), Text("by the way")]


async def test_returning_after_a_stop_is_cancelled() -> None:
    @tenure.agent("polite")
    async def polite(run: tenure.Run) -> AsyncIterator[str]:
        await run.stopped()
        yield "bye"

    run = FakeRun()
    run.stop()

    assert await outputs_of(polite, run) == [Text("bye"), STOPPED]


async def test_verdict_yielded_after_a_stop_stands() -> None:
    @tenure.agent("finisher")
    async def finisher(run: tenure.Run) -> AsyncIterator[Output]:
        await run.stopped()
        yield completed()

    run = FakeRun()
    run.stop()

    assert await outputs_of(finisher, run) == [completed()]


async def test_exception_goes_on_to_the_host_after_what_was_said() -> None:
    @tenure.agent("crasher")
    async def crasher(_run: tenure.Run) -> AsyncIterator[str]:
        yield "hello"
        raise KeyError("mail")

    async with aclosing(InProcessRunner(crasher).run(FakeRun())) as outputs:
        assert await anext(outputs) == Text("hello")
        with pytest.raises(KeyError, match="mail"):
            await anext(outputs)


async def test_leaving_the_program_fails_the_run_and_not_the_server() -> None:
    @tenure.agent("leaver")
    async def leaver(_run: tenure.Run) -> AsyncIterator[str]:
        yield "bye"
        sys.exit("x" * 5_000)

    assert await outputs_of(leaver) == [Text("bye"), failed(("SystemExit: " + "x" * 5_000)[:1_000])]


async def test_interrupt_of_the_program_by_an_agent_fails_the_run_and_not_the_server() -> None:
    @tenure.agent("presser")
    async def presser(_run: tenure.Run) -> AsyncIterator[str]:
        yield "bye"
        raise KeyboardInterrupt("by the agent")

    assert await outputs_of(presser) == [Text("bye"), failed("KeyboardInterrupt: by the agent")]


async def test_cancellation_of_something_the_agent_waits_for_fails_the_run() -> None:
    @tenure.agent("waiter")
    async def waiter(_run: tenure.Run) -> str:
        side_work = asyncio.create_task(asyncio.sleep(60))
        side_work.cancel()
        await side_work
        return "never"

    assert await outputs_of(waiter) == [
        failed("CancelledError: something that the agent waited for was cancelled")
    ]


async def test_time_out_inside_an_agent_is_its_own_affair() -> None:
    @tenure.agent("hasty")
    async def hasty(_run: tenure.Run) -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "took too long"
        return "never"

    assert await outputs_of(hasty) == [Text("took too long"), completed()]


async def test_agent_that_turns_cancellation_into_a_return_ends_cancelled() -> None:
    @tenure.agent("stubborn")
    async def stubborn(_run: tenure.Run) -> AsyncIterator[str]:
        yield "waiting"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield "all right"

    run, said, spoke = FakeRun(), list[Output](), asyncio.Event()

    async def drive() -> None:
        async for output in InProcessRunner(stubborn).run(run):
            said.append(output)
            spoke.set()

    task = asyncio.create_task(drive())
    await asyncio.wait_for(spoke.wait(), 5)
    run.stop()
    task.cancel()
    await asyncio.wait([task], timeout=5)

    assert said == [Text("waiting"), Text("all right"), STOPPED]


async def test_closing_runs_nested_finally_blocks_in_order_and_lets_them_wait() -> None:
    trail: list[str] = []

    @tenure.agent("careful")
    async def careful(_run: tenure.Run) -> AsyncIterator[str]:
        try:
            try:
                yield "hello"
            finally:
                await asyncio.sleep(0)
                trail.append("inner")
        finally:
            trail.append("outer")

    outputs = InProcessRunner(careful).run(FakeRun())
    await anext(outputs)
    await outputs.aclose()

    assert trail == ["inner", "outer"]


async def test_agent_starts_only_when_its_first_output_is_asked_for() -> None:
    started: list[str] = []

    @tenure.agent("lazy")
    async def lazy(run: tenure.Run) -> str:
        started.append(run.id)
        return "hello"

    outputs = InProcessRunner(lazy).run(FakeRun())
    assert started == []
    await outputs.aclose()

    assert started == []


async def test_runner_is_described_by_its_definition() -> None:
    @tenure.agent("greeter", description="Greets.")
    async def greeter(_run: tenure.Run) -> str:
        return "hello"

    assert InProcessRunner(greeter).descriptor is greeter.descriptor
