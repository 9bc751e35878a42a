"""The journal room: the output of one run on its way to the store.

What a run yields is encoded at once and gathers here while the previous commit is under way; then it goes
in one append. The store judges the lease. A store without space is tried again, and the runner waits.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from tenure.core.entry import Entry
from tenure.errors import Code, TenureError
from tenure.ports.store import Append, Lease, Store

CONGESTED_BYTES = 1 << 18
RETRY_S = 0.5
_PASSING = (Code.STORE_FULL, Code.STORE_UNAVAILABLE)


class RunJournal:
    """The only way in which one run's output becomes events."""

    def __init__(
        self, store: Store, lease: Lease, run_id: str, lost: Callable[[BaseException], None]
    ) -> None:
        self._store = store
        self._lease = lease
        self._run_id = run_id
        self._lost = lost
        self._pending: list[Entry] = []
        self._pending_bytes = 0
        self._busy = False
        self._closed = False
        self._relief: asyncio.Future[None] | None = None
        self._flying = False
        self._landed: asyncio.Future[None] | None = None
        self._landing = False
        self._turn: asyncio.Future[None] | None = None
        self._retrying = False
        self.broken = False
        """Whether output was lost by a fault of the store: the journal then ends before it."""

    @property
    def congested(self) -> bool:
        """Whether so much waits for the disk that the runner should wait too."""
        return self._pending_bytes > CONGESTED_BYTES

    def add(self, entry: Entry) -> None:
        """Take one more event. It is durable, and seen by anyone, only after its commit."""
        if self._closed:
            return
        self._pending.append(entry)
        self._pending_bytes += len(entry.line)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def relief(self) -> None:
        """Wait until the disk has caught up."""
        while self.congested and not self._closed:
            self._relief = asyncio.get_running_loop().create_future()
            await self._relief

    async def sent(self) -> None:
        """Wait until everything taken so far is on its way, so that an act that follows stands behind it."""
        while self._pending and not self._closed and not self._landing:
            if self._flying or self._retrying:
                self._turn = self._turn or asyncio.get_running_loop().create_future()
                await asyncio.shield(self._turn)
            else:
                self._flush()

    def hold(self) -> None:
        """Send nothing more: what is left goes with the end of the run."""
        self._landing = True

    async def land(self) -> None:
        """Hold, and wait until what is on its way has arrived or failed.

        What failed for want of space stands first in what `close` returns, so that nothing is lost.
        """
        self.hold()
        if self._flying:
            self._landed = asyncio.get_running_loop().create_future()
            await self._landed

    def close(self) -> list[Entry]:
        """Take nothing more. Returns what isn't on its way yet, to go with the end of the run."""
        self._closed = True
        rest, self._pending, self._pending_bytes = self._pending, [], 0
        self._relieve()
        self._next_turn()
        return rest

    def _next_turn(self) -> None:
        """Whoever waits behind what was on its way looks again."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.set_result(None)

    def _flush(self) -> None:
        if self._flying:
            # `sent` was quicker than the flush that was called for. Two at a time could overtake another.
            return
        if not self._pending or self._landing:
            self._busy = False
            return
        batch, self._pending, self._pending_bytes = self._pending, [], 0
        self._send(batch)

    def _send(self, batch: list[Entry]) -> None:
        self._flying = True
        written = self._store.append(self._lease, Append(self._run_id, batch))
        written.add_done_callback(partial(self._written, batch))

    def _written(self, batch: list[Entry], written: "asyncio.Future[None]") -> None:
        self._flying = False
        if self._landed is not None and not self._landed.done():
            self._landed.set_result(None)
        self._next_turn()
        if written.cancelled():
            return
        error = written.exception()
        if error is None:
            self._relieve()
            self._flush()
        elif isinstance(error, TenureError) and error.code in _PASSING:
            self._again(batch)
        else:
            self.broken = not (isinstance(error, TenureError) and error.code is Code.FENCED)
            self.close()
            self._lost(error)

    def _again(self, batch: list[Entry]) -> None:
        """Keep the order: what failed goes first, and what gathered since goes with it."""
        if self._closed:
            return
        self._pending = batch + self._pending
        self._pending_bytes = sum(len(entry.line) for entry in self._pending)
        self._retrying = True
        asyncio.get_running_loop().call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._retrying = False
        self._flush()

    def _relieve(self) -> None:
        if self._relief is not None and not self._relief.done():
            self._relief.set_result(None)
