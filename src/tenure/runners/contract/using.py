"""What a runner may use: transcript, files, usage, steering, the host's tools, and people's leave."""

import asyncio

from tenure.core.effect import CallStatus
from tenure.core.grant import HISTORY, RECALLS
from tenure.core.output import Output, Spent, ToolStarted, completed
from tenure.core.run import RunState
from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError
from tenure.runners.contract.staging import (
    AFTER,
    ARGUMENTS,
    BEFORE,
    EDITED,
    FILE,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    OWN_ARGUMENTS,
    OWN_TOOL,
    PICTURE,
    RECALL_S,
    RECALLED,
    REMEMBERED,
    RESULT,
    SAID,
    STEERED,
    TOOL,
    WHY,
    Act,
    Stage,
    Stages,
    begin,
    cancel,
    ended,
    ending,
    perform,
    speech,
    until_asked,
)
from tenure.runners.rehearsal import FakeRun
from tenure.runners.rehearsed_tools import Made


def note(text: str) -> str:
    """What the tool of the host does, where it does something."""
    return RESULT


class ConversationCases(Stages):
    """What it knows of the session, and what it says of its work."""

    async def test_the_transcript_can_be_read_with_the_right_to_it(self) -> None:
        stage = self._on_stage(Act.READ)

        outputs = await perform(stage.runner, FakeRun(stage.content, said=SAID))

        assert str(len(SAID)) in speech(outputs)
        assert outputs[-1] == completed()

    async def test_the_transcript_is_withheld_without_the_right_to_it(self) -> None:
        stage = self._on_stage(Act.READ)
        run = FakeRun(stage.content, apis=(), said=SAID)

        told = await ending(stage.runner, run)

        assert told.word in {"refused", RunState.FAILED} or str(len(SAID)) not in told.said

    async def test_a_turn_that_was_undone_is_unknown_to_the_next(self) -> None:
        stage = self._on_stage(Act.UNDO)
        undone = FakeRun(stage.content + " xylophone")
        await perform(stage.runner, undone)

        outputs = await perform(stage.runner, FakeRun(stage.content, number=2, earlier=undone))

        assert "xylophone" not in speech(outputs)
        assert outputs[-1] == completed()

    async def test_a_later_run_finds_the_checkpoint_of_an_earlier_one(self) -> None:
        stage = self._on_stage(Act.REMEMBER)
        first = FakeRun(stage.content)
        strange = await perform(stage.runner, first)

        later = self._on_stage(Act.REMEMBER)
        known = await perform(later.runner, FakeRun(later.content, number=2, earlier=first))

        assert REMEMBERED not in speech(strange)
        assert REMEMBERED in speech(known)

    async def test_what_was_spent_is_reported(self) -> None:
        spent = [output.usage for output in await self._perform(Act.SPEND) if isinstance(output, Spent)]

        assert sum(usage.input_tokens for usage in spent) == INPUT_TOKENS
        assert sum(usage.output_tokens for usage in spent) == OUTPUT_TOKENS
        assert all(usage.model for usage in spent)

    async def test_a_file_of_the_message_is_read(self) -> None:
        stage = self._on_stage(Act.ATTACH)
        name, data = FILE

        outputs = await perform(stage.runner, FakeRun(stage.content, files={name: data}))

        assert data.decode() in speech(outputs)

    async def test_a_picture_of_the_message_is_seen(self) -> None:
        stage = self._on_stage(Act.SEE)
        name, data = PICTURE

        outputs = await perform(stage.runner, FakeRun(stage.content, files={name: data}))

        assert str(len(data)) in speech(outputs)

    async def test_steering_is_taken_once_and_in_order(self) -> None:
        stage = self._on_stage(Act.STEER)
        run = FakeRun(stage.content)
        task, outputs = await begin(stage.runner, run)

        for text in STEERED:
            run.steering.send(text)
        await ended(task)

        said = speech(outputs)
        assert [said.count(text) for text in STEERED] == [1, 1]
        assert said.index(STEERED[0]) < said.index(STEERED[1])
        assert run.steering.pending == 0
        assert outputs[-1] == completed()


