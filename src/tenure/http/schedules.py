"""Schedules: make, list, change, rest, go on, end; what became of their occurrences; what one would do."""

import msgspec
from starlette.types import ASGIApp

from tenure.core.principal import Role, includes, reach, reaches
from tenure.core.schedule import ScheduleState
from tenure.core.scheduling import (
    CreateSchedule,
    OccurrenceInfo,
    PauseSchedule,
    PreviewSchedule,
    ResumeSchedule,
    ScheduleInfo,
    TriggerSchedule,
    UpdateSchedule,
)
from tenure.core.view import View
from tenure.errors import Code, TenureError
from tenure.http.call import AnyCall, Call, NoBody, NoQuery
from tenure.http.gates import not_found
from tenure.http.lists import Limit, PageQuery
from tenure.http.wire import empty_response, json_response
from tenure.ports.schedules import ScheduleFilter


class SchedulePage(View, frozen=True, kw_only=True):
    """A page of schedules, newest first."""

    data: tuple[ScheduleInfo, ...]
    next_cursor: str | None


class OccurrencePage(View, frozen=True, kw_only=True):
    """A page of occurrences, newest first; the one that comes next stands before them."""

    data: tuple[OccurrenceInfo, ...]
    next_cursor: str | None


class SchedulesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which schedules to list. Without `status`, those that were cancelled are left out."""

    limit: Limit = 100
    cursor: str | None = None
    status: ScheduleState | None = None
    session_id: str | None = None
    agent: str | None = None


async def create(call: Call[CreateSchedule, NoQuery]) -> ASGIApp:
    """Have something said later."""
    await _check_session(call, call.body.session_id)
    made = await call.site.host.scheduling.create(call.by, call.body, call.idempotency)
    return json_response(made.value, 201, replayed=made.replayed)


async def preview(call: Call[PreviewSchedule, NoQuery]) -> ASGIApp:
    """Tell what a schedule would do."""
    await _check_session(call, call.body.session_id)
    return json_response(await call.site.host.scheduling.preview(call.body))


async def list_schedules(call: Call[NoBody, SchedulesQuery]) -> ASGIApp:
    """The schedules that the caller reaches."""
    query = call.query
    tenant, owner = reach(call.by)
    which = ScheduleFilter(tenant, owner, query.status, query.session_id, query.agent)
    page = await call.site.host.store.schedules.page(which, query.cursor, query.limit)
    return json_response(SchedulePage(data=tuple(page.data), next_cursor=page.next_cursor))


async def read(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """One schedule."""
    found = await call.site.host.store.schedules.get(call.path["schedule_id"])
    if found is None:
        raise not_found("schedule", call.path["schedule_id"])
    return json_response(found)


async def update(call: Call[UpdateSchedule, NoQuery]) -> ASGIApp:
    """Change a schedule."""
    await _check_maker(call)
    await _check_strength(call)
    return json_response(await call.site.host.scheduling.update(call.by, call.path["schedule_id"], call.body))


async def cancel(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """End a schedule. What became of its occurrences can still be read."""
    await call.site.host.scheduling.cancel(call.by, call.path["schedule_id"])
    return empty_response()


async def pause(call: Call[PauseSchedule, NoQuery]) -> ASGIApp:
    """Let a schedule rest."""
    scheduling, schedule_id = call.site.host.scheduling, call.path["schedule_id"]
    return json_response(await scheduling.pause(call.by, schedule_id, call.idempotency))


async def resume(call: Call[ResumeSchedule, NoQuery]) -> ASGIApp:
    """Let a schedule go on."""
    await _check_maker(call)
    scheduling, schedule_id = call.site.host.scheduling, call.path["schedule_id"]
    return json_response(await scheduling.resume(call.by, schedule_id, call.idempotency))


async def trigger(call: Call[TriggerSchedule, NoQuery]) -> ASGIApp:
    """Have an occurrence now."""
    await _check_maker(call)
    made = await call.site.host.scheduling.trigger(call.by, call.path["schedule_id"], call.idempotency)
    return json_response(made.value, 202, replayed=made.replayed)


async def list_occurrences(call: Call[NoBody, PageQuery]) -> ASGIApp:
    """What became of a schedule's occurrences."""
    query, schedules = call.query, call.site.host.store.schedules
    page = await schedules.occurrences(call.path["schedule_id"], query.cursor, query.limit)
    return json_response(OccurrencePage(data=tuple(page.data), next_cursor=page.next_cursor))


async def _check_session(call: AnyCall, session_id: str | None) -> None:
    """Raises TenureError `not_found` for a session that the caller doesn't reach."""
    if session_id is None:
        return
    ground = await call.site.host.store.ground(session_id)
    if ground is None or not reaches(call.by, ground.tenant, ground.owner):
        raise not_found("session", session_id)


async def _check_maker(call: AnyCall) -> None:
    """A schedule acts with its maker's rights: only its maker, operators and admins may direct it."""
    by = call.by
    if by.root or by.role in (Role.ADMIN, Role.OPERATOR):
        return
    ground = await call.site.host.store.schedules.ground(call.path["schedule_id"])
    if ground is None or ground.owner != by.user:
        raise TenureError(
            Code.FORBIDDEN,
            "Somebody else made this schedule, and it acts with their rights. You may pause it or delete it; "
            "to change it, make one of your own.",
        )


async def _check_strength(call: AnyCall) -> None:
    """What a schedule says is said with the role it was made with, so no weaker key may change it."""
    ground = await call.site.host.store.schedules.ground(call.path["schedule_id"])
    if ground is not None and not includes(call.by.role, ground.role):
        raise TenureError(
            Code.FORBIDDEN,
            f"This schedule was made with role {ground.role}, and it acts with that role. A key with role "
            f"{call.by.role} may not change it. Pause it or delete it, and make one of your own.",
            role=call.by.role,
        )
