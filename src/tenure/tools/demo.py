"""The demo tools `confirm` and `once`. Under `--demo` they can be granted to any agent."""

import os
from pathlib import Path

from tenure.errors import Code, TenureError
from tenure.ports.tool import ToolCall
from tenure.tools import town
from tenure.tools.function import AnyTool, tool


@tool(approval="always", replay="safe")
async def confirm(text: str) -> dict[str, str]:
    """Have a person confirm a text. The result holds it as it was approved."""
    return {"text": text}


@tool(replay="never")
def once(call: ToolCall, path: str) -> dict[str, str]:
    """Append one line to a file in the session's folder. Doing it twice would leave two lines."""
    target = inside(call.folder, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    line = f"{call.call_id}\n"
    # Opened for appending, so that one write is one whole line whoever else writes.
    descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return {"path": path, "line": line.rstrip()}


def inside(folder: Path, path: str) -> Path:
    """`path` in `folder`, wherever links lead. Raises TenureError `invalid` if that lies outside."""
    root = folder.resolve()
    target = (root / path).resolve()
    if target == root or not target.is_relative_to(root):
        raise TenureError(
            Code.INVALID,
            f"The path {path!r} leads out of the session's folder. Give the name of a file inside it.",
            field="path",
        )
    return target


TOOLS: tuple[AnyTool, ...] = (confirm, once, *town.TOOLS)
"""What a server with `--demo` has."""
