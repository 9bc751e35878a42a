"""Forks: a session that begins with another's journal, and the deletion of a session with its forks.

The prefix of a journal never changes, so what the fork shows is folded by a reader beforehand; the act
itself only copies the rows of the transcript. Journal rows are shared, not copied.
"""

from typing import NamedTuple

import msgspec

from tenure.core.entry import entry, shell
from tenure.core.event import (
    TYPE_OF,
    Event,
    Parent,
    RunFinished,
    SessionCreated,
    SessionForked,
    TranscriptRedone,
    TranscriptUndone,
)
from tenure.core.history import MOST_STRANDS, ForkSession
from tenure.core.principal import reaches
from tenure.core.rules import Rules
from tenure.core.snapshot import seq_of
from tenure.core.transcript import Item, Transcript
from tenure.core.view import SessionInfo
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Stamp
from tenure.stores.relational import strands
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.artifacts import inherit
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import SessionRow, not_found, session_row
from tenure.stores.relational.acts.sessions import delete_session, info_in
from tenure.stores.relational.acts.states import copy_conversation_state
from tenure.stores.relational.audits import messages, summaries
from tenure.stores.relational.look import Look
from tenure.stores.relational.retired import retired
from tenure.stores.relational.strands import Part, Place
from tenure.stores.relational.tx import Raced, Tx

_RESTS: tuple[type[Event], ...] = (RunFinished, TranscriptUndone, TranscriptRedone, SessionCreated)
_REST_TYPES = frozenset(TYPE_OF[kind] for kind in _RESTS)
_REST_MARKS = tuple(b'"type":"%b"' % name.encode() for name in _REST_TYPES)


class Prefix(NamedTuple):
    """What a fork begins with: where it is cut off, and what its transcript then shows."""

    at_seq: int
    transcript: Transcript


def prefix(db: Look, session_id: str, at_seq: int | None) -> Prefix:
    """The beginning of a journal up to `at_seq`, folded. Raises `not_found`, `invalid` or `retired`."""
    at = strands.place(db, session_id)
    if not at.top:
        raise not_found("session", session_id)
    through = _standstill(db, at) if at_seq is None else at_seq
    if through > at.top:
        raise TenureError(
            Code.INVALID,
            f"at_seq is {through}, but session {session_id} ends at {at.top}. Fork there or earlier.",
            field="at_seq",
            head_seq=at.top,
        )
    gone = retired(db, at.no, at.strand).through
    if through < gone:
        raise TenureError(
            Code.RETIRED,
            f"Session {session_id} can't be forked at {through}: its events up to {gone} were retired. "
            "Fork it there or later.",
            session_id=session_id,
        )
    stood = _as_stored(db, at.no) if at_seq is None else None
    folded = stood or Transcript.fold(strands.entries(db, at, through))
    folded.branch()
    return Prefix(through, folded)


def _as_stored(db: Look, no: int) -> Transcript | None:
    """The transcript of a session that stands still, from its rows: they are what its journal folds to."""
    if db.one("run_live", no=no) is not None:
        return None
    stored = Transcript()
    stored.items = {item.message_id: item for item in messages(db, no)}
    stored.summaries = [*summaries(db, no)]
    return stored


def _standstill(db: Look, at: Place) -> int:
    """Where the session last stood still: the latest of the events after which nothing was under way."""
    for first, last, body in strands.before(db, at, at.top + 1):
        if not any(mark in body for mark in _REST_MARKS):
            continue
        lines = body.split(b"\n")
        for seq, line in zip(range(last, first - 1, -1), reversed(lines), strict=True):
            if shell(line).type in _REST_TYPES:
                return seq
    return 1


def fork(
    tx: Tx, stamp: Stamp, session_id: str, ask: ForkSession, child_id: str, cut: Prefix, rules: Rules
) -> Answer[SessionInfo]:
    """Open a session that begins with this one's journal. Raises `capacity` or `unknown_agent`."""
    known = replay(tx, stamp, SessionInfo)
    if known is not None:
        return known
    parent = session_row(tx, session_id)
    if parent.agent not in rules.terms:
        detail = f"The agent {parent.agent!r} of this session isn't hosted any more. Ask the operator."
        raise TenureError(Code.UNKNOWN_AGENT, detail, agent=parent.agent)
    slots.open_session(tx, parent.tenant, stamp.by.user, rules.limits)
    no = _open(tx, stamp, parent, ask, child_id, cut)
    tx.add_title(no)
    _share(tx, strands.place(tx, session_id), no, cut.at_seq)
    created = _created(tx, stamp, parent, ask, cut.at_seq)
    tx.record(no, child_id, [entry(stamp.at, created)])
    _take_over(tx, parent, no, cut)
    copy_conversation_state(tx, session_id, child_id, cut.at_seq, stamp.at)
    tx.record(parent.no, parent.id, [entry(stamp.at, SessionForked(child_id=child_id, at_seq=cut.at_seq))])
    info = info_in(tx, child_id)
    remember(tx, stamp, info, child_id)
    return Answer(info)


def _open(tx: Tx, stamp: Stamp, parent: SessionRow, ask: ForkSession, child_id: str, cut: Prefix) -> int:
    """The row of the fork. It belongs to the forker, in the parent's tenant. Returns its number."""
    agent, title, labels = tx.one("fork_parent", no=parent.no)
    return tx.insert(
        "fork_session",
        id=child_id,
        tenant=parent.tenant,
        owner=stamp.by.user,
        agent=agent,
        title=title if ask.title is None else ask.title,
        labels=labels,
        at=stamp.at,
        parent_no=parent.no,
        message_count=sum(not (i.undone or i.superseded) for i in cut.transcript.items.values()),
    )


