"""The run gateway, which speaks MCP and not this API's JSON. A row of the route table."""

from tenure.http import run_gateway
from tenure.http.call import AnyRoute, NoBody, NoQuery, Route, TenantRule
from tenure.http.table.words import WRITE

GATEWAY_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/mcp/run",
        summary="What the live run of a token's session was granted, as an MCP server.",
        resource="gateway",
        action=WRITE,
        tenant_rule=TenantRule.LIVE_RUN,
        query=NoQuery,
        body=NoBody,
        most_bytes=run_gateway.MOST_BYTES,
        handler=run_gateway.run_gateway,
    ),
)
