"""The envelope of an incoming event: the body of POST /v1/events, and what becomes of it. No I/O.

An envelope is data. What it says is turned into a message's content, what it names into identities: of
the event itself, so that it counts once, and of the session that it belongs to.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, TypeAlias, cast

import msgspec

from tenure.core.artifact import Attachment
from tenure.core.binding import MESSAGE_RECEIVED, Addressed, Binding, delivered
from tenure.core.command import Ask, Identity
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.origin import Delivery, Origin, Party
from tenure.core.view import MessageReceipt, View
from tenure.errors import Code, TenureError

Id: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
Word: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Since1970: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=253_402_300_800)]
Moment: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)] | Since1970 | None

MOST_SHOWN = 4_000
"""How many characters of an event's data stand in the readable summary of it."""


class EventActor(Ask, frozen=True, kw_only=True):
    """Who did it, as the platform knows them. An unidentified one is left out, never made up."""

    id: Id
    type: Word = "user"
    name: Identity | None = None
    metadata: dict[str, object] = msgspec.field(default_factory=dict[str, object])


class EventSubject(Ask, frozen=True, kw_only=True):
    """What it was done to."""

    id: Id
    type: Word
    data: dict[str, object] = msgspec.field(default_factory=dict[str, object])


class EventInput(Ask, frozen=True, kw_only=True):
    """What was said. `contents` are the platform's own parts, `attachments` the files that came along."""

    text: str | None = None
    contents: tuple[dict[str, object], ...] = ()
    attachments: Annotated[tuple[Attachment, ...], msgspec.Meta(max_length=100)] = ()


class EventDelivery(Ask, frozen=True, kw_only=True):
    """How the platform takes an answer. `max_message_size` counts characters."""

    surface: Word | None = None
    reply_target: object = None
    supports_streaming: bool = False
    supports_edit: bool = False
    supports_reaction: bool = False
    max_message_size: Annotated[int, msgspec.Meta(ge=1)] | None = None
    interactions: object = None
    platform_capabilities: dict[str, object] = msgspec.field(default_factory=dict[str, object])


class EventEnvelope(Ask, frozen=True, kw_only=True):
    """Something that happened on an outside platform, for the agent that a binding sends it to.

    `event_id` is unique per source and bot: the same event again gets the same receipt. `event_time` is
    RFC 3339 or seconds since 1970. `data.agent` names an agent, for bindings of scope agent.
    """

    event_id: Id
    event_type: Word = MESSAGE_RECEIVED
    event_time: Moment = None
    source: Word | None = None
    source_event_type: Identity | None = None
    bot_id: Id | None = None
    workspace_id: Id | None = None
    conversation_id: Id | None = None
    thread_id: Id | None = None
    actor: EventActor | None = None
    subject: EventSubject | None = None
    input: EventInput = EventInput()
    delivery: EventDelivery | None = None
    data: dict[str, object] = msgspec.field(default_factory=dict[str, object])
    raw_ref: object = None


