"""Cases: the effect ledger. A finished call is never made again, an unknown one only where that is safe."""

import pytest

from tenure.core.command import Remember
from tenure.core.effect import CallStatus
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    EffectResolved,
    RunFinished,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.ledger import Step, digest_of
from tenure.core.run import RunState
from tenure.core.tool import Replay
from tenure.errors import Code, TenureError
from tenure.ports.effects import Intended
from tenure.stores.contract.calling import MAIL, Calls, calls_of, decide, of_calls
from tenure.stores.contract.recoveries import die_and_retry
from tenure.stores.contract.settlements import fenced
from tenure.stores.contract.stage import Cases, Stage, Stages, refusal


async def next_attempt(stages: Stages, stage: Stage, calls: Calls) -> Calls:
    """The host dies, and the run starts over."""
    return Calls(stage, await die_and_retry(stages, stage, calls.start))


class EffectCases(Cases):
    """Every call is in the ledger before it is made."""

    async def test_a_call_is_dispatched_in_the_commit_that_enters_it(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        told = await calls.intend()

        assert told == Intended(
            step=Step.EXECUTE, call_id=told.call_id, arguments=MAIL, digest=digest_of(MAIL)
        )
        assert await of_calls(stage, calls.start.session_id) == [
            ToolCallStarted(call_id=told.call_id, tool="mail", arguments=MAIL)
        ]
        await calls.answer(told.call_id, {"id": 7})
        await calls.answer(told.call_id, "twice")
        assert (await of_calls(stage, calls.start.session_id))[1:] == [
            ToolCallCompleted(call_id=told.call_id, status="ok", result={"id": 7})
        ]

    @pytest.mark.sources("P4")
    async def test_a_finished_call_is_replayed_to_the_next_attempt(
        self, stages: Stages, stage: Stage
    ) -> None:
        first = await calls_of(stage)
        ok, bad = await first.intend(), await first.intend("pay")
        await first.answer(ok.call_id, "sent")
        await first.answer(bad.call_id, {"error": "no"}, CallStatus.ERROR)
        again = await next_attempt(stages, stage, first)
        replayed = [await again.intend(), await again.intend("pay")]

        assert [(told.step, told.call_id, told.status, told.result) for told in replayed] == [
            (Step.REPLAY, ok.call_id, CallStatus.OK, "sent"),
            (Step.REPLAY, bad.call_id, CallStatus.ERROR, {"error": "no"}),
        ]
        assert (await of_calls(stage, first.start.session_id))[-4:-2] == [
            ToolCallStarted(call_id=ok.call_id, tool="mail", arguments=MAIL),
            ToolCallCompleted(call_id=ok.call_id, status="ok", result="sent", replayed=True),
        ]

    async def test_calls_are_matched_by_tool_arguments_and_count(self, stages: Stages, stage: Stage) -> None:
        first = await calls_of(stage)
        made = [
            await first.intend(replay=Replay.SAFE),
            await first.intend(replay=Replay.SAFE),
            await first.intend("mail", {"to": "eve"}, replay=Replay.SAFE),
        ]
        assert len({told.call_id for told in made}) == 3
        for told in made:
            await first.answer(told.call_id, told.call_id)
        again = await next_attempt(stages, stage, first)
        asked = [
            await again.intend("mail", {"to": "eve"}, replay=Replay.SAFE),
            await again.intend(replay=Replay.SAFE),
            await again.intend(replay=Replay.SAFE),
            await again.intend(replay=Replay.SAFE),
        ]

        assert [told.result for told in asked[:3]] == [made[2].call_id, made[0].call_id, made[1].call_id]
        assert (asked[3].step, asked[3].call_id in {told.call_id for told in made}) == (Step.EXECUTE, False)

    async def test_a_key_names_a_call_whatever_its_count(self, stages: Stages, stage: Stage) -> None:
        first = await calls_of(stage)
        await first.answer((await first.intend(replay=Replay.SAFE)).call_id)
        keyed = await first.intend(key="k", replay=Replay.SAFE)
        with pytest.raises(TenureError) as busy:
            await first.intend(key="k", replay=Replay.SAFE)
        await first.answer(keyed.call_id, "keyed")
        again = await next_attempt(stages, stage, first)
        told = await again.intend(key="k", replay=Replay.SAFE)
        with pytest.raises(TenureError) as other:
            await again.intend("mail", {"to": "eve"}, key="k")

        assert busy.value.code is Code.CONFLICT
        assert (told.step, told.call_id, told.result) == (Step.REPLAY, keyed.call_id, "keyed")
        assert refusal(other) == (Code.EFFECT_CONFLICT, {"call_id": keyed.call_id})

    @pytest.mark.sources("P4")
    @pytest.mark.parametrize(
        ("replay", "step"),
        [
            (Replay.NEVER, Step.UNKNOWN),
            (Replay.SAFE, Step.EXECUTE),
            (Replay.VERIFY, Step.VERIFY),
        ],
    )
    async def test_a_call_that_was_cut_off_goes_on_as_its_class_says(
        self, stages: Stages, stage: Stage, replay: Replay, step: Step
    ) -> None:
        first = await calls_of(stage)
        lost = await first.intend(replay=replay)
        again = await next_attempt(stages, stage, first)
        told = await again.intend(replay=replay)

        assert (told.step, told.call_id) == (step, lost.call_id)
        closed = [
            e for e in await of_calls(stage, first.start.session_id) if isinstance(e, ToolCallCompleted)
        ]
        assert closed == (
            [ToolCallCompleted(call_id=lost.call_id, status="unknown")] if step is Step.UNKNOWN else []
        )
        third = await next_attempt(stages, stage, again)
        assert (await third.intend(replay=replay)).step is step

    async def test_a_tool_may_say_later_that_an_unknown_call_was_made(
        self, stages: Stages, stage: Stage
    ) -> None:
        first = await calls_of(stage)
        lost = await first.intend(replay=Replay.VERIFY)
        again = await next_attempt(stages, stage, first)
        await again.intend(replay=Replay.VERIFY)
        await again.answer(lost.call_id, None, CallStatus.UNKNOWN)
        third = await next_attempt(stages, stage, again)
        assert (await third.intend(replay=Replay.VERIFY)).step is Step.VERIFY
        await third.answer(lost.call_id, "it was", verified=True)

        assert (await stage.events(first.start.session_id))[-2:] == [
            ToolCallCompleted(call_id=lost.call_id, status="ok", result="it was"),
            EffectResolved(call_id=lost.call_id, status="ok"),
        ]

    async def test_a_call_that_was_never_made_is_dispatched_again(self, stages: Stages, stage: Stage) -> None:
        first = await calls_of(stage)
        lost = await first.intend(replay=Replay.VERIFY)
        again = await next_attempt(stages, stage, first)
        await again.intend(replay=Replay.VERIFY)

        assert (await again.dispatch(lost.call_id)).step is Step.EXECUTE
        await again.answer(lost.call_id)
        assert (await again.dispatch(lost.call_id)).step is Step.REPLAY

    @pytest.mark.sources("P4")
    async def test_a_new_call_after_calls_that_were_left_out_asks_a_person(
        self, stages: Stages, stage: Stage
    ) -> None:
        first = await calls_of(stage)
        sent = await first.intend("mail", {"text": "Dear Bob"})
        await first.answer(sent.call_id)
        harmless = await first.intend("look", {}, replay=Replay.SAFE)
        await first.answer(harmless.call_id)
        again = await next_attempt(stages, stage, first)
        looked = await again.intend("look", {"n": 2}, replay=Replay.SAFE)
        told = await again.intend("mail", {"text": "Hi Bob"})

        assert (looked.step, told.step) == (Step.EXECUTE, Step.ASK)
        (asked,) = [e for e in await stage.events(first.start.session_id) if isinstance(e, ApprovalRequested)]
        assert (asked.reason, asked.done) == ("changed_after_retry", (sent.call_id,))

    async def test_a_remembered_tool_is_approved_by_rule_in_one_commit(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        approval_id = await calls.ask()
        await decide(stage, approval_id, remember=Remember.SESSION)
        head = (await stage.info(calls.start.session_id)).head_seq
        told = await calls.intend("mail", {"to": "eve"}, asks=True)

        assert told.step is Step.EXECUTE
        started, requested, resolved = await stage.events(calls.start.session_id, head)
        assert isinstance(requested, ApprovalRequested)
        assert started == ToolCallStarted(call_id=told.call_id, tool="mail", arguments={"to": "eve"})
        assert resolved == ApprovalResolved(approval_id=requested.approval_id, decision="granted", by="rule")
        assert stage.delivered(calls.start.session_id)[-1].last == head + 3


class LedgerCases(Cases):
    """Who may write into the ledger, and what the end of a run leaves in it."""

    async def test_only_the_attempt_that_is_held_may_call(self, stages: Stages, stage: Stage) -> None:
        first = await calls_of(stage)
        told = await first.intend()
        before = stage.lease
        again = await next_attempt(stages, stage, first)
        assert await fenced(first.intend())
        assert await fenced(first.answer(told.call_id))
        assert await fenced(first.dispatch(told.call_id))
        stage.lease, current = before, stage.lease
        assert await fenced(again.intend())
        stage.lease = current

    async def test_a_run_that_is_being_stopped_makes_no_calls(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        await stage.interrupt(calls.start.session_id)
        with pytest.raises(TenureError) as caught:
            await calls.intend()

        assert refusal(caught) == (Code.NOT_RUNNING, {"run_id": calls.start.run_id})

    @pytest.mark.sources("D-M15")
    async def test_the_end_of_a_run_closes_every_call(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        open_, done = await calls.intend(), await calls.intend("pay")
        await calls.answer(done.call_id)
        await stage.settle(calls.start.run_id, RunState.FAILED, "crash")

        assert (await stage.events(calls.start.session_id))[-2:] == [
            ToolCallCompleted(call_id=open_.call_id, status="unknown"),
            RunFinished(status="failed", reason="crash"),
        ]

    async def test_deleting_a_session_frees_its_calls_and_approvals(self, stage: Stage) -> None:
        calls = await calls_of(stage)
        await calls.intend()
        approval_id = await calls.ask()
        await stage.store.delete_session(stage.stamp(), calls.start.session_id)
        while await stage.store.purge(stage.at()):
            pass

        assert await stage.store.approvals.get(approval_id) is None
        assert await stage.store.ground_of_approval(approval_id) is None
        assert (await of_calls(stage, calls.start.session_id)) == []
