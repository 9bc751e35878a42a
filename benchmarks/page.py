"""Writes docs/reference/benchmarks.md: the figures with the machine, the day and the noise they belong to."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import HEADINGS, NO, USUAL_FDATASYNC_MS, Figure, row

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"

OPENING = """\
# Benchmarks

Written by `./dev bench --write`. Every figure comes from the real server in a process of its own, with
all features on, on SQLite with `synchronous=FULL`: an event is shown to nobody before it is on the
disk. The client runs on the same machine and takes its share of it.

"""

WORKS = """\
## The works

| work | what is done |
| --- | --- |
| W1 | 20 sessions as fast as they can, 100 deltas a run; every journaled event counts and is streamed |
| W1p | 100 and 500 runs at once, 50 deltas a second each, as models speak |
| W2 | one run with 200 subscribers, in one burst and paced |
| W3 | connections that break at random bytes while runs speak and while journals are read again; replay |
| W4 | sessions that do nothing |
| W5 | 10,000 recalls in ten seconds, each with a run, while a million more schedules wait |
| W6 | messages and interrupts while runs speak |
| W7 | `kill -9` with 1,000 runs alive, and a restart on the same home |
| start | imports, the command line, a server that gets ready |
| console | the console in Chromium: a first visit, a long session, a burst while somebody types |

"""

READING = """\
## How to read the table

- *median* is the median of the rounds, *rounds* their smallest and largest value.
- *floor* is what this machine does with nothing of Tenure in between, measured in the same round, so
  that a slow or busy machine doesn't change the *ratio* much. *SQLite batch* writes one row an event,
  2,000 rows a commit, `synchronous=FULL`, with no index and nothing to decide. *Raw writes* go to as
  many sockets as there are subscribers, from a process that does nothing else, to the same client.
- *goal* is where a figure should be, *bar* what no change may fall below. Goals and bars of latencies
  that contain a commit were set on a disk with an fdatasync p50 of {usual} ms; where a round's disk was
  slower, they stretch with it.
- A percentile is taken within a round; then comes the median over the rounds.

## Run it yourself

    ./dev bench                  # all works, four minutes on a quiet machine
    ./dev bench w1 w3 --rounds 3
    ./dev bench --write          # and write this page

The works are in `benchmarks/`, one file each; `--million` also reads a journal of a million events.
Run it on a quiet machine: the server, its client and the floors want two cores for themselves.
"""


class Conditions(NamedTuple):
    """What a table of figures belongs to."""

    machine: Sequence[tuple[str, str]]
    rounds: int
    neighbours: float


def write(figures: Sequence[Figure], conditions: Conditions) -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    reading = READING.format(usual=USUAL_FDATASYNC_MS)
    text = "".join([OPENING, _conditions(conditions), WORKS, _table(figures), reading])
    PAGE.write_text(text)


def _conditions(conditions: Conditions) -> str:
    measured = [
        ("measured", f"{datetime.now(UTC):%Y-%m-%d}, median of {conditions.rounds} rounds"),
        *conditions.machine,
        ("others", f"took {conditions.neighbours:.0%} of the machine meanwhile"),
    ]
    return _lines(("machine", ""), measured)


def _table(figures: Sequence[Figure]) -> str:
    rows = [row(figure) for figure in figures]
    missed = [each.name for each in figures if each.verdict(each.goal) == NO]
    goals = sum(each.goal is not None for each in figures)
    verdict = "Every goal is met." if not missed else f"Goals not met: {len(missed)} of {goals}."
    return f"## The figures\n\n{verdict}\n\n" + _lines(HEADINGS, rows)


def _lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---"] * len(headings)
    lines = ["| " + " | ".join(cells) + " |" for cells in (headings, ruler, *rows)]
    return "\n".join([*lines, "", ""])
