"""What was spent. Rows of the route table."""

from tenure.http import usage
from tenure.http.call import AnyRoute, NoBody, Route
from tenure.http.table.words import OWN, READ

USAGE_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/v1/usage",
        summary="Tokens, money, runs and tool calls by user and day.",
        resource="usage",
        action=READ,
        tenant_rule=OWN,
        query=usage.UsageQuery,
        body=NoBody,
        answer=usage.UsagePage,
        handler=usage.read_usage,
    ),
)
