"""Cases: what the owner of a run may do to it, how it ends, and what begins then."""

import asyncio

import msgspec
import pytest

from tenure.core.event import (
    MessageCompleted,
    MessageDelta,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    UsageRecorded,
)
from tenure.core.limits import Limits
from tenure.core.output import Usage
from tenure.core.run import RunState
from tenure.core.view import SessionUsage
from tenure.errors import Code, TenureError
from tenure.ports.store import Lease, Settled, Wake
from tenure.stores.contract.stage import ADA, BOB, Cases, Stage, Stages

OUTCOMES = [RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT]


def reply(message_id: str, text: str, *, partial: bool = False) -> MessageCompleted:
    """A whole message of the agent."""
    return MessageCompleted(message_id=message_id, role="assistant", content=text, partial=partial)


def recorded(*spent: Usage) -> list[UsageRecorded]:
    """The events of what a run spent."""
    return [UsageRecorded(**msgspec.structs.asdict(usage)) for usage in spent]


async def fenced(act: object) -> bool:
    """Whether an act is refused for want of the lease."""
    with pytest.raises(TenureError) as refused:
        await act  # pyright: ignore[reportGeneralTypeIssues]
    return refused.value.code is Code.FENCED


class SettlementCases(Cases):
    """Exactly one outcome."""

    async def test_output_of_a_live_run_is_recorded_as_it_is(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, "Good ", "morning")
        await stage.append(start.run_id, reply(said, "Good morning"))
        recorded = (await stage.journal(start.session_id))[3:]

        assert [(r.event, r.run_id) for r in recorded] == [
            (MessageDelta(said, "Good "), start.run_id),
            (MessageDelta(said, "morning"), start.run_id),
            (reply(said, "Good morning"), start.run_id),
        ]

    @pytest.mark.parametrize("verdict", OUTCOMES)
    async def test_a_run_ends_as_its_runner_says(self, stage: Stage, verdict: RunState) -> None:
        start = await stage.begin()
        done = await stage.settle(start.run_id, verdict, "because")
        run = await stage.run(start.run_id)

        assert done == Settled(verdict, Wake((), 0))
        assert (run.status, run.reason, run.retryable) == (verdict, "because", False)
        assert run.finished_at is not None
        assert (await stage.events(start.session_id))[-1] == RunFinished(status=verdict, reason="because")
        info = await stage.info(start.session_id)
        assert (info.status, info.run_id) == ("idle", None)

    @pytest.mark.parametrize("verdict", OUTCOMES)
    async def test_only_a_failed_run_can_be_called_retryable(self, stage: Stage, verdict: RunState) -> None:
        start = await stage.begin()
        await stage.settle(start.run_id, verdict, retryable=True)

        assert (await stage.run(start.run_id)).retryable is (verdict is RunState.FAILED)
        assert (await stage.events(start.session_id))[-1] == RunFinished(
            status=verdict, reason="", retryable=verdict is RunState.FAILED
        )

    @pytest.mark.sources("O16")
    async def test_the_last_output_stands_before_the_end_in_the_same_commit(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, "Hi")
        blocks = len(stage.blocks)
        await stage.settle(start.run_id, final=[reply(said, "Hi")])

        assert (await stage.events(start.session_id))[-2:] == [
            reply(said, "Hi"),
            RunFinished(status="completed", reason=""),
        ]
        assert len(stage.blocks) == blocks + 1

    async def test_what_its_runner_left_open_is_closed_as_partial(self, stage: Stage) -> None:
        start = await stage.begin()
        said = await stage.say(start.run_id, "Good ", "mor")
        await stage.settle(start.run_id, RunState.FAILED, "crash")

        assert (await stage.events(start.session_id))[-2:] == [
            reply(said, "Good mor", partial=True),
            RunFinished(status="failed", reason="crash"),
        ]

    @pytest.mark.sources("D-O8", "D-O10")
    async def test_the_first_end_wins_and_later_ones_are_fenced(self, stage: Stage) -> None:
        start = await stage.begin()
        tried = await asyncio.gather(
            *(stage.settle(start.run_id, verdict) for verdict in OUTCOMES), return_exceptions=True
        )
        finished = [e for e in await stage.events(start.session_id) if isinstance(e, RunFinished)]

        refused = [outcome for outcome in tried if isinstance(outcome, TenureError)]
        assert [e.code for e in refused] == [Code.FENCED] * 3
        assert [event.status for event in finished] == [(await stage.run(start.run_id)).status]

    async def test_a_run_that_is_over_takes_no_output(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.settle(start.run_id)
        head = await stage.store.head(start.session_id)

        assert await fenced(stage.say(start.run_id, "late"))
        assert await fenced(stage.store.expire(stage.lease, start.run_id, stage.at(), "deadline"))
        assert await fenced(stage.store.release(stage.lease, start.run_id, stage.at(), "drain"))
        assert await stage.store.head(start.session_id) == head

    async def test_a_run_that_waits_for_a_slot_takes_no_output(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=0))
        sent = await stage.send(await stage.open())
        assert sent.receipt.run_id is not None

        assert await fenced(stage.say(sent.receipt.run_id, "early"))
        assert await fenced(stage.settle(sent.receipt.run_id))

    async def test_who_doesnt_hold_the_run_can_do_nothing_to_it(self, stage: Stage) -> None:
        start = await stage.begin()
        mine, stage.lease = stage.lease, Lease(stage.lease.incarnation + 1_000)

        assert await fenced(stage.say(start.run_id, "x"))
        assert await fenced(stage.settle(start.run_id))
        assert await fenced(stage.store.expire(stage.lease, start.run_id, stage.at(), "deadline"))
        assert await fenced(stage.store.release(stage.lease, start.run_id, stage.at(), "drain"))
        stage.lease = mine
        assert await stage.store.head(start.session_id) == 3
        assert (await stage.settle(start.run_id)).status is RunState.COMPLETED

    # --- deadlines

    async def test_a_deadline_interrupts_and_then_times_out(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.store.expire(stage.lease, start.run_id, stage.at(), "deadline_exceeded")
        assert (await stage.run(start.run_id)).status == "interrupting"
        done = await stage.settle(start.run_id, RunState.CANCELLED)

        assert done.status is RunState.TIMED_OUT
        assert (await stage.events(start.session_id))[3:] == [
            RunInterrupting(by="deadline", reason="deadline_exceeded"),
            RunFinished(status="timed_out", reason="deadline_exceeded"),
        ]

    async def test_the_reason_of_a_time_out_is_the_one_that_was_given(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.store.expire(stage.lease, start.run_id, stage.at(), "idle")
        await stage.settle(start.run_id, RunState.FAILED, "cancelled in mid air")

        assert (await stage.run(start.run_id)).status == "timed_out"
        assert (await stage.run(start.run_id)).reason == "idle"

    async def test_what_was_finished_when_the_deadline_passed_is_completed(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.store.expire(stage.lease, start.run_id, stage.at(), "deadline_exceeded")

        assert (await stage.settle(start.run_id)).status is RunState.COMPLETED
        assert (await stage.run(start.run_id)).reason == ""

    async def test_a_deadline_leaves_a_run_alone_that_is_being_stopped(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.interrupt(start.session_id)
        await stage.store.expire(stage.lease, start.run_id, stage.at(), "deadline_exceeded")

        assert await stage.store.head(start.session_id) == 4
        assert (await stage.settle(start.run_id, RunState.FAILED)).status is RunState.CANCELLED

    # --- what comes next

    async def test_waiting_messages_run_first_in_first_out_each_in_the_commit_of_the_last_end(
        self, stage: Stage
    ) -> None:
        start = await stage.begin("0")
        for n in range(1, 5):
            await stage.send(start.session_id, str(n), by=[ADA, BOB][n % 2])
        order = [start]
        for _ in range(4):
            blocks = len(stage.blocks)
            (after,) = (await stage.settle(order[-1].run_id)).wake.starts
            assert len(stage.blocks) == blocks + 1
            assert stage.blocks[-1].last == after.seq
            order.append(after)

        assert [(s.content, s.author.user) for s in order] == [
            ("0", "ada"),
            ("1", "bob"),
            ("2", "ada"),
            ("3", "bob"),
            ("4", "ada"),
        ]
        assert len({s.run_id for s in order}) == 5
        assert (await stage.settle(order[-1].run_id)).wake.starts == ()

    @pytest.mark.parametrize("verdict", [RunState.FAILED, RunState.TIMED_OUT, RunState.CANCELLED])
    async def test_however_a_run_ends_the_next_message_runs(self, stage: Stage, verdict: RunState) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "next")

        assert [s.content for s in (await stage.settle(start.run_id, verdict)).wake.starts] == ["next"]

    async def test_a_host_that_takes_no_more_leaves_the_next_run_to_another(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.send(start.session_id, "next")
        done = await stage.settle(start.run_id, takes_next=False)

        assert done == Settled(RunState.COMPLETED, Wake((), 1))
        assert (await stage.info(start.session_id)).status == "running"
        assert [s.content for s in (await stage.claim()).starts] == ["next"]

    async def test_a_message_is_settled_with_its_run(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.settle(start.run_id, RunState.FAILED)
        message = await stage.store.message(start.session_id, start.message_id)

        assert message is not None
        assert (message.status, message.outcome, message.run_id) == (
            "settled",
            "failed",
            start.run_id,
        )

    async def test_a_warning_may_follow_the_end_and_changes_nothing(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.settle(start.run_id)
        warning = RunnerWarning(code="late_result", detail="")
        await stage.store.note(start.session_id, stage.entries(start.run_id, warning))

        assert (await stage.run(start.run_id)).status == "completed"

    # --- usage

    @pytest.mark.sources("O16", "O17")
    async def test_usage_is_booked_on_the_run_and_summed_over_the_session(self, stage: Stage) -> None:
        spent = (
            Usage(model="a", input_tokens=10, output_tokens=20, cost=0.25),
            Usage(model="b", input_tokens=1, output_tokens=2, cost=0.5),
        )
        start = await stage.begin()
        await stage.send(start.session_id)
        await stage.append(start.run_id, *recorded(*spent))
        (after,) = (await stage.settle(start.run_id, usage=spent)).wake.starts
        await stage.settle(after.run_id, RunState.FAILED, final=recorded(*spent[:1]), usage=spent[:1])

        assert (await stage.run(start.run_id)).usage == spent
        assert (await stage.run(after.run_id)).usage == spent[:1]
        assert (await stage.info(start.session_id)).usage == SessionUsage(
            input_tokens=21, output_tokens=42, cost=1.0
        )

    @pytest.mark.sources("O32")
    @pytest.mark.parametrize("unknown_first", [True, False])
    async def test_one_unknown_cost_makes_the_sum_unknown(self, stage: Stage, *, unknown_first: bool) -> None:
        costs = [None, 0.5] if unknown_first else [0.5, None]
        start = await stage.begin()
        usage = tuple(Usage(model="m", input_tokens=5, cost=cost) for cost in costs)
        await stage.append(start.run_id, *recorded(*usage))
        await stage.settle(start.run_id, usage=usage)

        assert (await stage.info(start.session_id)).usage == SessionUsage(
            input_tokens=10, output_tokens=0, cost=None
        )
