"""A program at a terminal: what is typed reaches it as from a keyboard, Ctrl-C included."""

import codecs
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence

BOUND_S = 30.0

# The slave side becomes the controlling terminal, so that ^C is a signal.
AT_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """Runs a program with a terminal of its own, and reads along."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self._master, slave = os.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
        )
        os.close(slave)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._seen = ""
        self.whole = ""

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def expect(self, text: str) -> str:
        """Wait until the program shows `text`; return all that it showed up to there."""
        end = time.monotonic() + BOUND_S
        while text not in self._seen:
            assert time.monotonic() < end, f"no {text!r} in: {self.whole}"
            assert self._read(), f"the program ended before {text!r}: {self.whole}"
        before, _, self._seen = self._seen.partition(text)
        return before

    def ended(self) -> int:
        """Wait for its end, and return the exit code."""
        while self._read():
            pass
        return self._process.wait(BOUND_S)

    def close(self) -> None:
        """Give the terminal up; a program that still runs is ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

    def _read(self) -> bool:
        ready = select.select([self._master], [], [], BOUND_S)[0]
        assert ready, f"the program shows nothing more: {self.whole}"
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # the other side is closed
            return False
        text = self._decoder.decode(data)
        self._seen += text
        self.whole += text
        return bool(data)
