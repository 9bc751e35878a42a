"""The room of schedules: what people and agents ask about them becomes an act of the store here.

It knows the calendar, which the store doesn't: it says what a timing means and when its next instant is.
When something is due is told to the room of recalls, which keeps the one timer.
"""

from collections.abc import Callable
from itertools import islice

import msgspec
from msgspec import UNSET

from tenure.core.content import Content, file_ids_of
from tenure.core.ids import MESSAGE, RUN, SCHEDULE, SESSION
from tenure.core.moment import SECOND, Micros
from tenure.core.principal import Principal
from tenure.core.recall import Reason, RecallPolicy, wake_at
from tenure.core.schedule import ScheduleSignal, ScheduleState
from tenure.core.scheduling import (
    CreateSchedule,
    OccurrenceInfo,
    Preview,
    PreviewSchedule,
    ScheduleInfo,
    UpdateSchedule,
)
from tenure.core.timing import Cron, Every, Timing
from tenure.errors import Code, TenureError
from tenure.host import timetable
from tenure.host.catalogue import Catalogue
from tenure.host.files import Files
from tenure.host.surprises import surprises
from tenure.host.tasks import Tasks
from tenure.ports.acts import Answer, Idempotency, Lease, Stamp, Wake
from tenure.ports.clock import Clock, Ids
from tenure.ports.schedules import FreshIds, Maker, NewSchedule, Prompt, Revision, Standing
from tenure.ports.store import Store

_TRIES = 5
"""How often an edit is made again whose schedule moved on meanwhile."""

_OPEN = (ScheduleState.ACTIVE, ScheduleState.PAUSED)
"""The states in which a schedule may be changed."""


def fresh_ids(ids: Ids) -> FreshIds:
    """The ids that one admission may need."""
    return FreshIds(ids.new(MESSAGE), ids.new(RUN), ids.new(SESSION))


