"""Reads of the files of sessions. Acts and the filing use them; a deleted session has no files."""

from typing import Any

from tenure.core.artifact import FileInfo, FileKind
from tenure.core.moment import timestamp
from tenure.ports.store import Page
from tenure.stores.relational.look import Look
from tenure.stores.relational.reads import place

_ALL = 1 << 62
"""SQLite's word for a page without an end."""


def file_info(db: Look, session_id: str, file_id: str) -> FileInfo | None:
    """One file of a session."""
    row = db.first("file_get", session_id=session_id, id=file_id)
    return None if row is None else _info(row)


def files(db: Look, session_id: str) -> tuple[FileInfo, ...]:
    """Every file of a session, oldest first. There are at most as many as the limit says."""
    return tuple(_info(row) for row in db.rows("file_list", session_id=session_id, after=0, limit=_ALL))


def page(db: Look, session_id: str, cursor: str | None, limit: int) -> Page[FileInfo]:
    """A page of the files of a session, oldest first."""
    after = place(cursor, 0)
    found = list(db.rows("file_list", session_id=session_id, after=after, limit=limit + 1))
    more = str(found[limit - 1]["no"]) if len(found) > limit else None
    return Page([_info(row) for row in found[:limit]], more)


def refers(db: Look, session_id: str, sha256: str) -> bool:
    """Whether any file of the session has these bytes."""
    return db.one("file_refers", session_id=session_id, sha256=sha256) is not None


def _info(row: dict[str, Any]) -> FileInfo:
    return FileInfo(
        id=row["id"],
        name=row["name"],
        media_type=row["media_type"],
        size=row["size"],
        sha256=row["sha256"],
        kind=FileKind.UPLOAD if row["run_id"] is None else FileKind.ARTIFACT,
        by=row["sent_by"],
        run_id=row["run_id"],
        created_at=timestamp(row["created_at"]),
    )
