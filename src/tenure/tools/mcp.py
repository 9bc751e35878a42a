"""Servers of tools that speak the Model Context Protocol, over pipes or streamable HTTP.

Each has one task that connects, lists the tools, listens for changes, and connects again when the
connection is lost. Needs the extra `mcp`; only the wiring imports this, and late.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import islice
from typing import cast

import anyio
import httpx2
from mcp import Client, MCPError
from mcp.client._transport import TransportStreams
from mcp.client.session import IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp_types import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    Implementation,
    ToolListChangedNotification,
)
from mcp_types import Tool as Offer
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from tenure.errors import Code, TenureError
from tenure.ports.tool import ToolCall
from tenure.tools.offers import ServedTool, outcome_of
from tenure.tools.pipes import piped
from tenure.tools.servers import Endpoint, Program, ServerTable

log = logging.getLogger("tenure.tools")

CONNECT_S = 10.0
"""How long a start of the host waits for a server, and a call for one that is away, in seconds."""

REFRESH_S = 60.0
"""How often the list is read again from a server that tells nothing of changes, in seconds."""

LONGEST_PAUSE_S = 60.0
"""The longest pause between two attempts to connect, in seconds. The first is one second, then doubling."""

MOST_PAGES = 100
MOST_TOOLS = 1_000
"""How many tools of one server are listed. Each grant that holds them all would be stored with its run."""

_NAME = re.compile(r"[A-Za-z0-9._/-]{1,128}")
_LOST = {
    CONNECTION_CLOSED: "went away during the call",
    REQUEST_TIMEOUT: "didn't answer in time",
    PARSE_ERROR: "gave an answer that can't be read",
    INTERNAL_ERROR: "broke during the call",
}
"""Errors after which nobody knows whether a tool did its work, and what they mean."""

_FAULTS = (
    OSError,
    ValueError,
    RuntimeError,
    MCPError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    ExceptionGroup,
)
"""What becomes of a connection that can't be made, or that is lost."""


