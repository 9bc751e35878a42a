"""Figures over time as a host keeps them: in memory, in columns, the oldest overwritten. Sampling fills it.

The last hour is kept as it was sampled, a week in coarser steps. It knows of no clock and no store.
"""

from array import array
from math import nan
from typing import TypeVar

from tenure.core.figures import DIGITS, SERIES, Columns, Sample, steps
from tenure.core.moment import SECOND, Micros

T = TypeVar("T", int, float)

STEP_S = 10
"""How often the figures are sampled, in seconds."""

COARSE_S = 300
FINE_KEPT_S = 3_600
COARSE_KEPT_S = 7 * 86_400
STEPS_S = (10, 30, 60, 300, 900, 3_600, 7_200)
"""The steps of an answer whose asker named none: the finest that makes no more than MOST_POINTS."""

MOST_POINTS = 400


class Ring:
    """The latest samples: a column per figure, each of fixed size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = 0
        self._at = array("q", bytes(8 * size))
        self._columns = {name: array("d", [nan]) * size for name in SERIES}

    @property
    def size_bytes(self) -> int:
        """How much memory its columns take."""
        return sum(column.itemsize * len(column) for column in (self._at, *self._columns.values()))

    def add(self, sample: Sample) -> None:
        """Keep a sample in place of the oldest."""
        place = self._next % self._size
        self._next += 1
        self._at[place] = sample.at
        for name, column in self._columns.items():
            column[place] = round(sample.values.get(name, nan), DIGITS)

    def all(self) -> Columns:
        """What is kept, the oldest first."""
        return Columns(
            self._ordered(self._at), {name: self._ordered(column) for name, column in self._columns.items()}
        )

    def latest(self, count: int) -> Columns:
        """The latest of them, the oldest of these first."""
        places = [turn % self._size for turn in range(max(0, self._next - count), self._next)]
        values = {name: [column[i] for i in places] for name, column in self._columns.items()}
        return Columns([self._at[i] for i in places], values)

    def _ordered(self, column: "array[T]") -> "array[T]":
        place = self._next % self._size
        return column[:place] if self._next < self._size else column[place:] + column[:place]


class Series:
    """All figures over time of one life of a host."""

    def __init__(self) -> None:
        self._fine = Ring(FINE_KEPT_S // STEP_S + 1)
        self._coarse = Ring(COARSE_KEPT_S // COARSE_S + 1)
        self._begun: Micros | None = None
        """When the coarse step began whose samples come at the moment."""

    @property
    def size_bytes(self) -> int:
        """How much memory it takes, however long the host is up."""
        return self._fine.size_bytes + self._coarse.size_bytes

    def add(self, sample: Sample) -> None:
        """Take the sample of a moment."""
        begins = _floor(sample.at, COARSE_S)
        if self._begun is not None and begins != self._begun:
            self._coarse.add(self._of_step(self._begun))
        self._begun = begins
        self._fine.add(sample)

    def _of_step(self, begun: Micros) -> Sample:
        """The samples of the coarse step that began then, as one."""
        step = COARSE_S * SECOND
        found = steps(self._fine.latest(COARSE_S // STEP_S), begun, Micros(begun + step - 1), step)
        return Sample(begun, {name: column[0] for name, column in found.values.items()})

    def between(self, since: Micros, until: Micros, step_s: int | None) -> tuple[int, Columns]:
        """The step in seconds, and one sample for each from `since` to `until`.

        It may be longer than was asked: what is older than an hour is kept in steps of COARSE_S, and nothing
        is older than COARSE_KEPT_S.
        """
        since = min(max(since, Micros(until - COARSE_KEPT_S * SECOND)), until)
        finest = STEP_S if since >= until - FINE_KEPT_S * SECOND else COARSE_S
        step = _step(finest, (until - since) // SECOND) if step_s is None else max(finest, step_s)
        step = -(-step // finest) * finest
        found = self._fine.all() if finest == STEP_S else self._all_coarse()
        return step, steps(found, _floor(since, step), until, step * SECOND)

    def _all_coarse(self) -> Columns:
        """What is kept coarsely, and behind it what came of the step at the moment."""
        kept = self._coarse.all()
        if self._begun is None:
            return kept
        latest = self._of_step(self._begun)
        values = {name: [*column, latest.values[name]] for name, column in kept.values.items()}
        return Columns([*kept.at, self._begun], values)


def _step(finest: int, seconds: int) -> int:
    fitting = (step for step in STEPS_S if step >= finest and seconds <= step * MOST_POINTS)
    return next(fitting, STEPS_S[-1])


def _floor(at: Micros, step_s: int) -> Micros:
    return Micros(at - at % (step_s * SECOND))
