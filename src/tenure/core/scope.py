"""State: whose it is, who may use it, what may stand in it. Pure rules, which store and host apply.

State belongs to an identity: a tuple that begins with the tenant and the agent and goes on with the parts of
its scope, hashed over canonical JSON. A part that is missing stands as null, so no two tuples look alike.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, NamedTuple, TypeAlias, cast

import msgspec

from tenure.core.content import storable
from tenure.core.grant import StatePolicy
from tenure.core.limits import full
from tenure.core.origin import Origin
from tenure.core.principal import Author, Principal, Role
from tenure.errors import Code, TenureError

MAX_KEY = 200
"""Characters of a key."""

MAX_VALUE_BYTES = 256 * 1024
"""Bytes of one value, as JSON."""

MAX_KEYS = 1_000
"""Keys in the state of one identity."""

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of all values in the state of one identity."""

MAX_DEPTH = 64
LONGEST_TTL_S = 31_536_000.0

EXTERNAL_ID = "external.conversation_id"
"""The key under which a platform's id of the conversation is kept. It is a value, and part of no identity."""

ALIASES: Mapping[str, str] = {"conversation_id": EXTERNAL_ID}

Json: TypeAlias = Annotated[object, msgspec.Meta(extra_json_schema={"description": "Any JSON value."})]


class Scope(StrEnum):
    """With whom state is shared, from the closest to the widest."""

    CONVERSATION = "conversation"
    ACTOR = "actor"
    SUBJECT = "subject"
    RUNNER = "runner"


SCOPES = tuple(Scope)


# --- whose


class Someone(NamedTuple):
    """A person or thing: of an outside platform, or, without one, a user of the tenant."""

    type: str
    id: str
    bot_id: str | None = None
    workspace_id: str | None = None


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """The session through which state is used. `conversation` is the identity a platform gave it, if any.

    `claimant` is the user who named that conversation without the right to speak for a platform, None if
    whoever named it has the right: an id is no authority over what others keep under it.
    """

    session_id: str
    tenant: str
    agent: str
    conversation: dict[str, str] | None = None
    claimant: str | None = None

    @property
    def external_id(self) -> str | None:
        """The platform's id of the conversation; an empty one is none."""
        return self._part("conversation_id")

    def outside(self, kind: str, name: str) -> Someone:
        """Somebody of the platform that the session belongs to, or of the tenant if it belongs to none."""
        return Someone(kind, name, self._part("bot_id"), self._part("workspace_id"))

    def parts(self) -> tuple[str | None, ...]:
        """What the platform's identity of the conversation consists of."""
        return tuple(self._part(name) for name in ("bot_id", "workspace_id", "conversation_id", "thread_id"))

    def _part(self, name: str) -> str | None:
        return (self.conversation or {}).get(name) or None


class Parties(NamedTuple):
    """Who acts and whom or what it is about, as far as that is known."""

    actor: Someone | None = None
    subject: Someone | None = None


def parties_of_run(setting: Setting, origin: Origin, author: Author) -> Parties:
    """Actor and subject of a run. An event that names no actor has none: its poster doesn't stand in."""
    inside = origin.event_id is None and origin.binding_id is None
    bot = origin.bot_id or setting.outside("", "").bot_id
    workspace = origin.workspace_id or setting.outside("", "").workspace_id
    actor, subject = (
        Someone(party.type, party.id, bot, workspace) if party and party.type and party.id else None
        for party in (origin.actor, origin.subject)
    )
    if actor is None and origin.actor is None and inside:
        actor = Someone("user", author.user)
    return Parties(actor, subject)


def parties_of_caller(setting: Setting, by: Principal, actor: str | None, subject: str | None) -> Parties:
    """Actor and subject that a caller means: itself, or who is named as `type:id`.

    State of somebody else is for operators and admins. Raises TenureError `forbidden` or `invalid`.
    """
    own = Someone("user", by.user)
    named = None if actor is None else _named(setting, actor, "actor")
    about = None if subject is None else _named(setting, subject, "subject")
    others = about is not None or (named is not None and named != own)
    if others and not _is_operator(by):
        raise _refused(
            Code.FORBIDDEN,
            f"A key with role {by.role} reaches only its own user's state. Leave {_which(actor)} out, "
            "or use a key with role operator or admin.",
            "not_yours",
        )
    return Parties(named or own, about)


def _which(actor: str | None) -> str:
    return "subject" if actor is None else "actor"


def _is_operator(by: Principal) -> bool:
    return by.root or by.role in (Role.ADMIN, Role.OPERATOR)


def _named(setting: Setting, text: str, field: str) -> Someone:
    kind, colon, name = text.partition(":")
    if not (kind and colon and name):
        raise _refused(
            Code.INVALID,
            f"{field} is {text[:100]!r}. Send the type and the id with a colon between them, as in user:ada.",
            "bad_identity",
            field=field,
        )
    return setting.outside(kind, name)


