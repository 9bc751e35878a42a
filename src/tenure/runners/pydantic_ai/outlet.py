"""What a run of pydantic-ai says, on its way to the host: the run speaks in a task of its own.

The runner reads it, the drive puts into it. What the host does for the run, such as a tool call, must stand
behind what the run said before: `heard` waits for that.
"""

import asyncio
from collections.abc import AsyncGenerator

from tenure.core.output import Output

AHEAD = 64
"""How many outputs may be on their way before the run is made to wait."""


class Outlet:
    """A queue of outputs with one speaker and one listener."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Output | None] = asyncio.Queue()

    def put(self, output: Output) -> None:
        """Say something."""
        self._queue.put_nowait(output)

    async def say(self, output: Output) -> None:
        """Say something, and wait if the listener is far behind."""
        self.put(output)
        if self._queue.qsize() > AHEAD:
            await self.heard()

    async def heard(self) -> None:
        """Wait until the listener has dealt with everything that was said."""
        await self._queue.join()

    def close(self) -> None:
        """Nothing more will be said."""
        self._queue.put_nowait(None)

    async def outputs(self) -> AsyncGenerator[Output, None]:
        """Everything that is said, to the end. One counts as heard when the next is asked for."""
        while (output := await self._queue.get()) is not None:
            yield output
            self._queue.task_done()
