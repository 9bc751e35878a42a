"""A plain OpenAI client as an agent. OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL say which model."""

import json
import os
import re
from collections.abc import AsyncIterator

from openai import AsyncOpenAI, omit
from openai.lib.streaming.chat import ChatCompletionStreamState

import tenure

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
client = AsyncOpenAI()


@tenure.agent("openai-client", steering=True)
async def openai_client(run: tenure.Run) -> AsyncIterator[str | tenure.Spent]:
    """Answers with a model, and calls the tools it was granted."""
    granted = {re.sub(r"[^\w-]", "_", info.name): info for info in run.tools.infos()}
    tools = [
        {
            "type": "function",
            "function": {"name": name, "description": i.description, "parameters": i.parameters},
        }
        for name, i in granted.items()
    ]
    said = [
        {"role": item.role.replace("summary", "system"), "content": item.text} for item in await run.history()
    ]
    while True:
        said += [{"role": "user", "content": note.text} for note in await run.steering.take()]
        answer = ChatCompletionStreamState()
        async with await client.chat.completions.create(
            model=MODEL, messages=said, tools=tools or omit, **STREAMED
        ) as chunks:
            async for chunk in chunks:
                if run.stopping:
                    return
                answer.handle_chunk(chunk)
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    yield text
        done = answer.get_final_completion()
        if used := done.usage:
            read, wrote = used.prompt_tokens, used.completion_tokens
            yield tenure.Spent(tenure.Usage(model=MODEL, input_tokens=read, output_tokens=wrote))
        message = done.choices[0].message
        if not message.tool_calls and not run.steering.pending:
            return
        said.append(message.to_dict())
        for call in message.tool_calls or ():
            name, arguments = granted[call.function.name].name, json.loads(call.function.arguments)
            try:
                result = json.dumps(await run.tools.call_with(name, arguments))
            except tenure.TenureError as refused:
                result = f"{refused.code}: {refused}"
            said.append({"role": "tool", "tool_call_id": call.id, "content": result})
