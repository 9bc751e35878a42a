"""`python -m tests.agents.install [AGENT]...`: installs real agents, of the locked versions, into .agents/.

`./dev agents` calls it, and so do the tests of real agents for those that aren't there. A folder whose lock
hasn't changed is left as it is.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tenure.runners.acp.known import KNOWN, KnownAgent, Registry

ROOT = Path(__file__).parents[2]
LOCKS = Path(__file__).parent / "locks"
PLACE = ROOT / ".agents"

BOUND_S = 90.0
"""How long one agent may take to install, in seconds."""

IN_CI = ("opencode", "claude-code")
"""The agents that are always tested. `TENURE_TEST_AGENTS=all`, or names with commas, chooses others."""


class NotInstalled(Exception):
    """An agent can't be installed here, and why."""


def chosen() -> tuple[str, ...]:
    """The agents to be tested."""
    asked = os.environ.get("TENURE_TEST_AGENTS", "")
    if asked == "all":
        return tuple(KNOWN)
    return tuple(name for name in asked.split(",") if name) or IN_CI


def command_of(name: str) -> tuple[str, ...]:
    """The command of an agent, installed if it isn't there. Raises NotInstalled."""
    known, folder = KNOWN[name], PLACE / name
    PLACE.mkdir(exist_ok=True)
    with (PLACE / f"{name}.busy").open("w") as busy:
        # Tests that run side by side wait for the one that installs.
        fcntl.flock(busy, fcntl.LOCK_EX)
        if not _is_as_locked(name, folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _install(known, folder)
            (folder / "lock").write_text(_lock(name))
    return (str(_programs(known, folder) / known.program), *known.arguments)


def _is_as_locked(name: str, folder: Path) -> bool:
    stamp = folder / "lock"
    return stamp.is_file() and stamp.read_text() == _lock(name)


def _lock(name: str) -> str:
    digest = hashlib.sha256()
    for file in sorted((LOCKS / name).iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _programs(known: KnownAgent, folder: Path) -> Path:
    match known.registry:
        case Registry.NPM:
            return folder / "node_modules" / ".bin"
        case Registry.PYPI:
            return folder / "bin"


def _install(known: KnownAgent, folder: Path) -> None:
    match known.registry:
        case Registry.NPM:
            for file in (LOCKS / known.id).iterdir():
                shutil.copy(file, folder)
            # Not `ci`: a lock names the parts for other platforms only where the registry has them.
            _run(["npm", "install", "--no-save", "--no-audit", "--no-fund", "--no-update-notifier"], folder)
        case Registry.PYPI:
            uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
            _run([uv, "venv", "--quiet", "--allow-existing", "--python", _python(), str(folder)], folder)
            # What was resolved is installed as it is: its own pins may name what is no longer there.
            lock = str(LOCKS / known.id / "requirements.txt")
            _run([uv, "pip", "install", "--quiet", "--no-deps", "--python", str(folder), "-r", lock], folder)


def _python() -> str:
    """A Python of 3.12 or newer. Raises NotInstalled."""
    if sys.version_info >= (3, 12):
        return sys.executable
    by_pyenv = sorted(map(str, Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python")))
    on_path = [path for minor in (12, 13, 14) if (path := shutil.which(f"python3.{minor}"))]
    if not (found := [*on_path, *by_pyenv]):
        raise NotInstalled("there is no Python of 3.12 or newer")
    return found[-1]


def _run(command: Sequence[str], folder: Path) -> None:
    """Run a step to its end, or end it with all that it started. Raises NotInstalled."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    except OSError as missing:
        raise NotInstalled(f"{command[0]} can't be started: {missing.strerror}") from missing
    with process:
        try:
            said, _ = process.communicate(timeout=BOUND_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise NotInstalled(f"{command[0]} took more than {BOUND_S:g} s") from None
    if process.returncode:
        raise NotInstalled(f"{command[0]} said: {' '.join(said.split())[-400:]}")


def main(names: Sequence[str]) -> int:
    """Install some agents, else those that are always tested, and say how that went."""
    failed = 0
    for name in names or IN_CI:
        began = time.monotonic()
        try:
            command = command_of(name)
        except NotInstalled as reason:
            failed, outcome = 1, f"NOT INSTALLED: {reason}"
        else:
            outcome = command[0]
        sys.stdout.write(f"{name:<12} {time.monotonic() - began:5.1f} s  {outcome}\n")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="./dev agents")
    parser.add_argument("agents", nargs="*", metavar="AGENT", help=f"{', '.join(KNOWN)}, or all")
    asked = parser.parse_args().agents
    if unknown := set(asked) - {*KNOWN, "all"}:
        parser.error(f"there is no agent {', '.join(sorted(unknown))}; known are {', '.join(KNOWN)}")
    sys.exit(main([*KNOWN] if "all" in asked else asked))
