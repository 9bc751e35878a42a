"""Limits, their generous defaults, and the one way in which they refuse."""

import msgspec

from tenure.errors import Code, TenureError


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one host or cluster accepts. 0 means none allowed; a missing setting means the default."""

    open_sessions: int = 100_000
    open_sessions_per_user: int = 1_000
    live_runs: int = 256
    live_runs_per_user: int = 64
    queued_messages_per_session: int = 100
    schedules_per_user: int = 1_000
    streams_per_user: int = 1_000
    commands_per_minute: int | None = None
    approval_ttl_s: int = 86_400
    hold_s: float = 900.0
    held_runs: int = 1_000
    files_per_session: int = 1_000
    files_bytes_per_session: int = 1 << 30


def full(scope: str, noun: str, limit: int, current: int, way_out: str) -> TenureError:
    """The refusal of something that is at its limit. `scope` is global, per_user or per_session."""
    detail = (
        f"The limit of {limit} {noun} ({scope.replace('_', ' ')}) is reached: {current} are in use. {way_out}"
    )
    return TenureError(Code.CAPACITY, detail, scope=scope, limit=limit, current=current)
