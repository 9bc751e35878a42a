"""`tenure` with a window: at SIGUSR2 it writes down how many tasks its loop has.

Only W4 starts the server this way, so that the figure doesn't come from the server's own books.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from benchmarks.machine import NOTE
from tenure.cli.main import main


def note(signum: int, frame: FrameType | None) -> None:
    """Write the number of tasks to the file that the environment names."""
    file = Path(os.environ[NOTE])
    fresh = file.with_suffix(".new")
    fresh.write_text(str(len(asyncio.all_tasks())))
    fresh.rename(file)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, note)
    sys.exit(main())
