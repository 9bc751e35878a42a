"""Cases: schedules are made, changed, paused, ended, counted and listed."""

import asyncio

import msgspec
import pytest

from tenure.core.command import CloseSession
from tenure.core.event import RecallChanged, RecallScheduled
from tenure.core.grant import Policy
from tenure.core.limits import Limits
from tenure.core.moment import timestamp
from tenure.core.principal import Role
from tenure.core.recall import RecallKind, RecallPolicy
from tenure.core.schedule import ScheduleSignal, ScheduleState
from tenure.core.scheduling import ScheduleInfo
from tenure.errors import Code, TenureError
from tenure.ports.acts import Lease
from tenure.ports.schedules import Maker, ScheduleFilter
from tenure.stores.contract.recalling import SAID, Plan, instant, planned, wanted
from tenure.stores.contract.stage import ADA, BOB, GREETER, STRANGER, Cases, Stage, Stages, person, refusal

ANY = ScheduleFilter(None, None)
OVER = (ScheduleState.DONE, ScheduleState.CANCELLED)
WIDER = msgspec.structs.replace(
    GREETER, policy=Policy(apis=("history", "state", "tools"), deadline_s=1_200.0, max_attempts=9)
)


async def brought(stage: Stage, state: ScheduleState) -> Plan:
    """A schedule in some state."""
    plan = await planned(stage, await stage.open())
    match state:
        case ScheduleState.ACTIVE:
            pass
        case ScheduleState.PAUSED:
            await plan.turn(ScheduleSignal.PAUSE)
        case ScheduleState.DONE:
            await plan.fire(missed=[1], follows=None)
        case ScheduleState.CANCELLED:
            await plan.turn(ScheduleSignal.CANCEL)
    assert (await plan.info()).status == state
    return plan


async def listed(stage: Stage, which: ScheduleFilter = ANY) -> list[str]:
    """The ids of a list, newest first."""
    return [info.id for info in (await stage.store.schedules.page(which, None, 100)).data]


