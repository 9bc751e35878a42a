"""Cron expressions in time zones: known cases, by hand. What is drawn stands in test_cron_oracle.py."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tenure.core.moment import Micros
from tenure.core.timing import LATEST, Cron
from tenure.errors import Code, TenureError
from tenure.host import cron
from tests.host.oracle import EPOCH, us


def fires(expression: str, timezone: str, after: str, count: int = 3) -> list[str]:
    """The next instants after one, as the clocks of the zone show them; hours have their offset."""
    where = cron.zone(timezone)
    at = us(datetime.fromisoformat(after).replace(tzinfo=where))
    timing = cron.check(expression, timezone)
    found: list[str] = []
    while len(found) < count and (following := cron.after(timing, at)) is not None:
        at = following
        local = (EPOCH + timedelta(microseconds=at)).astimezone(where)
        found.append(f"{local:%Y-%m-%d %H:%M%z}")
    return found


GAPS = {
    "New York, an hour": (
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00"),
        ["2026-03-08 03:00-0400", "2026-03-09 02:30-0400"],
    ),
    "Berlin, several times in one gap": (
        ("30,45 2 * * *", "Europe/Berlin", "2027-03-27T12:00"),
        ["2027-03-28 03:00+0200", "2027-03-29 02:30+0200", "2027-03-29 02:45+0200"],
    ),
    "Berlin, in the gap and at its end": (
        ("0 2,3 * * *", "Europe/Berlin", "2027-03-27T12:00"),
        ["2027-03-28 03:00+0200", "2027-03-29 02:00+0200"],
    ),
    "Berlin, a rhythm leaves out what doesn't exist": (
        ("*/30 2 * * *", "Europe/Berlin", "2027-03-27T02:00"),
        ["2027-03-27 02:30+0100", "2027-03-29 02:00+0200", "2027-03-29 02:30+0200"],
    ),
    "Berlin, a rhythm of every hour goes on": (
        ("*/30 * * * *", "Europe/Berlin", "2027-03-28T01:15"),
        ["2027-03-28 01:30+0100", "2027-03-28 03:00+0200", "2027-03-28 03:30+0200"],
    ),
    "Lord Howe, half an hour": (
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00"),
        ["2026-10-04 02:30+1100", "2026-10-05 02:15+1100"],
    ),
    "Cairo, midnight": (
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00"),
        ["2026-04-24 01:00+0300", "2026-04-25 00:00+0300"],
    ),
    "Beirut, midnight": (
        ("@daily", "Asia/Beirut", "2026-03-28T12:00"),
        ["2026-03-29 01:00+0300", "2026-03-30 00:00+0300"],
    ),
    "Havana, midnight": (
        ("30 0 * * *", "America/Havana", "2026-03-07T12:00"),
        ["2026-03-08 01:00-0400", "2026-03-09 00:30-0400"],
    ),
    "Asuncion, midnight": (
        ("0 0 * * *", "America/Asuncion", "2023-09-30T12:00"),
        ["2023-10-01 01:00-0300", "2023-10-02 00:00-0300"],
    ),
    "Apia, a whole day": (
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T11:00"),
        ["2011-12-29 12:00-1000", "2011-12-31 00:00+1400", "2011-12-31 12:00+1400"],
    ),
    "Apia, a rhythm of that day": (
        ("0 */12 30 12 *", "Pacific/Apia", "2011-12-29T11:00"),
        ["2012-12-30 00:00+1400", "2012-12-30 12:00+1400"],
    ),
}


@pytest.mark.sources("N17", "P10")
@pytest.mark.parametrize("case", GAPS)
def test_a_time_that_the_clocks_skip_fires_right_after_the_gap(case: str) -> None:
    asked, wanted = GAPS[case]

    assert fires(*asked, count=len(wanted)) == wanted


TWICE = {
    "New York, a fixed time fires once": (
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00"),
        ["2026-11-01 01:30-0400", "2026-11-02 01:30-0500"],
    ),
    "New York, a rhythm fires in both hours": (
        ("*/30 * * * *", "America/New_York", "2026-11-01T00:45"),
        [
            "2026-11-01 01:00-0400",
            "2026-11-01 01:30-0400",
            "2026-11-01 01:00-0500",
            "2026-11-01 01:30-0500",
            "2026-11-01 02:00-0500",
        ],
    ),
    "New York, a wildcard minute of one hour": (
        ("*/30 1 * * *", "America/New_York", "2026-10-31T12:00"),
        ["2026-11-01 01:00-0400", "2026-11-01 01:30-0400", "2026-11-01 01:00-0500", "2026-11-01 01:30-0500"],
    ),
    "New York, a wildcard hour": (
        ("15 */1 * * *", "America/New_York", "2026-11-01T00:45"),
        ["2026-11-01 01:15-0400", "2026-11-01 01:15-0500", "2026-11-01 02:15-0500"],
    ),
    "New York, a list of all hours is no wildcard": (
        ("0 0-23 * * *", "America/New_York", "2026-11-01T00:30"),
        ["2026-11-01 01:00-0400", "2026-11-01 02:00-0500"],
    ),
    "Lord Howe, half an hour": (
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00"),
        ["2026-04-05 01:45+1100", "2026-04-06 01:45+1030"],
    ),
    "Havana, midnight twice": (
        ("0 0 * * *", "America/Havana", "2026-10-31T12:00"),
        ["2026-11-01 00:00-0400", "2026-11-02 00:00-0500"],
    ),
    "Cairo, the day before comes back": (
        ("30 23 * * *", "Africa/Cairo", "2026-10-29T12:00"),
        ["2026-10-29 23:30+0300", "2026-10-30 23:30+0200"],
    ),
}


@pytest.mark.sources("N17", "P10")
@pytest.mark.parametrize("case", TWICE)
def test_a_time_that_comes_twice_fires_once_but_for_wildcards(case: str) -> None:
    asked, wanted = TWICE[case]

    assert fires(*asked, count=len(wanted)) == wanted


DATES = {
    "leap day": (("0 0 29 2 *", "2026-01-01T00:00"), ["2028-02-29", "2032-02-29", "2036-02-29"]),
    "no leap day in 2100": (("0 0 29 2 *", "2095-01-01T00:00"), ["2096-02-29", "2104-02-29"]),
    "leap day on a Friday": (("0 0 */28 2 FRI#5", "2026-01-01T00:00"), ["2036-02-29", "2064-02-29"]),
    "year end": (("59 23 31 12 *", "2026-12-31T23:59"), ["2027-12-31", "2028-12-31"]),
    "new year": (("@yearly", "2026-12-31T23:59"), ["2027-01-01", "2028-01-01"]),
    "days that some months lack": (
        ("0 0 31 * *", "2026-11-21T00:00"),
        ["2026-12-31", "2027-01-31", "2027-03-31"],
    ),
    "last day": (("0 0 L * *", "2028-01-31T12:00"), ["2028-02-29", "2028-03-31", "2028-04-30"]),
    "last weekday": (("0 9 LW * *", "2026-01-05T00:00"), ["2026-01-30", "2026-02-27", "2026-03-31"]),
    "second Monday": (("0 9 * * MON#2", "2026-11-21T00:00"), ["2026-12-14", "2027-01-11"]),
    "last Friday": (("0 9 * * 5L", "2026-11-21T00:00"), ["2026-11-27", "2026-12-25"]),
    "names in any case": (("0 9 * jan,Feb mon-FRI", "2026-12-30T00:00"), ["2027-01-01", "2027-01-04"]),
    "0 and 7 are Sunday": (("0 0 * * 7", "2026-11-21T00:00"), ["2026-11-22", "2026-11-29"]),
    "Friday or 13th": (("0 0 13 * 5", "2026-11-28T00:00"), ["2026-12-04", "2026-12-11", "2026-12-13"]),
    "Monday and an odd day": (
        ("0 0 */2 * 1", "2026-11-21T00:00"),
        ["2026-11-23", "2026-12-07", "2026-12-21"],
    ),
    "odd whitespace": (("  0\t0  1\n1   *  ", "2026-11-21T00:00"), ["2027-01-01"]),
    "weekly": ((" @Weekly ", "2026-11-21T00:00"), ["2026-11-22", "2026-11-29"]),
    "monthly": (("@monthly", "2026-11-21T00:00"), ["2026-12-01", "2027-01-01"]),
    "the last year": (("0 0 1 1 *", "9996-06-01T00:00"), ["9997-01-01", "9998-01-01"]),
}


@pytest.mark.sources("N17")
@pytest.mark.parametrize("case", DATES)
def test_dates_are_those_of_the_calendar(case: str) -> None:
    (expression, after), wanted = DATES[case]

    found = fires(expression, "UTC", after, count=len(wanted))
    assert [each[:10] for each in found] == wanted


def test_names_with_an_at_sign_stand_for_their_expressions() -> None:
    written = {name: cron.check(name, "UTC").expression for name in cron.NAMES}

    assert written == cron.NAMES
    assert cron.check("@MidNight", "UTC") == Cron(expression="0 0 * * *", timezone="UTC")


@pytest.mark.parametrize("micros", [1, 999_999, 59_999_999])
def test_an_instant_between_two_minutes_is_after_the_one_before(micros: int) -> None:
    timing = Cron(expression="* * * * *", timezone="Asia/Kathmandu")
    nine = us(datetime(2026, 11, 21, 9, 0, tzinfo=UTC))

    assert cron.after(timing, Micros(nine - 1)) == nine
    assert cron.after(timing, Micros(nine + micros)) == nine + 60_000_000


def test_nothing_comes_after_the_end_of_time() -> None:
    for expression in ("* * * * *", "0 0 1 1 *", "0 12 * * *"):
        timing = Cron(expression=expression, timezone="Pacific/Kiritimati")

        assert cron.after(timing, LATEST) is None
        assert cron.after(timing, Micros(LATEST - 1)) is None
        assert cron.after(timing, Micros(LATEST + 10**15)) is None


WRONG = {
    "": "it has 0",
    "* * * *": "it has 4",
    "0 0 0 * * *": "it has 6",
    "@reboot": "it has 1",
    "60 * * * *": "its minute is '60'. Write 0 to 59",
    "-1 * * * *": "its minute is '-1'",
    "*/0 * * * *": "its minute is '*/0'",
    "1,,2 * * * *": "its minute is '1,,2'",
    "0 24 * * *": "its hour is '24'. Write 0 to 23",
    "0 17-9 * * *": "its hour is '17-9'",
    "0 0 32 * *": "its day-of-month is '32'",
    "0 0 L-3 * *": "its day-of-month is 'L-3'",
    "0 0 ? * *": "its day-of-month is '?'",
    "0 0 * 13 *": "its month is '13'. Write 1 to 12 or JAN to DEC",
    "0 0 * * FRI-MON": "its day-of-week is 'FRI-MON'",
    "0 0 * * MON#6": "its day-of-week is 'MON#6'",
    "0 0 * * L": "its day-of-week is 'L'",
    "\uff11 0 * * *": "its minute is '\uff11'",
    "0 0 31 2 *": "no month that it names has a day 31",
    "0 0 30,31 2 *": "no month that it names has a day 30,31",
    "0 0 31 4,6,9,11 *": "no month that it names has a day 31",
    "0 0 */31 2 1#5": "there is no such date in any year",
}


@pytest.mark.sources("N17", "D-N7")
@pytest.mark.parametrize("expression", WRONG)
def test_a_wrong_expression_is_refused_with_the_field_that_is_wrong(expression: str) -> None:
    with pytest.raises(TenureError) as caught:
        cron.check(expression, "UTC")

    assert (caught.value.code, caught.value.facts["field"]) == (Code.INVALID, "cron")
    assert WRONG[expression] in str(caught.value)


@pytest.mark.sources("D-N7")
@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("", "Give an IANA name"),
        ("Mars/Olympus", "Give an IANA name"),
        ("../../etc/passwd", "Give an IANA name"),
        ("/usr/share/zoneinfo/UTC", "Give an IANA name"),
        ("localtime", "Give an IANA name"),
        ("posixrules", "Give an IANA name"),
        ("right/UTC", "Give an IANA name"),
        ("Factory", "Give an IANA name"),
        ("Europe", "Give an IANA name"),
        ("U\0TC", "Give an IANA name"),
        ("+02:00", "Give an IANA name"),
        ("z" * 5_000, "Give an IANA name"),
        ("europe/berlin", "Did you mean Europe/Berlin?"),
        (" utc", "Did you mean UTC?"),
        ("America/New York", "Did you mean America/New_York?"),
    ],
)
def test_an_unknown_zone_is_refused_with_what_may_have_been_meant(name: str, way_out: str) -> None:
    with pytest.raises(TenureError) as caught:
        cron.check("@daily", name)

    assert (caught.value.code, caught.value.facts["field"]) == (Code.INVALID, "timezone")
    assert way_out in str(caught.value)


def test_a_zone_that_is_gone_is_told_and_not_guessed() -> None:
    timing = Cron(expression="@daily", timezone="Europe/Atlantis")

    with pytest.raises(TenureError, match="There is no time zone 'Europe/Atlantis'"):
        cron.after(timing, Micros(0))


SLOW = [
    "* * * * *",
    "0 0 29 2 *",
    "* * */28 2 1#5",
    "0 0 */28 2 1#5",
    "*/7 * */28 2 1#5",
    "59 23 31 12 7L",
    "0 0 */31 2 1#5",
    "0 0 LW 2 MON#5",
    ",".join(map(str, range(60))) + " 0-23 1-31 1-12 0-7",
]


@pytest.mark.parametrize("zone", ["UTC", "Africa/Casablanca", "Asia/Gaza"])
def test_no_expression_takes_long(zone: str) -> None:
    for expression in SLOW:
        assert min(_seconds(expression, zone) for _ in range(3)) < 0.010, expression


def _seconds(expression: str, zone: str) -> float:
    cron.fields.cache_clear()
    began = time.process_time()
    try:
        timing = cron.check(expression, zone)
    except TenureError:
        return time.process_time() - began
    cron.after(timing, us(datetime(2076, 1, 1, tzinfo=UTC)))
    return time.process_time() - began
