"""The summary with which a transcript begins after a compaction."""

from tenure.core.history import SUMMARY
from tenure.core.message import ReplyState
from tenure.core.view import TranscriptItem
from tenure.stores.relational.look import Look


def standing(db: Look, no: int) -> TranscriptItem | None:
    """What stands for the older part of a transcript, or None. `seq` is the number up to which it does."""
    row = db.one("compaction_standing", no=no)
    if row is None:
        return None
    run_id, message_id, covers_through, summary = row
    return TranscriptItem(
        message_id=message_id,
        role=SUMMARY,
        content=summary,
        run_id=run_id,
        status=ReplyState.COMPLETED,
        seq=covers_through,
    )
