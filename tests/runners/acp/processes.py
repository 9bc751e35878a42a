"""What the tests of programs share: who is alive, by process listing, and how agents are started."""

import asyncio
import json
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from acp.helpers import text_block
from acp.schema import (
    AgentMessageChunk,
    AllowedOutcome,
    PermissionOption,
    RequestPermissionResponse,
    TextContentBlock,
    ToolCallUpdate,
)

from tenure.runners.acp.launch import Launch
from tenure.runners.acp.link import Link

AGENT = str(Path(__file__).with_name("agent.py"))
PYTHON = (sys.executable, "-S", "-c")

WAIT_S = 20
"""How long a fact is waited for, in seconds."""


def a_mark() -> str:
    """A word that no other process has in its environment."""
    return f"mark-{uuid.uuid4().hex}"


def marked(mark: str) -> list[str]:
    """The processes that live with `mark` in their environment: a program with all it started."""
    found: list[str] = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (OSError, ProcessLookupError):
            continue
    return found


async def until(fact: Callable[[], bool]) -> None:
    """Wait for a fact that other processes make true, and tell nobody of."""
    async with asyncio.timeout(WAIT_S):
        while not fact():  # noqa: ASYNC110 (other processes tell nobody)
            await asyncio.sleep(0.01)


def a_launch(folder: Path, *flags: str, mark: str = "", **more: Any) -> Launch:
    """The scripted agent as it is started, with a mark in its environment."""
    env = {"MARK": mark, **more.pop("env", {})}
    command = more.pop("command", (sys.executable, "-S", AGENT, *flags))
    return Launch(name="scripted", command=command, homes=folder / "agents", env=env, **more)


class Watcher:
    """A visit that keeps what it hears and lets everything be done."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.heard: list[object] = []
        self.strays: list[tuple[str, object]] = []
        self.asked: asyncio.Event = asyncio.Event()
        self.leave: asyncio.Event = asyncio.Event()
        self.leave.set()

    @property
    def said(self) -> str:
        """All text of the agent."""
        return "".join(texts_of(self.heard))

    def hear(self, update: object, size: int) -> None:
        self.heard.append(update)

    def showed(self, terminal_id: str, output: str) -> None:
        pass

    def stray(self, method: str, params: object) -> None:
        self.strays.append((method, params))

    async def permit(
        self, call: ToolCallUpdate, options: Sequence[PermissionOption]
    ) -> RequestPermissionResponse:
        self.asked.set()
        await self.leave.wait()
        return RequestPermissionResponse(
            outcome=AllowedOutcome(outcome="selected", option_id=options[0].option_id)
        )


def texts_of(heard: list[object]) -> list[str]:
    """What the agent said, piece by piece."""
    chunks = [update for update in heard if isinstance(update, AgentMessageChunk)]
    return [chunk.content.text for chunk in chunks if isinstance(chunk.content, TextContentBlock)]


async def turn(link: Link, watcher: Watcher, text: str) -> Watcher:
    """One prompt in a new session of the agent, with someone to answer it."""
    session = await link.agent.new_session(cwd=str(watcher.folder))
    with link.visit(session.session_id, watcher):
        await link.agent.prompt(prompt=[text_block(text)], session_id=session.session_id)
    return watcher


async def asked(link: Link, watcher: Watcher, method: str, **params: object) -> Any:
    """What the agent is answered when it asks: a result, or an error."""
    before = len(watcher.said)
    await turn(link, watcher, f"ASK {method} {json.dumps(params)}")
    return json.loads(watcher.said[before:])
