"""Pages, health, figures and drain. Rows of the route table."""

from typing import Any

from tenure.core.command import (
    Drain,
)
from tenure.core.view import (
    Stats,
)
from tenure.http import operations, pages
from tenure.http.call import AnyRoute, NoBody, NoQuery, Route
from tenure.http.table.words import DRAIN, HOST, PUBLIC, READ

HOST_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/docs",
        summary="The reference of this API.",
        resource="page",
        action=READ,
        tenant_rule=PUBLIC,
        query=NoQuery,
        body=NoBody,
        media="text/html",
        handler=pages.docs,
    ),
    Route(
        method="GET",
        path="/openapi.json",
        summary="This API as an OpenAPI 3.1 document.",
        resource="page",
        action=READ,
        tenant_rule=PUBLIC,
        query=NoQuery,
        body=NoBody,
        answer=dict[str, Any],
        handler=pages.openapi,
    ),
    Route(
        method="GET",
        path="/healthz",
        summary="Whether the process is alive.",
        resource="host",
        action=READ,
        tenant_rule=PUBLIC,
        query=NoQuery,
        body=NoBody,
        answer=operations.Health,
        handler=operations.healthz,
    ),
    Route(
        method="GET",
        path="/readyz",
        summary="Whether the host takes work: 503 while it drains or its store is away.",
        resource="host",
        action=READ,
        tenant_rule=PUBLIC,
        query=NoQuery,
        body=NoBody,
        answer=operations.Health,
        handler=operations.readyz,
    ),
    Route(
        method="GET",
        path="/metrics",
        summary="Live figures for Prometheus.",
        resource="host",
        action=READ,
        tenant_rule=PUBLIC,
        query=NoQuery,
        body=NoBody,
        media="text/plain",
        handler=operations.metrics,
    ),
    Route(
        method="GET",
        path="/v1/stats",
        summary="Live figures of this host.",
        resource="host",
        action=READ,
        tenant_rule=HOST,
        query=NoQuery,
        body=NoBody,
        answer=Stats,
        handler=operations.stats,
    ),
    Route(
        method="POST",
        path="/v1/drain",
        summary="Take the host out of service. The bootstrap admin's alone.",
        resource="host",
        action=DRAIN,
        tenant_rule=HOST,
        query=NoQuery,
        body=Drain,
        answer=operations.Draining,
        status=202,
        handler=operations.drain,
    ),
)
