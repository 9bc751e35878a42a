"""The host's tools as a toolset of a run. Each call passes the host's ledger, and its approvals.

A refusal becomes a result that the model reads. What ends the run itself goes on as it is.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.tools import RunContext, ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from tenure.core.tool import Arguments, ToolInfo
from tenure.errors import Code, TenureError
from tenure.ports.runner import ToolCalls

MOST_NAME = 64
"""The longest name of a function that all providers take."""
CORRECTIONS = 3
"""How often in a row a model may correct arguments that don't fit."""

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]+")
_ARGUMENTS = SchemaValidator(core_schema.dict_schema(core_schema.str_schema()))
_READ = frozenset(
    {Code.DENIED, Code.FORBIDDEN, Code.UNSUPPORTED, Code.OUTCOME_UNKNOWN, Code.EFFECT_CONFLICT, Code.INTERNAL}
)
"""Refusals that a model can go on after."""


class Offered(NamedTuple):
    """One tool of the host, and the name under which the model knows it."""

    name: str
    info: ToolInfo


def offered(infos: Iterable[ToolInfo]) -> dict[str, Offered]:
    """The host's tools by names that every provider takes: `mcp:github/search` is `mcp_github_search`."""
    by_name: dict[str, Offered] = {}
    for info in infos:
        plain = _UNFIT.sub("_", info.name).strip("_")[:MOST_NAME] or "tool"
        name, number = plain, 2
        while name in by_name:
            name, number = f"{plain[: MOST_NAME - 4]}_{number}", number + 1
        by_name[name] = Offered(name, info)
    return by_name


class HostToolset(AbstractToolset[Any]):
    """The tools that a run was granted."""

    def __init__(self, calls: ToolCalls, before: Callable[[], Awaitable[None]]) -> None:
        self._calls = calls
        self._before = before
        self._offered = offered(calls.infos())
        self.under_way = 0
        """How many calls are being made, or are about to be."""
        self.done: dict[str, ToolReturnPart] = {}
        """What the calls of this step came to, from the very moment that the host counts them as known."""

    @property
    def id(self) -> str | None:
        """What it is called in messages."""
        return "tenure"

    def __contains__(self, name: str) -> bool:
        return name in self._offered

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """Every tool of the grant, with its schema as it is."""
        return {name: self._tool(one) for name, one in self._offered.items()}

    def _tool(self, one: Offered) -> ToolsetTool[Any]:
        definition = ToolDefinition(
            name=one.name,
            description=one.info.description or None,
            parameters_json_schema=dict(one.info.parameters),
        )
        return ToolsetTool(
            toolset=self, tool_def=definition, max_retries=CORRECTIONS, args_validator=_ARGUMENTS
        )

    async def call_tool(
        self, name: str, tool_args: Arguments, ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> object:
        """Call the host's tool, behind everything that was said before."""
        self.under_way += 1
        try:
            await self._before()
            result = await self._calls.call(self._offered[name].info.name, tool_args)
        except TenureError as refusal:
            self._note(ctx, refusal.detail, failed=True)
            if refusal.code is Code.INVALID:
                raise ModelRetry(refusal.detail) from refusal
            if refusal.code in _READ:
                raise ToolFailed(refusal.detail) from refusal
            raise
        finally:
            self.under_way -= 1
        self._note(ctx, result)
        return result

    def _note(self, ctx: RunContext[Any], content: object, *, failed: bool = False) -> None:
        if ctx.tool_call_id is not None and ctx.tool_name is not None:
            self.done[ctx.tool_call_id] = ToolReturnPart(
                tool_name=ctx.tool_name,
                content=content,
                tool_call_id=ctx.tool_call_id,
                outcome="failed" if failed else "success",
            )
