"""A binding: the operator's rule that sends incoming events of a scope to an agent. Pure rules, no I/O.

An event is for exactly one binding: the one with the narrowest scope among those that match. Which one
that is, what authority the event's actor is left with, and how the answer may be delivered, is told here.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tenure.core.message import BusyPolicy
from tenure.core.origin import Delivery, Party
from tenure.core.principal import Role, weaker
from tenure.errors import Code, ConfigError, TenureError

MESSAGE_RECEIVED = "message.received"
"""The type of an event in which somebody says something to the agent."""

ANY = "*"
"""In a binding: every type of event, or every actor."""


class ScopeType(StrEnum):
    """What a binding is about, narrowest first."""

    AGENT = "agent"
    BOT = "bot"
    WORKSPACE = "workspace"
    GLOBAL = "global"


class BindingScope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which events a binding is for: those that name this agent, bot or workspace, or all."""

    type: ScopeType
    id: str | None = None


class ActorRole(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The role that is left to an actor. Without a type the id may be of any, without an id it is anybody."""

    role: Role
    type: str | None = None
    id: str | None = None


class DeliveryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a binding allows of an event's delivery. `max_message_size` counts characters."""

    enable_streaming: bool = True
    enable_reply: bool = True
    max_message_size: int | None = None


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. `labels` are given to the sessions that it opens."""

    id: str
    tenant: str
    agent: str
    scope: BindingScope
    event_types: tuple[str, ...] = (MESSAGE_RECEIVED,)
    enabled: bool = True
    actor_roles: tuple[ActorRole, ...] = ()
    delivery: DeliveryPolicy = DeliveryPolicy()
    when_busy: BusyPolicy = BusyPolicy.QUEUE
    labels: dict[str, str] = {}


class Addressed(NamedTuple):
    """What of an event decides to whom it goes. A missing id matches no scope that has one."""

    tenant: str
    event_type: str
    agent: str | None = None
    bot_id: str | None = None
    workspace_id: str | None = None


_NARROWEST = tuple(ScopeType)


def resolve(bindings: Iterable[Binding], event: Addressed) -> Binding:
    """The one binding that an event is for.

    Raises TenureError `no_binding` if none matches, `ambiguous_binding` if several are equally narrow.
    """
    matching = [binding for binding in bindings if _matches(binding, event)]
    if not matching:
        raise _none(event)
    narrowest = min(_NARROWEST.index(binding.scope.type) for binding in matching)
    best = [binding for binding in matching if _NARROWEST.index(binding.scope.type) == narrowest]
    if len(best) > 1:
        raise _several(event, best)
    return best[0]


def _matches(binding: Binding, event: Addressed) -> bool:
    return (
        binding.enabled
        and binding.tenant == event.tenant
        and (event.event_type in binding.event_types or ANY in binding.event_types)
        and _in_scope(binding.scope, event)
    )


def _in_scope(scope: BindingScope, event: Addressed) -> bool:
    named = {
        ScopeType.AGENT: event.agent,
        ScopeType.BOT: event.bot_id,
        ScopeType.WORKSPACE: event.workspace_id,
    }
    if scope.type is ScopeType.GLOBAL:
        return True
    return scope.id is not None and named[scope.type] == scope.id


def _none(event: Addressed) -> TenureError:
    return TenureError(
        Code.NO_BINDING,
        f"No enabled binding of tenant {event.tenant!r} takes an event of type {event.event_type!r} with "
        f"agent {event.agent!r}, bot {event.bot_id!r} and workspace {event.workspace_id!r}. "
        "GET /v1/bindings lists what there is; the operator adds one to tenure.toml.",
        event_type=event.event_type,
        agent=event.agent,
        bot_id=event.bot_id,
        workspace_id=event.workspace_id,
    )


def _several(event: Addressed, best: list[Binding]) -> TenureError:
    names = ", ".join(sorted(binding.id for binding in best))
    return TenureError(
        Code.AMBIGUOUS_BINDING,
        f"The bindings {names} of scope {best[0].scope.type} all take this {event.event_type!r}, and none "
        "is narrower. Nothing was admitted; have the operator disable all but one, or narrow one of them.",
        bindings=names,
        scope=best[0].scope.type,
    )


def role_of(binding: Binding, posting: Role, actor: Party | None) -> Role:
    """The authority of an event's message: that of the key which posts it, cut for the event's actor.

    The narrowest rule for the actor counts: type and id, then the id alone, then anybody. Without any,
    nothing is cut. A rule never gives more than the key has.
    """
    rules = [rule for rule in binding.actor_roles if _is_for(rule, actor)]
    if not rules:
        return posting
    narrowest = max(rules, key=_narrowness)
    return weaker(posting, narrowest.role)


def _is_for(rule: ActorRole, actor: Party | None) -> bool:
    if rule.id is None:
        return True
    return actor is not None and rule.id == actor.id and rule.type in (None, actor.type)


def _narrowness(rule: ActorRole) -> int:
    return (rule.id is not None) + (rule.type is not None)


def actor_role(name: str, role: Role) -> ActorRole:
    """The rule that an operator writes as `*`, `ID` or `TYPE:ID`.

    The first colon parts type and id, so an id that holds one is written with its type.
    """
    if name == ANY:
        return ActorRole(role=role)
    kind, colon, rest = name.partition(":")
    return ActorRole(role=role, type=kind, id=rest) if colon else ActorRole(role=role, id=name)


def delivered(policy: DeliveryPolicy, given: Delivery | None) -> Delivery:
    """How an answer may be delivered: what the platform can, cut by what the binding allows."""
    can = given or Delivery()
    sizes = [size for size in (can.max_message_size, policy.max_message_size) if size is not None]
    return msgspec.structs.replace(
        can,
        reply=can.reply and policy.enable_reply,
        reply_target=can.reply_target if policy.enable_reply else None,
        supports_streaming=can.supports_streaming and policy.enable_streaming,
        max_message_size=min(sizes) if sizes else None,
    )


def check_bindings(bindings: Iterable[Binding], agents: Iterable[str]) -> tuple[Binding, ...]:
    """The bindings, if a host with these agents can serve them. Raises ConfigError that names the fault."""
    known, seen = sorted(agents), set[str]()
    checked = tuple(bindings)
    for binding in checked:
        place = f"The binding {binding.id!r}"
        if binding.id in seen:
            raise ConfigError(f"{place} is there twice. Give each binding an id of its own.")
        seen.add(binding.id)
        if binding.agent not in known:
            names = ", ".join(known) or "none"
            raise ConfigError(
                f"{place} is for the agent {binding.agent!r}, which this host doesn't have. It has: {names}."
            )
        _check_scope(place, binding.scope)
    return checked


def _check_scope(place: str, scope: BindingScope) -> None:
    if scope.type is ScopeType.GLOBAL and scope.id is not None:
        raise ConfigError(
            f"{place} has scope global with the id {scope.id!r}. Leave the id out: a global binding takes "
            "the events of its whole tenant."
        )
    if scope.type is not ScopeType.GLOBAL and not scope.id:
        raise ConfigError(
            f"{place} has scope {scope.type} without an id. Name the {scope.type} that it is for."
        )
