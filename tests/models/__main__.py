"""`python -m tests.models [--port N] [--key KEY]`: the model server in a process of its own.

It prints its address and serves until it is told to end. GET /requests tells what came.
"""

import argparse
import asyncio
import signal
import sys

from tests.models.server import model_server


async def serve(port: int, key: str | None) -> None:
    """Serve until SIGINT or SIGTERM."""
    ended = asyncio.Event()
    for asked in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(asked, ended.set)
    async with model_server(port=port, key=key) as models:
        sys.stdout.write(f"{models.url}\n")
        sys.stdout.flush()
        await ended.wait()


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.models")
    parser.add_argument("--port", type=int, default=0, help="the port, a free one if left out")
    parser.add_argument("--key", help="refuse requests that show another key")
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.port, chosen.key))


if __name__ == "__main__":
    main()
