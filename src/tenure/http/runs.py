"""Runs: list, read, and stop the live one."""

from starlette.types import ASGIApp

from tenure.core.command import InterruptRun, RetryRun
from tenure.core.view import RunInfo, View
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.gates import not_found
from tenure.http.lists import PageQuery
from tenure.http.wire import json_response


class RunPage(View, frozen=True, kw_only=True):
    """A page of runs, the latest first."""

    data: tuple[RunInfo, ...]
    next_cursor: str | None


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
