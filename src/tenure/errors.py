"""What may go wrong, in one short list of codes.

Every refusal in Tenure is a `TenureError` with a code from `Code`. Its text says what happened, with
which value, and the way out. The HTTP layer maps codes to statuses in one table; nobody else does.
"""

from enum import StrEnum
from typing import TypeAlias

Fact: TypeAlias = str | int | float | bool | None


class Code(StrEnum):
    """The codes a client may meet. They are part of the public contract and never change meaning."""

    BAD_REQUEST = "bad_request"
    BAD_CURSOR = "bad_cursor"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    BAD_HOST = "bad_host"
    BAD_ORIGIN = "bad_origin"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNKNOWN_AGENT = "unknown_agent"
    SESSION_CLOSED = "session_closed"
    BUSY = "busy"
    NOT_RUNNING = "not_running"
    NOT_WAITING = "not_waiting"
    PRECONDITION_FAILED = "precondition_failed"
    STALE = "stale"
    ALREADY_RESOLVED = "already_resolved"
    RETIRED = "retired"
    NO_BINDING = "no_binding"
    AMBIGUOUS_BINDING = "ambiguous_binding"
    EFFECT_CONFLICT = "effect_conflict"
    OUTCOME_UNKNOWN = "outcome_unknown"
    DENIED = "denied"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    MESSAGE_CONFLICT = "message_conflict"
    CURSOR_AHEAD = "cursor_ahead"
    HISTORY_CHANGED = "history_changed"
    CAPACITY = "capacity"
    RATE_LIMITED = "rate_limited"
    UNSUPPORTED = "unsupported"
    RUNNER_UNAVAILABLE = "runner_unavailable"
    DRAINING = "draining"
    STORE_UNAVAILABLE = "store_unavailable"
    STORE_FULL = "store_full"
    FENCED = "fenced"
    CONFLICT = "conflict"
    INTERNAL = "internal"


class TenureError(Exception):
    """A refusal with a code, a sentence for people, and facts for programs.

    `detail` says what happened, with which value, and the way out. `facts` become top-level fields of
    the HTTP problem (for example `scope`, `limit` and `current` of a `capacity` refusal).
    """

    def __init__(self, code: Code, detail: str, **facts: Fact) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.facts = facts


class IllegalTransition(RuntimeError):
    """A state machine was given a signal that its state doesn't know. A bug, never a user's fault."""


class ConfigError(Exception):
    """The operator's configuration can't be used. The text names the setting and the way out."""
