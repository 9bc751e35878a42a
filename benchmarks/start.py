"""Start: what an import, a word from the command line and a ready server cost, beside a bare interpreter."""

import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure, Target, quantile
from benchmarks.server import TENURE, serving

IMPORT = """
import pathlib, time
began = time.perf_counter()
import tenure
took = time.perf_counter() - began
status = pathlib.Path("/proc/self/status").read_text()
print(took * 1e3, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


class Size(NamedTuple):
    """How often each is tried in a round; the median counts."""

    tries: int = 5


USUAL = Size()


class Round(NamedTuple):
    """Milliseconds; `memory` is the most that the importing process held, in MiB."""

    bare: float
    imported: float
    memory: float
    version: float
    ready: float


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Measure and hand back the figures."""
    return _figures([await _round(folder, size) for _ in range(rounds)])


async def _round(folder: Path, size: Size) -> Round:
    imports = [_import() for _ in range(size.tries)]
    async with serving(folder) as server:
        server.stop()
        ready = await server.start() * 1e3
    return Round(
        bare=_wall([sys.executable, "-c", "pass"], size.tries),
        imported=quantile([took for took, _ in imports], 0.5),
        memory=quantile([memory for _, memory in imports], 0.5),
        version=_wall([str(TENURE), "--version"], size.tries),
        ready=ready,
    )


def _import() -> tuple[float, float]:
    command = [sys.executable, "-c", IMPORT]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    took, memory = map(float, printed.stdout.split())
    return took, memory


def _wall(command: list[str], tries: int) -> float:
    """Milliseconds from start to end of a command, the median of some tries."""
    took = list[float]()
    for _ in range(tries):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=30)
        took.append((time.perf_counter() - began) * 1e3)
    return quantile(took, 0.5)


def _figures(done: list[Round]) -> list[Figure]:
    bare = tuple(each.bare for each in done)

    def figure(name: str, unit: str, values: list[float], most: float) -> Figure:
        timed = unit == "ms"
        return Figure(
            work="start",
            name=name,
            unit=unit,
            values=tuple(values),
            floor_of="bare interpreter" if timed else "",
            floors=bare if timed else (),
            goal=Target(most=most),
        )

    return [
        figure("`import tenure`", "ms", [each.imported for each in done], 100),
        figure("memory of a process after it", "MiB", [each.memory for each in done], 30),
        figure("`tenure --version`", "ms", [each.version for each in done], 250),
        figure("server ready, home made before", "ms", [each.ready for each in done], 1_000),
    ]
