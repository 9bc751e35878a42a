"""The steering room of one attempt: what was sent to steer its run, and what it took.

What waits is known from the events of the journal, so a runner that looks often costs nothing. Taking is
an act: what is handed out counts as consumed, durably, before the runner sees it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from tenure.core.event import Event, MessageAdmitted, MessagePromoted, MessageWithdrawn, SteeringConsumed
from tenure.core.message import Disposition
from tenure.core.steering import SteeringMessage, how_many

STEERING_EVENTS = (MessageAdmitted, MessagePromoted, MessageWithdrawn, SteeringConsumed)
"""The events that this room hears."""


Take: TypeAlias = Callable[[int], Awaitable[tuple[SteeringMessage, ...]]]
"""The act that takes at most so many messages for a run."""


class SteeringRoom:
    """What the steering of one attempt goes through. `take` is the act, `stopped` the run's stop."""

    def __init__(
        self,
        run_id: str,
        take: Take,
        stopped: Callable[[], Awaitable[object]],
    ) -> None:
        self._run_id = run_id
        self._take = take
        self._stopped = stopped
        self._waiting: dict[str, None] = {}
        self._left: set[str] | None = None
        self._news = asyncio.Event()

    @property
    def pending(self) -> int:
        return len(self._waiting)

    def offer(self, message_ids: Iterable[str]) -> None:
        """These wait to be taken."""
        for message_id in message_ids:
            self._waiting[message_id] = None
            self._news.set()

    async def catch_up(self, look: Callable[[], Awaitable[Iterable[str]]]) -> None:
        """Offer what waited before this room heard anything. What it hears while it looks is newer."""
        self._left = set()
        try:
            waiting = await look()
            self.offer(message_id for message_id in waiting if message_id not in self._left)
        finally:
            self._left = None

    def hear(self, event: Event) -> None:
        """Take note of an event of the session."""
        match event:
            case MessageAdmitted(disposition=Disposition.STEERED, run_id=self._run_id):
                self.offer([event.message_id])
            case MessagePromoted(to="steering", run_id=self._run_id):
                self.offer([event.message_id])
            case MessagePromoted(message_id=message_id) | MessageWithdrawn(message_id=message_id):
                self._gone([message_id])
            case SteeringConsumed(message_ids=message_ids):
                self._gone(message_ids)
            case _:
                pass

    def _gone(self, message_ids: Iterable[str]) -> None:
        for message_id in message_ids:
            self._waiting.pop(message_id, None)
            if self._left is not None:
                self._left.add(message_id)
        if not self._waiting:
            self._news.clear()

    async def take(self, mode: str = "all", limit: int | None = None) -> list[SteeringMessage]:
        most = how_many(mode, limit)
        if not self._waiting:
            return []
        taken = await self._take(most)
        self._gone(message.id for message in taken)
        return list(taken)

    async def wait(self) -> None:
        waits = [asyncio.ensure_future(self._news.wait()), asyncio.ensure_future(self._stopped())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
