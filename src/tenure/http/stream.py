"""Event streams: replay from a cursor, then live, for one reader each.

The events route follows a whole session; the streaming POST follows one message to its end. A reader
that goes away is noticed at once and stops nothing but its own stream.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple, assert_never

import msgspec
from starlette.types import Receive, Scope, Send

from tenure.host.fanout import Delivery, Ended, Follower, Gap, Step, UpToDate
from tenure.http.audience import Audience, Seat
from tenure.http.call import AnyCall
from tenure.http.gates import hash_of

COMMENT = b": \n\n"
"""What a silent stream sends, so that proxies and clients see that it lives."""


class ControlUpToDate(msgspec.Struct, frozen=True):
    """Replay reached the head; what comes now is live."""

    head_seq: int
    history: str


class ControlGap(msgspec.Struct, frozen=True):
    """The journal between `after` and `min_available` was retired; the stream goes on there."""

    after: int
    min_available: int


class ControlClosed(msgspec.Struct, frozen=True):
    """Nothing more comes: deleted, draining, revoked, slow, settled or withdrawn."""

    reason: str


Control = ControlUpToDate | ControlGap | ControlClosed

NAMES: dict[type[Control], str] = {
    ControlUpToDate: "up_to_date",
    ControlGap: "gap",
    ControlClosed: "closed",
}


def control_of(item: Gap | UpToDate | Ended, history: str) -> Control:
    """What the reader is told besides events."""
    match item:
        case UpToDate(head_seq=head_seq):
            return ControlUpToDate(head_seq, history)
        case Gap(after=after, min_available=min_available):
            return ControlGap(after, min_available)
        case Ended(reason=reason):
            return ControlClosed(reason)
        case _:
            assert_never(item)


def control_frame(control: Control) -> bytes:
    """A control frame: named, and without an id, so that it never moves a cursor."""
    return named_frame(NAMES[type(control)], control)


def named_frame(name: str, data: object) -> bytes:
    """A frame with an event name and JSON data."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


def headers_of(history: str) -> list[tuple[bytes, bytes]]:
    """The headers of every event stream; proxies must neither buffer nor keep it."""
    return [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
        (b"x-content-type-options", b"nosniff"),
        (b"tenure-history", history.encode()),
    ]


class Beat(NamedTuple):
    """Nothing was said for a while: say that the stream lives."""


class Reader:
    """One client that follows a session: what comes next for it, and the way to write it."""

    def __init__(self, audience: Audience, seat: Seat, follower: Follower, send: Send) -> None:
        self._audience = audience
        self._seat = seat
        self._follower = follower
        self._send = send

    async def next(self) -> Step | Beat | None:
        """What comes next, or None once the client is gone."""
        while not self._seat.gone:
            step = await self._follower.next()
            if step is not None:
                return step
            if self._seat.silent:
                self._seat.silent = False
                return Beat()
        return None

    async def start(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Say that an event stream begins."""
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, frames: bytes) -> None:
        """Send whole frames, joined in one write."""
        await self._send({"type": "http.response.body", "body": frames, "more_body": True})
        self.spoke()

    def spoke(self) -> None:
        """Something was sent just now, so the silence begins anew."""
        self._audience.spoke(self._seat)

    async def finish(self) -> None:
        """End the body, so that the connection can be used again."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def following(call: AnyCall, seat: Seat, after: int, send: Send) -> AsyncGenerator[Reader]:
    """A reader of the call's session from a cursor, for one block. Raises TenureError `cursor_ahead`."""
    with await call.site.host.fanout.follow(call.session_id, after) as follower:
        seat.listen(follower)
        yield Reader(call.site.audience, seat, follower, send)


@contextmanager
def watching(receive: Receive, seat: Seat) -> Generator[None]:
    """Notice at once, for one block, when the client of an event stream goes away."""
    watch = asyncio.create_task(_watch(receive, seat))
    try:
        yield
    finally:
        watch.cancel()


async def _watch(receive: Receive, seat: Seat) -> None:
    """Wait for the client to go away. Until then nothing else comes from it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    seat.leave()


class EventStream(NamedTuple):
    """The answer that follows a session from a cursor until somebody ends it."""

    call: AnyCall
    after: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it."""
        site = self.call.site
        with site.audience.seat(self.call.by, hash_of(self.call.key)) as seat:
            async with following(self.call, seat, self.after, send) as reader:
                with watching(receive, seat):
                    await reader.start(headers_of(site.host.store.history))
                    await _follow(reader, site.host.store.history)


async def _follow(reader: Reader, history: str) -> None:
    while (step := await reader.next()) is not None:
        match step:
            case Delivery():
                await reader.write(step.sse())
            case Beat():
                await reader.write(COMMENT)
            case _:
                await reader.write(control_frame(control_of(step, history)))
        if isinstance(step, Ended):
            await reader.finish()
            return
