"""What a work hands back: figures with their floors, goals and bars, and the table that shows them."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

NO = "**no**"
USUAL_FDATASYNC_MS = 0.21
"""The disk that the goals of latency were set on; a slower one stretches them."""


class Target(NamedTuple):
    """A value to reach, or a share of the floor of the same run, whichever is easier.

    `least` and `most` are in the figure's unit; exactly one of them is given. `syncs` marks a latency
    that contains a commit: the figure's floor is then fdatasync, and a slow one stretches the target.
    """

    least: float | None = None
    most: float | None = None
    of_floor: float | None = None
    syncs: bool = False

    def met(self, value: float, ratio: float | None, floor: float | None) -> bool:
        """Whether a median, its ratio to the floor, or both reach the target."""
        if self.of_floor is not None and ratio is not None and ratio >= self.of_floor:
            return True
        if self.least is not None:
            return value >= self.least
        stretch = stretch_of(floor) if self.syncs and floor is not None else 1.0
        return self.most is not None and value <= self.most * stretch

    def __str__(self) -> str:
        bound = f"≥ {shown(self.least)}" if self.least is not None else f"≤ {shown(self.most or 0)}"
        return bound if self.of_floor is None else f"{bound} or ≥ {self.of_floor:g} of the floor"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One published figure: a value and, where there is one, a floor per round.

    The floor is what the machine does with nothing of Tenure in between, measured in the same round.
    `goal` is where the figure should be; under its `bar` a change must not fall.
    """

    work: str
    name: str
    unit: str
    values: tuple[float, ...]
    floor_of: str = ""
    floors: tuple[float, ...] = ()
    goal: Target | None = None
    bar: Target | None = None

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def floor(self) -> float | None:
        """The median of the floors, None if the figure has none."""
        return statistics.median(self.floors) if self.floors else None

    @property
    def ratio(self) -> float | None:
        """The median of the ratios, each to the floor of its own round."""
        if not self.floors:
            return None
        pairs = zip(self.values, self.floors, strict=True)
        return statistics.median(value / floor for value, floor in pairs)

    def verdict(self, target: Target | None) -> str:
        """Whether a target is met, in a word; empty without one."""
        if target is None:
            return ""
        return "yes" if target.met(self.value, self.ratio, self.floor) else NO


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def stretch_of(fdatasync_ms: float) -> float:
    """By how much a disk stretches the targets that contain a commit."""
    return max(1.0, fdatasync_ms / USUAL_FDATASYNC_MS)


def shown(value: float) -> str:
    """A number with as many digits as it is worth."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def row(figure: Figure) -> tuple[str, ...]:
    """The cells of a figure, as the table on the screen and the one in the docs show them."""
    spread = f"{shown(min(figure.values))} – {shown(max(figure.values))}"
    floor = "" if figure.floor is None else f"{shown(figure.floor)} ({figure.floor_of})"
    return (
        figure.work,
        figure.name,
        f"{shown(figure.value)} {figure.unit}".strip(),
        spread if len(figure.values) > 1 else "",
        floor,
        "" if figure.ratio is None else shown(figure.ratio),
        "" if figure.goal is None else str(figure.goal),
        figure.verdict(figure.goal),
        "" if figure.bar is None else str(figure.bar),
        figure.verdict(figure.bar),
    )


HEADINGS = ("work", "figure", "median", "rounds", "floor", "ratio", "goal", "met", "bar", "held")
NARROW = ("work", "figure", "median", "ratio", "goal", "met", "held")


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the columns that fit on a screen."""
    table = Table(*NARROW)
    for figure in figures:
        cells = dict(zip(HEADINGS, row(figure), strict=True))
        table.add_row(*(cells[heading].replace("**", "") for heading in NARROW))
    console.print(table)
