"""The tasks of a host: each is held until it is done, and its failure is told, never lost."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from tenure.errors import TenureError

T = TypeVar("T")

STOP_S = 2.0

log = logging.getLogger("tenure.host")


class Tasks:
    """Starts tasks and keeps them. The loop itself would only hold them weakly."""

    def __init__(self) -> None:
        # In the order of their start, so that a simulation stops them in the same order again.
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start `work`. If it fails, the log says so under `name`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    async def whole(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Carry `work` through even if whoever asked is cancelled meanwhile.

        A refusal is an answer to whoever asked, not a failure of the task.
        """
        answer = await asyncio.shield(self.spawn(_answered(work), name))
        if isinstance(answer, TenureError):
            raise answer
        return answer

    def __len__(self) -> int:
        # One that has just ended is still kept until the loop has called `_done`.
        return sum(not task.done() for task in self._tasks)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("The task %s failed.", task.get_name(), exc_info=task.exception())

    async def stop(self) -> int:
        """Cancel what is left, and wait at most STOP_S. Returns how many tasks ignored it."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=STOP_S)
        return len(self)


async def _answered(work: Coroutine[Any, Any, T]) -> T | TenureError:
    try:
        return await work
    except TenureError as refusal:
        return refusal
