"""Reads of schedules and occurrences: rows to views, and to what decisions look at."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tenure.core.content import Content
from tenure.core.grant import Grant
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.principal import Role
from tenure.core.recall import RecallKind, RecallPolicy, occurrence_id
from tenure.core.schedule import OccurrenceState, ScheduleState
from tenure.core.scheduling import OccurrenceInfo, ScheduleInfo
from tenure.core.timing import LATEST, Cron, Every, Once, Timing
from tenure.errors import Code, TenureError
from tenure.ports.acts import Page
from tenure.ports.schedules import Due, ScheduleFilter, ScheduleGround, Standing
from tenure.stores.relational.look import Look
from tenure.stores.relational.reads import place

_FIRST = 1 << 62


def schedule_info(db: Look, schedule_id: str) -> ScheduleInfo | None:
    """One schedule."""
    row = db.first("read_schedule", id=schedule_id)
    return None if row is None else _schedule(db, row)


def standing(db: Look, schedule_id: str) -> Standing | None:
    """One schedule as decisions look at it."""
    row = db.first("read_schedule", id=schedule_id)
    return None if row is None else _standing(row)


def ground(db: Look, schedule_id: str) -> ScheduleGround | None:
    """Whose schedule it is."""
    row = db.one("read_ground_of_schedule", id=schedule_id)
    if row is None:
        return None
    schedule_id, tenant, owner, session_owner, role = row
    return ScheduleGround(schedule_id, tenant, owner, session_owner, Role(role))


def cap(db: Look, schedule_id: str) -> Grant | None:
    """What its runs may touch at most, as far as a run made it."""
    row = db.one("schedule_cap", id=schedule_id)
    return None if row is None or row[0] is None else msgspec.json.decode(row[0], type=Grant)


def next_at(db: Look, agents: Sequence[str]) -> Micros | None:
    """When something wants to be looked at: of these agents, where other hosts may have others."""
    times = [db.one(name, agents=agents)[0] for name in ("schedule_next", "retry_next")]
    return min((at for at in times if at is not None), default=None)


def due(db: Look, agents: Sequence[str], after: Micros, until: Micros, limit: int) -> Due:
    """What wants to be looked at: of these agents, where other hosts may have others."""
    rows = db.rows("read_due", agents=agents, after=after, until=until, limit=limit)
    found = [_standing(row) for row in rows]
    again = db.rows("read_retries", agents=agents, until=until, limit=limit)
    retries = [(r["id"], r["attempts"]) for r in again]
    return Due(found, retries)


def page(db: Look, which: ScheduleFilter, cursor: str | None, limit: int) -> Page[ScheduleInfo]:
    """A page of schedules, newest first."""
    values = {
        "before": place(cursor, _FIRST),
        "tenant": which.tenant,
        "owner": which.owner,
        "state": which.status,
        "session_id": which.session_id,
        "agent": which.agent,
        "limit": limit + 1,
    }
    found = list(db.rows(_list_of(which), **values))
    more = str(found[limit - 1]["no"]) if len(found) > limit else None
    return Page([_schedule(db, row) for row in found[:limit]], more)


def _list_of(which: ScheduleFilter) -> str:
    """The statement that finds such schedules by an index."""
    if which.session_id is not None:
        return "read_schedules_of_session"
    if which.owner is not None:
        return "read_own_schedules" if which.status is None else "read_own_schedules_in_state"
    return "read_schedules" if which.status is None else "read_schedules_in_state"


def occurrences(db: Look, schedule_id: str, cursor: str | None, limit: int) -> Page[OccurrenceInfo]:
    """A page of what became of a schedule's instants, newest first; the next one stands before them."""
    row = db.first("read_schedule", id=schedule_id)
    if row is None:
        return Page([], None)
    at, no = _place(cursor)
    coming = [_coming(row)] if cursor is None and row["state"] == ScheduleState.ACTIVE else []
    wanted = limit - len(coming)
    values = {"no": row["no"], "before_at": at, "before_no": no, "limit": wanted + 1}
    found = list(db.rows("read_occurrences", **values))
    told = [_occurrence(each, schedule_id) for each in found[:wanted]]
    return Page([*coming, *told], _further(found, wanted))


def _further(found: list[dict[str, Any]], told: int) -> str | None:
    """Where the next page of occurrences begins, if there are more than were told."""
    if len(found) <= told:
        return None
    return f"{found[told - 1]['due_at']}.{found[told - 1]['no']}" if told else f"{LATEST}.0"


