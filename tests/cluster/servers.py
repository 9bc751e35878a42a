"""Real hosts in processes of their own on one Postgres, which the chaos journeys kill, freeze and cut off."""

import os
import signal
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.crash.server import NO_MORE, PROGRAM, Server

ADMIN_KEY = "tnr_chaos-has-nothing-to-hide-00000000000000"
LEASE_S = 2.0


class HostProcess(Server):
    """One host of several. Its home is its own, its database everybody's."""

    def __init__(
        self,
        home: Path,
        database: str,
        *,
        lease_s: float = LEASE_S,
        env: Mapping[str, str] = NO_MORE,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        home.parent.mkdir(parents=True, exist_ok=True)
        given = {
            "TENURE_STORE": database,
            "TENURE_ADMIN_KEY": ADMIN_KEY,
            "TENURE_LEASE_S": str(lease_s),
            "TENURE_ADDRESS": home.parent.name,
        }
        super().__init__(home, env=given | dict(env), program=program)

    @property
    def key(self) -> str:
        """The key that all hosts share."""
        return ADMIN_KEY

    @property
    def name(self) -> str:
        """What it calls itself to the others."""
        return self.home.parent.name

    def freeze(self) -> None:
        """SIGSTOP: it does nothing, and doesn't know it."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.process.pid, signal.SIGCONT)

    def log(self) -> str:
        """What it wrote to its log."""
        return (self.home.parent / "server.log").read_text("utf-8")

    def close(self) -> None:
        """Let go of the process; end it if it still runs, frozen or not."""
        if self.alive:
            self.thaw()
        super().close()


@contextmanager
def hosts(
    root: Path,
    database: str | Sequence[str],
    count: int,
    *,
    lease_s: float = LEASE_S,
    programs: Sequence[Sequence[str]] = (),
) -> Generator[tuple[HostProcess, ...]]:
    """So many hosts that answer; ended in any case. Each may have its own way to the database and program."""
    ways = [database] * count if isinstance(database, str) else database
    with ExitStack() as stack:
        begun: list[HostProcess] = []
        for number, way in enumerate(ways):
            program = programs[number] if number < len(programs) else PROGRAM
            host = HostProcess(root / f"host{number}" / "home", way, lease_s=lease_s, program=program)
            stack.callback(host.close)
            begun.append(host)
        for host in begun:
            host.ready()
        yield tuple(begun)
