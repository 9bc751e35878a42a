"""One tool that a server of tools offers, as a tool of the tool port.

What the server says of itself, in hints and descriptions, never makes anything less careful: a person is
asked and nothing is repeated, unless the operator says otherwise.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from mcp_types import CallToolResult, TextContent
from mcp_types import Tool as Offer
from referencing import Registry as References
from referencing.exceptions import Unresolvable

from tenure.core.principal import Role
from tenure.core.tool import ALWAYS, ApprovalRule, Arguments, Replay, ToolInfo
from tenure.errors import Code, TenureError
from tenure.ports.tool import Outcome, ToolCall, Verified
from tenure.tools.arguments import MOST_SHOWN, integral, refusal
from tenure.tools.results import plain
from tenure.tools.servers import ServerTable

MOST_DESCRIPTION = 4_000

Caller = Callable[[str, ToolCall], Awaitable[object]]


class ServedTool:
    """A tool behind a connection. Raises ValueError if its schema isn't one."""

    def __init__(self, table: ServerTable, offer: Offer, caller: Caller) -> None:
        self._own_name = offer.name
        self._caller = caller
        self._source = table.source_of(offer.input_schema)
        self._replay = table.replay_of(offer.name)
        self._info = ToolInfo(
            name=f"mcp:{table.name}/{offer.name}",
            description=(offer.description or offer.title or "")[:MOST_DESCRIPTION],
            parameters=offer.input_schema,
        )
        self._schema = _validator(offer.input_schema)

    @property
    def info(self) -> ToolInfo:
        """Its name, its description, the schema of its arguments."""
        return self._info

    @property
    def source(self) -> str:
        """The server that offers it."""
        return self._source

    @property
    def approval(self) -> ApprovalRule:
        """A person is always asked, unless the agent's table says otherwise."""
        return ALWAYS

    @property
    def replay(self) -> Replay:
        """As the operator vouches for it: by default never."""
        return self._replay

    @property
    def role(self) -> Role:
        """Whoever may start a run."""
        return Role.VIEWER

    def check(self, arguments: Arguments) -> None:
        """Raise TenureError `invalid` that names the argument and its value if they don't fit."""
        name = self._info.name
        try:
            faults = [*_faults(self._schema)(integral(arguments))]
        except (Unresolvable, RecursionError) as misfit:
            raise TenureError(
                Code.INVALID, f"The schema of the tool {name} can't be used: {misfit}.", tool=name
            ) from misfit
        if faults:
            raise _misfit(name, min(faults, key=lambda fault: len(fault.absolute_path)))

    async def call(self, call: ToolCall) -> object:
        """Have the server do it."""
        return await self._caller(self._own_name, call)

    async def verify(self, call: ToolCall) -> Verified:
        """No server can say."""
        return Verified(outcome=Outcome.UNKNOWN)


def _validator(schema: dict[str, object]) -> Draft202012Validator:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as misfit:
        raise ValueError(f"its schema isn't one: {misfit.message}") from misfit
    # An empty registry: what the schema refers to by address is never fetched.
    return Draft202012Validator(schema, registry=References())


def _faults(schema: Draft202012Validator) -> Callable[[object], Iterable[ValidationError]]:
    return cast("Any", schema).iter_errors  # its own types leave what it yields open


def _misfit(tool: str, fault: ValidationError) -> TenureError:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault.absolute_path)
    text = fault.message if len(fault.message) <= 2 * MOST_SHOWN else fault.message[: 2 * MOST_SHOWN] + "…"
    return refusal(tool, path.lstrip(".") or "arguments", fault.instance, text)


def outcome_of(tool: str, result: CallToolResult, masked: Callable[[str], str]) -> object:
    """What a server answered: its structured content, else its texts, else the parts as they are.

    Raises TenureError `internal` if the tool says that it failed, with its words, secrets `masked`.
    """
    texts = [part.text for part in result.content if isinstance(part, TextContent)]
    if result.is_error:
        told = masked("\n".join(texts))
        raise TenureError(Code.INTERNAL, told or f"The tool {tool} failed without a word.")
    if result.structured_content is not None:
        return plain(tool, result.structured_content)
    if len(texts) == len(result.content):
        return plain(tool, "\n".join(texts))
    return plain(
        tool, [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in result.content]
    )