class MakingCases(Cases):
    """A schedule is kept, and its session is told."""

    async def test_a_schedule_reads_as_it_was_made(self, stage: Stage) -> None:
        session_id = await stage.open()
        policy = RecallPolicy(max_runs=3, retries=2, jitter_s=1.5)
        new = wanted(stage, session_id, policy=policy, name="plants")
        stamp = stage.stamp()
        made = (await stage.store.schedules.create(stamp, new)).value

        assert made == await stage.store.schedules.get(new.schedule_id)
        assert made == ScheduleInfo(
            id=new.schedule_id,
            session_id=session_id,
            agent="greeter",
            tenant="acme",
            owner="ada",
            name="plants",
            kind="task",
            message=SAID,
            status="active",
            reason=None,
            next_at=timestamp(instant(1)),
            explanation="every minute",
            at=None,
            every_s=60.0,
            anchor=timestamp(instant(0)),
            cron=None,
            timezone=None,
            missed="once",
            missed_max=10,
            overlap="queue",
            jitter_s=1.5,
            max_runs=3,
            ends_at=None,
            retries=2,
            backoff_s=30.0,
            pause_after_failures=5,
            runs=0,
            failures=0,
            made_by=None,
            last=None,
            created_at=timestamp(stamp.at),
            updated_at=timestamp(stamp.at),
        )

    async def test_the_session_is_told_what_comes(self, stage: Stage) -> None:
        session_id = await stage.open()
        plan = await planned(stage, session_id)

        assert (await stage.events(session_id))[1:] == [
            RecallScheduled(schedule_id=plan.id, due_at=timestamp(instant(1)), explanation="every minute")
        ]

    async def test_a_repeated_request_finds_the_schedule_that_it_made(self, stage: Stage) -> None:
        session_id = await stage.open()
        first = await stage.store.schedules.create(stage.stamp(ADA, "k"), wanted(stage, session_id))
        again = await stage.store.schedules.create(stage.stamp(ADA, "k"), wanted(stage, session_id))

        assert (again.value, again.replayed) == (first.value, True)
        assert await listed(stage) == [first.value.id]

    async def test_a_deleted_session_leaves_nothing_of_it_in_the_answer_that_is_kept(
        self, stage: Stage
    ) -> None:
        session_id = await stage.open()
        new = wanted(stage, session_id, name="secret")
        await stage.store.schedules.create(stage.stamp(ADA, "k"), new)
        await stage.store.delete_session(stage.stamp(), session_id)
        while await stage.store.purge(stage.at()):
            pass
        again = await stage.store.schedules.create(stage.stamp(ADA, "k"), new)

        assert (again.value.message, again.value.name, again.replayed) == ("", "", True)

    @pytest.mark.parametrize("gone", ["unknown", "deleted", "closed"])
    async def test_nothing_is_scheduled_in_a_session_that_is_not_open(self, stage: Stage, gone: str) -> None:
        session_id = await stage.open()
        if gone == "deleted":
            await stage.store.delete_session(stage.stamp(), session_id)
        if gone == "closed":
            await stage.store.close_session(stage.stamp(), session_id, CloseSession())
        named = "ses_nobody" if gone == "unknown" else session_id
        with pytest.raises(TenureError) as caught:
            await planned(stage, named)

        expected = Code.SESSION_CLOSED if gone == "closed" else Code.NOT_FOUND
        assert (caught.value.code, await listed(stage)) == (expected, [])

    @pytest.mark.sources("P10")
    async def test_of_200_made_at_once_against_a_limit_of_50_exactly_50_are_kept(
        self, stages: Stages
    ) -> None:
        stage = await stages.open(Limits(schedules_per_user=50))
        news = [wanted(stage, None) for _ in range(200)]
        stamps = [stage.stamp() for _ in news]
        made = await asyncio.gather(
            *(stage.store.schedules.create(s, n) for s, n in zip(stamps, news, strict=True)),
            return_exceptions=True,
        )
        refused = [one for one in made if isinstance(one, TenureError)]

        assert len(refused) == 150
        assert {(one.code, one.facts["scope"], one.facts["limit"]) for one in refused} == {
            (Code.CAPACITY, "per_user", 50)
        }
        assert len(await listed(stage)) == 50

    async def test_a_limit_of_none_allows_none(self, stages: Stages) -> None:
        stage = await stages.open(Limits(schedules_per_user=0))
        with pytest.raises(TenureError) as caught:
            await planned(stage)

        assert caught.value.code is Code.CAPACITY

    @pytest.mark.parametrize("over", OVER)
    async def test_one_that_is_over_makes_room_for_another(self, stages: Stages, over: ScheduleState) -> None:
        stage = await stages.open(Limits(schedules_per_user=1))
        await brought(stage, over)
        plan = await planned(stage)
        with pytest.raises(TenureError) as caught:
            await planned(stage)
        await planned(stage, by=BOB)

        assert ((await plan.info()).status, caught.value.code) == ("active", Code.CAPACITY)

    async def test_a_done_one_that_is_deleted_makes_no_second_room(self, stages: Stages) -> None:
        stage = await stages.open(Limits(schedules_per_user=1))
        done = await brought(stage, ScheduleState.DONE)
        await planned(stage)
        await done.turn(ScheduleSignal.CANCEL)
        with pytest.raises(TenureError) as caught:
            await planned(stage)

        assert caught.value.code is Code.CAPACITY


