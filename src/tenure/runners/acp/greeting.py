"""The hand-shake with a program that was just started, and what it means when it doesn't come about.

Protocol: https://agentclientprotocol.com/protocol/initialization
"""

import asyncio
import shlex
from importlib.metadata import version

from acp import PROTOCOL_VERSION, RequestError
from acp.interfaces import Agent
from acp.schema import (
    AuthMethodAgent,
    ClientCapabilities,
    EnvVarAuthMethod,
    FileSystemCapabilities,
    Implementation,
    InitializeResponse,
    TerminalAuthMethod,
)
from pydantic import ValidationError

from tenure.errors import TenureError
from tenure.runners.acp.launch import Launch
from tenure.runners.acp.process import Program
from tenure.runners.acp.wire import Wire

AUTH_REQUIRED = -32000
"""The protocol's code of an error that means: authenticate first."""

OFFERED = ClientCapabilities(
    fs=FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=True
)
"""What the host does for an agent, within the session's folder."""
OFFERED_WITHOUT_FILES = ClientCapabilities(terminal=True)


async def greet(agent: Agent, launch: Launch, program: Program, wire: Wire) -> InitializeResponse:
    """Shake hands, and authenticate where the operator says how.

    Raises TenureError `runner_unavailable` that says what is wrong and the way out.
    """
    try:
        async with asyncio.timeout(launch.handshake_s):
            hello = await agent.initialize(
                PROTOCOL_VERSION,
                OFFERED if launch.offers_files else OFFERED_WITHOUT_FILES,
                Implementation(name="tenure", title="Tenure", version=version("tenure")),
            )
            _check_version(launch, hello)
            await _authenticate(agent, launch, hello)
            return hello
    except TimeoutError as late:
        raise launch.unavailable(
            f"It did not shake hands within {launch.handshake_s:g} s.{_noise(wire)}{_by_hand(launch)}"
        ) from late
    except ConnectionError as gone:
        await program.finish()
        raise launch.unavailable(
            f"It did not shake hands. {program.last_words}{_noise(wire)}{_by_hand(launch)}"
        ) from gone
    except RequestError as refused:
        raise _refusal(launch, refused) from refused
    except ValidationError as odd:
        raise launch.unavailable(
            f"It shook hands in a way that isn't the protocol's: {_first(odd)}. Is it a recent ACP agent?"
        ) from odd


def _check_version(launch: Launch, hello: InitializeResponse) -> None:
    if hello.protocol_version != PROTOCOL_VERSION:
        raise launch.unavailable(
            f"It speaks version {hello.protocol_version} of the Agent Client Protocol, and Tenure speaks "
            f"{PROTOCOL_VERSION}. Install a version of the agent that speaks {PROTOCOL_VERSION} as well."
        )


async def _authenticate(agent: Agent, launch: Launch, hello: InitializeResponse) -> None:
    if launch.auth_method is None:
        return
    offered = {method.id: method for method in hello.auth_methods or ()}
    if launch.auth_method not in offered:
        raise launch.unavailable(
            f"It doesn't know auth_method {launch.auth_method}. It offers: {', '.join(offered) or 'none'}. "
            f"Set agents.{launch.name}.auth_method to one of these, or leave it out."
        )
    try:
        await agent.authenticate(launch.auth_method)
    except RequestError as refused:
        raise launch.unavailable(
            f"It refused to authenticate by {launch.auth_method}: {refused}. Look at the keys in "
            f"agents.{launch.name}.env: {_offer(offered[launch.auth_method])}."
        ) from refused


def _refusal(launch: Launch, refused: RequestError) -> TenureError:
    if refused.code == AUTH_REQUIRED:
        return launch.unavailable(
            f"It wants to be authenticated before anything else: {refused}. Put the key that it needs into "
            f"agents.{launch.name}.env."
        )
    return launch.unavailable(f"It refused to shake hands: {refused}.{_by_hand(launch)}")


def _offer(method: EnvVarAuthMethod | TerminalAuthMethod | AuthMethodAgent) -> str:
    """One way to authenticate, with the variables that it reads."""
    match method:
        case EnvVarAuthMethod():
            return f"{method.id} ({method.name}; it reads {', '.join(v.name for v in method.vars)})"
        case _:
            return f"{method.id} ({method.name})"


def _noise(wire: Wire) -> str:
    if not wire.noise:
        return ""
    return (
        f" It wrote what is no message of the protocol: {wire.noise!r}. Perhaps its command lacks a word "
        f"that has it speak ACP, such as acp or --acp."
    )


def _by_hand(launch: Launch) -> str:
    return f" To see why, run it by hand with the same environment: {shlex.join(launch.command)}"


def _first(odd: ValidationError) -> str:
    fault = odd.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
