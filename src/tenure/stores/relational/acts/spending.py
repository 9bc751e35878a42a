"""What was spent, as budgets count it. The books are kept by the projection of events; here they are read."""

import msgspec

from tenure.core.budget import check_tool_call, standing
from tenure.core.grant import Budget, BudgetScope
from tenure.core.moment import Micros, timestamp
from tenure.core.spending import QUESTION, Spending
from tenure.ports.limits import Weighed
from tenure.stores.relational.acts.rows import RunRow
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Tx

_BY = {
    BudgetScope.RUN: "spent_by_run",
    BudgetScope.SESSION: "spent_by_session",
    BudgetScope.USER_DAY: "spent_by_day",
}


def spent_by(db: Look, run_id: str, scope: BudgetScope, at: Micros) -> Spending:
    """What counts against a budget of the run, all its attempts included."""
    row = db.one(_BY[scope], run_id=run_id, day=timestamp(at)[:10])
    if row is None:
        return Spending()
    tokens_in, tokens_out, cost, calls = row
    return Spending(input_tokens=tokens_in, output_tokens=tokens_out, known_cost=cost, tool_calls=calls)


def weigh(tx: Tx, run_id: str, budget: Budget, at: Micros) -> Weighed:
    """How a run stands now, and what a person was asked about it already."""
    row = tx.one("spent_question", run_id=run_id, tool=QUESTION)
    asked = None if row is None else msgspec.json.decode(row[0], type=dict[str, object])
    return Weighed(standing(budget, spent_by(tx, run_id, budget.scope, at)), asked)


def reserve_tool_call(tx: Tx, run: RunRow, call_id: str, at: Micros) -> None:
    """Judge a tool call before it is begun; its `tool.call.started`, in the same transaction, counts it.

    A call that was counted before, by an earlier attempt, passes. Raises TenureError `capacity` with
    reason `budget_exhausted`; the host then ends the run.
    """
    budget: Budget | None = run.grant.budget
    if budget is None or tx.one("spent_call_known", run_id=run.id, call_id=call_id) is not None:
        return
    if budget.scope is BudgetScope.USER_DAY and budget.tool_calls is not None:
        tx.spend_alone(run.tenant, run.author)  # the author's other sessions spend from the same day
    check_tool_call(budget, spent_by(tx, run.id, budget.scope, at))
