"""Clients under whom a server dies: they send, stop, follow and resume, and keep every receipt and frame."""

import asyncio
import random
import signal
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

import httpx
import msgspec

from tenure.core.evidence import Acknowledged, Connection, Observed
from tests.crash.server import Server

SCRIPTS = (
    "SLOW 8 20",
    "SLOW 30 10",
    "BURST 60 80",
    "SAY one\nREASON two\nSLOW 5 30",
    "SAY hello\nBURST 20",
    "FAIL drawn",
    "CRASH",
    "VANISH",
)
GONE = httpx.TransportError


class Receipt(msgspec.Struct):
    """As much of a 202 as is a promise."""

    message_id: str
    seq: int


class Stopped(msgspec.Struct):
    """As much of an interrupt's 202 as is a promise."""

    run_id: str | None
    status: str


class Named(msgspec.Struct):
    """An answer with an id."""

    id: str


class Envelope(msgspec.Struct):
    """As much of an event as the load looks at."""

    seq: int
    type: str
    run_id: str | None


@dataclass
class Session:
    """One session and all that clients know of it."""

    id: str
    agent: str = "scripted"
    acknowledged: list[Acknowledged] = field(default_factory=list[Acknowledged])
    readers: list[list[tuple[int, list[bytes]]]] = field(default_factory=list[list[tuple[int, list[bytes]]]])
    live: set[str] = field(default_factory=set[str])

    def observed(self) -> Observed:
        return Observed(
            acknowledged=tuple(self.acknowledged),
            readers=tuple(tuple(Connection(a, tuple(f)) for a, f in reader) for reader in self.readers),
        )


