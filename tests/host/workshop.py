"""Tools that a test writes down in a line, and the person who is asked about them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from tenure.core.approval import ApprovalState
from tenure.core.command import Answering, DecideApproval, Remember
from tenure.core.entry import Recorded
from tenure.core.event import ApprovalRequested, RunWaiting
from tenure.core.grant import Policy
from tenure.core.output import Output
from tenure.core.principal import Principal, Role
from tenure.core.tool import ALWAYS, NEVER, ApprovalRule, Arguments, Replay, ToolInfo
from tenure.core.view import ApprovalInfo
from tenure.errors import Code, TenureError
from tenure.ports.approvals import ApprovalFilter
from tenure.ports.runner import RunContext
from tenure.ports.tool import Outcome, Tool, ToolCall, Verified
from tests.host.rooms import ADA, Talk

Work = Callable[[RunContext], AsyncIterator[Output]]
Does = Callable[[ToolCall], Awaitable[object]]

TOOLED = Policy(deadline_s=None, tools=("*",))


class FakeTool:
    """A tool that keeps what it was called with. It takes any arguments but `wrong`."""

    def __init__(
        self,
        name: str,
        does: Does | None = None,
        *,
        approval: ApprovalRule = NEVER,
        replay: Replay = Replay.NEVER,
        source: str = "python:tests",
        verdict: Outcome = Outcome.UNKNOWN,
    ) -> None:
        self.info = ToolInfo(name=name, description="For tests.", parameters={"type": "object"})
        self.source = source
        self.approval = approval
        self.replay = replay
        self.role = Role.VIEWER
        self.verdict = verdict
        self.calls: list[ToolCall] = []
        self.asked: list[ToolCall] = []
        self.entered = asyncio.Event()
        """Whether it was called at all."""
        self._does = does

    @property
    def made(self) -> list[Arguments]:
        """The arguments of all calls."""
        return [call.arguments for call in self.calls]

    def check(self, arguments: Arguments) -> None:
        """Refuse what doesn't fit."""
        if "wrong" in arguments:
            raise TenureError(Code.INVALID, "The argument 'wrong' doesn't fit. Leave it out.", field="wrong")

    async def call(self, call: ToolCall) -> object:
        """Do it, and say what it was given."""
        self.calls.append(call)
        self.entered.set()
        return {"given": call.arguments} if self._does is None else await self._does(call)

    async def verify(self, call: ToolCall) -> Verified:
        """Say what the test decided."""
        self.asked.append(call)
        return Verified(outcome=self.verdict, result="done before")


def asking(name: str = "mail", does: Does | None = None, *, replay: Replay = Replay.NEVER) -> FakeTool:
    """A tool that always needs a person."""
    return FakeTool(name, does, approval=ALWAYS, replay=replay)


class Bench:
    """The tools of a host, in the order of their names."""

    def __init__(self, *tools: Tool) -> None:
        self.tools = {tool.info.name: tool for tool in tools}

    def get(self, name: str) -> Tool | None:
        """One of them."""
        return self.tools.get(name)

    def all(self) -> tuple[Tool, ...]:
        """All of them."""
        return tuple(self.tools[name] for name in sorted(self.tools))

    def on_change(self, listener: Callable[[], None]) -> None:
        """They never change by themselves."""


async def asked(talk: Talk, after: int = 0) -> ApprovalRequested:
    """Wait until the run waits for a person; the latest question."""
    waiting = await talk.until(RunWaiting, after)
    journal = await talk.journal()
    questions = [e.event for e in journal if e.seq <= waiting.seq and isinstance(e.event, ApprovalRequested)]
    return questions[-1]


async def decide(
    talk: Talk,
    approval_id: str,
    decision: Answering = Answering.APPROVE,
    *,
    by: Principal = ADA,
    arguments: Arguments | None = None,
    note: str | None = None,
    remember: Remember | None = None,
) -> ApprovalInfo:
    """Answer an approval."""
    ask = DecideApproval(decision=decision, arguments=arguments, note=note, remember=remember)
    rooms = talk.rooms
    return (await rooms.there(rooms.host.approvals.decide(by, approval_id, ask, None))).value


async def approvals(talk: Talk, status: ApprovalState | None = None) -> list[ApprovalInfo]:
    """All approvals of a session, the pending first."""
    which = ApprovalFilter(None, None, status, talk.session_id)
    return (await talk.rooms.host.store.approvals.page(which, None, 100)).data


def kinds(events: list[Recorded]) -> list[str]:
    """What happened, by the names of the facts."""
    return [type(event.event).__name__ for event in events]
