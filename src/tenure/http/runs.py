"""Runs: list those of a session or of all, read one, and stop the live one."""

from typing import Annotated

import msgspec
from starlette.types import ASGIApp

from tenure.core.command import InterruptRun, RetryRun
from tenure.core.moment import SECOND, Micros
from tenure.core.principal import reach
from tenure.core.run import RunState
from tenure.core.view import ListedRun, RunFault, RunInfo, View
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.gates import not_found
from tenure.http.lists import Limit, PageQuery
from tenure.http.series import Instant, instant
from tenure.http.wire import json_response
from tenure.ports.overviews import RunFilter


class RunPage(View, frozen=True, kw_only=True):
    """A page of runs, the latest first."""

    data: tuple[RunInfo, ...]
    next_cursor: str | None


class ListedRunPage(View, frozen=True, kw_only=True):
    """A page of runs over sessions, the latest first."""

    data: tuple[ListedRun, ...]
    next_cursor: str | None


class RunFaults(View, frozen=True, kw_only=True):
    """What went wrong, the latest first: at most 100 ways in which it did."""

    data: tuple[RunFault, ...]


DAY_S = 86_400
MOST_FAULTS = 100


class RunsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which runs to list: those admitted at `since` or later, those live for `older_than_s` seconds or more.

    A run that waits for a slot counts as live since it was admitted. `owner` owns the session.
    """

    limit: Limit = 100
    cursor: str | None = None
    status: RunState | None = None
    agent: str | None = None
    owner: str | None = None
    since: Instant | None = None
    older_than_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None


class FaultsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on; a day back, if that isn't said."""

    since: Instant | None = None


async def list_latest(call: Call[NoBody, RunsQuery]) -> ASGIApp:
    """The runs of all sessions that the caller reaches."""
    query, now = call.query, call.site.host.clock.now()
    tenant, own = reach(call.by)
    if own is not None and query.owner not in (None, own):
        return json_response(ListedRunPage(data=(), next_cursor=None))
    older = None if query.older_than_s is None else Micros(now - round(query.older_than_s * SECOND))
    since = None if query.since is None else instant(query.since)
    which = RunFilter(tenant, own or query.owner, query.agent, query.status, since, older)
    page = await call.site.host.store.overviews.runs(which, query.cursor, query.limit)
    return json_response(ListedRunPage(data=tuple(page.data), next_cursor=page.next_cursor))


async def list_faults(call: Call[NoBody, FaultsQuery]) -> ASGIApp:
    """What went wrong in the sessions that the caller reaches."""
    host, asked = call.site.host, call.query.since
    since = Micros(host.clock.now() - DAY_S * SECOND) if asked is None else instant(asked)
    found = await host.store.overviews.faults(*reach(call.by), since, MOST_FAULTS)
    return json_response(RunFaults(data=tuple(found)))


async def list_runs(call: Call[NoBody, PageQuery]) -> ASGIApp:
    """The runs of a session."""
    page = await call.site.host.store.runs(call.session_id, call.query.cursor, call.query.limit)
    return json_response(RunPage(data=tuple(page.data), next_cursor=page.next_cursor))


async def read_run(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """One run: status, attempts, grant, usage, timings."""
    found = await call.site.host.store.run(call.path["run_id"])
    if found is None:
        raise not_found("run", call.path["run_id"])
    return json_response(found)


async def interrupt(call: Call[InterruptRun, NoQuery]) -> ASGIApp:
    """Stop the live run. 202 says that the stop is durable; how it ends is an event."""
    made = await call.site.host.commands.interrupt(call.by, call.session_id, call.body, call.idempotency)
    return json_response(made.value, 202, replayed=made.replayed)


async def retry_run(call: Call[RetryRun, NoQuery]) -> ASGIApp:
    """Run the message of a failed last turn again, as a new run."""
    commands, run_id = call.site.host.commands, call.path["run_id"]
    made = await commands.retry_run(call.by, run_id, call.body, call.idempotency)
    return json_response(made.value, 202, replayed=made.replayed)
