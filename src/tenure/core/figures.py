"""Figures over time: which there are, and how several samples become one. Host, HTTP face and client use it.

A sample holds what the stats of that moment said, and how fast its counters went since the sample before.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import nan
from typing import NamedTuple

from tenure.core.moment import Micros
from tenure.core.run import RUN, RunState
from tenure.core.view import View


class Fold(StrEnum):
    """What several samples of one figure come to."""

    MEAN = "mean"
    HIGHEST = "highest"


ENDED: dict[RunState, str] = {state: f"runs_{state}_per_s" for state in RunState if state in RUN.terminal}
"""How a run can end -> the figure that tells how many do so."""

SERIES: dict[str, Fold] = {
    "sessions": Fold.MEAN,
    "open_sessions": Fold.MEAN,
    "live_runs": Fold.MEAN,
    "queued_runs": Fold.MEAN,
    "streams": Fold.MEAN,
    "events": Fold.MEAN,
    "hosts": Fold.MEAN,
    "schedules_active": Fold.MEAN,
    "schedules_paused": Fold.MEAN,
    "database_bytes": Fold.MEAN,
    "wal_bytes": Fold.MEAN,
    "commit_p50_ms": Fold.HIGHEST,
    "commit_p99_ms": Fold.HIGHEST,
    "recall_p50_ms": Fold.HIGHEST,
    "recall_p99_ms": Fold.HIGHEST,
    "loop_lag_ms": Fold.HIGHEST,
    "requests_per_s": Fold.MEAN,
    "commits_per_s": Fold.MEAN,
    "events_per_s": Fold.MEAN,
    "recalls_per_s": Fold.MEAN,
    "runs_started_per_s": Fold.MEAN,
    **dict.fromkeys(ENDED.values(), Fold.MEAN),
}
"""Every figure that is kept over time, and what several samples of it come to."""


DIGITS = 6


class Sample(NamedTuple):
    """The figures of one moment; what isn't there is unknown."""

    at: Micros
    values: Mapping[str, float]


class Columns(NamedTuple):
    """Several samples, by figure: `values[name][i]` was so at `at[i]`. Not a number is unknown."""

    at: Sequence[int]
    values: Mapping[str, Sequence[float]]


class StatsSeries(View, frozen=True, kw_only=True):
    """Figures over time, in columns: `series[name][i]` belongs to the step that begins at `at[i]`.

    A step takes `step_s` seconds. Null is unknown: the host wasn't up, or its store didn't answer. `host` is
    the id of the host that answers; its rates, streams and times are its own, its counts those of the store.
    """

    host: int | None
    step_s: int
    at: tuple[str, ...]
    series: dict[str, tuple[float | None, ...]]


def steps(samples: Columns, since: Micros, until: Micros, step: int) -> Columns:
    """One sample for each step of so many microseconds, from that of `since` to that of `until`.

    Steps begin at whole multiples of `step` since 1970. One without samples knows nothing; a figure that only
    some samples of a step know is what they say.
    """
    first = since // step
    members: list[list[int]] = [[] for _ in range(until // step - first + 1)]
    for place, at in enumerate(samples.at):
        if since <= at <= until:
            members[at // step - first].append(place)
    fold = _only if max(map(len, members)) <= 1 else _folded
    values = {name: fold(SERIES[name], column, members) for name, column in samples.values.items()}
    return Columns([(first + i) * step for i in range(len(members))], values)


def _only(_how: Fold, column: Sequence[float], members: Sequence[Sequence[int]]) -> list[float]:
    """Steps of one sample each at most: nothing is to be reckoned."""
    return [column[places[0]] if places else nan for places in members]


def _folded(how: Fold, column: Sequence[float], members: Sequence[Sequence[int]]) -> list[float]:
    fold = max if how is Fold.HIGHEST else _mean
    return [
        fold(known) if (known := [value for i in places if (value := column[i]) == value]) else nan
        for places in members
    ]


def _mean(known: Sequence[float]) -> float:
    return round(sum(known) / len(known), DIGITS)
