"""The standard input and output of a program, as the transport of one MCP connection.

The program gets a process group of its own, and the whole group is gone when the connection ends: also
what the program left behind when it had ended by itself.
"""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from tenure.tools.servers import Program

log = logging.getLogger("tenure.tools")

GRACE_S = 1.0
"""How long a program may take to end once its input is closed, and again once it is told to, in seconds."""

LAST_WORDS_S = 0.2
"""How long what a program said before it ended may take to be read, in seconds."""

MOST_LINE = 32 * 1024 * 1024
"""How many bytes one message of a program may have."""

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


@asynccontextmanager
async def piped(
    program: Program, masked: Callable[[str], str], ended: Callable[[], None]
) -> AsyncGenerator[Streams, None]:
    """Start a program and talk to it. Raises OSError if it can't be started.

    Its standard error goes to the log, secrets `masked`. When it ends, the streams close and `ended` is told.
    """
    child = await _start(program)
    process = child.process
    heard, hear = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    say, said = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, process, heard, ended)
            tasks.start_soon(_hang_up, child, heard, ended)
            tasks.start_soon(_write, process, said, heard)
            tasks.start_soon(_overhear, process, masked)
            try:
                yield hear, say
            finally:
                with anyio.CancelScope(shield=True):
                    await _end(child)
                tasks.cancel_scope.cancel()
    finally:
        for stream in (heard, hear, say, said):
            stream.close()


class _Child(NamedTuple):
    """A program that runs, or has run."""

    process: Process
    transport: asyncio.SubprocessTransport
    ended: asyncio.Event


class _Watched(SubprocessStreamProtocol):
    """Tells of the end of a program at once. `Process.wait` tells when also its pipes are closed, and what
    it left behind may hold them open."""

    def __init__(self, ended: asyncio.Event) -> None:
        super().__init__(limit=MOST_LINE, loop=asyncio.get_running_loop())
        self._ended = ended

    def process_exited(self) -> None:
        super().process_exited()
        self._ended.set()


async def _start(program: Program) -> _Child:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    transport, protocol = await loop.subprocess_exec(
        lambda: _Watched(ended),
        *program.command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=get_default_environment() | program.env,
        cwd=program.folder,
        start_new_session=True,
    )
    return _Child(Process(transport, protocol, loop), transport, ended)


async def _hang_up(
    child: _Child, heard: MemoryObjectSendStream[SessionMessage | Exception], ended: Callable[[], None]
) -> None:
    """Close the line once the program has ended, though what it left behind may hold its output open."""
    await child.ended.wait()
    ended()
    await anyio.sleep(LAST_WORDS_S)
    heard.close()


async def _read(
    process: Process,
    heard: MemoryObjectSendStream[SessionMessage | Exception],
    ended: Callable[[], None],
) -> None:
    assert process.stdout is not None
    async with heard:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError, ValueError):
            while line := await process.stdout.readline():
                if line.strip():
                    await heard.send(_message(line))
    ended()


def _message(line: bytes) -> SessionMessage | Exception:
    """One line of the program. What isn't a message is the session's to judge."""
    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as garbled:
        return garbled


async def _write(
    process: Process,
    said: MemoryObjectReceiveStream[SessionMessage],
    heard: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    assert process.stdin is not None
    async with said:
        try:
            async for message in said:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()
        except (ConnectionError, anyio.ClosedResourceError):
            heard.close()  # nobody listens: let the session know that nobody will answer


async def _overhear(process: Process, masked: Callable[[str], str]) -> None:
    assert process.stderr is not None
    with suppress(ValueError, ConnectionError):
        while line := await process.stderr.readline():
            log.info("A server of tools says: %s", masked(line.decode(errors="replace").rstrip()))


async def _end(child: _Child) -> None:
    """Close the input, wait, tell the group to end, wait, and kill what is left of it."""
    assert child.process.stdin is not None
    child.process.stdin.close()
    if not await _ended(child):
        _signal(child, signal.SIGTERM)
        await _ended(child)
    _signal(child, signal.SIGKILL)
    await _ended(child)
    child.transport.close()


async def _ended(child: _Child) -> bool:
    with anyio.move_on_after(GRACE_S):
        await child.ended.wait()
    return child.ended.is_set()


def _signal(child: _Child, number: signal.Signals) -> None:
    """To the whole group: it is there as long as anything in it is, also after its leader."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)
