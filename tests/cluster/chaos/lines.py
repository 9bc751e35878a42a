"""The lines between hosts and Postgres, in a process of their own: neither side's work slows them down.

Started by `lines`; told one word for one line at a time on its stdin: drop, cut, stall, mend.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager

from tests.postgres.proxy import Proxy


class Line:
    """One line, as who harms it sees it."""

    def __init__(self, process: "subprocess.Popen[str]", number: int, port: int) -> None:
        self._process = process
        self._number = number
        self.port = port

    def drop(self) -> None:
        """Reset every connection; new ones are carried."""
        self._tell("drop")

    def cut(self) -> None:
        """Reset every connection, and each new one, until `mend`."""
        self._tell("cut")

    def stall(self) -> None:
        """Carry nothing, and say nothing, until `mend`."""
        self._tell("stall")

    def mend(self) -> None:
        """Carry everything again, first what was held back."""
        self._tell("mend")

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{self._number} {word}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def lines(upstream: int, count: int) -> Generator[list[Line]]:
    """So many lines to a server; their process ends in any case, and also when ours does."""
    command = [sys.executable, "-m", "tests.cluster.chaos.lines", str(upstream), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ports = [int(port) for port in process.stdout.readline().split()]
            yield [Line(process, number, port) for number, port in enumerate(ports)]
        finally:
            process.kill()


async def carry(upstream: int, count: int) -> None:
    """Carry until nobody is there any more who could say a word."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)  # streams complain of lines that were reset
    heard = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(heard), sys.stdin)
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(Proxy(upstream)) for _ in range(count)]
        _answer(" ".join(str(proxy.port) for proxy in proxies))
        while order := await heard.readline():
            number, word = order.decode().split()
            proxy = proxies[int(number)]
            {"drop": proxy.drop, "cut": proxy.cut, "stall": proxy.stall, "mend": proxy.mend}[word]()
            _answer("done")


def _answer(text: str) -> None:
    os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    asyncio.run(carry(int(sys.argv[1]), int(sys.argv[2])))
