"""The runner port: code that does agent work, in process or out of process.

A runner is given a `RunContext` and yields outputs. Only a `Verdict` ends a run well: a stream that
ends without one has failed with reason `runner_ended`. A runner looks at `context.stopping` at its safe
points; if it doesn't, it is cancelled, and if that doesn't help, abandoned.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from tenure.core.content import Content
from tenure.core.grant import Descriptor, Grant
from tenure.core.output import Output
from tenure.core.view import TranscriptPage


class IncomingMessage(Protocol):
    """The message that started the run."""

    @property
    def id(self) -> str: ...
    @property
    def content(self) -> Content: ...
    @property
    def text(self) -> str: ...
    @property
    def user(self) -> str: ...


class RunContext(Protocol):
    """What the host offers one attempt of one run. Each use is judged by the grant."""

    @property
    def run_id(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def grant(self) -> Grant: ...
    @property
    def message(self) -> IncomingMessage: ...
    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop."""
        ...

    @property
    def seconds_left(self) -> float | None:
        """Running time left before the deadline, or None if there is none."""
        ...

    async def stopped(self) -> None:
        """Wait until the run is asked to stop."""
        ...

    async def transcript(self, cursor: str | None = None, limit: int = 100) -> TranscriptPage:
        """A page of the session's transcript. Needs the right `history`, else TenureError `forbidden`."""
        ...


class Runner(Protocol):
    """Does the work of one agent. One instance serves all runs of that agent."""

    @property
    def descriptor(self) -> Descriptor:
        """What it can do and which rights it asks for."""
        ...

    def run(self, context: RunContext) -> AsyncIterator[Output]:
        """Start one attempt. The iterator is closed by the host if it has `aclose`."""
        ...
