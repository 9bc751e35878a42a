"""Cases: an occurrence ends as its run does, and is tried again; its message is one like any other."""

import pytest

from tenure.core.command import ChangeMessage, CloseSession, OpenSession, Promotion, RetryRun, SendMessage
from tenure.core.event import (
    RecallChanged,
    RecallFired,
    RecallRetrying,
)
from tenure.core.history import UndoTurns
from tenure.core.message import BusyPolicy
from tenure.core.moment import SECOND
from tenure.core.principal import Principal, Role
from tenure.core.recall import Overlap, RecallPolicy
from tenure.core.run import RunState
from tenure.core.schedule import ScheduleSignal
from tenure.errors import Code, TenureError
from tenure.stores.contract.forks import forked
from tenure.stores.contract.occurrences import busy
from tenure.stores.contract.recalling import SAID, Plan, instant, planned
from tenure.stores.contract.retention import A_DAY, retire, turn
from tenure.stores.contract.stage import ADA, BOB, Cases, Stage, Stages, person

FAILED, COMPLETED = RunState.FAILED, RunState.COMPLETED
AGAIN = RecallPolicy(retries=1)


async def failed_once(stage: Stage, policy: RecallPolicy = AGAIN) -> Plan:
    """A schedule whose first occurrence failed."""
    plan = await planned(stage, await stage.open(), policy=policy)
    await stage.settle((await plan.start()).run_id, FAILED, "no water")
    return plan


