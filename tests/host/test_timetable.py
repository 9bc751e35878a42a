"""What people write about when: told in words, with its next instants, or refused with the way out."""

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from tenure.core.recall import RecallPolicy
from tenure.core.scheduling import PreviewSchedule
from tenure.core.timing import Cron, Once, Timing
from tenure.errors import Code, TenureError
from tenure.host import timetable
from tenure.host.surprises import surprises
from tests.host.oracle import us

NOW = us(datetime(2026, 11, 21, 9, 7, 12, 345_678, tzinfo=UTC))
BERLIN = "Europe/Berlin"


def read(**asked: Any) -> tuple[Timing, RecallPolicy]:
    """What was asked for, if it can be had."""
    wish = PreviewSchedule(**asked)
    timing = timetable.timing_of(wish, NOW)
    policy = timetable.policy_of(wish, timing)
    timetable.first(timing, policy, NOW)
    return timing, policy


def coming(count: int = 2, **asked: Any) -> list[str]:
    """The next instants."""
    timing, policy = read(**asked)
    return [timetable.written(at, timing) for at in islice(timetable.instants(timing, policy, NOW), count)]


WORDS: dict[str, dict[str, Any]] = {
    "Once at 2027-01-31 11:00 UTC": {"at": "2027-01-31T12:00:00+01:00"},
    "Once at 2026-11-21 09:07:17 UTC": {"in_s": 5},
    "Once at 2026-11-21 09:07:12 UTC, up to 90 seconds later": {"in_s": 0.001, "jitter_s": 90},
    "Every second from 2026-11-21 09:07:12 UTC": {"every_s": 1},
    "Every 1.5 seconds from 2026-11-21 09:07:12 UTC": {"every_s": 1.5},
    "Every 15 minutes from 2027-01-01 00:00 UTC": {"every_s": 900, "anchor": "2027-01-01T00:00:00Z"},
    "Every hour from 2026-11-21 09:07:12 UTC, once": {"every_s": 3_600, "max_runs": 1},
    "Every 36 hours from 2026-11-21 09:07:12 UTC": {"every_s": 129_600},
    "Every 7 days from 2026-11-21 09:07:12 UTC": {"every_s": 604_800},
    "At 09:30 on Monday through Friday (Europe/Berlin)": {"cron": "30 9 * * 1-5", "timezone": BERLIN},
    "At 00:00 every day (UTC), 3 times at most": {"cron": "@daily", "max_runs": 3},
    "At 00:00 on the 31st day of every month (UTC)": {"cron": "0 0 31 * *"},
    "At 00:00 on the 22nd day of every month (UTC)": {"cron": "0 0 22 * *"},
    "At 00:00 on the 12th day of every month (UTC)": {"cron": "0 0 12 * *"},
    "At 09:00 on the last weekday of every month (UTC), until 2027-06-01 00:00 UTC": {
        "cron": "0 9 LW * *",
        "ends_at": "2027-06-01T00:00:00Z",
    },
    "At 09:00 every day (Europe/Berlin), until 2027-06-01 02:00 +02:00": {
        "cron": "0 9 * * *",
        "timezone": BERLIN,
        "ends_at": "2027-06-01T00:00:00Z",
    },
}


@pytest.mark.sources("N17")
@pytest.mark.parametrize("words", WORDS)
def test_a_schedule_is_told_in_words(words: str) -> None:
    assert timetable.explain(*read(**WORDS[words])) == words


@pytest.mark.sources("N17")
def test_instants_are_written_with_the_offset_of_their_zone() -> None:
    daily = {"cron": "0 9 * 3,4 *", "timezone": BERLIN}

    assert coming(1, at="2027-01-31T12:00:00+01:00") == ["2027-01-31T11:00:00+00:00"]
    assert coming(28, **daily)[26:] == ["2027-03-27T09:00:00+01:00", "2027-03-28T09:00:00+02:00"]


@pytest.mark.sources("N18", "D-N7")
def test_an_interval_keeps_to_the_grid_of_its_anchor_wherever_that_lies() -> None:
    past, future = "1970-01-01T00:00:05Z", "2100-01-01T00:00:05Z"

    assert coming(every_s=60, anchor=past) == ["2026-11-21T09:08:05+00:00", "2026-11-21T09:09:05+00:00"]
    assert coming(every_s=60, anchor=future) == ["2100-01-01T00:00:05+00:00", "2100-01-01T00:01:05+00:00"]
    assert coming(every_s=60) == ["2026-11-21T09:08:12.345678+00:00", "2026-11-21T09:09:12.345678+00:00"]


