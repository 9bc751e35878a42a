"""A run without a host: what a runner or an agent is given when a test drives it.

The contract suite and `tenure.testing` use it. It holds to the rules of the host's own: what the
grant doesn't hold is refused.
"""

import asyncio
import hashlib
import shutil
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from tenure.core.approval import Decided
from tenure.core.artifact import (
    OCTETS,
    FileInfo,
    FileKind,
    check_size,
    created,
    free_name,
    key_of,
    safe_name,
)
from tenure.core.content import Content, FilePart, TextPart, text_of
from tenure.core.event import ArtifactCreated
from tenure.core.grant import HISTORY, Descriptor, Grant, Policy, StatePolicy, Terms, make_grant
from tenure.core.ids import ARTIFACT, MESSAGE, RUN, SESSION
from tenure.core.origin import API, Origin
from tenure.core.output import Output, Text
from tenure.core.principal import DEFAULT_TENANT, Author, Role
from tenure.core.steering import SteeringMessage, how_many
from tenure.core.view import TranscriptItem, TranscriptPage
from tenure.errors import Code, TenureError
from tenure.ports.runner import GatewayAccess
from tenure.runners.rehearsed_calls import FakeCheckpoints, FakeOwnCalls
from tenure.runners.rehearsed_recalls import FakeRecalls
from tenure.runners.rehearsed_state import FakeState, Given, state_policy
from tenure.runners.rehearsed_tools import FakeTools, Functions

_ID = "0" * 31 + "1"


class FakeMessage(msgspec.Struct, frozen=True):
    """The message that starts a rehearsed run."""

    content: Content
    user: str = "ada"
    id: str = f"msg_{_ID}"

    @property
    def text(self) -> str:
        """What it says; parts are joined by line breaks."""
        return text_of(self.content)


class FakeSteering:
    """The steering of a rehearsed run: a test sends with `send`, the agent takes."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._waiting: list[SteeringMessage] = []
        self._sent = 0
        self._news = asyncio.Event()

    @property
    def pending(self) -> int:
        """How many messages wait to be taken."""
        return len(self._waiting)

    def send(self, content: Content, user: str = "ada") -> None:
        """Say something to the run."""
        self._sent += 1
        message = SteeringMessage(id=f"msg_{self._sent + 1:032x}", content=content, user=user)
        self._waiting.append(message)
        self._news.set()

    async def take(self, mode: str = "all", limit: int | None = None) -> list[SteeringMessage]:
        """Take what was sent, oldest first."""
        most = how_many(mode, limit)
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        if not self._waiting:
            self._news.clear()
        return taken

    async def wait(self) -> None:
        """Wait until something was sent, or the run is asked to stop."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._news, self._stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()


_MEDIA_TYPES = {".txt": "text/plain", ".png": "image/png", ".pdf": "application/pdf"}
_NO_FILES: Mapping[str, bytes] = {}


class FakeFiles:
    """The files of a rehearsed run: a folder that is gone with it, and whatever it saves, in `saved`.

    `sent` are the files that came with the message, by name. They lie in the folder.
    """

    def __init__(self, sent: Mapping[str, bytes] = _NO_FILES, user: str = "ada") -> None:
        self.saved: dict[str, bytes] = {}
        self._data: dict[str, bytes] = {}
        self.listed: list[FileInfo] = []
        """What was sent, then what was saved."""
        self._folder: Path | None = None
        for name, data in sent.items():
            self._take(safe_name(name), data, _MEDIA_TYPES.get(Path(name).suffix, OCTETS), by=user)
            (self.folder / safe_name(name)).write_bytes(data)

    @property
    def folder(self) -> Path:
        """A folder; made when it is first asked for."""
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="tenure-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    async def infos(self) -> tuple[FileInfo, ...]:
        """What was sent, then what was saved."""
        return tuple(self.listed)

    async def read(self, file_id: str) -> bytes:
        """The bytes of what was sent or saved."""
        if file_id in self._data:
            return self._data[file_id]
        raise TenureError(Code.NOT_FOUND, f"There is no file {file_id!r} in this session.")

    async def save(self, name: str, data: bytes, media_type: str | None = None) -> ArtifactCreated:
        """Keep a file."""
        check_size(name, len(data))
        free = free_name(safe_name(name), {key_of(info.name) for info in self.listed})
        self.saved[free] = bytes(data)
        return created(self._take(free, data, media_type or OCTETS, by=None))

    def _take(self, name: str, data: bytes, media_type: str, *, by: str | None) -> FileInfo:
        info = FileInfo(
            id=f"{ARTIFACT}{len(self.listed) + 1:032x}",
            name=name,
            media_type=media_type,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            kind=FileKind.ARTIFACT if by is None else FileKind.UPLOAD,
            by=by,
            run_id=f"run_{_ID}" if by is None else None,
            created_at="2026-11-01T00:00:00.000000Z",
        )
        self.listed.append(info)
        self._data[info.id] = bytes(data)
        return info


