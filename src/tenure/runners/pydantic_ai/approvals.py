"""The agent's own calls that wait for people: deferred tools become questions that the host asks.

One for each attempt; the drive gives it to the run. Before anybody is asked the run is kept in the
checkpoint, so that it can go on after a restart; there the same calls are asked for again, and answered from
the host's ledger.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import (
    DeferredToolRequests,
    DeferredToolResults,
    RunContext,
    ToolApproved,
    ToolDefinition,
    ToolDenied,
)

from tenure.core.effect import CallStatus
from tenure.ports.runner import OwnCalls, Permit
from tenure.runners.pydantic_ai.keeping import Waiting

Keep = Callable[[tuple[Waiting, ...]], Awaitable[None]]
"""Keep the run as it stands, with the calls that wait, and let everything said before be heard."""


class Approvals(AbstractCapability[Any]):
    """Asks about deferred calls, all of one step at once, and tells the host how those it let ended."""

    def __init__(self, own: OwnCalls, keep: Keep) -> None:
        self._own = own
        self._keep = keep
        self._permits: dict[str, Permit] = {}
        self._open: dict[str, Permit] = {}

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._permits

    def step(self) -> None:
        """The calls of a new answer begin. A model may give them ids that it used before."""
        self._permits.clear()

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults:
        """Have people decide."""
        waiting = (
            *(_waiting(call, external=False) for call in requests.approvals),
            *(_waiting(call, external=True) for call in requests.calls),
        )
        await self._keep(waiting)
        return await self.ask(waiting)

    async def ask(self, waiting: tuple[Waiting, ...]) -> DeferredToolResults:
        """Ask about each of the calls, and wait for all answers."""
        for call in waiting:
            await self._asked_before(call)
        questions = [asyncio.create_task(self._own.ask(call.tool, call.arguments)) for call in waiting]
        try:
            permits = await asyncio.gather(*questions)
        finally:
            for question in questions:
                question.cancel()
        results = DeferredToolResults()
        for call, permit in zip(waiting, permits, strict=True):
            self._permits[call.id] = permit
            if permit.granted:
                self._open[call.id] = permit
            _put(results, call, permit)
        return results

    async def _asked_before(self, call: Waiting) -> None:
        """A tool that was let, and asks once more while it works: the first time came to nothing."""
        if call.id in self._open:
            await self.settle(call.id, CallStatus.ERROR, {"error": "it asked for another approval"})

    async def settle(self, call_id: str, status: CallStatus, result: object) -> None:
        """Tell how a call ended that was asked about. Of one that was denied the host knows already."""
        permit = self._open.pop(call_id, None)
        if permit is not None:
            await self._own.settle(permit.call_id, status, result)


def deferred(
    calls: Iterable[ToolCallPart], definition: Callable[[str], ToolDefinition | None]
) -> tuple[Waiting, ...]:
    """The calls, of one answer, that people are asked about by what their tools say of themselves."""
    found = ((call, definition(call.tool_name)) for call in calls)
    return tuple(
        _waiting(call, external=tool.kind == "external") for call, tool in found if tool and tool.defer
    )


def _waiting(call: ToolCallPart, *, external: bool) -> Waiting:
    arguments = call.args_as_dict()
    return Waiting(id=call.tool_call_id, tool=call.tool_name, arguments=arguments, external=external)


def _put(results: DeferredToolResults, call: Waiting, permit: Permit) -> None:
    """The answer as the run wants it. A call that nobody here makes results in what was approved."""
    if not permit.granted:
        denied = f"The call was not approved: {permit.note or 'no reason was given.'}"
        if call.external:
            results.calls[call.id] = ToolFailed(denied)
        else:
            results.approvals[call.id] = ToolDenied(denied)
    elif call.external:
        results.calls[call.id] = {"approved": True, "arguments": permit.arguments}
    else:
        edited = None if permit.arguments == call.arguments else permit.arguments
        results.approvals[call.id] = ToolApproved(override_args=edited)
