"""What the machine says of itself and of processes: CPU time, memory, model, disk. Linux only."""

import os
import platform
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

IN_MEMORY = {"tmpfs", "ramfs"}
NOTE = "BENCH_TASKS"
"""The environment variable that names the file in which a watched server writes its number of tasks."""


def tree(pid: int) -> list[int]:
    """The process and all that descend from it; empty if it is gone."""
    return list(_descend(pid))


def _descend(pid: int) -> Iterator[int]:
    try:
        children = [
            int(child)
            for listing in Path(f"/proc/{pid}/task").glob("*/children")
            for child in listing.read_text().split()
        ]
    except OSError:
        return
    yield pid
    for child in children:
        yield from _descend(child)


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of whole processes so far, with all their threads, to the nanosecond."""
    return sum(time.clock_gettime(_cpu_clock(pid)) for pid in pids)


def _cpu_clock(pid: int) -> int:
    """The clock of a process's CPU time, numbered as clock_getcpuclockid(3) numbers it."""
    return (~pid << 3) | 2


def resident_bytes(pids: Iterable[int]) -> int:
    """Memory that the processes hold at this moment."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in pids)


class Neighbours:
    """How much of the machine others took meanwhile: the noise in every figure."""

    def __init__(self) -> None:
        self._busy, self._all = _ticks()
        self._own = _own_cpu()

    def share(self) -> float:
        """The part of all CPU time since the beginning that neither we nor our children used, 0 to 1."""
        busy, every = _ticks()
        own = (_own_cpu() - self._own) * os.sysconf("SC_CLK_TCK")
        return max(0.0, (busy - self._busy - own) / max(1, every - self._all))


def _ticks() -> tuple[int, int]:
    """Busy and all clock ticks of all cores since the machine started."""
    with Path("/proc/stat").open() as lines:
        user, nice, system, idle, iowait, *rest = map(int, next(lines).split()[1:9])
    busy = user + nice + system + sum(rest)
    return busy, busy + idle + iowait


def _own_cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def filesystem(folder: Path) -> str:
    """The kind of file system that holds a folder."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2]


def described(folder: Path) -> Sequence[tuple[str, str]]:
    """The machine and the versions that a figure belongs to."""
    packages = ("tenure", "uvicorn", "uvloop", "httptools", "msgspec", "starlette")
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return [
        ("processor", f"{_model()}, {os.cpu_count()} cores, shared with the benchmark's client"),
        ("memory", f"{gigabytes:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}, {filesystem(folder)}"),
        ("Python", f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}"),
        ("packages", ", ".join(f"{name} {version(name)}" for name in packages)),
    ]


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
