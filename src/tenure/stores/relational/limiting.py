"""Usage, budgets and retention of a relational store: `ports.limits` over the same lane."""

from functools import partial

from tenure.core.budget import Standing, standing
from tenure.core.grant import Budget
from tenure.core.moment import Micros, timestamp
from tenure.core.spending import Spending
from tenure.core.view import UsageDay
from tenure.ports.acts import Page
from tenure.ports.limits import UsageFilter, Weighed
from tenure.stores.relational import locks
from tenure.stores.relational.acts import retention
from tenure.stores.relational.acts.spending import spent_by, weigh
from tenure.stores.relational.cursors import values, word
from tenure.stores.relational.lane import Lane
from tenure.stores.relational.look import Look

_NOWHERE = (None, None, None)


class RelationalLimits:
    """What was spent, and what is kept."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def standing(self, run_id: str, budget: Budget, at: Micros) -> Standing:
        return await self._lane.peek(lambda db: standing(budget, spent_by(db, run_id, budget.scope, at)))

    async def weigh(self, run_id: str, budget: Budget, at: Micros) -> Weighed:
        return await self._lane.write(partial(weigh, run_id=run_id, budget=budget, at=at))

    async def days(self, which: UsageFilter, cursor: str | None, limit: int) -> Page[UsageDay]:
        return await self._lane.read(partial(_days, which=which, place=_place(cursor), limit=limit))

    async def retire(self, before: Micros) -> int:
        most, until = retention.KEPT_AT_LEAST, timestamp(before)
        old = await self._lane.read(lambda db: _numbers(db, most=most, before=until))
        gone = 0
        for no in old:
            while went := await self._lane.write(
                partial(retention.retire, no=no, before=before), locks.session_no(no)
            ):
                gone += went
        return gone


def _numbers(db: Look, *, most: int, before: str) -> list[int]:
    return [no for (no,) in db.each("retirable", most=most, before=before)]


def _days(db: Look, which: UsageFilter, place: tuple[str | None, ...], limit: int) -> Page[UsageDay]:
    day, tenant, user = place
    found = list(
        db.rows(
            "usage_days",
            **which._asdict(),
            day=day,
            after_tenant=tenant,
            after_user=user,
            limit=limit + 1,
        )
    )
    days = [_day(**row) for row in found[:limit]]
    return Page(days, _cursor(days[-1]) if len(found) > limit else None)


def _day(*, day: str, tenant: str, user: str, runs: int, cost: float, **counted: int) -> UsageDay:
    spent = Spending(known_cost=cost, runs=runs, **counted)
    return UsageDay(
        day=day,
        tenant=tenant,
        user=user,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cost=spent.cost,
        runs=runs,
        tool_calls=spent.tool_calls,
    )


def _cursor(last: UsageDay) -> str:
    return word(last.day, last.tenant, last.user)


def _place(cursor: str | None) -> tuple[str | None, ...]:
    return _NOWHERE if cursor is None else values(cursor, tuple[str, str, str])
