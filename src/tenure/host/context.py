"""What one attempt is offered: the run context of the runner port, each use judged by the grant."""

import asyncio
from collections.abc import Callable
from copy import deepcopy

import msgspec

from tenure.core.approval import Decided, Resumption
from tenure.core.content import Content, text_of
from tenure.core.grant import HISTORY, Grant
from tenure.core.origin import Origin
from tenure.core.view import TranscriptPage
from tenure.host.authorization import require
from tenure.host.checkpoints import RunCheckpoints
from tenure.host.files import RunFiles
from tenure.host.own_recalls import OwnRecalls
from tenure.host.remote_calls import RemoteCalls
from tenure.host.states import AttemptState
from tenure.host.steering import SteeringRoom, Take
from tenure.host.tools import ToolRoom
from tenure.ports.runner import GatewayAccess, OwnCalls
from tenure.ports.store import Start, Store


class Incoming(msgspec.Struct, frozen=True):
    """The message that started the run."""

    id: str
    content: Content
    user: str

    @property
    def text(self) -> str:
        """Its text, parts joined by line breaks."""
        return text_of(self.content)


class Attempt:
    """The run context of one attempt."""

    def __init__(
        self,
        start: Start,
        store: Store,
        take: Take,
        files: RunFiles,
        state: AttemptState,
        tools: ToolRoom,
        checkpoints: RunCheckpoints,
        gateway: Callable[[str], GatewayAccess | None],
        warn: Callable[[str, str], None],
        remote: RemoteCalls,
        recalls: OwnRecalls,
    ) -> None:
        self._start = start
        self._grant = start.grant
        self._store = store
        self.files = files
        self.state = state
        self.tools = tools
        self.own: OwnCalls = tools
        self.checkpoints = checkpoints
        self._gateway = gateway
        self._warn = warn
        self.remote = remote
        self.recalls = recalls
        self._stopped = asyncio.Event()
        self.steering = SteeringRoom(start.run_id, take, self._stopped.wait)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._paused_at: float | None = None

    @property
    def run_id(self) -> str:
        return self._start.run_id

    @property
    def session_id(self) -> str:
        return self._start.session_id

    @property
    def attempt(self) -> int:
        return self._start.attempt

    @property
    def grant(self) -> Grant:
        # A copy for each who asks, since a grant holds mappings: what the host judges by is out of reach.
        return deepcopy(self._grant)

    @property
    def message(self) -> Incoming:
        start = self._start
        return Incoming(start.message_id, start.content, start.author.user)

    @property
    def origin(self) -> Origin:
        return self._start.origin

    @property
    def gateway(self) -> GatewayAccess | None:
        return self._gateway(self._start.session_id)

    @property
    def resumed(self) -> bool:
        return self._start.resumed is Resumption.RESUME

    @property
    def decisions(self) -> tuple[Decided, ...]:
        return self._start.decisions

    @property
    def stopping(self) -> bool:
        return self._stopped.is_set()

    @property
    def seconds_left(self) -> float | None:
        limit = self._start.grant.deadline_s
        now = self._loop.time() if self._paused_at is None else self._paused_at
        return None if limit is None else max(0.0, limit - (now - self._began))

    async def stopped(self) -> None:
        await self._stopped.wait()

    def warn(self, code: str, detail: str) -> None:
        self._warn(code, detail)

    async def transcript(self, cursor: str | None = None, limit: int = 100) -> TranscriptPage:
        require(self._grant, HISTORY)
        return await self._store.transcript(self._start.session_id, cursor, limit)

    def pause(self) -> None:
        """The run waits: its time stands still."""
        self._paused_at = self._loop.time()

    def resume(self) -> None:
        """The run goes on: what it waited doesn't count."""
        if self._paused_at is not None:
            self._began += self._loop.time() - self._paused_at
            self._paused_at = None

    def reduce(self, removed: tuple[str, ...]) -> None:
        """The run may touch less from here on."""
        self._grant = self._grant.without(removed)
        self.state.reduce(removed)
        self.recalls.reduce(removed)

    def stop(self) -> None:
        """Ask the runner to stop at its next safe point."""
        self._stopped.set()
