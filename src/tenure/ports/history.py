"""Acts on the history of a session: undo, redo, compact, fork. A part of the Store port."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tenure.core.bundle import Journal
from tenure.core.history import (
    CompactSession,
    ForkSession,
    RedoReceipt,
    RedoTurns,
    UndoReceipt,
    UndoTurns,
)
from tenure.core.view import MessageReceipt, SessionInfo
from tenure.ports.acts import Answer, Lease, Stamp, Wake


class Bundled(NamedTuple):
    """A session from elsewhere: which it was there, and its journal. Each bundle is brought in once."""

    session_id: str
    agent: str
    title: str | None
    labels: dict[str, str]
    journal: Journal


class HistoryActs(Protocol):
    """Each act is one transaction under the session's lock, and remembers its answer under its key."""

    async def undo(self, stamp: Stamp, session_id: str, ask: UndoTurns) -> tuple[Answer[UndoReceipt], Wake]:
        """Take the last turns off. On a busy session with `interrupt`, the run's end does it."""
        ...

    async def redo(self, stamp: Stamp, session_id: str, ask: RedoTurns) -> Answer[RedoReceipt]:
        """Put back what the last undo took off."""
        ...

    async def compact(
        self,
        stamp: Stamp,
        session_id: str,
        ask: CompactSession,
        message_id: str,
        run_id: str,
        lease: Lease | None,
    ) -> tuple[Answer[MessageReceipt], Wake]:
        """Admit a compaction, as a message is admitted: its run makes the summary."""
        ...

    async def fork(
        self, stamp: Stamp, session_id: str, ask: ForkSession, child_id: str
    ) -> Answer[SessionInfo]:
        """Open a session that begins with this one's journal."""
        ...

    async def delete_family(self, stamp: Stamp, session_id: str) -> None:
        """Delete a session with all its forks, those of forks included."""
        ...

    async def bring_in(self, stamp: Stamp, bundle: Bundled, session_id: str) -> SessionInfo:
        """Open a session that begins with a journal from elsewhere. Its files come afterwards."""
        ...

    async def bring_files(self, session_id: str, bundle: Bundled, kept: Sequence[str]) -> None:
        """These files of the bundle, whose bytes are kept now, are the session's."""
        ...
