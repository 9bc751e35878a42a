"""Cron expressions in time zones: which instants they name, on every day of the year.

Their fields are read by cronsim. What a local time means as an instant is told here, the way Debian's cron
does: a job at a fixed time fires once a day whatever the clocks do, the first time that they show the time or
have gone past it. A job with a wildcard for its minute or hour fires whenever the clocks show a time of it.
"""

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tenure.core.moment import Micros
from tenure.core.timing import LATEST, Cron
from tenure.errors import Code, TenureError
from tenure.host.zones import STEADY, edge, known_zone, offset, wall, zone

NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Short names of common expressions."""

_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_MEANT = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L for the last day of the month or LW for its last weekday",
    "month": "1 to 12 or JAN to DEC",
    "day-of-week": "0 to 7 or SUN to SAT, where 0 and 7 are Sunday; 5L is the last Friday, 5#2 the second",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO, _MINUTE, _DAY = timedelta(microseconds=1), timedelta(minutes=1), timedelta(days=1)

_ORDINAL, _ENDINGS = re.compile(r"\b([2-9]?)([123])th\b"), {"1": "1st", "2": "2nd", "3": "3rd"}
"""Ordinal numbers that aren't English, such as 31th."""

_LAST_YEAR = 9998
"""LATEST lies behind it."""

_EVERY_KIND_OF_YEAR = range(2000, 2028)


class Fields:
    """What the fields of an expression match: minutes of local days, without any zone."""

    def __init__(self, expression: str) -> None:
        """Raises CronSimError."""
        self._parsed = CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 (a local time)
        minute, hour, *_ = expression.split()
        self.fixed = not minute.startswith("*") and not hour.startswith("*")
        """Whether it names times of the day; with a wildcard for minute or hour it names a rhythm."""
        self.meet = self._parsed.day_and
        """Whether day of month and day of week must both hold; else one of them is enough."""
        self.minutes = sorted(self._parsed.minutes)
        self.hours = sorted(self._parsed.hours)
        self.months = sorted(self._parsed.months)
        self._days: dict[tuple[int, int], list[int]] = {}

    @property
    def empty(self) -> bool:
        """Whether there is no date that they match."""
        return not any(self.days(year, month) for year in _EVERY_KIND_OF_YEAR for month in self.months)

    def explain(self) -> str:
        """The expression in words."""
        return _ORDINAL.sub(lambda found: found[1] + _ENDINGS[found[2]], self._parsed.explain())

    def days(self, year: int, month: int) -> list[int]:
        """The days of a month that match, in order."""
        if month not in self._parsed.months:
            return []
        # All that counts is how long the month is and on which day of the week it begins.
        kind = monthrange(year, month)
        if kind not in self._days:
            days = range(1, kind[1] + 1)
            self._days[kind] = [day for day in days if self._parsed.match_day(date(year, month, day))]
        return self._days[kind]

    def first(self, local: datetime) -> datetime | None:
        """The first local time from `local` on that matches, None if there is none before the last year."""
        start = local.replace(second=0, microsecond=0)
        if start < local:
            start += _MINUTE
        day = self._day(start.date())
        if day is not None and day == start.date():
            found = self._time(start.hour, start.minute)
            if found is not None:
                return datetime.combine(day, found)
            day = self._day(day + _DAY)
        return None if day is None else datetime.combine(day, time(self.hours[0], self.minutes[0]))

    def _day(self, start: date) -> date | None:
        """The first day from `start` on that matches."""
        year, month, day = start.year, start.month, start.day
        while year <= _LAST_YEAR:
            days = self.days(year, month)
            place = bisect_left(days, day)
            if place < len(days):
                return date(year, month, days[place])
            year, month, day = year + month // 12, month % 12 + 1, 1
        return None

    def _time(self, hour: int, minute: int) -> time | None:
        """The first time of a day from this one on that matches."""
        place = bisect_left(self.minutes, minute)
        if hour in self._parsed.hours and place < len(self.minutes):
            return time(hour, self.minutes[place])
        place = bisect_right(self.hours, hour)
        return time(self.hours[place], self.minutes[0]) if place < len(self.hours) else None

    @property
    def spacing(self) -> timedelta:
        """The least time between two of its times of the day, on days that follow each other."""
        times = [hour * 60 + minute for hour in self.hours for minute in self.minutes]
        following = [*times[1:], times[0] + 24 * 60]
        return min(after - before for before, after in zip(times, following, strict=True)) * _MINUTE