class MadeByRunCases(Cases):
    """What a run schedules may touch no more than it could itself."""

    async def test_a_run_that_makes_one_is_named_in_the_journal_and_on_the_schedule(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        plan = await planned(stage, start.session_id, maker=maker_of(stage, start.run_id))
        (entry,) = [r for r in await stage.journal(start.session_id) if isinstance(r.event, RecallScheduled)]

        assert ((await plan.info()).made_by, entry.run_id) == (start.run_id, start.run_id)
        assert await stage.store.schedules.cap(plan.id) == start.grant

    async def test_its_runs_get_no_more_than_that_run_had_though_the_policy_has_grown(
        self, stages: Stages, stage: Stage
    ) -> None:
        start = await stage.begin()
        plan = await planned(stage, start.session_id, maker=maker_of(stage, start.run_id))
        await stage.settle(start.run_id)
        other = await planned(stage, await stage.open())
        again = await stages.restart(stage, agents=[WIDER])
        capped, free = await Plan(again, plan.id).start(), await Plan(again, other.id).start()

        assert (capped.grant.apis, free.grant.apis) == (("history",), ("history", "state"))
        assert (capped.grant.deadline_s, free.grant.deadline_s) == (600.0, 1_200.0)
        assert (capped.grant.max_attempts, free.grant.max_attempts) == (3, 9)

    @pytest.mark.parametrize("wrong", ["ended", "other life", "other attempt"])
    async def test_a_run_that_is_not_live_here_schedules_nothing(self, stage: Stage, wrong: str) -> None:
        start = await stage.begin()
        maker = maker_of(stage, start.run_id)
        match wrong:
            case "ended":
                await stage.settle(start.run_id)
            case "other life":
                maker = maker._replace(lease=Lease(stage.lease.incarnation + 7))
            case _:
                maker = maker._replace(attempt=2)
        with pytest.raises(TenureError) as caught:
            await planned(stage, start.session_id, maker=maker)

        assert (caught.value.code, await listed(stage)) == (Code.FENCED, [])

    async def test_schedules_of_schedules_are_three_deep_at_most(self, stage: Stage) -> None:
        start = await stage.begin()
        session_id = start.session_id
        for _ in range(3):
            plan = await planned(stage, session_id, maker=maker_of(stage, start.run_id))
            await stage.settle(start.run_id)
            start = await plan.start()
        with pytest.raises(TenureError) as caught:
            await planned(stage, session_id, maker=maker_of(stage, start.run_id))

        assert refusal(caught) == (Code.CAPACITY, {"scope": "per_run", "limit": 3, "current": 3})


def maker_of(stage: Stage, run_id: str) -> Maker:
    """A run that is held here, in its first attempt."""
    return Maker(stage.lease, run_id, 1)


_ALLOWED = {
    "pause": {ScheduleState.ACTIVE: "paused", ScheduleState.PAUSED: "paused"},
    "resume": {ScheduleState.ACTIVE: "active", ScheduleState.PAUSED: "active"},
    "cancel": dict.fromkeys(ScheduleState, "cancelled"),
    "revise": {ScheduleState.ACTIVE: "active", ScheduleState.PAUSED: "paused"},
    "trigger": {
        ScheduleState.ACTIVE: "active",
        ScheduleState.PAUSED: "paused",
        ScheduleState.DONE: "done",
    },
    "fire": {state: str(state) for state in ScheduleState},
}
"""In which states what can be done to a schedule, and the state afterwards."""


async def _do(plan: Plan, act: str) -> None:
    match act:
        case "revise":
            await plan.revise()
        case "trigger":
            await plan.trigger()
        case "fire":
            await plan.fire(1)
        case _:
            await plan.turn(ScheduleSignal(act))


class ChangingCases(Cases):
    """A schedule moves as its table says, and tells its session."""

    @pytest.mark.parametrize("act", _ALLOWED)
    async def test_an_act_is_done_or_refused_by_the_state(self, stage: Stage, act: str) -> None:
        for state in ScheduleState:
            await self._check(await brought(stage, state), state, act)

    async def _check(self, plan: Plan, state: ScheduleState, act: str) -> None:
        before, rows = await plan.info(), await plan.told()
        after = _ALLOWED[act].get(state)
        if after is None:
            with pytest.raises(TenureError) as caught:
                await _do(plan, act)
            assert (caught.value.code, await plan.info(), await plan.told()) == (Code.CONFLICT, before, rows)
        else:
            await _do(plan, act)
            admits = act == "trigger" or (act, state) == ("fire", ScheduleState.ACTIVE)
            assert ((await plan.info()).status, len(await plan.told()) - len(rows)) == (after, int(admits))

    @pytest.mark.parametrize("signal", list(ScheduleSignal)[:2])
    async def test_what_is_so_already_is_not_told_again(self, stage: Stage, signal: ScheduleSignal) -> None:
        plan = await brought(stage, ScheduleState.PAUSED)
        await plan.turn(signal)
        info = await plan.info()
        before = await stage.events(info.session_id or "")
        again = await plan.turn(signal)

        assert (await stage.events((await plan.info()).session_id or ""), again) == (before, info)

    async def test_a_pause_and_what_goes_on_are_told_with_who_did_it(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        await plan.turn(ScheduleSignal.PAUSE)
        paused = await plan.info()
        await plan.turn(ScheduleSignal.RESUME, BOB)
        await plan.turn(ScheduleSignal.CANCEL)

        def told(status: str, by: str, next_at: str | None = None) -> RecallChanged:
            return RecallChanged(schedule_id=plan.id, status=status, by=by, reason="asked", next_at=next_at)

        assert (paused.status, paused.reason, paused.next_at) == ("paused", "asked", None)
        assert (await stage.events((await plan.info()).session_id or ""))[2:] == [
            told("paused", "ada"),
            told("active", "bob", timestamp(instant(1))),
            told("cancelled", "ada"),
        ]

    async def test_one_that_goes_on_stands_where_it_stood_and_knows_when_it_rested(
        self, stage: Stage
    ) -> None:
        plan = await planned(stage)
        await plan.turn(ScheduleSignal.PAUSE)
        resting = await stage.store.schedules.standing(plan.id)
        await plan.turn(ScheduleSignal.RESUME)
        standing = await stage.store.schedules.standing(plan.id)

        assert resting is not None and standing is not None
        assert (resting.paused, standing.next_at) == (None, instant(1))
        assert standing.paused is not None
        assert standing.paused[1] - standing.paused[0] == 1_000

    async def test_nothing_goes_on_in_a_closed_session(self, stage: Stage) -> None:
        plan = await brought(stage, ScheduleState.PAUSED)
        await stage.store.close_session(stage.stamp(), (await plan.info()).session_id or "", CloseSession())
        with pytest.raises(TenureError) as caught:
            await plan.turn(ScheduleSignal.RESUME)

        assert (caught.value.code, (await plan.info()).status) == (Code.SESSION_CLOSED, "paused")

    async def test_an_edit_says_what_comes_from_now_on(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        info = await plan.revise(policy=RecallPolicy(retries=1))

        assert (info.name, info.message, info.next_at, info.retries) == (
            "renamed",
            "Something else",
            timestamp(instant(5)),
            1,
        )
        assert (await stage.events(info.session_id or ""))[-1] == RecallChanged(
            schedule_id=plan.id, status="active", by="ada", reason="edited", next_at=info.next_at
        )

    async def test_an_edit_after_which_nothing_comes_ends_the_schedule(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        info = await plan.revise(follows=None)

        assert (info.status, info.reason, info.next_at) == ("done", "finished", None)

    @pytest.mark.sources("P10")
    async def test_an_edit_of_a_schedule_that_fired_meanwhile_is_refused(self, stage: Stage) -> None:
        plan = await planned(stage)
        seen = await plan.version()
        await plan.fire(1)
        with pytest.raises(TenureError) as caught:
            await plan.revise(version=seen)

        assert (caught.value.code, (await plan.info()).message) == (Code.STALE, SAID)

    @pytest.mark.sources("P10")
    @pytest.mark.parametrize("act", ["pause", "cancel", "revise"])
    async def test_what_was_decided_before_a_change_is_not_carried_out_after_it(
        self, stage: Stage, act: str
    ) -> None:
        plan = await planned(stage, await stage.open())
        firing = await plan.firing(1)
        await _do(plan, act)
        wake = await stage.store.schedules.fire(firing, stage.lease)

        assert (wake.starts, await plan.rows()) == ((), [])

    async def test_nobody_finds_a_schedule_that_is_not_there(self, stage: Stage) -> None:
        plan = Plan(stage, "sch_nobody")
        with pytest.raises(TenureError) as caught:
            await plan.turn(ScheduleSignal.PAUSE)

        assert caught.value.code is Code.NOT_FOUND
        acts = stage.store.schedules
        assert (await acts.get(plan.id), await acts.standing(plan.id), await acts.ground(plan.id)) == (
            None,
            None,
            None,
        )


class ListingCases(Cases):
    """Lists show everybody what is theirs, newest first."""

    async def test_its_ground_names_its_maker_and_the_owner_of_the_session(self, stage: Stage) -> None:
        operator = person("olga", Role.OPERATOR)
        plan = await planned(stage, await stage.open(ADA), by=operator)
        ground = await stage.store.schedules.ground(plan.id)

        assert ground is not None
        assert (ground.tenant, ground.owner, ground.session_owner, ground.role) == (
            "acme",
            "olga",
            "ada",
            Role.OPERATOR,
        )

    async def test_somebody_sees_what_they_made_and_what_others_made_for_their_sessions(
        self, stage: Stage
    ) -> None:
        operator = person("olga", Role.OPERATOR)
        own = await planned(stage, await stage.open(ADA))
        given = await planned(stage, await stage.open(ADA), by=operator)
        other = await planned(stage, by=BOB)
        foreign = await planned(stage, by=STRANGER)

        assert await listed(stage) == [foreign.id, other.id, given.id, own.id]
        assert await listed(stage, ScheduleFilter("acme", None)) == [other.id, given.id, own.id]
        assert await listed(stage, ScheduleFilter("acme", "ada")) == [given.id, own.id]
        assert await listed(stage, ScheduleFilter("acme", "olga")) == [given.id]
        assert await listed(stage, ScheduleFilter("acme", "bob")) == [other.id]

    @pytest.mark.parametrize("owner", [None, "ada"])
    async def test_a_list_is_of_a_state_a_session_or_an_agent(self, stage: Stage, owner: str | None) -> None:
        plans = {state: await brought(stage, state) for state in ScheduleState}
        everybody = ScheduleFilter(None if owner is None else "acme", owner)
        shown = [plan.id for state, plan in plans.items() if state is not ScheduleState.CANCELLED]

        assert await listed(stage, everybody) == shown[::-1]
        for state, plan in plans.items():
            only = everybody._replace(session_id=(await plan.info()).session_id)
            assert await listed(stage, everybody._replace(status=state)) == [plan.id]
            assert await listed(stage, only._replace(status=state)) == [plan.id]
            assert await listed(stage, only) == ([plan.id] if plan.id in shown else [])
        assert await listed(stage, everybody._replace(agent="greeter")) == shown[::-1]
        assert await listed(stage, everybody._replace(agent="other")) == []
        assert await listed(stage, everybody._replace(session_id="ses_nobody")) == []

    @pytest.mark.parametrize("owner", [None, "ada"])
    async def test_pages_hold_each_schedule_once_while_others_are_made(
        self, stage: Stage, owner: str | None
    ) -> None:
        session_id = await stage.open(ADA)
        operator = person("olga", Role.OPERATOR)
        made = [(await planned(stage, session_id, by=(ADA, operator)[n % 2])).id for n in range(7)]
        which, seen, cursor = ScheduleFilter("acme", owner), list[str](), None
        while True:
            page = await stage.store.schedules.page(which, cursor, 3)
            seen += [info.id for info in page.data]
            cursor = page.next_cursor
            await planned(stage, session_id)
            if cursor is None:
                break

        assert seen == made[::-1]

    async def test_a_cursor_of_another_list_is_refused(self, stage: Stage) -> None:
        plan = await planned(stage)
        for listing in (
            stage.store.schedules.page(ANY, "x", 5),
            stage.store.schedules.occurrences(plan.id, "7", 5),
        ):
            with pytest.raises(TenureError) as caught:
                await listing
            assert caught.value.code is Code.BAD_CURSOR

    async def test_what_was_scheduled_in_a_session_goes_with_it(self, stage: Stage) -> None:
        session_id = await stage.open()
        plan, other = await planned(stage, session_id), await planned(stage)
        await plan.fire(1)
        await stage.store.delete_session(stage.stamp(), session_id)
        acts = stage.store.schedules
        assert (await acts.ground(plan.id), await listed(stage)) == (None, [other.id])
        assert await listed(stage, ScheduleFilter("acme", "ada", ScheduleState.CANCELLED)) == []
        while await stage.store.purge(stage.at()):
            pass

        assert (await acts.get(plan.id), (await acts.occurrences(plan.id, None, 5)).data) == (None, [])

    async def test_figures_count_schedules_by_state(self, stage: Stage) -> None:
        for state in (ScheduleState.ACTIVE, ScheduleState.ACTIVE, *OVER):
            await brought(stage, state)

        assert await stage.store.schedules.figures() == {
            "active": 2,
            "paused": 0,
            "done": 1,
            "cancelled": 1,
        }

    async def test_what_is_due_comes_earliest_first_and_rests_with_its_schedule(self, stage: Stage) -> None:
        acts = stage.store.schedules
        assert (await acts.next_at(), (await acts.due(instant(0), instant(9), 9)).schedules) == (None, [])
        late = await planned(stage, first=3)
        early, resting = await planned(stage, first=2), await planned(stage, first=1)
        await resting.turn(ScheduleSignal.PAUSE)

        async def due(after: int, until: int, limit: int = 9) -> list[str]:
            return [
                one.schedule_id for one in (await acts.due(instant(after), instant(until), limit)).schedules
            ]

        assert await acts.next_at() == instant(2)
        assert (await due(0, 9), await due(0, 9, 1), await due(2, 3)) == (
            [early.id, late.id],
            [early.id],
            [late.id],
        )

    async def test_a_reminder_stays_one(self, stage: Stage) -> None:
        plan = await planned(stage, await stage.open(), kind=RecallKind.REMINDER)
        start = await plan.start()

        assert ((await plan.info()).kind, start.origin.recall and start.origin.recall.reminder) == (
            "reminder",
            True,
        )

    async def test_all_is_there_again_after_a_restart(self, stages: Stages, stage: Stage) -> None:
        plan = await planned(stage, await stage.open())
        await plan.fire(missed=[1], follows=2)
        before, rows = await plan.info(), await plan.rows()
        again = Plan(await stages.restart(stage), plan.id)

        assert (await again.info(), await again.rows(), await again.acts.next_at()) == (
            before,
            rows,
            instant(2),
        )
