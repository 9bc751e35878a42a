"""What operators and admins ask of a relational store: `ports.operations` over one lane."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from tenure.core.audit import AuditEntry, Deed, Subject, SubjectInfo
from tenure.core.capacity import FullestQueue, Loads, UserInfo, UserLoad
from tenure.core.moment import Micros, timestamp
from tenure.core.principal import Role, by_strength
from tenure.ports.acts import Page, Stamp
from tenure.ports.operations import AuditFilter, Sizes
from tenure.stores.relational.acts.auditing import Entry, note
from tenure.stores.relational.acts.slots import taken_by_all
from tenure.stores.relational.cursors import values, word
from tenure.stores.relational.lane import Lane
from tenure.stores.relational.look import Look
from tenure.stores.relational.reads import place

LOG = "-wal"
_NEWEST = 1 << 62


class RelationalOperations:
    """Reads for those who run the host."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def sizes(self) -> Sizes:
        return await self._lane.read(_sizes)

    async def loads(self, tenant: str | None, user: str | None, most: int) -> Loads:
        return await self._lane.read(partial(_loads, tenant=tenant, user=user, most=most))

    async def users(self, tenant: str | None, at: Micros, cursor: str | None, limit: int) -> Page[UserInfo]:
        after = ("", "") if cursor is None else values(cursor, tuple[str, str])
        return await self._lane.read(partial(_users, tenant=tenant, at=at, after=after, limit=limit))

    async def audit(self, which: AuditFilter, cursor: str | None, limit: int) -> Page[AuditEntry]:
        before = place(cursor, _NEWEST)
        return await self._lane.read(partial(_audit, which=which, before=before, limit=limit))

    async def record(self, stamp: Stamp, deed: Deed, subject: Subject) -> None:
        await self._lane.write(lambda tx: note(tx, stamp, deed, subject))


def _sizes(db: Look) -> Sizes:
    size, file = db.one("read_size")
    return Sizes(size, _size_of(Path(f"{file}{LOG}")) if file else None)


def _size_of(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


# --- what is used


def _loads(db: Look, tenant: str | None, user: str | None, most: int) -> Loads:
    sessions, queue = db.one("load_open"), db.one("load_queue", tenant=tenant, user=user)
    if user is None:
        rows = db.all("load_top", tenant=tenant, most=most)
    else:
        rows = db.all("load_of", tenant=tenant, user=user)
    return Loads(
        open_sessions=0 if sessions is None else sessions[0],
        live_runs=taken_by_all(db),
        users=tuple(_load(*row) for row in rows),
        queue=None if queue is None else FullestQueue(*queue),
    )


def _load(tenant: str, user: str, sessions: int, live: int, queued: int, schedules: int) -> UserLoad:
    return UserLoad(
        tenant=tenant,
        user=user,
        open_sessions=sessions,
        live_runs=live,
        queued_runs=queued,
        schedules=schedules,
    )


# --- who is there


class _Known(NamedTuple):
    """A row of a user."""

    tenant: str
    user: str
    open_sessions: int
    live_runs: int


def _users(db: Look, tenant: str | None, at: Micros, after: tuple[str, str], limit: int) -> Page[UserInfo]:
    rows = db.all("user_page", tenant=tenant, after_tenant=after[0], after_user=after[1], limit=limit + 1)
    found = [_Known(*row) for row in rows]
    shown = found[:limit]
    roles = _roles(db, shown, at) if shown else {}
    more = len(found) > limit
    data = [_user(each, roles.get((each.tenant, each.user), [])) for each in shown]
    return Page(data, word(shown[-1].tenant, shown[-1].user) if more else None)


def _roles(db: Look, shown: Sequence[_Known], at: Micros) -> dict[tuple[str, str], list[Role]]:
    """The roles of the living keys of these users, a role per key."""
    first, last = shown[0], shown[-1]
    rows = db.all(
        "user_keys",
        first_tenant=first.tenant,
        first_user=first.user,
        last_tenant=last.tenant,
        last_user=last.user,
        at=at,
    )
    found: dict[tuple[str, str], list[Role]] = {}
    for tenant, user, role in rows:
        found.setdefault((tenant, user), []).append(Role(role))
    return found


def _user(known: _Known, roles: Sequence[Role]) -> UserInfo:
    return UserInfo(**known._asdict(), roles=by_strength(roles), keys=len(roles))


# --- who did what


def _audit(db: Look, which: AuditFilter, before: int, limit: int) -> Page[AuditEntry]:
    rows = db.all(
        "deed_page",
        before=before,
        tenant=which.tenant,
        action=which.action,
        by=which.by,
        since=which.since or 0,
        limit=limit + 1,
    )
    found = [Entry(*row) for row in rows]
    more = str(found[limit - 1].no) if len(found) > limit else None
    return Page([_entry(row) for row in found[:limit]], more)


def _entry(row: Entry) -> AuditEntry:
    return AuditEntry(
        id=str(row.no),
        at=timestamp(Micros(row.at)),
        tenant=row.tenant,
        by=row.by,
        key_id=row.key_id,
        action=row.action,
        subject=SubjectInfo(kind=row.kind, id=row.subject),
        detail=msgspec.json.decode(row.detail, type=dict[str, str]),
    )
