"""The outline of a journal, from rows: it costs what it shows, however long the journal is."""

from collections.abc import Iterator

import msgspec

from tenure.core.message import Role
from tenure.core.origin import Recalled
from tenure.core.view import Outline, OutlineMark
from tenure.stores.relational import strands
from tenure.stores.relational.brief import oldest
from tenure.stores.relational.look import Look
from tenure.stores.relational.reads import NEWEST
from tenure.stores.relational.strands import Place

_KINDS = {"tool call": "call", "file": "file", "state": "state", "schedule": "schedule"}
"""How the words of a trace begin, and the kind that it is in an outline."""


class _Whence(msgspec.Struct):
    """What of a message's origin says that a schedule sent it."""

    recall: Recalled | None = None


def outline(db: Look, session_id: str, before: int | None, limit: int) -> Outline:
    """The last marks before a number, or of all, oldest first: so many, and what stands with the first."""
    at = strands.place(db, session_id)
    upto = NEWEST if before is None else before
    found = sorted(_all(db, at, upto, limit + 1), key=lambda mark: mark.seq)
    first = found[-limit].seq if len(found) > limit else 0
    kept = tuple(mark for mark in found if mark.seq >= first)
    return Outline(data=kept, head_seq=at.top, next_before=first if len(kept) < len(found) else None)


def _all(db: Look, at: Place, before: int, limit: int) -> Iterator[OutlineMark]:
    values = {"no": at.no, "before": before, "limit": limit}
    yield from _messages(db, values)
    yield from _traces(db, values)
    for seq, run_id, undone in db.each("outline_compactions", **values):
        yield OutlineMark(seq=seq, kind="compaction", id=run_id, undone=bool(undone))
    for (seq,) in db.each("outline_undos", **values):
        yield OutlineMark(seq=seq, kind="undo")
    if 0 < at.base < before - 1:
        (parent,) = db.one("outline_parent", no=at.no)
        yield OutlineMark(seq=at.base + 1, kind="fork", id=parent)
    first = oldest(db, at)
    if 1 < first < before:
        yield OutlineMark(seq=first, kind="gap")


def _messages(db: Look, values: dict[str, int]) -> Iterator[OutlineMark]:
    for row in db.rows("outline_messages", **values):
        seq, undone = row["entered_seq"], bool(row["undone"])
        if row["role"] == Role.USER:
            recall = msgspec.json.decode(row["origin"], type=_Whence).recall
            if recall is not None:
                yield OutlineMark(seq=seq, kind="recall", id=recall.schedule_id, undone=undone)
        yield OutlineMark(seq=seq, kind=row["role"], id=row["id"], status=row["state"], undone=undone)
        if row["run_id"] is not None:
            yield OutlineMark(seq=seq, kind="run", id=row["run_id"], status=row["run_state"], undone=undone)


def _traces(db: Look, values: dict[str, int]) -> Iterator[OutlineMark]:
    for seq, run_id, what, call_id, approval_id, approval_state in db.each("outline_traces", **values):
        words = next((words for words in _KINDS if what.startswith(words)), "")
        name = what[len(words) :].strip()
        yield OutlineMark(seq=seq, kind=_KINDS.get(words, "trace"), id=call_id or run_id, name=name)
        if approval_id is not None:
            yield OutlineMark(seq=seq, kind="approval", id=approval_id, status=approval_state, name=name)
