"""Puts the HTTP face together: the front over the route table, on one host. The wiring calls it."""

from collections.abc import Iterable

import msgspec
from starlette.types import ASGIApp

from tenure.host.host import Host
from tenure.http.assets import Assets, read
from tenure.http.audience import Audience
from tenure.http.call import AnyRoute, Options, RunFace, Site, Texts
from tenure.http.front import Front
from tenure.http.openapi import openapi
from tenure.http.pace import Pace
from tenure.http.pages import docs_page, home_page
from tenure.http.routes import ROUTES


def create_app(
    host: Host,
    options: Options | None = None,
    *,
    version: str,
    routes: Iterable[AnyRoute] = ROUTES,
    run_face: RunFace | None = None,
    assets: Assets | None = None,
) -> ASGIApp:
    """The ASGI application of `host`. Whoever made the host starts and stops it.

    `assets` are the console's files, by default those of this installation.
    Raises UndeclaredRoute if a route of the table doesn't say what protects it.
    """
    table = tuple(routes)
    listed = tuple(route for route in table if route.listed)
    options = options or Options()
    limits = host.rules.limits
    document = openapi(listed, version)
    site = Site(
        host=host,
        audience=Audience(host.store, host.clock, limits, options.heartbeat_s, options.recheck_s),
        pace=Pace(limits.commands_per_minute, host.clock),
        options=options,
        texts=Texts(
            openapi=msgspec.json.encode(document),
            docs=docs_page(listed, document),
            home=home_page((agent.name for agent in host.catalogue.agents()), version),
        ),
        tasks=set(),
        run_face=run_face,
        assets=read() if assets is None else assets,
    )
    return Front(site, table)
