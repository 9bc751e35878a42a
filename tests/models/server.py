"""A model server that says what tests tell it to, in four wire formats, on a free loopback port.

    async with model_server() as models:
        client = AsyncOpenAI(base_url=models.v1, api_key="any")

`models.requests` holds what came. `directives` tells how a message steers the answer; `python -m
tests.models` runs the same server for agents in processes of their own, and `models_aside` for tests that
have no loop.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.models.anthropic import COUNTED, Anthropic
from tests.models.connection import Connection, Gone, HttpRequest
from tests.models.directives import Asked, Failure, Reply, Script, Turn
from tests.models.gemini import Gemini
from tests.models.openai_chat import OpenAIChat
from tests.models.openai_responses import OpenAIResponses
from tests.models.wire import Format, Json

MODEL = "scripted"
"""A name for the model. Any other works as well."""

BOUND_S = 20.0
"""How long a wait for a request may take, in seconds."""

FORMATS: tuple[Format, ...] = (OpenAIChat(), OpenAIResponses(), Anthropic(), Gemini())

SECRET = {"authorization", "x-api-key", "x-goog-api-key", "cookie"}


class Received(NamedTuple):
    """A request for an answer, as it came. Headers that carry keys are left out."""

    format: str
    path: str
    model: str
    stream: bool
    turns: tuple[Turn, ...]
    tools: tuple[str, ...]
    headers: dict[str, str]
    body: bytes

    @property
    def system(self) -> str:
        """The system prompt, its parts joined by line breaks."""
        return "\n".join(turn.text for turn in self.turns if turn.role == "system")

    @property
    def said(self) -> list[tuple[str, str]]:
        """The conversation without system prompts: roles and texts."""
        return [(turn.role, turn.text) for turn in self.turns if turn.role != "system"]


class Models:
    """A running model server."""

    def __init__(self, key: str | None) -> None:
        self.requests: list[Received] = []
        """What was asked for, oldest first."""
        self.dropped = 0
        """How many answers their client didn't wait for."""
        self.port = 0
        self._key = key
        self._script = Script()
        self._arrived = asyncio.Event()
        self._left = threading.Condition()
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it answers, as Anthropic's and Google's clients take it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def v1(self) -> str:
        """The same as OpenAI's clients take it."""
        return f"{self.url}/v1"

    async def asked(self, count: int = 1) -> list[Received]:
        """Wait until so many requests have come, in all; the requests. From the server's own loop only."""
        async with asyncio.timeout(BOUND_S):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests

    def wait_dropped(self, count: int) -> bool:
        """Wait until so many answers were dropped, in all. From another thread than the server's only."""
        with self._left:
            return self._left.wait_for(lambda: self.dropped >= count, BOUND_S)

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        task = asyncio.create_task(self._serve(Connection(reader, writer)))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        """Drop every connection."""
        connections = tuple(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, connection: Connection) -> None:
        try:
            while (request := await connection.request()) is not None:
                await self._respond(connection, request)
        except Gone:
            with self._left:
                self.dropped += 1
                self._left.notify_all()
        finally:
            await connection.close()

    async def _respond(self, connection: Connection, request: HttpRequest) -> None:
        url = urlsplit(request.target)
        form = next((form for form in FORMATS if form.takes(url.path)), None)
        if self._key is not None and self._key not in _keys(request, url.query):
            failure = Failure(401)
            written = (form or FORMATS[0]).error(failure, "The API key is not the right one.")
            await connection.whole(failure.status, written)
        elif form is None or request.method != "POST":
            await connection.whole(*self._beside(request, url.path))
        else:
            await self._model(connection, request, url.path, form)

    async def _model(self, connection: Connection, request: HttpRequest, path: str, form: Format) -> None:
        try:
            asked = form.read(path, request.body)
            self._note(request, path, form, asked)
            answer = self._script.answer(asked)
        except (msgspec.MsgspecError, ValueError) as misfit:
            return await connection.whole(400, form.error(Failure(400), f"Not to be understood: {misfit}"))
        match answer:
            case Failure() as failure:
                after = {"retry-after": f"{failure.retry_after_s:g}"}
                await connection.whole(failure.status, form.error(failure, "The script says so."), after)
            case Reply() as reply if reply.cut or reply.hang or asked.stream:
                await self._stream(connection, form, asked, reply)
            case Reply() as reply:
                await connection.whole(200, form.whole(asked, reply))

    async def _stream(self, connection: Connection, form: Format, asked: Asked, reply: Reply) -> None:
        stream = form.stream(asked, reply)
        await connection.open("text/event-stream" if asked.stream else "application/json")
        if asked.stream:
            await connection.send(stream.opening())
            for part in reply.parts:
                await connection.send(stream.part(part))
        if reply.hang:
            await connection.wait_for_end()
        elif reply.cut:
            connection.abort()
        else:
            await connection.send(stream.closing())
            await connection.end()

    def _note(self, request: HttpRequest, path: str, form: Format, asked: Asked) -> None:
        headers = {name: value for name, value in request.headers.items() if name not in SECRET}
        tools = tuple(tool.name for tool in asked.tools)
        received = Received(
            form.name, path, asked.model, asked.stream, asked.turns, tools, headers, request.body
        )
        self.requests.append(received)
        self._arrived.set()

    def _beside(self, request: HttpRequest, path: str) -> tuple[int, Json]:
        """The answers that need no model."""
        if path == "/requests":
            return 200, {"data": [one._replace(body=b"")._asdict() for one in self.requests]}
        if path.endswith("/models"):
            return 200, _CATALOGUE
        if path.endswith(("/count_tokens", ":countTokens")):
            return 200, {"input_tokens": COUNTED, "totalTokens": COUNTED}
        return 404, {"error": {"message": f"There is nothing at {request.method} {path}."}}


_CATALOGUE: Json = {
    "object": "list",
    "data": [
        {
            "id": MODEL,
            "object": "model",
            "created": 1,
            "owned_by": "tests",
            "type": "model",
            "display_name": MODEL,
        }
    ],
    "models": [{"name": f"models/{MODEL}", "slug": MODEL}],
    "has_more": False,
}


def _keys(request: HttpRequest, query: str) -> set[str]:
    """Every key that a request shows, wherever its format has one."""
    headers = request.headers
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    named = {headers.get("x-api-key", ""), headers.get("x-goog-api-key", "")}
    return {bearer, *named, *parse_qs(query).get("key", [])}


@asynccontextmanager
async def model_server(*, port: int = 0, key: str | None = None) -> AsyncGenerator[Models, None]:
    """A model server while the block runs. With a `key` it refuses requests that show another."""
    models = Models(key)
    server = await asyncio.start_server(models.connected, "127.0.0.1", port)
    models.port = server.sockets[0].getsockname()[1]
    try:
        yield models
    finally:
        server.close()
        await models.close()
        await server.wait_closed()


@contextmanager
def models_aside(*, key: str | None = None) -> Generator[Models, None, None]:
    """The same in a thread with a loop of its own, for tests that have none."""
    ready, done = threading.Event(), asyncio.Event()
    found: list[Models] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with model_server(key=key) as models:
            found.append(models)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="models", daemon=True)
    thread.start()
    try:
        assert ready.wait(BOUND_S), "the model server didn't start"
        yield found[0]
    finally:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)
        thread.join(BOUND_S)
        loop.close()
