"""The protocol, written once: ask, ask again where that is safe, and follow a stream across its breaks.

`calls` speaks through it, over a blocking or an asynchronous wire; it can't tell which. It never asks
twice for something that isn't safe to repeat: every POST carries a key under which it happens once.
"""

import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from tenure.client.failures import ServerUnreachable
from tenure.client.journal import Gap, JournalEvent, journal_event
from tenure.client.problems import decoded, is_passing, refusal_of, wait_of
from tenure.client.wires import Answer, Broken, Frame, Request, Stream, Wire, is_event_stream
from tenure.errors import Code, TenureError

T = TypeVar("T")

Until: TypeAlias = Callable[[JournalEvent], bool]

LAST_EVENT_ID, HISTORY = "Last-Event-ID", "Tenure-History"
CLOSED = "closed"

NOBODY_THERE = "Start the server with `tenure serve`, or name another with --server or TENURE_SERVER."
MISTRUSTED = (
    "Use an address that the certificate names, and give the authority that signed it in SSL_CERT_FILE."
)

SHORTEST_S = 0.05
LONGEST_S = 5.0

FINAL = frozenset({"deleted", "settled", "withdrawn"})
"""Why a stream ends for good. After any other reason it goes on with a new connection."""


class Setback(Exception):
    """A request failed in a way that may pass. `error` is what to raise once nobody waits any longer."""

    def __init__(self, error: Exception, wait_s: float | None = None, *, final: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s
        self.final = final


class Closed(msgspec.Struct, frozen=True):
    """The server ended a stream, and says why."""

    reason: str


class Tries:
    """How often something failed in a row, and since when. A success begins the count anew."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._failed = 0
        self._since = 0.0

    def succeeded(self) -> None:
        """Something came through."""
        self._failed = 0

    def failed(self, setback: Setback) -> float:
        """The seconds to wait before the next try. Raises the setback's error when patience is at its end."""
        now = time.monotonic()
        if not self._failed:
            self._since = now
        self._failed += 1
        wait = self._backoff() if setback.wait_s is None else setback.wait_s
        if setback.final or now + wait - self._since > self._patience_s:
            raise setback.error from None
        return wait

    def _backoff(self) -> float:
        """Twice as long each time, and never the same for two clients that failed together."""
        most = min(LONGEST_S, SHORTEST_S * 2 ** min(self._failed - 1, 10))
        return random.uniform(most / 2, most)


class Line:
    """The way to one server. `patience_s` is how long it may be out of reach before that is an error."""

    def __init__(self, wire: Wire, address: str, patience_s: float) -> None:
        self.address = address
        self._wire = wire
        self._patience_s = patience_s
        self._met = False

    async def close(self) -> None:
        """Close all connections."""
        await self._wire.close()

    async def ask(self, request: Request, kind: type[T]) -> T:
        """The answer to a request that is safe to repeat, as a value.

        Raises TenureError as the server did, and ServerUnreachable if it stays out of reach.
        """
        return decoded((await self.send(request)).body, kind, self.address)

    async def send(self, request: Request, *, gone: bool = False) -> Answer:
        """Send a request that is safe to repeat, until it is answered.

        With `gone`, a 404 after a lost answer is a success: what was to be deleted isn't there any more.
        """
        tries, repeated = Tries(self._patience_s), False
        while True:
            try:
                return await self._exchange(request, gone=gone and repeated)
            except Setback as setback:
                await self._wire.pause(tries.failed(setback))
                repeated = True

    async def follow(
        self, path: str, after: int, history: str | None, until: Until | None
    ) -> AsyncGenerator[JournalEvent | Gap, None]:
        """The events of a journal after a number, each once and in order.

        It ends after an event for which `until` holds, or when the session is deleted. Raises
        TenureError, among others `cursor_ahead`, and `history_changed` if the store was set back.
        """
        place = _Place(path, after, history)
        async with aclosing(self._frames(place)) as frames:
            async for frame in frames:
                item = place.take(frame, self.address)
                if item is not None:
                    yield item
                if until is not None and isinstance(item, JournalEvent) and until(item):
                    return

    async def answered(self, request: Request) -> AsyncGenerator[JournalEvent, None]:
        """The events of the message that a request sends, and of the run that takes it, to its end."""
        conversation = _Conversation(request)
        async with aclosing(self._frames(conversation)) as frames:
            async for frame in frames:
                event = conversation.take(frame)
                if event is not None:
                    yield event

    async def _frames(self, reader: "_Reader") -> AsyncGenerator[Frame, None]:
        """The frames of a stream, opened anew whenever it breaks, from where its reader is by then.

        It ends where the server closes it for good. Raises like `ask`.
        """
        tries = Tries(self._patience_s)
        while True:
            try:
                async with self._opened(reader.request()) as stream:
                    reader.greeted(stream.head)
                    while (frame := await self._read(stream)) is not None:
                        if frame.name != CLOSED:
                            tries.succeeded()
                            yield frame
                        elif decoded(frame.data, Closed, self.address).reason in FINAL:
                            return
                raise Setback(self._unreachable("the stream ended"))
            except Setback as setback:
                wait = tries.failed(setback)
            await self._wire.pause(wait)

    @asynccontextmanager
    async def _opened(self, request: Request) -> AsyncGenerator[Stream, None]:
        try:
            stream = await self._wire.connect(request)
        except Broken as broken:
            raise self._setback(broken) from None
        try:
            self._met = True
            self._check_stream(self._accepted(stream.head))
            yield stream
        finally:
            await stream.close()

    async def _read(self, stream: Stream) -> Frame | None:
        try:
            return await stream.read()
        except Broken as broken:
            raise self._setback(broken) from None

    async def _exchange(self, request: Request, *, gone: bool) -> Answer:
        try:
            answer = await self._wire.exchange(request)
        except Broken as broken:
            raise self._setback(broken) from None
        self._met = True
        if answer.status == 404 and gone:
            return answer
        return self._accepted(answer)

    def _accepted(self, answer: Answer) -> Answer:
        """The answer, if it is a success. Raises Setback or TenureError otherwise."""
        if answer.status < 300:
            return answer
        refusal = refusal_of(answer, self.address)
        if is_passing(answer):
            raise Setback(refusal, wait_of(answer))
        raise refusal

    def _check_stream(self, head: Answer) -> None:
        if not is_event_stream(head.status, head.headers):
            raise TenureError(
                Code.INTERNAL,
                f"{self.address} answered with {head.headers.get('Content-Type')} instead of a stream "
                "of events. Check what stands in between.",
            )

    def _setback(self, broken: Broken) -> Setback:
        """A server that was there will come back; an address where none ever was is likely a wrong one."""
        self._met = self._met or broken.met
        return Setback(self._unreachable(broken.reason), final=not self._met)

    def _unreachable(self, reason: str) -> ServerUnreachable:
        way_out = MISTRUSTED if "CERTIFICATE_VERIFY_FAILED" in reason else NOBODY_THERE
        return ServerUnreachable(self.address, reason, way_out)


class _Reader(Protocol):
    """Somebody who reads a stream across its breaks."""

    def request(self) -> Request:
        """What opens the stream where the reader is."""
        ...

    def greeted(self, head: Answer) -> None:
        """The stream is open."""
        ...


class _Place:
    """Where a follower stands in a journal, and in which history."""

    def __init__(self, path: str, after: int, history: str | None) -> None:
        self._path = path
        self._after = after
        self._history = history

    def request(self) -> Request:
        """What continues the journal from here."""
        headers = [(LAST_EVENT_ID, str(self._after))]
        if self._history is not None:
            headers.append((HISTORY, self._history))
        return Request("GET", self._path, headers=tuple(headers))

    def greeted(self, head: Answer) -> None:
        """From now on the stream's history is the one that counts."""
        self._history = head.headers.get(HISTORY, self._history)

    def take(self, frame: Frame, address: str) -> JournalEvent | Gap | None:
        """What a frame brings that is new. Raises TenureError `internal` for a hole in the journal."""
        match frame.name:
            case "message":
                return self._event(journal_event(frame.data))
            case "gap":
                gap = decoded(frame.data, Gap, address)
                self._after = gap.min_available - 1
                return gap
            case _:
                return None

    def _event(self, event: JournalEvent) -> JournalEvent | None:
        if event.seq <= self._after:
            return None
        if event.seq != self._after + 1:
            raise TenureError(
                Code.INTERNAL,
                f"After event {self._after} came {event.seq}, and no gap was announced. Follow again "
                f"from {self._after}, and report it if it stays.",
                after=self._after,
                seq=event.seq,
            )
        self._after = event.seq
        return event


class _Conversation:
    """Where the reader of one message's answer stands. Its numbers have holes: others speak too."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._after = 0

    def request(self) -> Request:
        """The same message under the same key, from the last event on."""
        if not self._after:
            return self._request
        place = (LAST_EVENT_ID, str(self._after))
        return self._request._replace(headers=(*self._request.headers, place))

    def greeted(self, head: Answer) -> None:
        """A new connection changes nothing."""

    def take(self, frame: Frame) -> JournalEvent | None:
        """The event in a frame, if it is a new one."""
        if frame.name != "message":
            return None
        event = journal_event(frame.data)
        if event.seq <= self._after:
            return None
        self._after = event.seq
        return event