def test_what_ends_fires_at_its_end_and_not_after_it() -> None:
    asked = {"every_s": 60, "anchor": "2027-01-01T00:00:00Z"}

    assert coming(5, **asked, ends_at="2027-01-01T00:01:00Z") == [
        "2027-01-01T00:00:00+00:00",
        "2027-01-01T00:01:00+00:00",
    ]


WRONG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "nothing": ("at", "exactly one of at, in_s, every_s and cron, but got none", {}),
    "null": ("at", "null counts as left out", {"every_s": None}),
    "two": ("cron", "got at and cron", {"at": "2027-01-01T00:00:00Z", "cron": "@daily"}),
    "every zero": ("every_s", "every_s is 0. Give 1 to 31536000000 seconds.", {"every_s": 0}),
    "every negative": ("every_s", "every_s is -60.", {"every_s": -60}),
    "every too small": ("every_s", "every_s is 0.999.", {"every_s": 0.999}),
    "every too large": ("every_s", "every_s is 1e+12.", {"every_s": 1e12}),
    "every nan": ("every_s", "every_s is nan.", {"every_s": float("nan")}),
    "every inf": ("every_s", "every_s is inf.", {"every_s": float("inf")}),
    "in zero": ("in_s", "in_s is 0.", {"in_s": 0}),
    "in negative": ("in_s", "in_s is -1.", {"in_s": -1}),
    "in nan": ("in_s", "in_s is nan.", {"in_s": float("nan")}),
    "past": ("at", "which is past: it is 2026-11-21T09:07:12.345678Z now", {"at": "2026-11-21T09:07:12Z"}),
    "no such date": ("at", "which is no date and time. Write it like", {"at": "2027-02-29T12:00:00Z"}),
    "no such hour": ("at", "which is no date and time.", {"at": "2027-02-28T25:00:00Z"}),
    "no offset": ("at", "which has no offset from UTC. Write it like", {"at": "2027-01-31T12:00:00"}),
    "only a date": ("at", "which has no offset from UTC.", {"at": "2027-01-31"}),
    "words": ("at", "which is no date and time.", {"at": "tomorrow"}),
    "too early": ("at", "Give a year from 1970 to 9998.", {"at": "0001-01-01T00:00:00+14:00"}),
    "too late": ("at", "Give a year from 1970 to 9998.", {"at": "9999-12-31T23:59:59-14:00"}),
    "zone alone": ("timezone", "timezone goes with cron alone", {"in_s": 5, "timezone": "UTC"}),
    "anchor of cron": (
        "anchor",
        "anchor goes with every_s",
        {"cron": "@daily", "anchor": "2027-01-01T00:00:00Z"},
    ),
    "anchor": ("anchor", "which has no offset from UTC.", {"every_s": 60, "anchor": "2027-01-01"}),
    "empty zone": ("timezone", "There is no time zone ''.", {"cron": "@daily", "timezone": ""}),
    "end": (
        "ends_at",
        "ends_at is 2026-11-21T12:00:00+00:00, but the first instant would be 2026-11-22T00:00:00+00:00.",
        {"cron": "@daily", "ends_at": "2026-11-21T12:00:00Z"},
    ),
    "end of once": ("ends_at", "the first instant would be", {"in_s": 60, "ends_at": "2026-11-21T09:08:00Z"}),
    "no end": ("ends_at", "which is no date and time.", {"in_s": 60, "ends_at": "never"}),
    "jitter": ("jitter_s", "may be only 60 s apart", {"every_s": 60, "jitter_s": 61}),
    "jitter of cron": ("jitter_s", "may be only 300 s apart", {"cron": "0,5 9 * * *", "jitter_s": 301}),
    "jitter over midnight": (
        "jitter_s",
        "may be only 60 s apart",
        {"cron": "59,0 0,23 * * *", "jitter_s": 61},
    ),
}


@pytest.mark.sources("N17", "D-N7")
@pytest.mark.parametrize("case", WRONG)
def test_what_makes_no_schedule_is_refused_with_field_and_way_out(case: str) -> None:
    field, said, asked = WRONG[case]
    with pytest.raises(TenureError) as caught:
        read(**asked)

    assert (caught.value.code, caught.value.facts["field"]) == (Code.INVALID, field)
    assert said in str(caught.value)


