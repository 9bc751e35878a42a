"""Real agents behind a real server, with a scripted model; and a loud word about each that wasn't tested."""

from collections.abc import Iterator

import pytest

from tests.agents.install import NotInstalled, chosen, command_of
from tests.agents.served import Served, served_agents
from tests.models.server import Models, models_aside

UNTESTED: dict[str, str] = {}
"""Agents that couldn't be installed, and why."""


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    """The model that all agents ask."""
    with models_aside() as models:
        yield models


@pytest.fixture(scope="module", params=chosen())
def agent(request: pytest.FixtureRequest) -> str:
    """Each agent that is to be tested, installed; else the test is skipped, and the summary says so."""
    name = str(request.param)
    if name not in UNTESTED:
        try:
            command_of(name)
        except NotInstalled as reason:
            UNTESTED[name] = str(reason)
    if name in UNTESTED:
        pytest.skip(f"REAL AGENT NOT TESTED: {name} can't be installed here: {UNTESTED[name]}")
    return name


@pytest.fixture(scope="module")
def served(agent: str, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own process that hosts the agent."""
    yield from served_agents(agent, models, tmp_path_factory.mktemp(agent))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which agents weren't tested, where nobody can miss it."""
    for name, reason in UNTESTED.items():
        terminalreporter.write_line(f"REAL AGENT NOT TESTED: {name}: {reason}", yellow=True, bold=True)