class EventReceipt(MessageReceipt, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided about an event: the receipt of its message, and where that went.

    `dropped` names what was left out of the event because its name looks like a secret's.
    """

    session_id: str
    event_id: str
    binding_id: str
    dropped: tuple[str, ...] = ()


class BindingInfo(View, frozen=True, kw_only=True):
    """A binding as its operators see it. `actor_roles` has the keys `*`, `ID` and `TYPE:ID`."""

    id: str
    tenant: str
    agent: str
    scope: dict[str, str | None]
    event_types: tuple[str, ...]
    enabled: bool
    actor_roles: dict[str, str]
    delivery: dict[str, bool | int | None]
    when_busy: str
    labels: dict[str, str]


def info_of(binding: Binding) -> BindingInfo:
    """What is told of a binding."""
    roles = {":".join(filter(None, (r.type, r.id))) or "*": str(r.role) for r in binding.actor_roles}
    policy = binding.delivery
    return BindingInfo(
        id=binding.id,
        tenant=binding.tenant,
        agent=binding.agent,
        scope={"type": binding.scope.type, "id": binding.scope.id},
        event_types=binding.event_types,
        enabled=binding.enabled,
        actor_roles=roles,
        delivery={
            "enable_streaming": policy.enable_streaming,
            "enable_reply": policy.enable_reply,
            "max_message_size": policy.max_message_size,
        },
        when_busy=binding.when_busy,
        labels=binding.labels,
    )


def without_files(event: EventEnvelope) -> EventEnvelope:
    """The event without the bytes that came along."""
    files = tuple(msgspec.structs.replace(file, content=None) for file in event.input.attachments)
    said = msgspec.structs.replace(event.input, attachments=files)
    return msgspec.structs.replace(event, input=said)


# --- to whom it goes


def addressed(tenant: str, event: EventEnvelope) -> Addressed:
    """What of the event decides which binding takes it."""
    agent = event.data.get("agent")
    return Addressed(
        tenant=tenant,
        event_type=event.event_type,
        agent=agent if isinstance(agent, str) else None,
        bot_id=event.bot_id,
        workspace_id=event.workspace_id,
    )


def event_key(tenant: str, event: EventEnvelope) -> bytes:
    """The identity of the event: tenant, source, bot and event id, all equal, null equal to null."""
    return _hashed([tenant, event.source, event.bot_id, event.event_id])


def session_key(binding: Binding, event: EventEnvelope) -> bytes:
    """The identity of the conversation that the event belongs to, within its tenant and agent.

    All parts must be equal, and null equals null. An event outside of any conversation belongs to its
    actor's own, else its subject's; what isn't a message may belong to the bot's. Raises TenureError
    `invalid` if nothing of all that is known: unidentified people must not share a session.
    """
    return _hashed([binding.tenant, binding.agent, event.bot_id, event.workspace_id, _about(event)])


def _about(event: EventEnvelope) -> list[str | None]:
    if event.conversation_id is not None:
        return ["conversation", event.conversation_id, event.thread_id]
    if event.actor is not None:
        return ["actor", event.actor.type, event.actor.id, event.thread_id]
    if event.subject is not None:
        return ["subject", event.subject.type, event.subject.id, event.thread_id]
    if event.bot_id is not None and event.event_type != MESSAGE_RECEIVED:
        return ["bot", event.thread_id]
    raise TenureError(
        Code.INVALID,
        f"The event {event.event_id[:100]!r} names no conversation, actor or subject, so no session can be "
        "told for it. Send conversation_id, or an actor with an id.",
        field="conversation_id",
    )


def conversation_of(event: EventEnvelope) -> dict[str, str]:
    """What the session shows of the conversation: the ids that the event has."""
    parts = {
        "bot_id": event.bot_id,
        "workspace_id": event.workspace_id,
        "conversation_id": event.conversation_id,
        "thread_id": event.thread_id,
    }
    return {name: part for name, part in parts.items() if part is not None}


def event_digest(event: EventEnvelope) -> str:
    """What the event says, as a digest, so that a repeat can be told from another event of the same id.

    What a platform may word anew when it delivers again is left out: times, links, delivery, references.
    """
    said, actor, subject = event.input, event.actor, event.subject
    return _hashed(
        [
            event.event_type,
            event.workspace_id,
            event.conversation_id,
            event.thread_id,
            None if actor is None else [actor.type, actor.id],
            None if subject is None else [subject.type, subject.id],
            said.text,
            [[file.type, file.name, file.id] for file in said.attachments],
            event.data,
        ]
    ).hex()


def _hashed(parts: list[object]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).digest()


# --- what it says


def content_of(event: EventEnvelope) -> str:
    """The event as text for the agent: what was said, or a summary of what happened.

    Raises TenureError `invalid` for a message that says nothing.
    """
    text = event.input.text or "\n".join(_texts(event.input.contents))
    if text.strip():
        return text
    if event.event_type == MESSAGE_RECEIVED:
        return _of_files(event)
    return "\n".join(_summary(event))


def _texts(contents: tuple[dict[str, object], ...]) -> Iterator[str]:
    for part in contents:
        text = part.get("text")
        if isinstance(text, str):
            yield text


def _of_files(event: EventEnvelope) -> str:
    files = event.input.attachments
    if not files:
        raise TenureError(
            Code.INVALID,
            f"The event {event.event_id[:100]!r} is a message that says nothing. "
            "Send input.text, or an attachment.",
            field="input.text",
        )
    names = ", ".join(file.name or "a file" for file in files)
    return f"({len(files)} attached: {names})"


def _summary(event: EventEnvelope) -> Iterator[str]:
    yield f"Event: {event.event_type}"
    if event.actor is not None:
        name = f" ({event.actor.name})" if event.actor.name else ""
        yield f"Actor: {event.actor.type} {event.actor.id}{name}"
    if event.subject is not None:
        yield f"Subject: {event.subject.type} {event.subject.id}"
    data = _kept(event.data, "data", [])
    if data:
        text = msgspec.json.encode(data, order="sorted").decode()
        yield f"Data: {text[:MOST_SHOWN]}{'…' if len(text) > MOST_SHOWN else ''}"


# --- what is kept of it: nothing whose name looks like a secret's


def origin_of(event: EventEnvelope, binding: Binding) -> Origin:
    """What runs are told of the event, and what is stored of it."""
    names: list[str] = []
    return Origin(
        trigger="message" if event.event_type == MESSAGE_RECEIVED else "event",
        event_id=event.event_id,
        event_type=event.event_type,
        event_time=_moment(event.event_time),
        source=event.source,
        source_event_type=event.source_event_type,
        binding_id=binding.id,
        bot_id=event.bot_id,
        workspace_id=event.workspace_id,
        conversation_id=event.conversation_id,
        thread_id=event.thread_id,
        actor=_actor(event.actor, names),
        subject=_subject(event.subject, names),
        delivery=delivered(binding.delivery, _delivery(event.delivery, names)),
        data=_kept(event.data, "data", names),
        raw_ref=_clean(event.raw_ref, "raw_ref", names),
        contents=tuple(_kept(part, "input.contents", names) for part in event.input.contents),
        dropped=tuple(names),
    )


def _actor(given: EventActor | None, names: list[str]) -> Party | None:
    if given is None:
        return None
    metadata = _kept(given.metadata, "actor.metadata", names)
    return Party(type=given.type, id=given.id, name=given.name, metadata=metadata)


def _subject(given: EventSubject | None, names: list[str]) -> Party | None:
    if given is None:
        return None
    return Party(type=given.type, id=given.id, data=_kept(given.data, "subject.data", names))


def _delivery(given: EventDelivery | None, names: list[str]) -> Delivery | None:
    if given is None:
        return None
    return Delivery(
        surface=given.surface,
        reply_target=_clean(given.reply_target, "delivery.reply_target", names),
        supports_streaming=given.supports_streaming,
        supports_edit=given.supports_edit,
        supports_reaction=given.supports_reaction,
        max_message_size=given.max_message_size,
        interactions=_clean(given.interactions, "delivery.interactions", names),
        platform_capabilities=_kept(given.platform_capabilities, "delivery.platform_capabilities", names),
    )


def _moment(given: Moment) -> str | None:
    if given is None or isinstance(given, str):
        return given
    return timestamp(Micros(round(given * SECOND)))


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET = frozenset(
    {
        "apikey",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "secret",
        "token",
    }
)
_SECRET_KEYS = frozenset({"api", "access", "private", "signing", "encryption"})


def looks_secret(name: str) -> bool:
    """Whether a field of this name should hold a secret: `api_key`, `botToken`, `Set-Cookie`."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not _SECRET.isdisjoint(words):
        return True
    return any(first in _SECRET_KEYS and second == "key" for first, second in pairwise(words))


def _kept(data: Mapping[str, object], place: str, names: list[str]) -> dict[str, object]:
    names.extend(f"{place}.{name}" for name in data if looks_secret(name))
    return {
        name: _clean(value, f"{place}.{name}", names)
        for name, value in data.items()
        if not looks_secret(name)
    }


def _clean(value: object, place: str, names: list[str]) -> object:
    match value:
        case dict():
            return _kept(cast("dict[str, object]", value), place, names)
        case list():
            return [_clean(item, place, names) for item in cast("list[object]", value)]
        case _:
            return value
