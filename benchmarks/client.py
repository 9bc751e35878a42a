"""A client that costs less than the server: it counts frames in the raw bytes and notes when they came.

Every work uses it. It never decodes what it counts; whoever needs the frames themselves keeps the
reads and takes them apart after the measurement, with `arrivals`.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar, cast

import httptools
import msgspec

MARK = b"\nid: "
END = b"\r\n0\r\n\r\n"
TAIL = 64
UP_TO_DATE = b"event: up_to_date"
PATIENCE_S = 60.0
IDLE_S = 2.0

P = TypeVar("P", bound=asyncio.Protocol)
T = TypeVar("T")


class Address(NamedTuple):
    """Where the server listens, and the key that opens it."""

    host: str
    port: int
    key: str

    def request(self, method: str, path: str, body: object = None, *extra: str) -> bytes:
        """A request as it goes over the wire; `body` is encoded as JSON unless it is None."""
        raw = b"" if body is None else msgspec.json.encode(body)
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Authorization: Bearer {self.key}",
            *extra,
        ]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(raw)}"]
        return "\r\n".join([*lines, "", ""]).encode() + raw


class Reply(NamedTuple):
    """An answer, and how many seconds after the request it was complete."""

    status: int
    body: bytes
    took: float

    def read(self, kind: type[T]) -> T:
        """The body as a value. Raises AssertionError with the body if it is a refusal."""
        assert self.status < 300, f"{self.status}: {self.body.decode()}"
        return msgspec.json.decode(self.body, type=kind)


class _Line(asyncio.Protocol):
    """One connection on which one question is asked at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Reply] | None = None
        self._body: list[bytes] = []
        self._sent = 0.0
        self._link: asyncio.Transport

    @property
    def fresh(self) -> bool:
        """Whether it may be used again: the server ends connections that were idle for some seconds."""
        return not self._link.is_closing() and time.perf_counter() - self._sent < IDLE_S

    async def ask(self, request: bytes) -> Reply:
        """One exchange, timed from the write to the last byte of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._body = []
        self._sent = time.perf_counter()
        self._link.write(request)
        async with asyncio.timeout(PATIENCE_S):
            return await self._answer

    def close(self) -> None:
        """Hang up."""
        self._link.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server hung up"))

    def on_body(self, body: bytes) -> None:
        """Called by the parser with a part of the answer."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser when the answer is whole."""
        took = time.perf_counter() - self._sent
        if self._answer is not None and not self._answer.done():
            status = self._parser.get_status_code()
            self._answer.set_result(Reply(status, b"".join(self._body), took))


class Caller:
    """Asks, waits for the answer, asks again, on a kept connection; several tasks take turns."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._turn = asyncio.Lock()
        self._line: _Line | None = None

    async def call(self, method: str, path: str, body: object = None, *extra: str) -> Reply:
        """One exchange. Raises OSError if the server isn't there or goes away meanwhile."""
        request = self._address.request(method, path, body, *extra)
        async with self._turn:
            if self._line is None or not self._line.fresh:
                self.close()
                self._line = await _dial(self._address, _Line())
            return await self._line.ask(request)

    def close(self) -> None:
        """Hang up. The next call dials again."""
        if self._line is not None:
            self._line.close()
            self._line = None


