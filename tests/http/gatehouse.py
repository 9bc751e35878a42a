"""A small host with a real server in the test's own loop, and MCP clients that hold a run's token.

Below them the agents and tools that the tests of the run gateway use.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, NamedTuple

import httpx
import httpx2
import pytest
import uvicorn
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

import tenure
from tenure.cli.server import Hosting
from tenure.core.command import Answering, DecideApproval
from tenure.core.entry import Recorded
from tenure.core.event import TYPE_OF, ApprovalRequested, RunnerWarning, Unknown
from tenure.core.grant import Policy, StatePolicy
from tenure.core.principal import Principal, Role
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.http.app import create_app
from tenure.http.protocols.run_gateway import RunGateway
from tenure.ports.runner import GatewayAccess
from tenure.runners.agent import AnyAgent
from tenure.runners.demo.scripted import ScriptedRunner
from tenure.runners.inprocess import InProcessRunner
from tenure.testing import HostedSession, SmallHost, hosting
from tenure.tools.function import AnyTool

Mode = Literal["legacy", "auto"]
MODES: tuple[Mode, ...] = ("legacy", "auto")
"""With a handshake, as revisions to 2025-11-25 have it, and without, as 2026-07-28 does."""

WAIT_S = 10.0

ADA = Principal(tenant="default", user="ada", role=Role.MEMBER, key_id="")
ROOT = Principal(tenant="default", user="root", role=Role.ADMIN, key_id="", root=True)


class Gatehouse:
    """The host, where it is, and what tests do with it."""

    def __init__(self, small: SmallHost, url: str) -> None:
        self.small = small
        self.host = small.host
        self.url = url
        self._live: list[HostedSession] = []
        self.http = httpx.AsyncClient(base_url=url, timeout=WAIT_S)

    async def live(self, agent: str = "worker", text: str = "go") -> HostedSession:
        """A session whose run is at work: it has said something."""
        session = await self.small.open(agent)
        self._live.append(session)
        await session.send(text)
        await self.until(session, "message.delta")
        return session

    async def close(self) -> None:
        """Stop the runs that are still at work, so that nobody waits for them."""
        for session in self._live:
            with suppress(TenureError):
                await session.stop(force=True)
                await self.until(session, "run.finished")
        await self.http.aclose()

    def access(self, session: HostedSession) -> GatewayAccess:
        """Address and token of a session's runs."""
        found = self.host.gateway.access(session.session_id)
        assert found is not None
        return found

    @asynccontextmanager
    async def client(self, session: HostedSession, mode: Mode = "auto") -> AsyncGenerator[Client]:
        """An MCP client that holds the session's token."""
        async with holding(self.access(session), mode) as client:
            yield client

    async def until(
        self, session: HostedSession, what: str | Callable[[Recorded], bool], after: int = 0
    ) -> Recorded:
        """Wait for the first event of a type, or that is wanted."""
        async with asyncio.timeout(WAIT_S):
            async for event in session.events(after):
                if (type_of(event) == what) if isinstance(what, str) else what(event):
                    return event
        raise AssertionError(f"the journal ended before {what}")

    async def journal(self, session: HostedSession) -> list[Recorded]:
        """Every event so far."""
        head, events = await self.host.store.head(session.session_id), list[Recorded]()
        async for event in session.events():
            events.append(event)
            if event.seq >= (head or 0):
                return events
        return events

    async def question(self, session: HostedSession, after: int = 0) -> str:
        """Wait until a person is asked; the approval's id."""
        event = (await self.until(session, "approval.requested", after)).event
        assert isinstance(event, ApprovalRequested)
        return event.approval_id

    async def decide(self, approval_id: str, decision: Answering, note: str | None = None) -> None:
        """Answer, as somebody who may."""
        ask = DecideApproval(decision=decision, note=note)
        await self.host.approvals.decide(ROOT, approval_id, ask, None)

    async def warnings(self, session: HostedSession, least: int = 0) -> list[str]:
        """What the journal warns of, once there are so many warnings: they are written a little later."""
        async with asyncio.timeout(WAIT_S):
            while True:
                events = await self.journal(session)
                found = [e.event.detail for e in events if isinstance(e.event, RunnerWarning)]
                if len(found) >= least:
                    return found
                await self.until(session, "runner.warning", events[-1].seq)


def type_of(event: Recorded) -> str:
    """The type of an event as the wire has it."""
    return "" if isinstance(event.event, Unknown) else TYPE_OF[type(event.event)]


@asynccontextmanager
async def holding(access: GatewayAccess, mode: Mode = "auto") -> AsyncGenerator[Client]:
    """An MCP client with an address and a token, as an agent elsewhere has them."""
    bearer = {"Authorization": f"Bearer {access.token}"}
    async with httpx2.AsyncClient(headers=bearer, timeout=WAIT_S) as http:
        async with Client(streamable_http_client(access.url, http_client=http), mode=mode) as client:
            yield client


