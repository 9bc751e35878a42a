"""A server in a process of its own, started and ended by the program that wants one for a while.

`demo` uses it. The server is the same as `tenure serve` starts; nothing of it runs in this process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tenure.cli.outcome import Exit, Stop
from tenure.cli.serve import Announcement

ENDS_WITHIN_S = 15.0
"""A server that was asked to end must have ended after so long."""


class ChildServer:
    """`tenure serve --demo` on one home. Use it as a context manager: it doesn't outlive the block.

    `surroundings` are variables of the environment that it gets beside those of this process.
    """

    def __init__(self, home: Path, port: int, surroundings: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._port = port
        self._surroundings = surroundings or {}
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.console = ""

    def start(self) -> None:
        """Start it, and wait until it answers. Raises Stop with what it said if it doesn't."""
        command = self._command("--port", str(self._port), "--json")
        log = self._home / "server.log"
        with log.open("a") as errors:
            # Its own group: a Ctrl-C at the terminal is for the chat, not for the server.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **self._surroundings},
                start_new_session=True,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said:
            code = self._process.wait()
            self._process = None
            raise Stop(Exit(code) if code in list(Exit) else Exit.FAILED, log.read_text().strip())
        announced = msgspec.json.decode(said, type=Announcement)
        self.url, self.console = announced.url, announced.console
        self._port = int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """Ask it to end, and return its exit code. Raises Stop if it didn't end in time."""
        process = self._given()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            late = f"The server didn't end within {ENDS_WITHIN_S:g} s and was killed."
            raise Stop(Exit.FAILED, late) from None
        self._forget(process)
        return code

    def kill(self) -> None:
        """End it as a crash would."""
        process = self._given()
        process.kill()
        process.wait()
        self._forget(process)

    def __enter__(self) -> "ChildServer":
        try:
            self.start()
        except KeyboardInterrupt:
            if self._process is not None:
                self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()

    def _command(self, *options: str) -> Sequence[str]:
        serve = [sys.executable, "-m", "tenure.cli.main", "serve", "--demo"]
        return [*serve, "--home", str(self._home), *options]

    def _given(self) -> "subprocess.Popen[str]":
        assert self._process is not None, "the server wasn't started"
        return self._process

    def _forget(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        process.stdout.close()
        self._process = None
