"""An ACP agent that a table names, on a real server: the host's tools, its folder, its own questions."""

import json
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tenure.agent_tables import AcpAgent
from tenure.client import Client
from tenure.core.event import (
    ApprovalRequested,
    Event,
    MessageDelta,
    RecallScheduled,
    RunWaiting,
    ToolCallStarted,
    Unknown,
)
from tenure.errors import ConfigError
from tenure.runners.acp.assembly import acp_agent
from tests.client.both import events_of, is_finished
from tests.client.hosted import Hosted
from tests.runners.acp.scene import PROGRAM, tool

COMMAND = (sys.executable, "-S", PROGRAM)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Generator[Hosted]:
    home = tmp_path_factory.mktemp("acp") / "home"
    table = AcpAgent.model_validate(
        {"runner": "acp", "command": [*COMMAND, "--http"], "env": {"TOKEN": "sesame"}, "tools": ["confirm"]}
    )
    hosted = Hosted(home, {"mine": table}).start()
    yield hosted
    hosted.stop()


@pytest.fixture
def client(hosted: Hosted) -> Generator[Client]:
    with Client(hosted.url, hosted.key) as client:
        yield client


def to_the_end(client: Client, session: str, after: int = 0) -> list[Event | Unknown]:
    """All that happened until the run ended."""
    return [event.event for event in events_of(client.follow(session, after, until=is_finished))]


def said(events: list[Event | Unknown]) -> str:
    """What the agent said."""
    return "".join(event.text for event in events if isinstance(event, MessageDelta))


def question(client: Client, session: str) -> ApprovalRequested:
    """What a person is asked."""
    waited = events_of(client.follow(session, until=lambda event: isinstance(event.event, RunWaiting)))
    [asked] = [event.event for event in waited if isinstance(event.event, ApprovalRequested)]
    return asked


def test_an_agent_calls_a_tool_of_the_host_that_asks_a_person(client: Client) -> None:
    session = client.open_session("mine").id
    client.send(session, 'MCP confirm {"text": "shall I?"}')
    asked = question(client, session)
    client.approve(asked.approval_id)
    events = to_the_end(client, session)

    assert (asked.tool, asked.arguments, asked.own) == ("confirm", {"text": "shall I?"}, False)
    assert len([event for event in events if isinstance(event, ToolCallStarted)]) == 1
    assert json.loads(said(events))["isError"] is False


@pytest.mark.sources("N14")
def test_an_agent_recalls_itself_by_the_run_gateway(client: Client) -> None:
    session = client.open_session("mine").id
    client.send(session, 'MCP recall_schedule {"message": "SAY back again", "in_s": 0.05}')
    planned = events_of(client.follow(session, until=is_finished))
    recalled = to_the_end(client, session, after=planned[-1].seq)

    told = [event.event for event in planned]
    (scheduled,) = [event for event in told if isinstance(event, RecallScheduled)]
    assert scheduled.schedule_id in said(told)
    assert said(recalled) == "back again"


def test_a_call_of_the_agents_own_asks_a_person(client: Client) -> None:
    session = client.open_session("mine").id
    client.send(session, tool(ask=["allow_once", "reject_once"]))
    asked = question(client, session)
    client.deny(asked.approval_id)

    assert (asked.tool, asked.own) == ("execute", True)
    assert said(to_the_end(client, session)) == "[reject_once-1]"


def test_an_agent_is_listed_with_what_it_can_do(client: Client) -> None:
    [mine] = [agent for agent in client.agents() if agent.name == "mine"]

    assert (mine.runner, mine.healthy, mine.fault) == ("acp", True, None)
    assert (mine.capabilities.approvals, mine.capabilities.undo, mine.capabilities.steering) == (
        True,
        False,
        False,
    )


def test_an_agent_has_the_environment_of_its_table_and_works_in_the_sessions_folder(
    client: Client, hosted: Hosted
) -> None:
    session = client.open_session("mine").id
    client.send(session, "ENV TOKEN\nENV TENURE_HOME\nSESSION")
    told = said(to_the_end(client, session))

    assert told.startswith("sesame(unset)")
    cwd = json.loads(told.removeprefix("sesame(unset)"))["cwd"]
    assert Path(cwd) == hosted.home / "sessions" / session / "files"


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"agent": "nobody"}, "agents.mine.agent is 'nobody', which isn't known."),
        ({"command": COMMAND, "inherit": ["NO_SUCH_VARIABLE"]}, "agents.mine.inherit names NO_SUCH_VARIABLE"),
    ],
)
def test_a_table_that_cant_be_used_is_refused(tmp_path: Path, table: dict[str, object], fault: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        acp_agent("mine", AcpAgent.model_validate({"runner": "acp", **table}), tmp_path)

    assert str(refusal.value).startswith(fault)


def test_a_known_agent_is_made_of_what_is_known_and_what_its_table_says(tmp_path: Path) -> None:
    table = AcpAgent.model_validate({"runner": "acp", "agent": "claude-code", "command": COMMAND})

    descriptor = acp_agent("mine", table, tmp_path).runner.descriptor

    assert descriptor.description == "Claude Code"
    assert (descriptor.capabilities.steering, descriptor.capabilities.multimodal) == (True, True)
