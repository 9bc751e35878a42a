"""The front door: an incoming event finds its binding and its session, and becomes a message like any other.

What the event may do is what the key that posts it may, cut by the binding. Its attachments lie in the
session's folder before its run begins.
"""

from collections.abc import Sequence
from typing import Protocol

from tenure.core.artifact import Attached, Attachment
from tenure.core.binding import Binding, resolve, role_of
from tenure.core.command import SendMessage
from tenure.core.content import Content, FilePart, TextPart
from tenure.core.envelope import (
    BindingInfo,
    EventEnvelope,
    EventReceipt,
    addressed,
    content_of,
    conversation_of,
    event_digest,
    event_key,
    info_of,
    origin_of,
    session_key,
)
from tenure.core.ids import MESSAGE, RUN, SESSION
from tenure.core.principal import Principal
from tenure.errors import TenureError
from tenure.host.claims import Claims
from tenure.host.tasks import Tasks
from tenure.ports.acts import Answer, Idempotency, Stamp
from tenure.ports.clock import Clock, Ids
from tenure.ports.events import EventActs, Place, Reception, Seen


class Attach(Protocol):
    """Takes the attachments of an event into a session. Each of them succeeds or fails alone."""

    async def __call__(
        self, session_id: str, by: Principal, attachments: Sequence[Attachment], key: str | None = None
    ) -> Sequence[Attached]:
        """Under the same `key` the same attachments are the same files."""
        ...


class FrontDoor:
    """What connectors may ask of a host."""

    def __init__(
        self,
        *,
        bindings: Sequence[Binding],
        acts: EventActs,
        attach: Attach,
        clock: Clock,
        ids: Ids,
        claims: Claims,
        tasks: Tasks,
    ) -> None:
        self._bindings = tuple(bindings)
        self._acts = acts
        self._attach = attach
        self._clock = clock
        self._ids = ids
        self._claims = claims
        self._tasks = tasks

    def bindings(self, by: Principal) -> list[BindingInfo]:
        """The bindings of the caller's tenant, by id; the bootstrap admin sees all."""
        own = [b for b in self._bindings if by.root or b.tenant == by.tenant]
        return [info_of(binding) for binding in sorted(own, key=lambda b: b.id)]

    async def receive(
        self, by: Principal, event: EventEnvelope, idem: Idempotency | None
    ) -> Answer[EventReceipt]:
        """Admit an event. One that was received before gets the same receipt.

        Raises TenureError `no_binding`, `ambiguous_binding`, `idempotency_conflict`, `invalid`, and what
        opening a session and sending a message raise.
        """
        return await self._tasks.whole(self._receive(by, event, idem), "receive")

    async def _receive(
        self, by: Principal, event: EventEnvelope, idem: Idempotency | None
    ) -> Answer[EventReceipt]:
        stamp = Stamp(self._clock.now(), by, idem)
        seen = Seen(event_key(by.tenant, event), event_digest(event), event.event_id)
        try:
            binding = resolve(self._bindings, addressed(by.tenant, event))
        except TenureError:
            # An event that came in before a binding was changed is still the same event.
            known = await self._acts.known(stamp, seen)
            if known is None:
                raise
            return known
        reception = self._reception(stamp, seen, binding, event)
        if event.input.attachments:
            return await self._with_files(reception, event.input.attachments)
        return await self._admit(reception)

    def _reception(self, stamp: Stamp, seen: Seen, binding: Binding, event: EventEnvelope) -> Reception:
        origin = origin_of(event, binding)
        place = Place(
            key=session_key(binding, event),
            session_id=self._ids.new(SESSION),
            agent=binding.agent,
            labels=binding.labels,
            conversation=conversation_of(event),
        )
        return Reception(
            stamp=stamp,
            seen=seen,
            place=place,
            binding_id=binding.id,
            role=role_of(binding, stamp.by.role, origin.actor),
            ask=SendMessage(content=content_of(event), when_busy=binding.when_busy),
            message_id=self._ids.new(MESSAGE),
            run_id=self._ids.new(RUN),
            lease=None,
            origin=origin,
        )

    async def _admit(self, reception: Reception) -> Answer[EventReceipt]:
        answer, wake = await self._claims.offering(
            lambda lease: self._acts.receive(reception._replace(lease=lease))
        )
        self._claims.follow(wake)
        return answer

    async def _with_files(
        self, reception: Reception, attachments: Sequence[Attachment]
    ) -> Answer[EventReceipt]:
        """Take the attachments first, under the event's own key: delivered again, they are the same files."""
        stamp, key = reception.stamp, f"event/{reception.seen.key.hex()}"
        found = await self._acts.reserve(stamp, reception.seen, reception.place)
        if isinstance(found, Answer):
            return found
        attached = await self._attach(found, stamp.by, attachments, key)
        ask = SendMessage(
            content=with_files(reception.ask.content, attached), when_busy=reception.ask.when_busy
        )
        return await self._admit(reception._replace(ask=ask, reserved=found))


def with_files(said: Content, attached: Sequence[Attached]) -> Content:
    """What was said, with the files that came along, and why others didn't."""
    parts = (TextPart(said),) if isinstance(said, str) else said
    return (*parts, *[_part(one) for one in attached])


def _part(one: Attached) -> TextPart | FilePart:
    if one.file is not None:
        return FilePart(one.file.id)
    return TextPart(f"(The attachment {one.name} couldn't be taken: {one.error})")