def occurrence_info(db: Look, occurrence: str) -> OccurrenceInfo | None:
    """One occurrence."""
    row = db.first("read_occurrence", id=occurrence)
    return None if row is None else _occurrence(row, row["schedule_id"])


def figures(db: Look) -> dict[str, int]:
    """How many schedules there are in each state."""
    found: dict[str, int] = dict(db.all("schedule_figures"))
    return {str(state): found.get(state, 0) for state in ScheduleState}


def _place(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return _FIRST, _FIRST
    at, point, no = cursor.partition(".")
    if not point:
        detail = f"The cursor {cursor[:100]!r} was not given by this list. Use next_cursor as it came."
        raise TenureError(Code.BAD_CURSOR, detail, cursor=cursor[:100])
    return place(at, _FIRST), place(no, _FIRST)


def _coming(row: dict[str, Any]) -> OccurrenceInfo:
    """The occurrence that comes next. It gets its row when it is looked at."""
    due_at = Micros(row["next_at"])
    return OccurrenceInfo(
        id=occurrence_id(row["id"], due_at),
        schedule_id=row["id"],
        due_at=timestamp(due_at),
        state=OccurrenceState.DUE,
        session_id=row["session_id"],
    )


def _occurrence(row: dict[str, Any], schedule_id: str) -> OccurrenceInfo:
    return OccurrenceInfo(
        id=row["id"],
        schedule_id=schedule_id,
        due_at=timestamp(row["due_at"]),
        state=row["state"],
        reason=row["reason"],
        manual=bool(row["manual"]),
        session_id=row["session_id"],
        message_id=row["message_id"],
        run_id=row["live_run_id"],
        outcome=row["outcome"],
        attempts=row["attempts"],
        retry_at=_time(row["retry_at"]),
        seen_at=_time(row["seen_at"]),
    )


def _time(at: int | None) -> str | None:
    return None if at is None else timestamp(Micros(at))


def _standing(row: dict[str, Any]) -> Standing:
    rested = (row["paused_at"], row["resumed_at"])
    return Standing(
        schedule_id=row["id"],
        version=row["version"],
        state=ScheduleState(row["state"]),
        owner=row["owner"],
        session_id=row["session_id"],
        message=msgspec.json.decode(row["content"], type=Content),
        name=row["name"],
        kind=RecallKind(row["kind"]),
        timing=_timing(row),
        policy=_policy(row),
        next_at=row["next_at"],
        wake_at=row["wake_at"],
        runs=row["runs"],
        paused=None if None in rested else rested,
    )


def _timing(row: dict[str, Any]) -> Timing:
    return msgspec.json.decode(row["timing"], type=Timing)


def _policy(row: dict[str, Any]) -> RecallPolicy:
    return msgspec.json.decode(row["policy"], type=RecallPolicy)


def _schedule(db: Look, row: dict[str, Any]) -> ScheduleInfo:
    timing, policy = _timing(row), _policy(row)
    last = db.first("read_last_occurrence", no=row["no"])
    return ScheduleInfo(
        id=row["id"],
        session_id=row["session_id"],
        agent=row["agent"],
        tenant=row["tenant"],
        owner=row["owner"],
        name=row["name"],
        kind=row["kind"],
        message=msgspec.json.decode(row["content"], type=Content),
        status=row["state"],
        reason=row["reason"],
        next_at=_time(row["next_at"]) if row["state"] == ScheduleState.ACTIVE else None,
        explanation=row["explanation"],
        at=timestamp(timing.at) if isinstance(timing, Once) else None,
        every_s=timing.every / SECOND if isinstance(timing, Every) else None,
        anchor=timestamp(timing.anchor) if isinstance(timing, Every) else None,
        cron=timing.expression if isinstance(timing, Cron) else None,
        timezone=timing.timezone if isinstance(timing, Cron) else None,
        missed=policy.missed,
        missed_max=policy.missed_max,
        overlap=policy.overlap,
        jitter_s=policy.jitter_s,
        max_runs=policy.max_runs,
        ends_at=_time(policy.ends_at),
        retries=policy.retries,
        backoff_s=policy.backoff_s,
        pause_after_failures=policy.pause_after_failures,
        runs=row["runs"],
        failures=row["failures"],
        made_by=row["made_by"],
        last=None if last is None else _occurrence(last, row["id"]),
        created_at=timestamp(row["created_at"]),
        updated_at=timestamp(row["updated_at"]),
    )
