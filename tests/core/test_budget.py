"""Budgets as rules: how a run stands after what was spent, and whether it may begin one more call."""

import pytest

from tenure.core.budget import Level, Standing, check_tool_call, question, standing
from tenure.core.grant import Budget, BudgetScope
from tenure.core.spending import Spending, of_call
from tenure.errors import Code, TenureError

WITHIN, ASK, SPENT = Level.WITHIN, Level.ASK, Level.SPENT


def spent(tokens: int = 0, cost: float = 0.0, calls: int = 0) -> Spending:
    """What a run spent, half of its tokens each way."""
    into = tokens // 2
    return Spending(input_tokens=into, output_tokens=tokens - into, known_cost=cost, tool_calls=calls)


@pytest.mark.parametrize(
    ("budget", "sums", "expected"),
    [
        (Budget(), spent(10**9, 1e9, 10**9), Standing(WITHIN)),
        (Budget(tokens=100), spent(99), Standing(WITHIN)),
        (Budget(tokens=100), spent(100), Standing(SPENT, "tokens", 100, 100)),
        (Budget(tokens=0), spent(0), Standing(SPENT, "tokens", 0, 0)),
        (Budget(cost=1.0), spent(10**6, 0.99), Standing(WITHIN)),
        (Budget(cost=1.0), spent(0, 1.5), Standing(SPENT, "cost", 1.5, 1.0)),
        (Budget(tool_calls=2), spent(calls=2), Standing(WITHIN)),
        (Budget(tool_calls=2), spent(calls=3), Standing(SPENT, "tool_calls", 3, 2)),
        (Budget(tool_calls=0), spent(), Standing(WITHIN)),
        (Budget(tokens=100, ask_at=0.5), spent(49), Standing(WITHIN)),
        (Budget(tokens=100, ask_at=0.5), spent(50), Standing(ASK, "tokens", 50, 100)),
        (Budget(tokens=100, ask_at=0.5), spent(100), Standing(SPENT, "tokens", 100, 100)),
        (Budget(tokens=100, cost=1.0, ask_at=0.5), spent(1, 0.6), Standing(ASK, "cost", 0.6, 1.0)),
        (Budget(tool_calls=0, ask_at=0.5), spent(), Standing(WITHIN)),
    ],
    ids=str,
)
def test_a_run_stands_so_against_its_budget(budget: Budget, sums: Spending, expected: Standing) -> None:
    assert standing(budget, sums) == expected


@pytest.mark.parametrize(
    ("budget", "sums"),
    [
        (Budget(), spent(10**9, 1e9, 10**9)),
        (Budget(tool_calls=2), spent(calls=1)),
        (Budget(tokens=100, ask_at=0.1), spent(99)),
    ],
    ids=str,
)
def test_a_call_within_the_budget_may_begin(budget: Budget, sums: Spending) -> None:
    check_tool_call(budget, sums)


@pytest.mark.parametrize(
    ("budget", "sums", "limit", "current"),
    [
        (Budget(tool_calls=2), spent(calls=2), 2, 2),
        (Budget(tool_calls=0), spent(), 0, 0),
        (Budget(tokens=100, tool_calls=9), spent(120), 100, 120),
        (Budget(cost=0.5, scope=BudgetScope.USER_DAY), spent(cost=0.5), 0.5, 0.5),
    ],
    ids=str,
)
def test_a_call_that_nothing_is_left_for_is_refused_with_the_way_out(
    budget: Budget, sums: Spending, limit: float, current: float
) -> None:
    with pytest.raises(TenureError, match=r"budget of .* is spent: .* Raise the agent's budget") as refused:
        check_tool_call(budget, sums)

    assert (refused.value.code, refused.value.facts) == (
        Code.CAPACITY,
        {"scope": budget.scope, "limit": limit, "current": current, "reason": "budget_exhausted"},
    )


def test_a_person_is_asked_with_everything_that_matters() -> None:
    budget = Budget(tokens=100, ask_at=0.5, scope=BudgetScope.SESSION)

    assert question(budget, standing(budget, spent(60))) == {
        "scope": "session",
        "limit_of": "tokens",
        "spent": 60,
        "limit": 100,
    }


@pytest.mark.sources("O32")
@pytest.mark.parametrize(
    ("sums", "cost"),
    [
        (Spending(), None),
        (of_call(1, 1, None), None),
        (of_call(1, 1, 0.0), 0.0),
        (of_call(1, 1, 0.5), 0.5),
        (Spending(records=2, unknown=1, known_cost=0.5), None),
    ],
    ids=str,
)
def test_a_sum_of_money_is_known_only_if_every_part_of_it_is(sums: Spending, cost: float | None) -> None:
    assert sums.cost == cost
