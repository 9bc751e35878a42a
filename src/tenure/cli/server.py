"""Drives the HTTP server around a host: takes the port, says when it is ready, ends in good order.

`serve` and tests use it. It knows sockets and signals, and nothing of sessions or routes.
"""

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvicorn
import uvloop
from starlette.types import ASGIApp

from tenure.cli.protocol import BoundedHttp
from tenure.client.place import Running, is_loopback
from tenure.config import Settings
from tenure.errors import ConfigError
from tenure.wiring import Served, build

log = logging.getLogger("tenure")

DRAIN_S = 11.0
"""How long runs and streams may take to come to a good end; the host itself gives up a second earlier."""

CLOSE_S = 2
"""How long connections may take to close after that."""

BACKLOG = 2_048

STALLED_S = 60.0
"""How long a client may leave what was sent to it untaken before its connection is cut; it can resume."""


class Answering(NamedTuple):
    """What there is to say of a server that answers: where, with which agents, and a way into its console."""

    url: str
    agents: tuple[str, ...]
    console: str


Ready = Callable[[Answering], None]
"""Told once the server answers."""


class Stopping:
    """The wish to stop, told once or, for those in a hurry, twice."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    def ask(self) -> None:
        """Stop in good order; told again, stop at once."""
        (self.hurried if self.asked.is_set() else self.asked).set()


def check_bind(settings: Settings) -> None:
    """Refuse to open the server to the network by accident. Raises ConfigError."""
    encrypted = encrypts(settings)
    if not (is_loopback(settings.host) or encrypted or settings.insecure_bind):
        raise ConfigError(
            f"The host {settings.host!r} can be reached from the network, where keys would travel "
            "readable by all. Give --tls-cert and --tls-key, or --insecure-bind if something else "
            "encrypts the way."
        )


def encrypts(settings: Settings) -> bool:
    """Whether the server speaks TLS. Raises ConfigError for a certificate that can't be used."""
    if settings.tls_cert is None and settings.tls_key is None:
        return False
    if settings.tls_cert is None or settings.tls_key is None:
        raise ConfigError("TLS needs a certificate and its key. Give both with --tls-cert and --tls-key.")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_cert, settings.tls_key
        )
    except OSError as error:
        raise ConfigError(
            f"The certificate {settings.tls_cert} with the key {settings.tls_key} can't be used "
            f"({error.strerror or error}). Give PEM files that belong together."
        ) from None
    return True


def listen(host: str, port: int, stalled_s: float = STALLED_S) -> socket.socket:
    """A socket that takes connections; port 0 takes a free one. Raises ConfigError with the way out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            # Connections inherit it. Elsewhere a client that stalls keeps its connection, and nothing else.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stalled_s * 1_000))
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(_why_not(host, port, error)) from None
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"The port {port} of {host} is in use, maybe by another Tenure server. Stop that "
                "program, or choose another port with --port; --port 0 takes a free one."
            )
        case errno.EACCES:
            return f"The port {port} needs rights that this process lacks. Choose one above 1023 with --port."
        case _:
            return (
                f"The address {host}, port {port} can't be listened on ({error.strerror}). Give an "
                "address of this machine with --host."
            )


def address_of(settings: Settings, listener: socket.socket) -> str:
    """Where the server is found from this machine."""
    port: int = listener.getsockname()[1]
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
    host = everywhere.get(settings.host, settings.host)
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@contextmanager
def announced(home: Path, url: str) -> Generator[None]:
    """Lets clients find the server by its home, in `server.json`, as long as the block lasts."""
    path, fresh = home / "server.json", home / f"server.json.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(Running(url, os.getpid())))
    fresh.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


class Hosting(uvicorn.Server):
    """uvicorn, told when to end by us rather than by signals of its own, and telling us when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        self._ready()


def calm_collector() -> None:
    """Let Python look for reference cycles seldom: what a server keeps has few, and each look stops it.

    What was loaded so far stays for good, so it is never looked at again.
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


async def run(settings: Settings, listener: socket.socket, ready: Ready, stopping: Stopping) -> None:
    """Serve until asked to stop: drain, answer the last requests, settle. Raises ConfigError."""
    served = await build(settings)
    try:
        await _answer(settings, listener, served, ready, stopping)
    finally:
        await served.close()


async def _answer(
    settings: Settings, listener: socket.socket, served: Served, ready: Ready, stopping: Stopping
) -> None:
    url = address_of(settings, listener)
    served.host.gateway.announce(settings.gateway_url or url)
    agents = tuple(sorted(served.host.catalogue.terms()))
    console = await served.host.signing.way_in(served.admin_key, settings.public_url or url)
    answering = Answering(url, agents, console)
    server = Hosting(_config(served.app, settings), lambda: ready(answering))
    ending = asyncio.create_task(_end(stopping, served, server))
    try:
        with announced(settings.home, url):
            await server.serve([listener])
    finally:
        ending.cancel()
        await asyncio.wait({ending})


async def _end(stopping: Stopping, served: Served, server: Hosting) -> None:
    """Wait until asked to stop, then let the host drain while the server still answers."""
    await stopping.asked.wait()
    drained = asyncio.create_task(served.host.drain())
    hurried = asyncio.create_task(stopping.hurried.wait())
    await asyncio.wait({drained, hurried}, timeout=DRAIN_S, return_when=asyncio.FIRST_COMPLETED)
    server.force_exit = stopping.hurried.is_set()
    server.should_exit = True
    await asyncio.gather(drained, hurried)


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedHttp,
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=CLOSE_S,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def run_until_signalled(settings: Settings, listener: socket.socket, ready: Ready) -> None:
    """Serve in this thread until SIGTERM or SIGINT."""
    # Not asyncio.run: it would wait for runners that the host gave up because they heed nothing.
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    calm_collector()
    try:
        loop.run_until_complete(_until_signalled(settings, listener, ready))
        abandoned = len(asyncio.all_tasks(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    if abandoned:
        log.warning("%d runs heeded no stop and were given up.", abandoned)
        # What they say while the interpreter takes them apart tells nobody anything.
        logging.disable()
        loop.set_exception_handler(lambda _loop, _context: None)


async def _until_signalled(settings: Settings, listener: socket.socket, ready: Ready) -> None:
    stopping, loop = Stopping(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.ask)
    await run(settings, listener, ready, stopping)
