"""Cron expressions, drawn, around the clock changes of all zones, against a walk through every minute."""

from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tenure.core.moment import Micros
from tenure.core.timing import Cron, Every, after_every
from tenure.host import cron
from tests.core.properties import properties
from tests.host.oracle import DAY, HOUR, MINUTE, Drawn, Field, changes, every, instants, one_of, us

ZONES = sorted(set(files("tzdata").joinpath("zones").read_text().split()) - {"Factory"})
YEARS = st.integers(2007, 2037)


def values(low: int, high: int, most: int) -> st.SearchStrategy[Field]:
    """A few values, listed."""
    lists = st.lists(st.integers(low, high), min_size=1, max_size=most, unique=True)
    return lists.map(lambda drawn: one_of(*drawn))


def ranges(low: int, high: int) -> st.SearchStrategy[Field]:
    """A range."""
    ends = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    return ends.map(lambda e: Field(f"{e[0]}-{e[1]}", frozenset(range(e[0], e[1] + 1))))


def steps(low: int, high: int) -> st.SearchStrategy[Field]:
    """Every n-th value."""
    counts = st.integers(1, high - low + 1)
    return counts.map(lambda n: Field(f"*/{n}", frozenset(range(low, high + 1, n))))


def fields(low: int, high: int, most: int = 3) -> st.SearchStrategy[Field]:
    """Anything a field may be."""
    return st.one_of(values(low, high, most), ranges(low, high), steps(low, high), st.just(every(low, high)))


NIGHT = st.one_of(values(0, 3, 3), fields(0, 23))
"""Hours: most clocks are changed in the first of a day."""

DAYS = st.one_of(st.just(every(1, 31)), st.just(every(1, 31)), fields(1, 31, 8))
MONTHS = st.one_of(st.just(every(1, 12)), st.just(every(1, 12)), fields(1, 12, 6))
WEEKDAYS = st.one_of(st.just(every(0, 6)), st.just(every(0, 6)), fields(0, 6))
DRAWN = st.builds(Drawn, fields(0, 59), NIGHT, DAYS, MONTHS, WEEKDAYS)


def named(drawn: Drawn, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """What the calendar names in [start, end)."""
    timing = Cron(expression=drawn.expression, timezone=zone)
    found: list[datetime] = []
    after = us(start) - 1
    while (at := cron.after(timing, Micros(after))) is not None and at < us(end):
        found.append(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at))
        after = at
    return found


def around_a_change(zone: str, year: int, pick: int) -> tuple[datetime, datetime]:
    """Half a day around one of the clock changes of a year, or from its middle on."""
    found = changes(zone, year) or [datetime(year, 7, 1, tzinfo=UTC)]
    at = found[pick % len(found)]
    return at - 3 * HOUR, at + 9 * HOUR


@pytest.mark.sources("N17", "P10")
@settings(properties, max_examples=300)
@given(st.sampled_from(ZONES), YEARS, st.integers(0, 3), st.lists(DRAWN, min_size=7, max_size=7))
def test_every_zone_fires_through_its_clock_changes_as_its_clocks_show(
    zone: str, year: int, pick: int, expressions: list[Drawn]
) -> None:
    start, end = around_a_change(zone, year, pick)
    for drawn, wanted in zip(expressions, instants(expressions, zone, start, end), strict=True):
        assert named(drawn, zone, start, end) == wanted, drawn.expression


@pytest.mark.sources("P10")
@properties
@given(
    st.sampled_from(ZONES),
    YEARS,
    st.integers(0, 3),
    DRAWN,
    st.integers(0, 12 * 60 - 1),
    st.integers(0, 59_999_999),
)
def test_the_next_instant_is_the_same_from_wherever_one_asks(
    zone: str, year: int, pick: int, drawn: Drawn, minute: int, micros: int
) -> None:
    start, end = around_a_change(zone, year, pick)
    asked = start + minute * MINUTE + timedelta(microseconds=micros)
    later = [at for at in instants([drawn], zone, start, end)[0] if at > asked]
    found = cron.after(Cron(expression=drawn.expression, timezone=zone), us(asked))

    assert found == us(later[0]) if later else found is None or found >= us(end)


@pytest.mark.sources("P10")
@properties
@given(
    st.integers(2023, 2096),
    st.builds(Drawn, values(0, 59, 1), values(0, 23, 1), fields(1, 31, 4), fields(1, 12), fields(0, 6)),
)
def test_days_are_those_of_the_calendar_over_leap_days_and_year_ends(year: int, drawn: Drawn) -> None:
    (hour,), (minute,) = drawn.hour.values, drawn.minute.values
    first, days = date(year, 1, 1), (date(year + 3, 1, 1) - date(year, 1, 1)).days
    coming = [first + n * DAY for n in range(days)]
    wanted = [datetime(d.year, d.month, d.day, hour, minute, tzinfo=UTC) for d in coming if drawn.on(d)]
    assume(wanted)
    start = datetime(year, 1, 1, tzinfo=UTC)

    assert named(drawn, "UTC", start, start + days * DAY) == wanted


@properties
@given(
    st.integers(1_000_000, 10**15),
    st.integers(0, 2 * 10**15),
    st.integers(0, 4 * 10**15),
    st.integers(1, 1_000),
)
def test_an_interval_never_leaves_its_grid(step: int, anchor: int, start: int, count: int) -> None:
    grid = Every(every=step, anchor=Micros(anchor))
    at = Micros(start)
    for _ in range(min(count, 20)):
        following = after_every(grid, at)
        assert following > at
        assert following >= anchor
        assert (following - anchor) % step == 0
        assert following - step <= at or following == anchor
        at = following
