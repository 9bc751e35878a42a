"""Lines that somebody types or a pipe brings, read beside an event loop. `chat` reads them."""

import asyncio
import codecs
import os
import threading
from contextlib import suppress

AHEAD = 100
"""How many lines may be read before they are wanted."""

CHUNK = 65_536


class Lines:
    """Each line of a file, without its end, until the file ends.

    Whoever reads may be cancelled, and somebody else go on with the next line. The thread that waits for
    it can't be woken; it ends with the process.
    """

    def __init__(self, descriptor: int) -> None:
        self._arrived: asyncio.Queue[str | None] = asyncio.Queue(AHEAD)
        loop = asyncio.get_running_loop()
        threading.Thread(target=_read, args=(descriptor, loop, self._arrived), daemon=True).start()

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> str:
        line = await self._arrived.get()
        if line is None:
            raise StopAsyncIteration
        return line


def _read(descriptor: int, loop: asyncio.AbstractEventLoop, arrived: "asyncio.Queue[str | None]") -> None:
    def hand_over(line: str | None) -> None:
        asyncio.run_coroutine_threadsafe(arrived.put(line), loop).result()

    # A loop that is closed has nobody left to read for.
    with suppress(RuntimeError):
        # Not through sys.stdin: its lock would be held here when the interpreter ends.
        decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
        while data := os.read(descriptor, CHUNK):
            *whole, rest = (rest + decoder.decode(data)).split("\n")
            for line in whole:
                hand_over(line)
        if rest:
            hand_over(rest)
        hand_over(None)
