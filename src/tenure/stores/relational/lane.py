"""The lane: how acts reach the database, and reads too. Nothing else knows of threads or sockets."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from tenure.errors import Code, TenureError
from tenure.ports.store import Append, Block, Commits, Lease
from tenure.stores.relational.locks import Lock
from tenure.stores.relational.look import Look
from tenure.stores.relational.tx import Tx

T = TypeVar("T")

RECENT = 512


class Lane(Protocol):
    """The way to the database."""

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        """Who gets each committed block, in the loop, before the act's future is resolved."""
        ...

    def write(self, act: Callable[[Tx], T], *locks: Lock) -> "asyncio.Future[T]":
        """Run `act` in a transaction that holds `locks`. Resolved once it is durable."""
        ...

    def append(self, lease: Lease, append: Append) -> "asyncio.Future[None]":
        """Record output of a live run, after everything that this host wrote for that run before."""
        ...

    async def read(self, query: Callable[[Look], T]) -> T:
        """Run a query that may take long, in a read transaction of its own."""
        ...

    async def peek(self, query: Callable[[Look], T]) -> T:
        """Run a short query at once."""
        ...

    def commits(self) -> Commits: ...
    def healthy(self) -> bool: ...
    def close(self) -> None: ...


class Meter:
    """Counts commits and keeps the duration of the latest ones."""

    def __init__(self) -> None:
        self._count = self._events = 0
        self._recent: deque[float] = deque(maxlen=RECENT)

    def add(self, seconds: float, blocks: Sequence[Block]) -> None:
        """One commit took `seconds`."""
        self._count += 1
        self._events += sum(b.last - b.first + 1 for b in blocks)
        self._recent.append(seconds)

    def read(self) -> Commits:
        """The figures so far."""
        return Commits(self._count, self._events, tuple(self._recent))


class Outcome(NamedTuple):
    """What one act came to."""

    value: Any = None
    error: Exception | None = None


def resolve(future: "asyncio.Future[Any]", outcome: Outcome) -> None:
    """Tell whoever awaits an act what it came to; nobody may be left waiting, or may have gone."""
    if future.done():
        return
    if outcome.error is None:
        future.set_result(outcome.value)
    else:
        future.set_exception(outcome.error)


def nobody(block: Block) -> None:
    """Blocks before anyone listens have no watcher to reach."""


def gone() -> TenureError:
    """The refusal of everything, once the store is closed."""
    return TenureError(
        Code.STORE_UNAVAILABLE,
        "The store is closed. Nothing was changed. Try again when the server is back.",
    )
