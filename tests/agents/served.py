"""`tenure serve` in a process of its own, with one real agent in its tenure.toml."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tenure.cli.serve import Announcement
from tenure.client import Client
from tests.agents.agents import Pointed, pointed
from tests.agents.install import command_of
from tests.models.server import Models

BOUND_S = 30.0


class Served:
    """One server on one home, which may be started again."""

    def __init__(self, agent: str, home: Path, point: Pointed, models: Models) -> None:
        self.agent = agent
        self.home = home
        self.confirm = point.confirm
        self.models = models
        self._log = home.parent / "server.log"
        self.process = self._started()

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text("utf-8", "replace")

    @property
    def client(self) -> Client:
        """A client of the server."""
        return Client(home=self.home)

    def restart(self) -> None:
        """End it in good order, and start it again on its home."""
        assert self.stop() == 0, self.log
        self.process = self._started()

    def kill(self) -> None:
        """kill -9, and start it again on its home."""
        self.process.kill()
        self.close()
        self.process = self._started()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(BOUND_S)
        self.close()
        return code

    def close(self) -> None:
        """Let go of the process; end it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(BOUND_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def folder(self, session: str) -> Path:
        """The folder of a session."""
        return self.home / "sessions" / session / "files"

    def programs(self) -> list[int]:
        """The processes that were started with this home in environment or command, but for the server."""
        return [pid for pid in _processes_about(str(self.home)) if pid != self.process.pid]

    def _started(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tenure.cli.main", "serve", "--demo", "--json"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--port", "0", "--home", str(self.home)],
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], BOUND_S)
        line = process.stdout.readline() if readable else b""
        assert line, f"the server didn't start: {self.log}"
        assert msgspec.json.decode(line, type=Announcement).home == str(self.home)
        return process


def served_agents(agent: str, models: Models, folder: Path) -> Iterator[Served]:
    """A server that hosts a real agent. No process of it is left at the end."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    point = pointed(agent, models, folder / "config")
    (home / "tenure.toml").write_text(_toml(agent, point))
    served = Served(agent, home, point, models)
    try:
        yield served
        assert served.stop() == 0, served.log
        assert served.programs() == []
    finally:
        served.close()


def _toml(agent: str, point: Pointed) -> str:
    # Between quotes TOML takes what JSON takes.
    env = "\n".join(f"{name} = {json.dumps(value)}" for name, value in point.env.items())
    return f"""
[agents.{agent}]
runner = "acp"
agent = "{agent}"
command = {json.dumps(command_of(agent))}
tools = ["confirm"]

[agents.{agent}.env]
{env}
"""


def left_of(processes: Iterable[int]) -> list[int]:
    """Which of the processes are still there after a while."""
    return [pid for pid in processes if not _ended(pid)]


def _ended(pid: int) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        readable, _, _ = select.select([descriptor], [], [], BOUND_S)
    finally:
        os.close(descriptor)
    return bool(readable)


def _processes_about(text: str) -> Iterator[int]:
    """The processes that name `text` when they were started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in told:
            yield int(folder.name)
