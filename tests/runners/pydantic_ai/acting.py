"""Agents whose model is a function of the test: what it says depends only on what it was given."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel

from tenure.runners.pydantic_ai.drive import Terms
from tenure.runners.pydantic_ai.runner import MakeDeps, PydanticAIRunner, no_deps

Delta = str | dict[int, DeltaToolCall] | dict[int, DeltaThinkingPart]
Speaks = Callable[[list[ModelMessage]], AsyncIterator[Delta]]

TERMS = Terms(name="acting")


def model(speaks: Speaks) -> FunctionModel:
    """A model that says what the function yields: text, `call`s and `thought`s."""

    async def stream(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Any]:
        async for delta in speaks(messages):
            yield delta

    return FunctionModel(stream_function=stream, model_name="acting")


def agent(speaks: Speaks, **more: Any) -> Agent[Any, Any]:
    """An agent with such a model."""
    return Agent(model(speaks), **more)


def runner(
    acting: Agent[Any, Any] | Speaks, terms: Terms = TERMS, deps: MakeDeps = no_deps
) -> PydanticAIRunner:
    """A runner of such an agent."""
    whole = cast("Agent[Any, Any]", acting) if isinstance(acting, Agent) else agent(acting)
    return PydanticAIRunner(whole, terms, deps)


def script(*answers: Delta | Sequence[Delta]) -> Speaks:
    """A model that gives these answers in turn: which one is told by how often it has answered the run."""

    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        answer = answers[answered(messages)]
        for delta in cast("Sequence[Delta]", [answer] if isinstance(answer, str | dict) else answer):
            yield delta

    return speaks


def call(tool: str, arguments: Mapping[str, object], *, index: int = 0, name: str | None = None) -> Delta:
    """A call, as a model streams it."""
    data = msgspec.json.encode(arguments).decode()
    return {index: DeltaToolCall(name=tool, json_args=data, tool_call_id=name or f"{tool}_{index}")}


def calls(*wanted: tuple[str, Mapping[str, object]]) -> list[Delta]:
    """Calls in one answer."""
    return [call(tool, arguments, index=number) for number, (tool, arguments) in enumerate(wanted)]


def thought(text: str, index: int = 0) -> Delta:
    """A thought, as a model streams it."""
    return {index: DeltaThinkingPart(content=text)}


# --- what a model was given


def answered(messages: Sequence[ModelMessage]) -> int:
    """How often it has answered since a person spoke last."""
    count = 0
    for message in messages:
        if not isinstance(message, ModelRequest):
            count += 1
        elif any(isinstance(part, UserPromptPart) for part in message.parts):
            count = 0
    return count


def prompts(messages: Sequence[ModelMessage]) -> list[str]:
    """What people said."""
    return [text for part in _parts(messages) if isinstance(part, UserPromptPart) for text in _texts(part)]


def spoken(messages: Sequence[ModelMessage]) -> list[tuple[str, str]]:
    """What was said, by whom: `user` or `model`."""
    lines: list[tuple[str, str]] = []
    for part in _parts(messages):
        match part:
            case UserPromptPart():
                lines += [("user", text) for text in _texts(part)]
            case TextPart(content=text):
                lines.append(("model", text))
            case ToolReturnPart(tool_name=tool):
                lines.append((tool, part.model_response_str()))
            case _:
                pass
    return lines


def results(messages: Sequence[ModelMessage]) -> list[str]:
    """What calls came to."""
    return [part.model_response_str() for part in _parts(messages) if isinstance(part, ToolReturnPart)]


def files(messages: Sequence[ModelMessage]) -> list[BinaryContent]:
    """The files that people sent."""
    return [
        one
        for part in _parts(messages)
        if isinstance(part, UserPromptPart) and not isinstance(part.content, str)
        for one in part.content
        if isinstance(one, BinaryContent)
    ]


def _texts(part: UserPromptPart) -> list[str]:
    content = part.content
    return [content] if isinstance(content, str) else [one for one in content if isinstance(one, str)]


def _parts(messages: Sequence[ModelMessage]) -> Iterator[object]:
    for message in messages:
        yield from cast("Sequence[object]", message.parts)