class ToolCases(Stages):
    """How it calls the tools of the host."""

    async def test_a_tool_of_the_host_is_called_once_and_its_result_used(self) -> None:
        stage = self._on_stage(Act.USE)
        run = FakeRun(stage.content, tools={TOOL: note})

        outputs = await perform(stage.runner, run)

        assert run.tools.made == [Made(TOOL, ARGUMENTS)]
        assert RESULT in speech(outputs)
        assert outputs[-1] == completed()

    async def test_a_call_through_the_host_is_not_told_again_as_an_own_one(self) -> None:
        stage = self._on_stage(Act.USE)
        run = FakeRun(stage.content, tools={TOOL: note})

        assert started(await perform(stage.runner, run)) == []

    async def test_a_tool_that_fails_is_told_and_not_called_again(self) -> None:
        await self._check_refused(Code.INTERNAL)

    async def test_a_denied_call_is_told_and_not_made_again(self) -> None:
        await self._check_refused(Code.DENIED)

    async def test_a_call_of_unknown_outcome_is_told_and_not_made_again(self) -> None:
        await self._check_refused(Code.OUTCOME_UNKNOWN)

    async def _check_refused(self, code: Code) -> None:
        stage = self._on_stage(Act.USE)

        def refuse(text: str) -> object:
            raise TenureError(code, f"The call of {TOOL} came to nothing: {WHY}.")

        run = FakeRun(stage.content, tools={TOOL: refuse})

        told = await ending(stage.runner, run)

        assert run.tools.made == [Made(TOOL, ARGUMENTS)]
        assert WHY in told.told

    async def test_a_tool_that_was_not_granted_is_not_called(self) -> None:
        stage = self._on_stage(Act.USE)
        run = FakeRun(stage.content)

        await ending(stage.runner, run)

        assert run.tools.made == []

    async def test_a_run_whose_call_waits_can_be_cancelled(self) -> None:
        stage = self._on_stage(Act.USE)
        called, trail = asyncio.Event(), list[str]()

        async def wait(text: str) -> None:
            called.set()
            try:
                await asyncio.Event().wait()
            finally:
                trail.append("left")

        run = FakeRun(stage.content, tools={TOOL: wait})
        task = asyncio.create_task(perform(stage.runner, run))
        async with asyncio.timeout(20):
            await called.wait()

        await cancel(task)

        assert trail == ["left"]


class RecallCases(Stages):
    """How it has something said later."""

    async def test_something_is_said_later_and_its_id_told(self) -> None:
        stage = self._on_stage(Act.RECALL)
        run = FakeRun(stage.content, apis=(HISTORY, RECALLS))

        outputs = await perform(stage.runner, run)

        assert [(one.message, one.in_s) for one in run.recalls.made.values()] == [(RECALLED, RECALL_S)]
        assert all(schedule_id in speech(outputs) for schedule_id in run.recalls.made)
        assert outputs[-1] == completed()

    async def test_nothing_is_said_later_without_the_right_to_it(self) -> None:
        stage = self._on_stage(Act.RECALL)
        run = FakeRun(stage.content)

        told = await ending(stage.runner, run)

        assert run.recalls.made == {}
        assert RECALLS in told.told, "people aren't told what is missing"

    async def test_a_runner_asks_for_the_right_to_have_things_said_later(self) -> None:
        assert RECALLS in self._on_stage(Act.RECALL).runner.descriptor.permissions


class OwnCallCases(Stages):
    """How it asks people about the calls that its agent makes by itself."""

    async def test_a_granted_call_is_made_once_and_settled_once(self) -> None:
        stage = self._on_stage(Act.ASK)
        run = FakeRun(stage.content)

        outputs = await perform(stage.runner, run)

        assert run.own.asked == [(OWN_TOOL, OWN_ARGUMENTS)]
        assert made(stage) == [OWN_ARGUMENTS]
        assert [status for status, _ in run.own.settled.values()] == [CallStatus.OK]
        assert outputs[-1] == completed()

    async def test_a_call_that_people_were_asked_about_is_not_told_again(self) -> None:
        stage = self._on_stage(Act.ASK)

        assert started(await perform(stage.runner, FakeRun(stage.content))) == []

    async def test_a_denied_call_is_neither_made_nor_settled(self) -> None:
        stage = self._on_stage(Act.ASK)
        run = FakeRun(stage.content)
        run.own.judge = lambda tool, arguments: False

        told = await ending(stage.runner, run)

        assert made(stage) == []
        assert run.own.settled == {}
        assert told.word in {RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED}

    async def test_nothing_is_made_before_the_answer(self) -> None:
        stage = self._on_stage(Act.ASK)
        run = FakeRun(stage.content)
        task, _ = await until_asked(stage.runner, run)

        before = made(stage)
        run.own.answering.set()
        await ended(task)

        assert before == []
        assert made(stage) == [OWN_ARGUMENTS]

    async def test_a_run_that_is_cancelled_while_it_asks_makes_nothing(self) -> None:
        stage = self._on_stage(Act.ASK)
        run = FakeRun(stage.content)
        task, _ = await until_asked(stage.runner, run)

        await cancel(task)

        assert run.own.withdrawn == [(OWN_TOOL, OWN_ARGUMENTS)]
        assert made(stage) == []
        assert run.own.settled == {}

    async def test_what_is_made_is_what_was_approved(self) -> None:
        stage = self._on_stage(Act.EDIT)
        run = FakeRun(stage.content)
        run.own.edited = EDITED

        await perform(stage.runner, run)

        assert made(stage) == [EDITED]


