"""The schedules of a relational store: `ports.schedules` over the store's lane. It holds no rule."""

from functools import partial

from tenure.core.grant import Grant
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.schedule import ScheduleSignal
from tenure.core.scheduling import OccurrenceInfo, ScheduleInfo
from tenure.ports.acts import Answer, Lease, Page, Stamp, Wake
from tenure.ports.schedules import (
    Due,
    Firing,
    Maker,
    NewSchedule,
    Prompt,
    Retry,
    Revision,
    ScheduleFilter,
    ScheduleGround,
    Standing,
)
from tenure.stores.relational import locks, schedule_reads
from tenure.stores.relational.acts import recalls, schedules
from tenure.stores.relational.acts.receipts import replay
from tenure.stores.relational.lane import Lane


class RelationalSchedules:
    """Schedules and their occurrences."""

    def __init__(self, lane: Lane, rules: Rules) -> None:
        self._lane = lane
        self._rules = rules

    async def create(self, stamp: Stamp, new: NewSchedule) -> Answer[ScheduleInfo]:
        return await self._lane.write(
            lambda tx: schedules.create(tx, stamp, new, self._rules),
            *locks.taking(None if new.maker is None else new.maker.lease),
            *locks.receipt(stamp),
            *locks.maybe(new.session_id),
        )

    async def known(self, stamp: Stamp) -> Answer[ScheduleInfo] | None:
        return await self._lane.write(lambda tx: replay(tx, stamp, ScheduleInfo))

    async def revise(self, stamp: Stamp, schedule_id: str, revision: Revision) -> ScheduleInfo:
        return await self._lane.write(
            lambda tx: schedules.revise(tx, stamp, schedule_id, revision), *locks.schedule(schedule_id)
        )

    async def turn(
        self, stamp: Stamp, schedule_id: str, signal: ScheduleSignal, reason: str, maker: Maker | None = None
    ) -> ScheduleInfo:
        return await self._lane.write(
            lambda tx: schedules.turn(tx, stamp, schedule_id, signal, reason, maker),
            *locks.taking(None if maker is None else maker.lease),
            *locks.schedule(schedule_id),
        )

    async def trigger(
        self, stamp: Stamp, prompt: Prompt, lease: Lease | None
    ) -> tuple[Answer[OccurrenceInfo], Wake]:
        return await self._lane.write(
            lambda tx: recalls.prompt(tx, stamp, prompt, lease, self._rules),
            *locks.taking(lease),
            *locks.receipt(stamp),
            *locks.schedule(prompt.schedule_id),
        )

    async def fire(self, firing: Firing, lease: Lease | None) -> Wake:
        return await self._lane.write(
            lambda tx: recalls.fire(tx, firing, lease, self._rules),
            *locks.taking(lease),
            *locks.schedule(firing.schedule_id),
        )

    async def retry(self, retry: Retry, lease: Lease | None) -> Wake:
        return await self._lane.write(
            lambda tx: recalls.retry(tx, retry, lease, self._rules),
            *locks.taking(lease),
            *locks.schedule_of(retry.occurrence_id),
        )

    async def next_at(self) -> Micros | None:
        return await self._lane.peek(partial(schedule_reads.next_at, agents=list(self._rules.terms)))

    async def due(self, after: Micros, until: Micros, limit: int) -> Due:
        agents = list(self._rules.terms)
        return await self._lane.peek(
            partial(schedule_reads.due, agents=agents, after=after, until=until, limit=limit)
        )

    async def get(self, schedule_id: str) -> ScheduleInfo | None:
        return await self._lane.peek(partial(schedule_reads.schedule_info, schedule_id=schedule_id))

    async def standing(self, schedule_id: str) -> Standing | None:
        return await self._lane.peek(partial(schedule_reads.standing, schedule_id=schedule_id))

    async def ground(self, schedule_id: str) -> ScheduleGround | None:
        return await self._lane.peek(partial(schedule_reads.ground, schedule_id=schedule_id))

    async def cap(self, schedule_id: str) -> Grant | None:
        return await self._lane.peek(partial(schedule_reads.cap, schedule_id=schedule_id))

    async def page(self, which: ScheduleFilter, cursor: str | None, limit: int) -> Page[ScheduleInfo]:
        return await self._lane.read(lambda db: schedule_reads.page(db, which, cursor, limit))

    async def occurrences(self, schedule_id: str, cursor: str | None, limit: int) -> Page[OccurrenceInfo]:
        return await self._lane.read(lambda db: schedule_reads.occurrences(db, schedule_id, cursor, limit))

    async def figures(self) -> dict[str, int]:
        return await self._lane.read(schedule_reads.figures)