class FakeRun:
    """A `RunContext` without a host.

    `apis` are the rights that its grant holds, `said` is the transcript so far, and `seconds_left`
    the time to a deadline. `tools` are plain functions by the names of the tools that they stand for;
    nobody is asked, and `run.tools.made` tells what was called. `run.recalls.made` tells what is to be
    said later. `files` come with the message, by name. `session` and `number` tell sessions and runs
    apart; a run that comes after an `earlier` one of its session finds the checkpoints of that, and one
    that is `resumed` is the next attempt of it.
    `stop` asks the run to stop, as an interrupt does.
    """

    def __init__(
        self,
        content: Content = "",
        *,
        user: str = "ada",
        attempt: int = 1,
        apis: tuple[str, ...] = (HISTORY,),
        said: Iterable[TranscriptItem] = (),
        seconds_left: float | None = None,
        origin: Origin = API,
        state: Given | None = None,
        tools: Functions | None = None,
        files: Mapping[str, bytes] = _NO_FILES,
        session: int = 1,
        number: int = 1,
        earlier: "FakeRun | None" = None,
        resumed: bool = False,
    ) -> None:
        self.run_id = _id(RUN, number)
        self.session_id = _id(SESSION, session)
        self.files = FakeFiles(files, user)
        self.message = FakeMessage(_with_files(content, tuple(self.files.listed)), user, _id(MESSAGE, number))
        self.attempt = attempt
        self.grant = _grant(user, apis, state_policy(state or {}))
        self.tools = FakeTools(tools or {})
        self.grant = msgspec.structs.replace(self.grant, tools=self.tools.terms())
        self.decisions: tuple[Decided, ...] = ()
        self.state = FakeState(state or {}, self.grant.state)
        self.recalls = FakeRecalls(self.grant, self.run_id, self.session_id)
        self.seconds_left = seconds_left
        self.origin = origin
        self._said = tuple(said)
        self._stop = asyncio.Event()
        self.steering = FakeSteering(self._stop)
        kept = earlier.checkpoints.kept if earlier is not None else {}
        self.checkpoints = FakeCheckpoints(self.run_id, kept)
        self.own = FakeOwnCalls(lambda: self.checkpoints.kept.get(self.run_id))
        self.gateway: GatewayAccess | None = None
        self.resumed = resumed
        self.warnings: list[tuple[str, str]] = []

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the run to stop."""
        self._stop.set()

    async def stopped(self) -> None:
        """Wait until the run is asked to stop."""
        await self._stop.wait()

    def warn(self, code: str, detail: str) -> None:
        """Keep a warning, in `warnings`."""
        self.warnings.append((code, detail))

    async def transcript(self, cursor: str | None = None, limit: int = 100) -> TranscriptPage:
        """A page of `said`; a cursor is the number of items before it."""
        if not self.grant.allows(HISTORY):
            raise TenureError(
                Code.FORBIDDEN, f"The grant of run {self.run_id} doesn't hold the right {HISTORY}."
            )
        start = int(cursor or 0)
        end = start + limit
        return TranscriptPage(
            data=self._said[start:end],
            waiting=(),
            queue_held=False,
            as_of_seq=len(self._said),
            next_cursor=str(end) if end < len(self._said) else None,
        )


def spoken(outputs: Iterable[Output]) -> str:
    """The texts among `outputs`, one after the other."""
    return "".join(output.text for output in outputs if isinstance(output, Text))


def _id(prefix: str, number: int) -> str:
    """An id; the first of each kind ends in 1, and steering of a run is numbered from there."""
    return f"{prefix}{number - 1:016x}{1:016x}"


def _with_files(content: Content, infos: tuple[FileInfo, ...]) -> Content:
    """What a message says, and the files that it brings."""
    if not infos:
        return content
    said = (TextPart(content),) if isinstance(content, str) else content
    return (*said, *(FilePart(info.id) for info in infos))


def _grant(user: str, apis: tuple[str, ...], state: StatePolicy) -> Grant:
    terms = Terms(
        agent="rehearsed",
        descriptor=Descriptor(runner="rehearsed", permissions=apis),
        policy=Policy(apis=apis, state=state),
    )
    return make_grant(terms, Author(tenant=DEFAULT_TENANT, user=user, role=Role.MEMBER))
