"""Lists of sessions: a page of rows, and for all of them how they fared, what was said, what was found."""

from typing import Any

import msgspec

from tenure.core.content import Content, text_of
from tenure.core.excerpt import BEGINNING, excerpt_of, line_of
from tenure.core.search import MOST_INDEXED
from tenure.core.session import SessionState, SessionStatus
from tenure.core.view import (
    Facet,
    Found,
    LastLine,
    LastRun,
    ListedSession,
    SessionFacets,
    SessionInfo,
)
from tenure.ports.acts import Page
from tenure.ports.store import SessionFilter
from tenure.stores.relational.look import Look
from tenure.stores.relational.reads import NEWEST, more, place, session_of, time_of

LATEST = 10_000
"""So many of the latest sessions count for what a list can be filtered by."""
MOST_VALUES = 50


def sessions(db: Look, which: SessionFilter, cursor: str | None, limit: int) -> Page[ListedSession]:
    """A page of sessions, newest first."""
    state, run = _status_filter(which.status)
    words = None if which.words is None else db.match(which.words, which.tenant)
    found = list(
        db.rows(
            "read_sessions",
            before=place(cursor, NEWEST),
            tenant=which.tenant,
            owner=which.owner,
            agent=which.agent,
            state=state,
            run=run,
            last=which.last_run,
            labels=msgspec.json.encode(dict(which.labels)).decode(),
            words=words,
            limit=limit + 1,
        )
    )
    return Page(_listed(db, found[:limit], which.words or "", words), more(found, limit))


def _status_filter(status: str | None) -> tuple[str | None, str | None]:
    """The stored state and the kind of live run that a status stands for."""
    match status:
        case None:
            return None, None
        case SessionStatus.CLOSED:
            return SessionState.CLOSED, None
        case SessionStatus.IDLE:
            return SessionState.OPEN, "none"
        case _:
            return SessionState.OPEN, status


def _listed(db: Look, rows: list[dict[str, Any]], asked: str, words: str | None) -> list[ListedSession]:
    nos = msgspec.json.encode([row["no"] for row in rows]).decode()
    lasts = {row["no"]: row for row in db.rows("session_lasts", nos=nos, beginning=BEGINNING)}
    hits = {} if words is None else {row["no"]: row for row in db.rows("session_hits", nos=nos, words=words)}
    return [
        _session(
            session_of(row),
            lasts[row["no"]],
            None if words is None else _found(row, hits.get(row["no"]), asked),
        )
        for row in rows
    ]


def _session(info: SessionInfo, last: dict[str, Any], found: Found | None) -> ListedSession:
    run = line = None
    if last["run_id"] is not None:
        run = LastRun(
            id=last["run_id"],
            status=last["run_state"],
            reason=last["reason"],
            finished_at=time_of(last["finished_at"]),
        )
    if last["role"] is not None:
        line = LastLine(role=last["role"], text=line_of(last["content"]))
    return ListedSession(**msgspec.structs.asdict(info), last_run=run, last_line=line, found=found)


def _found(row: dict[str, Any], hit: dict[str, Any] | None, asked: str) -> Found:
    """Where the words stand: in the newest message that has them, else in the title."""
    if hit is None:
        excerpt, message_id = excerpt_of(row["title"] or "", asked), None
    else:
        said = text_of(msgspec.json.decode(hit["content"], type=Content))[:MOST_INDEXED]
        excerpt, message_id = excerpt_of(said, asked), hit["id"]
    return Found(message_id=message_id, text=excerpt.text, marks=excerpt.marks)


def facets(db: Look, tenant: str | None, owner: str | None) -> SessionFacets:
    """What the latest sessions have in common."""
    values = {"tenant": tenant, "owner": owner, "latest": LATEST, "most": MOST_VALUES}
    had: dict[str, list[Facet]] = {"agent": [], "owner": [], "status": []}
    labels: dict[str, tuple[str, ...]] = {}
    for facet, name, value, count in db.each("session_facets", **values):
        if facet == "label":
            labels[name] = (*labels.get(name, ()), value)
        else:
            had[facet].append(Facet(name=value, count=count))
    return SessionFacets(
        agents=tuple(had["agent"]), statuses=tuple(had["status"]), owners=tuple(had["owner"]), labels=labels
    )
