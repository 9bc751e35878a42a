"""A real server for tests: host, store and HTTP in a thread of this process, on a free loopback port."""

import threading
from collections.abc import Mapping
from pathlib import Path

import uvloop

from tenure.agent_tables import AnyAgentSettings
from tenure.cli.server import Stopping, listen, run
from tenure.client.place import Place
from tenure.config import BindingSettings, ScopeSettings, Settings

BOUND_S = 30.0

EVERYWHERE = BindingSettings(id="all", agent="scripted", scope=ScopeSettings(type="global"))
"""A binding that takes all messages of the tenant `default`."""


class Hosted:
    """One server on one home. It may be stopped and started again on the same port."""

    def __init__(
        self, home: Path, agents: Mapping[str, AnyAgentSettings] | None = None, store: str | None = None
    ) -> None:
        self.home = home
        self._store = store
        self._agents = dict(agents or {})
        self.port = 0
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """The bootstrap admin's key."""
        return (self.home / "admin.key").read_text().strip()

    @property
    def place(self) -> Place:
        """Address and key."""
        return Place(self.url, self.key)

    def start(self) -> "Hosted":
        """Start, and wait until it answers."""
        self._ready.clear()
        self._thread = threading.Thread(target=self._serve, name="hosted", daemon=True)
        self._thread.start()
        assert self._ready.wait(BOUND_S), "the server didn't start"
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Drain and end, as on SIGTERM."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.ask)
        self._thread.join(BOUND_S)
        assert not self._thread.is_alive(), "the server didn't stop"
        self._thread = None

    def _serve(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._stopping = Stopping()
        try:
            settings = Settings(
                home=self.home,
                store=self._store,
                demo=True,
                port=self.port,
                entry_points=False,
                bindings=(EVERYWHERE,),
                agents=self._agents,
            )
            with listen("127.0.0.1", self.port) as listener:
                self.port = listener.getsockname()[1]
                self._loop.run_until_complete(
                    run(settings, listener, lambda _answering: self._ready.set(), self._stopping)
                )
        except BaseException as failure:
            self._failure = failure
            raise
        finally:
            self._ready.set()
            self._loop.close()