def _created(tx: Tx, stamp: Stamp, parent: SessionRow, ask: ForkSession, at_seq: int) -> SessionCreated:
    agent, title, labels = tx.one("fork_parent", no=parent.no)
    return SessionCreated(
        agent=agent,
        owner=stamp.by.user,
        title=title if ask.title is None else ask.title,
        labels=msgspec.json.decode(labels, type=dict[str, str]),
        parent=Parent(session_id=parent.id, seq=at_seq),
    )


def _share(tx: Tx, parent: Place, no: int, at_seq: int) -> None:
    """Let the fork read the parent's rows; one that would read too many strands gets rows of its own."""
    shared = _parts(tx, parent, at_seq)
    if len(shared) + 1 > MOST_STRANDS:
        tx.must("fork_head", no=no, seq=at_seq, base=0)
        tx.hold(no)
        _copy(tx, parent, no, at_seq)
        gone = retired(tx, parent.no, parent.strand)
        if gone.through:
            tx.must("snapshot_grow", strand=no, through=gone.through, more=b"\n".join(gone.lines))
        return
    tx.must("fork_head", no=no, seq=at_seq, base=at_seq)
    tx.hold(no)
    for ordinal, part in enumerate(shared):
        tx.must("strand_insert", no=no, ordinal=ordinal, strand=part.strand, through=part.through)


def _parts(tx: Tx, parent: Place, at_seq: int) -> list[Part]:
    shared: list[Part] = []
    for part in [*strands.parts(tx, parent.no), Part(parent.strand, parent.top)]:
        shared.append(Part(part.strand, min(part.through, at_seq)))
        if part.through >= at_seq:
            break
    return shared


def _copy(tx: Tx, parent: Place, no: int, at_seq: int) -> None:
    gone = retired(tx, parent.no, parent.strand)
    if gone.through:
        lines = b"\n".join(line for line in gone.lines if seq_of(line) <= at_seq)
        tx.must("snapshot_grow", strand=no, through=min(gone.through, at_seq), more=lines)
    for first, last, body in strands.after(tx, parent, 0):
        if first > at_seq:
            return
        through = min(last, at_seq)
        whole = body if through == last else b"\n".join(body.split(b"\n")[: through - first + 1])
        tx.must("journal_copy", strand=no, first=first, last=through, body=whole)


def _take_over(tx: Tx, parent: SessionRow, no: int, cut: Prefix) -> None:
    """Copy the rows of the transcript as the fold leaves them at the cut."""
    items = cut.transcript.items.values()
    rows = [{**_row(item), "no": no, "parent": parent.no} for item in items]
    copied = tx.many("fork_message", rows)
    if copied != len(rows):
        raise RuntimeError(f"{copied} of {len(rows)} messages of {parent.id} were there to be copied.")
    for summary in cut.transcript.summaries:
        values = {"seq": summary.seq, "undone": int(summary.undone)}
        tx.must("fork_compaction", no=no, parent=parent.no, **values)
    inherit(tx, parent.no, no, cut.at_seq)
    tx.do("fork_traces", no=no, parent=parent.no, seq=cut.at_seq)


def _row(item: Item) -> dict[str, object]:
    return {
        "id": item.message_id,
        "state": item.status,
        "content": msgspec.json.encode(item.content).decode(),
        "run_id": item.run_id,
        "entered_seq": item.entered_seq,
        "superseded": int(item.superseded),
        "undone": int(item.undone),
        "joined": item.joined,
    }


# --- the end of a family


def delete_family(tx: Tx, stamp: Stamp, session_id: str) -> None:
    """Delete a session and every fork of it. Raises `forbidden` if one of them isn't the caller's."""
    session = session_row(tx, session_id)
    family = tx.all("fork_family", no=session.no)
    foreign = [found for found, tenant, owner in family if not reaches(stamp.by, tenant, owner)]
    if foreign:
        raise TenureError(
            Code.FORBIDDEN,
            f"{len(foreign)} forks of session {session_id} belong to others. Delete it without cascade: "
            "they keep what they share.",
            session_id=session_id,
        )
    for found, _, _ in family:
        if not tx.holds(session_row(tx, found).no):
            raise Raced(f"The fork {found} began meanwhile.")
        delete_session(tx, stamp, found)
    delete_session(tx, stamp, session_id)


def free_strand(tx: Tx, no: int, limit: int) -> int:
    """Free journal rows of a deleted session that nobody else reads. Returns how many went."""
    needed = tx.one("strand_needed", strand=no)[0]
    return tx.do("strand_free", strand=no, needed=needed or 0, limit=limit)


def let_go(tx: Tx, no: int) -> None:
    """The last rows of a deleted session go: it reads no strand any more, and its own may stay for others."""
    if tx.one("strand_needed", strand=no)[0] is not None:
        tx.do("strand_loosen", strand=no)
    for name in ("strand_drop", "purge_undos", "purge_compactions", "purge_traces"):
        tx.do(name, no=no)


def free_loose(tx: Tx, limit: int) -> int:
    """Free some rows of a strand whose last reader is gone. Returns how many went."""
    row = tx.one("strand_loose")
    if row is None:
        return 0
    strand = row[0]
    freed = tx.do("strand_free", strand=strand, needed=0, limit=limit)
    if not freed:
        tx.do("snapshot_purge", no=strand)
    return freed or tx.do("strand_gone", strand=strand)
