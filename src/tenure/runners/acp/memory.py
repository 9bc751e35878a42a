"""How a run finds the agent's own session again: in its program, in a checkpoint, or not at all.

An agent keeps what was said in a session of its own. Which one belongs to a Tenure session is known to the
program while it lives, and to a checkpoint for ever. It lies where the agent's programs keep what they know,
which is one place for each host.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec
from acp import RequestError
from acp.schema import AcpMcpServer, HttpHeader, HttpMcpServer, McpServerStdio, SseMcpServer
from pydantic import ValidationError

from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tenure.runners.acp.link import Link, Person

log = logging.getLogger("tenure.acp")

OPEN_S = 60.0
"""How long an agent may take to open or load a session, in seconds."""
AUTH_REQUIRED = -32000
PLACE = "place"
"""The file beside the homes of an agent's people that names the place."""
GATEWAY = "tenure"
"""The name that an agent knows the run gateway by."""

Servers = list[HttpMcpServer | SseMcpServer | AcpMcpServer | McpServerStdio]


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of an agent, as far as its sessions go.

    `program` tells programs apart; `homes` is where they keep what they know, if that is known; `way_out` is
    what to do if it can't be used, as far as that is known.
    `quiet_s` is for how long nothing must be heard after an answer before the turn is over, in seconds: some
    agents tell the rest only then.
    """

    name: str
    program: str
    homes: Path | None = None
    mode: str | None = None
    options: dict[str, str] = {}
    steering: bool = False
    way_out: str = ""
    quiet_s: float = 0.2


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint holds: the agent's session, whose program it was told last, what it had cost.

    `place` is where that program kept it; empty is here, as before there were several places.
    """

    session: str
    program: str
    person: Person
    cost: float = 0.0
    place: str = ""


class Found(NamedTuple):
    """The agent's session for a run. `knows` says whether it knows what was said before."""

    session_id: str
    knows: bool
    cost: float = 0.0
    why: str = ""
    """Why it doesn't."""
    place: str = ""


def program_of(command: Sequence[str]) -> str:
    """A name for what is run, so that no program is asked for the sessions of another."""
    return hashlib.sha256(msgspec.json.encode(list(command))).hexdigest()[:16]


def place_of(homes: Path | None) -> str:
    """The name of the place where programs keep what they know. It is made up when it is first asked for.

    The same name of a session may mean another one in another place, so nothing is loaded from there.
    """
    if homes is None:
        return ""
    file = homes / PLACE
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        homes.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f"{PLACE}-{uuid4().hex}")
    fresh.write_text(uuid4().hex, "utf-8")
    try:
        os.link(fresh, file)
    except FileExistsError:  # another agent of this host was faster
        pass
    finally:
        fresh.unlink()
    return file.read_text("utf-8")


async def recalled(context: RunContext, setup: Setup) -> Memory | None:
    """What the last run of the session left. None if that was another program, or nothing that we know."""
    checkpoint = await context.checkpoints.latest()
    if checkpoint is None:
        return None
    try:
        memory = msgspec.json.decode(checkpoint.data, type=Memory)
    except msgspec.MsgspecError:
        return None
    return memory if memory.program == setup.program else None


async def remember(context: RunContext, memory: Memory) -> None:
    """Let later runs find the agent's session."""
    await context.checkpoints.save(msgspec.json.encode(memory))


async def find(link: Link, context: RunContext, setup: Setup, person: Person, *, alone: bool) -> Found:
    """The agent's session for this run: the one it has, loaded again, or a new one.

    `alone` is whether no other run of the session is winding down; if one is, the session that it holds is
    left to it. Raises TenureError `runner_unavailable`.
    """
    place = await asyncio.to_thread(place_of, setup.homes)
    memory = await recalled(context, setup) if alone else None
    found = await _again(link, context, setup, person, memory, place) if memory is not None else None
    why = "" if found is None else found.why
    if found is None or not found.knows:
        found = Found(await _new(link, context, setup), knows=False, why=why, place=place)
    if alone:
        link.sessions[context.session_id] = found.session_id
    kept = Memory(
        session=found.session_id, program=setup.program, person=person, cost=found.cost, place=place
    )
    if alone and kept != memory:
        await remember(context, kept)
    return found


async def _again(
    link: Link, context: RunContext, setup: Setup, person: Person, memory: Memory, place: str
) -> Found | None:
    """The session that the last run had, if the agent still knows it."""
    found = Found(memory.session, knows=True, cost=memory.cost, place=place)
    if memory.place not in ("", place):
        return found._replace(knows=False, why="its own history is on another host")
    if memory.person == person and link.sessions.get(context.session_id) == memory.session:
        return found
    capabilities = link.hello.agent_capabilities
    if capabilities is None or not capabilities.load_session:
        return found._replace(knows=False, why="it can't load earlier ones")
    fault = await _load(link, context, setup, memory.session)
    return found if fault is None else found._replace(knows=False, why=fault)


