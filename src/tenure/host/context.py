"""What one attempt is offered: the run context of the runner port, each use judged by the grant."""

import asyncio

import msgspec

from tenure.core.content import Content, text_of
from tenure.core.grant import HISTORY, Grant
from tenure.core.view import TranscriptPage
from tenure.host.authorization import require
from tenure.ports.store import Start, Store


class Incoming(msgspec.Struct, frozen=True):
    """The message that started the run."""

    id: str
    content: Content
    user: str

    @property
    def text(self) -> str:
        """Its text, parts joined by line breaks."""
        return text_of(self.content)


class Attempt:
    """The run context of one attempt."""

    def __init__(self, start: Start, store: Store) -> None:
        self._start = start
        self._store = store
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    @property
    def run_id(self) -> str:
        return self._start.run_id

    @property
    def session_id(self) -> str:
        return self._start.session_id

    @property
    def attempt(self) -> int:
        return self._start.attempt

    @property
    def grant(self) -> Grant:
        return self._start.grant

    @property
    def message(self) -> Incoming:
        start = self._start
        return Incoming(start.message_id, start.content, start.author.user)

    @property
    def stopping(self) -> bool:
        return self._stopped.is_set()

    @property
    def seconds_left(self) -> float | None:
        limit = self._start.grant.deadline_s
        return None if limit is None else max(0.0, limit - (self._loop.time() - self._began))

    async def stopped(self) -> None:
        await self._stopped.wait()

    async def transcript(self, cursor: str | None = None, limit: int = 100) -> TranscriptPage:
        require(self._start.grant, HISTORY)
        return await self._store.transcript(self._start.session_id, cursor, limit)

    def stop(self) -> None:
        """Ask the runner to stop at its next safe point."""
        self._stopped.set()
