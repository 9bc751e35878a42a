"""A real server on a free loopback port, in a thread of its own, for what only real connections show."""

import asyncio
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn
import uvloop

from tenure import wiring
from tenure.config import Settings

WAIT_S = 15.0


class Address(NamedTuple):
    """Where the server is, and the bootstrap admin's key."""

    host: str
    port: int
    key: str
    wired: wiring.Served

    @property
    def url(self) -> str:
        """The base of every address."""
        return f"http://{self.host}:{self.port}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header of the bootstrap admin."""
        return {"Authorization": f"Bearer {self.key}"}


class _Thread(threading.Thread):
    """Runs the server until it is told to end."""

    def __init__(self, home: Path, listener: socket.socket) -> None:
        super().__init__(name="server")
        self.home = home
        self.listener = listener
        self.ready = threading.Event()
        self.server: uvicorn.Server | None = None
        self.wired: wiring.Served | None = None

    def run(self) -> None:
        """Build the host, serve, and let the home go."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        settings = Settings(home=self.home, demo=True, entry_points=False)
        self.wired = await wiring.build(settings)
        config = uvicorn.Config(
            self.wired.app,
            http="httptools",
            ws="websockets-sansio",
            lifespan="off",
            access_log=False,
            log_level="error",
            timeout_graceful_shutdown=2,
        )
        self.server = uvicorn.Server(config)
        self.server.config.load()
        self.ready.set()
        await self.server.serve(sockets=[self.listener])
        await self.wired.close()


@contextmanager
def a_server(home: Path, listening: socket.socket | None = None) -> Generator[Address]:
    """A server for the length of the block, on a free port or where it is `listening`."""
    with listening or socket.create_server(("127.0.0.1", 0)) as listener:
        thread = _Thread(home, listener)
        thread.start()
        assert thread.ready.wait(WAIT_S)
        assert thread.wired is not None and thread.server is not None
        port: int = listener.getsockname()[1]
        try:
            yield Address("127.0.0.1", port, thread.wired.admin_key, thread.wired)
        finally:
            thread.server.should_exit = True
            thread.join(WAIT_S)
            assert not thread.is_alive()
