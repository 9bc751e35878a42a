"""Schedules for tests of the host: make them, see what became of their instants, and when."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from tenure.core.entry import Recorded
from tenure.core.event import (
    Event,
    RecallChanged,
    RecallDeferred,
    RecallFired,
    RecallMissed,
    RecallRetrying,
    RecallSkipped,
    RunFinished,
)
from tenure.core.moment import micros
from tenure.core.principal import Principal
from tenure.core.scheduling import CreateSchedule, OccurrenceInfo, ScheduleInfo, UpdateSchedule
from tenure.host.scheduling import Scheduling
from tests.host.rooms import Rooms, Talk, second

RECALLS = (RecallChanged, RecallDeferred, RecallFired, RecallMissed, RecallRetrying, RecallSkipped)


class Told(NamedTuple):
    """An occurrence in short: seconds since the test began, what became of it, why, and its run's outcome."""

    due: float
    state: str
    reason: str | None = None
    outcome: str | None = None
    attempts: int = 0


@dataclass
class Book:
    """The outside world: what the agents did, and when. No host can change it."""

    rooms: Rooms
    done: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    def note(self, text: str) -> None:
        """Something was done now."""
        self.done.append((round(self.rooms.loop.time(), 3), text))


class Plan:
    """One schedule and whoever made it. It outlives the host."""

    def __init__(self, rooms: Rooms, by: Principal, schedule_id: str) -> None:
        self.rooms = rooms
        self.by = by
        self.id = schedule_id

    @property
    def room(self) -> Scheduling:
        """The room of schedules of the host that is up."""
        return self.rooms.host.scheduling

    async def info(self) -> ScheduleInfo:
        """How it stands."""
        info = await self.rooms.host.store.schedules.get(self.id)
        assert info is not None
        return info

    async def pause(self) -> ScheduleInfo:
        """Let it rest."""
        return await self.rooms.there(self.room.pause(self.by, self.id))

    async def resume(self) -> ScheduleInfo:
        """Let it go on."""
        return await self.rooms.there(self.room.resume(self.by, self.id))

    async def cancel(self) -> ScheduleInfo:
        """End it."""
        return await self.rooms.there(self.room.cancel(self.by, self.id))

    async def update(self, **changes: Any) -> ScheduleInfo:
        """Change it."""
        ask = msgspec.convert(changes, UpdateSchedule)
        return await self.rooms.there(self.room.update(self.by, self.id, ask))

    async def trigger(self) -> OccurrenceInfo:
        """Have an occurrence now."""
        return (await self.rooms.there(self.room.trigger(self.by, self.id, None))).value

    async def occurrences(self) -> list[OccurrenceInfo]:
        """What became of its instants, oldest first, without the one that is still to come."""
        found: list[OccurrenceInfo] = []
        cursor: str | None = None
        while True:
            page = await self.rooms.host.store.schedules.occurrences(self.id, cursor, 100)
            found += page.data
            cursor = page.next_cursor
            if cursor is None:
                return [each for each in reversed(found) if each.state != "due"]

    async def told(self) -> list[Told]:
        """The same in short."""
        return [
            Told(second(micros(o.due_at)), o.state, o.reason, o.outcome, o.attempts)
            for o in await self.occurrences()
        ]


async def plan(talk: Talk, message: str = "tick", **ask: Any) -> Plan:
    """Make a schedule in a session."""
    return await planned(talk.rooms, talk.by, message=message, session_id=talk.session_id, **ask)


async def planned(rooms: Rooms, by: Principal, **ask: Any) -> Plan:
    """Make any schedule."""
    wish = msgspec.convert(ask, CreateSchedule)
    answer = await rooms.there(rooms.host.scheduling.create(by, wish, None))
    return Plan(rooms, by, answer.value.id)


def recalls(events: list[Recorded]) -> list[Event]:
    """What a journal says of recalls, but for their making."""
    return [event.event for event in events if isinstance(event.event, RECALLS)]


def runs(events: list[Recorded]) -> list[tuple[str, str]]:
    """Status and reason of every run that ended, as they ended."""
    return [(e.event.status, e.event.reason) for e in events if isinstance(e.event, RunFinished)]
