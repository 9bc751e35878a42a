"""Figures over time: what several samples come to, and which steps there are."""

from math import isnan, nan

import pytest

from tenure.core.figures import ENDED, SERIES, Columns, Fold, steps
from tenure.core.moment import SECOND, Micros
from tenure.core.run import RunState


def samples(*at_s: float, **columns: list[float]) -> Columns:
    """Samples so many seconds after 1970."""
    return Columns([round(at * SECOND) for at in at_s], columns)


def by_minute(found: Columns, since_s: int, until_s: int) -> tuple[list[int], dict[str, list[float | None]]]:
    """The steps of a minute each, in seconds, with None for what is unknown."""
    made = steps(found, Micros(since_s * SECOND), Micros(until_s * SECOND), 60 * SECOND)
    columns = {name: [None if isnan(v) else v for v in column] for name, column in made.values.items()}
    return [at // SECOND for at in made.at], columns


def test_levels_and_rates_become_their_mean_and_times_their_highest() -> None:
    found = samples(0, 10, 20, live_runs=[1, 4, 2], commit_p99_ms=[2.0, 9.0, 3.5])

    assert by_minute(found, 0, 59) == ([0], {"live_runs": [2.333333], "commit_p99_ms": [9.0]})
    assert {name for name, how in SERIES.items() if how is Fold.HIGHEST} == {
        "commit_p50_ms",
        "commit_p99_ms",
        "recall_p50_ms",
        "recall_p99_ms",
        "loop_lag_ms",
    }


def test_figure_that_some_samples_of_a_step_dont_know_is_that_of_the_others() -> None:
    found = samples(0, 10, 70, 80, live_runs=[1, 3, nan, nan], events=[nan, 5, 7, nan])

    assert by_minute(found, 0, 119) == ([0, 60], {"live_runs": [2, None], "events": [5, 7]})


def test_steps_begin_at_whole_multiples_and_know_nothing_where_nothing_was_sampled() -> None:
    found = samples(50, 70, 110, 185, 200, events=[9, 1, 3, 8, 7])

    assert by_minute(found, 60, 190) == ([60, 120, 180], {"events": [2, None, 8]})


def test_samples_that_are_one_to_a_step_stay_as_they_are() -> None:
    found = samples(0, 60, 120, live_runs=[0.123456789, 2, nan], loop_lag_ms=[1, 2, 3])

    assert by_minute(found, 0, 180) == (
        [0, 60, 120, 180],
        {"live_runs": [0.123456789, 2, None, None], "loop_lag_ms": [1, 2, 3, None]},
    )


@pytest.mark.parametrize("state", [RunState.COMPLETED, RunState.FAILED, RunState.LOST])
def test_every_end_of_a_run_has_its_rate(state: RunState) -> None:
    assert SERIES[ENDED[state]] is Fold.MEAN