class Place(NamedTuple):
    """One identity in one scope. `own` says that it lives and dies with its session."""

    scope: Scope
    digest: str
    own: bool = False


def place(setting: Setting, parties: Parties, scope: Scope) -> Place:
    """Where the state of a scope is kept. Raises TenureError `invalid` if nobody knows whose it would be."""
    own = scope is Scope.CONVERSATION and setting.external_id is None
    return Place(scope, digest(identity(setting, parties, scope)), own)


def identity(setting: Setting, parties: Parties, scope: Scope) -> tuple[str | None, ...]:
    """The tuple that state belongs to. Raises TenureError `invalid` for a missing actor or subject."""
    base = (setting.tenant, setting.agent, scope)
    match scope:
        case Scope.CONVERSATION:
            if setting.external_id is None:
                return (*base, "session", setting.session_id)
            if setting.claimant is not None:
                return (*base, "claimed", setting.claimant, *setting.parts())
            return (*base, "outside", *setting.parts())
        case Scope.ACTOR:
            return (*base, *_known(parties.actor, scope))
        case Scope.SUBJECT:
            return (*base, *_known(parties.subject, scope))
        case Scope.RUNNER:
            return base


def _known(someone: Someone | None, scope: Scope) -> Someone:
    if someone is not None:
        return someone
    raise _refused(
        Code.INVALID,
        f"There is no {scope} here, so nobody knows whose {scope} state this would be. "
        f"Send an event that names its {scope}, or name one as type:id.",
        "identity_missing",
        scope=scope,
    )


def digest(identity: tuple[str | None, ...]) -> str:
    """SHA-256 over the canonical JSON of an identity, in hex."""
    return hashlib.sha256(msgspec.json.encode(["state", 1, *identity])).hexdigest()


# --- who may


def check_policy(policy: StatePolicy, scope: str) -> Scope:
    """The scope by its name, if runs under `policy` have it.

    Raises TenureError: `forbidden` if there is no state or not this scope, `invalid` if no scope has
    this name.
    """
    if not policy.enabled:
        raise _refused(
            Code.FORBIDDEN,
            "This agent keeps no state. Its operator can enable it: state = { enabled = true }.",
            "state_disabled",
        )
    if scope not in SCOPES:
        raise _refused(
            Code.INVALID,
            f"There is no scope {scope[:100]!r}. Use one of: {', '.join(SCOPES)}.",
            "unknown_scope",
            field="scope",
        )
    if scope not in policy.scopes:
        enabled = ", ".join(policy.scopes) or "none"
        raise _refused(
            Code.FORBIDDEN,
            f"This agent has no {scope} state; enabled are: {enabled}. "
            "Its operator can add the scope to state.scopes.",
            "scope_not_enabled",
            scope=scope,
        )
    return Scope(scope)


# --- what


def check_key(key: str) -> str:
    """The key under which a value is kept: aliases are resolved. Raises TenureError `invalid`."""
    name = ALIASES.get(key, key)
    if not 0 < len(name) <= MAX_KEY:
        raise _refused(
            Code.INVALID,
            f"The key has {len(name)} characters. Use 1 to {MAX_KEY}.",
            "bad_key",
            field="key",
        )
    if any(_is_control(c) for c in name):
        raise _refused(
            Code.INVALID,
            f"The key {name!r} holds control characters or half of a surrogate pair. Use it without.",
            "bad_key",
            field="key",
        )
    return name


def _is_control(c: str) -> bool:
    return c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff"


def encoded(value: object) -> bytes:
    """A value as JSON. Raises TenureError: `invalid` for what isn't JSON, `too_deep`, `too_large`."""
    _check_json(value, 1)
    line = msgspec.json.encode(value)
    if len(line) > MAX_VALUE_BYTES:
        raise TenureError(
            Code.TOO_LARGE,
            f"The value has {len(line)} bytes as JSON; at most {MAX_VALUE_BYTES} are kept. "
            "Keep a file instead, and its id here.",
            limit=MAX_VALUE_BYTES,
            reason="value_too_large",
        )
    return line


def _check_json(value: object, depth: int) -> None:
    if depth > MAX_DEPTH + 1:
        raise TenureError(
            Code.TOO_DEEP, f"The value is nested more than {MAX_DEPTH} levels deep. Keep it flatter."
        )
    match value:
        case None | bool():
            pass
        case str():
            storable(value, "value")
        case int() if type(value) is int:
            pass
        case float() if math.isfinite(value):
            pass
        case list() | tuple():
            for item in cast("list[object]", value):
                _check_json(item, depth + 1)
        case dict():
            for name, item in cast("dict[object, object]", value).items():
                if not isinstance(name, str):
                    raise _not_json(name)
                storable(name, "A name in value")
                _check_json(item, depth + 1)
        case _:
            raise _not_json(value)


def _not_json(value: object) -> TenureError:
    return _refused(
        Code.INVALID,
        f"The value holds a {type(value).__name__}, which is no JSON. Use texts, finite numbers, booleans, "
        "None, lists, and dicts with texts as names.",
        "not_json",
        field="value",
    )


