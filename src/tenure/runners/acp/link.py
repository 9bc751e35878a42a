"""The seam of the ACP runner: below it programs and connections, above it runs.

The pool (`pool`) makes links; the runner (`runner`) visits with one run at a time per session. An assembly
makes a pool by `Pool(Launch(name=…, command=…, env=…, homes=home / "agents", …))` (`launch.Launch`); the pool
is the residence too. Error texts that come from the agent have the secrets of its environment left out. When
a visit ends, what the agent still asks in it is answered `cancelled`, and its terminals are killed.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from acp.interfaces import Agent
from acp.schema import InitializeResponse, PermissionOption, RequestPermissionResponse, ToolCallUpdate


class Person(NamedTuple):
    """Whose program it is: people never share one, since it may keep what it learns in its memory."""

    tenant: str
    user: str


class Visit(Protocol):
    """Who answers the agent in one of its sessions: a run, as long as it is live."""

    @property
    def folder(self) -> Path:
        """The session's folder: files and terminals of the agent stay within it."""
        ...

    def hear(self, update: object, size: int) -> None:
        """Take a `session/update` of so many bytes. One that the protocol's types don't know comes as the
        dict it was."""
        ...

    async def permit(
        self, call: ToolCallUpdate, options: Sequence[PermissionOption]
    ) -> RequestPermissionResponse:
        """Have a person choose. The agent waits for as long as that takes."""
        ...

    def showed(self, terminal_id: str, output: str) -> None:
        """Take note of what a terminal of the agent's put out so far. Told before it is released."""
        ...

    def stray(self, method: str, params: object) -> None:
        """Take note of a notification that isn't of the protocol."""
        ...


class Link(Protocol):
    """One program that was started and shook hands. It serves many sessions of one person."""

    @property
    def hello(self) -> InitializeResponse:
        """What it said of itself."""
        ...

    @property
    def agent(self) -> Agent:
        """The calls of the protocol: `new_session`, `load_session`, `prompt`, `cancel` and the others."""
        ...

    @property
    def sessions(self) -> dict[str, str]:
        """Which of its own sessions each Tenure session has in this life of the program."""
        ...

    @property
    def ended(self) -> asyncio.Event:
        """Set once the program is gone."""
        ...

    @property
    def last_words(self) -> str:
        """How it ended and the end of what it wrote to its standard error, secrets left out."""
        ...

    def visit(self, acp_session_id: str, visit: Visit) -> AbstractContextManager[None]:
        """Let `visit` answer in one of the agent's sessions, as long as the block lasts."""
        ...


class Links(Protocol):
    """The programs of one agent."""

    def use(self, person: Person, folder: Path | None = None) -> AbstractAsyncContextManager[Link]:
        """The person's program, started if it isn't there; it isn't reaped as long as the block lasts.

        `folder` is the session's folder. A program that is confined by a sandbox sees that one alone, so it
        serves one session; one that isn't confined serves all sessions of the person, whatever the folder.

        Raises TenureError `runner_unavailable` that says what is wrong with the command, the hand-shake, the
        version or the keys, and the way out.
        """
        ...

    async def drop(self, link: Link) -> None:
        """End a program at once, with all that it started: it heeds nothing any more."""
        ...
