"""Hosts that are odd on purpose: of another version, or dead without knowing it, to show what stops those.

python -m tests.cluster.odd WORDS serve …   WORDS: elder, or telling, or blind, or blind,unfenced

`elder`: it says that it is of another version. `telling`: on SIGUSR1 it writes what all its tasks wait for.
`blind`: it never looks at its lease, and goes on whatever it is told or hears from other hosts. `unfenced`:
its output is written without asking whether the host lives and whose the run is. That is the control: with it
the tests must fail.
"""

import asyncio
import faulthandler
import signal
import sys
from contextlib import suppress

import tenure
from tenure.cli.main import main
from tenure.errors import TenureError
from tenure.host import executions
from tenure.host.leases import Leases
from tenure.stores.postgres.queries import SQL

UNFENCED = {
    "SELECT incarnation FROM host WHERE incarnation = $3 FOR KEY SHARE": "SELECT 1",
    "AND (r.owner = $3 AND r.state IN ('running', 'waiting', 'interrupting')": "AND ($3 > 0",
    "OR r.held_by = $3 AND r.state = 'queued')": ")",
}


async def _only_renew(self: Leases) -> None:
    """Ask for more time, and don't listen to the answer."""
    while True:
        if self.lease is not None:
            with suppress(TenureError):
                await self._store.hosts.renew(self.lease, self._clock.now(), draining=False)  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0.5)


def blind() -> None:
    """Let the host believe that it lives."""
    Leases._loop = _only_renew  # pyright: ignore[reportPrivateUsage]
    Leases._check = lambda self: None  # pyright: ignore[reportPrivateUsage]
    Leases.firm = lambda self: True
    executions._tell = lambda execution, entry: None  # pyright: ignore[reportPrivateUsage]


def unfenced() -> None:
    """Take the fence out of the statement that appends output."""
    append = SQL["journal_append"]
    sql = append.sql
    for fence, nothing in UNFENCED.items():
        assert fence in sql, f"The append doesn't say {fence!r} any more: change this file too."
        sql = sql.replace(fence, nothing)
    SQL["journal_append"] = append._replace(sql=sql)


def elder() -> None:
    """Be of another version than the others."""
    tenure.__version__ = "0.0.0"


def telling() -> None:
    """Write to the log, when asked to, where each task is: for a host that hangs."""
    signal.signal(signal.SIGUSR1, lambda number, frame: _tell_tasks())


def _tell_tasks() -> None:
    faulthandler.dump_traceback()
    with suppress(RuntimeError):
        for task in asyncio.all_tasks():
            task.print_stack(limit=12)


ODD = {"elder": elder, "telling": telling, "blind": blind, "unfenced": unfenced}


def odd_program(words: str) -> tuple[str, ...]:
    """The program of such a host."""
    return (sys.executable, "-m", "tests.cluster.odd", words)


if __name__ == "__main__":
    for word in sys.argv.pop(1).split(","):
        ODD[word]()
    sys.exit(main())
