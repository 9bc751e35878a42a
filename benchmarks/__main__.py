"""`python -m benchmarks [works…] [--rounds 5] [--write]`: measure, print the table, write the page."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop
from rich.console import Console

from benchmarks import cluster, console, lookups, page, recalls, start, w1, w1p, w2, w3, w4, w6, w7
from benchmarks.figures import NO, Figure, show
from benchmarks.machine import IN_MEMORY, Neighbours, described, filesystem

Work = Callable[[Path, int], Awaitable[list[Figure]]]

WORKS: dict[str, Work] = {
    "w1": w1.run,
    "w1p": w1p.run,
    "w2": w2.run,
    "w3": w3.run,
    "w4": w4.run,
    "w5": recalls.run,
    "w6": w6.run,
    "look-ups": lookups.run,
    "w7": w7.run,
    "start": start.run,
    "cluster": cluster.run,
    "console": console.run,
}


async def million(folder: Path, rounds: int) -> list[Figure]:
    """W3 with a journal of a million events as well."""
    size = w3.USUAL._replace(journals=(*w3.USUAL.journals, 1_000_000))
    return await w3.run(folder, rounds, size)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measure the published figures.")
    parser.add_argument("works", nargs="*", metavar="work", help=f"of {', '.join(WORKS)}; default all")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many counts (5)")
    parser.add_argument("--write", action="store_true", help="write docs/reference/benchmarks.md")
    parser.add_argument("--million", action="store_true", help="W3 also with a million events")
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (the temporary one)")
    asked = parser.parse_args(argv)
    unknown = [work for work in asked.works if work.lower() not in WORKS]
    if unknown:
        parser.error(f"unknown work {unknown[0]!r}; there are {', '.join(WORKS)}")
    if asked.rounds < 1:
        parser.error(f"--rounds is at least 1, not {asked.rounds}")
    if asked.write and asked.works:
        parser.error("--write needs all works: a page with half of the table would mislead")
    return asked


def disk(folder: Path | None) -> Path:
    """The folder to work in; refused if it is in memory, where nothing is durable."""
    chosen = folder or Path(tempfile.gettempdir())
    if filesystem(chosen) in IN_MEMORY:
        sys.exit(f"{chosen} is a {filesystem(chosen)}: nothing there is durable. Name a --dir on a disk.")
    return chosen


async def measure(names: Sequence[str], works: dict[str, Work], folder: Path, rounds: int) -> list[Figure]:
    """The figures of the works, one after another, telling how long each took."""
    figures: list[Figure] = []
    for name in names:
        began = time.perf_counter()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        figures += await works[name](folder, rounds)
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    return figures


def main(argv: Sequence[str]) -> int:
    """Measure and show; 1 if a bar isn't held."""
    asked = arguments(argv)
    folder = disk(asked.dir)
    works = {**WORKS, "w3": million} if asked.million else WORKS
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no server is left behind
    neighbours = Neighbours()
    names = [name.lower() for name in asked.works] or list(works)
    figures = uvloop.run(measure(names, works, folder, asked.rounds))
    show(figures, Console(width=None if sys.stdout.isatty() else 150))
    print(f"Others took {neighbours.share():.0%} of the machine meanwhile.")
    if asked.write:
        conditions = page.Conditions(described(folder), asked.rounds, neighbours.share())
        page.write(figures, conditions)
        print(f"Wrote {page.PAGE}.")
    return int(any(each.verdict(each.bar) == NO for each in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
