"""Signals within one process: for several hosts in one test, and for the only host of a home.

All hosts of an `Ether` hear each other, in the loop, a step later.
"""

import asyncio
from collections.abc import Callable

from tenure.ports.signals import Hint
from tenure.signals.gathering import sum_of


class Ether:
    """What carries the hints of one process. In the order in which they opened, all hear all others."""

    def __init__(self) -> None:
        self._open: dict[LocalSignals, None] = {}

    def signals(self) -> "LocalSignals":
        """Another host's way to the others."""
        return LocalSignals(self._open)


class LocalSignals:
    """One host's way to the others of its process."""

    def __init__(self, hosts: "dict[LocalSignals, None]") -> None:
        self._hosts = hosts
        self._waiting: list[Hint] = []
        self._listener: Callable[[Hint], None] = _deaf

    def hint(self, hint: Hint) -> None:
        if self not in self._hosts:
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting.append(hint)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        hint = sum_of(waiting)
        for host in list(self._hosts):
            if host is not self:
                host.hear(hint)

    def hear(self, hint: Hint) -> None:
        """Another host sent this."""
        if self in self._hosts:
            self._listener(hint)

    def listen(self, listener: Callable[[Hint], None]) -> None:
        self._listener = listener

    async def open(self) -> None:
        self._hosts[self] = None

    async def close(self) -> None:
        self._hosts.pop(self, None)


def _deaf(hint: Hint) -> None:
    """Nobody listens as yet: a hint may be lost."""
