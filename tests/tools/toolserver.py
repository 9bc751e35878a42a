"""A server of tools for the tests, as a program: `python toolserver.py [stdio | http PORT]`."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

server = MCPServer("toolserver")


@server.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(structured_output=False)
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@server.tool()
def fail(why: str) -> str:
    """Fail."""
    raise ToolError(why)


@server.tool()
def die() -> str:
    """End the program in the middle of the call."""
    os._exit(3)


@server.tool()
async def linger(seconds: float) -> str:
    """Answer late."""
    await asyncio.sleep(seconds)
    return "at last"


@server.tool()
def environment() -> dict[str, str]:
    """Tell the environment."""
    return dict(os.environ)


def late(x: int) -> int:
    """Come later."""
    return x


@server.tool()
async def grow(ctx: Context) -> str:
    """Offer one more tool from now on."""
    server.add_tool(late)
    await ctx.notify_tools_changed()
    return "grown"


def main() -> None:
    """Leave traces that a test asks for, and serve."""
    sys.stderr.write(f"I was given {os.environ.get('TOKEN')}\n")
    sys.stderr.flush()
    if (trace := os.environ.get("TRACE")) is not None:
        # It outlives its parent, unless the whole group is ended.
        child = subprocess.Popen(["sleep", "600"])
        Path(trace).write_text(f"{os.getpid()} {child.pid}")
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
