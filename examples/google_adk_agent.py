"""An agent of Google's Agent Development Kit (ADK). GOOGLE_API_KEY and GEMINI_MODEL say which model."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import aclosing

from google.adk import Agent, Event
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.runners import InMemoryRunner
from google.adk.tools import BaseTool, ToolContext
from google.genai.types import Content, FunctionDeclaration, Part

import tenure

MODEL = os.environ.get("GEMINI_MODEL", "gemini-2.5-flash")
STREAMED = RunConfig(streaming_mode=StreamingMode.SSE)


class HostTool(BaseTool):
    def __init__(self, run: tenure.Run, info: tenure.ToolInfo) -> None:
        super().__init__(name=re.sub(r"[^\w-]", "_", info.name), description=info.description)
        self._run, self._info = run, info

    def _get_declaration(self) -> FunctionDeclaration:
        name, about, schema = self.name, self.description, self._info.parameters
        return FunctionDeclaration(name=name, description=about, parameters_json_schema=schema)

    async def run_async(self, *, args: dict, tool_context: ToolContext) -> object:
        try:
            return await self._run.tools.call_with(self._info.name, args)
        except tenure.TenureError as refused:
            return {"error": f"{refused.code}: {refused}"}


@tenure.agent("google-adk", steering=True)
async def google_adk(run: tenure.Run) -> AsyncIterator[str | tenure.Spent]:
    """Answers with an agent of ADK, and calls the tools it was granted."""
    agent = Agent(name="agent", model=MODEL, tools=[HostTool(run, info) for info in run.tools.infos()])
    runner = InMemoryRunner(agent, app_name="tenure")
    session = await runner.session_service.create_session(app_name="tenure", user_id=run.message.user)
    for item in (await run.history())[:-1]:
        author, role = ("agent", "model") if item.role == "assistant" else ("user", "user")
        said = Content(role=role, parts=[Part(text=item.text)])
        await runner.session_service.append_event(session, Event(author=author, content=said))
    place = {"user_id": session.user_id, "session_id": session.id, "run_config": STREAMED}
    new = Content(role="user", parts=[Part(text=run.message.text)])
    while new.parts:
        async with aclosing(runner.run_async(**place, new_message=new)) as events:
            async for event in events:
                if run.stopping:
                    return
                for part in (event.content and event.content.parts) or ():
                    if event.partial and part.text and not part.thought:
                        yield part.text
                if not event.partial and (used := event.usage_metadata):
                    read, wrote = used.prompt_token_count or 0, used.candidates_token_count or 0
                    yield tenure.Spent(tenure.Usage(model=MODEL, input_tokens=read, output_tokens=wrote))
        new = Content(role="user", parts=[Part(text=note.text) for note in await run.steering.take()])
