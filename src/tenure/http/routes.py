"""The one route table: every path, what it is about, who may, and what it takes and answers.

The front serves exactly this; the OpenAPI document, the pages under /docs and the cross-tenant tests
are made from it. The rows stand in `tenure.http.table`, a file per family, and nowhere else.
"""

from tenure.http.call import AnyRoute
from tenure.http.table.approvals import APPROVAL_ROUTES
from tenure.http.table.console import CONSOLE_ROUTES
from tenure.http.table.conversation import CONVERSATION_ROUTES
from tenure.http.table.events_in import EVENT_ROUTES
from tenure.http.table.files import FILE_ROUTES
from tenure.http.table.gateway import GATEWAY_ROUTES
from tenure.http.table.history import HISTORY_ROUTES
from tenure.http.table.hosts import HOST_ROUTES
from tenure.http.table.keys import KEY_ROUTES
from tenure.http.table.operations import OPERATION_ROUTES
from tenure.http.table.schedules import SCHEDULE_ROUTES
from tenure.http.table.sessions import SESSION_ROUTES
from tenure.http.table.shares import SHARE_ROUTES
from tenure.http.table.signing import SIGNING_ROUTES
from tenure.http.table.state import STATE_ROUTES
from tenure.http.table.usage import USAGE_ROUTES

ROUTES: tuple[AnyRoute, ...] = (
    *CONSOLE_ROUTES,
    *HOST_ROUTES,
    *OPERATION_ROUTES,
    *KEY_ROUTES,
    *SIGNING_ROUTES,
    *SESSION_ROUTES,
    *CONVERSATION_ROUTES,
    *HISTORY_ROUTES,
    *SHARE_ROUTES,
    *APPROVAL_ROUTES,
    *SCHEDULE_ROUTES,
    *FILE_ROUTES,
    *EVENT_ROUTES,
    *USAGE_ROUTES,
    *STATE_ROUTES,
    *GATEWAY_ROUTES,
)
"""The table."""

LISTED = tuple(route for route in ROUTES if route.listed)
"""What the reference and the OpenAPI document tell of: all but the addresses and files of the console."""
