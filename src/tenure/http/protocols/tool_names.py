"""The names under which MCP clients know a host's tools. The run gateway uses them.

Models' APIs take letters, digits, `_` and `-` alone, at most 64 of them, and clients put the name of the
server in front. A name that fits stays as it is; `mcp:github/create` becomes `mcp__github__create`; any other
gets what fits of it, with a fingerprint of the whole behind.
"""

import hashlib
import re
from collections.abc import Collection, Iterable

LONGEST = 64 - len("mcp__tenure__")
"""So that 64 characters hold the name with what clients put in front of it."""

_PLAIN = re.compile(rf"(?!mcp__)[A-Za-z0-9_-]{{1,{LONGEST}}}")
_SERVED = re.compile(r"mcp:((?:[A-Za-z0-9-]|_(?!_|/))+)/((?!_)[A-Za-z0-9_-]+)")
_SHOWN = re.compile(r"mcp__((?:[A-Za-z0-9-]|_(?!_))+)__((?!_)[A-Za-z0-9_-]+)")
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


def shown(name: str, taken: Collection[str] = ()) -> str:
    """The name that clients are told. One that is `taken` by something else gets a fingerprint."""
    served = _SERVED.fullmatch(name)
    wire = f"mcp__{served[1]}__{served[2]}" if served else name
    if len(wire) <= LONGEST and wire not in taken and (served or _PLAIN.fullmatch(name)):
        return wire
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{_UNFIT.sub('-', wire)[: LONGEST - 9]}-{mark}"


def meant(wire: str, granted: Iterable[str], taken: Collection[str] = ()) -> str:
    """The tool that a client means: one of those that are granted, or what the name says otherwise."""
    names = list(granted)
    if wire in names:
        return wire
    return next((name for name in names if shown(name, taken) == wire), _told(wire))


def _told(wire: str) -> str:
    served = _SHOWN.fullmatch(wire)
    return f"mcp:{served[1]}/{served[2]}" if served else wire
