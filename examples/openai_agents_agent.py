"""An agent of the OpenAI Agents SDK.

OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL say which model. The SDK sends traces to OpenAI unless
OPENAI_AGENTS_DISABLE_TRACING is 1.
"""

import json
import os
import re
from collections.abc import AsyncIterator

from agents import Agent, FunctionTool, Runner
from openai.types.responses import ResponseTextDeltaEvent

import tenure

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


@tenure.agent("openai-agents", steering=True)
async def openai_agents(run: tenure.Run) -> AsyncIterator[str | tenure.Spent]:
    """Answers with an agent of the SDK, and calls the tools it was granted."""
    agent = Agent("assistant", model=MODEL, tools=[tool_of(run, info) for info in run.tools.infos()])
    history = await run.history()
    said = [{"role": item.role.replace("summary", "system"), "content": item.text} for item in history]
    while True:
        result = Runner.run_streamed(agent, said)
        async for event in result.stream_events():
            if run.stopping:
                result.cancel()
            elif run.steering.pending:
                result.cancel("after_turn")  # so that the next turn hears of it
            if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
                yield event.data.delta
        if run.stopping:
            return
        used = result.context_wrapper.usage
        read, wrote = used.input_tokens, used.output_tokens
        yield tenure.Spent(tenure.Usage(model=MODEL, input_tokens=read, output_tokens=wrote))
        notes = [{"role": "user", "content": note.text} for note in await run.steering.take()]
        if result.final_output is not None and not notes:
            return
        said = [*result.to_input_list(), *notes]


def tool_of(run: tenure.Run, info: tenure.ToolInfo) -> FunctionTool:
    async def call(_: object, arguments: str) -> str:
        try:
            return json.dumps(await run.tools.call_with(info.name, json.loads(arguments)))
        except tenure.TenureError as refused:
            return f"{refused.code}: {refused}"

    name = re.sub(r"[^\w-]", "_", info.name)
    return FunctionTool(name, info.description, info.parameters, call, strict_json_schema=False)
