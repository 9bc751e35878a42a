"""What cron expressions name, told by going through every minute: it knows no parser and no shortcut.

Tests compare the calendar with it. Fields are sets that a test draws; the expression is written from them.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tenure.core.moment import Micros

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONGEST_FOLD = 3 * HOUR
"""No clocks are set back by more in the years of the tests. Whole days were skipped, though."""


class Field(NamedTuple):
    """One field: how it is written, and what it stands for."""

    text: str
    values: frozenset[int]

    @property
    def wild(self) -> bool:
        """Whether it counts as a wildcard."""
        return self.text.startswith("*")


class Drawn(NamedTuple):
    """The fields of an expression. Days of the week count from Sunday, 0."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    @property
    def rhythm(self) -> bool:
        """Whether it fires whenever the clocks show one of its times; else once for each of them."""
        return self.minute.wild or self.hour.wild

    @property
    def expression(self) -> str:
        """As people write it."""
        return " ".join(field.text for field in self)

    def on(self, day: date) -> bool:
        """Whether a day is one of its days."""
        if day.month not in self.month.values:
            return False
        of_month, of_week = day.day in self.day.values, day.isoweekday() % 7 in self.weekday.values
        if self.day.wild or self.weekday.wild:
            return of_month and of_week
        return of_month or of_week

    def shows(self, local: datetime) -> bool:
        """Whether a local time is one of its times."""
        return local.minute in self.minute.values and local.hour in self.hour.values and self.on(local.date())


def every(low: int, high: int) -> Field:
    """The wildcard of a field."""
    return Field("*", frozenset(range(low, high + 1)))


def one_of(*values: int) -> Field:
    """A list of values."""
    return Field(",".join(map(str, values)), frozenset(values))


def us(instant: datetime) -> Micros:
    """An instant in microseconds."""
    return Micros((instant - EPOCH) // timedelta(microseconds=1))


def instants(expressions: Sequence[Drawn], zone: str, start: datetime, end: datetime) -> list[list[datetime]]:
    """For each expression all instants in [start, end), both whole minutes, that it names."""
    found: list[list[datetime]] = [[] for _ in expressions]
    for instant, local, reached in _walk(ZoneInfo(zone), start, end):
        for drawn, named in zip(expressions, found, strict=True):
            if drawn.shows(local) if drawn.rhythm else any(map(drawn.shows, reached)):
                named.append(instant)
    return found


def _walk(
    zone: ZoneInfo, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime, list[datetime]]]:
    """Each minute, what the clocks show, and which times they reach for the first time, skipped ones too."""
    instant = start - LONGEST_FOLD
    furthest = instant.astimezone(zone).replace(tzinfo=None)
    while instant < end:
        local = instant.astimezone(zone).replace(tzinfo=None)
        reached: list[datetime] = []
        while furthest < local:
            furthest += MINUTE
            reached.append(furthest)
        if instant >= start:
            yield instant, local, reached
        instant += MINUTE


def changes(zone: str, year: int) -> list[datetime]:
    """When the clocks of a zone are changed in a year, in whole minutes; twice on one day would go unseen."""
    where = ZoneInfo(zone)
    found: list[datetime] = []
    day, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    while day < end:
        low, high = day, day + DAY
        if low.astimezone(where).utcoffset() != high.astimezone(where).utcoffset():
            while high - low > MINUTE:
                middle = low + (high - low) // (2 * MINUTE) * MINUTE
                same = low.astimezone(where).utcoffset() == middle.astimezone(where).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high)
        day += DAY
    return found
