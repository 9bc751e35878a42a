"""Reads: rows to views. Each function takes a connection that sees one snapshot."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tenure.core.content import Content
from tenure.core.entry import lines_of
from tenure.core.grant import Grant
from tenure.core.message import MessageState, ReplyState
from tenure.core.moment import Micros, timestamp
from tenure.core.origin import Party
from tenure.core.output import Usage
from tenure.core.principal import Author, Principal, Role
from tenure.core.run import RunState
from tenure.core.session import SessionState, status_of
from tenure.core.view import (
    KeyInfo,
    MessageInfo,
    PendingApproval,
    RunInfo,
    SessionInfo,
    SessionUsage,
    TranscriptItem,
    TranscriptPage,
)
from tenure.errors import Code, TenureError
from tenure.ports.store import Figures, Ground, JournalPage, Page, Span
from tenure.stores.relational import strands, summaries
from tenure.stores.relational.look import Look
from tenure.stores.relational.replies import delta_text

PAGE_BYTES = 1 << 20
TRANSCRIPT_BYTES = 8 << 20
NEWEST = 1 << 62
"""What a list that begins with the newest begins before."""


def place(cursor: str | None, otherwise: int) -> int:
    """The place that a list's cursor names. Raises TenureError `bad_cursor` for nonsense."""
    if cursor is None:
        return otherwise
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        detail = (
            f"The cursor {cursor!r} was not given by this list. Use next_cursor as it came, or leave it out."
        )
        raise TenureError(Code.BAD_CURSOR, detail, cursor=cursor)
    return int(cursor)


def time_of(at: int | None) -> str | None:
    """An instant as it is told, if there is one."""
    return None if at is None else timestamp(Micros(at))


# --- who and whose


def ground(db: Look, name: str, given: str) -> Ground | None:
    """Whose session `given` is, or whose session the run `given` is in."""
    row = db.one(name, id=given)
    return None if row is None else Ground(*row)


def principal(db: Look, secret_hash: bytes, at: Micros) -> Principal | None:
    """Who presents a secret with this hash, if the key lives."""
    row = db.one("key_by_hash", secret_hash=secret_hash, at=at)
    if row is None:
        return None
    key_id, tenant, user, role, root = row
    return Principal(tenant=tenant, user=user, role=Role(role), key_id=key_id, root=bool(root))


def key_info(db: Look, key_id: str) -> KeyInfo | None:
    """One key without its secret."""
    row = db.first("key_by_id", id=key_id)
    return None if row is None else _key(row)


def keys(db: Look, tenant: str | None, cursor: str | None, limit: int) -> Page[KeyInfo]:
    """A page of keys, oldest first."""
    found = list(db.rows("key_list", after=place(cursor, 0), tenant=tenant, limit=limit + 1))
    return Page([_key(row) for row in found[:limit]], more(found, limit))


def more(found: list[dict[str, Any]], limit: int) -> str | None:
    """The cursor behind `limit` rows, of which one more was asked for; None at the end."""
    return str(found[limit - 1]["no"]) if len(found) > limit else None


def _key(row: dict[str, Any]) -> KeyInfo:
    return KeyInfo(
        id=row["id"],
        tenant=row["tenant"],
        user=row["user"],
        role=row["role"],
        name=row["name"],
        created_at=timestamp(row["created_at"]),
        expires_at=time_of(row["expires_at"]),
        revoked_at=time_of(row["revoked_at"]),
    )


# --- sessions and runs


def session_info(db: Look, session_id: str) -> SessionInfo | None:
    """One session as clients see it."""
    row = db.first("read_session", id=session_id)
    return None if row is None else session_of(row)


