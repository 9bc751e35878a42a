"""The server under measurement: a real process on a home of its own, with limits out of the way."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from benchmarks.client import Address, Caller
from benchmarks.machine import cpu_seconds, resident_bytes, tree

ROOT = Path(__file__).parents[1]
START_S = 30.0
LIMITS = {
    "OPEN_SESSIONS": "2000000",
    "OPEN_SESSIONS_PER_USER": "2000000",
    "LIVE_RUNS": "5000",
    "LIVE_RUNS_PER_USER": "5000",
    "STREAMS_PER_USER": "20000",
    "SCHEDULES_PER_USER": "2000000",
}
TENURE = Path(sys.executable).with_name("tenure")


class Written(msgspec.Struct):
    """What the server writes into its home when it is ready."""

    url: str
    pid: int


class Named(msgspec.Struct):
    """Any answer with an id."""

    id: str


class Head(msgspec.Struct):
    """The part of a session that tells how many events it has."""

    head_seq: int


class Server:
    """One home and the process that serves it; it may be killed and started again."""

    def __init__(
        self, home: Path, command: Sequence[str | Path] = (TENURE,), given: Mapping[str, str] | None = None
    ) -> None:
        self.home = home
        self._environment = _environment() | dict(given or {})
        self._key = self._environment.get("TENURE_ADMIN_KEY")
        self._command = [*command, "serve", "--demo", "--home", home, "--port", "0"]
        self._log = home.parent / "server.log"
        self.process: subprocess.Popen[bytes]
        self.address: Address
        self.calls: Caller

    def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=ROOT,
            )

    async def start(self) -> float:
        """Start the process; the seconds until it answered that it is ready."""
        began = time.perf_counter()
        self._spawn()
        await self._ready(began + START_S)
        return time.perf_counter() - began

    async def _ready(self, deadline: float) -> None:
        while time.perf_counter() < deadline and self.process.poll() is None:
            address = self._written()
            if address is not None and await self._answers(address):
                return
            await asyncio.sleep(0.002)
        raise RuntimeError(f"the server didn't get ready:\n{self._log.read_text()[-2000:]}")

    def _written(self) -> Address | None:
        """The address that this life of the server wrote down, None before it has."""
        file = self.home / "server.json"
        try:
            written = msgspec.json.decode(file.read_bytes(), type=Written)
        except (OSError, msgspec.DecodeError):
            return None
        if written.pid not in tree(self.process.pid):
            return None
        host, _, port = written.url.removeprefix("http://").rstrip("/").rpartition(":")
        key = self._key or (self.home / "admin.key").read_text().strip()
        return Address(host, int(port), key)

    async def _answers(self, address: Address) -> bool:
        calls = Caller(address)
        try:
            ready = (await calls.call("GET", "/readyz")).status == 200
        except OSError:
            return False
        self.address, self.calls = address, calls
        return ready

    async def open(self, agent: str = "scripted") -> str:
        """A new session's id."""
        reply = await self.calls.call("POST", "/v1/sessions", {"agent": agent})
        return reply.read(Named).id

    async def head(self, session_id: str) -> int:
        """How many events a session has."""
        return (await self.calls.call("GET", f"/v1/sessions/{session_id}")).read(Head).head_seq

    async def say(self, session_id: str, text: str) -> None:
        """Send a message and wait for the acknowledgement alone."""
        path = f"/v1/sessions/{session_id}/messages"
        reply = await self.calls.call("POST", path, {"content": text})
        assert reply.status == 202, reply.body

    def cpu(self) -> float:
        """CPU seconds of the server and whatever it started."""
        return cpu_seconds(tree(self.process.pid))

    def resident(self) -> int:
        """Bytes of memory that the server and whatever it started hold."""
        return resident_bytes(tree(self.process.pid))

    def kill(self) -> None:
        """End it as a power cut would, without a word."""
        for pid in tree(self.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """Ask it to end; kill it if it doesn't."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


def _environment() -> dict[str, str]:
    """Our environment without anybody's Tenure settings, and with limits that no work meets."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    return inherited | {f"TENURE_LIMITS__{name}": value for name, value in LIMITS.items()}


@asynccontextmanager
async def serving(
    folder: Path, command: Sequence[str | Path] = (TENURE,), given: Mapping[str, str] | None = None
) -> AsyncGenerator[Server]:
    """A ready server on a fresh home below `folder`, with the settings `given`; tidied away afterwards."""
    with tempfile.TemporaryDirectory(prefix="tenure-bench-", dir=folder) as place:
        server = Server(Path(place) / "home", command, given)
        await server.start()
        try:
            yield server
        finally:
            server.stop()
