"""Schedules without a host, for a rehearsed run: what was asked for is kept, and time doesn't pass."""

import msgspec

from tenure.core.grant import RECALLS, Grant
from tenure.core.ids import SCHEDULE
from tenure.core.schedule import ScheduleState
from tenure.core.scheduling import Preview, Recall, ScheduleInfo
from tenure.errors import Code, TenureError

_EPOCH = "2026-11-01T00:00:00.000000Z"
_TIMINGS = ("at", "in_s", "every_s", "cron")


class FakeRecalls:
    """What a rehearsed run has said later: `made` is what it asked for, by the id that it got.

    There is no calendar here: which instants a timing names isn't told, and nothing is due.
    """

    def __init__(self, grant: Grant, run_id: str, session_id: str) -> None:
        self.made: dict[str, Recall] = {}
        self._grant = grant
        self._run_id = run_id
        self._session_id = session_id
        self._infos: dict[str, ScheduleInfo] = {}

    async def schedule(self, recall: Recall) -> ScheduleInfo:
        """Keep it, in `made`."""
        self._check(recall)
        schedule_id = f"{SCHEDULE}{len(self.made) + 1:032x}"
        self.made[schedule_id] = recall
        return self._keep(self._info(schedule_id, recall))

    async def preview(self, recall: Recall, count: int = 5) -> Preview:
        """Tells no instants."""
        self._check(recall)
        return Preview(explanation="rehearsed", next=())

    async def entries(self) -> list[ScheduleInfo]:
        """What was asked for and not cancelled, newest first."""
        self._require()
        gone = str(ScheduleState.CANCELLED)
        return [info for info in reversed(self._infos.values()) if info.status != gone]

    async def pause(self, schedule_id: str) -> ScheduleInfo:
        """Let one rest."""
        return self._turn(schedule_id, ScheduleState.PAUSED)

    async def resume(self, schedule_id: str) -> ScheduleInfo:
        """Let one go on."""
        return self._turn(schedule_id, ScheduleState.ACTIVE)

    async def cancel(self, schedule_id: str) -> ScheduleInfo:
        """End one."""
        return self._turn(schedule_id, ScheduleState.CANCELLED)

    def add(self, info: ScheduleInfo) -> None:
        """Put one there that another run made, or a person."""
        self._keep(info)

    def _require(self) -> None:
        if not self._grant.allows(RECALLS):
            detail = f"The grant of run {self._run_id} doesn't hold the right {RECALLS}."
            raise TenureError(Code.FORBIDDEN, detail)

    def _check(self, recall: Recall) -> None:
        self._require()
        timings = (recall.at, recall.in_s, recall.every_s, recall.cron)
        given = [name for name, value in zip(_TIMINGS, timings, strict=True) if value is not None]
        if len(given) != 1:
            said = " and ".join(given) or "nothing"
            detail = f"A schedule needs exactly one of {', '.join(_TIMINGS)}, but got {said}."
            raise TenureError(Code.INVALID, detail, field="at")

    def _turn(self, schedule_id: str, status: ScheduleState) -> ScheduleInfo:
        self._require()
        info = self._infos.get(schedule_id)
        if info is None:
            raise TenureError(Code.NOT_FOUND, f"There is no schedule {schedule_id!r} here. Check the id.")
        if info.made_by is None:
            raise TenureError(Code.FORBIDDEN, f"A person made the schedule {schedule_id}, and no run.")
        return self._keep(msgspec.structs.replace(info, status=str(status)))

    def _keep(self, info: ScheduleInfo) -> ScheduleInfo:
        self._infos[info.id] = info
        return info

    def _info(self, schedule_id: str, recall: Recall) -> ScheduleInfo:
        author = self._grant.author
        return ScheduleInfo(
            id=schedule_id,
            session_id=self._session_id,
            agent=self._grant.agent,
            tenant=author.tenant,
            owner=author.user,
            name=recall.name,
            kind=str(recall.kind),
            message=recall.message,
            status=str(ScheduleState.ACTIVE),
            reason=None,
            next_at=_EPOCH,
            explanation="rehearsed",
            at=recall.at,
            every_s=recall.every_s,
            anchor=recall.anchor,
            cron=recall.cron,
            timezone=recall.timezone,
            missed=str(recall.missed),
            missed_max=recall.missed_max,
            overlap=str(recall.overlap),
            jitter_s=recall.jitter_s,
            max_runs=recall.max_runs,
            ends_at=recall.ends_at,
            retries=recall.retries,
            backoff_s=recall.backoff_s,
            pause_after_failures=recall.pause_after_failures,
            runs=0,
            failures=0,
            made_by=self._run_id,
            last=None,
            created_at=_EPOCH,
            updated_at=_EPOCH,
        )
