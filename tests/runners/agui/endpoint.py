"""A scripted AG-UI endpoint for tests: a real socket, and an answer written event by event."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ag_ui.core import (
    BaseEvent,
    Event,
    Interrupt,
    RunAgentInput,
    RunErrorEvent,
    RunFinishedEvent,
    RunFinishedInterruptOutcome,
    RunStartedEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallStartEvent,
)

Answer = AsyncIterator[Event | bytes]
Script = Callable[[RunAgentInput], Answer]
"""What an endpoint answers: events, or bytes as they are to stand on the wire."""


class Plain(NamedTuple):
    """An answer that is no stream of events."""

    status: str
    body: str = ""
    headers: str = "Content-Type: text/plain\r\n"


class Endpoint:
    """One scripted endpoint. `asked` are the requests that it got, `headers` what came with the last one."""

    def __init__(self, script: Script | Plain) -> None:
        self.asked: list[RunAgentInput] = []
        self.headers: dict[str, str] = {}
        self.left = asyncio.Event()
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._serving = asyncio.create_task(self._serve())
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/agent"

    @property
    def connections(self) -> int:
        """How many connections to it this machine's clients hold open."""
        rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
        remote = f":{self.port:04X}"
        return sum(1 for row in rows if row.split()[2].endswith(remote) and row.split()[3] == "01")

    async def close(self) -> None:
        """Stop, whatever is being answered."""
        tasks = [self._serving, *self._answering]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._socket.close()

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._accept, sock=self._socket) as server:
            await server.serve_forever()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._handle(reader, writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    run_input = await self._request(reader)
                    if not await self._answer(run_input, reader, writer):
                        break
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> RunAgentInput:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        pairs = [line.partition(": ") for line in head.splitlines()[1:] if line]
        self.headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(self.headers["content-length"]))
        run_input = RunAgentInput.model_validate_json(body)
        self.asked.append(run_input)
        return run_input

    async def _answer(
        self, run_input: RunAgentInput, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if isinstance(self._script, Plain):
            status, body, headers = self._script
            size = f"Content-Length: {len(body.encode())}\r\n"
            writer.write(f"HTTP/1.1 {status}\r\n{headers}{size}\r\n{body}".encode())
            return True
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        gone = asyncio.create_task(reader.read(1))
        streaming = asyncio.create_task(self._stream(self._script(run_input), writer))
        try:
            await asyncio.wait({gone, streaming}, return_when=asyncio.FIRST_COMPLETED)
            if not streaming.done():
                self.left.set()
            return streaming.done() and streaming.result() and not gone.done()
        finally:
            for task in (gone, streaming):
                task.cancel()
            await asyncio.wait({gone, streaming})

    async def _stream(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        """Write an answer. False if it was cut off by an empty piece of bytes."""
        async for event in answer:
            data = sse(event) if isinstance(event, BaseEvent) else event
            if not data:
                return False
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return True


def sse(event: BaseEvent) -> bytes:
    """An event as it stands on the wire."""
    return f"data: {event.model_dump_json(by_alias=True)}\n\n".encode()


@asynccontextmanager
async def answering(script: Script | Plain) -> AsyncGenerator[Endpoint, None]:
    """An endpoint for as long as the block lasts."""
    endpoint = Endpoint(script)
    try:
        yield endpoint
    finally:
        await endpoint.close()


def started(ask: RunAgentInput) -> RunStartedEvent:
    return RunStartedEvent(thread_id=ask.thread_id, run_id=ask.run_id)


def finished(ask: RunAgentInput, **more: object) -> RunFinishedEvent:
    return RunFinishedEvent.model_validate({"thread_id": ask.thread_id, "run_id": ask.run_id, **more})


def broken(message: str, code: str | None = None) -> RunErrorEvent:
    return RunErrorEvent(message=message, code=code)


def says(*pieces: str, message_id: str = "m1") -> list[Event]:
    return [
        TextMessageStartEvent(message_id=message_id),
        *(TextMessageContentEvent(message_id=message_id, delta=piece) for piece in pieces),
        TextMessageEndEvent(message_id=message_id),
    ]


def calls(name: str, arguments: str, call_id: str = "c1") -> list[Event]:
    half = len(arguments) // 2
    return [
        ToolCallStartEvent(tool_call_id=call_id, tool_call_name=name),
        ToolCallArgsEvent(tool_call_id=call_id, delta=arguments[:half]),
        ToolCallArgsEvent(tool_call_id=call_id, delta=arguments[half:]),
        ToolCallEndEvent(tool_call_id=call_id),
    ]


def asks(ask: RunAgentInput, *interrupts: Interrupt) -> RunFinishedEvent:
    outcome = RunFinishedInterruptOutcome(interrupts=[*interrupts])
    return RunFinishedEvent(thread_id=ask.thread_id, run_id=ask.run_id, outcome=outcome)
