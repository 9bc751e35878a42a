"""A line to Postgres that can be cut, stalled and mended, at any byte or any message of its protocol.

Stands on loopback between a host and the server. It reads the frames of protocol version 3, unencrypted:
a type byte and a length (the first messages of a client have no type).
"""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Self, assert_never

from tests.postgres.server import HOST

ENCRYPTION_WANTED = {80877103, 80877104}
"""The codes of SSLRequest and GSSENCRequest: one bare byte answers them."""
FIRST = b"\0"
"""What stands for the type of a client's first messages, which have none."""
RESET = struct.pack("ii", 1, 0)


class Way(Enum):
    """A direction of the line."""

    TO_SERVER = "to the server"
    FROM_SERVER = "from the server"


@dataclass(kw_only=True)
class Cut:
    """An order to cut: so much passes in one direction, and what follows doesn't.

    Messages count if their type is among `kinds`, all if that is empty. Each connection adds to the same
    count; the one that would exceed it is reset.
    """

    way: Way
    messages: int | None = None
    kinds: bytes = b""
    size: int | None = None

    def passes(self, kind: bytes, data: bytes) -> bytes:
        """As much of a message as still passes; less than all of it cuts the line."""
        if self.messages is not None and (not self.kinds or kind in self.kinds):
            if self.messages == 0:
                return b""
            self.messages -= 1
        if self.size is not None:
            data = data[: self.size]
            self.size -= len(data)
        return data


class Proxy:
    """The line. As an async context it listens; in the end every connection is reset.

    Give hosts `postgres.url(database, port=proxy.port)`.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._lines: set[Line] = set()
        self._flows = {way: asyncio.Event() for way in Way}
        self._severed = False
        self.order: Cut | None = None
        """The cut that is to come; None once it happened."""
        self.happened = asyncio.Event()
        """Set when an ordered cut has happened."""
        self.passed: Counter[tuple[Way, bytes]] = Counter()
        """Messages that went through whole, by direction and type."""
        self.mend()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, HOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [line.task for line in self._lines]
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._lines)

    def drop(self) -> None:
        """Reset every connection; new ones are carried."""
        for line in self._lines:
            line.reset()
            line.task.cancel()

    def cut(self) -> None:
        """Reset every connection, and each new one, until `mend`."""
        self._severed = True
        self.drop()

    def stall(self, ways: Iterable[Way] = tuple(Way)) -> None:
        """Carry nothing in these directions, and say nothing: a partition. New connections hang as well."""
        for way in ways:
            self._flows[way].clear()

    def mend(self) -> None:
        """Carry everything again, first what was held back."""
        self._severed = False
        for flow in self._flows.values():
            flow.set()

    def cut_after_messages(self, count: int, way: Way, kinds: bytes = b"") -> None:
        """Let so many more messages pass in a direction, counted over all connections; the next is the cut.

        With the way `FROM_SERVER`, kinds `b"C"` and a count of 0, the server has executed the next
        statement and nobody hears of it.
        """
        self._order(Cut(way=way, messages=count, kinds=kinds))

    def cut_after_bytes(self, size: int, way: Way) -> None:
        """Let so many more bytes pass in a direction, which may end in the middle of a message."""
        self._order(Cut(way=way, size=size))

    def _order(self, order: Cut) -> None:
        self.order = order
        self.happened.clear()

    def let(self, way: Way, kind: bytes, data: bytes) -> bytes:
        """As much of a message as passes now."""
        passes = data
        if self.order is not None and self.order.way is way:
            passes = self.order.passes(kind, data)
        if len(passes) == len(data):
            self.passed[way, kind] += 1
        else:
            self.order = None
            self.happened.set()
        return passes

    async def flowing(self, way: Way) -> None:
        """Wait while a direction is stalled."""
        await self._flows[way].wait()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        line = Line(self, End(reader, writer), task)
        self._lines.add(line)
        try:
            if self._severed:
                raise ConnectionAbortedError
            await line.carry(self._upstream)
        except* EOFError:
            line.close()
        except* OSError:
            line.reset()  # one side was reset, or an order cut the line: the other side sees the same
        finally:
            self._lines.discard(line)


@dataclass(frozen=True)
class End:
    """One side's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def reset(self) -> None:
        """Close abruptly, as when the other side's machine is gone."""
        with suppress(OSError):
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()


class Line:
    """One carried connection, message by message in both directions."""

    def __init__(self, proxy: Proxy, client: End, task: "asyncio.Task[None]") -> None:
        self._proxy = proxy
        self._client = client
        self._server: End | None = None
        self._begun = False
        self._bare = 0
        self.task = task

    def reset(self) -> None:
        """End both sides at once."""
        for end in self._ends():
            end.reset()

    def close(self) -> None:
        """End both sides in order, after one of them did."""
        for end in self._ends():
            end.writer.close()

    def _ends(self) -> list[End]:
        return [end for end in (self._client, self._server) if end is not None]

    async def carry(self, upstream: int) -> None:
        """Carry until one side is gone or the line is cut."""
        await self._proxy.flowing(Way.TO_SERVER)
        server = self._server = End(*await asyncio.open_connection(HOST, upstream))
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pump(Way.TO_SERVER, self._client.reader, server.writer))
            both.create_task(self._pump(Way.FROM_SERVER, server.reader, self._client.writer))

    async def _pump(self, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            kind, data = await self._message(way, source)
            await self._proxy.flowing(way)
            passes = self._proxy.let(way, kind, data)
            sink.write(passes)
            await sink.drain()
            if len(passes) < len(data):
                raise ConnectionAbortedError

    async def _message(self, way: Way, source: asyncio.StreamReader) -> tuple[bytes, bytes]:
        """The next message: its type, and all its bytes."""
        match way:
            case Way.TO_SERVER if not self._begun:
                return FIRST, await self._first(source)
            case Way.TO_SERVER:
                kind = await source.readexactly(1)
            case Way.FROM_SERVER:
                kind = await source.readexactly(1)
                if self._bare:
                    self._bare -= 1
                    return kind, kind
            case _:
                assert_never(way)
        return kind, kind + await _sized(source)

    async def _first(self, source: asyncio.StreamReader) -> bytes:
        data = await _sized(source)
        if struct.unpack_from("!i", data, 4)[0] in ENCRYPTION_WANTED:
            self._bare += 1
        else:
            self._begun = True
        return data


async def _sized(source: asyncio.StreamReader) -> bytes:
    """A length, itself included, and what it measures."""
    head = await source.readexactly(4)
    return head + await source.readexactly(struct.unpack("!i", head)[0] - 4)
