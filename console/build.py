"""Builds the console into the Python package: `./dev console` and the package's build call this.

It needs nothing but Python and, if there is something to build, Node.js. What was built carries the
fingerprint of its sources, so that it is built again only when they have changed. The new files take the
place of the old ones at once: a host that starts meanwhile never sees half of each.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "src" / "tenure" / "http" / "console_files"
STAMP = "built-of"
MODULES = HERE / "node_modules"
NEW, OLD = MODULES / ".console-new", MODULES / ".console-old"

NODE = (20, 19)
NO_NODE = 3
"""The exit code where Node.js is missing or too old."""

COMPRESSED = {".css", ".html", ".js", ".json", ".svg", ".txt", ".webmanifest"}


def main() -> int:
    """Build if the sources have changed; the exit code."""
    asked = argparse.ArgumentParser(description="Build the console into the Python package.")
    asked.add_argument("--if-possible", action="store_true", help="no failure where Node.js is missing")
    asked.add_argument("--packages", action="store_true", help="see to the packages, too, if nothing changed")
    given = asked.parse_args()
    with alone():
        return build(packages=given.packages, must=not given.if_possible)


def build(*, packages: bool, must: bool) -> int:
    """What `main` does while nobody else does it."""
    fresh = is_fresh()
    if fresh and not packages:
        return 0
    if lack := node_lack():
        print(
            f"{lack} {'The console is built already.' if fresh else without()}", file=sys.stderr, flush=True
        )
        return NO_NODE if must else 0
    code = install()
    if code or fresh:
        return code
    print("Building the console: its sources have changed.", flush=True)
    return bundle()


def is_fresh() -> bool:
    """Whether what was built is of the sources that are here."""
    stamp = BUILT / STAMP
    return stamp.is_file() and stamp.read_text() == fingerprint(sources())


def node_lack() -> str:
    """What is missing of Node.js, in words; nothing if it is all there."""
    least = ".".join(map(str, NODE))
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return f"Node.js {least} or newer, with npm, isn't there."
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None or tuple(map(int, found.groups())) < NODE:
        return f"Node.js {least} or newer isn't there; this is {version or 'something else'}."
    return ""


def without() -> str:
    """What follows where there is no Node.js."""
    if (BUILT / "index.html").is_file():
        return "The console stays as it was built before, older than its sources."
    return "The console isn't built; everything else works without it."


def install() -> int:
    """Install the packages that the lock names, if they aren't there. No script of theirs is run."""
    wanted = fingerprint([HERE / "package.json", HERE / "package-lock.json", HERE / ".npmrc"])
    stamp = MODULES / ".installed-of"
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0
    code = subprocess.call(["npm", "ci"], cwd=HERE)
    if code == 0:
        stamp.write_text(wanted)
    return code


def bundle() -> int:
    """Build into a folder aside, compress, and let it take its place."""
    made_of = fingerprint(sources())
    command = ["npm", "run", "--silent", "build", "--", "--outDir", str(NEW), "--emptyOutDir"]
    code = subprocess.call([*command, "--logLevel", "warn"], cwd=HERE)
    if code:
        return code
    for path in sorted(NEW.rglob("*")):
        if path.suffix in COMPRESSED:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    (NEW / STAMP).write_text(made_of)
    shutil.rmtree(OLD, ignore_errors=True)
    if BUILT.exists():
        BUILT.rename(OLD)
    NEW.rename(BUILT)
    shutil.rmtree(OLD, ignore_errors=True)
    return 0


def sources() -> list[Path]:
    """Every file that the build may read, in order."""
    found: list[Path] = []
    for folder, folders, names in os.walk(HERE):
        folders[:] = [name for name in folders if name not in (MODULES.name, "__pycache__")]
        found += (Path(folder, name) for name in names)
    return sorted(found)


def fingerprint(files: list[Path]) -> str:
    """One value of the names and contents of files."""
    whole = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        whole.update(f"{path.relative_to(HERE).as_posix()} {len(content)}\n".encode() + content)
    return whole.hexdigest()


@contextmanager
def alone() -> Iterator[None]:
    """Wait until nobody else builds this console."""
    folder = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


if __name__ == "__main__":
    sys.exit(main())