async def _load(link: Link, context: RunContext, setup: Setup, session_id: str) -> str | None:
    """Have the agent load a session; what it replays meanwhile is heard by nobody. Returns why it failed."""
    try:
        async with asyncio.timeout(OPEN_S):
            await link.agent.load_session(
                cwd=str(context.files.folder), session_id=session_id, mcp_servers=servers(link, context)
            )
            await _adjust(link, setup, session_id)
    except (RequestError, ValidationError, TimeoutError) as error:
        log.info("The agent %s didn't load its session again: %s", setup.name, told(error))
        return f"loading it failed: {told(error)}"
    except (ConnectionError, OSError):
        raise gone(setup.name, link) from None
    return None


async def _new(link: Link, context: RunContext, setup: Setup) -> str:
    try:
        async with asyncio.timeout(OPEN_S):
            opened = await link.agent.new_session(
                cwd=str(context.files.folder), mcp_servers=servers(link, context)
            )
            await _adjust(link, setup, opened.session_id)
    except (RequestError, ValidationError, TimeoutError) as error:
        raise _unopened(error, link, setup) from error
    except (ConnectionError, OSError):
        raise gone(setup.name, link) from None
    return opened.session_id


async def _adjust(link: Link, setup: Setup, session_id: str) -> None:
    """Set the mode and the options that the operator wants; a session without them isn't used."""
    for option, value in setup.options.items():
        try:
            await link.agent.set_config_option(config_id=option, session_id=session_id, value=value)
        except RequestError as error:
            raise _unset(setup, f"options.{option}", value, error) from error
    if setup.mode is not None:
        try:
            await link.agent.set_session_mode(session_id=session_id, mode_id=setup.mode)
        except RequestError as error:
            raise _unset(setup, "mode", setup.mode, error) from error


def speaks_to_servers(link: Link) -> bool:
    """Whether the agent says that it reaches MCP servers over HTTP."""
    capabilities = link.hello.agent_capabilities
    mcp = None if capabilities is None else capabilities.mcp_capabilities
    return mcp is not None and bool(mcp.http)


def servers(link: Link, context: RunContext) -> Servers:
    """The run gateway, if there is one and the agent can reach it."""
    gateway = context.gateway
    if gateway is None:
        return []
    if not speaks_to_servers(link):
        if context.grant.tools:
            names = ", ".join(tool.name for tool in context.grant.tools)
            context.warn(
                "gateway_unavailable", f"The agent speaks no MCP over HTTP; it can't reach: {names}."
            )
        return []
    header = HttpHeader(name="Authorization", value=f"Bearer {gateway.token}")
    return [HttpMcpServer(type="http", name=GATEWAY, url=gateway.url, headers=[header])]


# --- what goes wrong


def told(error: Exception) -> str:
    """What an agent's refusal says."""
    match error:
        case RequestError(data={"details": str(details)}) | RequestError(data={"message": str(details)}):
            return str(error) if details in str(error) else f"{error}: {details}"
        case RequestError(data=str(details)):
            return f"{error}: {details}"
        case ValidationError():
            return f"its answer doesn't fit the protocol ({error.error_count()} faults)"
        case TimeoutError():
            return f"it didn't answer within {OPEN_S:.0f} s"
        case _:
            return str(error)


def unauthenticated(name: str, link: Link) -> TenureError:
    """The agent wants to know who pays."""
    methods = ", ".join(repr(method.id) for method in link.hello.auth_methods or [])
    return TenureError(
        Code.RUNNER_UNAVAILABLE,
        f"The agent {name} isn't signed in. Give it its key in agents.{name}.env, or set agents.{name}."
        f"auth_method to one of those it offers ({methods or 'none'}).",
    )


def gone(name: str, link: Link) -> TenureError:
    """The agent's program ended."""
    words = link.last_words.strip()
    return TenureError(
        Code.RUNNER_UNAVAILABLE,
        f"The program of the agent {name} ended. Send the message again: it is started anew. Its last words: "
        f"{words or 'none.'}",
    )


def _unopened(error: Exception, link: Link, setup: Setup) -> TenureError:
    if isinstance(error, RequestError) and error.code == AUTH_REQUIRED:
        return unauthenticated(setup.name, link)
    return TenureError(
        Code.RUNNER_UNAVAILABLE,
        f"The agent {setup.name} opened no session: {told(error)}. "
        f"{setup.way_out or 'Look at its settings and keys.'}",
    )


def _unset(setup: Setup, field: str, value: str, error: RequestError) -> TenureError:
    return TenureError(
        Code.RUNNER_UNAVAILABLE,
        f"The agent {setup.name} doesn't take {field} = {value!r}: {told(error)}. Change or remove it in "
        f"agents.{setup.name}.",
    )
