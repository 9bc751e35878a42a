"""What operators ask: is it alive, is it ready, how does it fare; and take it out of service."""

import asyncio

from starlette.responses import Response
from starlette.types import ASGIApp

from tenure.core.audit import Deed, Subject
from tenure.core.command import Drain
from tenure.core.principal import Principal
from tenure.core.view import Stats, View
from tenure.errors import Code, TenureError
from tenure.host.host import Host
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.metrics import CONTENT_TYPE, exposition
from tenure.http.wire import NO_STORE, json_response
from tenure.ports.store import Stamp


class Health(View, frozen=True, kw_only=True):
    """One word about the host."""

    status: str


class Draining(View, frozen=True, kw_only=True):
    """Whether the host is going out of service."""

    draining: bool


async def healthz(_call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Alive: the process answers. It stays so while the host drains."""
    return json_response(Health(status="ok"))


async def readyz(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Ready: the store answers, and the host takes new work under a lease that holds. Else 503 says why."""
    host = call.site.host
    trouble = host.trouble()
    if trouble is not None:
        raise trouble
    return json_response(Health(status="ready"))


async def metrics(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Live figures for Prometheus. They name no tenant, user or session."""
    host = call.site.host
    body = exposition(await _figures(host), host.telemetry)
    return Response(body, headers={**NO_STORE, "content-type": CONTENT_TYPE})


async def _figures(host: Host) -> Stats | None:
    """The figures; None while the store is away, so that a scrape tells of that instead of failing."""
    trouble = host.trouble()
    if trouble is not None and trouble.code is Code.STORE_UNAVAILABLE:
        return None
    try:
        return await host.stats()
    except TenureError as error:
        if error.code is not Code.STORE_UNAVAILABLE:
            raise
    return None


async def stats(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Live figures of this host, the same that its metrics show."""
    return json_response(await call.site.host.stats())


async def drain(call: Call[Drain, NoQuery]) -> ASGIApp:
    """Take the host out of service. Runs come to their next safe point; streams end with `draining`."""
    host, tasks = call.site.host, call.site.tasks
    begun = not host.draining
    task = asyncio.create_task(host.drain())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    await asyncio.sleep(0)  # lets it begin, so that the host already says that it drains
    if begun:
        await _note_drain(host, call.by)
    return json_response(Draining(draining=host.draining), 202)


async def _note_drain(host: Host, by: Principal) -> None:
    """Tell the audit log. A store that takes nothing now stops no drain."""
    lease = host.leases.lease
    subject = Subject("host", "" if lease is None else str(lease.incarnation), "")
    try:
        await host.store.operations.record(Stamp(host.clock.now(), by), Deed.HOST_DRAINED, subject)
    except TenureError as error:
        if error.code not in (Code.STORE_UNAVAILABLE, Code.STORE_FULL):
            raise
