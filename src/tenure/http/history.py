"""The history of a session: undo, redo, compact, fork."""

from starlette.types import ASGIApp

from tenure.core.history import CompactSession, ForkSession, RedoTurns, UndoTurns
from tenure.http.call import Call, NoQuery
from tenure.http.wire import json_response


async def undo(call: Call[UndoTurns, NoQuery]) -> ASGIApp:
    """Take the last turns off. 202 says that a run is stopped for it; its end does it."""
    made = await call.site.host.histories.undo(call.by, call.session_id, call.body, call.idempotency)
    return json_response(made.value, 202 if made.value.interrupts else 200, replayed=made.replayed)


async def redo(call: Call[RedoTurns, NoQuery]) -> ASGIApp:
    """Put back what the last undo took off."""
    made = await call.site.host.histories.redo(call.by, call.session_id, call.body, call.idempotency)
    return json_response(made.value, replayed=made.replayed)


async def compact(call: Call[CompactSession, NoQuery]) -> ASGIApp:
    """Let a run replace the older part of the transcript by a summary."""
    made = await call.site.host.histories.compact(call.by, call.session_id, call.body, call.idempotency)
    return json_response(made.value, 202, replayed=made.replayed)


async def fork(call: Call[ForkSession, NoQuery]) -> ASGIApp:
    """Open a session that begins with this one's journal. It belongs to the caller."""
    made = await call.site.host.histories.fork(call.by, call.session_id, call.body, call.idempotency)
    return json_response(made.value, 201, replayed=made.replayed)
