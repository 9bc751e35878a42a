"""A real server in a process of its own, which the crash tests kill, starve and start again."""

import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tenure.core.evidence import Observed
from tenure.core.invariants import Violation
from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.host.clock import RandomIds
from tenure.host.doctor import examine
from tenure.stores.sqlite.look import LookLane
from tenure.stores.sqlite.store import SqliteStore

PROGRAM = (sys.executable, "-m", "tenure.cli.main")
BOUND_S = 30.0
NO_MORE: Mapping[str, str] = {}


class Announced(msgspec.Struct):
    """The line that `serve --json` prints once it answers."""

    url: str


class Died(Exception):
    """The server ended before it answered."""


class Server:
    """One process on one home."""

    def __init__(
        self,
        home: Path,
        *,
        crash_at: str | None = None,
        env: Mapping[str, str] = NO_MORE,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
        environment |= env
        if crash_at is not None:
            environment["TENURE_CRASH_AT"] = crash_at
        self.home = home
        self._log = (home.parent / "server.log").open("ab")
        self.process = subprocess.Popen(
            [*program, "serve", "--demo", "--home", str(home), "--port", "0", "--json"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self.url = ""

    def ready(self) -> "Server":
        """Wait until it answers. Raises Died if it ends instead."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], BOUND_S)
        assert readable, "the server neither answered nor ended"
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(BOUND_S)
            raise Died
        self.url = msgspec.json.decode(line, type=Announced).url
        return self

    @property
    def key(self) -> str:
        """The bootstrap admin's key."""
        return (self.home / "admin.key").read_text("utf-8").strip()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        code = self.process.wait(BOUND_S)
        self.close()
        return code

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """Let go of the process; end it if it still runs."""
        if self.alive:
            self.process.kill()
            self.process.wait(BOUND_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()

    def limit_files(self, size: int | None) -> None:
        """Let no file of the server grow beyond `size` bytes, as a full disk would; None lifts that."""
        soft = resource.RLIM_INFINITY if size is None else size
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


async def examine_home(home: Path, observed: dict[str, Observed]) -> list[Violation]:
    """The doctor's findings in a home, with what clients were told and shown."""
    lane = LookLane(home / "tenure.db")
    try:
        store = SqliteStore(lane, Rules(limits=Limits(), terms={}), RandomIds(), lane.history())
        return await examine(store, observed)
    finally:
        lane.close()
