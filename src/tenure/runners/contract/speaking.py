"""What a runner says of itself, how it ends, how it is stopped, and what it may yield."""

import asyncio

import msgspec
import pytest

from tenure.core.grant import HISTORY, Capabilities
from tenure.core.output import Reasoning, Text, completed
from tenure.core.run import RunState
from tenure.runners.contract.staging import (
    BULK,
    FLOOD,
    NUMBERS,
    PIECES,
    REASON,
    STRAY,
    THOUGHT,
    Act,
    Stages,
    begin,
    cancel,
    close,
    ending,
    perform,
    pieces,
    speech,
    verdicts,
)
from tenure.runners.rehearsal import FakeRun, spoken

SHOWN: dict[str, tuple[Act, ...]] = {
    "streaming": (Act.SPEAK,),
    "tools": (Act.USE,),
    "steering": (Act.STEER,),
    "interrupt": (Act.TALK,),
    "approvals": (Act.ASK, Act.USE),
    "resume": (Act.RESUME,),
    "undo": (Act.UNDO,),
    "attachments": (Act.ATTACH,),
    "multimodal": (Act.SEE,),
}
"""The acts by which each capability is shown. A host's tools may need approval, so they show it too."""


class DescriptorCases(Stages):
    """What it says of itself."""

    async def test_descriptor_stays_the_same(self) -> None:
        runner = self._on_stage(Act.SPEAK).runner

        assert runner.descriptor == runner.descriptor
        assert runner.descriptor.runner

    async def test_descriptor_asks_for_no_nameless_right(self) -> None:
        assert all(self._on_stage(Act.SPEAK).runner.descriptor.permissions)

    @pytest.mark.parametrize("ability", Capabilities.__struct_fields__)
    async def test_an_ability_is_declared_exactly_if_an_act_shows_it(self, ability: str) -> None:
        shown = [act for act in SHOWN[ability] if act not in self.lacks]
        stage = self._on_stage(shown[0] if shown else Act.SPEAK)
        can = bool(shown)
        if ability == "streaming":
            can = len(pieces(await perform(stage.runner, FakeRun(stage.content)))) > 1

        declared = msgspec.structs.asdict(stage.runner.descriptor.capabilities)[ability]

        assert declared is can, f"{ability} is shown by: {'; or '.join(SHOWN[ability])}"


class EndingCases(Stages):
    """How it ends."""

    async def test_speech_arrives_whole_and_ends_with_one_verdict_completed(self) -> None:
        outputs = await self._perform(Act.SPEAK)

        assert speech(outputs) == "".join(PIECES)
        assert verdicts(outputs) == [completed()]
        assert outputs[-1] == completed()

    async def test_thought_is_reasoning_and_not_speech(self) -> None:
        outputs = await self._perform(Act.THINK)

        assert THOUGHT in "".join(output.text for output in outputs if isinstance(output, Reasoning))
        assert THOUGHT not in speech(outputs)
        assert outputs[-1] == completed()

    async def test_failure_is_told_with_its_reason_and_never_completes(self) -> None:
        stage = self._on_stage(Act.FAIL)

        ended = await ending(stage.runner, FakeRun(stage.content))

        assert ended.word in {"raised", RunState.FAILED}
        assert REASON in ended.reason

    async def test_crash_raises_or_is_a_failure_but_never_completes(self) -> None:
        stage = self._on_stage(Act.CRASH)

        assert (await ending(stage.runner, FakeRun(stage.content))).word in {"raised", RunState.FAILED}

    async def test_vanishing_yields_no_verdict(self) -> None:
        assert verdicts(await self._perform(Act.VANISH)) == []

    async def test_a_runner_runs_again_after_a_crash(self) -> None:
        stage = self._on_stage(Act.CRASH)

        endings = [(await ending(stage.runner, FakeRun(stage.content))).word for _ in range(2)]

        assert endings[0] == endings[1]


class StoppingCases(Stages):
    """How it is stopped."""

    async def test_a_run_asked_to_stop_while_it_talks_ends_without_completing(self) -> None:
        stage = self._on_stage(Act.TALK)
        run = FakeRun(stage.content)
        task, outputs = await begin(stage.runner, run)

        run.stop()

        await asyncio.wait_for(task, 20)
        assert all(verdict.status is not RunState.COMPLETED for verdict in verdicts(outputs))
        assert verdicts(outputs) in ([], outputs[-1:]), "after a verdict nothing more is said"

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

        assert speech(await perform(stage.runner, FakeRun(stage.content))) == "".join(PIECES)


class OutputCases(Stages):
    """What it may yield."""

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


class MixingCases(Stages):
    """That runs and sessions don't meet."""

    async def test_runs_of_one_runner_at_once_dont_mix(self) -> None:
        stage = self._on_stage(Act.SPEAK)

        all_outputs = await asyncio.gather(
            *(perform(stage.runner, FakeRun(stage.content, session=n, number=n)) for n in range(1, 11))
        )

        assert [speech(outputs) for outputs in all_outputs] == ["".join(PIECES)] * 10

    async def test_each_session_is_answered_what_was_said_in_it(self) -> None:
        stage = self._on_stage(Act.ECHO)
        words = ["apple", "bread", "cheese", "dates"]
        runs = [FakeRun(stage.content + word, session=n, number=n) for n, word in enumerate(words, 1)]

        answers = await asyncio.gather(*(perform(stage.runner, run) for run in runs))

        heard = [[word for word in words if word in speech(answer)] for answer in answers]
        assert heard == [[word] for word in words]

    async def test_a_cancelled_run_doesnt_touch_another(self) -> None:
        stage = self._on_stage(Act.WAIT)
        one, _ = await begin(stage.runner, FakeRun(stage.content, session=1, number=1))
        other, _ = await begin(stage.runner, FakeRun(stage.content, session=2, number=2))

        await cancel(one)

        assert not other.done()
        await cancel(other)

    async def test_a_run_leaves_no_task_behind(self) -> None:
        stage = self._on_stage(Act.SPEAK)
        if stage.residence is not None:
            pytest.skip("it keeps something between runs; what is left after that is shown by close")
        before = asyncio.all_tasks()

        await perform(stage.runner, FakeRun(stage.content))

        await _settle()
        assert asyncio.all_tasks() - before == set[asyncio.Task[object]]()

    async def test_a_cancelled_run_leaves_no_task_behind(self) -> None:
        stage = self._on_stage(Act.WAIT)
        if stage.residence is not None:
            pytest.skip("it keeps something between runs; what is left after that is shown by close")
        before = asyncio.all_tasks()
        task, _ = await begin(stage.runner, FakeRun(stage.content))

        await cancel(task)

        await _settle()
        assert asyncio.all_tasks() - before == set[asyncio.Task[object]]()

    async def test_a_runner_asks_for_the_right_to_the_transcript_it_reads(self) -> None:
        assert HISTORY in self._on_stage(Act.READ).runner.descriptor.permissions


async def _settle() -> None:
    """Let what was closed come to its end: a few turns of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)
