"""Undo, redo, compact and fork: commands on the history of a session, and the run of a compaction.

Each command is one act of the store. The run of a compaction is executed like any other, by `Compactor`
in place of the agent's runner; the summary is its parting word, in the commit of its end.
"""

from collections.abc import AsyncGenerator, Callable

from tenure.core.content import storable, text_of
from tenure.core.event import Event, TranscriptCompacted
from tenure.core.grant import Descriptor
from tenure.core.history import (
    COMMAND,
    COMPACT,
    MOST_SUMMARY,
    CompactSession,
    ForkSession,
    RedoReceipt,
    RedoTurns,
    Summarize,
    Summarizing,
    UndoReceipt,
    UndoTurns,
    extract,
    split,
)
from tenure.core.ids import MESSAGE, RUN, SESSION
from tenure.core.origin import Origin
from tenure.core.output import Output, completed, failed
from tenure.core.principal import Principal
from tenure.core.view import MessageReceipt, SessionInfo, TranscriptItem
from tenure.errors import TenureError
from tenure.host.claims import Claims
from tenure.host.files import Files
from tenure.host.tasks import Tasks
from tenure.ports.clock import Clock, Ids
from tenure.ports.runner import RunContext
from tenure.ports.store import Answer, Idempotency, Stamp, Start, Store

_PAGE = 1_000


class Histories:
    """What principals may do to the history of a session."""

    def __init__(
        self,
        *,
        store: Store,
        files: Files,
        clock: Clock,
        ids: Ids,
        claims: Claims,
        tasks: Tasks,
        purge: Callable[[], None],
    ) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._ids = ids
        self._claims = claims
        self._tasks = tasks
        self._purge = purge

    def _stamp(self, by: Principal, idem: Idempotency | None = None) -> Stamp:
        return Stamp(self._clock.now(), by, idem)

    async def undo(
        self, by: Principal, session_id: str, ask: UndoTurns, idem: Idempotency | None
    ) -> Answer[UndoReceipt]:
        """Take the last turns off. Raises `busy`, `conflict`, `not_found`, `unsupported`, `forbidden`."""
        return await self._tasks.whole(self._undo(by, session_id, ask, idem), "undo")

    async def _undo(
        self, by: Principal, session_id: str, ask: UndoTurns, idem: Idempotency | None
    ) -> Answer[UndoReceipt]:
        answer, wake = await self._store.histories.undo(self._stamp(by, idem), session_id, ask)
        self._claims.follow(wake)
        return answer

    async def redo(
        self, by: Principal, session_id: str, ask: RedoTurns, idem: Idempotency | None
    ) -> Answer[RedoReceipt]:
        """Put back what the last undo took off. Raises TenureError `busy` or `conflict`."""
        return await self._store.histories.redo(self._stamp(by, idem), session_id, ask)

    async def compact(
        self, by: Principal, session_id: str, ask: CompactSession, idem: Idempotency | None
    ) -> Answer[MessageReceipt]:
        """Let a run replace the older part of the transcript by a summary. Raises `conflict`."""
        storable(ask.instructions, "instructions")
        return await self._tasks.whole(self._compact(by, session_id, ask, idem), "compact")

    async def _compact(
        self, by: Principal, session_id: str, ask: CompactSession, idem: Idempotency | None
    ) -> Answer[MessageReceipt]:
        fresh = self._ids.new(MESSAGE), self._ids.new(RUN)
        stamp = self._stamp(by, idem)
        answer, wake = await self._claims.offering(
            lambda lease: self._store.histories.compact(stamp, session_id, ask, *fresh, lease)
        )
        self._claims.follow(wake)
        return answer

    async def fork(
        self, by: Principal, session_id: str, ask: ForkSession, idem: Idempotency | None
    ) -> Answer[SessionInfo]:
        """Open a session that begins with this one's journal. Raises `invalid`, `capacity`, `retired`."""
        child_id = self._ids.new(SESSION)
        async with self._files.handing_on(session_id, child_id):
            return await self._store.histories.fork(self._stamp(by, idem), session_id, ask, child_id)

    async def delete_family(self, by: Principal, session_id: str) -> None:
        """Delete a session and all its forks. Raises TenureError `forbidden` if one isn't the caller's."""
        await self._store.histories.delete_family(self._stamp(by), session_id)
        self._purge()
        self._claims.wake()


class Compactor:
    """Stands in for the agent's runner in the run of a compaction. It serves one attempt.

    `parting` is what it leaves for the commit of the run's end, if that completes.
    """

    descriptor = Descriptor(runner=COMPACT)

    def __init__(self, start: Start, store: Store, summarize: Summarize | None) -> None:
        self._start = start
        self._store = store
        self._summarize = summarize or extract
        self.parting: list[Event] = []

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """Summarise what is to be covered, and end."""
        cut = split(await self._said(), self._start.seq)
        if cut is None:
            yield failed("nothing_to_compact")
            return
        asked = Summarizing(cut.covered, text_of(self._start.content))
        fault = self._take(cut.through, await self._summarize(asked))
        yield completed() if fault is None else failed(fault)

    def _take(self, through: int, summary: object) -> str | None:
        """Keep what a summariser returned. Returns what is wrong with it, if anything is."""
        if not isinstance(summary, str) or not summary.strip():
            return "summary_empty: the summariser returned no text"
        if len(summary) > MOST_SUMMARY:
            return f"summary_too_long: it has {len(summary)} characters, {MOST_SUMMARY} fit"
        try:
            storable(summary, "summary")
        except TenureError as refusal:
            return f"summary_invalid: {refusal.detail}"
        self.parting.append(TranscriptCompacted(covers_through=through, summary=summary))
        return None

    async def _said(self) -> list[TranscriptItem]:
        """The transcript as it stands, all of it."""
        said: list[TranscriptItem] = []
        cursor: str | None = None
        while True:
            page = await self._store.transcript(self._start.session_id, cursor, _PAGE)
            said += page.data
            cursor = page.next_cursor
            if cursor is None:
                return said


def is_compaction(origin: Origin) -> bool:
    """Whether the run that began so is a compaction."""
    return origin.trigger == COMMAND and origin.data.get("command") == COMPACT
