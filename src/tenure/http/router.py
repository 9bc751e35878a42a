"""From method and path to a route. Made from the table once; it refuses a table with a hole in it."""

import re
from collections.abc import Iterable
from re import Pattern
from typing import NamedTuple

from starlette.routing import compile_path

from tenure.core.signing import SHARE_PATH, SIGN_IN_PATH
from tenure.errors import Code, TenureError
from tenure.http.call import SOCKET, AnyRoute, TenantRule

NEEDS: dict[TenantRule, str] = {
    TenantRule.SESSION: "session_id",
    TenantRule.RUN: "run_id",
    TenantRule.KEY: "key_id",
    TenantRule.SCHEDULE: "schedule_id",
    TenantRule.SIGN_IN: "sign_in_id",
}
"""The path parameter that each rule judges by; a path with one of these must have its rule."""


REST = "{key}"
"""The one path parameter that may hold slashes: the server has decoded a `%2F` by now. It stands last."""


WHO = "GET /v1/whoami"
"""What tells the reader of a share which session it is; all else that may be shared is about that session."""


def shown(path: str) -> str:
    """A path as logs and errors name it: cut short, and without the secret that it may hold."""
    for beginning in (SIGN_IN_PATH, SHARE_PATH):
        if path.startswith(beginning):
            return f"{beginning}…"
    return path[:200]


class UndeclaredRoute(Exception):
    """A route doesn't say what the front needs to protect it. The text names the route and what it lacks."""


class _Path(NamedTuple):
    pattern: Pattern[str]
    methods: dict[str, AnyRoute]


class Router:
    """The compiled table. Raises UndeclaredRoute for a route that isn't fully declared, or there twice."""

    def __init__(self, routes: Iterable[AnyRoute]) -> None:
        self._fixed: dict[str, dict[str, AnyRoute]] = {}
        self._open: dict[str, _Path] = {}
        for route in routes:
            _check(route)
            methods = self._methods(route.path)
            if route.method in methods:
                raise UndeclaredRoute(f"Route {route.name} is declared twice. Keep one of them.")
            methods[route.method] = route

    def find(self, method: str, path: str) -> tuple[AnyRoute, dict[str, str]]:
        """The route of a request and the parts of its path. Raises `not_found` or `method_not_allowed`.

        HEAD is answered as GET.
        """
        methods, parts = self._look(path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is not None:
            return route, parts
        known = sorted(name for name in methods if name != SOCKET)
        if not known:
            raise _no_http(path) if SOCKET in methods else _no_path(path)
        if "GET" in known:
            known.append("HEAD")
        allow = ", ".join(known)
        raise TenureError(
            Code.METHOD_NOT_ALLOWED, f"{shown(path)} doesn't know {method}. It takes {allow}.", allow=allow
        )

    def _look(self, path: str) -> tuple[dict[str, AnyRoute], dict[str, str]]:
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, {}
        for candidate in self._open.values():
            if found := candidate.pattern.match(path):
                return candidate.methods, found.groupdict()
        return {}, {}

    def _methods(self, path: str) -> dict[str, AnyRoute]:
        if "{" not in path:
            return self._fixed.setdefault(path, {})
        written = compile_path(path.replace(REST, "{key:path}"))[0].pattern
        pattern = re.compile(written, re.DOTALL)
        return self._open.setdefault(pattern.pattern, _Path(pattern, {})).methods


def _check(route: AnyRoute) -> None:
    lacks = [
        what
        for what, there in (
            ("a resource", route.resource),
            ("an action", route.action),
            ("a tenant rule", route.tenant_rule),
        )
        if not there
    ]
    if lacks:
        raise UndeclaredRoute(
            f"Route {route.name} doesn't declare {' and '.join(lacks)}. Say it in the route table."
        )
    of_a_session = (route.method, route.tenant_rule) == ("GET", TenantRule.SESSION)
    if route.shareable and not of_a_session and route.name != WHO:
        raise UndeclaredRoute(
            f"Route {route.name} is shareable, and a share only reads one session. Take the word away."
        )
    for rule, part in NEEDS.items():
        if ("{" + part + "}" in route.path) != (route.tenant_rule is rule):
            raise UndeclaredRoute(
                f"Route {route.name} has tenant rule {route.tenant_rule}, which doesn't fit its path: "
                f"the rule {rule} and the path parameter {part} belong together."
            )


def _no_path(path: str) -> TenureError:
    return TenureError(
        Code.NOT_FOUND, f"Nothing lives at {shown(path)}. /docs lists every path of this host."
    )


def _no_http(path: str) -> TenureError:
    return TenureError(Code.BAD_REQUEST, f"{shown(path)} is a WebSocket. Open it with a WebSocket client.")
