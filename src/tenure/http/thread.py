"""What of a session's journal belongs to one message: its own events, and those of the run that took it.

The streaming POST asks it. It reads the store only for the message's place in the queue and its outcome.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tenure.core.entry import lines_of, record, shell
from tenure.core.event import (
    Event,
    MessageAdmitted,
    MessagePromoted,
    MessageUpdated,
    MessageWithdrawn,
    RunFinished,
    RunnerWarning,
    RunStarted,
    SteeringConsumed,
    Unknown,
)
from tenure.core.message import Disposition, MessageState
from tenure.core.view import MessageReceipt
from tenure.host.fanout import Delivery
from tenure.http.stream import named_frame
from tenure.ports.store import Store

SETTLED = "settled"
WITHDRAWN = "withdrawn"
OUTCOMES: dict[str, str] = {MessageState.SETTLED: SETTLED, MessageState.WITHDRAWN: WITHDRAWN}

_TELLING = frozenset(
    {
        "message.admitted",
        "message.updated",
        "message.promoted",
        "message.withdrawn",
        "steering.consumed",
        "run.started",
        "run.finished",
    }
)
"""The types whose data decides whether an event belongs here; the others only say whose run they are of."""

_MOVING = (MessagePromoted, SteeringConsumed, MessageWithdrawn, RunStarted)
"""What can change places in the queue. For all else there is no need to ask the store."""


class _Seen(NamedTuple):
    seq: int
    run_id: str | None
    event: Event | Unknown | None
    line: bytes


class _Over(NamedTuple):
    """The message had its outcome when the journal's head was this."""

    outcome: str
    as_of_seq: int


class Thread:
    """One message from its receipt to its outcome. `outcome` is settled or withdrawn once it is known."""

    def __init__(self, store: Store, session_id: str, receipt: MessageReceipt) -> None:
        self._store = store
        self._session_id = session_id
        self._message_id = receipt.message_id
        self._into = receipt.into
        # The run that a message is to steer isn't the one that took it, before it did.
        self._run_id = None if receipt.disposition == Disposition.STEERED else receipt.run_id
        self._waits = receipt.disposition == Disposition.QUEUED
        self._position: int | None = receipt.queue_position
        self._over: _Over | None = None
        self.outcome: str | None = None

    def queued(self) -> bytes:
        """A frame with the message's place in the queue, if it waits."""
        if not self._waits or self._position is None:
            return b""
        return named_frame("queued", {"position": self._position})

    async def resume(self) -> bytes:
        """Take up a message that was admitted before. Its run and its end may lie before the cursor."""
        info = await self._store.message(self._session_id, self._message_id)
        if info is None:
            return b""
        if info.status != MessageState.STEERED:
            self._run_id = info.run_id or self._run_id
        self._position = info.queue_position
        self._waits = info.status == MessageState.QUEUED
        if info.status in OUTCOMES:
            self._over = _Over(OUTCOMES[info.status], info.as_of_seq)
        return self.queued()

    async def frames(self, delivery: Delivery) -> bytes:
        """The frames of what belongs to the message, up to its outcome."""
        if self._is_all_ours(delivery):
            if delivery.entries and type(delivery.entries[-1].event) is RunFinished:
                self.outcome = SETTLED
            return delivery.sse()
        frames: list[bytes] = []
        moved = False
        for seen in _entries(delivery):
            moved = moved or isinstance(seen.event, _MOVING)
            if self._belongs(seen):
                frames.append(b'id: %d\ndata: {"seq":%d,%b\n\n' % (seen.seq, seen.seq, seen.line))
            if self.outcome is not None:
                break
        if moved and self._waits and self.outcome is None:
            frames.append(await self._moved())
        self.reached(delivery.last)
        return b"".join(frames)

    def reached(self, seq: int) -> None:
        """All up to `seq` was seen. A message that was over by then, unseen, ended before the cursor."""
        if self._over is not None and self.outcome is None and seq >= self._over.as_of_seq:
            self.outcome = self._over.outcome

    def _is_all_ours(self, delivery: Delivery) -> bool:
        entries = delivery.entries
        if not entries or self._run_id is None or self._waits:
            return False
        if type(entries[-1].event) is RunnerWarning:  # it may stand behind the end of the run
            return False
        mine = self._run_id
        return all(entry.run_id == mine for entry in entries)

    def _belongs(self, seen: _Seen) -> bool:
        match seen.event:
            case MessageAdmitted(message_id=message_id) | MessageUpdated(message_id=message_id):
                return message_id == self._message_id
            case MessagePromoted(message_id=message_id, to=to):
                if message_id == self._message_id:
                    self._waits = to != "steering"
                return message_id == self._message_id
            case SteeringConsumed(message_ids=message_ids) if self._message_id in message_ids:
                self._run_id, self._waits = seen.run_id, False
            case MessageWithdrawn(message_id=message_id):
                if message_id == self._message_id:
                    self.outcome = WITHDRAWN
                return message_id == self._message_id
            case RunStarted(trigger=trigger) if trigger.message in (self._message_id, self._into):
                self._run_id, self._waits = seen.run_id, False
            case RunFinished() if seen.run_id == self._run_id and seen.run_id is not None:
                self.outcome = SETTLED
            case _:
                pass
        return seen.run_id is not None and seen.run_id == self._run_id

    async def _moved(self) -> bytes:
        """The frame of the message's new place in the queue, if it has one."""
        info = await self._store.message(self._session_id, self._message_id)
        if info is None or info.queue_position in (None, self._position):
            return b""
        self._position = info.queue_position
        return self.queued()


def _entries(delivery: Delivery) -> Iterator[_Seen]:
    lines = lines_of(delivery.body)
    if delivery.entries:
        for at, entry in enumerate(delivery.entries):
            yield _Seen(delivery.first + at, entry.run_id, entry.event, lines[at])
        return
    for at, rest in enumerate(lines):
        line = b"{" + rest
        outer = shell(line)
        event = record(delivery.first + at, line).event if outer.type in _TELLING else None
        yield _Seen(delivery.first + at, outer.run_id, event, rest)
