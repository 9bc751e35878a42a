"""Tenure: a durable home for agent sessions. This is the public face, what agent code imports.

It needs msgspec and the standard library only; the server and the client are modules of their own.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tenure.core.output import (
    Artifact,
    Reasoning,
    Said,
    Spent,
    StateUpdate,
    Text,
    ToolCompleted,
    ToolStarted,
    Usage,
    Verdict,
    completed,
    failed,
)
from tenure.core.scheduling import ScheduleInfo
from tenure.core.tool import ToolInfo
from tenure.errors import Code, TenureError
from tenure.ports.tool import Outcome, ToolCall, Verified
from tenure.runners.agent import AgentDefinition, Run, agent
from tenure.tools.function import ToolDefinition, tool

__version__: str

__all__ = [
    "AgentDefinition",
    "Artifact",
    "Code",
    "Outcome",
    "Reasoning",
    "Run",
    "Said",
    "ScheduleInfo",
    "Spent",
    "StateUpdate",
    "TenureError",
    "Text",
    "ToolCall",
    "ToolCompleted",
    "ToolDefinition",
    "ToolInfo",
    "ToolStarted",
    "Usage",
    "Verdict",
    "Verified",
    "__version__",
    "agent",
    "completed",
    "failed",
    "tool",
]

if not TYPE_CHECKING:  # type checkers would take any misspelt name for a text

    def __getattr__(name: str) -> str:
        """The version, read when asked for: the reader of metadata is slow to load."""
        if name != "__version__":
            raise AttributeError(f"tenure has no attribute {name!r}.")
        version = import_module("importlib.metadata").version("tenure")
        globals()["__version__"] = version
        return version
