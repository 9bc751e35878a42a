"""Budgets: a run whose budget is spent ends at once, and one that has none left never begins.

What was spent is booked by the store in the commit of the event that tells of it. This room hears of such
commits and asks how the runs stand that they concern; it keeps no sums of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from tenure.core.budget import Level, question
from tenure.core.event import ToolCallStarted, UsageRecorded
from tenure.core.grant import Budget, BudgetScope
from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError
from tenure.host.tasks import Tasks
from tenure.ports.acts import Start
from tenure.ports.clock import Clock
from tenure.ports.store import Block, Store

_SPENDS = (UsageRecorded, ToolCallStarted)


Ask: TypeAlias = Callable[[Arguments], Awaitable[None]]
"""Puts a question to people. Raises TenureError `denied` if they refuse."""


class _Watched(NamedTuple):
    author: tuple[str, str]
    budget: Budget | None
    end: Callable[[], None]


class Budgets:
    """The budgets of the runs that this host holds."""

    def __init__(self, store: Store, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._watched: dict[str, _Watched] = {}
        self._daily: dict[tuple[str, str], dict[str, None]] = {}
        self._judged = 0
        self._allowed: dict[str, None] = {}
        self._asking: dict[str, asyncio.Event] = {}

    async def is_spent(self, start: Start) -> bool:
        """Whether nothing is left for this run, so that its runner mustn't even be called."""
        budget = start.grant.budget
        return budget is not None and await self._is_spent(start.run_id, budget)

    def watch(self, start: Start, end: Callable[[], None]) -> None:
        """Call `end` once the run's budget is spent."""
        author, budget = start.grant.author, start.grant.budget
        who = (author.tenant, author.user)
        self._watched[start.run_id] = _Watched(who, budget, end)
        if budget is not None:
            self._judged += 1
            if budget.scope is BudgetScope.USER_DAY:
                self._daily.setdefault(who, {})[start.run_id] = None

    async def clears(self, start: Start, ask: Ask) -> bool:
        """Whether a run may make one more tool call: once its share is passed, only if a person lets it.

        Whether the budget has room for the call is judged by the ledger.
        """
        budget, run_id = start.grant.budget, start.run_id
        if budget is None or budget.ask_at is None or run_id in self._allowed:
            return True
        found = await self._store.limits.standing(run_id, budget, self._clock.now())
        return found.level is not Level.ASK or await self.weigh(start, ask)

    async def weigh(self, start: Start, ask: Ask) -> bool:
        """Whether a run may go on after what it has just spent.

        When the share is passed at which its budget wants a person asked, that is done first, and once,
        whatever the run does side by side.
        """
        budget, run_id = start.grant.budget, start.run_id
        if budget is None:
            return True
        try:
            weighed = await self._store.limits.weigh(run_id, budget, self._clock.now())
        except TenureError as error:
            # What can't be weighed now is weighed with the next thing that is spent.
            if error.code not in (Code.STORE_FULL, Code.STORE_UNAVAILABLE):
                raise
            return True
        if weighed.standing.level is not Level.ASK or run_id in self._allowed:
            return weighed.standing.level is not Level.SPENT
        if (asking := self._asking.get(run_id)) is not None:
            await asking.wait()
            return await self.weigh(start, ask)
        return await self._asked(run_id, weighed.asked or question(budget, weighed.standing), ask)

    async def _asked(self, run_id: str, asked: Arguments, ask: Ask) -> bool:
        """Put the question. A run that was stopped meanwhile may go on, to its end."""
        self._asking[run_id] = answered = asyncio.Event()
        try:
            await ask(asked)
        except TenureError as refusal:
            if refusal.code not in (Code.DENIED, Code.FENCED, Code.NOT_RUNNING):
                raise
            return refusal.code is not Code.DENIED
        finally:
            del self._asking[run_id]
            answered.set()
        self._allowed[run_id] = None
        return True

    def forget(self, run_id: str) -> None:
        """The run has ended, or isn't this host's any more."""
        self._allowed.pop(run_id, None)
        watched = self._watched.pop(run_id, None)
        if watched is None or watched.budget is None:
            return
        self._judged -= 1
        runs = self._daily.get(watched.author, {})
        runs.pop(run_id, None)
        if not runs:
            self._daily.pop(watched.author, None)

    def deliver(self, block: Block) -> None:
        """Look for what was spent in a committed block."""
        if not self._judged:
            return
        spenders = {e.run_id: None for e in block.entries if e.run_id and isinstance(e.event, _SPENDS)}
        for run_id in spenders:
            # Whoever spent, and what its author's other runs have left for the day.
            spender = self._watched.get(run_id)
            others = {} if spender is None else self._daily.get(spender.author, {})
            for one in {run_id: None, **others}:
                self._judge(one)

    def _judge(self, run_id: str) -> None:
        watched = self._watched.get(run_id)
        if watched is not None and watched.budget is not None:
            self._tasks.spawn(self._judge_now(run_id, watched, watched.budget), f"budget of {run_id}")

    async def _judge_now(self, run_id: str, watched: _Watched, budget: Budget) -> None:
        try:
            spent = await self._is_spent(run_id, budget)
        except TenureError as error:
            # What can't be judged now is judged with the next thing that is spent.
            if error.code is not Code.STORE_UNAVAILABLE:
                raise
            return
        # The same run may be held again meanwhile, as its next attempt.
        if spent and self._watched.get(run_id) is watched:
            watched.end()

    async def _is_spent(self, run_id: str, budget: Budget) -> bool:
        found = await self._store.limits.standing(run_id, budget, self._clock.now())
        return found.level is Level.SPENT
