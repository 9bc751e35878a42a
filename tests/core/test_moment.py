"""Instants and their one text form."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.moment import Micros, micros, timestamp
from tests.core.properties import properties

YEAR_1000, YEAR_9999 = -30_610_224_000_000_000, 253_402_300_799_999_999


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_795_205_400_123_456, "2026-11-20T20:10:00.123456Z"),
        (1_582_934_400_000_000, "2020-02-29T00:00:00.000000Z"),
        (YEAR_9999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_an_instant_has_one_text_form(at: int, text: str) -> None:
    assert timestamp(Micros(at)) == text
    assert micros(text) == at


@properties
@given(st.integers(YEAR_1000, YEAR_9999))
def test_an_instant_survives_its_text_form(at: int) -> None:
    assert micros(timestamp(Micros(at))) == at


@properties
@given(st.integers(0, YEAR_9999), st.integers(0, YEAR_9999))
def test_text_forms_sort_as_their_instants(one: int, other: int) -> None:
    assert (timestamp(Micros(one)) < timestamp(Micros(other))) == (one < other)


def test_the_text_form_agrees_with_the_calendar() -> None:
    at = Micros(1_795_205_400_123_456)

    assert datetime.fromisoformat(timestamp(at)) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=at
    )


@pytest.mark.parametrize(
    "text",
    ["2026-11-20T20:10:00Z", "2026-11-20T21:10:00+01:00", "2026-11-20T12:10:00-08:00"],
)
def test_any_offset_names_the_same_instant(text: str) -> None:
    assert micros(text) == 1_795_205_400_000_000


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "1795205400"])
def test_what_names_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        micros(text)


def test_a_time_without_a_zone_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"'2026-11-20T20:10:00' has no time zone. End it with Z"):
        micros("2026-11-20T20:10:00")
