"""The public contract suite of the runner port: what every runner must do, whoever wrote it.

Needs pytest and anyio, so nothing but tests imports it. Subclass `RunnerContract` as `TestMyRunner`,
put your runner on stage for each act, and declare the acts it can't perform: they then show as
skipped, while a gap that isn't declared fails. For readable failures, let a conftest.py call
`pytest.register_assert_rewrite("tenure.runners.contract")`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from enum import StrEnum
from typing import ClassVar, NamedTuple

import pytest

from tenure.core.grant import HISTORY
from tenure.core.output import Output, Reasoning, Text, Verdict, completed, failed
from tenure.core.run import RunState
from tenure.core.view import TranscriptItem
from tenure.errors import Code, TenureError
from tenure.ports.runner import Runner
from tenure.runners.rehearsal import FakeRun, spoken

PIECES = ["one ", "двa 🎈 ", "三 ", "'\"\\{}<&> ", "\u202efour\u202c"]
THOUGHT = "let me see"
REASON = "no luck today"
NUMBERS = ["0", "1", "1", "x", "5"]
FLOOD = 10_000
BULK = 1024 * 1024
STRAY = 42

PATIENCE_S = 20.0
"""How long any wait of the suite may take, in seconds."""


class Act(StrEnum):
    """What a runner may be asked to do on stage."""

    SPEAK = "speak: say PIECES as they are, then complete"
    THINK = "think: think THOUGHT, then say something and complete"
    FAIL = "fail: end with the verdict failed for REASON"
    CRASH = "crash: raise an exception, or die"
    VANISH = "vanish: end without a verdict"
    TALK = "talk: say words without end, looking at `stopping` at least ten times a second"
    WAIT = "wait: say something, then wait until cancelled"
    TIDY = "tidy: wait, and tidy up when cancelled or closed; `tidied` tells whether it has"
    NUMBER = "number: say a text for each of NUMBERS, with that number as its sequence"
    STRAY = "stray: yield STRAY, which is no output, among texts, then complete"
    FLOOD = "flood: say FLOOD texts at once, then complete"
    BULK = "bulk: say one text of BULK bytes, then complete"
    READ = "read: say how many messages the first page of the transcript holds, then complete"


class Stage(NamedTuple):
    """A runner and the message that makes it perform an act."""

    runner: Runner
    content: str = ""
    tidied: Callable[[], bool] | None = None


@pytest.mark.anyio
class RunnerContract:
    """Every case of the suite. Each drives the runner through its port, as the host does."""

    lacks: ClassVar[Mapping[Act, str]] = {}
    """The acts that this runner can't perform, each with the reason."""

    def stage(self, act: Act) -> Stage:
        """A fresh runner for `act`. Isn't asked for acts that are declared as lacking."""
        raise NotImplementedError

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The only loop that the host runs on."""
        return "asyncio"

    # what it says of itself

    async def test_descriptor_stays_the_same(self) -> None:
        runner = self._on_stage(Act.SPEAK).runner

        assert runner.descriptor == runner.descriptor
        assert runner.descriptor.runner

    async def test_descriptor_asks_for_no_nameless_right(self) -> None:
        assert all(self._on_stage(Act.SPEAK).runner.descriptor.permissions)

    async def test_interrupt_is_declared_exactly_if_it_stops_when_asked(self) -> None:
        descriptor = self._on_stage(Act.SPEAK).runner.descriptor

        assert descriptor.capabilities.interrupt is (Act.TALK not in self.lacks)

    # how it ends

    async def test_speech_arrives_whole_and_ends_with_one_verdict_completed(self) -> None:
        outputs = await self._perform(Act.SPEAK)

        assert outputs == [*map(Text, PIECES), completed()]

    async def test_thought_is_reasoning_and_not_speech(self) -> None:
        outputs = await self._perform(Act.THINK)

        assert Reasoning(THOUGHT) in outputs
        assert THOUGHT not in spoken(outputs)
        assert outputs[-1] == completed()

    async def test_failure_is_the_verdict_failed_with_its_reason(self) -> None:
        outputs = await self._perform(Act.FAIL)

        assert verdicts(outputs) == [failed(REASON)]

    async def test_crash_raises_or_is_a_failure_but_never_completes(self) -> None:
        stage = self._on_stage(Act.CRASH)

        assert await ending(stage.runner, FakeRun(stage.content)) in {"raised", RunState.FAILED}

    async def test_vanishing_yields_no_verdict(self) -> None:
        assert verdicts(await self._perform(Act.VANISH)) == []

    # how it is stopped

    async def test_a_run_asked_to_stop_while_it_talks_ends_without_completing(self) -> None:
        stage = self._on_stage(Act.TALK)
        run = FakeRun(stage.content)
        outputs: list[Output] = []

        async with asyncio.timeout(PATIENCE_S):
            async for output in stage.runner.run(run):
                outputs.append(output)
                run.stop()

        assert all(verdict.status is not RunState.COMPLETED for verdict in verdicts(outputs))

    async def test_a_run_asked_to_stop_before_it_begins_ends_without_completing(self) -> None:
        stage = self._on_stage(Act.TALK)
        run = FakeRun(stage.content)
        run.stop()

        outputs = await perform(stage.runner, run)

        assert all(verdict.status is not RunState.COMPLETED for verdict in verdicts(outputs))

    async def test_cancelling_a_waiting_run_cancels_it(self) -> None:
        stage = self._on_stage(Act.WAIT)
        task, _ = await begin(stage.runner, FakeRun(stage.content))

        await cancel(task)

        assert task.cancelled()

    async def test_cancelling_a_run_tidies_up(self) -> None:
        stage = self._on_stage(Act.TIDY)
        task, _ = await begin(stage.runner, FakeRun(stage.content))

        await cancel(task)

        assert stage.tidied is not None
        assert stage.tidied()

    async def test_closing_the_outputs_tidies_up(self) -> None:
        stage = self._on_stage(Act.TIDY)
        outputs = stage.runner.run(FakeRun(stage.content))
        await anext(outputs)

        await close(outputs)

        assert stage.tidied is not None
        assert stage.tidied()

    async def test_outputs_may_be_closed_before_the_first_is_taken(self) -> None:
        stage = self._on_stage(Act.SPEAK)
        outputs = stage.runner.run(FakeRun(stage.content))

        await close(outputs)

        assert await perform(stage.runner, FakeRun(stage.content)) == [
            *map(Text, PIECES),
            completed(),
        ]

    # what it may yield

    async def test_numbers_of_outputs_arrive_as_given(self) -> None:
        outputs = await self._perform(Act.NUMBER)

        texts = [output for output in outputs if isinstance(output, Text)]
        assert [str(text.sequence) for text in texts] == NUMBERS

    async def test_something_that_is_no_output_arrives_and_stops_nothing(self) -> None:
        outputs: list[object] = [*await self._perform(Act.STRAY)]

        assert outputs.count(STRAY) == 1
        assert isinstance(outputs[0], Text)
        assert isinstance(outputs[-2], Text)
        assert outputs[-1] == completed()

    async def test_a_flood_arrives_in_full(self) -> None:
        outputs = await self._perform(Act.FLOOD)

        assert sum(isinstance(output, Text) for output in outputs) == FLOOD

    async def test_a_long_text_arrives_whole(self) -> None:
        assert len(spoken(await self._perform(Act.BULK)).encode()) == BULK

    # what it may use

    async def test_the_transcript_can_be_read_with_the_right_to_it(self) -> None:
        stage = self._on_stage(Act.READ)

        outputs = await perform(stage.runner, FakeRun(stage.content, said=SAID))

        assert str(len(SAID)) in spoken(outputs)
        assert outputs[-1] == completed()

    async def test_the_transcript_is_refused_without_the_right_to_it(self) -> None:
        stage = self._on_stage(Act.READ)
        run = FakeRun(stage.content, apis=(), said=SAID)

        assert await ending(stage.runner, run) in {"refused", RunState.FAILED}

    async def test_a_runner_asks_for_the_right_to_the_transcript_it_reads(self) -> None:
        assert HISTORY in self._on_stage(Act.READ).runner.descriptor.permissions

    # that runs don't meet

    async def test_runs_of_one_runner_at_once_dont_mix(self) -> None:
        stage = self._on_stage(Act.SPEAK)

        all_outputs = await asyncio.gather(
            *(perform(stage.runner, FakeRun(stage.content)) for _ in range(10))
        )

        assert all_outputs == [[*map(Text, PIECES), completed()]] * 10

    async def test_a_cancelled_run_doesnt_touch_another(self) -> None:
        stage = self._on_stage(Act.WAIT)
        one, _ = await begin(stage.runner, FakeRun(stage.content))
        other, _ = await begin(stage.runner, FakeRun(stage.content))

        await cancel(one)

        assert not other.done()
        await cancel(other)

    async def test_a_runner_runs_again_after_a_crash(self) -> None:
        stage = self._on_stage(Act.CRASH)

        endings = [await ending(stage.runner, FakeRun(stage.content)) for _ in range(2)]

        assert endings[0] == endings[1]

    def _on_stage(self, act: Act) -> Stage:
        if act in self.lacks:
            pytest.skip(f"can't {act}. Declared reason: {self.lacks[act]}")
        return self.stage(act)

    async def _perform(self, act: Act) -> list[Output]:
        stage = self._on_stage(act)
        return await perform(stage.runner, FakeRun(stage.content))


SAID = tuple(
    TranscriptItem(
        message_id=f"msg_{n:032x}",
        role=role,
        content=f"line {n}",
        run_id=None,
        status="completed",
        seq=n,
    )
    for n, role in enumerate(["user", "assistant", "user"], start=1)
)
"""What the transcript holds in the cases that read it."""


async def perform(runner: Runner, run: FakeRun) -> list[Output]:
    """All outputs of one attempt."""
    async with asyncio.timeout(PATIENCE_S):
        return [output async for output in runner.run(run)]


async def ending(runner: Runner, run: FakeRun) -> str:
    """How an attempt ended: the status of its verdict, "vanished", "refused" or "raised"."""
    task = asyncio.create_task(perform(runner, run))
    await asyncio.wait([task])
    match task.exception():
        case None:
            judged = verdicts(task.result())
            return judged[0].status if judged else "vanished"
        case TenureError(code=Code.FORBIDDEN):
            return "refused"
        case _:
            return "raised"


async def begin(runner: Runner, run: FakeRun) -> tuple[asyncio.Task[None], list[Output]]:
    """A task that drives an attempt, and its outputs so far: at least one."""
    outputs: list[Output] = []
    spoke = asyncio.Event()

    async def drive() -> None:
        async for output in runner.run(run):
            outputs.append(output)
            spoke.set()

    task = asyncio.create_task(drive())
    async with asyncio.timeout(PATIENCE_S):
        await spoke.wait()
    return task, outputs


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait([task])


async def close(outputs: AsyncIterator[Output]) -> None:
    """Close an iterator of outputs if it can be closed, as the host does."""
    if isinstance(outputs, AsyncGenerator):
        async with asyncio.timeout(PATIENCE_S):
            await outputs.aclose()


def verdicts(outputs: list[Output]) -> list[Verdict]:
    """The verdicts among the outputs."""
    return [output for output in outputs if isinstance(output, Verdict)]
