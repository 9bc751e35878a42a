"""How one asynchronous definition becomes a blocking and an asynchronous method, typed both ways.

`calls` writes each method once, as `async def`. On a blocking client it is run to its end without a loop,
which works because nothing that it awaits on a blocking wire ever waits.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

T = TypeVar("T")
P = ParamSpec("P")


class Blocking:
    """A client whose methods return when they are done."""


class Awaiting:
    """A client whose methods are awaited."""


class once(Generic[P, T]):  # noqa: N801 (it is used as a decorator)
    """A method with one answer."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Blocking | Awaiting | None, owner: type) -> Self | Callable[P, Any]:
        if client is None:
            return self
        if isinstance(client, Awaiting):
            return partial(self._method, client)

        def finished(*args: P.args, **kwargs: P.kwargs) -> T:
            return finish(self._method(client, *args, **kwargs))

        return finished


class many(Generic[P, T]):  # noqa: N801 (it is used as a decorator)
    """A method whose answers come one after the other. Close what it returns if you leave it early."""

    def __init__(self, method: Callable[Concatenate[Any, P], AsyncGenerator[T, None]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, client: Blocking | Awaiting | None, owner: type) -> Self | Callable[P, Any]:
        if client is None:
            return self
        if isinstance(client, Awaiting):
            return partial(self._method, client)

        def each(*args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
            return finish_each(self._method(client, *args, **kwargs))

        return each


def finish(call: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        call.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    call.close()
    raise RuntimeError("A blocking client's call waited for an event loop. This is a bug in Tenure.")


def finish_each(answers: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """The items of an asynchronous generator that never waits."""
    try:
        while True:
            try:
                item = finish(answers.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        finish(answers.aclose())