def check_ttl(ttl_s: float | None) -> None:
    """Raises TenureError `invalid` for a time to live that isn't between 0 and a year, in seconds."""
    if ttl_s is not None and not 0 < ttl_s <= LONGEST_TTL_S:
        raise _refused(
            Code.INVALID,
            f"The time to live is {ttl_s} s. Use more than 0 and at most {LONGEST_TTL_S:.0f}, or none.",
            "bad_ttl",
            field="ttl_s",
        )


class Expected(NamedTuple):
    """What must be there for a write to happen: one of these versions (0: nothing), or anything at all."""

    versions: tuple[int, ...] = ()
    anything: bool = False

    def check(self, key: str, version: int) -> None:
        """Raises TenureError `stale` if it doesn't hold for what is there; `version` 0 is nothing."""
        if version in self.versions or (self.anything and version):
            return
        there = f"has version {version}" if version else "isn't there"
        raise TenureError(
            Code.STALE,
            f"The key {key!r} {there}; the write was for {self}. Read it again and decide anew.",
            key=key,
            version=version,
        )

    def __str__(self) -> str:
        if self.anything:
            return "any version"
        named = ("nothing there" if v == 0 else f"version {v}" for v in self.versions)
        return " or ".join(named) or "no version"


def expected(if_version: int | None) -> Expected | None:
    """What a runner's `if_version` asks for. Raises TenureError `invalid` for a number that is none."""
    if if_version is None:
        return None
    if isinstance(if_version, bool) or if_version < 0:
        raise _refused(
            Code.INVALID,
            f"if_version is {if_version}. Use the version that was read, or 0 for none yet.",
            "bad_version",
            field="if_version",
        )
    return Expected((if_version,))


def check_room(keys: int, size: int, more: int, *, fresh: bool) -> None:
    """Raises TenureError `capacity` if an identity with so many keys and bytes has no room for `more`."""
    way_out = "Delete keys that are no longer needed."
    if fresh and keys >= MAX_KEYS:
        raise full("per_scope", "keys of state", MAX_KEYS, keys, way_out)
    if size + more > MAX_BYTES:
        raise full("per_scope", "bytes of state", MAX_BYTES, size, way_out)


def _refused(code: Code, detail: str, reason: str, **facts: str) -> TenureError:
    return TenureError(code, detail, reason=reason, **facts)


# --- what a run sees


class ScopeSnapshot(Mapping[str, object]):
    """The values of one scope at one moment. Each read gives a copy of its own: nothing can change them."""

    __slots__ = ("_lines",)

    def __init__(self, lines: Mapping[str, bytes]) -> None:
        self._lines = dict(lines)

    def __getitem__(self, key: str) -> object:
        return msgspec.json.decode(self._lines[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        return f"ScopeSnapshot({dict(self)!r})"


class Snapshot(Mapping[str, Mapping[str, object]]):
    """All four scopes at one moment, in their order. A scope that isn't enabled, or whose, is empty."""

    __slots__ = ("_scopes",)

    def __init__(self, lines: Mapping[Scope, Mapping[str, bytes]]) -> None:
        self._scopes: dict[str, ScopeSnapshot] = {s: ScopeSnapshot(lines.get(s, {})) for s in SCOPES}

    def __getitem__(self, scope: str) -> ScopeSnapshot:
        return self._scopes[scope]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scopes)

    def __len__(self) -> int:
        return len(self._scopes)

    def __repr__(self) -> str:
        return f"Snapshot({dict(self)!r})"


NO_STATE = Snapshot({})
"""What a run without state sees: four empty scopes."""


def places(policy: StatePolicy, setting: Setting, parties: Parties) -> tuple[Place, ...]:
    """Where the enabled scopes of a run are kept; those without an identity are left out."""
    if not policy.enabled:
        return ()
    known = {
        Scope.CONVERSATION: True,
        Scope.ACTOR: parties.actor is not None,
        Scope.SUBJECT: parties.subject is not None,
        Scope.RUNNER: True,
    }
    return tuple(place(setting, parties, s) for s in SCOPES if known[s] and s in policy.scopes)


def seeded(lines: dict[Scope, dict[str, bytes]], policy: StatePolicy, setting: Setting) -> Snapshot:
    """The snapshot of a run. It knows the platform's id of the conversation, if nothing else was stored."""
    known = seed(setting, Scope.CONVERSATION, EXTERNAL_ID)
    if policy.enabled and Scope.CONVERSATION in policy.scopes and known is not None:
        lines.setdefault(Scope.CONVERSATION, {}).setdefault(EXTERNAL_ID, msgspec.json.encode(known))
    return Snapshot(lines) if lines else NO_STATE


def seed(setting: Setting, scope: Scope, key: str) -> str | None:
    """What a run knows under a key although nothing is stored there: the platform's id, else None."""
    return setting.external_id if (scope, key) == (Scope.CONVERSATION, EXTERNAL_ID) else None
