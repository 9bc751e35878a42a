"""The terminals of a visit: commands that the agent has the host run in the session's folder.

They have the agent's environment and its sandbox, and none of them outlives the visit.
Protocol: https://agentclientprotocol.com/protocol/terminals
"""

import asyncio
import codecs
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from acp import RequestError
from acp.schema import (
    CreateTerminalRequest,
    CreateTerminalResponse,
    TerminalExitStatus,
    TerminalOutputResponse,
    WaitForTerminalExitResponse,
)

from tenure.runners.acp.process import Leashed, signal_name
from tenure.runners.acp.workspace import FAILED, INVALID, NOT_FOUND, inside

MOST_TERMINALS = 32
"""How many terminals a visit may have at once."""

MOST_OUTPUT = 1024 * 1024
"""How many bytes of a terminal's output are kept, if the agent asks for no fewer."""

CHUNK = 64 * 1024
BRAKE_S = 0.002
"""The pause after each piece that is read of an output too long to be kept, in seconds."""

Run: TypeAlias = Callable[[tuple[str, ...], Mapping[str, str], Path], Awaitable[Leashed]]
"""Runs a command with some environment more than the agent's, in a folder. Raises OSError."""


class Terminals:
    """The terminals of one visit, by the names they were given."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder = folder
        self._run = run
        self._open: dict[str, Terminal] = {}
        self._starting = 0
        self._made = 0
        self._closed = False

    async def create(self, request: CreateTerminalRequest) -> CreateTerminalResponse:
        """Start a command. Raises RequestError for a folder elsewhere and for one terminal too many."""
        if len(self._open) + self._starting >= MOST_TERMINALS:
            raise RequestError(FAILED, f"There are {MOST_TERMINALS} terminals already. Release some.")
        folder = inside(self._folder, request.cwd or ".")
        more = {variable.name: variable.value for variable in request.env or ()}
        self._starting += 1
        try:
            leashed = await self._run(_words(request), more, folder)
        except (OSError, ValueError) as fault:
            raise RequestError(FAILED, f"{request.command} can't be started: {fault}.") from fault
        finally:
            self._starting -= 1
        if self._closed:
            leashed.let_go()
            raise RequestError(FAILED, "The turn is over.")
        self._made += 1
        name = f"term_{self._made}"
        limit = MOST_OUTPUT if request.output_byte_limit is None else request.output_byte_limit
        self._open[name] = Terminal(leashed, min(limit, MOST_OUTPUT))
        return CreateTerminalResponse(terminal_id=name)

    def named(self, name: str) -> "Terminal":
        """A terminal that is open. Raises RequestError."""
        if name not in self._open:
            raise RequestError(NOT_FOUND, f"There is no terminal {name}.")
        return self._open[name]

    async def release(self, name: str) -> None:
        """Kill what still runs in it, and forget it. Raises RequestError."""
        terminal = self.named(name)
        del self._open[name]
        await terminal.leashed.kill()

    def close(self) -> list[Leashed]:
        """Have all of them killed. Returns at once what is still to be waited for."""
        self._closed = True
        left = [terminal.leashed for terminal in self._open.values()]
        self._open.clear()
        for leashed in left:
            leashed.let_go()
        return left


class Terminal:
    """One command, with the end of what it wrote."""

    def __init__(self, leashed: Leashed, limit: int) -> None:
        self.leashed = leashed
        self._limit = limit
        self._kept = bytearray()
        self._truncated = False
        self._reading = asyncio.create_task(self._read(), name="the output of a terminal")

    def output(self) -> TerminalOutputResponse:
        """What it wrote so far, at most the limit, cut at the beginning between two characters."""
        self._cut()
        ended = TerminalExitStatus(exit_code=self._exit_code, signal=self._signal) if self._over else None
        return TerminalOutputResponse(
            output=self._kept.decode(), truncated=self._truncated, exit_status=ended
        )

    async def wait(self) -> WaitForTerminalExitResponse:
        """How it ended, once it has."""
        await self.leashed.ended.wait()
        await asyncio.shield(self._reading)
        return WaitForTerminalExitResponse(exit_code=self._exit_code, signal=self._signal)

    @property
    def _exit_code(self) -> int | None:
        status = self.leashed.status
        return status if status is None or status >= 0 else None

    @property
    def _signal(self) -> str | None:
        status = self.leashed.status
        return signal_name(-status) if status is not None and status < 0 else None

    @property
    def _over(self) -> bool:
        return self.leashed.ended.is_set() and self._reading.done()

    async def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while chunk := await self.leashed.output.read(CHUNK):
            self._keep(decoder.decode(chunk))
            # Who writes more than is kept has to wait, so that others get their turn.
            await asyncio.sleep(BRAKE_S if self._truncated else 0)
        self._keep(decoder.decode(b"", final=True))

    def _keep(self, text: str) -> None:
        self._kept += text.encode()
        if len(self._kept) > 2 * self._limit + CHUNK:
            self._cut()

    def _cut(self) -> None:
        surplus = len(self._kept) - self._limit
        if surplus <= 0:
            return
        while surplus < len(self._kept) and self._kept[surplus] & 0xC0 == 0x80:
            surplus += 1
        del self._kept[:surplus]
        self._truncated = True


def _words(request: CreateTerminalRequest) -> tuple[str, ...]:
    """The command with its arguments. One that came as a line is the shell's."""
    words = (request.command, *(request.args or ()))
    if any("\0" in word for word in words) or not request.command:
        raise RequestError(INVALID, f"{request.command!r} is no command.")
    if not request.args and " " in request.command:
        return ("/bin/sh", "-c", request.command)
    return words
