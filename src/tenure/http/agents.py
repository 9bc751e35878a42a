"""The catalogue of agents. Every key sees all of it."""

from starlette.types import ASGIApp

from tenure.core.view import AgentInfo, View
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.wire import json_response


class AgentPage(View, frozen=True, kw_only=True):
    """All agents of this host, in one page."""

    data: tuple[AgentInfo, ...]
    next_cursor: str | None = None


async def list_agents(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """Every agent, with what it can do and whether it is well."""
    return json_response(AgentPage(data=tuple(call.site.host.catalogue.agents())))
