"""Runs agent code in virtual time: waiting takes none, and the clock shows how long it would have."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

from tenure.core.output import Output
from tenure.ports.runner import Runner
from tenure.runners.rehearsal import FakeRun

T = TypeVar("T")


class Spoken(NamedTuple):
    """An output and the second at which it came."""

    at: float
    output: Output


class LeapingSelector(selectors.SelectSelector):
    """Where a loop would wait, time leaps to the end of the wait."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready, at once."""
        assert timeout is not None, "The loop would wait for ever."
        self.now += max(timeout, 0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock is that of its selector."""

    def __init__(self) -> None:
        self._leaping = LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._leaping.now


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def timeline(runner: Runner, run: FakeRun, stop_at: float | None = None) -> list[Spoken]:
    """Everything an attempt puts out, with its times; at `stop_at` it is asked to stop."""

    async def listen() -> list[Spoken]:
        loop = asyncio.get_running_loop()
        if stop_at is not None:
            loop.call_at(stop_at, run.stop)
        return [Spoken(round(loop.time(), 6), output) async for output in runner.run(run)]

    return in_virtual_time(listen())
