"""One server for the tests of the command line, called in process, in a pipe, and at a terminal."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec
import pytest

from tenure.cli.main import main
from tenure.client import Client
from tests.cli.terminal import Terminal
from tests.client.hosted import Hosted

PROGRAM = (sys.executable, "-m", "tenure.cli.main")
BOUND_S = 50.0


class Ran(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> list[dict[str, object]]:
        """What it printed as JSON, line by line."""
        return [msgspec.json.decode(line, type=dict[str, object]) for line in self.out.splitlines()]


class Begun:
    """A command in a process of its own, read line by line while it runs."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().removesuffix("\n")

    def stop_reading(self) -> None:
        """Close the pipe into which it prints."""
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.stdout = None

    def ended(self) -> Ran:
        """Wait for its end. What was read before isn't in the result."""
        out, err = self.process.communicate(timeout=BOUND_S)
        return Ran(self.process.returncode, out or "", err)


Began: TypeAlias = Callable[..., Begun]
Run: TypeAlias = Callable[..., Ran]
Start: TypeAlias = Callable[..., Terminal]


@pytest.fixture(scope="session")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Generator[Hosted]:
    """A server that all tests share."""
    hosted = Hosted(tmp_path_factory.mktemp("cli") / "home").start()
    yield hosted
    hosted.stop()


@pytest.fixture
def client(hosted: Hosted) -> Generator[Client]:
    """A client of the shared server, to see what the commands did."""
    with Client(hosted.url, hosted.key) as client:
        yield client


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment without anything of Tenure's, for programs of their own."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TENURE_") and name != "NO_COLOR"
    }


@pytest.fixture
def logging_as_before() -> Generator[None]:
    """Takes back what a server that was started in this process does to the log."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    uvicorn.setLevel(logging.NOTSET)


@pytest.fixture
def tenure(
    hosted: Hosted,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    logging_as_before: None,
) -> Run:
    """Runs a command in this process, against the shared server unless it names another."""
    for name in ("TENURE_HOME", "TENURE_SERVER", "TENURE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TENURE_HOME", str(hosted.home))

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        code = main(arguments)
        printed = capfd.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture
def piped(hosted: Hosted, environment: dict[str, str]) -> Run:
    """Runs a command in a process of its own, with its input and output in pipes."""

    def run(*arguments: str, given: str = "", home: Path | None = None) -> Ran:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            env={**environment, "TENURE_HOME": str(home or hosted.home)},
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def started(hosted: Hosted, environment: dict[str, str]) -> Generator[Began]:
    """Starts a command in a process of its own."""
    begun: list[Begun] = []

    def start(*arguments: str, home: Path | None = None, **extra: str) -> Begun:
        there = {**environment, "TENURE_HOME": str(home or hosted.home), **extra}
        begun.append(Begun(arguments, there))
        return begun[-1]

    yield start
    for command in begun:
        if command.process.poll() is None:
            command.process.kill()
        command.process.communicate()


@pytest.fixture
def at_terminal(hosted: Hosted, environment: dict[str, str]) -> Generator[Start]:
    """Runs a command at a terminal."""
    terminals: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        command: Sequence[str] = (*PROGRAM, *arguments)
        there = {**environment, "TENURE_HOME": str(hosted.home), "TERM": "xterm", "NO_COLOR": "1"}
        terminals.append(Terminal(command, there))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()
