"""Holds a program and all that it starts, so that none of it outlives the host.

Run by `process` as `python -I -S leash.py FD -- COMMAND …`. FD is one end of a pipe; once the other end is
closed, on purpose or because the host died, the whole tree is killed. Stdlib only, and it imports nothing of
Tenure: it has to start fast and stay small.
"""

import ctypes
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"

TITLE = b"tenure-leash"
ARG_START = 45
"""Where /proc/PID/stat tells behind the name at which address the command line begins; then its end."""

PATIENCE_S = 10.0
"""How long killed processes may take to be gone, in seconds: what another user owns can't be killed."""

PAUSE_S = 0.005
"""Between two looks at what is still there, in seconds."""


def main(arguments: list[str]) -> None:
    """Start the command, wait for its end or the host's, leave nothing behind, and end as it ended."""
    line, command = int(arguments[0]), arguments[2:]
    os.set_inheritable(line, False)
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        go_by(TITLE)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, notice)
    child = start(command)
    signal.signal(signal.SIGTERM, lambda number, frame: send(-child, number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    let_go_of_streams()
    status = watch(child, line, woken)
    leave_nothing(child)
    end_as(status)


def go_by(title: bytes) -> None:
    """Show another command line than the program's: whoever kills that by its name doesn't mean this process,
    without which nobody would clear up."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    begin, end = int(fields[ARG_START]), int(fields[ARG_START + 1])
    if 0 < begin < end:
        ctypes.memmove(begin, title[: end - begin].ljust(end - begin, b"\0"), end - begin)


def notice(number: int, frame: FrameType | None) -> None:
    """A child has ended: nothing but being woken."""


def start(command: list[str]) -> int:
    """The command as a child in a process group of its own, killed if this process should be."""
    above = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        if LINUX:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != above:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)
    except OSError as fault:
        os.write(2, f"{command[0]}: {fault.strerror}\n".encode())
    os._exit(127)


def let_go_of_streams() -> None:
    """Keep no end of the program's pipes, else the host would never see them close."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def watch(child: int, line: int, woken: int) -> int | None:
    """The wait status of the child once it has ended; None once the host is gone or has let go."""
    while True:
        ready, _, _ = select.select([line, woken], [], [])
        if woken in ready:
            os.read(woken, 512)
        status = (reap() or {}).get(child)
        if status is not None:
            return status
        if line in ready:
            return None


def reap() -> dict[int, int] | None:
    """What has ended among the children, orphans of the tree among them; None once there are no children."""
    ended: dict[int, int] = {}
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    except ChildProcessError:
        return ended or None
    return ended


def leave_nothing(child: int) -> None:
    """Kill what is left of the tree, also what left the group or became a daemon.

    Orphans become children of this process: when it has none, nothing is left.
    """
    until = time.monotonic() + PATIENCE_S
    send(-child, signal.SIGKILL)
    while LINUX and reap() is not None and time.monotonic() < until:
        for process in below(os.getpid()):
            send(process, signal.SIGKILL)
        time.sleep(PAUSE_S)


def below(root: int) -> list[int]:
    """All processes under `root`."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (parent := parent_of(name)) is not None:
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    ahead = [root]
    while ahead:
        ahead = [child for process in ahead for child in children.get(process, ())]
        found += ahead
    return found


def parent_of(process: str) -> int | None:
    """The parent of a process. A name in brackets may hold anything, so read behind it."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def send(process: int, number: int) -> None:
    """A signal to a process, or with a minus to its group. One that is gone, or another's, isn't reached."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


def end_as(status: int | None) -> None:
    """End as the program ended, so that the host reads from this process how that was."""
    if status is not None and os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    number = signal.SIGKILL if status is None else os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    main(sys.argv[1:])
