"""Questions about schedules and their occurrences."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TypedDict, Unpack

import msgspec

from tenure.client.calls.asking import Asking, get, path_to, post
from tenure.client.face import many, once
from tenure.client.wires import Request
from tenure.core.content import Content
from tenure.core.recall import Missed, Overlap, RecallKind
from tenure.core.schedule import ScheduleState
from tenure.core.scheduling import OccurrenceInfo, Preview, ScheduleInfo


class ScheduleTiming(TypedDict, total=False):
    """When it fires: exactly one of `at`, `in_s`, `every_s` and `cron`.

    Instants are texts with an offset or datetimes with a zone. The grid of `every_s` begins at `anchor`, by
    default now; `timezone` is an IANA name, for `cron` alone, by default UTC.
    """

    at: str | datetime | None
    in_s: float | None
    every_s: float | None
    anchor: str | datetime | None
    cron: str | None
    timezone: str | None


class ScheduleTerms(ScheduleTiming, total=False):
    """When it fires, and how its occurrences are treated. Times ending in `_s` are in seconds.

    `missed` says which occurrences are admitted late after an outage or a rest: none, the newest, or the
    newest `missed_max`. `overlap` is what one does that finds its session busy. `jitter_s` spreads them, each
    by its own share. A failed one is admitted again `retries` times, after `backoff_s`, then twice that;
    `pause_after_failures` in a row let the schedule rest, 0 never does.
    """

    missed: Missed
    missed_max: int
    overlap: Overlap
    jitter_s: float
    max_runs: int | None
    ends_at: str | datetime | None
    retries: int
    backoff_s: float
    pause_after_failures: int


class ScheduleChanges(ScheduleTerms, total=False):
    """What can be changed. None takes `name`, `max_runs` and `ends_at` away; a timing is replaced whole."""

    message: Content
    name: str | None
    kind: RecallKind


class ScheduleCalls(Asking):
    """Have things said later, once or again and again, and see what became of each occurrence."""

    @once
    async def create_schedule(
        self,
        message: Content,
        *,
        session_id: str | None = None,
        agent: str | None = None,
        name: str | None = None,
        kind: RecallKind = RecallKind.TASK,
        idempotency_key: str | None = None,
        **terms: Unpack[ScheduleTerms],
    ) -> ScheduleInfo:
        """Have `message` said later: in a session, or in a new one with `agent` for each occurrence.

        A task is a message to the agent; a reminder is said as it stands. Raises TenureError `invalid`, which
        names what is wrong with the timing, and `capacity`.
        """
        whose = {"session_id": session_id, "agent": agent, "name": name}
        ask = {"message": message, "kind": kind, **_given(whose), **terms}
        return await self._line.ask(post(ask, idempotency_key, "schedules"), ScheduleInfo)

    @once
    async def preview_schedule(
        self,
        *,
        count: int = 5,
        session_id: str | None = None,
        agent: str | None = None,
        **terms: Unpack[ScheduleTerms],
    ) -> Preview:
        """What a schedule would do, in words and in its next `count` instants. Nothing is made.

        Raises TenureError `invalid` for what `create_schedule` would refuse.
        """
        ask = {"count": count, **_given({"session_id": session_id, "agent": agent}), **terms}
        return await self._line.ask(post(ask, None, "schedules", "preview"), Preview)

    @many
    def schedules(
        self,
        *,
        status: ScheduleState | None = None,
        session_id: str | None = None,
        agent: str | None = None,
    ) -> AsyncGenerator[ScheduleInfo, None]:
        """Every schedule that the caller reaches, newest first; cancelled ones only if asked for."""
        wanted = _given({"status": status, "session_id": session_id, "agent": agent})
        return self._pages(ScheduleInfo, "schedules", query=wanted.items())

    @once
    async def schedule(self, schedule_id: str) -> ScheduleInfo:
        """One schedule, with its next instant and the last occurrence."""
        return await self._line.ask(get("schedules", schedule_id), ScheduleInfo)

    @once
    async def update_schedule(self, schedule_id: str, **changes: Unpack[ScheduleChanges]) -> ScheduleInfo:
        """Change a schedule. What is left out stays.

        Raises TenureError `conflict` for one that is over, `forbidden` if somebody else made it.
        """
        body = msgspec.json.encode(changes)
        request = Request("PATCH", path_to("schedules", schedule_id), body=body)
        return await self._line.ask(request, ScheduleInfo)

    @once
    async def pause_schedule(self, schedule_id: str, *, idempotency_key: str | None = None) -> ScheduleInfo:
        """Let a schedule rest."""
        return await self._line.ask(_turn(schedule_id, "pause", idempotency_key), ScheduleInfo)

    @once
    async def resume_schedule(self, schedule_id: str, *, idempotency_key: str | None = None) -> ScheduleInfo:
        """Let a schedule go on. What it missed meanwhile is treated as its `missed` says."""
        return await self._line.ask(_turn(schedule_id, "resume", idempotency_key), ScheduleInfo)

    @once
    async def trigger_schedule(
        self, schedule_id: str, *, idempotency_key: str | None = None
    ) -> OccurrenceInfo:
        """Have an extra occurrence now, whatever the timing says; also of a schedule that rests or is done.

        Raises TenureError `conflict` if it was cancelled, `session_closed`, `capacity`.
        """
        return await self._line.ask(_turn(schedule_id, "trigger", idempotency_key), OccurrenceInfo)

    @once
    async def delete_schedule(self, schedule_id: str) -> None:
        """End a schedule. What became of its occurrences can still be read."""
        await self._line.send(Request("DELETE", path_to("schedules", schedule_id)), gone=True)

    @many
    def occurrences(self, schedule_id: str) -> AsyncGenerator[OccurrenceInfo, None]:
        """The occurrence that comes next, then what became of every other, newest first."""
        return self._pages(OccurrenceInfo, "schedules", schedule_id, "occurrences")


def _turn(schedule_id: str, verb: str, key: str | None) -> Request:
    return post({}, key, "schedules", schedule_id, verb)


def _given(values: dict[str, str | None]) -> dict[str, str]:
    """Those that aren't None, as plain texts."""
    return {name: str(value) for name, value in values.items() if value is not None}
