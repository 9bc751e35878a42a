"""The endpoint of an agent: what is posted to it, and the events that it answers with, as text.

One for each agent, shared by its runs; it keeps connections open until it is closed. Nothing that comes from
the endpoint, or goes wrong on the way, is shown with the values of the headers.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from enum import Enum
from typing import NoReturn
from urllib.parse import urlsplit

import httpx

from tenure.errors import Code, TenureError

MOST_EVENT = 16 * 1024 * 1024
"""How many characters one event may have. A stream that never ends a line would fill the memory."""
MOST_TOLD = 500
"""How much of an endpoint's own words about an error are shown."""
MOST_BODY = 64 * 1024
KEEP_S = 2.0
"""How long a connection is kept that isn't used."""

_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")
_PASSING = (408, 429, 500, 502, 503, 504)
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


class Beat(Enum):
    """What a reader is told between events."""

    SILENCE = "silence"
    """Nothing came for as long as it had patience."""
    STOP = "stop"
    """The run was asked to stop."""


class StreamCut(Exception):
    """The connection was lost in the middle of the answer."""


class Endpoint:
    """One AG-UI endpoint. It is the residence of its runner too."""

    def __init__(self, name: str, url: str, headers: dict[str, str], connect_s: float) -> None:
        self.name = name
        self.fault: str | None = None
        self._url = url
        self._headers = headers
        self._patience = httpx.Timeout(None, connect=connect_s, write=connect_s)
        self._client: httpx.AsyncClient | None = None

    @property
    def place(self) -> str:
        """Where it is, without what may be secret in its address."""
        parts = urlsplit(self._url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"

    def masked(self, text: str) -> str:
        """`text` without the values of the headers and the secret parts of the address."""
        parts = urlsplit(self._url)
        secrets = [*self._headers.values(), parts.query, parts.password or ""]
        words = {word for secret in secrets for word in (secret, *secret.split()) if len(word) > 3}
        for word in sorted(words, key=lambda word: (-len(word), word)):
            text = text.replace(word, "[…]")
        return text

    def kept(self) -> Iterable[str]:
        """No session's."""
        return ()

    async def forget(self, session_id: str) -> None:
        """Nothing is kept for a session."""

    async def close(self) -> None:
        """Close all connections. Answers that are being read end."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def frames(self, body: bytes) -> AsyncGenerator[str, None]:
        """Post `body` and read the data of each event that comes back. Closing it closes the request.

        Raises TenureError `runner_unavailable` if the endpoint can't be reached or doesn't answer with a
        stream, and StreamCut if that breaks off.
        """
        # Never redirected: the headers hold keys, and they are for this address alone.
        client = self._client = self._client or self._opened()
        headers = {**self._headers, "Accept": "text/event-stream", "Content-Type": "application/json"}
        asking = client.build_request("POST", self._url, content=body, headers=headers)
        try:
            answer = await client.send(asking, stream=True, follow_redirects=False)
        except _FAULTS as error:
            self._unreachable(error)
        try:
            await self._check(answer)
            self.fault = None
            async with aclosing(_frames(answer)) as frames:
                async for frame in frames:
                    yield frame
        finally:
            await answer.aclose()

    def _opened(self) -> httpx.AsyncClient:
        # Servers commonly close an idle connection after 5 s; one that we would use just then is lost. And a
        # run that waited for a connection of another would wait for as long as that takes.
        limits = httpx.Limits(max_connections=None, keepalive_expiry=KEEP_S)
        return httpx.AsyncClient(timeout=self._patience, limits=limits, headers={"User-Agent": "tenure"})

    def _unreachable(self, error: Exception) -> NoReturn:
        why = self.masked(str(error)) or type(error).__name__
        self._refuse(
            f"{self.place} can't be reached: {why}. Start the endpoint, or correct agents.{self.name}.url.",
            retryable=True,
            cause=error,
        )

    def _refuse(self, detail: str, *, retryable: bool, cause: Exception | None = None) -> NoReturn:
        self.fault = detail
        raise TenureError(Code.RUNNER_UNAVAILABLE, detail, retryable=retryable) from cause

    async def _check(self, answer: httpx.Response) -> None:
        """Refuse what is no stream of events, and say what to do. Raises TenureError."""
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if answer.status_code == 200 and kind == "text/event-stream":
            return
        told = await self._told(answer)
        self._refuse(
            f"The endpoint {self.place} {self._wrong(answer, kind)}{told}",
            retryable=answer.status_code in _PASSING,
        )

    def _wrong(self, answer: httpx.Response, kind: str) -> str:
        table = f"agents.{self.name}"
        match answer.status_code:
            case 401 | 403 as status:
                return f"refused us ({status}). Set what it asks for in {table}.headers."
            case 404 | 405 as status:
                return f"has no AG-UI agent there ({status}). Correct {table}.url."
            case status if 300 <= status < 400:
                to = urlsplit(str(answer.headers.get("location", "")))
                return f"redirects to {to.scheme}://{to.hostname}{to.path}. Put that into {table}.url."
            case 400 | 422 as status:
                return f"doesn't take the input of AG-UI 1.0 ({status}). Look at what it says."
            case 200:
                return f"answers with {kind or 'nothing'}, not a stream of events. Correct {table}.url."
            case status:
                return f"failed ({status}). Look at its log, then send the message again."

    async def _told(self, answer: httpx.Response) -> str:
        """The endpoint's own words, if it has any."""
        body = b""
        with suppress(*_FAULTS):  # what came so far will do
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MOST_BODY:
                    break
        text = self.masked(body.decode("utf-8", "replace").strip())
        return f" It says: {text[:MOST_TOLD]}" if text else ""


async def _frames(answer: httpx.Response) -> AsyncGenerator[str, None]:
    """The data of each event of a stream. One without the empty line behind it doesn't count."""
    data, size = list[str](), 0
    async for line in _lines(answer):
        if not line and data:
            yield "\n".join(data)
            data, size = [], 0
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
            size += len(line)
            _check_size(size)


async def _lines(answer: httpx.Response) -> AsyncGenerator[str, None]:
    """The lines of a stream, which may be cut anywhere on the wire: even between a CR and its LF."""
    held, size = list[str](), 0
    try:
        async for text in answer.aiter_text():
            last = held.pop() if held and held[-1].endswith("\r") else ""
            *lines, rest = _LINE_END.split(last + text)
            if lines:
                lines[0], held, size = "".join([*held, lines[0]]), [], 0
            held.append(rest)
            size += len(rest)
            _check_size(size)
            for line in lines:
                yield line
    except _FAULTS as error:
        raise StreamCut(str(error) or type(error).__name__) from error


def _check_size(size: int) -> None:
    if size > MOST_EVENT:
        raise StreamCut(f"an event has more than {MOST_EVENT} characters")


async def paced(
    frames: AsyncIterator[str], stopped: Callable[[], Awaitable[None]], patience: Callable[[], float | None]
) -> AsyncGenerator[str | Beat, None]:
    """Each frame as it comes, and the beats between. Ends after STOP, and with the frames."""
    stop = asyncio.ensure_future(stopped())
    reading: asyncio.Future[str | None] | None = None
    try:
        while True:
            reading = reading or asyncio.ensure_future(anext(frames, None))
            await asyncio.wait({reading, stop}, timeout=patience(), return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                yield Beat.STOP
                return
            if not reading.done():
                yield Beat.SILENCE
                continue
            frame, reading = reading.result(), None
            if frame is None:
                return
            yield frame
    finally:
        await _cancelled(stop, reading)


async def _cancelled(*futures: "asyncio.Future[None] | asyncio.Future[str | None] | None") -> None:
    """Cancel what is still awaited, and wait until it is over."""
    left = [future for future in futures if future is not None and not future.done()]
    for future in left:
        future.cancel()
    if left:
        await asyncio.wait(left)
