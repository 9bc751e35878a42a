"""The runner port: code that does agent work, in process or out of process.

A runner is given a `RunContext` and yields outputs. Only a `Verdict` ends a run well: a stream that
ends without one has failed with reason `runner_ended`. A runner looks at `context.stopping` at its safe
points; if it doesn't, it is cancelled, and if that doesn't help, abandoned.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol

from tenure.core.approval import Decided
from tenure.core.artifact import FileInfo
from tenure.core.content import Content
from tenure.core.event import ArtifactCreated
from tenure.core.grant import Descriptor, Grant
from tenure.core.origin import Origin
from tenure.core.output import Output
from tenure.core.steering import SteeringMessage
from tenure.core.tool import Arguments, ToolInfo
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


class Steering(Protocol):
    """The messages that were sent to steer this run. Each is taken once by the run."""

    @property
    def pending(self) -> int:
        """How many wait to be taken."""
        ...

    async def take(self, mode: str = "all", limit: int | None = None) -> list[SteeringMessage]:
        """Take what waits, oldest first, at a safe point: all of it, at most `limit`, or `one`.

        What is returned counts as consumed by the run, durably. An empty list if nothing waits. Raises
        TenureError `invalid` for another mode or a limit below 1.
        """
        ...

    async def wait(self) -> None:
        """Wait until something can be taken, or the run is asked to stop."""
        ...


class ToolCalls(Protocol):
    """The tools of the host that this run was granted."""

    def infos(self) -> tuple[ToolInfo, ...]:
        """What can be called, with the schemas of the arguments."""
        ...

    async def call(self, name: str, arguments: Arguments, *, key: str | None = None) -> object:
        """Call a tool through the effect ledger, after a person's approval where one is needed.

        A call that was finished by an earlier attempt of this run is answered from the ledger: it is
        found by name, arguments and how often exactly that was asked for, or by `key`. Raises TenureError
        `forbidden`, `invalid`, `denied`, `outcome_unknown`, `effect_conflict`, and `internal` for a tool
        that raised.
        """
        ...


class StateEntry(Protocol):
    """One value of the state, with the version that compare-and-set goes by."""

    @property
    def value(self) -> object: ...
    @property
    def version(self) -> int: ...


class StateAccess(Protocol):
    """The state that the host keeps for this run's agent."""

    @property
    def snapshot(self) -> Mapping[str, Mapping[str, object]]:
        """All four scopes as they were when the attempt began: one cut, and it can't be changed."""
        ...

    async def get(self, scope: str, key: str) -> StateEntry | None:
        """The value as it is now. Raises TenureError `forbidden` or `invalid` that says why."""
        ...

    async def entries(self, scope: str) -> Mapping[str, StateEntry]:
        """Every value of a scope as it is now, by its key. Raises TenureError as `get` does."""
        ...

    async def set(
        self,
        scope: str,
        key: str,
        value: object,
        *,
        if_version: int | None = None,
        ttl_s: float | None = None,
    ) -> int:
        """Write a value and return its version. With `if_version`, only over that one (0: none yet).

        Raises TenureError `stale`, `forbidden`, `invalid`, `too_large` or `capacity`.
        """
        ...

    async def delete(self, scope: str, key: str, *, if_version: int | None = None) -> bool:
        """Delete a value. False if there was none."""
        ...


class FileAccess(Protocol):
    """The session's folder and its artifacts."""

    @property
    def folder(self) -> Path:
        """The session's folder: what was sent with its messages lies there. It exists."""
        ...

    def infos(self) -> tuple[FileInfo, ...]:
        """Every file of the session, oldest first."""
        ...

    async def read(self, file_id: str) -> bytes:
        """The bytes of a file as it was kept. Raises TenureError `not_found`."""
        ...

    async def save(self, name: str, data: bytes, media_type: str | None = None) -> ArtifactCreated:
        """Keep `data` as an artifact of the session, by hash. A name that is taken gets a number.

        Raises TenureError `capacity`, `too_large` or `invalid`.
        """
        ...


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
    def origin(self) -> Origin:
        """The outside event that the message was made of."""
        ...

    @property
    def steering(self) -> Steering: ...
    @property
    def tools(self) -> ToolCalls: ...
    @property
    def state(self) -> StateAccess: ...
    @property
    def files(self) -> FileAccess: ...
    @property
    def decisions(self) -> tuple[Decided, ...]:
        """What became of this run's approvals, for a runner that declares `resume` and goes on after them."""
        ...

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