class ResumeCases(Stages):
    """How it goes on after an answer, in an attempt of its own."""

    async def test_a_checkpoint_is_kept_before_the_question(self) -> None:
        _, first, _ = await self._let_go()

        assert list(first.checkpoints.kept) == [first.run_id]
        assert None not in first.own.kept, "a host that dies while people are asked finds no checkpoint"

    async def test_the_next_attempt_goes_on_and_does_nothing_twice(self) -> None:
        stage, first, before = await self._let_go()
        later, outputs = await self._go_on(first, granted=True)

        assert made(stage) + made(later) == [OWN_ARGUMENTS]
        assert (speech(before).count(BEFORE), speech(outputs).count(BEFORE)) == (1, 0)
        assert AFTER in speech(outputs)
        assert outputs[-1] == completed()

    async def test_the_next_attempt_goes_on_after_a_denial_too(self) -> None:
        stage, first, _ = await self._let_go()
        later, outputs = await self._go_on(first, granted=False)

        assert made(stage) + made(later) == []
        assert BEFORE not in speech(outputs)

    async def _let_go(self) -> tuple[Stage, FakeRun, list[Output]]:
        """An attempt that the host lets go while it waits for an answer."""
        stage = self._on_stage(Act.RESUME)
        run = FakeRun(stage.content)
        task, outputs = await until_asked(stage.runner, run)
        await cancel(task)
        return stage, run, outputs

    async def _go_on(self, first: FakeRun, *, granted: bool) -> tuple[Stage, list[Output]]:
        """The next attempt, by a runner that knows nothing but the checkpoint."""
        stage = self._on_stage(Act.RESUME)
        run = FakeRun(stage.content, attempt=2, earlier=first, resumed=True)
        run.own.judge = lambda tool, arguments: granted
        return stage, await perform(stage.runner, run)


class ClosingCases(Stages):
    """What it leaves behind."""

    async def test_nothing_is_left_after_closing(self) -> None:
        stage = self._on_stage(Act.CLOSE)
        task, _ = await begin(stage.runner, FakeRun(stage.content))
        await cancel(task)

        await shut(stage)

        assert left(stage) == 0

    async def test_closing_ends_runs_that_are_under_way(self) -> None:
        stage = self._on_stage(Act.CLOSE)
        task, _ = await begin(stage.runner, FakeRun(stage.content))

        await shut(stage)

        await ended(task)
        assert left(stage) == 0

    async def test_closing_twice_is_no_fault(self) -> None:
        stage = self._on_stage(Act.CLOSE)

        await shut(stage)
        await shut(stage)

        assert left(stage) == 0

    async def test_a_session_that_was_forgotten_can_be_worked_for_again(self) -> None:
        stage = self._on_stage(Act.CLOSE)
        assert stage.residence is not None
        run = FakeRun(stage.content)
        task, _ = await begin(stage.runner, run)
        await cancel(task)

        await stage.residence.forget(run.session_id)
        await stage.residence.forget("ses_" + "f" * 32)

        again, _ = await begin(stage.runner, FakeRun(stage.content, number=2, earlier=run))
        await cancel(again)
        await shut(stage)
        assert left(stage) == 0


def started(outputs: list[Output]) -> list[str]:
    """The calls that the runner told as its agent's own."""
    return [output.tool for output in outputs if isinstance(output, ToolStarted)]


def made(stage: Stage) -> list[Arguments]:
    """With which arguments the agent's own tool was called."""
    assert stage.made is not None, "the stage tells what its agent's own tool was called with, in `made`"
    return [*stage.made()]


def left(stage: Stage) -> int:
    """What the runner left behind."""
    assert stage.left is not None, "the stage tells what is left behind, in `left`"
    return stage.left()


async def shut(stage: Stage) -> None:
    """Close where the runner keeps something."""
    assert stage.residence is not None, "the stage tells where its runner keeps something, in `residence`"
    async with asyncio.timeout(20):
        await stage.residence.close()
