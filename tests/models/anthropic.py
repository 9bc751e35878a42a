"""Anthropic messages."""

from collections.abc import Iterator
from uuid import uuid4

import msgspec

from tests.models.directives import Asked, Call, Failure, Offered, Part, Reply, Speech, Thought, Turn
from tests.models.events import event, paced
from tests.models.openai_chat import Content, text_of
from tests.models.wire import Frame, Json

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
COUNTED = 10
"""What every count of tokens says."""


class _Block(msgspec.Struct, frozen=True):
    type: str = "text"
    text: str = ""
    content: Content = None
    name: str = ""
    input: dict[str, object] = {}

    def turn(self, role: str) -> Turn | None:
        match self.type:
            case "text":
                return Turn(role, self.text)
            case "tool_use":
                return Turn("assistant", f"{self.name} {msgspec.json.encode(self.input).decode()}")
            case "tool_result":
                return Turn("tool", text_of(self.content))
            case _:
                return None


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[_Block]

    def turns(self) -> list[Turn]:
        """Its turns, results of tools first: they answer what went before."""
        if isinstance(self.content, str):
            return [Turn(self.role, self.content)]
        turns = [turn for block in self.content if (turn := block.turn(self.role))]
        return sorted(turns, key=lambda turn: turn.role != "tool")


class _Tool(msgspec.Struct, frozen=True):
    name: str
    input_schema: dict[str, object] = {}


class _Request(msgspec.Struct, frozen=True):
    messages: list[_Message]
    model: str = ""
    system: Content = None
    stream: bool = False
    tools: list[_Tool] | None = None


class Anthropic:
    """POST /v1/messages, and /v1/messages/count_tokens, which the server answers."""

    name = "anthropic"

    def takes(self, path: str) -> bool:
        """Whether it is the path of messages."""
        return path.endswith("/messages")

    def read(self, path: str, body: bytes) -> Asked:
        """The request as every format means it."""
        request = msgspec.json.decode(body, type=_Request)
        system = [Turn("system", text_of(request.system))] if request.system else []
        turns = [*system, *(turn for message in request.messages for turn in message.turns())]
        offered = tuple(Offered(tool.name, tool.input_schema) for tool in request.tools or ())
        return Asked(request.model, request.stream, tuple(turns), offered)

    def whole(self, asked: Asked, reply: Reply) -> Json:
        """A message."""
        content = [_block(part) for part in reply.parts]
        return {**_message(asked, reply), "content": content, "stop_reason": _stop(reply)}

    def stream(self, asked: Asked, reply: Reply) -> "_Events":
        """The events of a message."""
        return _Events(asked, reply)

    def error(self, failure: Failure, message: str) -> Json:
        """An error of Anthropic's."""
        kind = ERRORS.get(failure.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}


class _Events:
    def __init__(self, asked: Asked, reply: Reply) -> None:
        self._asked, self._reply = asked, reply
        self._blocks = 0

    def opening(self) -> Iterator[Frame]:
        yield _event("message_start", message=_message(self._asked, self._reply))

    def part(self, part: Part) -> Iterator[Frame]:
        index, self._blocks = self._blocks, self._blocks + 1
        yield _event("content_block_start", index=index, content_block={**_block(part), **_EMPTY[type(part)]})
        match part:
            case Thought(text):
                yield _delta(index, type="thinking_delta", thinking=text)
                yield _delta(index, type="signature_delta", signature="scripted")
            case Speech():
                yield from paced(part, lambda piece: _delta(index, type="text_delta", text=piece))
            case Call():
                yield _delta(index, type="input_json_delta", partial_json=part.json)
        yield _event("content_block_stop", index=index)

    def closing(self) -> Iterator[Frame]:
        delta = {"stop_reason": _stop(self._reply), "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage={"output_tokens": self._reply.tokens_out})
        yield _event("message_stop")


_EMPTY: dict[type[Part], Json] = {
    Thought: {"thinking": "", "signature": ""},
    Speech: {"text": ""},
    Call: {"input": {}},
}


def _event(kind: str, **data: object) -> bytes:
    return event({"type": kind, **data}, kind)


def _delta(index: int, **delta: object) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


def _block(part: Part) -> Json:
    match part:
        case Thought(text):
            return {"type": "thinking", "thinking": text, "signature": "scripted"}
        case Speech():
            return {"type": "text", "text": part.text}
        case Call(call_id, tool, arguments):
            return {"type": "tool_use", "id": f"toolu_{call_id}", "name": tool, "input": arguments}


def _message(asked: Asked, reply: Reply) -> Json:
    """A message without content yet."""
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    usage = {"input_tokens": reply.tokens_in, "output_tokens": reply.tokens_out, **cached}
    made = {"id": f"msg_{uuid4().hex[:20]}", "type": "message", "role": "assistant"}
    stop = {"stop_reason": None, "stop_sequence": None}
    return {**made, "model": asked.model, "content": [], **stop, "usage": usage}


def _stop(reply: Reply) -> str:
    return "tool_use" if reply.calls else "end_turn"
