"""A server whose agents need no extra has none of them in its process."""

import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tenure.client import Client
from tests.cli.conftest import Began
from tests.client.both import events_of
from tests.project.test_install import ROOT, base_requirements

TRIED = {"greenlet"}
"""What a package of the base install uses where it happens to be there: structlog does."""
WITNESS = """
import sys

import tenure


@tenure.agent("witness")
async def witness(run: tenure.Run):
    yield " ".join(sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_a_server_without_real_agents_loads_no_extra(started: Began, tmp_path: Path) -> None:
    (tmp_path / "witness.py").write_text(WITNESS)
    home = tmp_path / "home"
    server = started("serve", str(tmp_path / "witness.py"), "--demo", "--home", str(home), "--port", "0")
    assert server.line(), server.ended()

    with Client(home=home) as client:
        events_of(client.say(client.open_session("scripted").id, "SAY hi"))
        session = client.open_session("witness").id
        events_of(client.say(session, "What is here?"))
        loaded = distributions(str(client.transcript(session).data[1].content).split())

    assert {"pydantic-ai-slim", "agent-client-protocol", "mcp", "ag-ui-protocol"} < extras()
    assert "starlette" in loaded
    assert loaded & extras() <= TRIED


def distributions(modules: Iterable[str]) -> set[str]:
    """What brought these modules here."""
    known = packages_distributions()
    return {canonicalize_name(name) for module in modules for name in known.get(module, ())}


def extras() -> set[str]:
    """What the extras bring along, and what that needs by itself, beyond the base install."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        optional: dict[str, list[str]] = tomllib.load(file)["project"]["optional-dependencies"]
    named = set(names(line for lines in optional.values() for line in lines))
    needed = {one for name in named for one in names(requires(name) or ())}
    return (named | needed) - {canonicalize_name(one.name) for one in base_requirements()}


def names(lines: Iterable[str]) -> Iterator[str]:
    """Of requirements, those that apply here without an extra."""
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)
