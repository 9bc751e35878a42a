"""How agent code has things said later: `await run.recalls.schedule("Look again", in_s=600)`."""

from datetime import datetime
from typing import TypedDict, Unpack

import msgspec

from tenure.core.content import Content
from tenure.core.recall import Missed, Overlap, RecallKind
from tenure.core.scheduling import Preview, Recall, ScheduleInfo
from tenure.errors import Code, TenureError
from tenure.ports.runner import Recalls


class RecallTerms(TypedDict, total=False):
    """When it is said, exactly one of `at`, `in_s`, `every_s` and `cron`, and how occurrences are treated.

    Instants are texts with an offset, or datetimes with a zone; times ending in `_s` are in seconds. The grid
    of `every_s` begins at `anchor`, by default now; `timezone` is an IANA name, for `cron` alone. It ends
    after `max_runs` occurrences, or at `ends_at`. `missed` says which ones are made up for after an outage,
    `overlap` what one does that finds the session busy. A failed one is tried again `retries` times, first
    after `backoff_s`; after `pause_after_failures` in a row it rests.
    """

    at: str | datetime
    in_s: float
    every_s: float
    anchor: str | datetime
    cron: str
    timezone: str
    missed: Missed | str
    missed_max: int
    overlap: Overlap | str
    jitter_s: float
    max_runs: int
    ends_at: str | datetime
    retries: int
    backoff_s: float
    pause_after_failures: int


class RunRecalls:
    """What is said later in the run's session, in the name of whoever's message the run answers.

    Needs the right `recalls`: `@tenure.agent(..., permissions=("history", "recalls"))`. Without it everything
    here raises TenureError `forbidden`.
    """

    __slots__ = ("_recalls",)

    def __init__(self, recalls: Recalls) -> None:
        self._recalls = recalls

    async def schedule(
        self,
        message: Content,
        *,
        name: str | None = None,
        kind: RecallKind | str = RecallKind.TASK,
        **terms: Unpack[RecallTerms],
    ) -> ScheduleInfo:
        """Have `message` said later: to this agent, or, with the kind `reminder`, to the people as it stands.

        An attempt that starts over and asks for the same again gets what was made, not a second one. Raises
        TenureError `invalid`, which names what is wrong, and `capacity`.
        """
        return await self._recalls.schedule(
            _recall({"message": message, "name": name, "kind": kind, **terms})
        )

    async def preview(self, *, count: int = 5, **terms: Unpack[RecallTerms]) -> Preview:
        """What that would do: `explanation` in words, and the `next` instants. Nothing is made."""
        return await self._recalls.preview(_recall({"message": "", **terms}), count)

    async def entries(self) -> list[ScheduleInfo]:
        """The schedules of this session, newest first; those that were cancelled are left out.

        `made_by` is None for those that people made.
        """
        return await self._recalls.entries()

    async def pause(self, schedule_id: str) -> ScheduleInfo:
        """Let one rest. Raises TenureError `forbidden` if no run made it."""
        return await self._recalls.pause(schedule_id)

    async def resume(self, schedule_id: str) -> ScheduleInfo:
        """Let one go on. What it missed meanwhile is treated as its `missed` says."""
        return await self._recalls.resume(schedule_id)

    async def cancel(self, schedule_id: str) -> ScheduleInfo:
        """End one. Raises TenureError `forbidden` if no run made it."""
        return await self._recalls.cancel(schedule_id)


def _recall(given: dict[str, object]) -> Recall:
    plain = {field: _text(field, value) for field, value in given.items()}
    try:
        return msgspec.convert(msgspec.to_builtins(plain), Recall)
    except (msgspec.ValidationError, TypeError) as misfit:
        wrong, _, field = str(misfit).replace("`", "").partition(" - at $.")
        detail = f"This can't be scheduled: {f'{field}: ' if field else ''}{wrong}. Correct it."
        raise TenureError(Code.INVALID, detail, field=field or None) from None


def _text(field: str, value: object) -> object:
    """An instant as it is written. Raises TenureError `invalid` for one that could be anywhere."""
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        detail = f"{field} is {value}, a time without a zone. Give it one, for example tzinfo=UTC."
        raise TenureError(Code.INVALID, detail, field=field)
    return value.isoformat()
