"""An agent of pydantic-ai on the servers that the crash tests kill. Its tool leaves a line for each call."""

import asyncio
import json
import os
from pathlib import Path

from pydantic_ai import Agent, RunContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import tenure

BOOK = "own.txt"
"""Where the agents of these tests keep book of what they did: a file in the session's folder."""

desk = Agent(
    OpenAIChatModel(
        "scripted", provider=OpenAIProvider(base_url=os.environ.get("MODELS", "http://none"), api_key="any")
    ),
    deps_type=Path,
)


def folder(run: tenure.Run) -> Path:
    """Where the run works."""
    return run.files.folder


@desk.tool(requires_approval=True)
async def wipe(context: RunContext[Path], command: str) -> str:
    """Do something that can't be taken back. `hold` does it and says nothing, the first time."""
    line = json.dumps({"command": command}) + "\n"
    with (context.deps / BOOK).open("a+") as book:
        book.write(line)
        book.flush()
        book.seek(0)
        if command == "hold" and book.read().count(line) == 1:
            await asyncio.Event().wait()
    return f"did {command}"
