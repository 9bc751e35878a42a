"""One leg of a run: the events of one answer become outputs, and messages that the next request repeats.

A leg ends when the endpoint has finished, or has asked for something: a tool of the host, or a person. It
only translates; whatever has to be waited for is done by `work`.
"""

import json
from collections.abc import Collection, Container, Iterator
from typing import NamedTuple, TypeAlias, cast

from ag_ui.core import (
    AssistantMessage,
    Event,
    FunctionCall,
    Interrupt,
    Message,
    MessagesSnapshotEvent,
    ReasoningEncryptedValueEvent,
    ReasoningMessage,
    ReasoningMessageChunkEvent,
    ReasoningMessageContentEvent,
    RunErrorEvent,
    RunFinishedCancelledOutcome,
    RunFinishedEvent,
    RunFinishedInterruptOutcome,
    RunFinishedSuccessOutcome,
    StateDeltaEvent,
    StateSnapshotEvent,
    TextMessageChunkEvent,
    TextMessageContentEvent,
    TextMessageStartEvent,
    TokenUsage,
    ToolCall,
    ToolCallArgsEvent,
    ToolCallChunkEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
    ToolMessage,
)

from tenure.core.ids import EFFECT
from tenure.core.output import Output, Reasoning, Said, Spent, Text, ToolCompleted, ToolStarted, Usage
from tenure.core.tool import Arguments
from tenure.runners.agui.shared import Change, SharedState

ASSISTANT = "assistant"


class Settled(NamedTuple):
    """A call that a person permitted was made by the endpoint; `call_id` is the host's."""

    call_id: str
    result: object


class Open(NamedTuple):
    """A call that the endpoint made and nobody answered yet."""

    id: str
    name: str
    arguments: str


Step: TypeAlias = Output | Settled | Change


class _Call:
    """A tool call as it builds up."""

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        self.pieces: list[str] = []
        self.ended = False
        self.told = False
        self.answered = False

    @property
    def arguments(self) -> Arguments:
        return arguments_of(self.call.function.arguments) or {}

    def write(self) -> None:
        """Put the pieces of its arguments together."""
        self.call.function.arguments += "".join(self.pieces)
        self.pieces = []


class _Draft(NamedTuple):
    """A message as it builds up. Its pieces are put together once: there may be very many."""

    message: AssistantMessage | ReasoningMessage
    pieces: list[str]

    def write(self) -> None:
        """Put the pieces of its text together."""
        if self.pieces:
            self.message.content = (self.message.content or "") + "".join(self.pieces)
            self.pieces.clear()


