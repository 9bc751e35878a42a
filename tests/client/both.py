"""Lets one test drive either client: the asynchronous one is worked from outside its loop."""

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from inspect import isasyncgen
from typing import Any, TypeAlias, cast

from anyio.from_thread import BlockingPortal

from tenure.client import AsyncClient, Client, Gap, JournalEvent

Connect: TypeAlias = Callable[..., AbstractContextManager[Client]]


class Worked:
    """An asynchronous client that looks like a blocking one."""

    def __init__(self, client: AsyncClient, portal: BlockingPortal) -> None:
        self._client = client
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: object, **kwargs: object) -> object:
            result: Any = self._portal.call(lambda: _called(method, *args, **kwargs))
            several = cast("AsyncGenerator[Any, None]", result)
            return self._each(several) if isasyncgen(result) else result

        return call

    def _each(self, items: AsyncGenerator[Any, None]) -> Generator[Any, None, None]:
        try:
            while (item := self._portal.call(anext, items, self)) is not self:
                yield item
        finally:
            self._portal.call(items.aclose)


async def _called(method: Callable[..., Any], *args: object, **kwargs: object) -> object:
    result = method(*args, **kwargs)
    return result if isasyncgen(result) else await result


@contextmanager
def blocking(url: str, key: str, **options: Any) -> Generator[Client]:
    """A blocking client."""
    with Client(url, key, **options) as client:
        yield client


def awaiting(portal: BlockingPortal) -> Connect:
    """What makes asynchronous clients in the portal's loop."""

    @contextmanager
    def connect(url: str, key: str, **options: Any) -> Generator[Client]:
        client = portal.call(lambda: _made(url, key, **options))
        try:
            yield cast("Client", Worked(client, portal))
        finally:
            portal.call(client.aclose)

    return connect


async def _made(url: str, key: str, **options: Any) -> AsyncClient:
    return AsyncClient(url, key, **options)


def events_of(items: Iterable[JournalEvent | Gap]) -> list[JournalEvent]:
    """The events of a journal that has no gap."""
    events: list[JournalEvent] = []
    for item in items:
        assert isinstance(item, JournalEvent), item
        events.append(item)
    return events


def is_finished(event: JournalEvent) -> bool:
    """Whether the event ends a run."""
    return event.type == "run.finished"
