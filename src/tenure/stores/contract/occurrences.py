"""Cases: each nominal instant becomes a message once, or is left out with a reason."""

import asyncio
from typing import NamedTuple

import pytest

from tenure.core.command import CloseSession
from tenure.core.event import (
    MessageAdmitted,
    RecallDeferred,
    RecallMissed,
    RecallSkipped,
    RunStarted,
)
from tenure.core.limits import Limits
from tenure.core.moment import timestamp
from tenure.core.principal import Principal, Role
from tenure.core.recall import Overlap, RecallPolicy
from tenure.core.run import RunState
from tenure.core.scheduling import OccurrenceInfo
from tenure.errors import Code, TenureError
from tenure.stores.contract.recalling import PLAIN, SAID, Plan, instant, planned
from tenure.stores.contract.stage import ADMIN, EVE, Cases, Stage, Stages, person

FAILED, COMPLETED = RunState.FAILED, RunState.COMPLETED
SKIP = RecallPolicy(overlap=Overlap.SKIP)


class Person(NamedTuple):
    """Somebody who isn't of the stage, and the one key they have."""

    who: Principal
    key_id: str

    async def leave(self, stage: Stage) -> None:
        """All their keys end."""
        await stage.store.revoke_key(stage.stamp(ADMIN), self.key_id)


async def zoe(stage: Stage, role: Role = Role.MEMBER) -> Person:
    """Somebody with a single key."""
    who = person("zoe", role)
    return Person(who, await stage.key(who))


async def busy(stage: Stage, policy: RecallPolicy = PLAIN) -> tuple[Plan, str]:
    """A schedule for a session whose run lives, and that run."""
    start = await stage.begin()
    return await planned(stage, start.session_id, policy=policy), start.run_id