class Scheduling:
    """What principals, and runs, may ask about schedules."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: Ids,
        catalogue: Catalogue,
        files: Files,
        tasks: Tasks,
        due: Callable[[Micros], None],
        follow: Callable[[Wake], None],
        lease: Callable[[], Lease | None],
    ) -> None:
        self._store = store
        self._acts = store.schedules
        self._clock = clock
        self._ids = ids
        self._catalogue = catalogue
        self._files = files
        self._tasks = tasks
        self._due = due
        self._follow = follow
        self._lease = lease

    # --- making one

    async def create(
        self,
        by: Principal,
        ask: CreateSchedule,
        idem: Idempotency | None,
        maker: Maker | None = None,
        schedule_id: str | None = None,
    ) -> Answer[ScheduleInfo]:
        """Keep a schedule. A run that makes it says its id: one of that id is answered as it stands.

        Raises TenureError `invalid`, `not_found`, `unknown_agent`, `capacity`, and `fenced` for a run.
        """
        stamp = Stamp(self._clock.now(), by, idem)
        try:
            new = await self._new(ask, stamp.at, maker, schedule_id or self._ids.new(SCHEDULE))
        except TenureError:
            # The repeat of a request whose instant has passed meanwhile is answered as it was.
            known = await self._known(stamp, schedule_id)
            if known is None:
                raise
            return known
        return await self._tasks.whole(self._create(stamp, new), "making of a schedule")

    async def _known(self, stamp: Stamp, schedule_id: str | None) -> Answer[ScheduleInfo] | None:
        """What was made already under this request's key, or by this run under this id."""
        if schedule_id is None:
            return None if stamp.idempotency is None else await self._acts.known(stamp)
        made = await self._acts.get(schedule_id)
        return None if made is None else Answer(made)

    async def _create(self, stamp: Stamp, new: NewSchedule) -> Answer[ScheduleInfo]:
        answer = await self._acts.create(stamp, new)
        self._due(new.wake_at)
        return answer

    async def _new(
        self, ask: CreateSchedule, now: Micros, maker: Maker | None, schedule_id: str
    ) -> NewSchedule:
        timing = timetable.timing_of(ask, now)
        policy = timetable.policy_of(ask, timing)
        next_at = timetable.first(timing, policy, now)
        return NewSchedule(
            schedule_id=schedule_id,
            session_id=ask.session_id,
            agent=await self._agent(ask),
            name=ask.name,
            kind=ask.kind,
            message=ask.message,
            timing=timing,
            policy=policy,
            explanation=timetable.explain(timing, policy),
            next_at=next_at,
            wake_at=wake_at(schedule_id, next_at, policy.jitter_s),
            maker=maker,
        )

    async def _agent(self, ask: CreateSchedule | PreviewSchedule) -> str:
        """Whose runs they will be. Raises TenureError `invalid`, `not_found` or `unknown_agent`."""
        if (ask.session_id is None) == (ask.agent is None):
            detail = (
                "A schedule is for a session (session_id) or for an agent (agent), which gets a new session "
                "each time. Give one of the two."
            )
            raise TenureError(Code.INVALID, detail, field="session_id")
        if ask.session_id is None:
            name = ask.agent or ""
            self._catalogue.agent(name)
            await self._check_files(None, ask.message)
            return name
        ground = await self._store.ground(ask.session_id)
        if ground is None:
            raise TenureError(Code.NOT_FOUND, f"There is no session {ask.session_id!r} here. Check the id.")
        await self._check_files(ask.session_id, ask.message)
        return ground.agent

    async def _check_files(self, session_id: str | None, message: Content | None) -> None:
        """Raises TenureError `invalid` if a message refers to files that won't be there."""
        if message is None:
            return
        if session_id is not None:
            await self._files.check(session_id, message)
        elif file_ids_of(message):
            detail = (
                "The message refers to a file, but each occurrence gets a new session, which has no files. "
                "Schedule it in the session that has the file."
            )
            raise TenureError(Code.INVALID, detail, field="message")

    async def preview(self, ask: PreviewSchedule) -> Preview:
        """What a schedule would do: in words, and its next instants. It may leave out what it is for.

        Raises TenureError as `create` does.
        """
        now = self._clock.now()
        if ask.session_id is not None or ask.agent is not None:
            await self._agent(ask)
        timing = timetable.timing_of(ask, now)
        policy = timetable.policy_of(ask, timing)
        timetable.first(timing, policy, now)
        most = min(ask.count, policy.max_runs or ask.count)
        coming = list(islice(timetable.instants(timing, policy, now), most))
        return Preview(
            explanation=timetable.explain(timing, policy),
            next=tuple(timetable.written(at, timing) for at in coming),
            warnings=surprises(timing, policy, now),
        )

    # --- changing one

    async def update(self, by: Principal, schedule_id: str, ask: UpdateSchedule) -> ScheduleInfo:
        """Change a schedule. Raises TenureError `invalid`, `conflict` if it is over, `not_found`."""
        for _ in range(_TRIES - 1):
            try:
                return await self._tasks.whole(self._update(by, schedule_id, ask), "edit of a schedule")
            except TenureError as refusal:
                if refusal.code is not Code.STALE:
                    raise
        return await self._tasks.whole(self._update(by, schedule_id, ask), "edit of a schedule")

    async def _update(self, by: Principal, schedule_id: str, ask: UpdateSchedule) -> ScheduleInfo:
        now = self._clock.now()
        standing = await self._standing(schedule_id)
        revision = await self._revised(standing, ask, now)
        # What is answered if nothing changes may be newer than what was judged: then another edit came after.
        known = await self._acts.get(schedule_id)
        if known is not None and standing.state in _OPEN and not _changes(revision, standing):
            return known
        info = await self._acts.revise(Stamp(now, by), schedule_id, revision)
        if revision.wake_at is not None:
            self._due(revision.wake_at)
        return info

    async def _standing(self, schedule_id: str) -> Standing:
        found = await self._acts.standing(schedule_id)
        if found is None:
            raise TenureError(Code.NOT_FOUND, f"There is no schedule {schedule_id!r} here. Check the id.")
        return found

    async def _revised(self, now_is: Standing, ask: UpdateSchedule, now: Micros) -> Revision:
        retimed = any(
            v is not None for v in (ask.at, ask.in_s, ask.every_s, ask.cron, ask.timezone, ask.anchor)
        )
        timing = timetable.timing_of(_whole(ask, now_is.timing), now) if retimed else now_is.timing
        policy = _policy(now_is.policy, ask)
        timetable.check_policy(policy, timing)
        if policy.ends_at != now_is.policy.ends_at and now_is.state in _OPEN and not retimed:
            timetable.check_end(timing, policy, now_is.next_at, now)
        if ask.message is not UNSET:
            await self._check_files(now_is.session_id, ask.message)
        next_at = self._next(now_is, timing, policy, now, retimed=retimed)
        wake = None if next_at is None else wake_at(now_is.schedule_id, next_at, policy.jitter_s)
        if wake is not None and now_is.wake_at is not None and not retimed:
            # With less jitter it comes now, and isn't late for having waited until then.
            wake = max(wake, min(now, now_is.wake_at))
        return Revision(
            version=now_is.version,
            name=now_is.name if ask.name is UNSET else ask.name,
            kind=now_is.kind if ask.kind is UNSET else ask.kind,
            message=now_is.message if ask.message is UNSET else ask.message,
            timing=timing,
            policy=policy,
            explanation=timetable.explain(timing, policy),
            next_at=next_at,
            wake_at=wake,
        )

    def _next(
        self, now_is: Standing, timing: Timing, policy: RecallPolicy, now: Micros, *, retimed: bool
    ) -> Micros | None:
        """The next instant after an edit; None if there is none any more."""
        if policy.max_runs is not None and now_is.runs >= policy.max_runs:
            return None
        if retimed:
            return timetable.first(timing, policy, now)
        return now_is.next_at

    async def pause(self, by: Principal, schedule_id: str, idem: Idempotency | None = None) -> ScheduleInfo:
        """Let a schedule rest. Raises TenureError `conflict` if it is over."""
        return await self.turn(by, schedule_id, ScheduleSignal.PAUSE, idem=idem)

    async def resume(self, by: Principal, schedule_id: str, idem: Idempotency | None = None) -> ScheduleInfo:
        """Let a schedule go on; what it missed meanwhile is treated by its policy."""
        return await self.turn(by, schedule_id, ScheduleSignal.RESUME, idem=idem)

    async def cancel(self, by: Principal, schedule_id: str) -> ScheduleInfo:
        """End a schedule. What it admitted already stays."""
        return await self.turn(by, schedule_id, ScheduleSignal.CANCEL)

    async def turn(
        self,
        by: Principal,
        schedule_id: str,
        signal: ScheduleSignal,
        maker: Maker | None = None,
        idem: Idempotency | None = None,
    ) -> ScheduleInfo:
        """Pause, resume or cancel a schedule. Where a run does it, only what runs made in its session."""
        stamp = Stamp(self._clock.now(), by, idem)
        return await self._tasks.whole(self._turn(stamp, schedule_id, signal, maker), "turn of a schedule")

    async def _turn(
        self, stamp: Stamp, schedule_id: str, signal: ScheduleSignal, maker: Maker | None
    ) -> ScheduleInfo:
        info = await self._acts.turn(stamp, schedule_id, signal, str(Reason.ASKED), maker)
        if signal is ScheduleSignal.RESUME:
            self._due(self._clock.now())
        return info

    async def trigger(
        self, by: Principal, schedule_id: str, idem: Idempotency | None
    ) -> Answer[OccurrenceInfo]:
        """Have an occurrence now. Raises TenureError `conflict`, `session_closed`, `capacity`."""
        stamp = Stamp(self._clock.now(), by, idem)
        return await self._tasks.whole(self._trigger(stamp, schedule_id), "trigger of a schedule")

    async def _trigger(self, stamp: Stamp, schedule_id: str) -> Answer[OccurrenceInfo]:
        asked = Prompt(schedule_id, fresh_ids(self._ids))
        answer, wake = await self._acts.trigger(stamp, asked, self._lease())
        self._follow(wake)
        return answer