def check(expression: str, timezone: str) -> Cron:
    """The timing of an expression. Raises TenureError `invalid` that says which field is wrong."""
    plain = NAMES.get(expression.strip().lower(), expression).split()
    if len(plain) != len(_FIELDS):
        raise _wrong(
            expression,
            "five fields are wanted (minute, hour, day of month, month, day of week; for seconds there is "
            f"every_s), and it has {len(plain)}. For example, 30 9 * * 1-5 is half past nine on workdays",
        )
    known_zone(timezone)
    cron = Cron(expression=" ".join(plain), timezone=timezone)
    try:
        empty = fields(cron).empty
    except CronSimError as error:
        raise _wrong(expression, _fault(str(error), plain)) from None
    if empty:
        raise _wrong(expression, "there is no such date in any year")
    return cron


@lru_cache(maxsize=1_024)
def fields(cron: Cron) -> Fields:
    """The fields of an expression."""
    return Fields(cron.expression)


def explain(cron: Cron) -> str:
    """The expression in words."""
    return fields(cron).explain()


def after(cron: Cron, instant: Micros) -> Micros | None:
    """The first instant after `instant` that the expression names, None if there is none before LATEST.

    Raises TenureError `invalid` if its time zone isn't known here any more.
    """
    where = zone(cron.timezone)
    if instant >= LATEST:
        return None
    within, since = fields(cron), _EPOCH + instant * _MICRO
    found = _fixed(within, where, since) if within.fixed else _rhythm(within, where, since)
    if found is None:
        return None
    at = Micros((found - _EPOCH) // _MICRO)
    return at if at < LATEST else None


def _fixed(within: Fields, where: ZoneInfo, since: datetime) -> datetime | None:
    """Local times as they come. Those that aren't after `since` belong to an hour that comes twice."""
    local = within.first(wall(since, where))
    while local is not None:
        found = first_instant(local, where)
        if found > since:
            return found
        local = within.first(local + _MINUTE)
    return None


def _rhythm(within: Fields, where: ZoneInfo, since: datetime) -> datetime | None:
    """One offset after the other: as long as it stays the same, local times are as regular as UTC."""
    start = since + _MICRO
    while (local := within.first(wall(start, where))) is not None:
        found = (local - offset(start, where)).replace(tzinfo=UTC)
        end = min(found, start + STEADY)
        if offset(end, where) != offset(start, where):
            start = edge(start, end, where)
        elif end == found:
            return found
        else:
            # Offsets differ by little more than a day, so nothing matches until shortly before it.
            start = max(end, found - STEADY)
    return None


def first_instant(local: datetime, where: ZoneInfo) -> datetime:
    """When the clocks first show a local time, or have gone past it because they skip it."""
    found = local.replace(tzinfo=where, fold=0).astimezone(UTC)
    if wall(found, where) == local:
        return found
    # In a gap: one reading of the time lies before it, the other one behind it.
    other = local.replace(tzinfo=where, fold=1).astimezone(UTC)
    return edge(min(found, other), max(found, other), where)


def _fault(message: str, plain: list[str]) -> str:
    """Which field is wrong, by the message of cronsim."""
    name = message.removeprefix("Bad ")
    if name not in _MEANT:
        return "a field of it is wrong"
    written = plain[_FIELDS.index(name)]
    if name == "day-of-month" and _reads(written):
        return f"no month that it names has a day {written}"
    return f"its {name} is {written[:40]!r}. Write {_MEANT[name]}; ranges go up, as 1-5, steps are as */2"


def _reads(day_of_month: str) -> bool:
    try:
        CronSim(f"0 0 {day_of_month} * *", datetime(2000, 1, 1))  # noqa: DTZ001 (a local time)
    except CronSimError:
        return False
    return True


def _wrong(expression: str, why: str) -> TenureError:
    return TenureError(
        Code.INVALID,
        f"The cron expression {expression[:100]!r} can't be used: {why}.",
        field="cron",
    )
