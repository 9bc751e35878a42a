"""Programs on a leash (`leash`): one that speaks the protocol, and the parts a terminal needs as well.

What was started here is gone, with all that it started, once it is let go of or the host is no more.
"""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, SubprocessStreamProtocol
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

log = logging.getLogger("tenure.acp")

LEASH = str(Path(__file__).with_name("leash.py"))

GRACE_S = 1.0
"""How long a program may take to end once its input is closed, and again once it is told to, in seconds."""

LAST_WORDS_S = 0.2
"""How long what a program said before it ended may take to be read, in seconds."""

GONE_S = 5.0
"""How long a killed tree is waited for, in seconds."""

MOST_LINE = 32 * 1024 * 1024
"""How many bytes one message of a program may have."""

MOST_LAST_WORDS = 4096
"""How many characters of a program's standard error are kept."""

MOST_LOGGED = 4000
"""How many characters of what a program writes to its standard error at once go to the log."""

CHUNK = 64 * 1024
MOST_REST = 1024 * 1024
"""How many bytes of standard error are read at once, and how many are kept of a line without an end."""


class Leashed:
    """A process tree that is gone once it is let go of."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: "_Watched", hold: int) -> None:
        self._transport = transport
        self._protocol = protocol
        self._hold: int | None = hold
        self.ended = asyncio.Event()
        self._end = asyncio.create_task(self._await_end(), name="the end of a program")

    @property
    def pid(self) -> int:
        """The process at the head of the tree."""
        return self._transport.get_pid()

    @property
    def status(self) -> int | None:
        """The exit status, or with a minus the signal that killed it; None as long as it runs."""
        return self._transport.get_returncode()

    @property
    def output(self) -> asyncio.StreamReader:
        """What it writes."""
        assert self._protocol.stdout is not None
        return self._protocol.stdout

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the program and its group."""
        with suppress(ProcessLookupError):
            self._transport.send_signal(number)

    def let_go(self) -> None:
        """Have the whole tree killed. Returns at once; `ended` tells when it is gone."""
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None

    async def kill(self) -> None:
        """Kill the whole tree and wait until it is gone, at most for `GONE_S`."""
        self.let_go()
        if not await self.gone(GONE_S):
            log.error("Process %d is still there %g s after it was killed.", self.pid, GONE_S)

    async def gone(self, within_s: float) -> bool:
        """Wait for the end. False if it didn't come in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.ended.wait()
        return self.ended.is_set()

    async def _await_end(self) -> None:
        await self._protocol.exited.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._protocol.heard.wait()
        self.let_go()
        self._transport.close()
        await self._take_leave()
        self.ended.set()

    async def _take_leave(self) -> None:
        """What is still to be done once the process is gone."""


class _Watched(SubprocessStreamProtocol):
    """Tells of the end of the process at once, and then that all it said was read."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit, loop=asyncio.get_running_loop())
        self.exited = asyncio.Event()
        self.heard = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.heard.set()


async def terminal(command: Sequence[str], env: Mapping[str, str], folder: Path) -> Leashed:
    """Start a command without input, whose outputs are one. Raises OSError."""
    return Leashed(*await _start(command, env, folder, DEVNULL, STDOUT, CHUNK))


async def _start(
    command: Sequence[str], env: Mapping[str, str], folder: Path, stdin: int, stderr: int, limit: int
) -> tuple[asyncio.SubprocessTransport, _Watched, int]:
    line, hold = os.pipe()
    with ExitStack() as undo:
        undo.callback(os.close, hold)
        try:
            transport, protocol = await asyncio.get_running_loop().subprocess_exec(
                partial(_Watched, limit),
                *(sys.executable, "-I", "-S", LEASH, str(line), "--", *command),
                stdin=stdin,
                stdout=PIPE,
                stderr=stderr,
                env=env,
                cwd=folder,
                start_new_session=True,
                pass_fds=(line,),
            )
        finally:
            os.close(line)
        undo.pop_all()
    return transport, protocol, hold


class Program(Leashed):
    """A program that speaks the protocol, one message a line, on its standard input and output."""

    def __init__(
        self,
        transport: asyncio.SubprocessTransport,
        protocol: _Watched,
        hold: int,
        name: str,
        masked: Callable[[str], str],
    ) -> None:
        super().__init__(transport, protocol, hold)
        assert protocol.stdin is not None
        self._input: asyncio.StreamWriter = protocol.stdin
        self._name = name
        self._masked = masked
        self.silent = False
        """Whether it closed its output: nothing more will come of it."""
        self._said = ""
        self._overhearing = asyncio.create_task(self._overhear(), name=f"what {name} complains of")

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        name: str,
        masked: Callable[[str], str],
    ) -> "Program":
        """Start `command` with exactly this environment. Its standard error is logged, secrets `masked`.

        Raises OSError if it can't be started. A command that isn't there ends with status 127 instead.
        """
        return cls(*await _start(command, env, folder, PIPE, PIPE, MOST_LINE), name, masked)

    @property
    def last_words(self) -> str:
        """How it ended and the end of what it wrote to its standard error, secrets left out."""
        said = self._said.strip()
        return f'{_ending(self.status)} It last said: "{said}".' if said else _ending(self.status)

    async def hear(self) -> bytes | None:
        """The next line of its output; None once there will be none. One that is too long is left out."""
        while True:
            try:
                if line := await self.output.readline():
                    return line
            except ValueError:
                log.warning(
                    "The agent %s sent more than %d bytes in a line; left out.", self._name, MOST_LINE
                )
                continue
            except ConnectionError:
                pass
            self.silent = True
            await self.finish()
            return None

    async def say(self, line: bytes) -> None:
        """Write a line to its input. Raises ConnectionError once nobody reads it."""
        self._input.write(line)
        await self._input.drain()

    async def finish(self) -> None:
        """Wait for the end of what said its last, and bring it about if it doesn't come."""
        if not await self.gone(GRACE_S):
            await self.kill()

    async def end(self) -> None:
        """Close its input, wait, tell it to end, wait, and kill what is left of the tree."""
        self._input.close()
        if not await self.gone(GRACE_S):
            self.tell(signal.SIGTERM)
            await self.gone(GRACE_S)
        await self.kill()

    async def _take_leave(self) -> None:
        await asyncio.wait([self._overhearing], timeout=GRACE_S)

    async def _overhear(self) -> None:
        """Log its standard error, whole lines at a time, so that no secret is cut into unknown halves."""
        errors = self._protocol.stderr
        assert errors is not None
        rest = b""
        with suppress(ConnectionError):
            while chunk := await errors.read(CHUNK):
                lines, _, rest = (rest + chunk).rpartition(b"\n")
                if len(rest) > MOST_REST:
                    lines, rest = rest, b""
                self._note(lines)
                await asyncio.sleep(0)
        self._note(rest)

    def _note(self, lines: bytes) -> None:
        text = self._masked(lines.decode(errors="replace")).strip()
        if text:
            log.info("The agent %s says: %s", self._name, text[:MOST_LOGGED])
            self._said = f"{self._said}\n{text}"[-MOST_LAST_WORDS:]


def _ending(status: int | None) -> str:
    match status:
        case None:
            return "It still runs."
        case _ if status < 0:
            return f"It was ended by signal {signal_name(-status)}."
        case _:
            return f"It ended with exit status {status}."


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; the number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
