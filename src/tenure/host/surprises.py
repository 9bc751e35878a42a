"""Surprises: what people don't think of when they say when something is to happen.

Told with the preview of a schedule, before it is saved: times of the day that the clocks skip or show twice,
days that some months don't have, days of the month and of the week in one expression, days that are counted
in hours.
"""

from calendar import month_name
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from tenure.core.moment import SECOND, Micros
from tenure.core.recall import RecallPolicy
from tenure.core.timing import LATEST, Cron, Every, Once, Timing
from tenure.host import cron, timetable
from tenure.host.zones import STEADY, edge, offset, zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_YEAR = timedelta(days=366)
_DAY = 86_400 * SECOND
_MOST_RUNS = 400
"""How many instants are gone through to see where a schedule with `max_runs` ends."""

_LENGTHS = {2: 28, 4: 30, 6: 30, 9: 30, 11: 30}
"""The shorter months, and how many days each has for certain."""


def surprises(timing: Timing, policy: RecallPolicy, now: Micros) -> tuple[str, ...]:
    """What people may be surprised by, in sentences; what the clocks do is looked up for a year."""
    match timing:
        case Once():
            return ()
        case Every():
            return tuple(_days_in_hours(timing))
        case Cron():
            until = _EPOCH + _end(timing, policy, now) * _MICRO
            told = [*_both_days(timing), *_short_months(timing)]
            return (*told, *_clock_changes(timing, _EPOCH + now * _MICRO, until))
        case _:
            assert_never(timing)


def _days_in_hours(grid: Every) -> Iterator[str]:
    if grid.every % _DAY == 0:
        yield (
            "A day is 24 hours here: where the clocks change, it moves to another time of the day. "
            "cron with a timezone keeps to the time of the day."
        )


def _both_days(timing: Cron) -> Iterator[str]:
    """Day of month and day of week: whether both must hold isn't to be seen in the expression."""
    _, _, day, _, weekday = timing.expression.split()
    if "*" in (day, weekday):
        return
    if cron.fields(timing).meet:
        yield f"Day of month {day} and day of week {weekday} must both hold, because one begins with *."
    else:
        yield f"Day of month {day} or day of week {weekday}: one is enough, because neither begins with *."


def _short_months(timing: Cron) -> Iterator[str]:
    """Days that are listed one by one, and that some of the months don't have."""
    listed = timing.expression.split()[2].split(",")
    if not all(day.isdigit() for day in listed):
        return
    latest = max(int(day) for day in listed)
    lacking = [month_name[month] for month in cron.fields(timing).months if latest > _LENGTHS.get(month, 31)]
    if lacking:
        yield f"{_listing(lacking)} may have no day {latest} and leave it out. L is the last day of a month."


def _listing(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


class _Change(NamedTuple):
    """The clocks of a zone are set from one local time to another one, forward or back."""

    shown: datetime
    set_to: datetime

    @property
    def between(self) -> tuple[datetime, datetime]:
        """The local times that are skipped or come twice."""
        return min(self), max(self)


def _clock_changes(timing: Cron, start: datetime, end: datetime) -> Iterator[str]:
    """The first time forward and the first time back that touch the expression."""
    within = cron.fields(timing)
    if not within.fixed and timing.expression.split()[1] == "*":
        # A rhythm of every hour goes on as it is.
        return
    told: set[bool] = set()
    for change in _changes(zone(timing.timezone), start, end):
        forward, (low, high) = change.set_to > change.shown, change.between
        local = within.first(low)
        if forward not in told and local is not None and local < high:
            told.add(forward)
            yield _change_told(timing, change, local, fixed=within.fixed)


def _changes(where: ZoneInfo, start: datetime, end: datetime) -> Iterator[_Change]:
    while start < end:
        following = min(start + STEADY, end)
        before, after = offset(start, where), offset(following, where)
        if before != after:
            at = edge(start, following, where).replace(tzinfo=None)
            yield _Change(at + before, at + after)
        start = following


def _change_told(timing: Cron, change: _Change, local: datetime, *, fixed: bool) -> str:
    forward, (low, high) = change.set_to > change.shown, change.between
    where, day = timing.timezone, f"{local:%Y-%m-%d}"
    shown, set_to = _clock(change.shown, local), _clock(change.set_to, local)
    if forward and fixed:
        return (
            f"On {day} there is no {local:%H:%M} in {where}: the clocks go from {shown} to {set_to}. "
            f"It fires at {set_to} then."
        )
    if forward:
        return f"On {day} the clocks in {where} go from {shown} to {set_to}. What falls between is left out."
    if fixed:
        return (
            f"On {day} it is {local:%H:%M} twice in {where}: the clocks go back from {shown} to {set_to}. "
            "It fires the first time only."
        )
    return (
        f"On {day} the clocks in {where} go back from {shown} to {set_to}. "
        f"What falls between {_clock(low, local)} and {_clock(high, local)} fires both times."
    )


def _clock(at: datetime, day: datetime) -> str:
    """A time of the day, with its date if it is on another day."""
    return f"{at:%H:%M}" if at.date() == day.date() else f"{at:%Y-%m-%d %H:%M}"


def _end(timing: Cron, policy: RecallPolicy, now: Micros) -> Micros:
    """Until when to look: a year, or less if the schedule is over before."""
    until = min(Micros(now + _YEAR // _MICRO), LATEST)
    if policy.ends_at is not None:
        until = min(until, policy.ends_at)
    if policy.max_runs is not None and policy.max_runs <= _MOST_RUNS:
        *_, last = islice(timetable.instants(timing, policy, now), policy.max_runs)
        until = min(until, Micros(last + 1))
    return until
