"""A deterministic event loop: virtual time, seeded order, nodes that can be killed or frozen.

The simulation runs the whole host on it. It implements the public loop interface and nothing that
touches the outside: threads, sockets and processes are refused with NotImplementedError.
"""

import asyncio
import contextvars
import gc
import heapq
import random
import sys
import warnings
from asyncio.events import _set_running_loop  # pyright: ignore[reportPrivateUsage] - made for loops
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
Context: TypeAlias = contextvars.Context | None

NODE: contextvars.ContextVar[str] = contextvars.ContextVar("node", default="world")
"""Whose code is running. Tasks and callbacks inherit it from whoever started them."""


class Stuck(RuntimeError):
    """Nothing can run any more, or too much has run."""


class _Step(NamedTuple):
    handle: asyncio.Handle
    node: str


class SimLoop(asyncio.AbstractEventLoop):
    """Two loops with the same seed and the same work take the same steps at the same moments.

    With `shuffle` any ready step may be next, a wider choice than asyncio's first in, first out.
    `trace` sums up every choice so far; `faults` holds what callbacks raised.
    """

    def __init__(self, seed: int, *, shuffle: bool = True, max_steps: int = 400_000) -> None:
        self.random = random.Random(seed)
        self.steps = self.trace = 0
        self.faults: list[dict[str, Any]] = []
        self._now = 0.0
        self._shuffle = shuffle
        self._max_steps = max_steps
        self._ready: list[_Step] = []
        self._timers: list[tuple[float, int, _Step]] = []
        self._timer_numbers = count()
        self._dead: set[str] = set()
        self._frozen: set[str] = set()
        self._parked: list[_Step] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._generators: list[AsyncGenerator[Any, Any]] = []
        self._closed = False

    def spawn(self, node: str, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task that belongs to `node`, with everything that it starts."""
        context = contextvars.copy_context()
        context.run(NODE.set, node)
        return self.create_task(coro, name=f"{node}:{len(self._tasks)}", context=context)

    def kill(self, node: str) -> None:
        """From now on nothing of `node` runs: no step, no timer, no finally block."""
        self._dead.add(node)

    def freeze(self, node: str) -> None:
        """Suspend `node` until `thaw`. Time goes on without it."""
        self._frozen.add(node)

    def thaw(self, node: str) -> None:
        """Let a frozen node go on with all that came due meanwhile."""
        self._frozen.discard(node)
        self._ready += [step for step in self._parked if step.node == node]
        self._parked = [step for step in self._parked if step.node != node]

    def alive(self, node: str) -> bool:
        """Whether `node` was never killed."""
        return node not in self._dead

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context = None
    ) -> asyncio.Handle:
        context = contextvars.copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        if not self._closed:
            self._ready.append(_Step(handle, context.get(NODE, "world")))
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context = None
    ) -> asyncio.TimerHandle:
        context = contextvars.copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        step = _Step(handle, context.get(NODE, "world"))
        heapq.heappush(self._timers, (when, next(self._timer_numbers), step))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells its loop of a cancelled timer; this one finds out when it comes due."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: Context = None,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        # Kept to the end: were a killed task collected, its finally blocks would run after all.
        self._tasks.append(task)
        return task

    def get_task_factory(self) -> None:
        """Task groups of anyio ask for it: tasks are made in no other way here."""

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            self.faults.append(context)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run until `coro` is done. Raises Stuck for a deadlock or a livelock."""
        with self._running():
            task = self.create_task(coro, name="world")
            while not task.done():
                self._turn()
        return task.result()

    def close(self) -> None:
        """Let go of everything. Nothing that closing coroutines do or raise matters any more."""
        self._closed = True
        with self._running(), warnings.catch_warnings():
            # What a killed node had made and never got to start is nobody's mistake.
            warnings.simplefilter("ignore", RuntimeWarning)
            for task in self._tasks:
                with suppress(BaseException):
                    task.get_coro().close()
            self._tasks, self._ready, self._timers, self._parked, task = [], [], [], [], None
            gc.collect(0)

    def _turn(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            self._ready.append(heapq.heappop(self._timers)[2])
        if not self._ready:
            self._advance()
            return
        last = len(self._ready) - 1
        chosen = self.random.randint(0, last) if self._shuffle and last else 0
        step = self._ready.pop(chosen)
        if step.node in self._frozen and step.node not in self._dead:
            self._parked.append(step)
        elif not self._moot(step):
            self.steps += 1
            self.trace = (self.trace * 1_000_003 + chosen * 31 + int(self._now * 1e6)) % (1 << 61)
            if self.steps > self._max_steps:
                raise Stuck(f"livelock: more than {self._max_steps} steps by t={self._now:.3f}")
            step.handle._run()

    def _advance(self) -> None:
        while self._timers and self._moot(self._timers[0][2]):
            heapq.heappop(self._timers)
        if not self._timers:
            waiting = [task.get_name() for task in self._tasks if not task.done()]
            raise Stuck(f"deadlock at t={self._now:.3f}: nothing can run, and {waiting} wait")
        self._now = max(self._now, self._timers[0][0])

    def _moot(self, step: _Step) -> bool:
        return step.handle.cancelled() or step.node in self._dead

    @contextmanager
    def _running(self) -> Generator[None]:
        hooks, collecting = sys.get_asyncgen_hooks(), gc.isenabled()
        gc.disable()
        # Generators are kept like tasks; one that is abandoned is left as it stands.
        sys.set_asyncgen_hooks(self._generators.append, lambda _: None)
        _set_running_loop(self)
        try:
            yield
        finally:
            _set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)
            if collecting:
                gc.enable()
