"""The events of a pydantic-ai run as outputs of the host: text, reasoning, calls, files, usage.

The drive feeds one `Narration` for each attempt. Calls of host tools, and calls that people were asked about,
are journaled by the host itself, so nothing is said of them here.
"""

from collections.abc import Iterator
from mimetypes import guess_extension
from typing import cast

import msgspec
from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    OutputToolCallEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolReturnPart,
)
from pydantic_core import PydanticSerializationError, to_json

from tenure.core.effect import CallStatus
from tenure.core.ids import EFFECT
from tenure.core.output import (
    Artifact,
    Output,
    Reasoning,
    Said,
    Spent,
    Text,
    ToolCompleted,
    ToolStarted,
    Usage,
)
from tenure.runners.pydantic_ai.keeping import Kept

MOST_RESULT = 256 * 1024
"""How many bytes of JSON of an own tool's result the journal gets."""


class Narration:
    """Tells what a run does, and keeps the names of its calls apart: models use an id more than once."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        """The calls that began and haven't ended, by their ids, with their names in the journal."""
        self._used: set[str] = set()
        self.output_tool: str | None = None
        """The output tool that was called last, of a run whose result isn't text."""

    def of(self, event: object, *, journaled: bool = False) -> Iterator[Output]:
        """What one event says. `journaled`: the host itself tells of the call that it is about."""
        match event:
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)) if text:
                yield Text(text)
            case PartStartEvent(part=TextPart(content=text)) if text:
                yield Text(text)
            case PartStartEvent(part=ThinkingPart(content=text)) if text:
                yield Reasoning(text)
            case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)) if text:
                yield Reasoning(text)
            case OutputToolCallEvent(part=call):
                self.output_tool = call.tool_name
            case FunctionToolCallEvent(part=call, args_valid=valid) if valid is not None and not journaled:
                yield self._started(call.tool_call_id, call.tool_name, call.args_as_dict())
            case FunctionToolResultEvent(part=part) if not journaled:
                yield from self._completed(part.tool_call_id, status_of(part), part.content)
            case PartEndEvent(part=part):
                yield from self._of_part(part)
            case _:
                pass

    def _of_part(self, part: object) -> Iterator[Output]:
        """What the model's provider made or did by itself."""
        match part:
            case FilePart(content=file):
                yield artifact(file)
            case NativeToolCallPart(tool_call_id=call_id, tool_name=tool):
                yield self._started(call_id, tool, part.args_as_dict())
            case NativeToolReturnPart(tool_call_id=call_id, content=content):
                yield from self._completed(call_id, CallStatus.OK, content)
            case _:
                pass

    def _started(self, call_id: str, tool: str, arguments: dict[str, object]) -> ToolStarted:
        name, number = (f"own_{call_id}" if call_id.startswith(EFFECT) else call_id), 2
        plain = name
        while name in self._used:
            name, number = f"{plain}.{number}", number + 1
        self._used.add(name)
        self.open[call_id] = name
        return ToolStarted(call_id=name, tool=tool, arguments=_table(jsonable(arguments)))

    def _completed(self, call_id: str, status: CallStatus, content: object) -> Iterator[ToolCompleted]:
        name = self.open.pop(call_id, None)
        if name is not None:
            yield ToolCompleted(call_id=name, status=status, result=jsonable(content))

    def resumed(self, kept: Kept) -> Iterator[ToolCompleted]:
        """The run goes on: nobody knows what became of the calls that were under way."""
        names = (
            call.tool_call_id for m in kept.messages if isinstance(m, ModelResponse) for call in m.tool_calls
        )
        self._used |= {*names, *kept.open.values()}
        for name in kept.open.values():
            yield ToolCompleted(
                call_id=name, status=CallStatus.UNKNOWN, result={"reason": "It was broken off."}
            )

    def deferred(self, call_id: str) -> Iterator[ToolCompleted]:
        """A call that began asks for a person's leave: the host tells of it from here on."""
        yield from self._completed(call_id, CallStatus.DENIED, {"reason": "It needs a person's approval."})


def status_of(part: ToolReturnPart) -> CallStatus:
    """How a call ended, in the host's words."""
    match part.outcome:
        case "success":
            return CallStatus.OK
        case "denied":
            return CallStatus.DENIED
        case "failed" | "retried" | "interrupted":
            return CallStatus.ERROR


def spent(response: ModelResponse, model: str) -> Spent | None:
    """The usage of one call of a model; None if the provider told nothing. An unknown cost is left out."""
    usage = response.usage
    if not usage.has_values():
        return None
    return Spent(
        Usage(
            model=response.model_name or model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=None if usage.cost is None else float(usage.cost),
        )
    )


def result(value: object) -> Output:
    """A result of the run that is no text: what was made as a file, anything else as JSON."""
    match value:
        case BinaryContent():
            return artifact(value)
        case str():
            return Said(value)
        case _:
            return Said(msgspec.json.encode(jsonable(value)).decode())


def artifact(file: BinaryContent) -> Artifact:
    """A file that a model made."""
    name = f"{file.identifier}{guess_extension(file.media_type) or ''}"
    return Artifact(name=name, data=file.data, media_type=file.media_type)


def jsonable(value: object) -> object:
    """Anything as plain JSON that a journal can hold. Bytes of files are only named, what is long is cut."""
    try:
        data = to_json(_without_bytes(value), fallback=str, inf_nan_mode="null", bytes_mode="base64")
    except (PydanticSerializationError, ValueError) as error:
        return f"(it can't be shown: {type(error).__name__})"
    if len(data) > MOST_RESULT:
        return {"cut": data[:MOST_RESULT].decode("utf-8", "ignore"), "bytes": len(data)}
    return msgspec.json.decode(data.replace(b"\\u0000", b"\\ufffd"))


def _without_bytes(value: object) -> object:
    match value:
        case BinaryContent():
            return {"media_type": value.media_type, "bytes": len(value.data)}
        case list() | tuple():
            return [_without_bytes(one) for one in cast("list[object]", value)]
        case _:
            return value


def _table(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {"arguments": value}