class FiringCases(Cases):
    """What is decided about instants is done once."""

    @pytest.mark.sources("P10")
    async def test_an_occurrence_is_fired_admitted_and_started_in_one_commit(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        start = await plan.start()
        (row,) = await plan.rows()
        (block,) = stage.delivered(start.session_id)[-1:]

        assert await stage.types(start.session_id, 2) == ["recall.fired", "message.admitted", "run.started"]
        assert (block.first, block.last) == (3, 5)
        assert row == OccurrenceInfo(
            id=plan.occurrence(1),
            schedule_id=plan.id,
            due_at=timestamp(instant(1)),
            state="admitted",
            session_id=start.session_id,
            message_id=start.message_id,
            run_id=start.run_id,
            attempts=1,
            seen_at=row.seen_at,
        )
        info = await plan.info()
        assert (info.runs, info.next_at, info.last) == (1, timestamp(instant(2)), row)

    async def test_a_run_names_its_schedule_and_its_message(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        start = await plan.start()
        events = await stage.events(start.session_id)
        (begun,) = [e for e in events if isinstance(e, RunStarted)]
        (admitted,) = [e for e in events if isinstance(e, MessageAdmitted)]
        trigger, recall = begun.trigger, start.origin.recall

        assert (trigger.kind, trigger.id, trigger.message_id) == ("recall", plan.id, start.message_id)
        assert recall is not None
        assert (recall.schedule_id, recall.occurrence, recall.due_at, recall.reminder) == (
            plan.id,
            plan.occurrence(1),
            timestamp(instant(1)),
            False,
        )
        assert (admitted.occurrence, admitted.reminder) == (plan.occurrence(1), False)
        assert (start.content, start.author.user) == (SAID, "ada")

    @pytest.mark.sources("P10")
    async def test_of_many_that_fire_the_same_instant_one_does(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        firings = [await plan.firing(1) for _ in range(20)]
        wakes = await asyncio.gather(*(plan.acts.fire(one, stage.lease) for one in firings))

        assert sum(len(wake.starts) for wake in wakes) == 1
        assert (len(await plan.rows()), (await plan.info()).runs) == (1, 1)

    @pytest.mark.sources("P10")
    async def test_an_instant_that_was_looked_at_is_not_fired_again_though_an_edit_names_it(
        self, stage: Stage
    ) -> None:
        plan = await planned(stage, await stage.open())
        start = await plan.start()
        await plan.revise(follows=1)
        wake = await plan.fire(1, missed=[], follows=2)

        assert (wake.starts, (await plan.info()).next_at) == ((), timestamp(instant(2)))
        assert [row.message_id for row in await plan.rows()] == [start.message_id]

    async def test_an_instant_at_which_somebody_asked_fires_too(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        answer, _ = await plan.trigger(stamp=stage.stamp()._replace(at=instant(1)))
        await plan.fire(1)

        rows = await plan.rows()
        assert [(row.due_at, row.manual) for row in rows] == [
            (answer.value.due_at, True),
            (answer.value.due_at, False),
        ]
        assert len({row.id for row in rows}) == 2

    async def test_several_that_were_missed_come_in_order_behind_each_other(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        wake = await plan.fire(3, 4, missed=[1, 2])
        session_id = (await plan.info()).session_id or ""
        missed = RecallMissed(
            schedule_id=plan.id,
            count=2,
            first=timestamp(instant(1)),
            last=timestamp(instant(2)),
            reason="late",
        )

        assert await plan.told() == [
            ("missed", "late", None),
            ("missed", "late", None),
            ("admitted", None, None),
            ("admitted", None, None),
        ]
        assert await stage.types(session_id, 2) == [
            "recall.missed",
            "recall.fired",
            "message.admitted",
            "run.started",
            "recall.fired",
            "message.admitted",
            "recall.deferred",
        ]
        assert (await stage.events(session_id))[2] == missed
        settled = await stage.settle(wake.starts[0].run_id)
        await stage.settle(settled.wake.starts[0].run_id)
        assert [row.outcome for row in await plan.rows()] == [None, None, "completed", "completed"]

    async def test_missed_ones_without_rows_are_counted_in_the_journal(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        await plan.acts.fire(await plan.firing(missed=[7], unlisted=6), stage.lease)
        (told,) = [
            e for e in await stage.events((await plan.info()).session_id or "") if isinstance(e, RecallMissed)
        ]

        assert (told.count, len(await plan.rows())) == (7, 1)

    async def test_a_schedule_ends_in_the_middle_of_what_was_missed_when_its_runs_are_spent(
        self, stage: Stage
    ) -> None:
        plan = await planned(stage, await stage.open(), policy=RecallPolicy(max_runs=2))
        await plan.fire(1, 2, 3)

        info = await plan.info()
        assert (info.status, info.reason, info.runs, info.next_at) == (
            "done",
            "finished",
            2,
            None,
        )
        assert [row.id for row in await plan.rows()] == [plan.occurrence(1), plan.occurrence(2)]

    async def test_each_instant_has_its_row_though_some_are_skipped_before_the_runs_are_spent(
        self, stage: Stage
    ) -> None:
        policy = RecallPolicy(max_runs=2, overlap=Overlap.SKIP)
        plan = await planned(stage, await stage.open(), policy=policy)
        await plan.fire(1, 2, 3)

        assert [row.state for row in await plan.rows()] == ["admitted", "skipped", "skipped"]
        info = await plan.info()
        assert (info.status, info.runs) == ("active", 1)

    async def test_what_was_skipped_does_not_count_as_a_run(self, stage: Stage) -> None:
        plan, run_id = await busy(stage, RecallPolicy(max_runs=1, overlap=Overlap.SKIP))
        await plan.fire(1)
        await stage.settle(run_id)
        still = (await plan.info()).status
        await plan.fire(2)

        info = await plan.info()
        assert (still, info.status, info.runs) == ("active", "done", 1)

    async def test_a_busy_session_defers_it_and_says_so(self, stage: Stage) -> None:
        plan, run_id = await busy(stage)
        wake = await plan.fire(1)
        session_id = (await plan.info()).session_id or ""
        told = [e for e in await stage.events(session_id) if isinstance(e, RecallDeferred)]

        due_at = timestamp(instant(1))
        assert (wake.starts, told) == (
            (),
            [RecallDeferred(schedule_id=plan.id, occurrence=plan.occurrence(1), due_at=due_at)],
        )
        (start,) = (await stage.settle(run_id)).wake.starts
        assert start.origin.recall is not None
        assert (await plan.rows())[0].run_id == start.run_id

    async def test_one_that_only_waits_for_a_slot_is_not_deferred(self, stages: Stages) -> None:
        stage = await stages.open(Limits(live_runs=1))
        await stage.begin()
        plan = await planned(stage, await stage.open())
        wake = await plan.fire(1)

        assert (wake.starts, wake.backlog) == ((), 1)
        assert await stage.types((await plan.info()).session_id or "", 2) == [
            "recall.fired",
            "message.admitted",
        ]

    @pytest.mark.parametrize("how", ["run", "held"])
    async def test_one_that_may_not_overlap_is_skipped_with_the_reason(self, stage: Stage, how: str) -> None:
        plan, run_id = await busy(stage, SKIP)
        session_id = (await plan.info()).session_id or ""
        if how == "held":
            await stage.send(session_id, "later")
            await stage.hold(session_id)
        await plan.fire(1)

        assert (await plan.told(), (await plan.info()).failures) == ([("skipped", "overlap", None)], 0)
        assert (await stage.events(session_id))[-1] == RecallSkipped(
            schedule_id=plan.id,
            occurrence=plan.occurrence(1),
            due_at=timestamp(instant(1)),
            reason="overlap",
        )
        assert ((await stage.run(run_id)).status, (await stage.info(session_id)).queue_held) == (
            ("running", False) if how == "run" else ("cancelled", True)
        )

    async def test_for_an_agent_each_opens_a_session_of_its_own(self, stage: Stage) -> None:
        plan = await planned(stage)
        (one,), (other,) = (await plan.fire(1)).starts, (await plan.fire(2)).starts
        info = await stage.info(one.session_id)

        assert one.session_id != other.session_id
        assert (info.owner, info.tenant, info.labels, info.agent) == (
            "ada",
            "acme",
            {"schedule": plan.id},
            "greeter",
        )
        assert [row.session_id for row in await plan.rows()] == [one.session_id, other.session_id]

    async def test_a_refusal_leaves_nothing_but_the_reason(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions=1, queued_messages_per_session=1))
        plan, _ = await busy(stage)
        await stage.send((await plan.info()).session_id or "", "waits")
        other = await planned(stage)
        head = (await stage.info((await plan.info()).session_id or "")).head_seq
        await plan.fire(1)
        await other.fire(1)

        assert await plan.told() == await other.told() == [("skipped", "capacity", None)]
        info = await plan.info()
        assert (info.failures, (await other.info()).failures, info.runs) == (1, 1, 0)
        assert await stage.types((await plan.info()).session_id or "", head) == ["recall.skipped"]
        assert (await stage.store.figures()).sessions == 1

    async def test_an_agent_that_is_not_hosted_any_more_gets_no_session(
        self, stages: Stages, stage: Stage
    ) -> None:
        plan = await planned(stage)
        again = Plan(await stages.restart(stage, agents=[]), plan.id)
        await again.fire(1)

        assert (await again.told(), (await again.info()).failures) == (
            [("skipped", "unknown_agent", None)],
            1,
        )
        assert (await again.stage.store.figures()).sessions == 0

    async def test_a_closed_session_pauses_what_is_scheduled_in_it(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        session_id = (await plan.info()).session_id or ""
        await stage.store.close_session(stage.stamp(), session_id, CloseSession())
        await plan.fire(1)

        info = await plan.info()
        assert (await plan.told(), info.status, info.reason) == (
            [("skipped", "session_closed", None)],
            "paused",
            "session_closed",
        )
        assert await stage.types(session_id, 3) == ["recall.skipped", "recall.changed"]

    async def test_the_oldest_are_forgotten_but_never_one_that_is_to_be_tried_again(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tenure.stores.relational.acts.recalls.KEPT", 2, raising=False)
        monkeypatch.setattr("tenure.stores.relational.acts.recalls.TRIM_EVERY", 1, raising=False)
        plan = await planned(stage, await stage.open(), policy=RecallPolicy(retries=1))
        await stage.settle((await plan.start()).run_id, FAILED)
        for n in range(2, 6):
            await stage.settle((await plan.start(n)).run_id)
        kept = [row.id for row in await plan.rows()]

        assert (kept[0], kept[-1], (await plan.info()).runs) == (plan.occurrence(1), plan.occurrence(5), 5)

    async def test_pages_hold_each_occurrence_once_while_others_come(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        await plan.fire(missed=[*range(1, 8)], follows=8)
        seen, cursor, n = list[str](), None, 8
        while True:
            page = await plan.acts.occurrences(plan.id, cursor, 3)
            seen += [one.id for one in page.data]
            cursor = page.next_cursor
            await plan.fire(missed=[n])
            n += 1
            if cursor is None:
                break

        assert seen == [plan.occurrence(n) for n in range(8, 0, -1)]

    async def test_the_first_page_begins_with_what_comes_next(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        await plan.fire(missed=[1])
        page = await plan.acts.occurrences(plan.id, None, 1)
        rest = await plan.acts.occurrences(plan.id, page.next_cursor, 1)

        assert [(one.id, one.state) for one in (*page.data, *rest.data)] == [
            (plan.occurrence(2), "due"),
            (plan.occurrence(1), "missed"),
        ]
        assert rest.next_cursor is None


class RightsCases(Cases):
    """A recall acts as whoever made its schedule, with what rights they have left."""

    @pytest.mark.sources("P10")
    async def test_nobody_acts_for_somebody_who_is_gone(self, stage: Stage) -> None:
        maker = await zoe(stage)
        plan = await planned(stage, await stage.open(maker.who), by=maker.who)
        await maker.leave(stage)
        await plan.fire(1)

        info = await plan.info()
        assert (await plan.told(), info.status, info.reason) == (
            [("skipped", "principal_gone", None)],
            "paused",
            "principal_gone",
        )
        assert await stage.types((await plan.info()).session_id or "", 2) == [
            "recall.skipped",
            "recall.changed",
        ]
        with pytest.raises(TenureError) as caught:
            await plan.trigger()
        assert caught.value.code is Code.CONFLICT

    async def test_a_waiting_recall_of_somebody_who_went_is_withdrawn_and_the_schedule_paused(
        self, stage: Stage
    ) -> None:
        maker = await zoe(stage)
        session_id = await stage.open(maker.who)
        run_id = (await stage.send(session_id, by=maker.who)).start.run_id
        plan = await planned(stage, session_id, by=maker.who)
        await plan.fire(1)
        await maker.leave(stage)
        await stage.settle(run_id)

        assert (await plan.told(), (await plan.info()).reason) == (
            [("admitted", None, "withdrawn")],
            "principal_gone",
        )

    async def test_a_recall_that_waits_for_a_slot_does_not_outlive_the_rights_of_its_maker(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(Limits(live_runs=1))
        maker, blocker = await zoe(stage), await stage.begin()
        plan = await planned(stage, await stage.open(maker.who), by=maker.who)
        await plan.fire(1)
        await maker.leave(stage)
        await stage.settle(blocker.run_id, takes_next=False)
        wake = await stage.claim()

        assert (wake.starts, wake.backlog, await plan.told()) == ((), 0, [("admitted", None, "cancelled")])
        info = await plan.info()
        assert (info.status, info.reason) == ("paused", "principal_gone")
        assert await stage.types((await plan.info()).session_id or "", 4) == [
            "message.withdrawn",
            "recall.changed",
            "run.finished",
        ]

    @pytest.mark.parametrize("left", [Role.VIEWER, Role.MEMBER])
    async def test_a_maker_who_lost_the_right_to_send_there_sends_nothing(
        self, stage: Stage, left: Role
    ) -> None:
        maker = await zoe(stage, Role.OPERATOR)
        plan = await planned(stage, await stage.open(EVE), by=maker.who)
        await stage.key(person("zoe", left))
        await maker.leave(stage)
        await plan.fire(1)

        info = await plan.info()
        assert (await plan.told(), info.status, info.reason) == (
            [("skipped", "forbidden", None)],
            "paused",
            "forbidden",
        )

    async def test_a_recall_has_no_more_rights_than_its_maker_had(self, stage: Stage) -> None:
        maker = await zoe(stage)
        plan = await planned(stage, await stage.open(maker.who), by=maker.who)
        await stage.key(person("zoe", Role.ADMIN))
        start = await plan.start()

        assert (start.author.user, start.author.role) == ("zoe", Role.MEMBER)

    async def test_what_an_operator_triggers_acts_as_the_maker(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        _, wake = await plan.trigger(by=person("olga", Role.OPERATOR))

        assert [(s.author.user, s.author.role) for s in wake.starts] == [("ada", Role.MEMBER)]


class AskedCases(Cases):
    """Somebody has an occurrence now."""

    async def test_an_extra_one_changes_nothing_of_what_comes(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open(), policy=RecallPolicy(max_runs=1))
        answer, wake = await plan.trigger()

        assert (answer.value.manual, answer.value.reason, answer.value.state) == (True, "asked", "admitted")
        assert (answer.value.message_id, answer.value.attempts) == (wake.starts[0].message_id, 1)
        info = await plan.info()
        assert (info.runs, info.status, info.next_at) == (
            0,
            "active",
            timestamp(instant(1)),
        )

    async def test_a_repeated_request_asks_once(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        (first, _), (again, wake) = await plan.trigger(key="k"), await plan.trigger(key="k")

        assert (again.value, again.replayed, wake.starts) == (first.value, True, ())
        assert len(await plan.rows()) == 1

    async def test_two_who_ask_in_the_same_moment_get_one_each(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        stamp = stage.stamp()
        (one, _), (other, _) = await plan.trigger(stamp=stamp), await plan.trigger(stamp=stamp)

        assert one.value.id != other.value.id

    async def test_overlap_does_not_keep_anybody_from_asking(self, stage: Stage) -> None:
        plan, _ = await busy(stage, SKIP)
        answer, _ = await plan.trigger()

        assert answer.value.state == "admitted"

    async def test_a_refusal_is_the_askers_and_leaves_no_row(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        await stage.store.close_session(stage.stamp(), (await plan.info()).session_id or "", CloseSession())
        with pytest.raises(TenureError) as caught:
            await plan.trigger()

        assert (caught.value.code, await plan.rows()) == (Code.SESSION_CLOSED, [])
