"""JSON-RPC, one message a line, between a program and the protocol's library.

The library is given the answers to our own requests, in a shape that can't upset it. What the agent asks or
tells goes to the `Audience`, in the order it came. A line that is no message is left out; no line ends the
connection.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import msgspec

from tenure.runners.acp.launch import LEFT_OUT, TOKEN, TOKEN_BEGINS
from tenure.runners.acp.process import Program

log = logging.getLogger("tenure.acp")

TURN = 32
"""After how many lines the others on the loop get their turn, however fast the agent talks."""

MOST_SHOWN = 200
"""How many characters of a line that is no message are shown."""

_TOKEN = re.compile(TOKEN.pattern.encode())

TAKEN_AS_IT_IS = (b'"fs/write_text_file"', b'"terminal/create"')
"""What an agent has the host do with its own words, which no journal shows."""

UNNAMED = -32603
"""The code of an error that came without one: something inside of the agent."""

Message = dict[str, Any]
"""As the library takes and gives them."""


class Asked(NamedTuple):
    """A request of the agent, `size` bytes long. It waits for an answer with this `id`."""

    id: object
    method: str
    params: object
    size: int = 0


class Told(NamedTuple):
    """A notification of the agent, `size` bytes long."""

    method: str
    params: object
    size: int = 0


class Audience(Protocol):
    """Who hears what the agent says by itself."""

    def asked(self, request: Asked) -> None:
        """A request came. It is answered by `Wire.send`, at any time."""
        ...

    def told(self, notice: Told) -> None:
        """A notification came."""
        ...


class Wire:
    """The library's transport (`acp.connection.Connection`) over a program."""

    def __init__(self, program: Program, audience: Audience, masked: Callable[[str], str]) -> None:
        self._program = program
        self._audience = audience
        self._masked = masked
        self._heard = 0
        self.noise = ""
        """The first line that was no message, for those who wonder why nothing was understood."""

    async def send(self, message: Message) -> None:
        """Write one message. Raises ConnectionError once nobody reads it."""
        await self._program.say(msgspec.json.encode(message) + b"\n")

    async def receive(self) -> Message | None:
        """The next answer to one of our requests; None once the program is silent for ever."""
        while (line := await self._program.hear()) is not None:
            self._heard += 1
            if self._heard % TURN == 0:
                await asyncio.sleep(0)
            match read(discreet(line)):
                case Line(method=str(method), id=None, params=params):
                    self._audience.told(Told(method, params, len(line)))
                case Line(method=str(method), id=int() | str() as number, params=params):
                    self._audience.asked(Asked(number, method, params, len(line)))
                case Line(id=int(number), error=None, result=result):
                    return {"id": number, "result": result}
                case Line(id=int(number), error=error):
                    return {"id": number, "error": self._discreet(error)}
                case _:
                    self._make_out(line)
        return None

    async def close(self) -> None:
        """Nothing: the program's end is the pool's business."""

    def _make_out(self, line: bytes) -> None:
        """Keep the first of what is no message, and say so; empty lines say nothing."""
        text = self._masked(line[: 4 * MOST_SHOWN].decode(errors="replace").strip())[:MOST_SHOWN]
        if text:
            self.noise = self.noise or text
            log.debug("An agent sent what is no message: %s", text)

    def _discreet(self, error: object) -> Message:
        """An error as the library wants it, without secrets: agents like to repeat a key that was refused."""
        try:
            told = msgspec.convert(error, _Error)
        except msgspec.ValidationError:
            told = _Error(message=str(error))
        return {
            "code": told.code if isinstance(told.code, int) else UNNAMED,
            "message": self._masked(told.message),
            "data": each_text(told.data, self._masked),
        }


def discreet(line: bytes) -> bytes:
    """A message as it came, but for a token of the run gateway in what a journal may show.

    An agent that prints its settings must not give what its run may do to whoever reads the session.
    """
    if TOKEN_BEGINS.encode() not in line or any(method in line for method in TAKEN_AS_IT_IS):
        return line
    return _TOKEN.sub(LEFT_OUT.encode(), line)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it came."""

    id: object = None
    method: str | None = None
    params: object = None
    result: object = None
    error: object = None


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    code: object = None
    message: str = "an error without a message"
    data: object = None


def read(line: bytes) -> Line | None:
    """The message on a line, None if it is none. Half characters, as some agents cut them, are replaced."""
    try:
        return msgspec.json.decode(line, type=Line)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(each_text(json.loads(line.decode(errors="replace")), whole), Line)
    except (ValueError, msgspec.ValidationError, RecursionError):
        return None


def whole(text: str) -> str:
    """The same text so that it can be written as UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def each_text(value: object, change: Callable[[str], str]) -> object:
    """A JSON value with every text in it changed."""
    match value:
        case str():
            return change(value)
        case list():
            return [each_text(item, change) for item in cast("list[object]", value)]
        case dict():
            pairs = cast("dict[str, object]", value).items()
            return {change(key): each_text(item, change) for key, item in pairs}
        case _:
            return value
