"""Questions about the history of a session: undo, redo, compact, fork."""

from tenure.client.calls.asking import Asking, post
from tenure.client.face import once
from tenure.core.history import (
    CompactSession,
    ForkSession,
    RedoReceipt,
    RedoTurns,
    UndoReceipt,
    UndoTurns,
)
from tenure.core.view import MessageReceipt, SessionInfo


class HistoryCalls(Asking):
    """What can be done to the transcript of a session. The journal keeps everything."""

    @once
    async def undo(
        self,
        session_id: str,
        *,
        turns: int | None = None,
        to_message_id: str | None = None,
        interrupt: bool = False,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> UndoReceipt:
        """Take the last turns off: `turns` of them, by default 1, or all down to the one of a message.

        `interrupt` stops a live run for it, `dry_run` only tells what would go and what can't.
        """
        ask = UndoTurns(turns=turns, to_message_id=to_message_id, interrupt=interrupt, dry_run=dry_run)
        request = post(ask, idempotency_key, "sessions", session_id, "undo")
        return await self._line.ask(request, UndoReceipt)

    @once
    async def redo(self, session_id: str, *, idempotency_key: str | None = None) -> RedoReceipt:
        """Put back what the last undo took off, as long as no run has started since."""
        request = post(RedoTurns(), idempotency_key, "sessions", session_id, "redo")
        return await self._line.ask(request, RedoReceipt)

    @once
    async def compact(
        self, session_id: str, *, instructions: str = "", idempotency_key: str | None = None
    ) -> MessageReceipt:
        """Let a run replace the older part of the transcript by a summary. How it ends is an event."""
        ask = CompactSession(instructions=instructions)
        request = post(ask, idempotency_key, "sessions", session_id, "compact")
        return await self._line.ask(request, MessageReceipt)

    @once
    async def fork(
        self,
        session_id: str,
        *,
        at_seq: int | None = None,
        title: str | None = None,
        idempotency_key: str | None = None,
    ) -> SessionInfo:
        """Open a session that begins with this one's journal up to an event.

        Without `at_seq` it is where the session last stood still.
        """
        ask = ForkSession(at_seq=at_seq, title=title)
        request = post(ask, idempotency_key, "sessions", session_id, "fork")
        return await self._line.ask(request, SessionInfo)
