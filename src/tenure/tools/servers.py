"""How servers of tools are reached, as the operator configured it. What is secret in it is never shown."""

from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tenure.core.tool import Replay, matches, most_exact
from tenure.tools.identity import fingerprint

TALKATIVE = ("mcp", "client", "httpx", "httpcore", "httpx2", "httpcore2")
"""The loggers of libraries that tell of each message and address, in which secrets may stand."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program that speaks on its standard input and output. `env` is added to the bare environment."""

    command: tuple[str, ...]
    env: dict[str, str] = {}
    folder: Path | None = None

    def __repr__(self) -> str:
        return f"Program({self.command[0]!r}, …)"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A server behind HTTP. `headers` go with each request."""

    url: str
    headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Endpoint(…)"


class ServerTable(msgspec.Struct, frozen=True, kw_only=True):
    """One `[mcp.NAME]` table. `replay` gives the replay class by pattern of the server's own tool names.

    `timeout_s` is how long one call may take, in seconds.
    """

    name: str
    reach: Program | Endpoint
    replay: dict[str, Replay] = {}
    timeout_s: float = 300.0

    def source_of(self, schema: dict[str, object]) -> str:
        """Whose a tool is: the server's name, and which program or address, and schema, stood behind it."""
        match self.reach:
            case Program(command=command):
                behind: object = command
            case Endpoint(url=url):
                behind = url.partition("?")[0]
        return f"mcp:{self.name}#{fingerprint(behind, schema)}"

    def replay_of(self, tool: str) -> Replay:
        """The replay class of a tool by its own name. What nobody vouches for is never repeated."""
        full = f"mcp:{self.name}/{tool}"
        name = tool if any(matches(pattern, tool) for pattern in self.replay) else full
        pattern = most_exact(self.replay, name)
        return Replay.NEVER if pattern is None else self.replay[pattern]

    def masked(self, text: str) -> str:
        """`text` without the values of environment and headers."""
        words = {word for secret in self._secrets() for word in (secret, *secret.split()) if len(word) > 3}
        for word in sorted(words, key=lambda word: (-len(word), word)):
            text = text.replace(word, "[…]")
        return text

    def _secrets(self) -> list[str]:
        match self.reach:
            case Program(env=env):
                return [*env.values()]
            case Endpoint(url=url, headers=headers):
                parts = urlsplit(url)
                return [*headers.values(), parts.query, parts.username or "", parts.password or ""]
