"""What lies outside the host and its store, and outlives both: what tools did, what agents were told.

Tools write their deeds here at the moment they happen, so the judge needn't believe the ledger.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, cast

from tenure.core.principal import Role
from tenure.core.tool import ALWAYS, NEVER, ApprovalRule, Arguments, Condition, Replay, ToolInfo
from tenure.errors import Code, TenureError
from tenure.ports.tool import Outcome, Tool, ToolCall, Verified

A_YEAR = 31_536_000.0


class Deed(NamedTuple):
    """What a tool did, or an agent by itself, for good. `head` is the session's last entry at that moment."""

    tool: str
    call_id: str
    run_id: str
    session_id: str
    arguments: Arguments
    head: int


class Wish(NamedTuple):
    """What an agent asked of the tools room."""

    run_id: str
    attempt: int
    tool: str
    arguments: Arguments
    key: str | None


class Told(NamedTuple):
    """How the agent was answered: with a result, or a refusal and its code."""

    wish: Wish
    refusal: Code | None
    result: object


class Taken(NamedTuple):
    """Steering that an agent was handed."""

    run_id: str
    attempt: int
    message_id: str
    redelivered: bool


class Counted(NamedTuple):
    """A step of a counter in the state that somebody was told has been written."""

    session_id: str
    scope: str
    version: int
    value: int


class Entered(NamedTuple):
    """A tool began to work on a call; how the call and its run stood in the store at that moment."""

    call_id: str
    states: tuple[str, str] | None


Ledger: TypeAlias = Callable[[str], tuple[str, str] | None]
"""The durable states of a call and its run, None if it isn't in the ledger."""
Heads: TypeAlias = Callable[[str], int | None]


@dataclass
class Outside:
    """Everything that was done and told."""

    deeds: list[Deed] = field(default_factory=list[Deed])
    entered: list[Entered] = field(default_factory=list[Entered])
    wishes: list[Wish] = field(default_factory=list[Wish])
    told: list[Told] = field(default_factory=list[Told])
    taken: list[Taken] = field(default_factory=list[Taken])
    counted: list[Counted] = field(default_factory=list[Counted])
    decided: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """By approval: the requests that were told to have decided it."""
    received: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """By event: the messages that it was told to have become."""

    heads: Heads = field(default=lambda session_id: None)
    working: Callable[[str], None] = field(default=lambda run_id: None)
    """Is told whenever an agent goes on with a run."""

    def do_by_itself(
        self, tool: str, call_id: str, run_id: str, session_id: str, arguments: Arguments
    ) -> None:
        """An agent does what it was permitted."""
        head = self.heads(session_id) or 0
        self.deeds.append(Deed(tool, call_id, run_id, session_id, dict(arguments), head))

    def did(self, call_id: str) -> list[Deed]:
        """What was done for a call."""
        return [deed for deed in self.deeds if deed.call_id == call_id]


class SimTool:
    """A tool whose arguments say how it behaves: `does`, `before_s`, `after_s`, and what for (`n`)."""

    def __init__(
        self,
        name: str,
        outside: Outside,
        ledger: Ledger,
        heads: Heads,
        *,
        approval: ApprovalRule = NEVER,
        replay: Replay = Replay.NEVER,
    ) -> None:
        self.info = ToolInfo(name=name, description="Simulated.", parameters={"type": "object"})
        self.source = f"python:simulated:{name}"
        self.approval = approval
        self.replay = replay
        self.role = Role.VIEWER
        self._outside = outside
        self._ledger = ledger
        self._heads = heads

    def check(self, arguments: Arguments) -> None:
        """Refuse what doesn't fit."""
        if "wrong" in arguments:
            raise TenureError(Code.INVALID, "The argument 'wrong' doesn't fit. Leave it out.", field="wrong")

    async def call(self, call: ToolCall) -> object:
        """Do it, as the arguments say."""
        wanted = call.arguments
        self._outside.entered.append(Entered(call.call_id, self._ledger(call.call_id)))
        await asyncio.sleep(cast("float", wanted.get("before_s", 0)))
        match wanted.get("does"):
            case "refuse":
                raise RuntimeError("I don't do that.")
            case "hang":
                await asyncio.sleep(A_YEAR)
            case _:
                self._do(call)
        await asyncio.sleep(cast("float", wanted.get("after_s", 0)))
        match wanted.get("does"):
            case "fail":
                raise RuntimeError("It was done, and then it broke.")
            case "shrug":
                raise TenureError(Code.OUTCOME_UNKNOWN, "Nobody answered. Look whether it was done.")
            case _:
                return {"call": call.call_id, "n": wanted.get("n")}

    def _do(self, call: ToolCall) -> None:
        head = self._heads(call.session_id)
        deed = Deed(
            self.info.name, call.call_id, call.run_id, call.session_id, dict(call.arguments), head or 0
        )
        self._outside.deeds.append(deed)

    async def verify(self, call: ToolCall) -> Verified:
        """Say whether it was done, unless the arguments want it otherwise."""
        await asyncio.sleep(0.01)
        if call.arguments.get("forgets"):
            return Verified(outcome=Outcome.UNKNOWN)
        if self._outside.did(call.call_id):
            result = {"call": call.call_id, "n": call.arguments.get("n")}
            return Verified(outcome=Outcome.DONE, result=result)
        return Verified(outcome=Outcome.NOT_DONE)


class Toolshed:
    """The tools of a simulated host."""

    def __init__(self, outside: Outside, ledger: Ledger, heads: Heads) -> None:
        def made(name: str, approval: ApprovalRule, replay: Replay) -> SimTool:
            return SimTool(name, outside, ledger, heads, approval=approval, replay=replay)

        big = ApprovalRule(when={"n": Condition(gt=5)})
        self._tools = {
            tool.info.name: tool
            for tool in (
                made("confirm", ALWAYS, Replay.SAFE),
                made("look", NEVER, Replay.SAFE),
                made("mail", ALWAYS, Replay.NEVER),
                made("pay", big, Replay.NEVER),
                made("post", NEVER, Replay.NEVER),
                made("reserve", NEVER, Replay.VERIFY),
            )
        }

    def get(self, name: str) -> Tool | None:
        """One of them."""
        return self._tools.get(name)

    def all(self) -> tuple[Tool, ...]:
        """All of them, by name."""
        return tuple(self._tools.values())

    def on_change(self, listener: Callable[[], None]) -> None:
        """They never change."""


OWN = ("mail", "shell")
"""What agents do by themselves; a tool of the host has the name of one of them."""
NEVER_TWICE = ("mail", "pay", "post", "shell")
"""What is never done twice for one call."""
TOOLS = ("confirm", "look", "mail", "pay", "post", "reserve")
