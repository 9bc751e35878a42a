"""A real framework behind AG-UI: pydantic-ai's adapter over a scripted model, on a free port, in a thread."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager

import uvicorn
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import (
    AgentInfo,
    DeltaThinkingCalls,
    DeltaThinkingPart,
    DeltaToolCall,
    DeltaToolCalls,
    FunctionModel,
)
from pydantic_ai.ui.ag_ui import AGUIAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

WIPED: list[str] = []
"""What the agent's own tool wiped."""

Delta = str | DeltaToolCalls | DeltaThinkingCalls


async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
    """Obeys the last message: `call TOOL JSON`, `recall`, `hang`, `tools`; or repeats it."""
    last = messages[-1]
    assert isinstance(last, ModelRequest)
    results = [part for part in last.parts if isinstance(part, ToolReturnPart)]
    if results:
        yield "it said: "
        yield ", ".join(part.model_response_str() for part in results)
        return
    text = prompts(messages)[-1]
    verb, _, rest = text.partition(" ")
    match verb:
        case "call":
            name, _, arguments = rest.partition(" ")
            yield {0: DeltaToolCall(name=name, json_args=arguments, tool_call_id="call_1")}
        case "recall":
            yield " | ".join([*prompts(messages)[:-1], *spoken(messages)])
        case "hang":
            yield "wait "
            await asyncio.Event().wait()
        case "tools":
            yield ", ".join(tool.name for tool in info.function_tools)
        case _:
            yield {0: DeltaThinkingPart(content="an echo")}
            for word in text.split():
                yield f"{word} "


def prompts(messages: Sequence[ModelMessage]) -> list[str]:
    """What people said."""
    parts = [part for message in messages for part in message.parts]
    return [str(part.content) for part in parts if isinstance(part, UserPromptPart)]


def spoken(messages: Sequence[ModelMessage]) -> list[str]:
    """What the agent said."""
    parts = [part for message in messages for part in message.parts]
    return [part.content for part in parts if isinstance(part, TextPart)]


agent = Agent(FunctionModel(stream_function=model), output_type=[str, DeferredToolRequests])


@agent.tool_plain(requires_approval=True)
def wipe(path: str) -> str:
    """Wipe a file."""
    WIPED.append(path)
    return f"wiped {path}"


@agent.tool_plain
def look(path: str) -> str:
    """Look at a file."""
    return json.dumps({"at": path})


async def answer(request: Request) -> Response:
    return await AGUIAdapter.dispatch_request(request, agent=agent, include_usage=True)


@contextmanager
def framework() -> Generator[str, None, None]:
    """The address of the framework's endpoint, for as long as the block lasts."""
    app = Starlette(routes=[Route("/agent", answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/agent"
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
