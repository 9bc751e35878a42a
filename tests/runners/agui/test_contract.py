"""The contract suite over the AG-UI runner: each act is played by a scripted endpoint over a real socket."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Mapping
from typing import ClassVar

import pytest
from ag_ui.core import (
    AssistantMessage,
    DataSource,
    ImagePart,
    Interrupt,
    ReasoningEndEvent,
    ReasoningMessageContentEvent,
    ReasoningStartEvent,
    RunAgentInput,
    TextPart,
    ToolCallResultEvent,
    ToolMessage,
    UserMessage,
)

from tenure.core.tool import Arguments
from tenure.runners.agui.runner import AguiRunner
from tenure.runners.agui.wire import Endpoint as Reached
from tenure.runners.contract import (
    AFTER,
    ARGUMENTS,
    BEFORE,
    BULK,
    FLOOD,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    OWN_ARGUMENTS,
    OWN_TOOL,
    PIECES,
    REASON,
    THOUGHT,
    TOOL,
    Act,
    RunnerContract,
    Stage,
)
from tests.runners.agui.endpoint import (
    Answer,
    Endpoint,
    Plain,
    Script,
    asks,
    broken,
    calls,
    finished,
    says,
    started,
)


class TestAgui(RunnerContract):
    lacks: ClassVar[Mapping[Act, str]] = {
        Act.TIDY: "what is tidied up stands elsewhere; that the request is closed is shown in test_runner.py",
        Act.NUMBER: "AG-UI has no numbers",
        Act.STRAY: "whatever an endpoint sends becomes an output or a warning",
        Act.REMEMBER: "it keeps nothing: an endpoint is told what the transcript says",
        Act.RECALL: "endpoints reach the tools for it by the run gateway, where that is forwarded",
        Act.STEER: "AG-UI takes no message during a run",
        Act.EDIT: "an endpoint's own tools can't be checked",
    }

    @pytest.fixture(autouse=True)
    async def everything_closed(self) -> AsyncGenerator[None, None]:
        self.endpoints: list[Endpoint] = []
        self.reached: list[Reached] = []
        yield
        for reached in self.reached:
            await reached.close()
        for endpoint in self.endpoints:
            await endpoint.close()

    def stage(self, act: Act) -> Stage:
        made: list[Arguments] = []
        scripts = {**SCRIPTS, Act.ASK: asking(made), Act.RESUME: asking(made, BEFORE, AFTER)}
        endpoint = Endpoint(scripts[act])
        reached = Reached("remote", endpoint.url, {}, 5)
        self.endpoints.append(endpoint)
        self.reached.append(reached)
        return Stage(
            AguiRunner(reached), made=lambda: made, residence=reached, left=lambda: endpoint.connections
        )


async def speak(ask: RunAgentInput) -> Answer:
    yield started(ask)
    for event in says(*PIECES):
        yield event
    yield finished(ask)


async def think(ask: RunAgentInput) -> Answer:
    yield ReasoningStartEvent(message_id="r1")
    yield ReasoningMessageContentEvent(message_id="r1", delta=THOUGHT)
    yield ReasoningEndEvent(message_id="r1")
    for event in says("done"):
        yield event
    yield finished(ask)


async def fail(ask: RunAgentInput) -> Answer:
    yield started(ask)
    yield broken(REASON)


async def vanish(ask: RunAgentInput) -> Answer:
    yield started(ask)
    for event in says("hm"):
        yield event


async def talk(ask: RunAgentInput) -> Answer:
    start, more, _ = says("and ")
    yield start
    while True:
        yield more
        await asyncio.sleep(0.001)


async def wait(ask: RunAgentInput) -> Answer:
    for event in says("waiting"):
        yield event
    await asyncio.Event().wait()


async def flood(ask: RunAgentInput) -> Answer:
    for event in says(*map(str, range(FLOOD))):
        yield event
    yield finished(ask)


async def bulk(ask: RunAgentInput) -> Answer:
    for event in says("x" * BULK):
        yield event
    yield finished(ask)


async def count(ask: RunAgentInput) -> Answer:
    for event in says(f"{len(ask.messages) - 1} messages before"):
        yield event
    yield finished(ask)


async def echo(ask: RunAgentInput) -> Answer:
    for event in says(texts(ask)[-1]):
        yield event
    yield finished(ask)


async def recite(ask: RunAgentInput) -> Answer:
    for event in says(*texts(ask)):
        yield event
    yield finished(ask)


async def spend(ask: RunAgentInput) -> Answer:
    yield finished(
        ask, usage=[{"model": "tiny-1", "inputTokens": INPUT_TOKENS, "outputTokens": OUTPUT_TOKENS}]
    )


async def see(ask: RunAgentInput) -> Answer:
    match ask.messages[-1]:
        case UserMessage(content=[*_, ImagePart(source=DataSource(value=value))]):
            for event in says(str(len(base64.b64decode(value)))):
                yield event
        case _:
            pass
    yield finished(ask)


async def use(ask: RunAgentInput) -> Answer:
    match ask.messages[-1]:
        case ToolMessage(content=str(content)):
            for event in says(content):
                yield event
        case _:
            for event in calls(TOOL, json.dumps(ARGUMENTS)):
                yield event
    yield finished(ask)


def asking(made: list[Arguments], before: str = "", after: str = "") -> Script:
    """A script that has people asked about its own tool, and says something before and after."""

    async def ask_people(ask: RunAgentInput) -> Answer:
        if not ask.resume:
            for event in [*says(before), *calls(OWN_TOOL, json.dumps(OWN_ARGUMENTS))]:
                yield event
            yield asks(ask, Interrupt(id="i1", reason="tool_call", tool_call_id="c1"))
            return
        approved = ask.resume[0].payload == {"approved": True}
        if approved:
            made.append(OWN_ARGUMENTS)
        yield ToolCallResultEvent(message_id="t1", tool_call_id="c1", content="done" if approved else "no")
        for event in says(after, message_id="m2"):
            yield event
        yield finished(ask)

    return ask_people


def texts(ask: RunAgentInput) -> list[str]:
    """What is said in the messages of a request."""
    said: list[str] = []
    for message in ask.messages:
        match message:
            case UserMessage(content=str(text)) | AssistantMessage(content=str(text)):
                said.append(text)
            case UserMessage(content=[*parts]):
                said += [part.text for part in parts if isinstance(part, TextPart)]
            case _:
                pass
    return said


SCRIPTS: dict[Act, Script | Plain] = {
    Act.SPEAK: speak,
    Act.THINK: think,
    Act.FAIL: fail,
    Act.CRASH: Plain("500 Internal Server Error"),
    Act.VANISH: vanish,
    Act.TALK: talk,
    Act.WAIT: wait,
    Act.FLOOD: flood,
    Act.BULK: bulk,
    Act.READ: count,
    Act.ECHO: echo,
    Act.UNDO: recite,
    Act.SPEND: spend,
    Act.ATTACH: recite,
    Act.SEE: see,
    Act.USE: use,
    Act.CLOSE: wait,
}
