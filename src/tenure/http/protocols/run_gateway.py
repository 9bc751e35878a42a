"""The MCP server of the run gateway: what the live run of a session was granted, for an agent elsewhere.

Each request is served by itself, with the run that its token names at that moment; nothing is kept between
requests but the calls under way. Needs the extra `mcp`; only the wiring imports this, and late.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import mcp_types as types
import msgspec
from mcp import MCPError
from mcp.server import streamable_http
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tenure.core.ledger import MOST_ARGUMENTS, digest_of, plain_arguments
from tenure.core.tool import Arguments, ToolInfo
from tenure.errors import Code, TenureError
from tenure.host.context import Attempt
from tenure.host.host import Host
from tenure.host.remote_calls import Answer
from tenure.http.bodies import check_depth, read_body
from tenure.http.protocols.run_tools import RUN_TOOLS, RunTool, Visit, plain
from tenure.http.protocols.tool_names import meant, shown
from tenure.http.run_gateway import MOST_BYTES

PROGRESS_S = 10.0
"""How often an asker is told that its call is still under way, in seconds."""

SESSION_HEADER = b"mcp-session-id"
CANCELLED = "notifications/cancelled"
KEY = "tenure/key"
"""In the `_meta` of a call: the name that the agent itself gives this call, as `key` in the agent's API."""

INSTRUCTIONS = (
    "The tools of the run that you are working in. Some calls wait for a person's approval, which may take "
    "long. After a refusal, read its text: it says what may be done instead."
)

Context: TypeAlias = ServerRequestContext[Any, Any]
Asker: TypeAlias = tuple[str, str, str | int | None]
"""One request: the session of its run, the connection that the client named, the number of the request."""


class _Unwatched(EventSourceResponse):
    """A stream that doesn't look out for the end of the process: the host ends what is under way itself.

    The library's own leaves a task behind that polls twice a second for as long as the loop lives.
    """

    async def _listen_for_exit_signal_with_grace(self) -> None:
        await asyncio.Event().wait()  # until the answer is written, or the client is gone


streamable_http.EventSourceResponse = _Unwatched  # pyright: ignore[reportPrivateImportUsage]


class RunGateway:
    """Speaks MCP with whoever holds a token of a live run. Sessions and runs share one."""

    def __init__(self, version: str, progress_s: float = PROGRESS_S) -> None:
        self._version = version
        self._progress_s = progress_s
        self._askers: dict[Asker, _Request] = {}

    async def serve(self, host: Host, attempt: Attempt) -> ASGIApp:
        """What answers one request of a run."""
        return partial(self._answer, Visit(host, attempt, attempt.grant))

    async def _answer(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, MOST_BYTES)
        check_depth(body)
        seen, connection = _seen(body), _connection(scope)
        if seen.method == CANCELLED and connection:
            self._give_up((visit.attempt.session_id, connection, seen.cancels))
            await Response(status_code=202)(scope, receive, send)
            return
        outbox = _Outbox(send, visit.host.ids.secret() if seen.method == "initialize" else None)
        with self._asking((visit.attempt.session_id, connection, seen.id)) as request:
            manager = StreamableHTTPSessionManager(
                self._server(visit, request), stateless=True, max_request_body_size=MOST_BYTES
            )
            async with manager.run():
                await manager.handle_request(scope, _again(body, receive, request.given_up), outbox.send)
        if request.given_up.is_set():
            await outbox.end()

    def _server(self, visit: Visit, request: "_Request") -> Server[Any]:
        return Server(
            "tenure",
            version=self._version,
            title="Tenure run gateway",
            instructions=INSTRUCTIONS,
            get_tool_input_schema=lambda name: _offers(visit).get(name, _NO_TOOL).parameters,
            on_list_tools=partial(self._list, visit),
            on_call_tool=partial(self._call, visit, request),
        )

    async def _list(
        self, visit: Visit, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        tools = [
            types.Tool(name=name, description=info.description, input_schema=info.parameters)
            for name, info in _offers(visit).items()
        ]
        return types.ListToolsResult(tools=tools)

    async def _call(
        self, visit: Visit, request: "_Request", ctx: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        try:
            answer = await self._deed(visit, request, ctx, params)
        except TenureError as refusal:
            answer = refusal
        if isinstance(answer, TenureError):
            return _refused(answer)
        return _result(plain(answer))

    async def _deed(
        self, visit: Visit, request: "_Request", ctx: Context, params: types.CallToolRequestParams
    ) -> Answer:
        """Do what is asked for. Raises TenureError for what isn't granted, or doesn't fit."""
        own, key = RUN_TOOLS.get(params.name), _key(params)
        granted = (tool.name for tool in visit.grant.tools)
        name = params.name if own else meant(params.name, granted, RUN_TOOLS)
        most = MOST_BYTES if own else MOST_ARGUMENTS
        arguments = plain_arguments(name, params.arguments or {}, most)
        if own is not None and not own.kept:
            return await _own(visit, own, arguments)
        work = _own(visit, own, arguments) if own else visit.attempt.tools.call(name, arguments, key=key)
        call = f"{name} {digest_of(arguments)} {key}"
        return await self._patiently(visit.attempt, request, ctx, call, work)

    async def _patiently(
        self,
        attempt: Attempt,
        request: "_Request",
        ctx: Context,
        call: str,
        work: Coroutine[Any, Any, object],
    ) -> Answer:
        """Wait for a call as long as its asker does, and tell it now and then that it goes on."""
        task = attempt.remote.begin(call, work)
        request.leaves = partial(attempt.remote.leave, call, task)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            while not (await asyncio.wait({task}, timeout=self._progress_s))[0]:
                told = "Waiting for a person's approval." if attempt.tools.waiting else "Under way."
                await ctx.session.report_progress(loop.time() - began, message=told)
        except asyncio.CancelledError:
            request.leave()
            raise
        request.leaves = None
        attempt.remote.heard(task)
        if task.cancelled():
            raise _ended(attempt)
        return task.result()

    @contextmanager
    def _asking(self, asker: Asker) -> "Generator[_Request]":
        """Know of a request, so that its client can say that it waits no more."""
        request = self._askers[asker] = _Request()
        try:
            yield request
        finally:
            if self._askers.get(asker) is request:
                del self._askers[asker]

    def _give_up(self, asker: Asker) -> None:
        if (request := self._askers.get(asker)) is not None:
            request.leave()
            request.given_up.set()


class _Request:
    """One request that is being served."""

    def __init__(self) -> None:
        self.given_up = asyncio.Event()
        """Its client said that it waits no more."""
        self.leaves: Callable[[], None] | None = None
        """Leaves the call that was asked for to whoever asks for the same next."""

    def leave(self) -> None:
        """The client is gone. At once: it may ask again before this request has come to its end."""
        leaves, self.leaves = self.leaves, None
        if leaves is not None:
            leaves()


# --- what is offered

_NO_TOOL = ToolInfo(name="", description="", parameters={})


def _offers(visit: Visit) -> dict[str, ToolInfo]:
    """Exactly what the run may use now, by the names that clients are told."""
    own = [tool.info(visit) for tool in RUN_TOOLS.values() if tool.offered(visit)]
    offers = {info.name: info for info in own}
    for info in visit.attempt.tools.infos():
        offers.setdefault(shown(info.name, RUN_TOOLS), info)
    return offers


async def _own(visit: Visit, tool: RunTool[Any], arguments: Arguments) -> object:
    """Use something of the run's own. What its grant doesn't hold is refused, and stands in the journal."""
    try:
        if not tool.offered(visit):
            raise _not_granted(tool.name)
        return await tool.call(visit, arguments)
    except TenureError as refusal:
        if refusal.code is Code.FORBIDDEN:
            visit.attempt.warn("tool_refused", refusal.detail)
        raise


def _not_granted(name: str) -> TenureError:
    return TenureError(
        Code.FORBIDDEN,
        f"This run may not use {name}: its grant doesn't hold it. Let the runner ask for it and the agent's "
        "policy allow it.",
        tool=name,
    )


def _key(params: types.CallToolRequestParams) -> str | None:
    found = (params.meta or {}).get(KEY)
    return found if isinstance(found, str) and found else None


# --- answers


def _result(value: object) -> types.CallToolResult:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=value if isinstance(value, dict) else None,
    )


def _refused(refusal: TenureError) -> types.CallToolResult:
    """A refusal as the agent sees it. What isn't granted or comes too late is an MCP error.

    Raises MCPError for these two.
    """
    data = {"code": str(refusal.code), "detail": refusal.detail, **refusal.facts}
    text = f"{refusal.code}: {refusal.detail}"
    if refusal.code is Code.FORBIDDEN:
        raise MCPError(types.INVALID_PARAMS, text, data)
    if refusal.code in (Code.NOT_RUNNING, Code.FENCED):
        raise MCPError(types.INTERNAL_ERROR, text, data)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=data, is_error=True
    )


