"""What a run has come to so far, kept in its checkpoint whenever the host may let it go for a while.

A run may wait for people in the middle of a step: its own calls are asked about, a call of a host's tool is,
or its budget. Whatever it did before that stands in the checkpoint, so that nothing is done twice.
"""

import asyncio
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from pydantic_ai import AgentRun
from pydantic_ai.exceptions import ModelRetry
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.tools import DeferredToolResults, ToolApproved

from tenure.core.steering import SteeringMessage
from tenure.ports.runner import RunContext
from tenure.runners.pydantic_ai.events import Narration
from tenure.runners.pydantic_ai.keeping import Kept, Waiting, packed, unpacked
from tenure.runners.pydantic_ai.toolset import HostToolset

Run = AgentRun[Any, Any]

NOTHING = packed(Kept(messages=())) or b""
"""A checkpoint that says nothing."""


class Record:
    """The messages that one attempt, and those that it goes on from, added to the conversation."""

    def __init__(self, context: RunContext, tools: HostToolset, narration: Narration) -> None:
        self._context = context
        self._tools = tools
        self._narration = narration
        self._run: Run | None = None
        self._before: tuple[ModelMessage, ...] = ()
        self._results: list[ModelRequestPart] = []
        self._held: tuple[Waiting, ...] = ()
        self._taken: list[str] = []
        self._fresh: list[str] = []
        self._saved: bytes | None = None
        self._saving = asyncio.Lock()

    # --- from the last attempt

    async def resumed(self) -> Kept | None:
        """Where the last attempt waited. None if this one starts over, or is the first."""
        if not self._context.resumed:
            if self._context.attempt > 1:
                await self._save(NOTHING)  # what was superseded is no part of the conversation
            return None
        kept = unpacked(await self._context.checkpoints.load())
        if kept is None or not kept.messages:
            self._context.warn(
                "checkpoint_unreadable",
                "The run can't go on where it waited: what was kept of it is missing, or of another version. "
                "It starts over.",
            )
            return None
        self._before, self._held, self._taken = kept.messages, kept.held, [*kept.taken]
        return kept

    # --- as the run goes on

    def began(self, run: Run) -> None:
        """The run is there."""
        self._run = run

    def step(self) -> None:
        """The calls of an answer begin: what those before came to is in the messages."""
        self._results.clear()
        self._tools.done.clear()

    def hold(self, calls: tuple[Waiting, ...]) -> None:
        """People are asked about these calls of the answer, once all others have ended."""
        self._held = calls

    def came_to(self, part: ModelRequestPart) -> None:
        """A call of this step has its result."""
        self._results.append(part)

    def sent(self) -> None:
        """What was taken to steer the run goes to the model now."""
        self._taken += self._fresh
        self._fresh.clear()

    def take(self, message: SteeringMessage) -> bool:
        """A message that steers. False if it is in what the last attempt left already."""
        if message.id in self._taken:
            return False
        self._fresh.append(message.id)
        return True

    # --- what is kept

    @property
    def _own(self) -> tuple[ModelMessage, ...]:
        return (*self._before, *(() if self._run is None else self._run.new_messages()))

    async def keep(self) -> None:
        """Keep the run as it ended, for those that come after it."""
        async with self._saving:
            if self._run is not None:
                await self._put(Kept(messages=self._own))

    async def keep_step(self, waiting: tuple[Waiting, ...] = ()) -> None:
        """Keep the run in the middle of a step: its calls so far, and those that wait for people."""
        async with self._saving:  # one after the other, so that the last says most
            await self._put(
                Kept(
                    messages=(*self._own, *self._behind()),
                    waiting=waiting,
                    held=self._held,
                    taken=tuple(self._taken),
                    open=dict(self._narration.open),
                )
            )

    async def keep_broken(self, heard: ModelResponse | None) -> None:
        """Keep a run that was broken off, with what its model was just saying, for those after it."""
        async with self._saving:
            own = self._own
            match own[-1] if own else None:
                case ModelRequest():
                    speaking = () if heard is None or not heard.parts else (heard,)
                    await self._put(Kept(messages=(*own, *speaking)))
                case ModelResponse(tool_calls=calls):
                    # The results may still be those of the answer before, if it is in the midst of this one.
                    made = {call.tool_call_id for call in calls}
                    behind = [m for m in self._behind() if made & {p.tool_call_id for p in _results(m)}]
                    await self._put(Kept(messages=(*own, *behind)))
                case None:
                    pass

    def _behind(self) -> tuple[ModelRequest, ...]:
        """What the calls of this step came to so far."""
        heard = {part.tool_call_id for part in self._results if isinstance(part, ToolReturnPart)}
        parts = [*self._results, *(p for call_id, p in self._tools.done.items() if call_id not in heard)]
        return (ModelRequest(parts=parts),) if parts else ()

    async def _put(self, kept: Kept) -> None:
        data = packed(kept)
        if data is None:
            self._context.warn("checkpoint_too_large", "The messages of this run are too large to be kept.")
        await self._save(data or NOTHING)

    async def _save(self, data: bytes) -> None:
        if data != self._saved:
            await self._context.checkpoints.save(data)
            self._saved = data


def unanswered(kept: Kept) -> list[ToolCallPart] | None:
    """The calls of the last answer that have no result yet. None if that answer called nothing."""
    response = next((m for m in reversed(kept.messages) if isinstance(m, ModelResponse)), None)
    if response is None or not response.tool_calls:
        return None
    answered = {part.tool_call_id for part in _after(kept.messages) if isinstance(part, ToolReturnPart)}
    return [call for call in response.tool_calls if call.tool_call_id not in answered]


def to_ask(kept: Kept) -> tuple[Waiting, ...]:
    """The calls to ask people about: those that waited, and those whose turn it would have been next."""
    if _is_whole(kept):
        return ()
    left = {call.tool_call_id for call in unanswered(kept) or ()}
    waiting = {call.id for call in kept.waiting}
    return (*kept.waiting, *(call for call in kept.held if call.id in left and call.id not in waiting))


def _results(message: ModelRequest) -> list[ToolReturnPart]:
    return [part for part in message.parts if isinstance(part, ToolReturnPart)]


def _is_whole(kept: Kept) -> bool:
    """Whether nothing of the step came to anything yet, and nobody was asked: it is made as it stands."""
    return not kept.waiting and not _after(kept.messages)


def _after(messages: Sequence[ModelMessage]) -> list[ModelRequestPart]:
    """What stands behind the last answer."""
    behind = takewhile(lambda message: isinstance(message, ModelRequest), reversed(messages))
    return [part for message in behind if isinstance(message, ModelRequest) for part in message.parts]


def completed_by(answers: DeferredToolResults, kept: Kept, tools: HostToolset) -> DeferredToolResults | None:
    """What to go on with: an answer for every open call. None if the whole step is simply made.

    A host's tool is called again, and its ledger knows. An own one that had begun is left to the model: it
    may be one that asks for leave only when it runs.
    """
    open_calls = unanswered(kept) or []
    if _is_whole(kept):
        return None
    for call in open_calls:
        call_id = call.tool_call_id
        if call_id in answers.approvals or call_id in answers.calls:
            continue
        if call.tool_name in tools:
            answers.approvals[call_id] = ToolApproved()
        else:
            answers.calls[call_id] = ModelRetry(
                "The call was broken off. Make it again if it is still needed."
            )
    return answers
