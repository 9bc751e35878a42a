"""Cases: what runs spend is on the books once, whatever happens to them; and what budgets make of it."""

import asyncio

import msgspec
import pytest

from tenure.core.budget import Level, Standing
from tenure.core.command import CloseSession, OpenSession
from tenure.core.event import Event, ToolCallCompleted, ToolCallStarted, UsageRecorded
from tenure.core.grant import Budget, BudgetScope, Terms
from tenure.core.limits import Limits
from tenure.core.run import RunState
from tenure.core.view import SessionUsage, UsageDay
from tenure.errors import Code, TenureError
from tenure.ports.limits import UsageFilter
from tenure.stores.contract.stage import ADA, BOB, GREETER, STRANGER, Cases, Stage, Stages, refusal

CLOSE = CloseSession()
DAY = "2026-11-20"
EVERYBODY = UsageFilter(None, None)


def spent(tokens_in: int, tokens_out: int = 0, cost: float | None = None) -> UsageRecorded:
    """One model call."""
    return UsageRecorded(model="m", input_tokens=tokens_in, output_tokens=tokens_out, cost=cost)


def called(call_id: str) -> list[Event]:
    """One call of a tool."""
    return [
        ToolCallStarted(call_id=call_id, tool="t", arguments={}),
        ToolCallCompleted(call_id=call_id, status="ok"),
    ]


def on_budget(budget: Budget, name: str = "greeter") -> Terms:
    """The greeter, with a budget."""
    policy = msgspec.structs.replace(GREETER.policy, budget=budget)
    return msgspec.structs.replace(GREETER, agent=name, policy=policy)


def day(
    user: str = "ada", *, tenant: str = "acme", when: str = DAY, **counted: int | float | None
) -> UsageDay:
    """A day of somebody's, with nothing spent but what is given."""
    nothing = {"input_tokens": 0, "output_tokens": 0, "cost": None, "runs": 0, "tool_calls": 0}
    return msgspec.convert({"day": when, "tenant": tenant, "user": user, **nothing, **counted}, UsageDay)


async def days(stage: Stage, which: UsageFilter = EVERYBODY) -> list[UsageDay]:
    """Every day on the books, read in pages of one."""
    found: list[UsageDay] = []
    cursor = None
    while True:
        page = await stage.store.limits.days(which, cursor, 1)
        found += page.data
        cursor = page.next_cursor
        if cursor is None:
            return found


