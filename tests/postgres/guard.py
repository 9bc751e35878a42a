"""Runs one Postgres for other processes, its owners; when one is gone, ends it and removes its folder.

Started by server.py, by path and without site packages. It outlives the owners however they ended, and
it doesn't share their terminal: an interrupt there doesn't reach Postgres in the middle of a test.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from types import FrameType

PATIENCE_S = 10.0
TICK_S = 0.2


def main(owners: list[int], folder: str, uid: int, gid: int, command: list[str]) -> int:
    """Run the command until it ends or an owner is gone; the code it ended with. A uid of -1 is ours."""
    signal.signal(signal.SIGTERM, _leave)
    if uid < 0:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    else:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, user=uid, group=gid, extra_groups=[])
    os.write(1, f"{process.pid}\n".encode())
    try:
        code = _first(process, owners)
    except SystemExit:
        code = None
    if code is None:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)
    return abs(code or 0)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _first(process: "subprocess.Popen[bytes]", owners: list[int]) -> int | None:
    """Wait for whoever ends first; the code of the process, None if it was an owner."""
    if sys.platform == "linux":
        try:
            ends = [os.pidfd_open(pid) for pid in (*owners, process.pid)]
        except ProcessLookupError:
            return process.poll()
        select.select(ends, [], [])
    else:
        while process.poll() is None and all(map(_there, owners)):
            time.sleep(TICK_S)
    return process.poll()


def _there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Nobody needs the data any more, so there is nothing to shut down in order."""
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    _, owners, place, uid, gid, *command = sys.argv
    sys.exit(main([int(owner) for owner in owners.split(",")], place, int(uid), int(gid), command))
