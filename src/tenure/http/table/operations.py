"""What operators and admins read of the whole: figures over time, capacity, audit, users. Rows."""

from tenure.core.capacity import Capacity
from tenure.core.figures import StatsSeries
from tenure.http import audit, capacity, series
from tenure.http.call import AnyRoute, NoBody, NoQuery, Route
from tenure.http.lists import PageQuery
from tenure.http.table.words import HOST, MANAGE, OWN, READ

OPERATION_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/v1/stats/series",
        summary="Figures of this host over time.",
        resource="host",
        action=READ,
        tenant_rule=HOST,
        query=series.SeriesQuery,
        body=NoBody,
        answer=StatsSeries,
        handler=series.read_series,
    ),
    Route(
        method="GET",
        path="/v1/capacity",
        summary="Limits, what is used of them, and by whom.",
        resource="capacity",
        action=READ,
        tenant_rule=OWN,
        query=NoQuery,
        body=NoBody,
        answer=Capacity,
        handler=capacity.read_capacity,
    ),
    Route(
        method="GET",
        path="/v1/audit",
        summary="Who did what, the latest first.",
        resource="audit",
        action=MANAGE,
        tenant_rule=OWN,
        query=audit.AuditQuery,
        body=NoBody,
        answer=audit.AuditPage,
        handler=audit.read_audit,
    ),
    Route(
        method="GET",
        path="/v1/users",
        summary="The users that keys and sessions name.",
        resource="user",
        action=MANAGE,
        tenant_rule=OWN,
        query=PageQuery,
        body=NoBody,
        answer=audit.UserPage,
        handler=audit.list_users,
    ),
)