def told(**asked: Any) -> list[str]:
    """What people are told that they may not think of."""
    return list(surprises(*read(**asked), NOW))


@pytest.mark.sources("N17")
def test_people_hear_of_times_that_the_clocks_skip_or_show_twice_within_a_year() -> None:
    assert told(cron="30 2 * * *", timezone=BERLIN) == [
        (
            "On 2027-03-28 there is no 02:30 in Europe/Berlin: the clocks go from 02:00 to 03:00. "
            "It fires at 03:00 then."
        ),
        (
            "On 2027-10-31 it is 02:30 twice in Europe/Berlin: the clocks go back from 03:00 to 02:00. "
            "It fires the first time only."
        ),
    ]
    assert told(cron="*/15 2 * * *", timezone=BERLIN) == [
        "On 2027-03-28 the clocks in Europe/Berlin go from 02:00 to 03:00. What falls between is left out.",
        (
            "On 2027-10-31 the clocks in Europe/Berlin go back from 03:00 to 02:00. "
            "What falls between 02:00 and 03:00 fires both times."
        ),
    ]
    assert told(cron="0 0 * * *", timezone="Africa/Cairo") == [
        (
            "On 2027-04-30 there is no 00:00 in Africa/Cairo: the clocks go from 00:00 to 01:00. "
            "It fires at 01:00 then."
        )
    ]
    assert told(cron="45 1 * * *", timezone="Australia/Lord_Howe") == [
        (
            "On 2027-04-04 it is 01:45 twice in Australia/Lord_Howe: the clocks go back from 02:00 to 01:30. "
            "It fires the first time only."
        )
    ]


def test_people_hear_nothing_of_clock_changes_that_do_not_touch_their_schedule() -> None:
    assert told(cron="30 9 * * *", timezone=BERLIN) == []
    assert told(cron="30 2 * * *", timezone="Asia/Tokyo") == []
    assert told(cron="*/10 * * * *", timezone=BERLIN) == []
    assert told(cron="30 2 * * MON-FRI", timezone=BERLIN) == []
    assert told(cron="30 2 * * *", timezone=BERLIN, ends_at="2027-03-01T00:00:00Z") == []
    assert told(cron="30 2 * * *", timezone=BERLIN, max_runs=30) == []
    assert len(told(cron="30 2 * * *", timezone=BERLIN, max_runs=130)) == 1
    assert told(in_s=60) == told(every_s=60) == []


@pytest.mark.sources("N17")
def test_people_hear_of_short_months_of_two_kinds_of_days_and_of_days_in_hours() -> None:
    assert told(cron="0 0 31 * *") == [
        (
            "February, April, June, September and November may have no day 31 and leave it out. "
            "L is the last day of a month."
        )
    ]
    assert told(cron="0 0 1,29 2 *") == [
        "February may have no day 29 and leave it out. L is the last day of a month."
    ]
    assert told(cron="0 0 31 1,3 *") == told(cron="0 0 1-31 * *") == told(cron="0 0 L * *") == []
    assert told(cron="0 0 13 * FRI") == [
        "Day of month 13 or day of week FRI: one is enough, because neither begins with *."
    ]
    assert told(cron="0 0 */2 * MON") == [
        "Day of month */2 and day of week MON must both hold, because one begins with *."
    ]
    assert told(every_s=86_400) == [
        (
            "A day is 24 hours here: where the clocks change, it moves to another time of the day. "
            "cron with a timezone keeps to the time of the day."
        )
    ]


def test_a_time_that_never_comes_is_refused() -> None:
    with pytest.raises(TenureError, match=r"This never fires: Once at 2026-11-21 09:07 UTC") as caught:
        timetable.first(Once(at=us(datetime(2026, 11, 21, 9, 7, tzinfo=UTC))), RecallPolicy(), NOW)

    assert caught.value.facts["field"] == "at"


def test_a_timetable_of_a_zone_that_is_gone_says_so() -> None:
    gone = Cron(expression="@daily", timezone="Europe/Atlantis")

    for ask in (timetable.first_after, timetable.first):
        with pytest.raises(TenureError, match="There is no time zone 'Europe/Atlantis'"):
            ask(gone, RecallPolicy(), NOW)
    with pytest.raises(TenureError, match="Europe/Atlantis"):
        timetable.written(NOW, gone)
