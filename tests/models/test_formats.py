"""Each wire format of the model server, read by the client library of those who made it.

The libraries are driven through one face, that of pydantic-ai, so that one test covers all four.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeAlias

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai.types import HttpOptions, HttpRetryOptions
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from tests.models.directives import Turn
from tests.models.server import MODEL, Models, model_server

pytestmark = pytest.mark.anyio

MEASURE = ToolDefinition(
    name="tape_measure",
    description="Measures.",
    parameters_json_schema={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "unit": {"type": "string", "enum": ["m", "km"]}},
        "required": ["a", "unit"],
    },
)


Calls: TypeAlias = tuple[tuple[str, dict[str, object]], ...]


class Answer(NamedTuple):
    """An answer as the client library understood it."""

    text: str = ""
    thoughts: str = ""
    calls: Calls = ()
    tokens: tuple[int, int] = (10, 5)


@asynccontextmanager
async def _chat(models: Models) -> AsyncGenerator[Model, None]:
    async with openai.AsyncOpenAI(base_url=models.v1, api_key="k", max_retries=0) as client:
        yield OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))


@asynccontextmanager
async def _responses(models: Models) -> AsyncGenerator[Model, None]:
    async with openai.AsyncOpenAI(base_url=models.v1, api_key="k", max_retries=0) as client:
        yield OpenAIResponsesModel(MODEL, provider=OpenAIProvider(openai_client=client))


@asynccontextmanager
async def _anthropic(models: Models) -> AsyncGenerator[Model, None]:
    async with anthropic.AsyncAnthropic(base_url=models.url, api_key="k", max_retries=0) as client:
        yield AnthropicModel(MODEL, provider=AnthropicProvider(anthropic_client=client))


@asynccontextmanager
async def _gemini(models: Models) -> AsyncGenerator[Model, None]:
    options = HttpOptions(base_url=models.url, retry_options=HttpRetryOptions(attempts=1))
    client = genai.Client(api_key="k", http_options=options)
    async with client.aio:
        yield GoogleModel(MODEL, provider=GoogleProvider(client=client))
    client.close()


MODELS = {"openai-chat": _chat, "openai-responses": _responses, "anthropic": _anthropic, "gemini": _gemini}


@pytest.fixture
async def models() -> AsyncGenerator[Models, None]:
    """A running model server."""
    async with model_server() as models:
        yield models


@pytest.fixture(params=MODELS)
async def model(models: Models, request: pytest.FixtureRequest) -> AsyncGenerator[Model, None]:
    """The client of one format."""
    async with MODELS[request.param](models) as model:
        yield model


@pytest.fixture(params=["whole", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    """Whether answers are streamed."""
    return request.param == "stream"


def question(text: str) -> ModelMessage:
    """A message of the user after a system prompt."""
    return ModelRequest([SystemPromptPart("Be brief."), UserPromptPart(text)])


def called(result: str) -> list[ModelMessage]:
    """A call of the tool, and its result."""
    return [
        ModelResponse([ToolCallPart(MEASURE.name, {"a": 2, "unit": "m"}, "call_1")]),
        ModelRequest([ToolReturnPart(MEASURE.name, result, "call_1")]),
    ]


async def ask(model: Model, messages: list[ModelMessage], stream: bool) -> Answer:
    """One answer of the model, which is offered the tool."""
    offered = ModelRequestParameters(function_tools=[MEASURE])
    if not stream:
        return understood(await model_request(model, messages, model_request_parameters=offered))
    async with model_request_stream(model, messages, model_request_parameters=offered) as events:
        async for _ in events:
            pass
        return understood(events.get())


def understood(response: ModelResponse) -> Answer:
    """What the client library made of the answer."""
    parts = response.parts
    return Answer(
        "".join(part.content for part in parts if isinstance(part, TextPart)),
        "".join(part.content for part in parts if isinstance(part, ThinkingPart)),
        tuple((part.tool_name, part.args_as_dict()) for part in parts if isinstance(part, ToolCallPart)),
        (response.usage.input_tokens, response.usage.output_tokens),
    )


async def test_text_thoughts_parallel_calls_and_usage_arrive(model: Model, stream: bool) -> None:
    script = """
        THINK two of them
        SAY measuring
        SAY both
        TOOL tape_measure {"a": 2, "unit": "km"}
        TOOL measure
        USAGE 70 9
    """
    calls: Calls = ((MEASURE.name, {"a": 2, "unit": "km"}), (MEASURE.name, {"a": 1, "unit": "m"}))
    assert await ask(model, [question(script)], stream) == Answer(
        "measuring\nboth", "two of them", calls, (70, 9)
    )


async def test_what_stands_after_then_comes_after_the_results(model: Model, stream: bool) -> None:
    first = [question("TOOL measure\nTHEN\nSAY and now\nTOOL measure"), *called("12 m")]
    answers = [await ask(model, messages, stream) for messages in (first, [*first, *called("13 m")])]
    made_up: Calls = ((MEASURE.name, {"a": 1, "unit": "m"}),)
    assert answers == [Answer("and now", calls=made_up), Answer("done: 13 m")]


async def test_a_message_without_directives_is_echoed(model: Model, stream: bool) -> None:
    said = [question("SAY one"), ModelResponse([TextPart("one")]), question("And you?")]
    assert await ask(model, said, stream) == Answer("heard: And you?")


async def test_a_failure_is_an_error_of_the_format_as_often_as_told(model: Model, stream: bool) -> None:
    script = [question("FAIL 503 2\nSAY well")]
    for _ in range(2):
        with pytest.raises(ModelHTTPError, match="The script says so") as failed:
            await ask(model, script, stream)
        assert failed.value.status_code == 503
    assert await ask(model, script, stream) == Answer("well")


async def test_a_connection_is_cut_as_often_as_told(model: Model, stream: bool) -> None:
    script = [question("SAY half a\nCUT 1\nSAY whole")]
    with pytest.raises((ModelAPIError, httpx.RemoteProtocolError)):
        await ask(model, script, stream)
    assert await ask(model, script, stream) == Answer("half a\nwhole")


async def test_requests_are_kept_without_their_keys(models: Models, model: Model, stream: bool) -> None:
    await ask(model, [question("SAY 1"), *called("12 m")], stream)
    received = models.requests[0]
    assert (received.model, received.stream, received.tools) == (MODEL, stream, (MEASURE.name,))
    assert received.system == "Be brief."
    call = Turn("assistant", 'tape_measure {"a":2,"unit":"m"}')
    assert received.turns[1:] == (Turn("user", "SAY 1"), call, Turn("tool", "12 m"))
    assert not {"authorization", "x-api-key", "x-goog-api-key"} & received.headers.keys()
