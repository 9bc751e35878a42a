"""A program that shook hands, as the runner sees it (`link.Link`): calls one way, visits the other.

What the agent asks is judged by our own dispatch rather than the library's, so that a request that is
malformed, unknown or for a session nobody attends to is answered, and none of them ends the connection.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar, cast

from acp import RequestError
from acp.client.connection import ClientSideConnection
from acp.interfaces import Agent, Client
from acp.meta import CLIENT_METHODS
from acp.schema import (
    CreateTerminalRequest,
    DeniedOutcome,
    InitializeResponse,
    KillTerminalRequest,
    KillTerminalResponse,
    ReadTextFileRequest,
    ReadTextFileResponse,
    ReleaseTerminalRequest,
    ReleaseTerminalResponse,
    RequestPermissionRequest,
    RequestPermissionResponse,
    SessionNotification,
    TerminalOutputRequest,
    WaitForTerminalExitRequest,
    WriteTextFileRequest,
    WriteTextFileResponse,
)
from pydantic import BaseModel, ValidationError

from tenure.errors import TenureError
from tenure.runners.acp.launch import Launch
from tenure.runners.acp.link import Visit
from tenure.runners.acp.process import Leashed, Program
from tenure.runners.acp.terminals import Terminals
from tenure.runners.acp.wire import Asked, Message, Told, Wire
from tenure.runners.acp.workspace import FAILED, INVALID, read_text, write_text

log = logging.getLogger("tenure.acp")

MOST_ASKED = 256
"""How many requests of one program may wait at once. As many more are refused, and the rest not answered."""

MOST_WAITING = 64 * 1024 * 1024
"""How many bytes the requests of one program may have that wait at once."""

AT_ONCE = 2
"""How many requests of one program about files and output are served at once: an answer may be large, and is
held until the agent has read it."""

UNKNOWN = -32601
"""JSON-RPC: there is no such method."""

UPDATE = CLIENT_METHODS["session_update"]
PERMIT = CLIENT_METHODS["session_request_permission"]

Params = TypeVar("Params", bound=BaseModel)


class _Nobody:
    """The client that the library sees: it is asked nothing, since `Wire` gives it answers alone."""


class Attendance:
    """A visit to one of the agent's sessions: what is asked in it, and the terminals made in it."""

    def __init__(self, visit: Visit, terminals: Terminals) -> None:
        self.visit = visit
        self.terminals = terminals
        self.answering: set[asyncio.Task[None]] = set()

    def leave(self) -> list[Leashed]:
        """Nobody answers any more, and no command runs on. Returns those that are about to end."""
        for task in self.answering:
            task.cancel()
        return self.terminals.close()