class Stream(asyncio.Protocol):
    """Counts the frames of a stream of events, on a connection that may be used again afterwards.

    `sent`, `first_at`, `delta_at` and `last_at` are readings of `time.perf_counter`. With `keep`, the
    reads are kept with the wall time of their arrival.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.keep = keep
        self.reads: list[tuple[float, bytes]] = []
        self.received = 0
        self._reset()

    def _reset(self) -> None:
        self.count = 0
        self.sent = self.first_at = self.delta_at = self.last_at = 0.0
        self._ended = _future()
        self._reached = _future()
        self._target = 0
        self._found = _future()
        self._mark = b""
        self._tail = b""

    def send(self, request: bytes, mark: bytes = b"") -> None:
        """Ask for a stream; the counters begin anew. `found` will wait for the mark.

        On a line that the server has hung up meanwhile, the answer has ended with no frame.
        """
        self._reset()
        self._mark = mark
        self.sent = time.perf_counter()
        if self.link.is_closing():
            self.connection_lost(None)
        else:
            self.link.write(request)

    async def until(self, count: int) -> None:
        """Wait until `count` frames have come. Raises ConnectionError if the stream ends before."""
        self._target = count
        if self.count < count:
            self._reached = _future()
            async with asyncio.timeout(PATIENCE_S):
                await self._reached

    def look_for(self, mark: bytes) -> None:
        """From now on look for other bytes; `found` waits for them."""
        self._mark, self._found, self._tail = mark, _future(), b" "

    async def found(self) -> None:
        """Wait until the mark has come."""
        async with asyncio.timeout(PATIENCE_S):
            await self._found

    async def whole(self) -> None:
        """Wait until the answer has ended."""
        async with asyncio.timeout(PATIENCE_S):
            await self._ended

    def cut(self) -> None:
        """Hang up at once, as a lost network does."""
        self.link.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.link = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.keep:
            self.reads.append((time.time(), data))
        if not self._tail:
            self._begin(data)
        self.received += len(data)
        new = data.count(MARK) + (self._tail[-4:] + data[:4]).count(MARK)
        if new:
            self._counted(new, data)
        if self._mark and not self._found.done() and self._mark in self._tail + data:
            self._found.set_result(None)
        self._tail = (self._tail + data[-TAIL:])[-TAIL:]
        if self._tail.endswith(END) and not self._ended.done():
            self._ended.set_result(None)

    def _begin(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200"):
            refusal = AssertionError(f"expected a stream, got {data.decode(errors='replace')}")
            for waiting in (self._ended, self._reached, self._found):
                _fail(waiting, refusal)

    def _counted(self, new: int, data: bytes) -> None:
        self.last_at = time.perf_counter()
        self.count += new
        self.first_at = self.first_at or self.last_at
        if not self.delta_at and b'"message.delta"' in data:
            self.delta_at = self.last_at
        if self.count >= self._target and not self._reached.done():
            self._reached.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
        lost = ConnectionError(f"the stream ended after {self.count} frames")
        for waiting in (self._reached, self._found):
            _fail(waiting, lost)


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def _fail(waiting: asyncio.Future[None], reason: Exception) -> None:
    """Let whoever waits learn the reason; whoever doesn't wait isn't told."""
    if not waiting.done():
        waiting.set_exception(reason)
        waiting.exception()


async def stream(address: Address, *, keep: bool = False) -> Stream:
    """A connection for a stream, nothing asked yet."""
    return await _dial(address, Stream(keep=keep))


async def follow(address: Address, session_id: str, after: int = 0, *, keep: bool = False) -> Stream:
    """A connection that follows a session from a cursor; `found` waits until it is up to date."""
    following = await stream(address, keep=keep)
    following.send(events_request(address, session_id, after), UP_TO_DATE)
    return following


def events_request(address: Address, session_id: str, after: int) -> bytes:
    """What a screen sends that comes back with a cursor."""
    path = f"/v1/sessions/{session_id}/events"
    return address.request("GET", path, None, "Accept: text/event-stream", f"Last-Event-ID: {after}")


def say_request(address: Address, session_id: str, text: str) -> bytes:
    """What a screen sends that says something and wants to see the answer come."""
    path = f"/v1/sessions/{session_id}/messages"
    return address.request("POST", path, {"content": text}, "Accept: text/event-stream")


async def _dial(address: Address, protocol: P) -> P:
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: protocol, address.host, address.port)
    return protocol


class Arrival(NamedTuple):
    """One frame: when it came in wall time, its number, and its envelope."""

    at: float
    seq: int
    envelope: bytes


class _Body:
    """What the parser hands out of a chunked answer."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def on_body(self, body: bytes) -> None:
        """Called by the parser with a part of the answer."""
        self.parts.append(body)


def arrivals(reads: Iterable[tuple[float, bytes]]) -> Iterator[Arrival]:
    """The complete frames of kept reads, each with the time of the read that completed it."""
    body = _Body()
    parser = httptools.HttpResponseParser(body)
    rest = b""
    for at, data in reads:
        parser.feed_data(data)
        *blocks, rest = (rest + b"".join(body.parts)).split(b"\n\n")
        body.parts.clear()
        for block in blocks:
            if block.startswith(b"id: "):
                number, _, envelope = block.partition(b"\ndata: ")
                yield Arrival(at, int(number[4:]), envelope)
