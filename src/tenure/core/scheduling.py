"""What a principal may ask about schedules, and what it gets: bodies and answers of `/v1/schedules`."""

from typing import Annotated, TypeAlias

import msgspec

from tenure.core.command import Ask, Name, Seconds, Title
from tenure.core.content import Content
from tenure.core.recall import Missed, Overlap, RecallKind
from tenure.core.view import View

Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Every: TypeAlias = Annotated[float, msgspec.Meta(ge=1, le=31_536_000_000)]
"""Seconds between two occurrences: a second at least, a thousand years at most."""
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Jitter: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class When(Ask, frozen=True, kw_only=True):
    """When it fires: exactly one of `at`, `in_s`, `every_s` and `cron`.

    `at`, `anchor` and `ends_at` are instants with an offset. An interval's grid begins at `anchor`, by
    default now. `timezone` is an IANA name, for `cron` alone, by default UTC.
    """

    at: Text | None = None
    in_s: Seconds | None = None
    every_s: Every | None = None
    anchor: Text | None = None
    cron: Text | None = None
    timezone: Text | None = None


class Policies(When, frozen=True, kw_only=True):
    """When it fires, and how its occurrences are treated."""

    missed: Missed = Missed.ONCE
    missed_max: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    overlap: Overlap = Overlap.QUEUE
    jitter_s: Jitter = 0.0
    max_runs: Count | None = None
    ends_at: Text | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    backoff_s: Annotated[float, msgspec.Meta(gt=0, le=3_600)] = 30.0
    pause_after_failures: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 5


class CreateSchedule(Policies, frozen=True, kw_only=True):
    """Have `message` said later: in a session, or in a new one with `agent` for each occurrence.

    A `task` is a message to the agent; a `reminder` is said as it stands, and no agent is asked.
    """

    message: Content
    session_id: str | None = None
    agent: Name | None = None
    name: Title | None = None
    kind: RecallKind = RecallKind.TASK


class Recall(Policies, frozen=True, kw_only=True):
    """What a run asks to have said later, in its own session."""

    message: Content
    name: Title | None = None
    kind: RecallKind = RecallKind.TASK


class PreviewSchedule(Policies, frozen=True, kw_only=True):
    """What a schedule would do, without making it: the same body, and how many instants to tell.

    The timing is enough; whatever else is given is checked as if the schedule were made.
    """

    message: Content | None = None
    session_id: str | None = None
    agent: Name | None = None
    name: Title | None = None
    kind: RecallKind = RecallKind.TASK
    count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5


class UpdateSchedule(Ask, frozen=True, kw_only=True):
    """Change a schedule. What is left out stays; `name`, `max_runs` and `ends_at` are taken away by null.

    Naming one of `at`, `in_s`, `every_s` and `cron` replaces the whole timing, but that a cron expression
    keeps its time zone. `timezone` or `anchor` alone change no more than that.
    """

    message: Content | msgspec.UnsetType = msgspec.UNSET
    name: Title | msgspec.UnsetType | None = msgspec.UNSET
    kind: RecallKind | msgspec.UnsetType = msgspec.UNSET
    at: Text | None = None
    in_s: Seconds | None = None
    every_s: Every | None = None
    anchor: Text | None = None
    cron: Text | None = None
    timezone: Text | None = None
    missed: Missed | msgspec.UnsetType = msgspec.UNSET
    missed_max: Annotated[int, msgspec.Meta(ge=1, le=100)] | msgspec.UnsetType = msgspec.UNSET
    overlap: Overlap | msgspec.UnsetType = msgspec.UNSET
    jitter_s: Jitter | msgspec.UnsetType = msgspec.UNSET
    max_runs: Count | msgspec.UnsetType | None = msgspec.UNSET
    ends_at: Text | msgspec.UnsetType | None = msgspec.UNSET
    retries: Annotated[int, msgspec.Meta(ge=0, le=100)] | msgspec.UnsetType = msgspec.UNSET
    backoff_s: Annotated[float, msgspec.Meta(gt=0, le=3_600)] | msgspec.UnsetType = msgspec.UNSET
    pause_after_failures: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | msgspec.UnsetType = msgspec.UNSET


class PauseSchedule(Ask, frozen=True, kw_only=True):
    """Let a schedule rest. There is nothing to choose."""


class ResumeSchedule(Ask, frozen=True, kw_only=True):
    """Let a schedule go on. There is nothing to choose."""


class TriggerSchedule(Ask, frozen=True, kw_only=True):
    """Have an occurrence now. There is nothing to choose."""


class OccurrenceInfo(View, frozen=True, kw_only=True):
    """One occurrence: when it was due, what became of it and why, and how its run ended.

    The next one to come is in state `due`. `attempts` counts its messages, `manual` says that somebody asked.
    """

    id: str
    schedule_id: str
    due_at: str
    state: str
    reason: str | None = None
    manual: bool = False
    session_id: str | None = None
    message_id: str | None = None
    run_id: str | None = None
    outcome: str | None = None
    attempts: int = 0
    retry_at: str | None = None
    seen_at: str | None = None


class ScheduleInfo(View, frozen=True, kw_only=True):
    """A schedule as lists and readers see it.

    `next_at` is the next nominal instant, None if it rests or is over, and `reason` says why it does.
    `runs` counts admitted occurrences, `failures` those that failed one after the other. `made_by` is the
    run that made it, `last` the newest occurrence that was admitted, skipped or missed.
    """

    id: str
    session_id: str | None
    agent: str
    tenant: str
    owner: str
    name: str | None
    kind: str
    message: Content
    status: str
    reason: str | None
    next_at: str | None
    explanation: str
    at: str | None
    every_s: float | None
    anchor: str | None
    cron: str | None
    timezone: str | None
    missed: str
    missed_max: int
    overlap: str
    jitter_s: float
    max_runs: int | None
    ends_at: str | None
    retries: int
    backoff_s: float
    pause_after_failures: int
    runs: int
    failures: int
    made_by: str | None
    last: OccurrenceInfo | None
    created_at: str
    updated_at: str


class Preview(View, frozen=True, kw_only=True):
    """A schedule in words, and its next instants, with the offset of its time zone.

    `warnings` tell what people are surprised by, such as a local time that doesn't exist on one of the days.
    """

    explanation: str
    next: tuple[str, ...]
    warnings: tuple[str, ...] = ()
