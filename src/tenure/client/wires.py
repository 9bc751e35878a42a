"""How requests travel: one blocking wire and one asynchronous wire under the same protocol.

`line` speaks the protocol over either. A wire decides nothing, repeats nothing and never reads a body's
meaning; whatever breaks on the way is a `Broken`.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Generator, Mapping
from contextlib import aclosing, closing, contextmanager
from typing import Generic, NamedTuple, Protocol, TypedDict, TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent

from tenure.client.place import Place, is_loopback

T = TypeVar("T")

CONNECT_S = 5.0
ANSWER_S = 60.0
SILENCE_S = 45.0
"""A stream that says nothing for so long, not even a comment, is dead: a comment is due every 15 s."""


class Request(NamedTuple):
    """One request; the wire adds the address and the key."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


class Answer(NamedTuple):
    """One answer. `headers` may be asked by names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Frame(NamedTuple):
    """One frame of an event stream. Events of a journal have the name `message`."""

    name: str
    data: str


class Broken(Exception):
    """The connection failed. `met` says whether a server had taken it."""

    def __init__(self, reason: str, *, met: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.met = met


class Stream(Protocol):
    """An answer that goes on. One that is no event stream is whole in `head`, and has no frames."""

    @property
    def head(self) -> Answer: ...
    def read(self) -> Awaitable[Frame | None]:
        """The next frame, or None at the end. Raises Broken."""
        ...

    def close(self) -> Awaitable[None]: ...


class Wire(Protocol):
    """Sends and waits. Both forms look alike to whoever awaits them."""

    def exchange(self, request: Request) -> Awaitable[Answer]:
        """Send a request and take its whole answer. Raises Broken."""
        ...

    def connect(self, request: Request) -> Awaitable[Stream]:
        """Send a request and keep its answer open. Raises Broken."""
        ...

    def pause(self, seconds: float) -> Awaitable[None]: ...
    def close(self) -> Awaitable[None]: ...


class Ready(Generic[T]):
    """An awaitable whose value is already there, so that a blocking call can be awaited."""

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, T]:
        yield from ()
        return self._value


DONE = Ready(None)


class _Common(TypedDict):
    base_url: httpx.URL
    headers: dict[str, str]
    timeout: httpx.Timeout
    limits: httpx.Limits
    trust_env: bool
    verify: ssl.SSLContext | bool


def _settings(place: Place) -> _Common:
    url = httpx.URL(place.url)
    return {
        "base_url": url,
        "headers": {
            "Authorization": f"Bearer {place.key}",
            "Accept-Encoding": "identity",
            "User-Agent": "tenure",
        },
        "timeout": httpx.Timeout(ANSWER_S, connect=CONNECT_S),
        # Followed streams are connections too; the server counts them, not the client.
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        # A proxy for the outside world can't reach this machine's own loopback.
        "trust_env": not is_loopback(url.host),
        # Where nothing is encrypted no certificates need be loaded; redirects are never followed.
        "verify": httpx.create_ssl_context() if url.scheme == "https" else False,
    }


@contextmanager
def _breakage() -> Generator[None]:
    """Turns what httpx raises on the way into Broken."""
    try:
        yield
    except httpx.RequestError as error:
        never = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
        raise Broken(str(error) or type(error).__name__, met=not never) from None


def _headers(request: Request) -> dict[str, str]:
    kind = {} if request.body is None else {"Content-Type": "application/json"}
    return {**kind, **dict(request.headers)}


def _streaming(request: Request) -> tuple[dict[str, str], httpx.Timeout]:
    headers = {**_headers(request), "Accept": "text/event-stream"}
    return headers, httpx.Timeout(ANSWER_S, connect=CONNECT_S, read=SILENCE_S)


def is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the answer with this head goes on as a stream of events."""
    return status == 200 and headers.get("Content-Type", "").startswith("text/event-stream")


def _goes_on(response: httpx.Response) -> bool:
    return is_event_stream(response.status_code, response.headers)


def _whole(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.content)


def _head(response: httpx.Response) -> Answer:
    body = b"" if _goes_on(response) else response.content
    return Answer(response.status_code, response.headers, body)


def _frame(event: ServerSentEvent | None) -> Frame | None:
    return None if event is None else Frame(event.event, event.data)


def _is_silent(event: ServerSentEvent | None) -> bool:
    """Whether it is only a comment, by which a server shows in a long silence that it is there.

    The decoder makes an event of it once the stream has had an id; a real one always has data.
    """
    return event is not None and not event.data


class BlockingStream:
    """A stream read by blocking calls."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._events = EventSource(response).iter_sse()
        self.head = _head(response)

    def read(self) -> Ready[Frame | None]:
        """Wait for the next frame."""
        with _breakage():
            while _is_silent(event := next(self._events, None)):
                pass
            return Ready(_frame(event))

    def close(self) -> Ready[None]:
        """Give the connection up."""
        self._response.close()
        return DONE


class BlockingWire:
    """Waits by blocking the thread. Several threads may use one."""

    def __init__(self, place: Place) -> None:
        self._http = httpx.Client(**_settings(place))

    def exchange(self, request: Request) -> Ready[Answer]:
        """Send, and block until the answer is there."""
        with _breakage():
            response = self._http.request(
                request.method,
                request.path,
                params=request.query,
                headers=_headers(request),
                content=request.body,
            )
        return Ready(_whole(response))

    def connect(self, request: Request) -> Ready[Stream]:
        """Send, and block until the head of the answer is there."""
        headers, timeout = _streaming(request)
        ready = self._http.build_request(
            request.method,
            request.path,
            params=request.query,
            headers=headers,
            content=request.body,
            timeout=timeout,
        )
        with _breakage():
            response = self._http.send(ready, stream=True)
            if not _goes_on(response):
                with closing(response):
                    response.read()
        return Ready(BlockingStream(response))

    def pause(self, seconds: float) -> Ready[None]:
        """Block for a while."""
        time.sleep(seconds)
        return DONE

    def close(self) -> Ready[None]:
        """Close all connections."""
        self._http.close()
        return DONE


class AwaitingStream:
    """A stream read in an event loop."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._events: AsyncGenerator[ServerSentEvent, None] = EventSource(response).aiter_sse()
        self.head = _head(response)

    async def read(self) -> Frame | None:
        """Wait for the next frame."""
        with _breakage():
            while _is_silent(event := await anext(self._events, None)):
                pass
            return _frame(event)

    async def close(self) -> None:
        """Give the connection up."""
        await self._events.aclose()
        await self._response.aclose()


class AwaitingWire:
    """Waits in the running event loop, and belongs to it."""

    def __init__(self, place: Place) -> None:
        self._http = httpx.AsyncClient(**_settings(place))

    async def exchange(self, request: Request) -> Answer:
        """Send, and wait until the answer is there."""
        with _breakage():
            response = await self._http.request(
                request.method,
                request.path,
                params=request.query,
                headers=_headers(request),
                content=request.body,
            )
        return _whole(response)

    async def connect(self, request: Request) -> Stream:
        """Send, and wait until the head of the answer is there."""
        headers, timeout = _streaming(request)
        ready = self._http.build_request(
            request.method,
            request.path,
            params=request.query,
            headers=headers,
            content=request.body,
            timeout=timeout,
        )
        with _breakage():
            response = await self._http.send(ready, stream=True)
            if not _goes_on(response):
                async with aclosing(response):
                    await response.aread()
        return AwaitingStream(response)

    async def pause(self, seconds: float) -> None:
        """Wait for a while."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()
