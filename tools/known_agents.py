"""`python -m tools.known_agents`: the tables of docs/how-to/host-coding-agents-for-a-team.md.

They are made of what the code knows; a test holds the page to them.
"""

import sys
from collections.abc import Callable
from typing import TypeAlias

from tenure.runners.acp.known import KNOWN, Abilities, KnownAgent
from tools.reference.markdown import code, table

Part: TypeAlias = Callable[[], str]

ABILITIES = {
    "asks": "asks a person before it changes something",
    "loads": "remembers a session after a restart by itself",
    "steers": "takes up messages while it works",
    "images": "sees images",
    "gateway": "reaches the host's tools",
    "tokens": "says how many tokens it used",
    "cost": "says what it cost",
    "forks": "can fork its own sessions",
}
"""What each ability means to a reader. Forks of Tenure work with every agent."""


def agents() -> str:
    """How each is named, installed and started."""
    heads = ["agent", "name in `agent`", "tried version", "install", "on disk", "command"]
    return table(heads, [_agent(known) for known in KNOWN.values()])


def _agent(known: KnownAgent) -> list[str]:
    size = f"{known.megabytes} MB"
    command = code(" ".join(known.command))
    return [known.title, code(known.id), known.version, code(known.install), size, command]


def abilities() -> str:
    """What each can do and what it can't."""
    rows = [
        [meaning, *(_has(known.abilities, name) for known in KNOWN.values())]
        for name, meaning in ABILITIES.items()
    ]
    return table(["", *(known.title for known in KNOWN.values())], rows)


def _has(abilities: Abilities, name: str) -> str:
    held = {field: bool(getattr(abilities, field)) for field in abilities.__struct_fields__}
    return "yes" if held[name] else "no"


def details() -> str:
    """For each agent: its variables, what it is started with, and what to know of it."""
    return "\n\n".join(_details(known) for known in KNOWN.values())


def _details(known: KnownAgent) -> str:
    variables = [
        [
            code(one.name),
            one.meaning + (" (one of these is enough)" if one.key and len(known.keys) > 1 else ""),
        ]
        for one in known.variables
    ]
    notes = [f"- {note}" for note in (*_started_with(known), *known.notes)]
    return "\n\n".join([f"### {known.title}", table(["variable", "what it is"], variables), "\n".join(notes)])


def _started_with(known: KnownAgent) -> list[str]:
    """What Tenure sets, unless the table says otherwise."""
    settings = [f"{code(name)} = {code(value)}" for name, value in known.env.items()]
    settings += [f"{name} {code(value)}" for name, value in _sets(known) if value]
    return [f"Tenure sets {', '.join(settings)}."]


def _sets(known: KnownAgent) -> list[tuple[str, str | None]]:
    return [("the mode", known.mode), ("the way to authenticate", known.auth_method)]


if __name__ == "__main__":
    sys.stdout.write("\n\n".join([agents(), abilities(), details()]) + "\n")
