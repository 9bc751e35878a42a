"""The front door for incoming events. Rows of the route table."""

from tenure.core.artifact import MAX_FILE_BYTES
from tenure.core.envelope import EventEnvelope, EventReceipt
from tenure.http import front_door
from tenure.http.call import AnyRoute, NoBody, NoQuery, Route
from tenure.http.table.words import CONNECT, OWN

EVENT_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/v1/events",
        summary="Post an event of an outside platform.",
        resource="event",
        action=CONNECT,
        tenant_rule=OWN,
        query=NoQuery,
        body=EventEnvelope,
        answer=EventReceipt,
        status=202,
        hot=True,
        most_bytes=MAX_FILE_BYTES,
        handler=front_door.post_event,
    ),
    Route(
        method="GET",
        path="/v1/bindings",
        summary="The bindings of the key's tenant.",
        resource="binding",
        action=CONNECT,
        tenant_rule=OWN,
        query=NoQuery,
        body=NoBody,
        answer=front_door.BindingPage,
        handler=front_door.list_bindings,
    ),
)
