"""From a runner's outputs to events: text in a row is one message, closed when something else begins."""

from collections.abc import Callable
from typing import NamedTuple, assert_never

import msgspec

from tenure.core.content import Content
from tenure.core.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    ToolCallCompleted,
    ToolCallStarted,
    UsageRecorded,
)
from tenure.core.message import Role
from tenure.core.output import (
    Artifact,
    Output,
    Reasoning,
    Said,
    Spent,
    StateUpdate,
    Text,
    ToolCompleted,
    ToolStarted,
    Usage,
    Verdict,
)


class Piece(NamedTuple):
    """An event to be journaled; `opens` marks the first delta of a message."""

    event: Event
    opens: bool = False


class _Open(NamedTuple):
    message_id: str
    kind: type[Text] | type[Reasoning]
    parts: list[str]


class Assembly:
    """What one attempt has said so far. `mint` makes a fresh message id."""

    def __init__(self, mint: Callable[[], str]) -> None:
        self._mint = mint
        self._open: _Open | None = None
        self._calls: set[str] = set()
        self._usage: dict[str, Usage] = {}

    @property
    def usage(self) -> tuple[Usage, ...]:
        """What was spent, summed per model."""
        return tuple(self._usage.values())

    def take(self, output: Output) -> list[Piece]:
        """The events that `output` becomes, in order. A verdict becomes none: it ends the run.

        Neither do artifacts and state updates here: their events are made by the acts that keep them.
        """
        match output:
            case Text(text=text):
                return self._speak(Text, text)
            case Reasoning(text=text):
                return self._speak(Reasoning, text)
            case Said(content=content):
                return [*self.close(), self._said(content)]
            case ToolStarted() | ToolCompleted():
                return [*self.close(), Piece(self._call(output))]
            case Spent(usage=usage):
                return [Piece(self._spend(usage))]
            case Artifact() | StateUpdate() | Verdict():
                return []
            case _:
                assert_never(output)

    def more(self, text: str) -> MessageDelta | None:
        """One more piece of the message that is open; None if none is. The short way for most outputs."""
        if self._open is None or self._open.kind is not Text:
            return None
        self._open.parts.append(text)
        return MessageDelta(self._open.message_id, text)

    def close(self, *, partial: bool = False) -> list[Piece]:
        """Close the message that is open, if one is."""
        open_, self._open = self._open, None
        if open_ is None:
            return []
        kind = MessageCompleted if open_.kind is Text else ReasoningCompleted
        return [
            Piece(
                kind(
                    message_id=open_.message_id,
                    role=Role.ASSISTANT,
                    content="".join(open_.parts),
                    partial=partial,
                )
            )
        ]

    def finish(self, *, partial: bool) -> list[Piece]:
        """What stands before the end of the run: the open message, and calls that never answered."""
        calls, self._calls = sorted(self._calls), set()
        return [
            *self.close(partial=partial),
            *(Piece(ToolCallCompleted(call_id=call, status="unknown")) for call in calls),
        ]

    def _speak(self, kind: type[Text] | type[Reasoning], text: str) -> list[Piece]:
        before = self.close() if self._open is not None and self._open.kind is not kind else []
        opens = self._open is None
        if self._open is None:
            self._open = _Open(self._mint(), kind, [])
        self._open.parts.append(text)
        event = MessageDelta if kind is Text else ReasoningDelta
        return [*before, Piece(event(self._open.message_id, text), opens and kind is Text)]

    def _said(self, content: Content) -> Piece:
        event = MessageCompleted(message_id=self._mint(), role=Role.ASSISTANT, content=content)
        return Piece(event)

    def _call(self, output: ToolStarted | ToolCompleted) -> Event:
        if isinstance(output, ToolStarted):
            self._calls.add(output.call_id)
            return ToolCallStarted(call_id=output.call_id, tool=output.tool, arguments=output.arguments)
        self._calls.discard(output.call_id)
        return ToolCallCompleted(call_id=output.call_id, status=output.status, result=output.result)

    def _spend(self, usage: Usage) -> Event:
        old = self._usage.get(usage.model, Usage(model=usage.model, cost=0.0))
        # One unknown cost makes the sum unknown: to count it as nothing would be a lie.
        known = usage.cost is not None and old.cost is not None
        cost = (usage.cost or 0.0) + (old.cost or 0.0) if known else None
        self._usage[usage.model] = msgspec.structs.replace(
            old,
            input_tokens=old.input_tokens + usage.input_tokens,
            output_tokens=old.output_tokens + usage.output_tokens,
            cost=cost,
        )
        return UsageRecorded(
            model=usage.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=usage.cost,
        )