class Connection:
    """Implements `link.Link`."""

    def __init__(self, program: Program, launch: Launch, run: "Run") -> None:
        self.program = program
        self.wire = Wire(program, self, launch.masked)
        self.sessions: dict[str, str] = {}
        self.hello = InitializeResponse(protocol_version=0)
        self._launch = launch
        self._run = run
        self._library = ClientSideConnection(cast("Client", _Nobody()), self.wire)
        self._attended: dict[str, Attendance] = {}
        self._departing: list[Leashed] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._large = asyncio.Semaphore(AT_ONCE)

    @property
    def agent(self) -> Agent:
        """The calls of the protocol. They raise RequestError for what the agent refuses, ConnectionError once
        it is gone, and pydantic's ValidationError for an answer that isn't the protocol's."""
        return cast("Agent", self._library)

    @property
    def ended(self) -> asyncio.Event:
        """Set once the program is gone."""
        return self.program.ended

    @property
    def fit(self) -> bool:
        """Whether it can be talked to: it has neither ended nor closed its output."""
        return not (self.program.silent or self.program.ended.is_set())

    @property
    def last_words(self) -> str:
        """How the program ended and the end of what it wrote to its standard error, secrets left out."""
        return self.program.last_words

    @contextmanager
    def visit(self, acp_session_id: str, visit: Visit) -> Generator[None]:
        """Let `visit` answer in a session. It takes the place of one that lingers there."""
        attendance = Attendance(visit, Terminals(visit.folder, self._run_in(visit.folder)))
        if (former := self._attended.pop(acp_session_id, None)) is not None:
            self._depart(former)
        self._attended[acp_session_id] = attendance
        try:
            yield
        finally:
            self._depart(attendance)
            if self._attended.get(acp_session_id) is attendance:
                del self._attended[acp_session_id]

    async def close(self) -> None:
        """Leave every visit, and let nobody wait for an answer. The program itself is the pool's."""
        for attendance in self._attended.values():
            self._depart(attendance)
        await self._library.close()
        await asyncio.gather(*(command.kill() for command in self._departing))
        for task in (*self._tasks,):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def asked(self, request: Asked) -> None:
        """A request of the agent: answered in a task of its own, since people take their time."""
        if len(self._tasks) >= 2 * MOST_ASKED:
            log.warning("The agent %s asks and asks; %s isn't answered.", self._launch.name, request.method)
            return
        if len(self._tasks) >= MOST_ASKED or self._waiting + request.size > MOST_WAITING:
            self._spawn(self._refuse(request.id, FAILED, "Too many requests wait for an answer."))
            return
        attendance = self._attended.get(session_of(request.params))
        if attendance is None:
            text = "Nobody attends to this session now: what is asked needs a turn that is under way."
            self._spawn(self._refuse(request.id, INVALID, text))
            return
        task = self._spawn(self._answer(request, attendance))
        attendance.answering.add(task)
        task.add_done_callback(attendance.answering.discard)
        self._waiting += request.size
        task.add_done_callback(lambda _: self._answered(request))

    def told(self, notice: Told) -> None:
        """A notification of the agent: to the visit of its session; without one it is let go by."""
        attendance = self._attended.get(session_of(notice.params))
        if attendance is None:
            log.debug("%s of %s that nobody attends to.", notice.method, self._launch.name)
        elif notice.method == UPDATE:
            attendance.visit.hear(update_of(notice.params), notice.size)
        else:
            attendance.visit.stray(notice.method, notice.params)

    def _depart(self, attendance: Attendance) -> None:
        """End a visit, and keep in mind which of its commands still have to end."""
        self._departing = [command for command in self._departing if not command.ended.is_set()]
        self._departing += attendance.leave()

    def _answered(self, request: Asked) -> None:
        self._waiting -= request.size

    async def _answer(self, request: Asked, attendance: Attendance) -> None:
        async with self._large if request.method in LARGE else nullcontext():
            await self._send(request.id, await self._answer_to(request, attendance))

    async def _answer_to(self, request: Asked, attendance: Attendance) -> Message:
        try:
            return await self._served(request, attendance)
        except asyncio.CancelledError:
            self._spawn(self._send(request.id, _cancelled(request.method)))
            raise
        except RequestError as refusal:
            return _error(refusal.code, str(refusal))
        except ValidationError as malformed:
            return _error(INVALID, _faults(malformed))
        except TenureError as refusal:
            return _error(FAILED, refusal.detail)

    async def _served(self, request: Asked, attendance: Attendance) -> Message:
        service = SERVICES.get(request.method)
        if service is None:
            raise RequestError(UNKNOWN, f"There is no {request.method} here.")
        result = await service.serve(attendance, service.params.model_validate(request.params))
        shown = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"result": shown}

    async def _refuse(self, number: object, code: int, text: str) -> None:
        await self._send(number, _error(code, text))

    async def _send(self, number: object, answer: Message) -> None:
        with suppress(ConnectionError):
            await self.wire.send({"jsonrpc": "2.0", "id": number, **answer})

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._settle)
        return task

    def _settle(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("A request of the agent %s was not answered.", self._launch.name, exc_info=fault)

    def _run_in(
        self, folder: Path
    ) -> Callable[[tuple[str, ...], Mapping[str, str], Path], Awaitable[Leashed]]:
        async def run(command: tuple[str, ...], more: Mapping[str, str], at: Path) -> Leashed:
            return await self._run(command, more, at, folder)

        return run


Run = Callable[[tuple[str, ...], Mapping[str, str], Path, Path], Awaitable[Leashed]]
"""Runs a command as the program was: with more environment, somewhere in a session's folder."""


def session_of(params: object) -> str:
    """The agent's session that a message is about; empty if it names none."""
    match params:
        case {"sessionId": str(session)}:
            return session
        case _:
            return ""


def update_of(params: object) -> object:
    """The update as the protocol's types have it, else the plain value it was."""
    try:
        return SessionNotification.model_validate(params).update
    except ValidationError:
        given = cast("dict[str, object]", params) if isinstance(params, dict) else {}
        return given.get("update", {})


class Service(NamedTuple, Generic[Params]):
    """What is done for the agent in a session: the shape of the request, and who serves it."""

    params: type[Params]
    serve: Callable[[Attendance, Params], Awaitable[BaseModel]]


async def _permit(at: Attendance, asked: RequestPermissionRequest) -> BaseModel:
    return await at.visit.permit(asked.tool_call, asked.options)


async def _read(at: Attendance, asked: ReadTextFileRequest) -> BaseModel:
    text = await asyncio.to_thread(read_text, at.visit.folder, asked.path, asked.line, asked.limit)
    return ReadTextFileResponse(content=text)


async def _write(at: Attendance, asked: WriteTextFileRequest) -> BaseModel:
    await asyncio.to_thread(write_text, at.visit.folder, asked.path, asked.content)
    return WriteTextFileResponse()


async def _create(at: Attendance, asked: CreateTerminalRequest) -> BaseModel:
    return await at.terminals.create(asked)


async def _output(at: Attendance, asked: TerminalOutputRequest) -> BaseModel:
    told = at.terminals.named(asked.terminal_id).output()
    at.visit.showed(asked.terminal_id, told.output)
    return told


async def _wait(at: Attendance, asked: WaitForTerminalExitRequest) -> BaseModel:
    return await at.terminals.named(asked.terminal_id).wait()


async def _kill(at: Attendance, asked: KillTerminalRequest) -> BaseModel:
    await at.terminals.named(asked.terminal_id).leashed.kill()
    return KillTerminalResponse()


async def _release(at: Attendance, asked: ReleaseTerminalRequest) -> BaseModel:
    at.visit.showed(asked.terminal_id, at.terminals.named(asked.terminal_id).output().output)
    await at.terminals.release(asked.terminal_id)
    return ReleaseTerminalResponse()


SERVICES: Mapping[str, Service[BaseModel]] = cast(
    "Mapping[str, Service[BaseModel]]",
    {
        PERMIT: Service(RequestPermissionRequest, _permit),
        CLIENT_METHODS["fs_read_text_file"]: Service(ReadTextFileRequest, _read),
        CLIENT_METHODS["fs_write_text_file"]: Service(WriteTextFileRequest, _write),
        CLIENT_METHODS["terminal_create"]: Service(CreateTerminalRequest, _create),
        CLIENT_METHODS["terminal_output"]: Service(TerminalOutputRequest, _output),
        CLIENT_METHODS["terminal_wait_for_exit"]: Service(WaitForTerminalExitRequest, _wait),
        CLIENT_METHODS["terminal_kill"]: Service(KillTerminalRequest, _kill),
        CLIENT_METHODS["terminal_release"]: Service(ReleaseTerminalRequest, _release),
    },
)
"""All that an agent may ask for."""

LARGE = frozenset(
    CLIENT_METHODS[name] for name in ("fs_read_text_file", "fs_write_text_file", "terminal_output")
)
"""What may bring much in, or out."""


def _cancelled(method: str) -> Message:
    """What is answered when the turn is over: the protocol has a word for it where people are asked."""
    if method == PERMIT:
        outcome = RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return {"result": outcome.model_dump(mode="json", by_alias=True, exclude_none=True)}
    return _error(FAILED, "The turn is over.")


def _error(code: int, text: str) -> Message:
    return {"error": {"code": code, "message": text}}


def _faults(malformed: ValidationError) -> str:
    found = malformed.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in found)
