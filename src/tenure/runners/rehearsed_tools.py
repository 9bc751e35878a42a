"""The tools of a rehearsed run: plain functions by name, and what they were called with."""

import inspect
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tenure.core.ledger import digest_of, plain_arguments
from tenure.core.tool import Arguments, ToolInfo, ToolTerms
from tenure.errors import Code, TenureError

Functions = Mapping[str, Callable[..., object]]
"""Functions by the name of the tool that they stand for, `async` or not. They take its arguments by name."""


class Made(NamedTuple):
    """One call of a rehearsed run."""

    tool: str
    arguments: Arguments


class FakeTools:
    """`ToolCalls` without a ledger: nobody is asked, and each call is made at once.

    A function that raises `TenureError(Code.DENIED, …)` stands for a person who says no.
    """

    def __init__(self, functions: Functions) -> None:
        self.made: list[Made] = []
        self._functions = functions
        self._keyed: dict[tuple[str, str], tuple[str, object]] = {}

    def terms(self) -> tuple[ToolTerms, ...]:
        """What a grant holds of them."""
        return tuple(ToolTerms(name=name, source="rehearsed") for name in self._functions)

    def infos(self) -> tuple[ToolInfo, ...]:
        """What can be called."""
        return tuple(
            ToolInfo(name=name, description=inspect.getdoc(function) or "", parameters={"type": "object"})
            for name, function in self._functions.items()
        )

    async def call(self, name: str, arguments: Arguments, *, key: str | None = None) -> object:
        """Call one of the functions."""
        function = self._functions.get(name)
        if function is None:
            known = ", ".join(self._functions) or "none"
            detail = f"This run may not call the tool {name!r}: its grant holds: {known}."
            raise TenureError(Code.FORBIDDEN, detail, tool=name)
        plain = plain_arguments(name, arguments)
        known = self._keyed.get((name, key or ""))
        if key is None or known is None:
            self.made.append(Made(name, plain))
            result = function(**plain)
            result = await result if inspect.isawaitable(result) else result
            self._keyed[name, key or ""] = (digest_of(plain), result)
            return result
        if known[0] != digest_of(plain):
            detail = f"The key {key!r} of {name} was used in this run with other arguments."
            raise TenureError(Code.EFFECT_CONFLICT, detail)
        return known[1]
