"""`tenure chat`: which session, which server, and how it ends. `conversation` does the talking."""

import asyncio
import sys
from typing import Annotated, NamedTuple

import typer

from tenure.cli.conversation import Conversation
from tenure.cli.lines import Lines
from tenure.cli.options import AsJson, Home, Key, Server, Target, expanded
from tenure.cli.outcome import Exit, Stop
from tenure.cli.screen import wants_colour
from tenure.cli.speech import Raw, Speech
from tenure.client import AsyncClient
from tenure.core.session import SessionStatus
from tenure.core.view import SessionInfo

app = typer.Typer()


class Wish(NamedTuple):
    """Which session to talk in: a certain one, the latest one, or a new one with an agent."""

    session: str | None
    last: bool
    agent: str | None


@app.command("chat")
def chat(
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Whom to talk with.")] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Go on with this session.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Go on with your latest session.")] = False,
    server: Server = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Talk with an agent, in a new session or an old one.

    Enter sends; what you send during a run steers it, if the agent can be steered, or waits in line. Calls
    that need you are shown; /approve and /deny answer them, and /help lists what else can be typed. Ctrl-C
    stops the run, a second Ctrl-C leaves it running, Ctrl-D leaves. In a pipe, each line is a message.
    """
    if session is not None and (last or agent is not None):
        raise typer.BadParameter("--session names the session; --last and --agent have no place.")
    target = Target(server, key, expanded(home))
    code = talk(Wish(session, last, agent), target, as_json=as_json, stays=True)
    raise typer.Exit(code)


def talk(wish: Wish, target: Target, *, as_json: bool, stays: bool) -> Exit:
    """Hold the conversation to its end. `stays` says whether the server outlives it."""
    with asyncio.Runner() as runner:
        return runner.run(_talk(wish, target, as_json=as_json, stays=stays))


async def _talk(wish: Wish, target: Target, *, as_json: bool, stays: bool) -> Exit:
    speech = Speech(dim=wants_colour(sys.stderr))
    async with AsyncClient(target.server, target.key, home=target.home) as client:
        session = await chosen(client, wish)
        listener = Raw() if as_json else speech
        typed = sys.stdin.isatty() and not as_json
        lines = Lines(sys.stdin.fileno())
        while True:
            conversation = Conversation(client, session, speech, listener, typed=typed)
            code = await conversation.hold(lines)
            if conversation.goes_on_in is None:
                break
            session = conversation.goes_on_in
    if stays and conversation.left:
        speech.note(f"left; to go on: {target.command('chat', '--session', session.id)}")
    return code


async def chosen(client: AsyncClient, wish: Wish) -> SessionInfo:
    """The session to talk in. Raises Stop if there is none, or no single agent to open one with."""
    if wish.session is not None:
        return await client.session(wish.session)
    if wish.last:
        return await latest(client, wish.agent)
    return await client.open_session(wish.agent or await only_agent(client))


async def latest(client: AsyncClient, agent: str | None) -> SessionInfo:
    """The caller's latest session that is open. Raises Stop."""
    user = (await client.whoami()).user
    async for session in client.sessions(agent=agent):
        if session.owner == user and session.status != SessionStatus.CLOSED:
            return session
    raise Stop(Exit.NOT_FOUND, f"{user} has no open session yet. Leave --last out to open one.")


async def only_agent(client: AsyncClient) -> str:
    """The name of the one agent that is hosted. Raises Stop if there are others, or none."""
    names = [agent.name for agent in await client.agents()]
    match names:
        case [name]:
            return name
        case []:
            raise Stop(
                Exit.NOT_FOUND,
                "The server hosts no agent. Start it with some: tenure serve my_agents.py",
            )
        case _:
            raise Stop(
                Exit.USAGE,
                f"The server hosts several agents: {', '.join(names)}. Choose one with --agent.",
            )
