"""A real host on a real SQLite store in a directory of its own, asked through its ASGI face in process.

`World` asks and awaits whole answers; `Stream` and `Wire` drive the face by hand, since the in-process
transport of httpx keeps a streamed answer until it is complete.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from starlette.types import ASGIApp, Message, Scope

import tenure
from tenure import wiring
from tenure.config import BindingSettings, LimitSettings, ScopeSettings, Settings
from tenure.http.app import create_app
from tenure.http.assets import Assets
from tenure.http.call import Options

Json = dict[str, Any]

WAIT_S = 10.0
"""No wait of these tests lasts longer; it is a bound, not a pace."""

BASE = "http://localhost"


class Frame(NamedTuple):
    """One SSE frame as a browser reads it; `comment` for a line that only says that the stream lives."""

    event: str | None = None
    id: int | None = None
    data: Any = None
    comment: bool = False


class Stream:
    """One request whose answer is read piece by piece."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = False
        self.writes: list[bytes] = []
        self.received = 0
        self._text = b""
        self._body: list[bytes] = [body]
        self._gone = asyncio.Event()
        self._over = False
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._over = True
            async with self._news:
                self._news.notify_all()

    async def _receive(self) -> Message:
        self.received += 1
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            part = message.get("body", b"")
            self.writes.append(part)
            self._text += part
            self.ended = not message.get("more_body", False)
        async with self._news:
            self._news.notify_all()

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until the fact holds."""
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: fact() or self._over)
        assert fact(), f"the stream ended first: {self.status} {self.text!r}"

    async def started(self) -> "Stream":
        """Wait until the answer has begun."""
        await self.until(lambda: self.status > 0)
        return self

    async def end(self) -> list[Frame]:
        """Wait until the answer is complete; all of its frames."""
        await self.until(lambda: self.ended)
        await asyncio.wait_for(self._task, WAIT_S)
        return self.frames

    async def frame(self, which: Callable[[Frame], bool]) -> Frame:
        """Wait for the first frame that is wanted."""
        await self.until(lambda: any(which(frame) for frame in self.frames))
        return next(frame for frame in self.frames if which(frame))

    async def named(self, name: str) -> Frame:
        """Wait for the first control frame of this name."""
        return await self.frame(lambda frame: frame.event == name)

    async def event(self, kind: str) -> Frame:
        """Wait for the first event of this type."""
        return await self.frame(lambda frame: frame.id is not None and frame.data["type"] == kind)

    async def leave(self) -> None:
        """Go away, and wait until the face has noticed."""
        self._gone.set()
        await asyncio.wait_for(self._task, WAIT_S)

    async def abandon(self) -> None:
        """Go away, whatever state it is in."""
        self._gone.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._task, WAIT_S)

    @property
    def text(self) -> str:
        """All that was written."""
        return self._text.decode()

    @property
    def json(self) -> Any:
        """All that was written, as one JSON text."""
        return json.loads(self._text)

    @property
    def frames(self) -> list[Frame]:
        """Every whole frame so far."""
        return [frame_of(part) for part in self.text.split("\n\n")[:-1]]

    @property
    def events(self) -> list[Any]:
        """The data of every event so far."""
        return [frame.data for frame in self.frames if frame.id is not None]

    @property
    def ids(self) -> list[int]:
        """The numbers of the events so far."""
        return [frame.id for frame in self.frames if frame.id is not None]


def frame_of(text: str) -> Frame:
    """One frame from its lines; it must be exactly of the form that the contract knows."""
    if text == ": ":
        return Frame(comment=True)
    lines = dict(line.split(": ", 1) for line in text.split("\n"))
    number = int(lines.pop("id")) if "id" in lines else None
    frame = Frame(lines.pop("event", None), number, json.loads(lines.pop("data")))
    assert lines == {}
    assert (frame.event is None) == (frame.id is not None)
    assert frame.id is None or frame.data["seq"] == frame.id
    return frame


class Wire:
    """One WebSocket, driven by hand."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self.sent: list[Message] = []
        self._up: asyncio.Queue[Message] = asyncio.Queue()
        self._news = asyncio.Condition()
        self._over = False
        self._up.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._up.get, self._take)
        finally:
            self._over = True
            async with self._news:
                self._news.notify_all()

    async def _take(self, message: Message) -> None:
        self.sent.append(message)
        async with self._news:
            self._news.notify_all()

    def say(self, value: object) -> None:
        """Send a text frame: JSON, or text as it is."""
        text = value if isinstance(value, str) else json.dumps(value)
        self._up.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, value: bytes) -> None:
        """Send a binary frame."""
        self._up.put_nowait({"type": "websocket.receive", "bytes": value})

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until the fact holds."""
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: fact() or self._over)
        assert fact(), f"the socket ended first: {self.sent}"

    async def frame(self, which: Callable[[Json], bool]) -> Json:
        """Wait for the first text frame that is wanted."""
        await self.until(lambda: any(which(frame) for frame in self.frames))
        return next(frame for frame in self.frames if which(frame))

    async def control(self, name: str) -> Json:
        """Wait for a control frame."""
        return await self.frame(lambda frame: frame.get("control") == name)

    async def event(self, kind: str) -> Json:
        """Wait for an event of this type."""
        return await self.frame(lambda frame: frame.get("type") == kind)

    async def reply(self, frame_id: str | int | None) -> Json:
        """Wait for the answer to a command."""
        return await self.frame(lambda frame: "status" in frame and frame["id"] == frame_id)

    async def closed(self) -> Message:
        """Wait until the host closes the socket."""
        await self.until(lambda: self.sent[-1:] != [] and self.sent[-1]["type"] == "websocket.close")
        return self.sent[-1]

    async def denied(self) -> tuple[int, Json]:
        """Wait for an HTTP answer in place of a socket: its status and its problem."""
        await self.until(lambda: any(m["type"].endswith("response.body") for m in self.sent))
        start, body = self.sent
        assert start["type"] == "websocket.http.response.start"
        return start["status"], json.loads(body["body"])

    async def leave(self) -> None:
        """Go away, and wait until the face has noticed."""
        self._up.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self._task, WAIT_S)

    @property
    def frames(self) -> list[Json]:
        """Every text frame so far."""
        return [json.loads(m["text"]) for m in self.sent if m["type"] == "websocket.send"]

    @property
    def events(self) -> list[Json]:
        """Every event so far."""
        return [frame for frame in self.frames if "seq" in frame]


class World:
    """A host, its face, and the bootstrap admin who asks unless a test says who does."""

    def __init__(self, served: wiring.Served, home: Path) -> None:
        self.served = served
        self.host = served.host
        self.app: ASGIApp = served.app
        self.home = home
        self.root = served.admin_key
        self._open: list[Stream | Wire] = []
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE)

    def serve(self, options: Options, assets: Assets | None = None) -> None:
        """Put another face with these options, and these files of the console, on the same host."""
        self.app = create_app(self.host, options, version=tenure.__version__, assets=assets)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE)

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "",
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """One request. `key` is whose; the bootstrap admin's by default, None for nobody."""
        sent = {**self.bearer(key), **(headers or {})}
        if content is None and body is not None:
            content = json.dumps(body).encode()
        return await self.http.request(method, path, content=content, headers=sent)

    async def get(self, path: str, **how: Any) -> Any:
        """The body of a GET that is answered."""
        response = await self.ask("GET", path, **how)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, body: object = None, **how: Any) -> Any:
        """The body of a POST that is answered."""
        response = await self.ask("POST", path, body, **how)
        assert response.is_success, response.text
        return response.json()

    async def key(self, role: str, user: str = "ann", tenant: str = "default", **fields: object) -> str:
        """A new key of this principal."""
        made = await self.post("/v1/keys", {"role": role, "user": user, "tenant": tenant, **fields})
        return made["key"]

    async def session(self, **how: Any) -> str:
        """A new session with *scripted*: its id."""
        made = await self.post("/v1/sessions", {"agent": "scripted"}, **how)
        return made["id"]

    async def say(self, session: str, text: str, **how: Any) -> Json:
        """Send a message: its receipt."""
        return await self.post(f"/v1/sessions/{session}/messages", {"content": text}, **how)

    async def spoken(self, session: str, text: str) -> list[Any]:
        """Send a message and wait for its run to end: the whole journal."""
        stream = self.stream("POST", f"/v1/sessions/{session}/messages", {"content": text})
        await stream.end()
        page = await self.get(f"/v1/sessions/{session}/events?limit=1000")
        return page["data"]

    async def journal(self, session: str) -> list[Any]:
        """The first thousand events of a session."""
        page = await self.get(f"/v1/sessions/{session}/events?limit=1000")
        return page["data"]

    def bearer(self, key: str | None) -> dict[str, str]:
        """The header of a key."""
        return {} if key is None else {"Authorization": f"Bearer {key or self.root}"}

    def stream(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "",
        headers: dict[str, str] | None = None,
    ) -> Stream:
        """Begin a request whose answer is a stream."""
        sent = {"Accept": "text/event-stream", **self.bearer(key), **(headers or {})}
        scope = scope_of("http", path, {"Host": "localhost", **sent})
        scope["method"] = method
        stream = Stream(self.app, scope, b"" if body is None else json.dumps(body).encode())
        self._open.append(stream)
        return stream

    def follow(self, session: str, query: str = "", **how: Any) -> Stream:
        """Begin to follow a session."""
        return self.stream("GET", f"/v1/sessions/{session}/events{query}", **how)

    def socket(
        self,
        session: str,
        query: str = "",
        *,
        key: str | None = "",
        headers: dict[str, str] | None = None,
        denial: bool = True,
    ) -> Wire:
        """Open a WebSocket on a session. `denial` says that the server can refuse by an HTTP answer."""
        path = f"/v1/sessions/{session}/socket{query}"
        scope = scope_of("websocket", path, {"Host": "localhost", **self.bearer(key), **(headers or {})})
        scope["extensions"] = {"websocket.http.response": {}} if denial else {}
        wire = Wire(self.app, scope)
        self._open.append(wire)
        return wire

    async def close(self) -> None:
        """Leave all streams and stop the host."""
        for one in self._open:
            if isinstance(one, Stream):
                await one.abandon()
            else:
                await one.leave()
        await self.http.aclose()
        await self.served.close()


def scope_of(kind: str, path: str, headers: dict[str, str]) -> Scope:
    """What a server says of a connection."""
    raw, _, query = path.partition("?")
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": raw,
        "raw_path": raw.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 8321),
    }


EVERYWHERE = tuple(
    BindingSettings(id=tenant, tenant=tenant, agent="scripted", scope=ScopeSettings(type="global"))
    for tenant in ("default", "acme", "rival")
)
"""A binding for each tenant that takes all its messages."""


@asynccontextmanager
async def a_world(
    home: Path, bindings: tuple[BindingSettings, ...] = EVERYWHERE, **limits: int
) -> AsyncGenerator[World]:
    """A host with the demo agents, for one test."""
    settings = Settings(
        home=home, demo=True, entry_points=False, limits=LimitSettings(**limits), bindings=bindings
    )
    world = World(await wiring.build(settings), home)
    try:
        yield world
    finally:
        await world.close()
