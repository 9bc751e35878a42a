"""How full the installation is: each limit with what is used of it, and who uses most."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from starlette.types import ASGIApp

from tenure.core.capacity import Capacity, LimitStanding, Loads, UserLoad
from tenure.core.limits import Limits
from tenure.core.principal import reach
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.wire import json_response

SHOWN = 50
"""How many users are shown, and at most how many of each kind are looked at."""

User = tuple[str, str]
"""Tenant and user."""


class Used(NamedTuple):
    """What this host counts by itself: streams and commands by user, and the waiting runs that it holds."""

    streams: Mapping[User, int]
    commands: Mapping[User, int]
    held_runs: int


async def read_capacity(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Each limit with what is used of it, and the users who use most, as far as the caller reaches.

    What is counted over everybody is told to everybody, as the stats do.
    """
    host, (tenant, user) = call.site.host, reach(call.by)
    loads = await host.store.operations.loads(tenant, user, SHOWN)
    used = Used(
        streams=_within(call.site.audience.taken(), tenant, user),
        commands=_within(call.site.pace.taken(), tenant, user),
        held_runs=host.held,
    )
    users = tuple(_with_streams(each, used.streams) for each in loads.users[:SHOWN])
    return json_response(Capacity(limits=tuple(standings(host.rules.limits, loads, used)), users=users))


def _within(counts: Mapping[User, int], tenant: str | None, user: str | None) -> dict[User, int]:
    return {
        who: count for who, count in counts.items() if tenant in (None, who[0]) and user in (None, who[1])
    }


def _with_streams(load: UserLoad, streams: Mapping[User, int]) -> UserLoad:
    return msgspec.structs.replace(load, streams=streams.get((load.tenant, load.user), 0))


def standings(limits: Limits, loads: Loads, used: Used) -> Iterator[LimitStanding]:
    """Every limit, in the order in which the settings name them."""
    by_user = {(load.tenant, load.user): load for load in loads.users}
    queue = loads.queue
    yield _of_all("open_sessions", limits.open_sessions, loads.open_sessions)
    sessions = {who: load.open_sessions for who, load in by_user.items()}
    yield _of_user("open_sessions_per_user", limits.open_sessions_per_user, sessions)
    yield _of_all("live_runs", limits.live_runs, loads.live_runs)
    live = {who: load.live_runs for who, load in by_user.items()}
    yield _of_user("live_runs_per_user", limits.live_runs_per_user, live)
    yield LimitStanding(
        name="queued_messages_per_session",
        scope="per_session",
        limit=limits.queued_messages_per_session,
        current=0 if queue is None else queue.waiting,
        tenant=None if queue is None else queue.tenant,
        session_id=None if queue is None else queue.session_id,
    )
    schedules = {who: load.schedules for who, load in by_user.items()}
    yield _of_user("schedules_per_user", limits.schedules_per_user, schedules)
    yield _of_user("streams_per_user", limits.streams_per_user, used.streams)
    yield _of_user("commands_per_minute", limits.commands_per_minute, used.commands)
    yield _of_all("held_runs", limits.held_runs, used.held_runs)
    for name, limit in (
        ("files_per_session", limits.files_per_session),
        ("files_bytes_per_session", limits.files_bytes_per_session),
    ):
        yield LimitStanding(name=name, scope="per_session", limit=limit, current=None)
    for name, seconds in (("approval_ttl_s", limits.approval_ttl_s), ("hold_s", limits.hold_s)):
        yield LimitStanding(name=name, scope="global", limit=seconds, current=None)


def _of_all(name: str, limit: int, current: int) -> LimitStanding:
    return LimitStanding(name=name, scope="global", limit=limit, current=current)


def _of_user(name: str, limit: int | None, counts: Mapping[User, int]) -> LimitStanding:
    """A limit per user, as the one stands who uses most of it."""
    fullest = max(counts, key=lambda who: (counts[who], who), default=None)
    most = 0 if fullest is None else counts[fullest]
    if fullest is None or not most:
        return LimitStanding(name=name, scope="per_user", limit=limit, current=0)
    tenant, user = fullest
    return LimitStanding(name=name, scope="per_user", limit=limit, current=most, tenant=tenant, user=user)
