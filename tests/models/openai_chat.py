"""OpenAI chat completions, as OpenAI and everybody who is compatible with it speaks them.

Thoughts go into `reasoning_content`, as DeepSeek and vLLM have it.
"""

import time
from collections.abc import Iterator
from typing import TypeAlias
from uuid import uuid4

import msgspec

from tests.models.directives import Asked, Call, Failure, Offered, Part, Reply, Speech, Thought, Turn
from tests.models.events import event, paced
from tests.models.wire import Frame, Json


class Piece(msgspec.Struct, frozen=True):
    """A part of a message's content. What isn't text has none."""

    type: str = "text"
    text: str = ""


Content: TypeAlias = str | list[Piece] | None

OPENAI_ERRORS = {
    400: "invalid_request_error",
    401: "invalid_api_key",
    429: "rate_limit_exceeded",
}


def text_of(content: Content) -> str:
    """The text of a content, its parts joined by line breaks."""
    if isinstance(content, list):
        return "\n".join(piece.text for piece in content if piece.text)
    return content or ""


class _Function(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: str = ""
    parameters: dict[str, object] | None = None


class _ToolCall(msgspec.Struct, frozen=True):
    function: _Function = _Function()


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: Content = None
    tool_calls: list[_ToolCall] | None = None

    def turns(self) -> Iterator[Turn]:
        role = "system" if self.role == "developer" else self.role
        if self.content or not self.tool_calls:
            yield Turn(role, text_of(self.content))
        for call in self.tool_calls or ():
            yield Turn("assistant", f"{call.function.name} {call.function.arguments}")


class _Tool(msgspec.Struct, frozen=True):
    type: str = "function"
    function: _Function = _Function()


class _Request(msgspec.Struct, frozen=True):
    messages: list[_Message]
    model: str = ""
    stream: bool | None = False
    tools: list[_Tool] | None = None


class OpenAIChat:
    """POST /v1/chat/completions."""

    name = "openai-chat"

    def takes(self, path: str) -> bool:
        """Whether it is the path of chat completions."""
        return path.endswith("/chat/completions")

    def read(self, path: str, body: bytes) -> Asked:
        """The request as every format means it."""
        request = msgspec.json.decode(body, type=_Request)
        turns = tuple(turn for message in request.messages for turn in message.turns())
        tools = (tool.function for tool in request.tools or () if tool.type == "function")
        offered = tuple(Offered(function.name, function.parameters or {}) for function in tools)
        return Asked(request.model, bool(request.stream), turns, offered)

    def whole(self, asked: Asked, reply: Reply) -> Json:
        """A chat.completion."""
        message: Json = {"role": "assistant", "content": reply.speech or None, "refusal": None}
        if reply.thoughts:
            message["reasoning_content"] = reply.thoughts
        if reply.calls:
            message["tool_calls"] = [_called(call, call.json) for call in reply.calls]
        choice = {"index": 0, "message": message, "finish_reason": _finish(reply), "logprobs": None}
        return {**_head(asked, "chat.completion"), "choices": [choice], "usage": _usage(reply)}

    def stream(self, asked: Asked, reply: Reply) -> "_Chunks":
        """The chunks of a chat.completion."""
        return _Chunks(asked, reply)

    def error(self, failure: Failure, message: str) -> Json:
        """An error of OpenAI's."""
        kind = OPENAI_ERRORS.get(failure.status, "server_error")
        return {"error": {"message": message, "type": kind, "code": kind, "param": None}}


class _Chunks:
    def __init__(self, asked: Asked, reply: Reply) -> None:
        self._head = _head(asked, "chat.completion.chunk")
        self._reply = reply
        self._calls = 0

    def opening(self) -> Iterator[Frame]:
        yield self._delta({"role": "assistant", "content": ""})

    def part(self, part: Part) -> Iterator[Frame]:
        match part:
            case Thought(text):
                yield self._delta({"reasoning_content": text})
            case Speech():
                yield from paced(part, lambda piece: self._delta({"content": piece}))
            case Call():
                index, self._calls = self._calls, self._calls + 1
                yield self._delta({"tool_calls": [{"index": index, **_called(part, "")}]})
                function = {"arguments": part.json}
                yield self._delta({"tool_calls": [{"index": index, "function": function}]})

    def closing(self) -> Iterator[Frame]:
        yield self._delta({}, _finish(self._reply))
        yield event({**self._head, "choices": [], "usage": _usage(self._reply)})
        yield b"data: [DONE]\n\n"

    def _delta(self, delta: Json, finish: str | None = None) -> bytes:
        return event({**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _head(asked: Asked, kind: str) -> Json:
    made = {"id": f"chatcmpl-{uuid4().hex[:20]}", "created": int(time.time())}
    return {**made, "object": kind, "model": asked.model}


def _called(call: Call, arguments: str) -> Json:
    function = {"name": call.tool, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def _usage(reply: Reply) -> Json:
    total = reply.tokens_in + reply.tokens_out
    return {
        "prompt_tokens": reply.tokens_in,
        "completion_tokens": reply.tokens_out,
        "total_tokens": total,
    }
