"""Undo, redo, compact and fork. Rows of the route table."""

from tenure.core.history import (
    CompactSession,
    ForkSession,
    RedoReceipt,
    RedoTurns,
    UndoReceipt,
    UndoTurns,
)
from tenure.core.view import MessageReceipt, SessionInfo
from tenure.http import history
from tenure.http.call import AnyRoute, NoQuery, Route
from tenure.http.table.words import SESSION, WRITE

HISTORY_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/v1/sessions/{session_id}/undo",
        summary="Take the last turns off the transcript, or preview that; 202 while a run is stopped for it.",
        resource="transcript",
        action=WRITE,
        tenant_rule=SESSION,
        query=NoQuery,
        body=UndoTurns,
        answer=UndoReceipt,
        later=True,
        handler=history.undo,
    ),
    Route(
        method="POST",
        path="/v1/sessions/{session_id}/redo",
        summary="Put back what the last undo took off.",
        resource="transcript",
        action=WRITE,
        tenant_rule=SESSION,
        query=NoQuery,
        body=RedoTurns,
        answer=RedoReceipt,
        handler=history.redo,
    ),
    Route(
        method="POST",
        path="/v1/sessions/{session_id}/compact",
        summary="Let a run replace the older part of the transcript by a summary.",
        resource="transcript",
        action=WRITE,
        tenant_rule=SESSION,
        query=NoQuery,
        body=CompactSession,
        answer=MessageReceipt,
        status=202,
        handler=history.compact,
    ),
    Route(
        method="POST",
        path="/v1/sessions/{session_id}/fork",
        summary="Open a session that begins with the journal of this one.",
        resource="session",
        action=WRITE,
        tenant_rule=SESSION,
        query=NoQuery,
        body=ForkSession,
        answer=SessionInfo,
        status=201,
        handler=history.fork,
    ),
)
