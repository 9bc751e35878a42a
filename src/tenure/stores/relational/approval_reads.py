"""Reads of approvals: rows to views."""

from typing import Any

import msgspec

from tenure.core.approval import ApprovalState
from tenure.core.moment import Micros, timestamp
from tenure.core.view import ApprovalInfo
from tenure.ports.acts import Page
from tenure.ports.approvals import ApprovalFilter
from tenure.stores.relational.look import Look
from tenure.stores.relational.reads import place

_FIRST = 1 << 62


def approval_info(db: Look, approval_id: str) -> ApprovalInfo | None:
    """One approval."""
    row = db.first("read_approval", id=approval_id)
    return None if row is None else _approval(row)


def page(db: Look, which: ApprovalFilter, cursor: str | None, limit: int) -> Page[ApprovalInfo]:
    """A page of approvals: those that are pending first, then the newest."""
    values = {
        "before": place(cursor, _FIRST),
        "tenant": which.tenant,
        "state": which.status,
        "session_id": which.session_id,
        "limit": limit + 1,
    }
    if which.owner is None:
        found = list(db.rows("read_approvals", **values))
    else:
        found = list(db.rows("read_own_approvals", **values, owner=which.owner))
    more = str(found[limit - 1]["rank"]) if len(found) > limit else None
    return Page([_approval(row) for row in found[:limit]], more)


def next_at(db: Look) -> Micros | None:
    """When the next approval expires."""
    return db.one("approval_next")[0]


def _approval(row: dict[str, Any]) -> ApprovalInfo:
    state = ApprovalState(row["state"])
    resolved_at = row["resolved_at"]
    return ApprovalInfo(
        id=row["id"],
        session_id=row["session_id"],
        run_id=row["run_id"],
        call_id=row["call_id"],
        tool=row["tool"],
        arguments=msgspec.json.decode(row["arguments"], type=dict[str, object]),
        digest=row["digest"],
        status=state,
        requested_at=timestamp(row["requested_at"]),
        expires_at=timestamp(row["expires_at"]),
        reason=row["reason"],
        done=msgspec.json.decode(row["done"], type=tuple[str, ...]),
        decision=None if state is ApprovalState.PENDING else state,
        by=row["decided_by"],
        note=row["note"],
        resolved_at=None if resolved_at is None else timestamp(resolved_at),
        remember=row["remember"],
        own=bool(row["own"]),
    )
