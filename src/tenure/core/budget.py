"""How a run stands against its budget. The store judges each tool call by it, the host each model call."""

from enum import StrEnum
from typing import NamedTuple

from tenure.core.grant import Budget
from tenure.core.spending import Spending
from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError

EXHAUSTED = "budget_exhausted"
"""The reason with which a run ends whose budget is spent."""


class Level(StrEnum):
    """How much of a budget is left: enough, so little that a person is asked, nothing."""

    WITHIN = "within"
    ASK = "ask"
    SPENT = "spent"


class Standing(NamedTuple):
    """How a run stands, and by which of the limits: `tokens`, `cost` or `tool_calls`."""

    level: Level
    limit_of: str = ""
    spent: float = 0
    limit: float = 0


WITHIN = Standing(Level.WITHIN)


def standing(budget: Budget, spent: Spending) -> Standing:
    """How the run stands after what was spent.

    Tokens and money are used up when the limit is reached, tool calls when one more than the limit was
    begun: the last one that is allowed is worth something only if the run may go on. Money that nobody
    told can't be held against a budget; set tokens beside it.
    """
    sums = _sums(budget, spent)
    over = next(
        (s for s in sums if s.spent > s.limit or (s.spent >= s.limit and s.limit_of != "tool_calls")), None
    )
    if over is not None:
        return over._replace(level=Level.SPENT)
    if budget.ask_at is None:
        return WITHIN
    passed = (s for s in sums if s.limit and s.spent >= budget.ask_at * s.limit)
    return next((s._replace(level=Level.ASK) for s in passed), WITHIN)


def question(budget: Budget, found: Standing) -> Arguments:
    """What a person is asked who may let a run go on."""
    return {
        "scope": str(budget.scope),
        "limit_of": found.limit_of,
        "spent": found.spent,
        "limit": found.limit,
    }


def _sums(budget: Budget, spent: Spending) -> list[Standing]:
    limits = (
        ("tokens", spent.tokens, budget.tokens),
        ("cost", spent.known_cost, budget.cost),
        ("tool_calls", spent.tool_calls, budget.tool_calls),
    )
    return [Standing(Level.WITHIN, name, used, limit) for name, used, limit in limits if limit is not None]


def check_tool_call(budget: Budget, spent: Spending) -> None:
    """Let a run begin one more tool call. Raises TenureError `capacity` with reason `budget_exhausted`."""
    full = standing(budget, spent)
    limit = budget.tool_calls
    if full.level is not Level.SPENT and limit is not None and spent.tool_calls >= limit:
        full = Standing(Level.SPENT, "tool_calls", spent.tool_calls, limit)
    if full.level is Level.SPENT:
        raise exhausted(budget, full)


def exhausted(budget: Budget, full: Standing) -> TenureError:
    """The refusal of whatever would spend more."""
    noun = full.limit_of.replace("_", " ")
    return TenureError(
        Code.CAPACITY,
        f"The budget of {full.limit:g} {noun} ({budget.scope.replace('_', ' ')}) is spent: {full.spent:g} "
        "are used. Raise the agent's budget, or wait for the next run or day.",
        scope=budget.scope,
        limit=full.limit,
        current=full.spent,
        reason=EXHAUSTED,
    )
