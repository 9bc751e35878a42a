"""The console's addresses and files. Rows of the route table; programs aren't told of most of them."""

from tenure.http import console
from tenure.http.assets import BESIDE
from tenure.http.call import AnyQuery, AnyRoute, NoBody, Route
from tenure.http.table.words import PUBLIC, READ

ADDRESSES = (
    "/sessions",
    "/sessions/{page}",
    "/runs",
    "/runs/{page}",
    "/approvals",
    "/schedules",
    "/schedules/{page}",
    "/agents",
    "/agents/{page}",
    "/ops",
    "/settings",
    "/settings/{page}",
    "/sign-in",
)
"""Where the console opens, beside `/`. Nothing is looked up there, so no name in them is a thing's id."""


def _address(path: str) -> AnyRoute:
    return Route(
        method="GET",
        path=path,
        summary="The console.",
        resource="page",
        action=READ,
        tenant_rule=PUBLIC,
        query=AnyQuery,
        body=NoBody,
        media="text/html",
        listed=path == "/",
        handler=console.console,
    )


def _file(name: str) -> AnyRoute:
    return Route(
        method="GET",
        path=f"/{name}",
        summary="A file of the console.",
        resource="page",
        action=READ,
        tenant_rule=PUBLIC,
        query=AnyQuery,
        body=NoBody,
        media="text/plain",
        listed=False,
        handler=console.hashed if "{" in name else console.beside,
    )


CONSOLE_ROUTES: tuple[AnyRoute, ...] = (
    *(_address(path) for path in ("/", *ADDRESSES)),
    *(_file(name) for name in ("assets/{name}", *BESIDE)),
)
