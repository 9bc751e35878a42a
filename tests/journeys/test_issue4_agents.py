"""A team puts the agents that it has behind Tenure: journeys over HTTP, with the real client."""

import json
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tenure.agent_tables import AcpAgent, AguiAgent, AnyAgentSettings, PydanticAIAgent, PythonAgent
from tenure.client import AsyncClient, Gap
from tenure.core.event import (
    ApprovalRequested,
    Event,
    MessageDelta,
    RunFinished,
    RunnerWarning,
    ToolCallCompleted,
    UsageRecorded,
)
from tests.client.hosted import Hosted
from tests.models.server import Models, models_aside
from tests.runners.acp.scene import PROGRAM, tool
from tests.runners.agui.endpoint import Answer, Endpoint, answering, finished, says, started

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_imports")]

ACP = (sys.executable, "-S", PROGRAM, "--http")

SUPPORT = """
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

agent = Agent(OpenAIChatModel("scripted", provider=OpenAIProvider(base_url={url!r}, api_key="any")))

@agent.tool_plain(requires_approval=True)
def refund(amount: int) -> str:
    return f"refunded {{amount}}"
"""

ECHO = """
from tenure.core.grant import Descriptor
from tenure.core.output import Text, completed

class Echo:
    descriptor = Descriptor(runner="echo")

    async def run(self, context):
        for word in context.message.text.split():
            yield Text(word + "! ")
        yield completed()
"""

CARRIER = """
import json, tenure

@tenure.agent("carrier")
async def carrier(run):
    access = {"url": run.gateway.url, "token": run.gateway.token}
    (run.files.folder / "access.json").write_text(json.dumps(access))
"""


class Desk:
    """A user at the real client, and the server with the agents of these tables."""

    def __init__(self, hosted: Hosted, client: AsyncClient) -> None:
        self.hosted = hosted
        self.client = client

    async def opened(self, agent: str) -> str:
        """A new session."""
        return (await self.client.open_session(agent)).id

    async def until(self, session: str, kind: type[Event], after: int = 0) -> list[Event]:
        """All events after `after`, up to the first of a kind."""
        seen: list[Event] = []
        async for item in self.client.follow(session, after=after):
            assert not isinstance(item, Gap)
            assert isinstance(item.event, Event)
            seen.append(item.event)
            if isinstance(item.event, kind):
                return seen
        raise AssertionError(f"no {kind.__name__}")

    async def says(self, session: str, text: str) -> list[Event]:
        """Say something, and wait for the end of the run."""
        head = (await self.client.session(session)).head_seq
        await self.client.send(session, text)
        return await self.until(session, RunFinished, head)

    async def asked(self, session: str, text: str) -> tuple[ApprovalRequested, int]:
        """Say something that makes the agent ask: the question, and what to follow from."""
        head = (await self.client.session(session)).head_seq
        await self.client.send(session, text)
        question = (await self.until(session, ApprovalRequested, head))[-1]
        assert isinstance(question, ApprovalRequested)
        return question, head


Serve = Callable[..., Desk]


def said(events: list[Event]) -> str:
    """What the agent said."""
    return "".join(event.text for event in events if isinstance(event, MessageDelta))


def results(events: list[Event]) -> list[object]:
    """What its calls came to."""
    return [event.result for event in events if isinstance(event, ToolCallCompleted)]


def ending(events: list[Event]) -> RunFinished:
    """How the run ended."""
    assert isinstance(events[-1], RunFinished)
    return events[-1]


@pytest.fixture
def models() -> Generator[Models]:
    """A scripted model."""
    with models_aside() as models:
        yield models


