"""What becomes of instants that are due, by the policies of their schedule."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.moment import SECOND, Micros
from tenure.core.recall import (
    MOST_BACKOFF_S,
    Instant,
    Judged,
    Missed,
    Reason,
    RecallPolicy,
    asked_id,
    backoff,
    judge,
    occurrence_id,
    wake_at,
)
from tenure.core.schedule import OccurrenceState
from tests.core.properties import properties

ADMITTED, MISSED = OccurrenceState.ADMITTED, OccurrenceState.MISSED
SINCE = Micros(100)
policies = st.builds(RecallPolicy, missed=st.sampled_from(Missed), missed_max=st.integers(1, 12))


def at(*times: int) -> list[Instant]:
    """Instants without jitter."""
    return [Instant(Micros(time), Micros(time)) for time in times]


def told(judged: list[Judged]) -> list[tuple[int, str, str | None]]:
    """What was decided, in short."""
    return [(one.due_at, one.state, one.reason) for one in judged]


@pytest.mark.parametrize("missed", Missed)
def test_one_that_is_on_time_is_admitted_whatever_happens_to_missed_ones(missed: Missed) -> None:
    assert told(judge(at(101), SINCE, RecallPolicy(missed=missed), paused=None)) == [(101, ADMITTED, None)]


@pytest.mark.sources("P10")
@pytest.mark.parametrize(
    ("policy", "late", "with_timely"),
    [
        (RecallPolicy(missed=Missed.SKIP), [MISSED, MISSED, MISSED], [MISSED, MISSED, ADMITTED]),
        (RecallPolicy(missed=Missed.ONCE), [MISSED, MISSED, ADMITTED], [MISSED, MISSED, ADMITTED]),
        (RecallPolicy(missed=Missed.ALL), [ADMITTED] * 3, [ADMITTED] * 3),
        (RecallPolicy(missed=Missed.ALL, missed_max=2), [MISSED, *[ADMITTED] * 2], [MISSED, *[ADMITTED] * 2]),
    ],
    ids=["skip", "once", "all", "all up to two"],
)
def test_missed_ones_are_made_up_for_as_the_policy_says(
    policy: RecallPolicy, late: list[OccurrenceState], with_timely: list[OccurrenceState]
) -> None:
    assert [one.state for one in judge(at(10, 20, 30), SINCE, policy, paused=None)] == late
    assert [one.state for one in judge(at(10, 20, 130), SINCE, policy, paused=None)] == with_timely


def test_a_late_one_says_whether_the_schedule_rested_then() -> None:
    judged = judge(at(10, 20, 30, 40, 130), SINCE, RecallPolicy(), paused=(Micros(20), Micros(30)))

    assert [one.reason for one in judged] == [
        Reason.LATE,
        Reason.PAUSED,
        Reason.PAUSED,
        Reason.LATE,
        None,
    ]


def test_one_that_jitter_put_off_into_a_rest_was_paused() -> None:
    jittered = [Instant(Micros(10), Micros(25)), Instant(Micros(20), Micros(35))]
    judged = judge(jittered, SINCE, RecallPolicy(missed=Missed.SKIP), paused=(Micros(20), Micros(30)))

    assert told(judged) == [(10, MISSED, Reason.PAUSED), (20, MISSED, Reason.LATE)]


def test_one_that_wanted_to_be_looked_at_in_time_is_not_late_though_it_was_due_long_ago() -> None:
    jittered = [Instant(Micros(10), Micros(101))]

    assert told(judge(jittered, SINCE, RecallPolicy(missed=Missed.SKIP), paused=None)) == [
        (10, ADMITTED, None)
    ]


@pytest.mark.parametrize("missed", Missed)
def test_all_that_are_on_time_are_admitted_though_they_are_looked_at_together(missed: Missed) -> None:
    judged = judge(at(10, 101, 102), SINCE, RecallPolicy(missed=missed, missed_max=1), paused=None)

    assert told(judged) == [(10, MISSED, Reason.LATE), (101, ADMITTED, None), (102, ADMITTED, None)]


def test_nothing_comes_of_nothing() -> None:
    assert judge([], SINCE, RecallPolicy(), paused=None) == []


@pytest.mark.sources("P10")
@properties
@given(st.lists(st.integers(1, 200), unique=True, max_size=20).map(sorted), policies)
def test_each_instant_is_judged_once_and_the_newest_are_admitted(
    times: list[int], policy: RecallPolicy
) -> None:
    judged = judge(at(*times), SINCE, policy, paused=None)
    admitted = [one.due_at for one in judged if one.state is ADMITTED]
    timely = sum(time > SINCE for time in times)
    made_up = {Missed.SKIP: 0, Missed.ONCE: 1, Missed.ALL: policy.missed_max}[policy.missed]
    most = max(timely, made_up)

    assert [one.due_at for one in judged] == times
    assert admitted == times[len(times) - min(most, len(times)) :]
    assert all(one.reason is not None for one in judged if one.state is MISSED)


@properties
@given(st.integers(0, 10**15), st.floats(0.001, 86_400))
def test_jitter_is_within_its_bounds_and_the_same_on_every_host(due_at: int, jitter_s: float) -> None:
    wake = wake_at("sch_1", Micros(due_at), jitter_s)

    assert due_at <= wake < due_at + jitter_s * SECOND
    assert wake == wake_at("sch_1", Micros(due_at), jitter_s)


def test_without_jitter_an_occurrence_is_looked_at_when_it_is_due() -> None:
    assert wake_at("sch_1", Micros(7), 0.0) == 7


def test_jitter_spreads_a_crowd_evenly() -> None:
    shares = [int(wake_at(f"sch_{n}", Micros(0), 10.0)) // SECOND for n in range(5_000)]
    counts = [shares.count(tenth) for tenth in range(10)]

    assert min(counts) > 400 and max(counts) < 600


def test_the_pause_before_another_try_doubles_up_to_an_hour() -> None:
    policy = RecallPolicy(backoff_s=30.0)

    assert [backoff(policy, attempts) // SECOND for attempts in (1, 2, 3, 7, 8, 100)] == [
        30,
        60,
        120,
        1_920,
        MOST_BACKOFF_S,
        MOST_BACKOFF_S,
    ]


def test_what_somebody_asks_for_has_another_id_than_the_occurrence_of_that_instant() -> None:
    now = Micros(1_795_205_400_000_000)

    assert occurrence_id("sch_1", now) == "sch_1@2026-11-20T20:10:00.000000Z"
    assert asked_id("sch_1", now) != occurrence_id("sch_1", now)


def test_a_policy_survives_its_storage() -> None:
    policy = RecallPolicy(missed=Missed.ALL, ends_at=Micros(5), max_runs=3, jitter_s=0.5)

    assert msgspec.json.decode(msgspec.json.encode(policy), type=RecallPolicy) == policy
