"""Projects undo, redo and compaction into the tables. Called by the projection of all changes."""

from collections.abc import Callable
from typing import assert_never

import msgspec

from tenure.core.transcript import Compacted, Forked, Left, Redone, Undone


def apply(do: Callable[..., int], change: Undone | Redone | Compacted | Left | Forked, seq: int) -> int:
    """Do to the rows what `change` says. Returns how many messages the transcript has more."""
    match change:
        case Undone():
            do("undo_insert", seq=seq, run_ids=_json(change.run_ids), message_ids=_json(change.message_ids))
            do("compaction_undo", run_ids=_json(change.run_ids), undone=1)
            return -do("message_undo", message_ids=_json(change.message_ids), undone=1)
        case Redone():
            do("undo_drop", run_ids=_json(change.run_ids), message_ids=_json(change.message_ids))
            do("compaction_undo", run_ids=_json(change.run_ids), undone=0)
            return do("message_undo", message_ids=_json(change.message_ids), undone=0)
        case Compacted():
            covers = change.covers_through
            do("compaction_insert", seq=seq, run_id=change.run_id, covers=covers, summary=change.summary)
        case Left(what=""):
            do("trace_drop", call_id=change.call_id)
        case Left():
            do("trace_insert", seq=seq, run_id=change.run_id, what=change.what, call_id=change.call_id)
        case Forked():
            pass  # the act that forks makes the rows: they come from another session
        case _:
            assert_never(change)
    return 0


def _json(ids: tuple[str, ...]) -> str:
    return msgspec.json.encode(ids).decode()