@asynccontextmanager
async def gatehouse(
    *agents: AnyAgent | Agent,
    tools: Iterable[AnyTool] = (),
    progress_s: float = 0.02,
    served: bool = True,
) -> AsyncGenerator[Gatehouse]:
    """A host with these agents and tools, behind a server that is gone afterwards."""
    async with hosting(*agents, tools=tools) as small:
        face = RunGateway(tenure.__version__, progress_s) if served else None
        app = create_app(small.host, version=tenure.__version__, run_face=face)
        if not served:
            small.host.gateway.withdraw()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            small.host.gateway.announce(url)
            ready = asyncio.Event()
            config = uvicorn.Config(
                app, lifespan="off", access_log=False, log_level="warning", timeout_graceful_shutdown=1
            )
            server = Hosting(config, ready.set)
            serving = asyncio.create_task(server.serve([listener]))
            await asyncio.wait_for(ready.wait(), WAIT_S)
            house = Gatehouse(small, url)
            try:
                yield house
            finally:
                await house.close()
                server.should_exit = True
                await asyncio.wait_for(serving, WAIT_S)


class Told(NamedTuple):
    """What a call was answered."""

    is_error: bool
    text: str
    data: Any


async def told(client: Client, name: str, arguments: Any = None, progress: Any = None) -> Told:
    """Call a tool. Its answer is one text, with the same as data if that is an object."""
    answer = await client.call_tool(name, arguments, progress_callback=progress)
    (part,) = answer.content
    assert isinstance(part, TextContent)
    return Told(answer.is_error, part.text, answer.structured_content)


async def refused(client: Client, name: str, /, **arguments: Any) -> Code:
    """The code of the MCP error that a call is refused with."""
    with pytest.raises(MCPError) as error:
        await client.call_tool(name, arguments)
    data: Any = error.value.error.data
    assert error.value.error.message == f"{data['code']}: {data['detail']}"
    return Code(data["code"])


async def result(client: Client, name: str, /, **arguments: Any) -> Any:
    """The data of a call that succeeds."""
    answer = await told(client, name, arguments)
    assert not answer.is_error, answer.text
    return answer.data


async def names(client: Client) -> list[str]:
    """What is offered."""
    return [tool.name for tool in (await client.list_tools()).tools]


async def left(house: Gatehouse, session: HostedSession) -> None:
    """Wait until the host knows that somebody who asked has left."""
    attempt = house.host.gateway.enter(house.access(session).token)
    async with asyncio.timeout(WAIT_S):
        while not attempt.remote.forsaken:  # noqa: ASYNC110 (a closed connection tells nobody)
            await asyncio.sleep(0)


# --- whom they talk to


@tenure.agent("worker", steering=True, tools=("*",))
async def worker(run: tenure.Run) -> AsyncIterator[str]:
    """Lives until somebody stops it."""
    yield "Working. "
    await run.stopped()
    yield "Stopped."


@tenure.agent("bare", permissions=())
async def bare(run: tenure.Run) -> AsyncIterator[str]:
    """Asks for nothing."""
    yield "Here. "
    await run.stopped()


def narrow() -> Agent:
    """An agent with no rights, no state and no tools."""
    policy = Policy(apis=(), state=StatePolicy(enabled=False))
    return Agent(name="narrow", runner=InProcessRunner(bare), policy=policy)


def scripted() -> Agent:
    """The demo agent, with all tools."""
    return Agent(name="scripted", runner=ScriptedRunner(), policy=Policy(tools=("*",)))


@tenure.tool
def add(one: int, other: int) -> int:
    """Add two numbers."""
    return one + other


@tenure.tool("weather.now")
def weather_now() -> dict[str, str]:
    """The weather."""
    return {"sky": "blue"}


@tenure.tool(approval="always")
def pay(amount: float) -> str:
    """Pay."""
    return f"paid {amount:g}"


@tenure.tool(role="member")
def members_only() -> str:
    """For members."""
    return "welcome"


@tenure.tool
async def stuck() -> None:
    """Never ends."""
    await asyncio.Event().wait()


@tenure.tool
def vanished() -> None:
    """Nobody knows how it ended."""
    raise tenure.TenureError(Code.OUTCOME_UNKNOWN, "The line broke.")


@tenure.tool
def broken() -> None:
    """Fails."""
    raise ValueError("the printer is on fire")


TOOLS: tuple[AnyTool, ...] = (add, weather_now, pay, members_only, stuck, vanished, broken)

OWN = ["run_info", "state_get", "state_set", "state_list", "state_delete", "history"]
FILES = ["files_list", "files_read", "files_save"]
