"""Gemini: generateContent and streamGenerateContent, whatever version stands in the path."""

import re
from collections.abc import Iterator

import msgspec

from tests.models.directives import Asked, Call, Failure, Offered, Part, Reply, Speech, Thought, Turn
from tests.models.events import event, paced
from tests.models.wire import Frame, Json

ERRORS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
PATH = re.compile(r"/models/([^/:]+):(generateContent|streamGenerateContent)$")


class _FunctionCall(msgspec.Struct, frozen=True):
    name: str = ""
    args: dict[str, object] | None = None


class _FunctionResponse(msgspec.Struct, frozen=True):
    response: dict[str, object] | None = None


class _Piece(msgspec.Struct, frozen=True, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _FunctionCall | None = None
    function_response: _FunctionResponse | None = None

    def turn(self, role: str) -> Turn | None:
        if self.function_response is not None:
            return Turn("tool", _shown(self.function_response.response or {}))
        if self.function_call is not None:
            return Turn("assistant", f"{self.function_call.name} {_json(self.function_call.args or {})}")
        return None if self.text is None or self.thought else Turn(role, self.text)


class _Content(msgspec.Struct, frozen=True):
    parts: list[_Piece] | None = None
    role: str | None = None

    def turns(self, role: str) -> Iterator[Turn]:
        for piece in self.parts or ():
            if turn := piece.turn(role):
                yield turn


class _Declaration(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    parameters: dict[str, object] | None = None
    parameters_json_schema: dict[str, object] | None = None
    snake: dict[str, object] | None = msgspec.field(name="parameters_json_schema", default=None)
    """The same, as Google's own client writes it."""

    @property
    def schema(self) -> dict[str, object]:
        return self.parameters_json_schema or self.snake or self.parameters or {}


class _Tool(msgspec.Struct, frozen=True, rename="camel"):
    function_declarations: list[_Declaration] | None = None


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    contents: list[_Content]
    system_instruction: _Content | None = None
    tools: list[_Tool] | None = None

    def turns(self) -> Iterator[Turn]:
        if self.system_instruction is not None:
            yield from self.system_instruction.turns("system")
        for content in self.contents:
            yield from content.turns("assistant" if content.role == "model" else "user")


class Gemini:
    """POST …/models/{model}:generateContent and :streamGenerateContent."""

    name = "gemini"

    def takes(self, path: str) -> bool:
        """Whether it is the path of a generation."""
        return PATH.search(path) is not None

    def read(self, path: str, body: bytes) -> Asked:
        """The request as every format means it. Model and streaming stand in the path."""
        request = msgspec.json.decode(body, type=_Request)
        model, method = PATH.findall(path)[0]
        declared = (one for tool in request.tools or () for one in tool.function_declarations or ())
        offered = tuple(Offered(one.name, one.schema) for one in declared)
        return Asked(model, method == "streamGenerateContent", tuple(request.turns()), offered)

    def whole(self, asked: Asked, reply: Reply) -> Json:
        """A GenerateContentResponse."""
        return _response(asked, reply, [_piece(part) for part in reply.parts], "STOP")

    def stream(self, asked: Asked, reply: Reply) -> "_Responses":
        """Several GenerateContentResponses."""
        return _Responses(asked, reply)

    def error(self, failure: Failure, message: str) -> Json:
        """An error of Google's."""
        status = ERRORS.get(failure.status, "INTERNAL")
        return {"error": {"code": failure.status, "message": message, "status": status}}


class _Responses:
    def __init__(self, asked: Asked, reply: Reply) -> None:
        self._asked, self._reply = asked, reply

    def opening(self) -> Iterator[Frame]:
        yield from ()

    def part(self, part: Part) -> Iterator[Frame]:
        if isinstance(part, Speech):
            yield from paced(part, lambda piece: self._with({"text": piece}))
        else:
            yield self._with(_piece(part))

    def closing(self) -> Iterator[Frame]:
        yield event(_response(self._asked, self._reply, [{"text": ""}], "STOP"))

    def _with(self, piece: Json) -> bytes:
        return event(_response(self._asked, self._reply, [piece], None))


def _response(asked: Asked, reply: Reply, pieces: list[Json], finish: str | None) -> Json:
    candidate: Json = {"index": 0, "content": {"role": "model", "parts": pieces}}
    if finish:
        candidate["finishReason"] = finish
    usage = {
        "promptTokenCount": reply.tokens_in,
        "candidatesTokenCount": reply.tokens_out,
        "totalTokenCount": reply.tokens_in + reply.tokens_out,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": asked.model}


def _piece(part: Part) -> Json:
    match part:
        case Thought(text):
            return {"text": text, "thought": True}
        case Speech():
            return {"text": part.text}
        case Call(call_id, tool, arguments):
            return {"functionCall": {"id": call_id, "name": tool, "args": arguments}}


def _shown(response: dict[str, object]) -> str:
    """What a tool answered. Clients mostly wrap it in one field."""
    match list(response.values()):
        case [str(only)]:
            return only
        case _:
            return _json(response)


def _json(value: dict[str, object]) -> str:
    return msgspec.json.encode(value).decode()
