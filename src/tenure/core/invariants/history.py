"""What holds of undo and redo: only between runs, and only what was undone last, before another run."""

from tenure.core.event import RunFinished, RunStarted, TranscriptRedone, TranscriptUndone
from tenure.core.invariants.case import Case, Faults


def undo_order(case: Case) -> Faults:
    """Nothing is undone or redone under a live run, and each redo answers the undo before it."""
    undone: list[TranscriptUndone] = []
    live: set[str] = set()
    for seq, _, run_id, event in case.own:
        match event:
            case RunStarted() if run_id:
                live.add(run_id)
                undone = []
            case RunFinished() if run_id:
                live.discard(run_id)
            case TranscriptUndone() | TranscriptRedone() if live:
                yield f"The transcript was changed under the live runs {sorted(live)}.", (seq,)
            case TranscriptUndone():
                undone.append(event)
            case TranscriptRedone(message_ids=message_ids, run_ids=run_ids):
                last = undone.pop() if undone else None
                if last is None or (last.message_ids, last.run_ids) != (message_ids, run_ids):
                    yield f"What was put back, {list(message_ids)}, isn't what was undone last.", (seq,)
            case _:
                pass
