"""Schedules and their occurrences, in acts. Each is one transaction.

The store knows no calendar: whoever asks says what the next instant is, and an act that fires holds only
if the schedule still stands where it was looked at. So each occurrence is admitted at most once, however
many hosts look.
"""

from typing import NamedTuple, Protocol

from tenure.core.content import Content
from tenure.core.grant import Grant
from tenure.core.moment import Micros
from tenure.core.principal import Role
from tenure.core.recall import Judged, RecallKind, RecallPolicy
from tenure.core.schedule import ScheduleSignal, ScheduleState
from tenure.core.scheduling import OccurrenceInfo, ScheduleInfo
from tenure.core.timing import Timing
from tenure.ports.acts import Answer, Lease, Page, Stamp, Wake


class Maker(NamedTuple):
    """The live run that makes a schedule: it is told of in the journal, and its grant is the cap.

    What it asks for has an id that an attempt which starts over makes again: that finds what was made.
    """

    lease: Lease
    run_id: str
    attempt: int


class NewSchedule(NamedTuple):
    """A schedule to be kept: in a session, or with an agent that gets a new session each time."""

    schedule_id: str
    session_id: str | None
    agent: str
    name: str | None
    kind: RecallKind
    message: Content
    timing: Timing
    policy: RecallPolicy
    explanation: str
    next_at: Micros
    wake_at: Micros
    maker: Maker | None = None


class Standing(NamedTuple):
    """A schedule as whoever decides about it looks at it. It was looked at in this `version`."""

    schedule_id: str
    version: int
    state: ScheduleState
    owner: str
    session_id: str | None
    message: Content
    name: str | None
    kind: RecallKind
    timing: Timing
    policy: RecallPolicy
    next_at: Micros | None
    wake_at: Micros | None
    runs: int
    paused: tuple[Micros, Micros] | None


class Revision(NamedTuple):
    """What an edit leaves: all of it, new or not. `next_at` None ends the schedule."""

    version: int
    name: str | None
    kind: RecallKind
    message: Content
    timing: Timing
    policy: RecallPolicy
    explanation: str
    next_at: Micros | None
    wake_at: Micros | None


class FreshIds(NamedTuple):
    """The ids that one admission may need."""

    message_id: str
    run_id: str
    session_id: str


class Firing(NamedTuple):
    """What is decided about the instants of a schedule that have come, and what comes next.

    `fresh` has ids for each that is admitted. After the last of `judged` comes `next_at`, None if nothing
    does. `unlisted` counts missed ones before them that get no rows of their own.
    """

    schedule_id: str
    version: int
    at: Micros
    judged: tuple[Judged, ...]
    fresh: tuple[FreshIds, ...]
    next_at: Micros | None
    wake_at: Micros | None
    unlisted: int = 0


class Retry(NamedTuple):
    """An occurrence whose run failed, and that is admitted again now."""

    occurrence_id: str
    attempts: int
    at: Micros
    fresh: FreshIds


class Prompt(NamedTuple):
    """Somebody wants an occurrence now."""

    schedule_id: str
    fresh: FreshIds


class Due(NamedTuple):
    """What has come: schedules whose next instant is due, and occurrences to be tried again."""

    schedules: list[Standing]
    retries: list[tuple[str, int]]


class ScheduleFilter(NamedTuple):
    """Which schedules a list shows; None means any. `owner` sees its own, and those of its sessions.

    Without `status`, those that were cancelled are left out.
    """

    tenant: str | None
    owner: str | None
    status: ScheduleState | None = None
    session_id: str | None = None
    agent: str | None = None


class ScheduleGround(NamedTuple):
    """Whose schedule it is: its maker, `owner`, who had `role`, and who owns the session that it is for."""

    schedule_id: str
    tenant: str
    owner: str
    session_owner: str | None
    role: Role


class ScheduleActs(Protocol):
    """The schedules of a store."""

    async def create(self, stamp: Stamp, new: NewSchedule) -> Answer[ScheduleInfo]:
        """Keep a schedule.

        Raises TenureError `not_found`, `session_closed`, `capacity`, `fenced`, `forbidden`.
        """
        ...

    async def known(self, stamp: Stamp) -> Answer[ScheduleInfo] | None:
        """The schedule that was made under this request's idempotency key, as it was answered then."""
        ...

    async def revise(self, stamp: Stamp, schedule_id: str, revision: Revision) -> ScheduleInfo:
        """Change a schedule.

        Raises TenureError `stale` if it isn't in that version, `conflict` if it is over.
        """
        ...

    async def turn(
        self, stamp: Stamp, schedule_id: str, signal: ScheduleSignal, reason: str, maker: Maker | None = None
    ) -> ScheduleInfo:
        """Pause, resume or cancel a schedule. One that is so already stays; else TenureError `conflict`.

        Where a run does it, it must be live, and the schedule one that a run made in the same session: else
        `fenced`, `not_found`, `forbidden`.
        """
        ...

    async def trigger(
        self, stamp: Stamp, prompt: Prompt, lease: Lease | None
    ) -> tuple[Answer[OccurrenceInfo], Wake]:
        """Admit an occurrence now, whatever the timing says. Raises TenureError as `admit` does."""
        ...

    async def fire(self, firing: Firing, lease: Lease | None) -> Wake:
        """Carry out what was decided, unless the schedule moved on meanwhile: then nothing happens."""
        ...

    async def retry(self, retry: Retry, lease: Lease | None) -> Wake:
        """Admit a failed occurrence again, unless somebody did already."""
        ...

    async def next_at(self) -> Micros | None:
        """When the next schedule, or the next retry, wants to be looked at."""
        ...

    async def due(self, after: Micros, until: Micros, limit: int) -> Due:
        """What wants to be looked at in (after, until], earliest first."""
        ...

    async def get(self, schedule_id: str) -> ScheduleInfo | None: ...
    async def standing(self, schedule_id: str) -> Standing | None: ...
    async def ground(self, schedule_id: str) -> ScheduleGround | None: ...
    async def cap(self, schedule_id: str) -> Grant | None: ...
    async def page(self, which: ScheduleFilter, cursor: str | None, limit: int) -> Page[ScheduleInfo]: ...
    async def occurrences(self, schedule_id: str, cursor: str | None, limit: int) -> Page[OccurrenceInfo]: ...
    async def figures(self) -> dict[str, int]:
        """How many schedules there are in each state."""
        ...