def session_of(row: dict[str, Any]) -> SessionInfo:
    """A session, from its row."""
    run = None if row["run_state"] is None else RunState(row["run_state"])
    conversation = row["conversation"]
    return SessionInfo(
        id=row["id"],
        agent=row["agent"],
        tenant=row["tenant"],
        owner=row["owner"],
        title=row["title"],
        labels=msgspec.json.decode(row["labels"], type=dict[str, str]),
        conversation=None if conversation is None else msgspec.json.decode(conversation, type=dict[str, str]),
        status=status_of(SessionState(row["state"]), run),
        run_id=row["run_id"],
        head_seq=row["seq"],
        message_count=row["message_count"],
        queue_held=bool(row["queue_held"]),
        pending_approvals=msgspec.json.decode(row["approvals"] or "[]", type=tuple[PendingApproval, ...]),
        usage=SessionUsage(
            input_tokens=row["input_tokens"], output_tokens=row["output_tokens"], cost=row["cost"]
        ),
        created_at=timestamp(row["created_at"]),
        updated_at=timestamp(row["updated_at"]),
        as_of_seq=row["seq"],
    )


def run_info(db: Look, run_id: str) -> RunInfo | None:
    """One run."""
    row = db.first("read_run", id=run_id)
    return None if row is None else run_of(row)


def run_state(db: Look, run_id: str) -> RunState | None:
    """Where a run is, or None if it isn't there."""
    row = db.one("read_run_state", id=run_id)
    return None if row is None else RunState(row[0])


def steering(db: Look, run_id: str, attempt: int) -> tuple[str, ...]:
    """The messages that an attempt may take: what earlier ones took, then what is new."""
    found = db.each("read_steering", run_id=run_id, attempt=attempt)
    return tuple(message_id for (message_id,) in found)


def runs(db: Look, session_id: str, cursor: str | None, limit: int) -> Page[RunInfo]:
    """A page of the runs of a session, newest first."""
    found = list(db.rows("read_runs", id=session_id, before=place(cursor, NEWEST), limit=limit + 1))
    return Page([run_of(row) for row in found[:limit]], more(found, limit))


def run_of(row: dict[str, Any]) -> RunInfo:
    """A run, from its row."""
    return RunInfo(
        id=row["id"],
        session_id=row["session_id"],
        agent=row["agent"],
        status=row["state"],
        reason=row["reason"],
        retryable=bool(row["retryable"]),
        attempt=row["attempt"],
        message_id=row["message_id"],
        grant=msgspec.json.decode(row["grant_json"], type=Grant),
        grant_digest=row["grant_digest"],
        usage=msgspec.json.decode(row["usage"], type=tuple[Usage, ...]),
        queued_at=timestamp(row["queued_at"]),
        started_at=time_of(row["started_at"]),
        finished_at=time_of(row["finished_at"]),
    )


# --- journal


def head(db: Look, session_id: str) -> tuple[int, int, int]:
    """(number, strand, head) of a session; head 0 of strand 0 if it isn't there."""
    row = db.one("read_head", id=session_id)
    return (0, 0, 0) if row is None else (row[0], row[1], row[2])


def page(db: Look, session_id: str, after: int, limit: int) -> JournalPage:
    """Stored ranges after a cursor: enough for `limit` entries, at most about PAGE_BYTES."""
    at = strands.place(db, session_id)
    spans = _enough(strands.after(db, at, after), limit + max(0, after))
    # Numbers have no gaps, so what is missing in front of the first range was retired.
    retired = bool(spans) and spans[0].first > after + 1
    return JournalPage(spans, at.top, spans[0].first if retired else 1)


def _enough(cursor: Iterator[strands.Range], upto: int) -> list[Span]:
    spans: list[Span] = []
    size = 0
    for low, high, body in cursor:
        spans.append(Span(low, high, body))
        size += len(body)
        if high >= upto or size >= PAGE_BYTES:
            break
    return spans


def page_back(db: Look, session_id: str, before: int, limit: int) -> JournalPage:
    """Stored ranges that end before a cursor, oldest first: for `limit` entries, at most about PAGE_BYTES."""
    at = strands.place(db, session_id)
    spans: list[Span] = []
    size = 0
    for low, high, body in strands.before(db, at, before):
        spans.append(Span(low, high, body))
        size += len(body)
        if before - low >= limit or size >= PAGE_BYTES:
            return JournalPage(spans[::-1], at.top, 1)
    return JournalPage(spans[::-1], at.top, min(before, spans[-1].first if spans else before))


# --- transcript


