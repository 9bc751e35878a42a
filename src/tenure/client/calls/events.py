"""Questions at the front door: events of outside platforms, and where they go."""

from tenure.client.calls.asking import Asking, Listed, get, post
from tenure.client.face import once
from tenure.core.envelope import BindingInfo, EventEnvelope, EventReceipt


class EventCalls(Asking):
    """Events of outside platforms, and the bindings that say where they go."""

    @once
    async def post_event(self, event: EventEnvelope, *, idempotency_key: str | None = None) -> EventReceipt:
        """Post an event. The same event again, by its `event_id`, gets the same receipt."""
        return await self._line.ask(post(event, idempotency_key, "events"), EventReceipt)

    @once
    async def bindings(self) -> tuple[BindingInfo, ...]:
        """The bindings of the key's tenant, by id."""
        return (await self._line.ask(get("bindings"), Listed[BindingInfo])).data
