"""The process behind the fan-out floor: waits for sockets and writes ready frames to all of them.

Used by `floors.fan_out` alone: `python -m benchmarks.writer SOCKETS EVENTS JOINED`. Prints its port,
then the CPU seconds that the writing took.
"""

import asyncio
import sys
import time
from typing import cast

import uvloop

from benchmarks.floors import line
from tenure.core.entry import frame


class Socket(asyncio.Protocol):
    """One of the sockets; the first byte that comes on any of them is the sign to begin."""

    def __init__(self, begin: asyncio.Event, links: list[asyncio.Transport]) -> None:
        self._begin, self._links = begin, links

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._links.append(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._begin.set()


async def _written(link: asyncio.Transport) -> None:
    """Wait until the system has taken everything, for at most a minute."""
    for _ in range(60_000):
        if link.get_write_buffer_size() == 0:
            return
        await asyncio.sleep(0.001)


async def main(sockets: int, events: int, joined: int) -> None:
    """Write `events` frames to every socket, `joined` in one write, yielding after each round."""
    begin, links = asyncio.Event(), list[asyncio.Transport]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Socket(begin, links), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await begin.wait()
    assert len(links) == sockets, f"{len(links)} of {sockets} sockets came"
    rest = line()[1:]
    began = time.process_time()
    for link in links:
        link.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for start in range(1, events + 1, joined):
        numbers = range(start, min(start + joined, events + 1))
        data = b"".join(b"\nid: %d\ndata: %b\n" % (seq, frame(seq, rest)) for seq in numbers)
        for link in links:
            link.write(data)
        await asyncio.sleep(0)
    for link in links:
        await _written(link)
    print(time.process_time() - began, flush=True)
    for link in links:
        link.close()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
