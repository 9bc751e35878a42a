"""The tools that an agent brings along: whether arguments that a person edited fit them."""

from typing import Any

from pydantic import ValidationError
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.tools import Tool
from pydantic_ai.toolsets import AbstractToolset, ExternalToolset, FunctionToolset

from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError


class OwnTools:
    """The tools of one agent, as far as they can be known without a run."""

    def __init__(self, agent: AbstractAgent[Any, Any]) -> None:
        self._agent = agent

    def check(self, tool: str, arguments: Arguments) -> None:
        """Raises TenureError `invalid` for arguments that don't fit, or whose tool can't be asked."""
        functions, external = self._found()
        if tool in external:
            return
        if tool not in functions:
            raise TenureError(
                Code.INVALID,
                f"The arguments of {tool} can't be changed: the agent makes that tool only when it runs. "
                "Approve the call as it is, or deny it and say why.",
                field="arguments",
            )
        try:
            functions[tool].function_schema.validator.validate_python(arguments)
        except ValidationError as misfit:
            raise TenureError(
                Code.INVALID,
                f"The arguments don't fit the tool {tool}: {_told(misfit)} Correct them.",
                field="arguments",
            ) from misfit

    def _found(self) -> tuple[dict[str, Tool[Any]], set[str]]:
        functions, external = dict[str, Tool[Any]](), set[str]()

        def visit(toolset: AbstractToolset[Any]) -> None:
            if isinstance(toolset, FunctionToolset):
                functions.update(toolset.tools)
            elif isinstance(toolset, ExternalToolset):
                external.update(definition.name for definition in toolset.tool_defs)

        for toolset in self._agent.toolsets:
            toolset.apply(visit)
        return functions, external


def _told(misfit: ValidationError) -> str:
    """What doesn't fit, without the values."""
    faults = misfit.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:5]) + "."
