"""The page of the HTTP interface, from the one route table that the server serves."""

from itertools import groupby

import msgspec

from tenure.core.principal import Action
from tenure.http.call import SOCKET, AnyRoute, NoBody, NoQuery, TenantRule
from tenure.http.routes import LISTED
from tools.reference.markdown import code, document, table
from tools.reference.shapes import Struct, about, fields, structs_in, within

INTRO = """\
JSON in, JSON out. A key goes into `Authorization: Bearer KEY`. Refusals are
[problem documents](errors.md). Unknown fields and parameters are refused. Every POST takes an
`Idempotency-Key` of at most 255 bytes: the same request under the same key gets the same answer again,
with `Idempotency-Replayed: true`, for a day at least. Lists answer `data` and `next_cursor`; send that
as `cursor` for the next page.

What belongs to somebody else is answered like what isn't there: 404. How streams, sockets and resuming
work is told in [Follow a session](../how-to/follow-a-session.md)."""

WHO: dict[Action, str] = {
    Action.READ: "every role",
    Action.WRITE: "member, operator or admin",
    Action.CONNECT: "operator or admin",
    Action.MANAGE: "admin",
    Action.DRAIN: "the bootstrap admin",
}

REACH: dict[TenantRule, str] = {
    TenantRule.PUBLIC: "no key needed",
    TenantRule.OWN: "{who}, in the key's own tenant",
    TenantRule.SESSION: "{who} who reaches the session",
    TenantRule.RUN: "{who} who reaches the run's session",
    TenantRule.APPROVAL: "{who} who reaches the approval's session",
    TenantRule.SCHEDULE: "{who} who made the schedule or reaches its session",
    TenantRule.KEY: "{who} of the key's tenant",
    TenantRule.SIGN_IN: "the user whose browser it is",
    TenantRule.HOST: "{who}",
    TenantRule.LIVE_RUN: "a token of the run gateway, while a run of its session is live",
}


def page() -> str:
    """The whole page."""
    groups = [
        f"## {resource.capitalize()}\n\n" + "\n\n".join(_section(route) for route in routes)
        for resource, routes in groupby(LISTED, key=lambda route: route.resource)
    ]
    shown = [f"### {cls.__name__}\n\n{about(cls)}\n\n{_fields(cls)}" for cls in shapes()]
    return document("HTTP", INTRO, _summary(), *groups, "## Shapes", *shown)


def shapes() -> list[Struct]:
    """Every struct that routes take or answer, directly or within another, by name."""
    found: dict[str, Struct] = {}
    todo = [s for route in LISTED for s in structs_in(route.answer)]
    todo += [route.body for route in LISTED if route.body is not NoBody]
    while todo:
        cls = todo.pop()
        if found.setdefault(cls.__name__, cls) is not cls:
            raise ValueError(f"Two shapes are called {cls.__name__}. Give one another name.")
        todo += [inner for inner in within(cls) if inner.__name__ not in found]
    return [found[name] for name in sorted(found)]


def _summary() -> str:
    rows = [[f"[{code(route.name)}](#{anchor(route)})", route.summary] for route in LISTED]
    return table(["route", "does"], rows)


def anchor(route: AnyRoute) -> str:
    """Where the heading of a route is found on the page."""
    kept = "".join(c for c in route.name.lower() if c.isalnum() or c in " -_")
    return "-".join(kept.split())


def _section(route: AnyRoute) -> str:
    parts = [f"### {route.name}", route.summary, f"For: {_who(route)}. {_answers(route)}"]
    if route.query is not NoQuery:
        parts.append("Parameters: " + about(route.query) + "\n\n" + _fields(route.query))
    if route.body is not NoBody:
        parts.append(f"Body: [{route.body.__name__}](#{route.body.__name__.lower()}).")
    return "\n\n".join(parts)


def _who(route: AnyRoute) -> str:
    assert route.action is not None and route.tenant_rule is not None
    reader = ", or whoever has a share of it" if route.shareable else ""
    return REACH[route.tenant_rule].format(who=WHO[route.action]) + reader


def _answers(route: AnyRoute) -> str:
    if route.method == SOCKET:
        return "A WebSocket."
    named = list(structs_in(route.answer))
    shape = f" with [{named[0].__name__}](#{named[0].__name__.lower()})" if named else ""
    media = "" if route.media == "application/json" else f" as {code(route.media)}"
    stream = " With `Accept: text/event-stream`: a stream." if route.streams else ""
    return f"Answers {route.status}{shape}{media}.{stream}"


def _fields(cls: type[msgspec.Struct]) -> str:
    if not fields(cls):
        return "No fields."
    rows = [[code(field.name), field.holds, field.default or "needed"] for field in fields(cls)]
    return table(["field", "holds", "default"], rows)
