"""Instants as whole microseconds since 1970 UTC, and their one text form on the wire."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NewType

Micros = NewType("Micros", int)
"""Microseconds since 1970-01-01T00:00:00Z."""

SECOND = 1_000_000


@lru_cache(maxsize=8)
def second(whole: int) -> bytes:
    """A whole second since 1970 UTC as the first part of its text form, for those who format many."""
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def timestamp(at: Micros) -> str:
    """`at` in RFC 3339 with six decimals and a Z: 2026-11-20T20:10:00.123456Z."""
    whole, rest = divmod(at, SECOND)
    return f"{second(whole).decode()}.{rest:06d}Z"


def micros(text: str) -> Micros:
    """The instant that an RFC 3339 text names. Raises ValueError if it names none or has no offset."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError(f"The time {text!r} has no time zone. End it with Z or an offset.")
    delta = parsed.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return Micros((delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds)