@pytest.fixture
async def serve(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[Serve]:
    """Starts a server with agents. It is stopped after the test."""
    begun: list[Desk] = []

    def start(**agents: AnyAgentSettings) -> Desk:
        hosted = Hosted(tmp_path / "home", agents).start()
        begun.append(Desk(hosted, AsyncClient(hosted.url, hosted.key)))
        return begun[-1]

    yield start
    for desk in begun:
        await desk.client.aclose()
        desk.hosted.stop()


def acp(**more: Any) -> AcpAgent:
    """The table of an ACP agent."""
    return AcpAgent.model_validate({"runner": "acp", "command": ACP, **more})


@pytest.mark.sources("A23")
async def test_a_pydantic_ai_agent_is_streamed_asked_about_stopped_and_taken_back(
    tmp_path: Path, serve: Serve, models: Models
) -> None:
    (tmp_path / "support_desk.py").write_text(SUPPORT.format(url=models.v1))
    table = PydanticAIAgent(runner="pydantic-ai", target=f"{tmp_path / 'support_desk.py'}:agent")
    desk = serve(support=table)
    session = await desk.opened("support")
    first = await desk.says(session, "USAGE 7 3\nSAY good morning")
    question, head = await desk.asked(session, 'TOOL refund {"amount": 50}\nTHEN\nSAY there you are')
    await desk.client.approve(question.approval_id, arguments={"amount": 5})
    second = await desk.until(session, RunFinished, head)
    await desk.client.undo(session)
    head = (await desk.client.session(session)).head_seq
    await desk.client.send(session, "SLOW 1000 20")
    await desk.until(session, MessageDelta, head)
    await desk.client.interrupt(session)
    third = await desk.until(session, RunFinished, head)

    assert (said(first), ending(first).status) == ("good morning", "completed")
    assert [(e.input_tokens, e.output_tokens) for e in first if isinstance(e, UsageRecorded)] == [(7, 3)]
    assert (question.tool, question.own, results(second)) == ("refund", True, ["refunded 5"])
    assert (said(second), ending(second).status) == ("there you are", "completed")
    assert (said(third)[:2], ending(third).status) == ("w0", "cancelled")
    assert models.requests[-1].said == [
        ("user", "USAGE 7 3\nSAY good morning"),
        ("assistant", "good morning"),
        ("user", "SLOW 1000 20"),
    ]


@pytest.mark.sources("A24")
async def test_an_acp_agent_works_in_its_folder_asks_is_stopped_and_goes_on_after_a_restart(
    tmp_path: Path, serve: Serve
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    desk = serve(coder=acp(command=[*ACP, "--store", str(kept)]))
    session = await desk.opened("coder")
    folder = desk.hosted.home / "sessions" / session / "files"
    first = await desk.says(session, f"MET\nWRITE {folder / 'notes.txt'} remember")
    question, head = await desk.asked(session, tool(ask=["allow_once", "reject_once"], append="made.txt"))
    await desk.client.approve(question.approval_id)
    second = await desk.until(session, RunFinished, head)
    head = (await desk.client.session(session)).head_seq
    await desk.client.send(session, "SLOW 1000 20")
    await desk.until(session, MessageDelta, head)
    await desk.client.interrupt(session)
    third = await desk.until(session, RunFinished, head)
    desk.hosted.stop()
    desk.hosted.start()
    fourth = await desk.says(session, "MET")

    assert said(first).startswith("how do you do")
    assert (folder / "notes.txt").read_text() == "remember"
    assert (question.tool, question.own, ending(second).status) == ("execute", True, "completed")
    assert (folder / "made.txt").read_text() == '{"command": "echo hi"}\n'
    assert (said(third)[:2], ending(third).status) == ("w0", "cancelled")
    assert (said(fourth), ending(fourth).status) == ("we have met", "completed")


@pytest.mark.sources("A25")
async def test_an_agui_endpoint_is_an_agent_like_any_other(serve: Serve) -> None:
    async def script(ask: Any) -> Answer:
        yield started(ask)
        for event in says("good ", "evening"):
            yield event
        yield finished(ask)

    async with answering(script) as endpoint:
        desk = serve(elsewhere=AguiAgent(runner="agui", url=endpoint.url))
        session = await desk.opened("elsewhere")
        first = await desk.says(session, "good evening?")
        await desk.says(session, "and again?")
        asked = told(endpoint)

    assert (said(first), ending(first).status) == ("good evening", "completed")
    assert asked == ["good evening?", "good evening", "and again?"]


def told(endpoint: Endpoint) -> list[object]:
    """The messages that an endpoint was given last."""
    return [message.content for message in endpoint.asked[-1].messages]


@pytest.mark.sources("A26", "P8")
async def test_an_agent_reaches_its_grant_through_the_gateway_and_nothing_else_nor_later(
    tmp_path: Path, serve: Serve
) -> None:
    (tmp_path / "carriers.py").write_text(CARRIER)
    carrier = PythonAgent(target=f"{tmp_path / 'carriers.py'}:carrier")
    desk = serve(coder=acp(tools=["confirm"]), carrier=carrier)
    session = await desk.opened("coder")
    question, head = await desk.asked(session, 'MCP confirm {"text": "shall I?"}')
    await desk.client.approve(question.approval_id)
    granted = await desk.until(session, RunFinished, head)
    beyond = await desk.says(session, 'MCP once {"path": "log.txt"}')
    carried = await desk.opened("carrier")
    await desk.says(carried, "take it with you")
    access = json.loads((desk.hosted.home / "sessions" / carried / "files" / "access.json").read_text())
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {access['token']}"}) as http:
        late = await http.post(access["url"], json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

    assert (question.tool, question.own) == ("confirm", False)
    assert results(granted) == [{"text": "shall I?"}]
    assert "tool_refused" in [event.code for event in beyond if isinstance(event, RunnerWarning)]
    assert results(beyond) == []
    assert late.status_code in (401, 403)


@pytest.mark.sources("A27")
async def test_a_runner_that_a_user_brings_is_served_by_its_name(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    desk = serve(mine=PythonAgent(target=f"{tmp_path / 'echo.py'}:Echo"))
    events = await desk.says(await desk.opened("mine"), "out of the woods")
    listed = {agent.name: agent.runner for agent in await desk.client.agents()}

    assert (said(events), ending(events).status) == ("out! of! the! woods! ", "completed")
    assert listed["mine"] == "echo"


@pytest.mark.sources("A28")
async def test_an_agent_whose_program_is_missing_says_what_to_do_and_disturbs_nobody(serve: Serve) -> None:
    desk = serve(missing=acp(command=["no-such-agent"]), coder=acp())
    failed = ending(await desk.says(await desk.opened("missing"), "SAY hi"))
    well = await desk.says(await desk.opened("coder"), "SAY hi")
    listed = {agent.name: agent.fault for agent in await desk.client.agents()}

    assert (failed.status, failed.retryable) == ("failed", True)
    assert "There is no program no-such-agent. Install it" in failed.reason
    assert (said(well), ending(well).status) == ("hi", "completed")
    assert (listed["coder"], "Install it" in (listed["missing"] or "")) == (None, True)
