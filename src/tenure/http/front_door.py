"""The front door for events of outside platforms, and the bindings that say where they go."""

import msgspec
from starlette.types import ASGIApp

from tenure.core.envelope import BindingInfo, EventEnvelope, without_files
from tenure.core.view import View
from tenure.http.bodies import MAX_BYTES, too_large
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.wire import Reply, json_response

_receipts = msgspec.json.Encoder()


class BindingPage(View, frozen=True, kw_only=True):
    """All bindings of the caller's tenant, in one page."""

    data: tuple[BindingInfo, ...]
    next_cursor: str | None = None


async def post_event(call: Call[EventEnvelope, NoQuery]) -> ASGIApp:
    """Post an event of an outside platform. The same `event_id` of the same source and bot counts once.

    Exactly one binding takes it; its conversation's session is found or opened, and the event becomes a
    message there. The authority is that of the key, cut by the binding; the event's actor is data.
    Besides the content of its attachments an event has at most 1 MiB.
    """
    size = len(msgspec.json.encode(without_files(call.body)))
    if size > MAX_BYTES:
        raise too_large(size)
    made = await call.site.host.front_door.receive(call.by, call.body, call.idempotency)
    return Reply(202, _receipts.encode(made.value), made.replayed)


async def list_bindings(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """The bindings of the key's tenant, as the operator configured them."""
    return json_response(BindingPage(data=tuple(call.site.host.front_door.bindings(call.by))))
