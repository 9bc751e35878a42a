"""Signals: hints between hosts, lossy by contract. Losing all of them costs latency, never data."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """What another host may want to look at now.

    `heads` says how far the journals of sessions stand. `work` says that runs wait for a slot, `timers` that
    something is due at another time than it was, `hosts` that a host came or went. `missed` says that hints
    may have been lost, so that everything is worth a look.
    """

    heads: Mapping[str, int] = {}
    work: bool = False
    timers: bool = False
    hosts: bool = False
    missed: bool = False


class Signals(Protocol):
    """The way between hosts."""

    def hint(self, hint: Hint) -> None:
        """Tell the others. Returns at once; what comes while a hint is on its way is put together."""
        ...

    def listen(self, listener: Callable[[Hint], None]) -> None:
        """Who gets the hints of others, in the loop. A host never hears its own."""
        ...

    async def open(self) -> None:
        """Begin to listen."""
        ...

    async def close(self) -> None:
        """Listen no more."""
        ...


class Silence:
    """No way between hosts: for one that is alone. With others beside it, the poll finds everything."""

    def hint(self, hint: Hint) -> None:
        """Tell nobody."""

    def listen(self, listener: Callable[[Hint], None]) -> None:
        """Hear nothing."""

    async def open(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""
