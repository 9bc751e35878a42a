"""The tool port: something that can be done for a run, in process or on a server of tools.

The host calls a tool only after its effect stands in the ledger as dispatched. A tool never learns of
sessions that it isn't called for.
"""

from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from tenure.core.principal import Role
from tenure.core.tool import ApprovalRule, Arguments, Replay, ToolInfo


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `idempotency_key` is the same over all repetitions of it; `folder` is the session's own."""

    run_id: str
    session_id: str
    call_id: str
    idempotency_key: str
    tenant: str
    user: str
    folder: Path
    arguments: Arguments


class Outcome(StrEnum):
    """What a tool says of a call whose outcome the host doesn't know."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a tool that was asked whether it did something, with the result if it did."""

    outcome: Outcome
    result: object = None


class Tool(Protocol):
    """One tool. One instance serves all runs."""

    @property
    def info(self) -> ToolInfo:
        """Its name, its description, the schema of its arguments."""
        ...

    @property
    def source(self) -> str:
        """Whose implementation it is, such as `python:shop.tools:send_mail#5c1e0d…`."""
        ...

    @property
    def approval(self) -> ApprovalRule:
        """When a person is asked, unless the agent's policy says otherwise."""
        ...

    @property
    def replay(self) -> Replay:
        """What may be done about a call whose outcome is unknown."""
        ...

    @property
    def role(self) -> Role:
        """The weakest role whose authority may use it."""
        ...

    def check(self, arguments: Arguments) -> None:
        """Raise TenureError `invalid` if the arguments don't fit the schema."""
        ...

    async def call(self, call: ToolCall) -> object:
        """Do it. The result is any JSON. Whatever it raises becomes a result with status error.

        A TenureError `outcome_unknown` says that it may or may not have been done: nobody answered.
        """
        ...

    async def verify(self, call: ToolCall) -> Verified:
        """Say whether the call was done. Asked only of tools whose replay class is `verify`."""
        ...


class Tools(Protocol):
    """All tools that a host can call, by name. Servers of tools may come and go."""

    def get(self, name: str) -> Tool | None:
        """The tool `name`, or None if it isn't there now."""
        ...

    def all(self) -> tuple[Tool, ...]:
        """Every tool that is there now, by name."""
        ...


class NoTools:
    """The tools of a host that has none."""

    def get(self, name: str) -> Tool | None:
        """None."""
        return None

    def all(self) -> tuple[Tool, ...]:
        """Nothing."""
        return ()


NO_TOOLS = NoTools()
