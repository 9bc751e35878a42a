"""Calls that an agent elsewhere makes through the run gateway, kept for one attempt of a run.

Whoever asked may lose patience, or its connection. The call goes on all the same, and whoever asks for
exactly the same again gets its answer; it ends, answered or not, with the attempt.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from tenure.errors import Code, TenureError

MOST_CALLS = 100
"""How many calls of one attempt may be under way, or wait for their asker to come back."""

Answer: TypeAlias = object | TenureError
"""What a call came to: its result, or the refusal."""

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, Answer]], "asyncio.Task[Answer]"]
"""Starts a task that the host keeps."""


class RemoteCalls:
    """The calls under way for one attempt, and those whose asker left."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._calls: dict[asyncio.Task[Answer], None] = {}
        self._left: dict[str, deque[asyncio.Task[Answer]]] = {}
        self._over = False

    def begin(self, call: str, work: Coroutine[Any, Any, object]) -> "asyncio.Task[Answer]":
        """Do `work`, or take up the oldest of the same calls whose asker left; `work` isn't begun then.

        `call` says what makes two calls the same. The task is cancelled when the attempt ends. Raises
        TenureError `capacity` if too many are under way, `not_running` once the attempt is over.
        """
        waiting = self._left.get(call)
        if waiting:
            work.close()
            return self._taken_up(call, waiting)
        if len(self._calls) >= MOST_CALLS:
            self._drop_answered()
        if self._over or len(self._calls) >= MOST_CALLS:
            work.close()
            raise _over() if self._over else _full()
        task = self._spawn(_answered(work))
        self._calls[task] = None
        return task

    def _taken_up(self, call: str, waiting: "deque[asyncio.Task[Answer]]") -> "asyncio.Task[Answer]":
        task = waiting.popleft()
        if not waiting:
            del self._left[call]
        return task

    def _drop_answered(self) -> None:
        """Keep no answer any longer that nobody came back for."""
        for call, waiting in list(self._left.items()):
            for task in [task for task in waiting if task.done()]:
                waiting.remove(task)
                del self._calls[task]
            if not waiting:
                del self._left[call]

    def heard(self, task: "asyncio.Task[Answer]") -> None:
        """The asker has the answer."""
        self._calls.pop(task, None)

    @property
    def forsaken(self) -> int:
        """How many calls wait for their asker to come back."""
        return sum(len(waiting) for waiting in self._left.values())

    def leave(self, call: str, task: "asyncio.Task[Answer]") -> None:
        """The asker is gone: the call goes on, for whoever asks for the same again."""
        if not self._over:
            self._left.setdefault(call, deque()).append(task)

    def close(self) -> None:
        """The attempt is over, and all of its calls with it."""
        self._over = True
        self._left.clear()
        for task in self._calls:
            task.cancel()
        self._calls.clear()


async def _answered(work: Coroutine[Any, Any, object]) -> Answer:
    """A refusal is an answer to whoever asked, not a failure of the task."""
    try:
        return await work
    except TenureError as refusal:
        return refusal


def _over() -> TenureError:
    return TenureError(
        Code.NOT_RUNNING, "The run has ended, or goes on as its next attempt. Nothing was called. Stop."
    )


def _full() -> TenureError:
    return TenureError(
        Code.CAPACITY,
        f"{MOST_CALLS} calls of this run are under way already. Wait for some of them to be answered.",
        scope="per_run",
        limit=MOST_CALLS,
    )
