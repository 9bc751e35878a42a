"""Who acts, and what a role may do. Authority is a role in a tenant; no name is magic."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

DEFAULT_TENANT = "default"


class Role(StrEnum):
    """What a key may do in its tenant, strongest first."""

    ADMIN = "admin"
    OPERATOR = "operator"
    MEMBER = "member"
    VIEWER = "viewer"


class Action(StrEnum):
    """What a route does to its resource. Each route declares one."""

    READ = "read"
    WRITE = "write"
    CONNECT = "connect"
    MANAGE = "manage"
    DRAIN = "drain"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A user or service in a tenant, as one key presents it. `root` is the bootstrap admin of the host.

    `sign_in` names the signed-in browser through which the key is used, if it is one. Whoever reads by a
    share is nobody's user: `session` is the one session that exists for them, and `user` and `key_id` name
    the share.
    """

    tenant: str
    user: str
    role: Role
    key_id: str
    root: bool = False
    sign_in: str | None = None
    session: str | None = None


class Author(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a principal that a message keeps: whose authority its run will have at most."""

    tenant: str
    user: str
    role: Role


_ACTIONS: dict[Role, frozenset[Action]] = {
    Role.ADMIN: frozenset({Action.READ, Action.WRITE, Action.CONNECT, Action.MANAGE}),
    Role.OPERATOR: frozenset({Action.READ, Action.WRITE, Action.CONNECT}),
    Role.MEMBER: frozenset({Action.READ, Action.WRITE}),
    Role.VIEWER: frozenset({Action.READ}),
}


def may(principal: Principal, action: Action) -> bool:
    """Whether the principal's role has the action at all. The bootstrap admin has every action."""
    return principal.root or action in _ACTIONS[principal.role]


def reaches(principal: Principal, tenant: str, owner: str) -> bool:
    """Whether something of `owner` in `tenant` exists for this principal. Where not, it gets a 404.

    Admins and operators reach their tenant, members and viewers what is their own user's, and the
    bootstrap admin everything.
    """
    if principal.root:
        return True
    if principal.tenant != tenant or principal.session is not None:
        return False
    return principal.role in (Role.ADMIN, Role.OPERATOR) or principal.user == owner


def reaches_session(principal: Principal, session_id: str, tenant: str, owner: str) -> bool:
    """The same for a session. A share reaches the session that it was made for, and nothing else."""
    if principal.session is not None:
        return principal.session == session_id
    return reaches(principal, tenant, owner)


def reach(principal: Principal) -> tuple[str | None, str | None]:
    """The tenant and the owner that a list is limited to, None for any: what `reaches` says, as a filter."""
    if principal.root:
        return None, None
    everybody = principal.role in (Role.ADMIN, Role.OPERATOR)
    return principal.tenant, None if everybody else principal.user


def author_of(principal: Principal) -> Author:
    """What a message keeps of the principal who sent it."""
    return Author(tenant=principal.tenant, user=principal.user, role=principal.role)


def may_stop(principal: Principal, owner: str, author: str) -> bool:
    """Whether a principal who reaches a session may stop its run, made by `author`'s message.

    Its author, the session's owner, operators and admins may.
    """
    if principal.root or principal.role in (Role.ADMIN, Role.OPERATOR):
        return True
    return may(principal, Action.WRITE) and principal.user in (owner, author)


_ORDER = (Role.VIEWER, Role.MEMBER, Role.OPERATOR, Role.ADMIN)


def weaker(one: Role, other: Role) -> Role:
    """The weaker of two roles: what is left when rights at admission meet rights now."""
    return min(one, other, key=_ORDER.index)


def includes(role: Role, needed: Role) -> bool:
    """Whether `role` is at least as strong as `needed`."""
    return _ORDER.index(role) >= _ORDER.index(needed)


def by_strength(roles: Iterable[Role]) -> tuple[Role, ...]:
    """The different ones of these roles, the strongest first."""
    return tuple(sorted(set(roles), key=_ORDER.index, reverse=True))


def strongest(roles: list[Role]) -> Role | None:
    """The strongest of the roles that a user's living keys have, or None if there are none."""
    return max(roles, key=_ORDER.index) if roles else None