class OutcomeCases(Cases):
    """An occurrence ends as its run does, and one that failed is tried again as the policy says."""

    @pytest.mark.parametrize("verdict", [COMPLETED, FAILED, RunState.TIMED_OUT])
    async def test_it_has_the_outcome_of_its_run(self, stage: Stage, verdict: RunState) -> None:
        plan = await planned(stage, await stage.open())
        start = await plan.start()
        await stage.settle(start.run_id, verdict)
        (row,) = await plan.rows()

        assert (row.outcome, row.run_id, row.retry_at) == (verdict, start.run_id, None)
        assert (await plan.info()).failures == int(verdict is not COMPLETED)

    async def test_one_that_was_stopped_is_neither_a_failure_nor_tried_again(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open(), policy=AGAIN)
        start = await plan.start()
        await stage.interrupt(start.session_id)
        await stage.settle(start.run_id, RunState.CANCELLED)

        assert (await plan.told(), (await plan.info()).failures) == ([("admitted", None, "cancelled")], 0)
        assert (await plan.acts.due(instant(0), instant(99), 9)).retries == []

    async def test_one_whose_host_was_lost_for_good_is_lost(self, stages: Stages, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        await plan.start()
        for _ in range(3):
            stage = await stages.restart(stage)
            await stage.store.reap(stage.lease, stage.at())
            await stage.claim()

        assert await Plan(stage, plan.id).told() == [("admitted", None, "lost")]

    async def test_a_failed_one_says_when_it_is_tried_again(self, stage: Stage) -> None:
        plan = await failed_once(stage)
        (row,) = await plan.rows()
        session_id = (await plan.info()).session_id or ""

        assert row.retry_at is not None
        assert (await stage.events(session_id))[-1] == RecallRetrying(
            schedule_id=plan.id, occurrence=plan.occurrence(1), attempt=2, retry_at=row.retry_at
        )
        assert (await plan.acts.due(instant(0), instant(99), 9)).retries == [(plan.occurrence(1), 1)]
        assert ((await plan.info()).failures, await plan.acts.next_at()) == (
            0,
            stage.at() - 1_000 + 30 * SECOND,
        )

    async def test_a_second_try_is_a_message_of_the_same_occurrence(self, stage: Stage) -> None:
        plan = await failed_once(stage)
        (start,) = (await plan.retry()).starts
        await stage.settle(start.run_id)
        (row,) = await plan.rows()
        fired = [e for e in await stage.events(start.session_id) if isinstance(e, RecallFired)]

        assert (row.message_id, row.run_id, row.attempts, row.outcome, row.retry_at) == (
            start.message_id,
            start.run_id,
            2,
            "completed",
            None,
        )
        info = await plan.info()
        assert (len(fired), info.runs, info.failures) == (1, 1, 0)
        assert start.origin.recall is not None
        assert start.origin.recall.occurrence == plan.occurrence(1)

    async def test_the_same_try_is_made_once(self, stage: Stage) -> None:
        plan = await failed_once(stage)
        first, again = await plan.retry(), await plan.retry()

        assert (len(first.starts), again.starts, (await plan.rows())[0].attempts) == (1, (), 2)

    async def test_after_the_last_try_it_has_failed_for_good(self, stage: Stage) -> None:
        plan = await failed_once(stage)
        (start,) = (await plan.retry()).starts
        await stage.settle(start.run_id, FAILED)

        assert ((await plan.rows())[0].retry_at, (await plan.info()).failures) == (None, 1)

    @pytest.mark.parametrize("signal", [ScheduleSignal.PAUSE, ScheduleSignal.CANCEL])
    async def test_what_rests_or_is_over_tries_nothing_again(
        self, stage: Stage, signal: ScheduleSignal
    ) -> None:
        waiting, running = await failed_once(stage), await planned(stage, await stage.open(), policy=AGAIN)
        start = await running.start()
        await waiting.turn(signal)
        await running.turn(signal)
        await stage.settle(start.run_id, FAILED)

        assert (await waiting.acts.due(instant(0), instant(99), 9)).retries == []
        assert (await waiting.retry()).starts == ()
        assert await waiting.told() == await running.told() == [("admitted", None, "failed")]

    async def test_a_done_one_is_tried_again_all_the_same(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open(), policy=AGAIN)
        (start,) = (await plan.fire(1, follows=None)).starts
        await stage.settle(start.run_id, FAILED)

        assert ((await plan.info()).status, len((await plan.retry()).starts)) == ("done", 1)

    @pytest.mark.parametrize("gone", ["closed", "deleted"])
    async def test_a_try_that_is_refused_is_the_last(self, stage: Stage, gone: str) -> None:
        plan = await planned(stage, policy=AGAIN)
        start = await plan.start()
        await stage.settle(start.run_id, FAILED)
        if gone == "closed":
            await stage.store.close_session(stage.stamp(), start.session_id, CloseSession())
        else:
            await stage.store.delete_session(stage.stamp(), start.session_id)
        await plan.retry()

        assert await plan.told() == [("admitted", None, "failed")]
        assert ((await plan.info()).failures, (await plan.acts.due(instant(0), instant(99), 9)).retries) == (
            1,
            [],
        )

    async def test_after_so_many_failures_in_a_row_it_is_paused_with_the_reason(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open(), policy=RecallPolicy(pause_after_failures=2))
        verdicts = [FAILED, COMPLETED, FAILED, FAILED]
        for n, verdict in enumerate(verdicts, 1):
            assert (await plan.info()).status == "active"
            await stage.settle((await plan.start(n)).run_id, verdict)

        info = await plan.info()
        assert (info.status, info.reason, info.failures) == ("paused", "failures", 2)
        assert (await stage.events((await plan.info()).session_id or ""))[-1] == RecallChanged(
            schedule_id=plan.id, status="paused", by="host", reason="failures"
        )
        await plan.turn(ScheduleSignal.RESUME)
        assert (await plan.info()).failures == 0

    async def test_a_failed_run_that_somebody_tries_again_gives_the_occurrence_its_new_outcome(
        self, stage: Stage
    ) -> None:
        plan = await failed_once(stage)
        (row,) = await plan.rows()
        run_id = stage.ids.new("run_")
        await stage.store.retry_run(stage.stamp(), row.run_id or "", RetryRun(), stage.lease, run_id)
        meanwhile = await plan.told()
        retries = (await plan.acts.due(instant(0), instant(99), 9)).retries
        await stage.settle(run_id)
        (row,) = await plan.rows()

        assert (meanwhile, retries) == ([("admitted", None, None)], [])
        assert (row.outcome, row.run_id, row.attempts) == ("completed", run_id, 1)


class SessionOfRecallCases(Cases):
    """What else happens to a message that a schedule sent."""

    async def test_one_that_waits_may_be_withdrawn(self, stage: Stage) -> None:
        plan, run_id = await busy(stage)
        await plan.fire(1)
        (row,) = await plan.rows()
        await stage.store.withdraw_message(
            stage.stamp(),
            row.session_id or "",
            row.message_id or "",
            None,
            stage.lease,
            stage.ids.new("run_"),
        )

        assert (await plan.told(), (await plan.info()).status) == (
            [("admitted", None, "withdrawn")],
            "active",
        )
        assert (await stage.settle(run_id)).wake.starts == ()

    async def test_one_that_waits_may_be_edited_and_the_schedule_says_the_same_on(self, stage: Stage) -> None:
        plan, run_id = await busy(stage)
        await plan.fire(1)
        await change(stage, plan, ChangeMessage(content="Only the roses"))
        (start,) = (await stage.settle(run_id)).wake.starts

        assert (start.content, (await plan.info()).message) == ("Only the roses", SAID)

    async def test_nobody_else_and_no_weaker_key_changes_what_one_that_waits_says(self, stage: Stage) -> None:
        start = await stage.begin()
        oda = person("oda", Role.OPERATOR)
        await stage.key(oda)
        plan = await planned(stage, start.session_id, by=oda)
        await plan.fire(1)
        for by in (BOB, person("oda", Role.MEMBER)):
            with pytest.raises(TenureError) as caught:
                await change(stage, plan, ChangeMessage(content="Mine"), by)
            assert caught.value.code is Code.FORBIDDEN
        await change(stage, plan, ChangeMessage(promote=Promotion.NEXT), BOB)
        await change(stage, plan, ChangeMessage(content="Only the roses"), oda)

        assert [(await stage.settle(start.run_id)).wake.starts[0].content] == ["Only the roses"]

    async def test_one_that_waits_steers_nobody(self, stages: Stages) -> None:
        stage = await stages.open()
        plan, _ = await busy(stage)
        await plan.fire(1)
        with pytest.raises(TenureError) as caught:
            await change(stage, plan, ChangeMessage(promote=Promotion.STEER))

        assert (caught.value.code, caught.value.facts["reason"]) == (Code.UNSUPPORTED, "recall")

    @pytest.mark.parametrize("policy", [BusyPolicy.LATEST, BusyPolicy.MERGE])
    async def test_its_makers_next_word_neither_replaces_nor_joins_it(
        self, stage: Stage, policy: BusyPolicy
    ) -> None:
        plan, run_id = await busy(stage)
        await plan.fire(1)
        await stage.send(
            (await plan.info()).session_id or "", SendMessage(content="and now?", when_busy=policy)
        )
        (start,) = (await stage.settle(run_id)).wake.starts
        (next_start,) = (await stage.settle(start.run_id)).wake.starts

        assert (start.content, next_start.content) == (SAID, "and now?")
        assert await plan.told() == [("admitted", None, "completed")]

    async def test_its_turn_is_undone_like_any_other_and_its_outcome_stays(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        start = await plan.start()
        await stage.settle(start.run_id)
        undone, _ = await stage.store.histories.undo(stage.stamp(), start.session_id, UndoTurns())

        assert (undone.value.run_ids, undone.value.message_ids) == ((start.run_id,), (start.message_id,))
        assert await plan.told() == [("admitted", None, "completed")]

    async def test_what_became_of_it_outlives_the_entries_that_say_so(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open(), policy=RecallPolicy(overlap=Overlap.SKIP))
        (start,) = (await plan.fire(3, missed=[1, 2])).starts
        await plan.fire(4)
        await stage.settle(start.run_id)
        before = await plan.rows()
        for _ in range(2):
            await turn(stage, start.session_id, 800)
        stage.pass_time(2 * A_DAY)
        went = await retire(stage)

        assert (went > 10, await plan.rows()) == (True, before)

    async def test_a_fork_has_the_turn_but_not_the_schedule(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        start = await plan.start()
        await stage.settle(start.run_id)
        child = await forked(stage, start.session_id)
        page = await stage.store.transcript(child, None, 10)

        assert [item.message_id for item in page.data] == [start.message_id]
        assert (await plan.rows())[0].session_id == (await plan.info()).session_id == start.session_id

    async def test_a_session_that_goes_leaves_the_row_of_an_agents_occurrence(self, stage: Stage) -> None:
        plan = await planned(stage)
        start = await plan.start()
        await stage.store.delete_session(stage.stamp(), start.session_id)
        while await stage.store.purge(stage.at()):
            pass
        (row,) = await plan.rows()
        other = await stage.open(ask=OpenSession(agent="greeter"))

        assert (row.session_id, row.outcome, (await plan.info()).status) == (
            start.session_id,
            "cancelled",
            "active",
        )
        assert (await stage.send(other)).start.origin.recall is None

    async def test_what_is_scheduled_ends_with_its_session_and_says_so(self, stage: Stage) -> None:
        plan = await failed_once(stage)
        session_id = (await plan.info()).session_id or ""
        await stage.store.delete_session(stage.stamp(), session_id)

        info = await plan.info()
        assert (info.status, info.reason) == ("cancelled", "session_deleted")
        assert await plan.acts.due(instant(0), instant(99), 9) == ([], [])
        assert await plan.acts.next_at() is None


async def change(stage: Stage, plan: Plan, ask: ChangeMessage, by: Principal = ADA) -> None:
    """Change the waiting message of the newest occurrence."""
    row = (await plan.rows())[-1]
    await stage.store.change_message(
        stage.stamp(by),
        row.session_id or "",
        row.message_id or "",
        ask,
        stage.lease,
        stage.ids.new("run_"),
    )
