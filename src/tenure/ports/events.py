"""The port to what a store keeps of incoming events: which were received, and where conversations go.

The host's front door uses it. Each act is one transaction, as everywhere in the store.
"""

from typing import NamedTuple, Protocol

from tenure.core.command import SendMessage
from tenure.core.envelope import EventReceipt
from tenure.core.origin import Origin
from tenure.core.principal import Role
from tenure.ports.acts import Answer, Lease, Stamp, Wake


class Seen(NamedTuple):
    """The identity of an event, and the digest of what it says."""

    key: bytes
    digest: str
    event_id: str


class Place(NamedTuple):
    """The session that an event belongs to, by its identity; `session_id` is for one that must be opened."""

    key: bytes
    session_id: str
    agent: str
    labels: dict[str, str]
    conversation: dict[str, str]


class Reception(NamedTuple):
    """An event for one binding, with the fresh ids that it may need.

    `stamp` is of whoever posts it, and `role` the authority that is left to its message. `lease` is None
    on a host that takes no runs. `reserved` is the session that already has the event's files.
    """

    stamp: Stamp
    seen: Seen
    place: Place
    binding_id: str
    role: Role
    ask: SendMessage
    message_id: str
    run_id: str
    lease: Lease | None
    origin: Origin
    reserved: str | None = None


class EventActs(Protocol):
    """The acts of the front door."""

    async def known(self, stamp: Stamp, seen: Seen) -> Answer[EventReceipt] | None:
        """The receipt that the event got before, if any. Raises TenureError `idempotency_conflict`."""
        ...

    async def reserve(self, stamp: Stamp, seen: Seen, place: Place) -> Answer[EventReceipt] | str:
        """The receipt that the event got before, else the id of its session, which is opened if need be.

        Raises TenureError `idempotency_conflict` or `capacity`.
        """
        ...

    async def receive(self, reception: Reception) -> tuple[Answer[EventReceipt], Wake]:
        """Find or open the session, admit the event's message, and remember the event: all or nothing.

        An event that was received before gets the same receipt. Raises TenureError
        `idempotency_conflict`, `capacity`, `busy`, `unknown_agent`, or `session_closed` if the event's files
        went to a session that was closed meanwhile.
        """
        ...
