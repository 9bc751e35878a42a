"""The runner port: code that does agent work, in process or out of process.

A runner is given a `RunContext` and yields outputs. Only a `Verdict` ends a run well: a stream that
ends without one has failed with reason `runner_ended`. A runner looks at `context.stopping` at its safe
points; if it doesn't, it is cancelled, and if that doesn't help, abandoned.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from tenure.core.approval import Decided
from tenure.core.artifact import FileInfo
from tenure.core.content import Content
from tenure.core.effect import CallStatus
from tenure.core.event import ArtifactCreated
from tenure.core.grant import Descriptor, Grant
from tenure.core.origin import Origin
from tenure.core.output import Output
from tenure.core.scheduling import Preview, Recall, ScheduleInfo
from tenure.core.steering import SteeringMessage
from tenure.core.tool import Arguments, ToolInfo
from tenure.core.view import TranscriptPage
from tenure.ports.checkpoints import Checkpoint


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


class Permit(NamedTuple):
    """What came of asking a person about a call that the agent makes by itself.

    `call_id` is the call's name in the journal. `arguments` are those that were approved: a person may have
    changed them, if the agent's tools can be checked. `note` is what the person, or the clock, said.
    """

    call_id: str
    granted: bool
    arguments: Arguments
    note: str | None = None


class OwnCalls(Protocol):
    """The calls of the agent's own tools, which the agent makes and the host only lets and writes down.

    One that needs nobody's leave is simply put out as `ToolStarted` and `ToolCompleted`.
    """

    async def ask(self, tool: str, arguments: Arguments) -> Permit:
        """Ask a person whether the agent may call its tool; the run waits, and gives back its slot.

        What an earlier attempt of this run was told of exactly this call, before it was made, holds. One that
        was made then is asked about anew. Raises TenureError `invalid`, `not_running`, `fenced`, `capacity`.
        """
        ...

    async def settle(self, call_id: str, status: CallStatus, result: object) -> None:
        """Write down how a call that was permitted ended. One that never is ends `unknown` with its run."""
        ...


class Checkpoints(Protocol):
    """What the runner keeps of its runs for itself. Nobody else reads it, and no journal holds it."""

    async def save(self, data: bytes) -> None:
        """Keep `data` for this run, in place of what it left before. Durable when this returns.

        A runner that declares `resume` does so before it asks a person, else it starts over. Raises
        TenureError `too_large`, `fenced`.
        """
        ...

    async def load(self, run_id: str | None = None) -> bytes | None:
        """What this run left, or another of the session's transcript. None if there is nothing."""
        ...

    async def latest(self) -> Checkpoint | None:
        """What the newest run of this very session left that left anything. A fork begins with none."""
        ...


class GatewayAccess(NamedTuple):
    """How a runner elsewhere reaches what this session's live run was granted: an MCP server over HTTP."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"GatewayAccess(url={self.url!r})"


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

    async def infos(self) -> tuple[FileInfo, ...]:
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


class Recalls(Protocol):
    """What is said later in the run's own session, as the author of its message.

    Everything here needs the right `recalls`, and raises TenureError `forbidden` without it and `fenced` once
    the attempt is over.
    """

    async def schedule(self, recall: Recall) -> ScheduleInfo:
        """Have something said later. Its runs may touch at most what this one may.

        An attempt that starts over and asks for exactly the same gets what was made. Raises TenureError
        `invalid`, and `capacity` if the author has too many, or the run itself was recalled by a recall of
        a recall.
        """
        ...

    async def preview(self, recall: Recall, count: int = 5) -> Preview:
        """What it would do: in words, and its next instants. Raises TenureError `invalid`."""
        ...

    async def entries(self) -> list[ScheduleInfo]:
        """The session's schedules, newest first, whoever made them; without those that were cancelled."""
        ...

    async def pause(self, schedule_id: str) -> ScheduleInfo:
        """Let one rest that a run of the session made.

        Raises TenureError `not_found`, `forbidden` for what a person made, `conflict` if it is over.
        """
        ...

    async def resume(self, schedule_id: str) -> ScheduleInfo:
        """Let one go on that a run for the same author made. Raises TenureError as `pause` does."""
        ...

    async def cancel(self, schedule_id: str) -> ScheduleInfo:
        """End one that a run of the session made. Raises TenureError as `pause` does."""
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
    def own(self) -> OwnCalls: ...
    @property
    def recalls(self) -> Recalls: ...
    @property
    def checkpoints(self) -> Checkpoints: ...
    @property
    def gateway(self) -> GatewayAccess | None:
        """The run gateway of this session, None on a host without one. Its token goes to the agent alone."""
        ...

    @property
    def resumed(self) -> bool:
        """Whether this attempt goes on after an answer, from its checkpoint, instead of starting over."""
        ...

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

    def warn(self, code: str, detail: str) -> None:
        """Put a `runner.warning` into the journal, where it stands among the outputs."""
        ...

    async def transcript(self, cursor: str | None = None, limit: int = 100) -> TranscriptPage:
        """A page of the session's transcript. Needs the right `history`, else TenureError `forbidden`."""
        ...


class Residence(Protocol):
    """Where a runner keeps something of its own between runs, such as the processes of its agent."""

    @property
    def fault(self) -> str | None:
        """Why the agent can't be reached now, and what to do about it; None if all seems well."""
        ...

    def kept(self) -> Iterable[str]:
        """The sessions for which something is kept now, which may be closed or deleted on other hosts."""
        ...

    async def forget(self, session_id: str) -> None:
        """The session was closed or deleted: let go of what is kept for it."""
        ...

    async def close(self) -> None:
        """The host stops: let go of everything. No process is left behind."""
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
