"""A real Postgres 18 for tests and benchmarks: started, stopped, killed, frozen, and asked.

`Postgres` is a running server as its users see it; `PostgresServer` is one that the holder controls.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple, Self
from uuid import uuid4

from tests.postgres.programs import PostgresFailed, called, environment, programs, user

GUARD = Path(__file__).with_name("guard.py")
HOST = "127.0.0.1"
ROLE = "tenure"
PATIENCE_S = 30.0
TICK_S = 0.005
PORTS = (20_000, 32_000)
"""Below the ports that systems give to outgoing connections, so that a restart finds its own free."""

SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "timezone": "UTC",
}

SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
Mode = Literal["smart", "fast", "immediate"]
Strategy = Literal["wal_log", "file_copy"]


class Place(NamedTuple):
    """Where a server is: its folder, which holds data, socket, log and perhaps programs, and its port."""

    folder: str
    port: int

    @property
    def log(self) -> Path:
        """What the server printed."""
        return Path(self.folder) / "log"


class Postgres:
    """A running server: addresses, statements, databases. Any number of processes may hold the same one."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def place(self) -> Place:
        """Where it is, to tell another process."""
        return self._place

    @property
    def port(self) -> int:
        """The port on loopback."""
        return self._place.port

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """The address of a database over TCP; with another port, through what listens there."""
        return f"postgresql://{ROLE}@{HOST}:{port or self.port}/{database}"

    def socket_url(self, database: str = "postgres") -> str:
        """The address of a database over the unix socket."""
        return f"postgresql://{ROLE}@/{database}?host={self._place.folder}&port={self.port}"

    def ask(self, statement: str, database: str = "postgres") -> str:
        """The rows that a statement gives, a line each, columns parted by "|".

        Raises:
            PostgresFailed: The server refused it, or isn't there.
        """
        psql = programs(Path(self._place.folder)) / "psql"
        options = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]
        return called([psql, *options, "-d", self.socket_url(database), "-c", statement], drop=False).strip()

    def create_database(self, template: str = "template0", strategy: Strategy = "wal_log") -> str:
        """Make a database of its own name, a copy of the template; its name."""
        name = f"t_{uuid4().hex}"
        self.ask(f"create database {name} template {template} strategy {strategy}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, and whoever is connected to it."""
        self.ask(f"drop database if exists {name} with (force)")

    def prepare_template(self, name: str, prepare: Callable[[str], None]) -> None:
        """Make a database to copy from: `prepare` fills it at the address it is given; then it is closed.

        `prepare` leaves no connection behind.
        """
        self.ask(f"create database {name} template template0")
        prepare(self.url(name))
        self.ask(f"alter database {name} with is_template true allow_connections false")

    def has_database(self, name: str) -> bool:
        """Whether there is a database of that name."""
        return self.ask(f"select 1 from pg_database where datname = '{name}'") == "1"

    def terminate_connections(self, database: str) -> int:
        """Have the server close every connection to a database, as an administrator does; how many."""
        whose = f"from pg_stat_activity where datname = '{database}' and pid <> pg_backend_pid()"
        return int(self.ask(f"select count(pg_terminate_backend(pid, {int(PATIENCE_S * 1000)})) {whose}"))

    def log(self) -> str:
        """What the server has printed so far: warnings and worse."""
        return self._place.log.read_text()


class PostgresServer(Postgres):
    """A server of one's own. As a context, it is made and started, and in the end nothing of it is left.

    Should one of its owners end without a word, even by SIGKILL, the server ends too. The owner is this
    process unless others are named.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        folder: Path | None = None,
        owners: Iterable[int] = (),
    ) -> None:
        made = folder or Path(tempfile.mkdtemp(prefix="tenure-pg-"))
        super().__init__(Place(str(made), free_port()))
        self.settings = {**SETTINGS, **(settings or {})}
        """What the server is started with; changes count from the next start."""
        self._owners = tuple(owners) or (os.getpid(),)
        self._guard: subprocess.Popen[str] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        try:
            self.initialize()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether the server is there; a frozen one is."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def guard(self) -> int:
        """The process that watches over this one: SIGTERM makes it end the server and remove the folder."""
        return self._started().pid

    def initialize(self) -> None:
        """Make the data folder: UTF-8, compared by code point, no passwords."""
        folder = Path(self.place.folder)
        other = user()
        if other is not None:
            os.chown(folder, other.uid, other.gid)
        provider = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        form = ["--username", ROLE, "--auth=trust", "--no-sync", "--no-instructions"]
        called([programs(folder) / "initdb", "--pgdata", folder / "data", *provider, *form])

    def start(self) -> None:
        """Start and wait until connections are accepted, recovery included.

        Raises:
            PostgresFailed: It ended instead; the text holds the log.
        """
        for _ in range(5):
            if self._start():
                return
        raise PostgresFailed(f"Postgres can't have port {self.port}: {self.log()}")

    def stop(self, mode: Mode = "fast") -> None:
        """Shut down: "smart" waits for clients to leave, "fast" ends them, "immediate" is like a crash.

        Raises:
            PostgresFailed: It was still there after 30 s; "smart" with clients connected, mostly.
        """
        guard = self._started()
        os.kill(self._pid, SIGNALS[mode])
        try:
            guard.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise PostgresFailed(f"Postgres didn't stop ({mode}) within {PATIENCE_S:g} s.") from None

    def restart(self, mode: Mode = "fast") -> None:
        """Stop and start, on the same port."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """End the server and all its processes by SIGKILL, none of them having a last moment."""
        guard = self._started()
        everyone = self._hold()
        for pid in everyone:
            _send(pid, signal.SIGKILL)
        guard.wait(PATIENCE_S)
        _until(lambda: not any(map(_alive, everyone)), "Processes of Postgres outlived SIGKILL.")

    def freeze(self) -> None:
        """Stop all processes where they are: connections stay open and nothing answers."""
        self._hold()

    def thaw(self) -> None:
        """Let all processes go on."""
        for pid in [*_children(self._pid), self._pid]:
            _send(pid, signal.SIGCONT)

    def leave(self) -> Postgres:
        """Control it no longer: only its guard does, for its owners."""
        guard, self._guard = self._started(), None
        guard.returncode = 0  # so that nobody waits for it, or warns that nobody does
        return Postgres(self.place)

    def close(self) -> None:
        """End the server if it is there, and remove everything of it."""
        if self._guard is not None and self._guard.poll() is None:
            self.thaw()
            self.stop("immediate")
        shutil.rmtree(self.place.folder, ignore_errors=True)

    def _started(self) -> "subprocess.Popen[str]":
        if self._guard is None or self._guard.poll() is not None:
            raise PostgresFailed("This Postgres isn't running; start() it first.")
        return self._guard

    def _hold(self) -> list[int]:
        """Freeze the postmaster, so that it makes no more children, and then those; the processes."""
        _send(self._pid, signal.SIGSTOP)
        children = list(_children(self._pid))
        for pid in children:
            _send(pid, signal.SIGSTOP)
        return [self._pid, *children]

    def _start(self) -> bool:
        """Start; False if the port was taken meanwhile."""
        if self.running:
            raise PostgresFailed("This Postgres is running already.")
        other, before = user(), self.place.log.stat().st_size if self.place.log.exists() else 0
        owners = ",".join(map(str, self._owners))
        mine = [sys.executable, "-I", "-S", GUARD, owners, self.place.folder, *(other or (-1, -1))]
        with self.place.log.open("a") as log:
            self._guard = subprocess.Popen(
                [*map(str, mine), *self._command()],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                cwd="/", env=environment(), start_new_session=True,
            )  # fmt: skip
        assert self._guard.stdout is not None
        with self._guard.stdout as told:
            self._pid = int(told.readline() or 0)
        if self._ready():
            return True
        if "could not bind" in self.log()[before:]:
            return False
        raise PostgresFailed(f"Postgres didn't start: {self.log()[before:]}")

    def _command(self) -> list[str]:
        folder = Path(self.place.folder)
        where = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": str(folder),
            "logging_collector": "off",
        }
        options = [f"--{name}={value}" for name, value in {**self.settings, **where}.items()]
        return [str(programs(folder) / "postgres"), "-D", str(folder / "data"), *options]

    def _ready(self) -> bool:
        """Wait until the server says in its file that it is ready; False if it ended."""
        _until(lambda: not self.running or self._says_ready(), f"Postgres isn't ready: {self.log()}")
        return self.running

    def _says_ready(self) -> bool:
        try:
            lines = (Path(self.place.folder) / "data" / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(self._pid) and len(lines) > 7 and lines[7].strip() == "ready"


def free_port() -> int:
    """A port on loopback that is free at this moment."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def told(file: Path) -> Postgres | None:
    """The server that another process wrote into a file; None if it didn't yet."""
    try:
        folder, port = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return Postgres(Place(str(folder), int(port)))


def _until(fact: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        if time.monotonic() > deadline:
            raise PostgresFailed(otherwise)
        time.sleep(TICK_S)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _children(pid: int) -> Iterator[int]:
    """The processes of a postmaster; none where the system doesn't tell: they notice when it is gone."""
    with suppress(OSError):
        yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _alive(pid: int) -> bool:
    """Whether a process still does something; one that nobody has reaped doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
