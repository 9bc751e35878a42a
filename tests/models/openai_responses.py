"""OpenAI responses. Only whole conversations in `input`; nothing is stored between requests."""

import itertools
import time
from collections.abc import Iterator
from uuid import uuid4

import msgspec

from tests.models.directives import Asked, Call, Failure, Offered, Part, Reply, Speech, Thought, Turn
from tests.models.events import event, paced
from tests.models.openai_chat import OPENAI_ERRORS, Content, text_of
from tests.models.wire import Frame, Json

RESULTS = {"function_call_output", "custom_tool_call_output", "local_shell_call_output"}
CALLS = {"function_call", "custom_tool_call", "local_shell_call"}


class _Item(msgspec.Struct, frozen=True):
    type: str = "message"
    role: str = ""
    content: Content = None
    name: str = ""
    arguments: str = ""
    output: Content = None

    def turn(self) -> Turn | None:
        if self.type in RESULTS:
            return Turn("tool", text_of(self.output))
        if self.type in CALLS:
            return Turn("assistant", f"{self.name} {self.arguments}")
        role = "system" if self.role == "developer" else self.role
        return Turn(role, text_of(self.content)) if role else None


class _Tool(msgspec.Struct, frozen=True):
    type: str = "function"
    name: str = ""
    parameters: dict[str, object] | None = None


class _Request(msgspec.Struct, frozen=True):
    input: str | list[_Item] = ""
    model: str = ""
    instructions: str | None = None
    stream: bool | None = False
    tools: list[_Tool] | None = None


class OpenAIResponses:
    """POST /v1/responses."""

    name = "openai-responses"

    def takes(self, path: str) -> bool:
        """Whether it is the path of responses."""
        return path.endswith("/responses")

    def read(self, path: str, body: bytes) -> Asked:
        """The request as every format means it."""
        request = msgspec.json.decode(body, type=_Request)
        given = request.input
        items = [_Item(role="user", content=given)] if isinstance(given, str) else given
        instructions = [Turn("system", request.instructions)] if request.instructions else []
        turns = [*instructions, *(turn for item in items if (turn := item.turn()))]
        tools = (tool for tool in request.tools or () if tool.type == "function")
        offered = tuple(Offered(tool.name, tool.parameters or {}) for tool in tools)
        return Asked(request.model, bool(request.stream), tuple(turns), offered)

    def whole(self, asked: Asked, reply: Reply) -> Json:
        """A response."""
        return _response(asked, reply, [_item(part) for part in reply.parts])

    def stream(self, asked: Asked, reply: Reply) -> "_Events":
        """The events of a response."""
        return _Events(asked, reply)

    def error(self, failure: Failure, message: str) -> Json:
        """An error of OpenAI's."""
        kind = OPENAI_ERRORS.get(failure.status, "server_error")
        return {"error": {"message": message, "type": kind, "code": kind, "param": None}}


class _Events:
    def __init__(self, asked: Asked, reply: Reply) -> None:
        self._asked, self._reply = asked, reply
        self._begun = {**_response(asked, reply, []), "status": "in_progress", "usage": None}
        self._items: list[Json] = []
        self._numbers = itertools.count()

    def opening(self) -> Iterator[Frame]:
        yield self._event("response.created", response=self._begun)
        yield self._event("response.in_progress", response=self._begun)

    def part(self, part: Part) -> Iterator[Frame]:
        item = _item(part)
        yield self._of(
            "response.output_item.added", item={**item, **_EMPTY[type(part)], "status": "in_progress"}
        )
        match part:
            case Thought():
                yield from self._thought(item, part)
            case Speech():
                yield from self._speech(item, part)
            case Call():
                yield from self._call(item, part)
        yield self._of("response.output_item.done", item=item)
        self._items.append(item)

    def closing(self) -> Iterator[Frame]:
        done = {**self._begun, "status": "completed", "output": self._items, "usage": _usage(self._reply)}
        yield self._event("response.completed", response=done)

    def _thought(self, item: Json, part: Thought) -> Iterator[Frame]:
        place: Json = {"item_id": item["id"], "summary_index": 0}
        summary, empty = ({"type": "summary_text", "text": text} for text in (part.text, ""))
        yield self._of("response.reasoning_summary_part.added", **place, part=empty)
        yield self._of("response.reasoning_summary_text.delta", **place, delta=part.text)
        yield self._of("response.reasoning_summary_text.done", **place, text=part.text)
        yield self._of("response.reasoning_summary_part.done", **place, part=summary)

    def _speech(self, item: Json, part: Speech) -> Iterator[Frame]:
        place: Json = {"item_id": item["id"], "content_index": 0}
        yield self._of("response.content_part.added", **place, part=_text(""))
        delta = "response.output_text.delta"
        yield from paced(part, lambda piece: self._of(delta, **place, delta=piece, logprobs=[]))
        yield self._of("response.output_text.done", **place, text=part.text, logprobs=[])
        yield self._of("response.content_part.done", **place, part=_text(part.text))

    def _call(self, item: Json, part: Call) -> Iterator[Frame]:
        place: Json = {"item_id": item["id"]}
        done = "response.function_call_arguments.done"
        yield self._of("response.function_call_arguments.delta", **place, delta=part.json)
        yield self._of(done, **place, arguments=part.json, name=part.tool)

    def _of(self, kind: str, **data: object) -> bytes:
        """An event of the item that is being written."""
        return self._event(kind, output_index=len(self._items), **data)

    def _event(self, kind: str, **data: object) -> bytes:
        return event({"type": kind, "sequence_number": next(self._numbers), **data}, kind)


_EMPTY: dict[type[Part], Json] = {Thought: {"summary": []}, Speech: {"content": []}, Call: {"arguments": ""}}


def _item(part: Part) -> Json:
    """A finished output item."""
    made = {"status": "completed"}
    match part:
        case Thought(text):
            summary = [{"type": "summary_text", "text": text}]
            return {"type": "reasoning", "id": _id("rs"), "summary": summary}
        case Speech():
            content = [_text(part.text)]
            return {"type": "message", "id": _id("msg"), "role": "assistant", "content": content, **made}
        case Call(call_id, tool):
            called = {"call_id": call_id, "name": tool, "arguments": part.json}
            return {"type": "function_call", "id": _id("fc"), **called, **made}


def _response(asked: Asked, reply: Reply, output: list[Json]) -> Json:
    fixed: Json = {
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "tools": [],
    }
    chosen = {"parallel_tool_calls": True, "tool_choice": "auto", "temperature": 1, "top_p": 1}
    made = {"id": _id("resp"), "object": "response", "created_at": int(time.time()), "status": "completed"}
    said = {"model": asked.model, "output": output, "usage": _usage(reply)}
    return {**made, **said, **fixed, **chosen}


def _text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(reply: Reply) -> Json:
    return {
        "input_tokens": reply.tokens_in,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": reply.tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.tokens_in + reply.tokens_out,
    }


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex[:20]}"