def transcript(db: Look, session_id: str, cursor: str | None, limit: int) -> TranscriptPage:
    """A page of the transcript, and what waits, both as of one head. Long messages make a short page."""
    no, strand, top = head(db, session_id)
    after = place(cursor, 0)
    summary = summaries.standing(db, no)
    covered = 0 if summary is None else summary.seq
    lines = db.rows("read_transcript", no=no, after=max(after, covered), limit=limit + 1)
    opening = () if summary is None or after >= covered else (summary,)
    found, more = _fitting(lines, max(1, limit - len(opening)))
    info = session_info(db, session_id)
    waits = [_waiting(row) for row in db.rows("read_waiting", no=no)]
    places = _places(waits)
    return TranscriptPage(
        data=(*opening, *(_item(db, strand, row) for row in found)),
        waiting=tuple(_item(db, strand, row, places.get(row["id"])) for row in waits),
        queue_held=info is not None and info.queue_held,
        as_of_seq=top,
        next_cursor=str(found[-1]["entered_seq"]) if more else None,
    )


def _places(waits: Iterable[dict[str, Any]]) -> dict[str, int]:
    """The places in the queue, from 1. What waits to steer the live run has none."""
    queue = [row["id"] for row in waits if row["state"] == MessageState.QUEUED]
    return {message_id: place for place, message_id in enumerate(queue, 1)}


def _fitting(found: Iterator[dict[str, Any]], limit: int) -> tuple[list[dict[str, Any]], bool]:
    """The rows of one page of the transcript, and whether there are more."""
    taken: list[dict[str, Any]] = []
    size = 0
    for row in found:
        if len(taken) == limit or size >= TRANSCRIPT_BYTES:
            return taken, True
        taken.append(row)
        size += len(row["content"] or "")
    return taken, False


def _item(db: Look, strand: int, row: dict[str, Any], position: int | None = None) -> TranscriptItem:
    return TranscriptItem(
        message_id=row["id"],
        role=row["role"],
        content=_content(db, strand, row),
        run_id=row["run_id"],
        status=row["state"],
        seq=row["entered_seq"] or row["admitted_seq"],
        actor=_actor(row),
        queue_position=position,
    )


class _Whence(msgspec.Struct):
    """What of a message's origin says who spoke, and what it starts."""

    actor: Party | None = None
    trigger: str = "message"


def _waiting(row: dict[str, Any]) -> dict[str, Any]:
    """A row of what waits: a command isn't something that a user said."""
    trigger = msgspec.json.decode(row["origin"], type=_Whence).trigger
    return {**row, "role": "command"} if trigger == "command" else row


def _actor(row: dict[str, Any]) -> str | None:
    """Who said it: the actor of the event that it came by, else the user."""
    if row["author"] is None:
        return None
    actor = msgspec.json.decode(row["origin"], type=_Whence).actor
    return msgspec.json.decode(row["author"], type=Author).user if actor is None else actor.id


def _content(db: Look, strand: int, row: dict[str, Any]) -> Content:
    """What the message says; one that is still being said, with its text so far."""
    if row["state"] != ReplyState.STREAMING:
        return msgspec.json.decode(row["content"], type=Content)
    said: list[str] = []
    values = {"strand": strand, "seq": row["entered_seq"]}
    for low, _, body in db.each("journal_from", **values):
        for seq, line in enumerate(lines_of(body), low):
            said += delta_text(seq, b"{" + line, row["id"])
    return "".join(said)


def message(db: Look, session_id: str, message_id: str) -> MessageInfo | None:
    """One message and its outcome."""
    no, strand, top = head(db, session_id)
    row = db.first("read_message", no=no, id=message_id)
    if row is None:
        return None
    position = _places(db.rows("read_waiting", no=no)).get(message_id)
    return MessageInfo(
        message_id=row["id"],
        role=row["role"],
        content=_content(db, strand, row),
        state=row["state"],
        status=row["state"],
        run_id=row["run_id"],
        position=position,
        queue_position=position,
        outcome=row["outcome"],
        version=row["version"],
        as_of_seq=top,
    )


def figures(db: Look) -> Figures:
    """Counts over the whole store."""
    return Figures(*db.one("read_figures"))
