"""One HTTP/1.1 connection of the model server: requests in, answers out, rudeness where a test wants it."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

import h11
import msgspec

from tests.models.wire import Frame, Json

PIECE = 1 << 16


class Gone(Exception):
    """The client went away in the middle of an answer."""


class HttpRequest(NamedTuple):
    """A request. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """Reads requests one after another, and writes each one's answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = h11.Connection(h11.SERVER)
        self._bodiless = False

    async def request(self) -> HttpRequest | None:
        """The next request, None if there won't be one."""
        if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
            self._protocol.start_next_cycle()
        if self._protocol.our_state is not h11.IDLE:
            return None
        try:
            return await self._read()
        except (ConnectionError, h11.RemoteProtocolError):
            return None

    async def whole(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON in one piece."""
        encoded = msgspec.json.encode(body)
        length = {"content-length": str(len(encoded))}
        await self._start(status, {"content-type": "application/json", **length, **(headers or {})})
        if not self._bodiless:
            await self._write(self._protocol.send(h11.Data(data=encoded)))
        await self.end()

    async def open(self, media_type: str) -> None:
        """Begin an answer whose length is not known."""
        await self._start(200, {"content-type": media_type, "cache-control": "no-cache"})

    async def send(self, frames: Iterable[Frame]) -> None:
        """Send what is to be sent, and wait where there is a wait. Raises Gone."""
        for frame in frames:
            if isinstance(frame, bytes):
                await self._write(self._protocol.send(h11.Data(data=frame)))
            else:
                await self._pause(frame)

    async def end(self) -> None:
        """The answer is complete."""
        await self._write(self._protocol.send(h11.EndOfMessage()))

    async def wait_for_end(self) -> None:
        """Leave the answer open until the client goes. Raises Gone."""
        with suppress(ConnectionError):
            while await self._reader.read(PIECE):
                pass
        raise Gone

    def abort(self) -> None:
        """Drop the connection as a crash would."""
        self._writer.transport.abort()
        self._protocol.send_failed()

    async def close(self) -> None:
        """The connection is over."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _read(self) -> HttpRequest | None:
        head, pieces = None, list[bytes]()
        while True:
            match self._protocol.next_event():
                case h11.Request() as head:
                    self._bodiless = head.method == b"HEAD"
                case h11.Data(data=data):
                    pieces.append(bytes(data))
                case h11.EndOfMessage() if head is not None:
                    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
                    return HttpRequest(head.method.decode(), head.target.decode(), headers, b"".join(pieces))
                case h11.NEED_DATA:
                    await self._continue()
                    self._protocol.receive_data(await self._reader.read(PIECE))
                case _:
                    return None

    async def _continue(self) -> None:
        if self._protocol.they_are_waiting_for_100_continue:
            await self._write(self._protocol.send(h11.InformationalResponse(status_code=100, headers=[])))

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        await self._write(
            self._protocol.send(h11.Response(status_code=status, headers=list(headers.items())))
        )

    async def _write(self, data: bytes | None) -> None:
        try:
            self._writer.write(data or b"")
            await self._writer.drain()
        except ConnectionError as error:
            raise Gone from error

    async def _pause(self, seconds: float) -> None:
        """Wait, and notice if the client goes meanwhile. A client says nothing while it is answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait_for_end()
