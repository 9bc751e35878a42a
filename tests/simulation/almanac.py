"""What people were told of their schedules, and which instants these name: the book outside of the host.

The instants are found here in a way of its own: minutes are tried one after the other, grids are multiplied.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from tenure.core.moment import SECOND, Micros, micros
from tenure.core.recall import Missed
from tenure.core.scheduling import CreateSchedule, Recall, ScheduleInfo, UpdateSchedule

MINUTE = 60 * SECOND
OFFSETS = {"UTC": 0, "Asia/Kathmandu": 345, "America/St_Johns": -210}
"""Zones, and by how many minutes they are off in the winter in which all stories are set."""
CRONS = {
    "* * * * *": frozenset(range(60)),
    "*/2 * * * *": frozenset(range(0, 60, 2)),
    "*/5 * * * *": frozenset(range(0, 60, 5)),
    "0,13,30 * * * *": frozenset((0, 13, 30)),
}


class Dates(NamedTuple):
    """The instants of one timing: a grid, some minutes of every hour, or a single one."""

    anchor: Micros
    every: int | None = None
    minutes: frozenset[int] | None = None
    offset: int = 0

    def after(self, at: Micros) -> Iterator[Micros]:
        """Those after `at`, one after the other."""
        if self.minutes is not None:
            yield from self._minutes(at)
        elif self.every is not None:
            first = max(0, (at - self.anchor) // self.every + 1)
            yield from (Micros(self.anchor + k * self.every) for k in count(first))
        elif self.anchor > at:
            yield self.anchor

    def _minutes(self, at: Micros) -> Iterator[Micros]:
        for minute in count(at // MINUTE + 1):
            if (minute + self.offset) % 60 in (self.minutes or ()):
                yield Micros(minute * MINUTE)


def dates_of(ask: CreateSchedule | UpdateSchedule, asked_at: Micros) -> Dates:
    """The instants that somebody asked for when the host's clock said `asked_at`."""
    if ask.cron is not None:
        return Dates(asked_at, minutes=CRONS[ask.cron], offset=OFFSETS[ask.timezone or "UTC"])
    if ask.every_s is not None:
        anchor = asked_at if ask.anchor is None else micros(ask.anchor)
        return Dates(anchor, every=round(ask.every_s * SECOND))
    if ask.in_s is not None:
        return Dates(Micros(asked_at + round(ask.in_s * SECOND)))
    return Dates(micros(ask.at or ""))


class Era(NamedTuple):
    """From `first` on, a schedule followed these dates."""

    dates: Dates
    first: Micros


@dataclass
class Plan:
    """One schedule as its people know it."""

    id: str
    session_id: str | None
    ask: CreateSchedule
    eras: list[Era]
    ends_at: Micros | None
    missed: set[tuple[Missed, int]]
    """Every policy that somebody asked for, whether or not the host said that it was done."""

    loose: bool = False
    """Nobody knows when its dates changed: an answer was lost, or two changed them at once."""
    editing: int = 0
    edits: int = 0
    """How often a change was asked for, repetitions included."""
    resuming: int = 0
    rested: tuple[str, ...] | None = None
    """What had been admitted when its rest was acknowledged, while it lasts."""
    ended: tuple[str, ...] | None = None
    """What had been admitted when its end was acknowledged."""
    manual: set[str] = field(default_factory=set[str])
    """Occurrences that people asked for, and got."""


@dataclass
class Almanac:
    """All of them."""

    plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    faults: list[str] = field(default_factory=list[str])

    def made(self, ask: CreateSchedule, info: ScheduleInfo) -> None:
        """A schedule was acknowledged; its first instant is the first of its dates."""
        self._compare(info, self._keep(ask, info))

    def _keep(self, ask: CreateSchedule, info: ScheduleInfo) -> Micros | None:
        asked_at = micros(info.created_at)
        dates = dates_of(ask, asked_at)
        first = next(dates.after(asked_at), None)
        ends_at = None if ask.ends_at is None else micros(ask.ends_at)
        era = Era(dates, first or asked_at)
        missed = {(ask.missed, ask.missed_max)}
        self.plans.setdefault(info.id, Plan(info.id, info.session_id, ask, [era], ends_at, missed))
        return first

    def recalled(self, run_id: str, ask: Recall, info: ScheduleInfo) -> None:
        """A run was told that its recall is kept. Attempts that start over are told of the same."""
        if info.id not in self.plans:
            fields = {name: getattr(ask, name) for name in ask.__struct_fields__}
            self._keep(CreateSchedule(session_id=info.session_id, **fields), info)
        if info.made_by != run_id:
            self.faults.append(f"{info.id} was made by {run_id}, and says {info.made_by}")

    def retimed(self, plan: Plan, ask: UpdateSchedule, info: ScheduleInfo) -> None:
        """Its dates were changed."""
        asked_at = micros(info.updated_at)
        dates = dates_of(ask, asked_at)
        first = next(dates.after(asked_at), None)
        if info.status == "active":
            self._compare(info, first)
        plan.eras.append(Era(dates, first or asked_at))

    def _compare(self, info: ScheduleInfo, first: Micros | None) -> None:
        if first is None or info.next_at is None or micros(info.next_at) != first:
            self.faults.append(f"{info.id} says that {info.next_at} is next instead of {first}")
