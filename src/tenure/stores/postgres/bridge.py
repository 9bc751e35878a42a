"""Plain synchronous code over an asynchronous driver: the acts and reads of every store, run on Postgres.

An act runs in a greenlet of its own. Where it asks the database it hands whatever has to be waited for to
the coroutine that began it, and goes on once that came. So the same code decides on every database, and
nothing in it has to know that it waits.
"""

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from greenlet import getcurrent, greenlet

T = TypeVar("T")


async def run(work: Callable[[], T]) -> T:
    """Run synchronous `work`, awaiting whatever it hands to `wait`. Raises what it raises."""
    return await _Work(work)


def wait(awaited: Awaitable[T]) -> T:
    """What `awaited` comes to. Only from code that `run` runs. Raises what it raises, here."""
    outside = getcurrent().parent
    assert outside is not None, "wait is for code that runs within run"
    steps = awaited.__await__()
    try:
        step = next(steps)
        while True:
            thrown: BaseException | None = outside.switch(step)
            step = next(steps) if thrown is None else steps.throw(thrown)
    except StopIteration as done:
        return cast(T, done.value)


class _Work(Generic[T]):
    """Work as something to await."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, None, T]:
        return _Steps[T](greenlet(self._begin))

    def _begin(self, _: None) -> T:
        return self._work()


class _Steps(Generator[Any, None, T]):
    """What the work waits for, one after the other. What the loop throws goes to whatever is awaited."""

    def __init__(self, worker: greenlet) -> None:
        self._worker = worker

    def send(self, value: None, /) -> Any:
        return self._turned(self._worker.switch(None))

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: object = None,
        tb: TracebackType | None = None,
        /,
    ) -> Any:
        if isinstance(val, BaseException):
            return self._turned(self._worker.switch(val))
        return self._turned(self._worker.switch(typ if isinstance(typ, BaseException) else typ()))

    def _turned(self, step: Any) -> Any:
        if self._worker.dead:
            raise StopIteration(step)
        return step