class LimitCases(Cases):
    """Usage and budgets."""

    # --- the books

    async def test_what_a_run_spends_is_on_the_books_in_the_commit_that_tells_of_it(
        self, stage: Stage
    ) -> None:
        start = await stage.begin()
        await stage.append(start.run_id, spent(10, 20, 0.25), *called("c1"), spent(1, 2, 0.5))

        assert await days(stage) == [day(input_tokens=11, output_tokens=22, cost=0.75, runs=1, tool_calls=1)]
        assert (await stage.info(start.session_id)).usage == SessionUsage(
            input_tokens=11, output_tokens=22, cost=0.75
        )

    @pytest.mark.sources("O32")
    @pytest.mark.parametrize("unknown_first", [True, False])
    async def test_one_unknown_cost_makes_the_day_unknown(self, stage: Stage, *, unknown_first: bool) -> None:
        start = await stage.begin()
        calls = [spent(1), spent(1, 0, 0.5)]
        await stage.append(start.run_id, *(calls if unknown_first else calls[::-1]))

        assert await days(stage) == [day(input_tokens=2, cost=None, runs=1)]

    async def test_a_day_without_any_model_call_has_no_known_cost(self, stage: Stage) -> None:
        await stage.begin()

        assert await days(stage) == [day(runs=1, cost=None)]

    async def test_a_cost_of_nothing_is_known(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.append(start.run_id, spent(5, 0, 0.0))

        assert await days(stage) == [day(input_tokens=5, cost=0.0, runs=1)]

    async def test_each_user_has_days_of_their_own_in_each_tenant(self, stage: Stage) -> None:
        for who, tokens in ((ADA, 1), (BOB, 2), (STRANGER, 4)):
            start = await stage.begin(by=who)
            await stage.append(start.run_id, spent(tokens))

        assert await days(stage) == [
            day("ada", input_tokens=1, runs=1),
            day("bob", input_tokens=2, runs=1),
            day("ada", tenant="globex", input_tokens=4, runs=1),
        ]
        assert await days(stage, UsageFilter("acme", "bob")) == [day("bob", input_tokens=2, runs=1)]
        assert await days(stage, UsageFilter("nowhere", None)) == []

    async def test_a_new_day_begins_at_midnight_utc(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.append(start.run_id, spent(1))
        stage.pass_time(3 * 3_600 + 50 * 60)  # the cases begin at 20:10
        await stage.append(start.run_id, spent(2))
        both = [day(when="2026-11-21", input_tokens=2), day(input_tokens=1, runs=1)]

        assert await days(stage) == both
        assert await days(stage, UsageFilter(None, None, since="2026-11-21")) == both[:1]
        assert await days(stage, UsageFilter(None, None, until=DAY)) == both[1:]

    async def test_a_run_that_starts_over_is_booked_for_what_each_attempt_spent(self, stages: Stages) -> None:
        stage = await stages.open()
        start = await stage.begin()
        await stage.append(start.run_id, spent(10, 0, 1.0), *called("c1"))
        again = await stages.restart(stage)
        await again.store.reap(again.lease, again.at())
        await again.claim()
        await again.append(start.run_id, *called("c1"), spent(5, 0, 1.0))
        await again.settle(start.run_id, RunState.FAILED, "crash")

        assert await days(again) == [day(input_tokens=15, cost=2.0, runs=1, tool_calls=1)]

    async def test_a_run_that_the_store_itself_ends_keeps_what_it_spent(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.append(start.run_id, spent(7))
        await stage.store.delete_session(stage.stamp(), start.session_id)

        assert await days(stage) == [day(input_tokens=7, runs=1)]

    async def test_deleting_a_session_leaves_the_days_of_its_users(self, stage: Stage) -> None:
        start = await stage.begin()
        await stage.append(start.run_id, spent(7), *called("c1"))
        await stage.store.delete_session(stage.stamp(), start.session_id)
        while await stage.store.purge(stage.at()):
            pass

        assert await days(stage) == [day(input_tokens=7, runs=1, tool_calls=1)]

    @pytest.mark.parametrize("cursor", ["", "7", "e30=", "////", "WyJhIl0="])
    async def test_a_cursor_that_no_page_gave_is_refused(self, stage: Stage, cursor: str) -> None:
        with pytest.raises(TenureError) as refused:
            await stage.store.limits.days(EVERYBODY, cursor, 1)

        assert refused.value.code is Code.BAD_CURSOR

    # --- budgets

    @pytest.mark.parametrize("scope", BudgetScope)
    async def test_a_budget_counts_within_its_scope_and_nothing_beyond(
        self, stages: Stages, scope: BudgetScope
    ) -> None:
        budget = Budget(tokens=100, scope=scope)
        stage = await stages.open(agents=[on_budget(budget)])
        first = await stage.begin()
        await stage.append(first.run_id, spent(60))
        await stage.settle(first.run_id)
        same_session = (await stage.send(first.session_id)).start
        await stage.append(same_session.run_id, spent(60))
        elsewhere = await stage.begin()
        others = await stage.begin(by=BOB)
        runs = (same_session, elsewhere, others)
        now = stage.at()
        levels = [(await stage.store.limits.standing(run.run_id, budget, now)).level for run in runs]

        spent_here = {
            BudgetScope.RUN: [Level.WITHIN, Level.WITHIN, Level.WITHIN],
            BudgetScope.SESSION: [Level.SPENT, Level.WITHIN, Level.WITHIN],
            BudgetScope.USER_DAY: [Level.SPENT, Level.SPENT, Level.WITHIN],
        }
        assert levels == spent_here[scope]

    async def test_a_daily_budget_is_whole_again_on_the_next_day(self, stages: Stages) -> None:
        budget = Budget(cost=1.0, scope=BudgetScope.USER_DAY)
        stage = await stages.open(agents=[on_budget(budget)])
        start = await stage.begin()
        await stage.append(start.run_id, spent(1, 0, 1.5))
        today = await stage.store.limits.standing(start.run_id, budget, stage.at())
        stage.pass_time(86_400)
        tomorrow = await stage.store.limits.standing(start.run_id, budget, stage.at())

        assert today == Standing(Level.SPENT, "cost", 1.5, 1.0)
        assert tomorrow.level is Level.WITHIN

    # --- how many sessions

    @pytest.mark.sources("A1", "M04", "M05", "D-M1", "P11")
    @pytest.mark.parametrize(
        ("limits", "people", "scope"),
        [
            (Limits(open_sessions=50), (ADA, BOB), "global"),
            (Limits(open_sessions_per_user=50), (ADA,), "per_user"),
        ],
    )
    async def test_of_200_sessions_opened_at_once_exactly_as_many_are_open_as_the_limit_says(
        self, stages: Stages, limits: Limits, people: tuple[object, ...], scope: str
    ) -> None:
        stage = await stages.open(limits)
        ask = OpenSession(agent="greeter")
        tried = await asyncio.gather(
            *(stage.opened((ADA, BOB)[n % len(people)], ask) for n in range(200)), return_exceptions=True
        )
        refused = [e for e in tried if isinstance(e, TenureError)]

        assert len(tried) - len(refused) == 50
        assert {(e.code, e.facts["scope"], e.facts["limit"]) for e in refused} == {(Code.CAPACITY, scope, 50)}
        assert (await stage.store.figures()).open_sessions == 50

    @pytest.mark.sources("M04")
    async def test_the_global_limit_is_judged_first(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions=1, open_sessions_per_user=1))
        await stage.open()
        with pytest.raises(TenureError) as refused:
            await stage.open()

        assert refusal(refused) == (Code.CAPACITY, {"scope": "global", "limit": 1, "current": 1})

    @pytest.mark.sources("M04", "M10", "D-M2", "D-M10")
    async def test_a_closed_session_gives_its_place_back_once_and_stays_listed(self, stages: Stages) -> None:
        stage = await stages.open(Limits(open_sessions_per_user=1))
        closed = await stage.open()
        for _ in range(2):
            await stage.store.close_session(stage.stamp(), closed, CLOSE)
        await stage.open()
        with pytest.raises(TenureError):
            await stage.open()

        assert (await stage.info(closed)).status == "closed"
        await stage.store.delete_session(stage.stamp(), closed)
        with pytest.raises(TenureError):
            await stage.open()