def _ended(attempt: Attempt) -> TenureError:
    return TenureError(
        Code.NOT_RUNNING,
        f"Attempt {attempt.attempt} of the run {attempt.run_id} ended before the call was answered. Stop; if "
        "the run goes on as its next attempt, the same call is answered then.",
    )


# --- messages


class _Cancels(msgspec.Struct, frozen=True, rename="camel"):
    request_id: int | str = 0


class _Seen(msgspec.Struct, frozen=True):
    """As much of a message as must be known before the library reads it."""

    id: int | str | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def cancels(self) -> int | str:
        """The number of the request that is given up."""
        try:
            return msgspec.json.decode(self.params, type=_Cancels).request_id
        except msgspec.MsgspecError:
            return 0


def _seen(body: bytes) -> _Seen:
    try:
        return msgspec.json.decode(body, type=_Seen)
    except msgspec.MsgspecError:
        return _Seen()


def _connection(scope: Scope) -> str:
    """What the client calls its connection: the name that it was given."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for name, value in headers if name == SESSION_HEADER), "")


class _Outbox:
    """Where the answer goes. An answer to `initialize` has a `name` for the client's connection.

    By the name its requests are told from those of others; nothing is kept of it.
    """

    def __init__(self, send: Send, name: str | None) -> None:
        self._send = send
        self._name = name
        self._ended = False
        self._begun = False

    async def send(self, message: Message) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            self._begun = True
            name = [] if self._name is None else [(SESSION_HEADER, self._name.encode())]
            message = {**message, "headers": [*message["headers"], *name]}
        elif not message.get("more_body", False):
            self._ended = True
        await self._send(message)

    async def end(self) -> None:
        """Nobody waits for the rest: end without it. A request that is given up isn't answered."""
        if not self._begun:
            await self._send({"type": "http.response.start", "status": 202, "headers": []})
        if not self._ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _again(body: bytes, receive: Receive, given_up: asyncio.Event) -> Receive:
    """The body once more, for whoever reads it next; then that the client left, or gave the request up."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return parts.pop() if parts else await _gone(receive, given_up)

    return replayed


async def _gone(receive: Receive, given_up: asyncio.Event) -> Message:
    left, leaving = asyncio.ensure_future(receive()), asyncio.ensure_future(given_up.wait())
    try:
        await asyncio.wait({left, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return left.result() if left.done() else {"type": "http.disconnect"}
    finally:
        left.cancel()
        leaving.cancel()
