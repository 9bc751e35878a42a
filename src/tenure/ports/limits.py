"""The store port, what is spent and what is kept: sums of usage, budgets, and retention.

Spending is booked by the store itself, in the commit of the event that tells of it; here it is only read.
"""

from typing import NamedTuple, Protocol

from tenure.core.budget import Standing
from tenure.core.grant import Budget
from tenure.core.moment import Micros
from tenure.core.tool import Arguments
from tenure.core.view import UsageDay
from tenure.ports.acts import Page


class UsageFilter(NamedTuple):
    """Whose days, and which: the first and the last, as dates. None means any."""

    tenant: str | None
    user: str | None
    since: str | None = None
    until: str | None = None


class Weighed(NamedTuple):
    """How a run stands, and the question that was put to a person for its sake already, if any."""

    standing: Standing
    asked: Arguments | None


class LimitActs(Protocol):
    """What was spent, and what is kept."""

    async def weigh(self, run_id: str, budget: Budget, at: Micros) -> Weighed:
        """The same as `standing`, behind everything that was written before."""
        ...

    async def standing(self, run_id: str, budget: Budget, at: Micros) -> Standing:
        """How the run stands against its budget now. `at` says which day it is."""
        ...

    async def days(self, which: UsageFilter, cursor: str | None, limit: int) -> Page[UsageDay]:
        """Sums by user and day, the latest day first. Raises TenureError `bad_cursor`."""
        ...

    async def retire(self, before: Micros) -> int:
        """Take away the oldest entries of one session that are older than `before`, some at a time.

        Never of a live or waiting run, never of the last thousand entries. What they fold to is kept as a
        snapshot, written in the same transaction. Returns how many entries went; 0 when nothing is left.
        """
        ...