class Leg:
    """The events of one answer, one after the other."""

    def __init__(
        self,
        model: str,
        offered: Container[str],
        permits: dict[str, str | None],
        state: SharedState,
        known: Collection[str],
    ) -> None:
        """`permits` tells of the calls that people were asked about what the host calls them, by their ids
        here: None if they said no. What is made of them is taken out.

        `known` are the ids of the messages that it was sent, and `model` is who spends where it doesn't say.
        """
        self.messages: list[Message] = []
        self.outcome: RunFinishedInterruptOutcome | RunFinishedCancelledOutcome | None = None
        self.finished = False
        self.error: str | None = None
        self._model = model
        self._offered = offered
        self._permits = permits
        self._state = state
        self._known = known
        self._calls: dict[str, _Call] = {}
        self._drafts: dict[tuple[str, str], _Draft] = {}
        self._pending: list[str] | None = None
        self._others: set[str] = set()
        self._text: str | None = None
        self._spoke: str | None = None
        self._thought: str | None = None
        self._chunked: str | None = None
        self._stale = False

    # --- events

    def take(self, event: Event) -> Iterator[Step]:
        """What an event comes to."""
        if not isinstance(event, ToolCallChunkEvent):
            self._end_call(self._chunked)
            self._chunked = None
        if self._stale and not isinstance(event, StateDeltaEvent):
            self._stale = False
            yield from self._state.changes()
        yield from self._taken(event)

    def _taken(self, event: Event) -> Iterator[Step]:
        match event:
            case TextMessageStartEvent() | TextMessageContentEvent() | TextMessageChunkEvent():
                yield from self._say(event)
            case ReasoningMessageContentEvent() | ReasoningMessageChunkEvent():
                yield from self._think(event)
            case ToolCallStartEvent() | ToolCallArgsEvent() | ToolCallEndEvent() | ToolCallChunkEvent():
                self._call(event)
            case ToolCallResultEvent():
                yield from self._answer(event)
            case StateSnapshotEvent():
                yield from self._state.replace(event.snapshot)
            case StateDeltaEvent():
                self._stale = True
                yield from self._state.patch(
                    [operation.model_dump(by_alias=True) for operation in event.delta]
                )
            case MessagesSnapshotEvent():
                yield from self._repeat(event)
            case ReasoningEncryptedValueEvent():
                self._seal(event)
            case RunFinishedEvent():
                yield from self._finish(event)
            case RunErrorEvent():
                self.error = f"{event.message} ({event.code})" if event.code else event.message
                yield from self._spent(event.usage)
            case _:
                pass  # steps, activities, subagents, raw and custom events say nothing that the host keeps

    def close(self) -> Iterator[Step]:
        """The answer has ended, in whatever way: what is still to be told. The messages are whole now."""
        for written in (*self._drafts.values(), *self._calls.values()):
            written.write()
        yield from self.tell()
        for call_id in self._asked():
            yield from self.given_up(call_id, "waits for a person")
        yield from self._state.changes()

    # --- text

    def _say(
        self, event: TextMessageStartEvent | TextMessageContentEvent | TextMessageChunkEvent
    ) -> Iterator[Step]:
        message_id = event.message_id or self._text
        if message_id is None:
            return
        self._text = message_id
        if not isinstance(event, TextMessageContentEvent) and event.role not in (None, ASSISTANT):
            self._others.add(message_id)
        if message_id in self._others or isinstance(event, TextMessageStartEvent) or not event.delta:
            return
        self._assistant(message_id).pieces.append(event.delta)
        if self._spoke not in (None, message_id):
            yield Text("\n\n")  # another message, but the host joins text in a row
        self._spoke = message_id
        yield Text(event.delta)

    def _think(self, event: ReasoningMessageContentEvent | ReasoningMessageChunkEvent) -> Iterator[Step]:
        message_id = event.message_id or self._thought
        if message_id is None or not event.delta:
            return
        self._thought, self._spoke = message_id, None
        self._draft("reasoning", message_id).pieces.append(event.delta)
        yield Reasoning(event.delta)

    def _assistant(self, message_id: str) -> _Draft:
        return self._draft(ASSISTANT, message_id)

    def _draft(self, role: str, message_id: str) -> _Draft:
        """The message of that name that builds up; a new one if there is none."""
        draft = self._drafts.get((role, message_id))
        if draft is None:
            made = AssistantMessage(id=message_id) if role == ASSISTANT else None
            message = made or ReasoningMessage(id=message_id, content="")
            draft = self._drafts[role, message_id] = _Draft(message, [])
            self.messages.append(message)
        return draft

    def _repeat(self, event: MessagesSnapshotEvent) -> Iterator[Step]:
        """The endpoint lists all messages. Those of its own that it didn't stream are news."""
        heard = {*self._known, *(message.id for message in self.messages)}
        for message in event.messages:
            if isinstance(message, AssistantMessage) and message.content and message.id not in heard:
                self.messages.append(message)
                self._spoke = None
                yield Said(message.content)

    # --- tool calls

    def _call(
        self, event: ToolCallStartEvent | ToolCallArgsEvent | ToolCallEndEvent | ToolCallChunkEvent
    ) -> None:
        match event:
            case ToolCallStartEvent():
                self._start_call(event.tool_call_id, event.tool_call_name, event.parent_message_id)
            case ToolCallArgsEvent():
                self._more(event.tool_call_id, event.delta)
            case ToolCallEndEvent():
                self._end_call(event.tool_call_id)
            case ToolCallChunkEvent():
                call_id = event.tool_call_id or self._chunked
                if call_id is None:
                    return
                if call_id != self._chunked:
                    self._end_call(self._chunked)
                self._chunked = call_id
                if event.tool_call_name and call_id not in self._calls:
                    self._start_call(call_id, event.tool_call_name, event.parent_message_id)
                self._more(call_id, event.delta or "")

    def _start_call(self, call_id: str, name: str, parent: str | None) -> None:
        if call_id in self._calls:
            return
        call = ToolCall(id=call_id, function=FunctionCall(name=name, arguments=""))
        message = self._assistant(parent or self._text or call_id).message
        assert isinstance(message, AssistantMessage)
        message.tool_calls = [*(message.tool_calls or []), call]
        self._calls[call_id] = _Call(call)

    def _more(self, call_id: str, delta: str) -> None:
        if call_id in self._calls:
            self._calls[call_id].pieces.append(delta)

    def _end_call(self, call_id: str | None) -> None:
        if call_id is not None and call_id in self._calls:
            self._calls[call_id].write()
            self._calls[call_id].ended = True

    def _answer(self, event: ToolCallResultEvent) -> Iterator[Step]:
        call_id = event.tool_call_id
        self.messages.append(ToolMessage(id=event.message_id, content=event.content, tool_call_id=call_id))
        call, result = self._calls.get(call_id), _result(event)
        if call is not None:
            call.write()
            call.ended = call.answered = True
        if call_id in self._permits:
            permit = self._permits.pop(call_id)
            if call is not None:
                call.told = True
            if permit is not None:
                yield Settled(permit, result)
        elif call is not None:
            yield from self._told(call)
            yield ToolCompleted(call_id=_own(call_id), status="ok", result=result)

    @property
    def holds(self) -> bool:
        """Whether a call of the endpoint's own may be under way that wasn't told yet."""
        return any(True for _ in self._untold())

    def tell(self) -> Iterator[Output]:
        """Tell the calls that are under way. Not at once: people may have to be asked about them first."""
        for call in [*self._untold()]:
            yield from self._told(call)

    def _untold(self) -> Iterator[_Call]:
        asked = self._asked()
        for call in self._calls.values():
            own = call.call.function.name not in self._offered and call.call.id not in self._permits
            if own and call.ended and not call.told and call.call.id not in asked:
                yield call

    def _told(self, call: _Call) -> Iterator[Output]:
        if not call.told:
            call.told, self._spoke = True, None
            name = call.call.function.name
            yield ToolStarted(call_id=_own(call.call.id), tool=name, arguments=call.arguments)

    def given_up(
        self, call_id: str, why: str = "neither the endpoint nor the host has it"
    ) -> Iterator[Output]:
        """A call that was told isn't answered, at least not under this id."""
        call = self._calls.get(call_id)
        if call is not None and call.told:
            yield ToolCompleted(call_id=_own(call_id), status="error", result={"error": why})

    # --- the end

    def _finish(self, event: RunFinishedEvent) -> Iterator[Step]:
        self.finished = True
        match event.outcome:
            case RunFinishedSuccessOutcome(pending_tool_call_ids=pending):
                self._pending = pending or None
            case RunFinishedInterruptOutcome() | RunFinishedCancelledOutcome() as outcome:
                self.outcome = outcome
            case None:
                pass
        yield from self._spent(event.usage)
        if isinstance(event.result, str) and event.result and not self.messages:
            yield Text(event.result)

    def _spent(self, usage: list[TokenUsage] | None) -> Iterator[Output]:
        for one in usage or []:
            yield Spent(
                Usage(
                    model=one.model or one.provider or self._model,
                    input_tokens=one.input_tokens or 0,
                    output_tokens=one.output_tokens or 0,
                )
            )

    def interrupts(self) -> list[Interrupt]:
        """What the endpoint wants to know from people."""
        match self.outcome:
            case RunFinishedInterruptOutcome(interrupts=interrupts):
                return interrupts
            case _:
                return []

    def _asked(self) -> list[str]:
        """The calls that people are asked about."""
        return [one.tool_call_id for one in self.interrupts() if one.tool_call_id is not None]

    def open(self) -> list[Open]:
        """The calls that wait for the host, in the order in which they were made."""
        asked = self._asked()
        left = [
            call.call
            for call in self._calls.values()
            if not call.answered and call.call.id not in asked and self._waits(call.call)
        ]
        return [Open(call.id, call.function.name, call.function.arguments) for call in left]

    def _waits(self, call: ToolCall) -> bool:
        return self._pending is None or call.id in self._pending

    def call(self, call_id: str | None) -> Open | None:
        """A call by its id."""
        made = self._calls.get(call_id or "")
        return made and Open(made.call.id, made.call.function.name, made.call.function.arguments)

    def _seal(self, event: ReasoningEncryptedValueEvent) -> None:
        """Keep what only the provider can read, for the next request."""
        if event.subtype == "tool-call" and event.entity_id in self._calls:
            self._calls[event.entity_id].call.encrypted_value = event.encrypted_value
        for message in self.messages:
            if message.id == event.entity_id and isinstance(
                message, AssistantMessage | ReasoningMessage | ToolMessage
            ):
                message.encrypted_value = event.encrypted_value


def arguments_of(text: str) -> Arguments | None:
    """The arguments of a call. None if they are no JSON object."""
    try:
        given: object = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return cast("Arguments", given) if isinstance(given, dict) else None


def _own(call_id: str) -> str:
    """An endpoint's id of a call, apart from the host's."""
    return f"call_{call_id}" if call_id.startswith(EFFECT) else call_id


def _result(event: ToolCallResultEvent) -> object:
    """A result as the journal keeps it: JSON where it is JSON, and media only by their kind."""
    if isinstance(event.content, str):
        try:
            return json.loads(event.content)
        except (ValueError, RecursionError):
            return event.content
    return [
        part.text if part.type == "text" else {"type": part.type, "source": part.source.type}
        for part in event.content
    ]