class Load:
    """Several clients on one home, over the lives of several servers.

    Each of `agents` gets a session; a message of theirs is what `script` draws for that agent.
    """

    def __init__(self, seed: int, agents: Sequence[str] = ("scripted",) * 4) -> None:
        self.draw = random.Random(seed)
        self.agents = agents
        self.sessions: list[Session] = []
        self.seen = 0
        self._keys = count()
        self._enough: asyncio.Event = asyncio.Event()
        self._target = 0
        self._unanswered: list[tuple[Session, dict[str, object], dict[str, str]]] = []

    async def until_dead(self, server: Server, *, kill_after: int | None) -> None:
        """Load `server` until it dies: by itself, or by our kill after so many more receipts and frames."""
        self._enough.clear()
        self._target = self.seen + (kill_after or 1 << 60)
        headers = {"Authorization": f"Bearer {server.key}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as http:
            await self._open(http)
            working = [asyncio.create_task(work) for work in self._works(http)]
            if kill_after is not None:
                await self._enough.wait()
                server.kill()
            await asyncio.gather(*working)
        assert server.wait() == -signal.SIGKILL

    def _works(self, http: httpx.AsyncClient) -> list[Coroutine[None, None, None]]:
        """What is done at once until the server is gone."""
        return [
            *(self._send(http, session) for session in self.sessions),
            *(self._follow(http, session, reader) for session in self.sessions for reader in session.readers),
        ]

    def script(self, agent: str) -> str:
        """What is said next to an agent."""
        return self.draw.choice(SCRIPTS)

    async def _open(self, http: httpx.AsyncClient) -> None:
        """A few sessions with two readers each, in the first life."""
        for agent in self.agents[len(self.sessions) :]:
            try:
                answer = await http.post("/v1/sessions", json={"agent": agent})
            except GONE:
                return
            assert answer.status_code == 201, answer.text
            session = Session(msgspec.json.decode(answer.content, type=Named).id, agent)
            session.acknowledged.append(Acknowledged(1, "session.created"))
            session.readers += [[], []]
            self.sessions.append(session)

    def _count(self, some: int = 1) -> None:
        self.seen += some
        if self.seen >= self._target:
            self._enough.set()

    # --- commands

    async def _send(self, http: httpx.AsyncClient, session: Session) -> None:
        with suppress(GONE):
            await self._ask_again(http, session)
            while True:
                # Mostly refused while busy: queues that grow for ever would only make the end late.
                policy = self.draw.choice(("queue", "reject", "reject", "reject"))
                body: dict[str, object] = {"content": self.script(session.agent), "when_busy": policy}
                await self._post(http, session, body, {"Idempotency-Key": f"k{next(self._keys)}"})
                if self.draw.random() < 0.2:
                    await self._stop(http, session)
                await asyncio.sleep(self.draw.choice((0, 0.01, 0.05)))

    async def _ask_again(self, http: httpx.AsyncClient, session: Session) -> None:
        """What an earlier server didn't answer is asked again under the same key."""
        mine = [asked for asked in self._unanswered if asked[0] is session]
        self._unanswered = [asked for asked in self._unanswered if asked[0] is not session]
        for _, body, headers in mine:
            await self._post(http, session, body, headers)

    async def _post(
        self, http: httpx.AsyncClient, session: Session, body: dict[str, object], headers: dict[str, str]
    ) -> None:
        try:
            answer = await http.post(f"/v1/sessions/{session.id}/messages", json=body, headers=headers)
        except GONE:
            self._unanswered.append((session, body, headers))
            raise
        if answer.status_code in (409, 429):
            return
        assert answer.status_code == 202, answer.text
        receipt = msgspec.json.decode(answer.content, type=Receipt)
        session.acknowledged.append(Acknowledged(receipt.seq, "message.admitted", receipt.message_id))
        self._count()

    async def _stop(self, http: httpx.AsyncClient, session: Session) -> None:
        answer = await http.post(f"/v1/sessions/{session.id}/interrupt", json={"waiting": "run"})
        if answer.status_code == 409:
            return
        assert answer.status_code == 202, answer.text
        stopped = msgspec.json.decode(answer.content, type=Stopped)
        if stopped.run_id is not None:
            kind = "run.interrupting" if stopped.status == "interrupting" else "run.finished"
            session.acknowledged.append(Acknowledged(None, kind, stopped.run_id))
        self._count()

    # --- streams

    async def _follow(
        self, http: httpx.AsyncClient, session: Session, reader: list[tuple[int, list[bytes]]]
    ) -> None:
        """Follow to the server's death, with a cut now and then, always from the last number seen."""
        with suppress(GONE):
            while True:
                after = reader[-1][0] + len(reader[-1][1]) if reader else 0
                frames: list[bytes] = []
                reader.append((after, frames))
                await self._read(http, session, after, frames, self.draw.randint(20, 400))

    async def _read(
        self, http: httpx.AsyncClient, session: Session, after: int, frames: list[bytes], most: int
    ) -> None:
        path, rest = f"/v1/sessions/{session.id}/events", b""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        async with http.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            async for chunk in answer.aiter_raw():
                *whole, rest = (rest + chunk).split(b"\n\n")
                seen = [frame.partition(b"\ndata: ")[2] for frame in whole if frame.startswith(b"id: ")]
                frames += seen
                for envelope in seen:
                    self._notice(session, envelope)
                self._count(len(seen))
                if len(frames) >= most:
                    return

    def _notice(self, session: Session, line: bytes) -> None:
        envelope = msgspec.json.decode(line, type=Envelope)
        if envelope.run_id is not None and envelope.type == "run.started":
            session.live.add(envelope.run_id)
        elif envelope.run_id is not None and envelope.type == "run.finished":
            session.live.discard(envelope.run_id)

    # --- afterwards

    def observed(self) -> dict[str, Observed]:
        """What all clients were told and shown, by session."""
        return {session.id: session.observed() for session in self.sessions}

    def live_runs(self) -> dict[str, set[str]]:
        """The runs that clients saw start and didn't see end, by session."""
        return {session.id: set(session.live) for session in self.sessions}
