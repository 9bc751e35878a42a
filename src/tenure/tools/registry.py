"""All tools of one host, by name: Python functions, and what servers of tools offer at the moment.

The wiring makes it, the catalogue resolves agents' patterns against it, the tools room calls through it.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from tenure.core.tool import matches
from tenure.errors import ConfigError
from tenure.ports.tool import Tool

SERVED = "mcp:"
"""How the names of tools begin that a server offers: `mcp:SERVER/TOOL`."""


class ToolServer(Protocol):
    """A server of tools. It comes and goes by itself; what it last offered stays listed."""

    @property
    def name(self) -> str:
        """The name under which the operator configured it."""
        ...

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What it offers."""
        ...

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to connect, and call `changed` whenever `tools` is another. Returns in bounded time."""
        ...

    async def stop(self) -> None:
        """Disconnect and leave nothing behind."""
        ...


class Registry:
    """The tools of a host. Implements `Tools` of the tool port."""

    def __init__(self, tools: Iterable[Tool] = (), servers: Iterable[ToolServer] = ()) -> None:
        self._own = _by_name(tools)
        self._servers = {server.name: server for server in servers}
        self._listener: Callable[[], None] | None = None
        self._tools: dict[str, Tool] = {}
        self._gather()

    def get(self, name: str) -> Tool | None:
        """The tool `name`, or None if it isn't there now."""
        return self._tools.get(name)

    def all(self) -> tuple[Tool, ...]:
        """Every tool that is there now, by name."""
        return tuple(self._tools.values())

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after tools came or went. There is one."""
        self._listener = listener

    async def start(self) -> None:
        """Connect to all servers at once; each takes bounded time, and goes on trying by itself."""
        await asyncio.gather(*(server.start(self._changed) for server in self._servers.values()))

    async def stop(self) -> None:
        """Disconnect from all servers."""
        await asyncio.gather(*(server.stop() for server in self._servers.values()))

    def check(self, agent: str, patterns: Iterable[str]) -> None:
        """Look at what an agent's table names. Raises ConfigError for a tool that can't be there."""
        for pattern in self.absent(patterns):
            self._check_absent(agent, pattern)

    def absent(self, patterns: Iterable[str]) -> list[str]:
        """Those of the names and patterns that cover no tool at the moment."""
        return [
            pattern
            for pattern in patterns
            if pattern != "*" and not any(matches(pattern, name) for name in self._tools)
        ]

    def _check_absent(self, agent: str, pattern: str) -> None:
        server, slash, _ = pattern.removeprefix(SERVED).partition("/")
        if pattern.startswith(SERVED) and slash and server not in self._servers:
            known = ", ".join(sorted(self._servers)) or "none"
            raise ConfigError(
                f"The agent {agent} names {pattern!r}, but there is no [mcp.{server}]. Servers of tools are: "
                f"{known}. Add the table, or correct the name."
            )
        if not pattern.endswith("*") and not pattern.startswith(SERVED):
            known = ", ".join(self._tools) or "none"
            raise ConfigError(
                f"The agent {agent} names the tool {pattern!r}, which isn't here. Tools are: {known}. "
                "Serve the module that defines it, or correct the name."
            )

    def _changed(self) -> None:
        self._gather()
        if self._listener is not None:
            self._listener()

    def _gather(self) -> None:
        served = {tool.info.name: tool for server in self._servers.values() for tool in server.tools}
        self._tools = dict(sorted((self._own | served).items()))


def _by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    known: dict[str, Tool] = {}
    for tool in tools:
        other = known.setdefault(tool.info.name, tool)
        if other is not tool:
            raise ConfigError(
                f"Two tools are called {tool.info.name}: {other.source} and {tool.source}. "
                "Rename one, or serve only one of them."
            )
    return known
