"""Where a message came from, beyond the principal who sent it: the event of an outside platform.

A message of the API has none. What stands here is data: it names people, and gives them no authority.
"""

import msgspec


class Party(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody or something that an event names. An identity is the pair of type and id."""

    type: str
    id: str
    name: str | None = None
    metadata: dict[str, object] = {}
    data: dict[str, object] = {}


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the platform takes an answer. `max_message_size` counts characters.

    Where `reply` is false, no answer is to be sent: the run may act, and whoever reads the session sees it.
    """

    reply: bool = True
    surface: str | None = None
    reply_target: object = None
    supports_streaming: bool = False
    supports_edit: bool = False
    supports_reaction: bool = False
    max_message_size: int | None = None
    interactions: object = None
    platform_capabilities: dict[str, object] = {}


class Recalled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The occurrence of a schedule that a message was made of. A reminder is said as it stands."""

    schedule_id: str
    occurrence: str
    due_at: str
    reminder: bool = False


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The event that a message was made of. `trigger` is the kind of run that it starts."""

    trigger: str = "message"
    recall: Recalled | None = None
    event_id: str | None = None
    event_type: str = "message.received"
    event_time: str | None = None
    source: str | None = None
    source_event_type: str | None = None
    binding_id: str | None = None
    bot_id: str | None = None
    workspace_id: str | None = None
    conversation_id: str | None = None
    thread_id: str | None = None
    actor: Party | None = None
    subject: Party | None = None
    delivery: Delivery | None = None
    data: dict[str, object] = {}
    raw_ref: object = None
    contents: tuple[dict[str, object], ...] = ()
    """What was said, in the platform's own parts."""
    dropped: tuple[str, ...] = ()
    """Names in the event that look like secrets. They were left out before anything was stored."""


def speaker(user: str, origin: Origin) -> tuple[str, ...] | None:
    """Whose words a message is that `user` sent; None if nobody knows.

    Behind one principal may stand many people, whom only the events' actors tell apart. Two events
    without an actor may be of different people, so neither has a speaker.
    """
    if origin.event_id is None:
        return (user,)
    return None if origin.actor is None else (user, origin.actor.type, origin.actor.id)


API = Origin()
"""The origin of a message that a principal sent by the API: nothing but its author is known."""