def _whole(ask: UpdateSchedule, timing: Timing) -> UpdateSchedule:
    """An edit of a part of the timing, with the part that stays: of a cron expression and its time zone,
    whichever is left out, and the interval whose anchor moves."""
    others = [v for v in (ask.at, ask.in_s, ask.every_s) if v is not None]
    if isinstance(timing, Cron) and not others:
        expression, zone = ask.cron or timing.expression, ask.timezone or timing.timezone
        return msgspec.structs.replace(ask, cron=expression, timezone=zone)
    if isinstance(timing, Every) and not others and ask.cron is None and ask.anchor is not None:
        return msgspec.structs.replace(ask, every_s=timing.every / SECOND)
    return ask


def _changes(revision: Revision, now_is: Standing) -> bool:
    """Whether an edit leaves anything else than what stood there."""
    left = (revision.name, revision.kind, revision.message, revision.timing, revision.policy)
    stood = (now_is.name, now_is.kind, now_is.message, now_is.timing, now_is.policy)
    return left != stood or revision.next_at != now_is.next_at


def _policy(policy: RecallPolicy, ask: UpdateSchedule) -> RecallPolicy:
    """The policies after an edit."""
    changes: dict[str, object] = {
        name: value
        for name, value in (
            ("missed", ask.missed),
            ("missed_max", ask.missed_max),
            ("overlap", ask.overlap),
            ("jitter_s", ask.jitter_s),
            ("max_runs", ask.max_runs),
            ("retries", ask.retries),
            ("backoff_s", ask.backoff_s),
            ("pause_after_failures", ask.pause_after_failures),
        )
        if value is not UNSET
    }
    if ask.ends_at is not UNSET:
        changes["ends_at"] = None if ask.ends_at is None else timetable.instant(ask.ends_at, "ends_at")
    return msgspec.structs.replace(policy, **changes)