class McpServer:
    """One server of tools. What it last offered stays listed while it is away."""

    def __init__(self, table: ServerTable, version: str) -> None:
        self._table = table
        self._version = version
        self._offers: tuple[Offer, ...] = ()
        self._tools: tuple[ServedTool, ...] = ()
        self._changed: Callable[[], None] = _nobody
        self._client: Client | None = None
        self._connected = asyncio.Event()
        self._tried = asyncio.Event()
        self._stale = asyncio.Event()
        self._scope = anyio.CancelScope()
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The name under which the operator configured it."""
        return self._table.name

    @property
    def tools(self) -> tuple[ServedTool, ...]:
        """What it last offered."""
        return self._tools

    async def start(self, changed: Callable[[], None]) -> None:
        """Connect, and stay connected. Returns after the first attempt, or after CONNECT_S."""
        self._changed = changed
        self._task = asyncio.create_task(self._live(), name=f"mcp {self.name}")
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await self._tried.wait()

    async def stop(self) -> None:
        """Disconnect. A program that was started for it is gone afterwards, with all that it started."""
        # By scope, not by cancelling the task: so the end of the program is waited for.
        self._scope.cancel()
        self._tried.set()
        if self._task is not None:
            await self._task

    async def call(self, tool: str, call: ToolCall) -> object:
        """Call one of its tools. Raises TenureError `outcome_unknown` if no answer came."""
        client = await self._present()
        try:
            result = await client.call_tool(
                tool,
                call.arguments,
                read_timeout_seconds=self._table.timeout_s,
                meta={"tenure/idempotency_key": call.idempotency_key},
            )
        except MCPError as error:
            raise self._refusal(tool, error) from error
        except (RuntimeError, ValueError) as error:
            raise self._unknown(tool, "gave an answer that can't be read") from error
        return outcome_of(f"mcp:{self.name}/{tool}", result, self._table.masked)

    async def _present(self) -> Client:
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await self._connected.wait()
        if self._client is None:
            raise TenureError(
                Code.INTERNAL,
                f"The server of tools {self.name} isn't connected, so nothing was called. Try again later.",
            )
        return self._client

    def _refusal(self, tool: str, error: MCPError) -> TenureError:
        if error.code in _LOST:
            return self._unknown(tool, _LOST[error.code])
        told = self._table.masked(error.message)
        return TenureError(Code.INTERNAL, f"The server of tools {self.name} refused {tool}: {told}")

    def _unknown(self, tool: str, what: str) -> TenureError:
        return TenureError(
            Code.OUTCOME_UNKNOWN,
            f"The server of tools {self.name} {what}: whether {tool} was done is unknown. Look before you "
            "repeat it.",
        )

    # --- the one task

    async def _live(self) -> None:
        """Be connected as long as the host lives."""
        pause, task = 1.0, asyncio.current_task()
        with self._scope:
            # A cancel that meets a connection as it breaks is told as the break.
            while task is None or task.cancelling() == 0:
                began = asyncio.get_running_loop().time()
                try:
                    await self._connect()
                except _FAULTS as error:
                    log.warning("The server of tools %s isn't there: %s", self.name, self._told(error))
                if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_S:
                    pause = 1.0
                self._tried.set()
                await anyio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _connect(self) -> None:
        """One connection, from its beginning to its loss."""
        client = Client(
            self._transport(),
            message_handler=self._hear,
            client_info=Implementation(name="tenure", version=self._version),
            cache=None,
        )
        try:
            async with client:
                await self._list(client)
                self._client = client
                self._connected.set()
                self._tried.set()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._listen, client)
                    await self._follow(client)
        finally:
            self._lose()

    def _lose(self) -> None:
        """From now on calls wait for the next connection."""
        self._client = None
        self._connected.clear()
        self._stale.set()

    def _transport(self) -> AbstractAsyncContextManager[TransportStreams]:
        match self._table.reach:
            case Program() as program:
                return piped(program, self._table.masked, self._lose)
            case Endpoint() as endpoint:
                return _posted(endpoint, self._table.timeout_s)

    async def _follow(self, client: Client) -> None:
        """Read the list again after each change, and every now and then, until the connection is lost."""
        while True:
            with anyio.move_on_after(REFRESH_S):
                await self._stale.wait()
            self._stale.clear()
            await self._list(client)

    async def _listen(self, client: Client) -> None:
        """Ask to be told of changes, where the protocol has that; older servers tell unasked."""
        offered = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or not (offered and offered.list_changed):
            return
        # A stream that is lost isn't opened again: from then on the list is read every now and then.
        with suppress(SubscriptionLost, MCPError, TimeoutError):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._stale.set()

    async def _hear(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._stale.set()

    async def _list(self, client: Client) -> None:
        offers = tuple([offer async for offer in _offers(client)])
        if offers == self._offers:
            return
        self._offers = offers
        self._tools = tuple(self._made(offers))
        log.info("The server of tools %s offers %d tools.", self.name, len(self._tools))
        self._changed()

    def _made(self, offers: tuple[Offer, ...]) -> Iterator[ServedTool]:
        distinct = {offer.name: offer for offer in offers}
        if len(distinct) > MOST_TOOLS:
            log.warning(
                "The server of tools %s offers more than %d; the rest is left out.", self.name, MOST_TOOLS
            )
        for offer in islice(distinct.values(), MOST_TOOLS):
            try:
                if not _NAME.fullmatch(offer.name):
                    raise ValueError("its name isn't made of letters, digits and . _ / -")
                yield ServedTool(self._table, offer, self.call)
            except ValueError as misfit:
                log.warning("The tool %r of %s is left out: %s", offer.name[:128], self.name, misfit)

    def _told(self, error: BaseException) -> str:
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            return "; ".join(self._told(one) for one in group.exceptions)
        return self._table.masked(f"{type(error).__name__}: {error}")


@asynccontextmanager
async def _posted(endpoint: Endpoint, timeout_s: float) -> AsyncGenerator[TransportStreams, None]:
    """The transport of a server behind HTTP."""
    patience = httpx2.Timeout(CONNECT_S, read=timeout_s + CONNECT_S)
    async with httpx2.AsyncClient(headers=endpoint.headers, timeout=patience) as http:
        async with streamable_http_client(endpoint.url, http_client=http) as streams:
            yield streams


async def _offers(client: Client) -> AsyncGenerator[Offer, None]:
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for offer in page.tools:
            yield offer
        cursor = page.next_cursor
        if cursor is None:
            return


def _nobody() -> None:
    """Nobody asked to be told yet."""
