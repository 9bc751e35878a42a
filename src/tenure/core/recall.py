"""Recalls: the policies of a schedule, and what becomes of the instants that are due.

A schedule names instants; each that comes is an occurrence, and is admitted as a message at most once.
Everything here is decided from values: the acts of the store and the room that keeps the timer ask it.
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.schedule import OccurrenceState

RECALL = "recall"
"""The kind of trigger of a run that a schedule makes."""

WITHDRAWN = "withdrawn"
"""The outcome of an occurrence whose message was withdrawn before a run took it."""

LATE = SECOND
"""An occurrence that is first seen more than this after it was due is missed, in microseconds."""

MOST_DEPTH = 3
"""How deep schedules may be nested that the runs of schedules make."""

MOST_BACKOFF_S = 3_600.0


class RecallKind(StrEnum):
    """What a schedule brings into the session: work for the agent, or a text that is said as it stands."""

    TASK = "task"
    REMINDER = "reminder"


class Missed(StrEnum):
    """Which of the missed occurrences are admitted late."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class Overlap(StrEnum):
    """What an occurrence does that finds its session busy."""

    QUEUE = "queue"
    SKIP = "skip"


class Reason(StrEnum):
    """Why a schedule is paused, done or cancelled, or why an occurrence was left out."""

    ASKED = "asked"
    FAILURES = "failures"
    PRINCIPAL_GONE = "principal_gone"
    FORBIDDEN = "forbidden"
    UNKNOWN_AGENT = "unknown_agent"
    SESSION_CLOSED = "session_closed"
    SESSION_DELETED = "session_deleted"
    FINISHED = "finished"
    LATE = "late"
    PAUSED = "paused"
    OVERLAP = "overlap"
    CAPACITY = "capacity"
    REFUSED = "refused"
    TIMETABLE = "timetable"
    ERROR = "error"


class RecallPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a schedule treats its occurrences. Seconds, and microseconds for `ends_at`.

    `missed_max` is how many missed ones `missed: all` admits; `pause_after_failures` 0 means never.
    """

    missed: Missed = Missed.ONCE
    missed_max: int = 10
    overlap: Overlap = Overlap.QUEUE
    jitter_s: float = 0.0
    max_runs: int | None = None
    ends_at: Micros | None = None
    retries: int = 0
    backoff_s: float = 30.0
    pause_after_failures: int = 5


class Judged(NamedTuple):
    """What becomes of one instant: `admitted` if it is to be, else `missed`, and why."""

    due_at: Micros
    state: OccurrenceState
    reason: Reason | None


class Instant(NamedTuple):
    """A nominal instant, and when it is to be looked at: later by its jitter."""

    due_at: Micros
    wake_at: Micros


def occurrence_id(schedule_id: str, due_at: Micros) -> str:
    """The id of an occurrence: its schedule and its nominal instant."""
    return f"{schedule_id}@{timestamp(due_at)}"


def asked_id(schedule_id: str, at: Micros) -> str:
    """The id of an occurrence that somebody asked for at an instant, which may be a nominal one too."""
    return f"{occurrence_id(schedule_id, at)}~asked"


def wake_at(schedule_id: str, due_at: Micros, jitter_s: float) -> Micros:
    """When an occurrence is to be looked at: spread evenly over `jitter_s`, the same whoever asks."""
    if not jitter_s:
        return due_at
    digest = hashlib.sha256(f"{schedule_id}@{due_at}".encode()).digest()
    share = int.from_bytes(digest[:8]) / (1 << 64)
    return Micros(due_at + int(share * jitter_s * SECOND))


def backoff(policy: RecallPolicy, attempts: int) -> Micros:
    """How long after the failure of so many attempts the next one begins: doubling, at most an hour."""
    doubled = policy.backoff_s * 2.0 ** min(attempts - 1, 30)
    return Micros(round(min(doubled, MOST_BACKOFF_S) * SECOND))


def judge(
    instants: Sequence[Instant],
    since: Micros,
    policy: RecallPolicy,
    *,
    paused: tuple[Micros, Micros] | None,
) -> list[Judged]:
    """What becomes of the instants that have come, oldest first, none of which was looked at before.

    Those that wanted to be looked at by `since` are late; all others are admitted. Of the late ones `missed`
    admits none, the newest if nothing newer is admitted, or the newest, with which there are `missed_max`.
    `paused` is the last time in which the schedule rested.
    """
    timely = sum(instant.wake_at > since for instant in instants)
    oldest = len(instants) - _admitted(len(instants), policy, timely)
    return [
        Judged(
            instant.due_at,
            OccurrenceState.ADMITTED if place >= oldest else OccurrenceState.MISSED,
            None if instant.wake_at > since else _why(instant, paused),
        )
        for place, instant in enumerate(instants)
    ]


def _admitted(count: int, policy: RecallPolicy, timely: int) -> int:
    """How many of the newest instants are admitted."""
    match policy.missed:
        case Missed.SKIP:
            return timely
        case Missed.ONCE:
            return max(min(count, 1), timely)
        case Missed.ALL:
            return max(min(count, policy.missed_max), timely)


def _why(instant: Instant, paused: tuple[Micros, Micros] | None) -> Reason:
    rested = paused is not None and paused[0] <= instant.wake_at <= paused[1]
    return Reason.PAUSED if rested else Reason.LATE
