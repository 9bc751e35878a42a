"""People whose hosts die, freeze and lose their database, and who go on with any other host.

They send, steer, stop, decide and follow under keys and cursors, and keep each receipt and frame.
What a host may not answer is noted as a fault. Used by the journeys and the chaos.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import httpx
import msgspec

from tenure.core.evidence import Acknowledged, Observed
from tests.cluster.servers import ADMIN_KEY
from tests.crash.load import Receipt, Session, Stopped

SCRIPTS = (
    "SLOW 8 20",
    "SLOW 30 20",
    "BURST 60 80",
    "SAY one\nREASON two\nSLOW 5 30",
    "SAY hello\nBURST 20",
    "ONCE log.txt\nSLOW 4 20\nONCE log.txt",
    "SLOW 6 20\nONCE log.txt\nSLOW 6 20",
    "ASK shall I?\nSLOW 3 10",
    "FAIL drawn",
)
LATER = (502, 503, 504)
REFUSED = (404, 409, 410, 422, 429)
PATIENCE_S = 3.0
PAUSES = (0.02, 0.1, 0.3)
Frames = list[bytes]


class People:
    """Several sessions, each with somebody who talks and two who follow, and one who decides for all."""

    def __init__(self, seed: int, urls: Callable[[], Sequence[str]], sessions: int = 6) -> None:
        self.draw = random.Random(seed)
        self.sessions: list[Session] = []
        self.faults: list[str] = []
        self.answers: Counter[int] = Counter()
        """How often each status was answered; 0 stands for no answer at all."""
        self._urls = urls
        self._many = sessions
        self._keys = count()
        self._calm = asyncio.Event()
        self._heads: dict[str, int] = {}
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
            timeout=PATIENCE_S,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )

    async def open(self) -> None:
        """Open the sessions."""
        for _ in range(self._many):
            answer = await self._ask("POST", "/v1/sessions", {"agent": "scripted"})
            session = Session(answer.json()["id"])
            session.acknowledged.append(Acknowledged(1, "session.created"))
            session.readers += [[], []]
            self.sessions.append(session)

    async def live(self) -> None:
        """Talk and decide until all is calm; then follow to the end of each journal."""
        followers = [
            asyncio.create_task(self._follow(session, reader))
            for session in self.sessions
            for reader in session.readers
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for session in self.sessions:
                    group.create_task(self._talk(session))
                group.create_task(self._decide())
            await self._rest()
            await asyncio.wait_for(asyncio.gather(*followers), 30)
        finally:
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)
            await self._http.aclose()

    def calm(self) -> None:
        """Say nothing new."""
        self._calm.set()

    def observed(self) -> dict[str, Observed]:
        """What all were told and shown, by session."""
        return {session.id: session.observed() for session in self.sessions}

    # --- requests

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Ask any host until one answers, always under the same key."""
        headers = {"Idempotency-Key": f"k{next(self._keys)}"} if method == "POST" else {}
        while True:
            url = self.draw.choice(self._urls())
            try:
                answer = await self._http.request(method, url + path, json=body, headers=headers)
            except httpx.TransportError:
                self.answers[0] += 1
                await asyncio.sleep(0.2)
                continue
            self.answers[answer.status_code] += 1
            if answer.status_code in LATER:
                if "retry-after" not in answer.headers:
                    self._fault(method, path, answer, "without Retry-After")
                await asyncio.sleep(self.draw.uniform(0.2, 0.6))
                continue
            if answer.status_code >= 300 and answer.status_code not in REFUSED:
                self._fault(method, path, answer, "")
            return answer

    def _fault(self, method: str, path: str, answer: httpx.Response, more: str) -> None:
        self.faults.append(f"{method} {path}: {answer.status_code} {more} {answer.text[:300]}")

    async def _talk(self, session: Session) -> None:
        while not self._calm.is_set():
            policy = self.draw.choice(("queue", "steer", "reject", "reject", "reject"))
            await self._say(session, self.draw.choice(SCRIPTS), policy)
            if self.draw.random() < 0.15:
                await self._stop(session)
            if self.draw.random() < 0.05:
                await self._ask("POST", f"/v1/sessions/{session.id}/undo", {})
            await asyncio.sleep(self.draw.choice(PAUSES))

    async def _say(self, session: Session, text: str, when_busy: str) -> None:
        body = {"content": text, "when_busy": when_busy}
        answer = await self._ask("POST", f"/v1/sessions/{session.id}/messages", body)
        if answer.status_code == 202:
            receipt = msgspec.json.decode(answer.content, type=Receipt)
            session.acknowledged.append(Acknowledged(receipt.seq, "message.admitted", receipt.message_id))

    async def _stop(self, session: Session) -> None:
        answer = await self._ask("POST", f"/v1/sessions/{session.id}/interrupt", {"waiting": "run"})
        if answer.status_code != 202:
            return
        stopped = msgspec.json.decode(answer.content, type=Stopped)
        if stopped.run_id is not None:
            kind = "run.interrupting" if stopped.status == "interrupting" else "run.finished"
            session.acknowledged.append(Acknowledged(None, kind, stopped.run_id))

    async def _decide(self) -> None:
        while not self._calm.is_set():
            await self._decide_once()
            await asyncio.sleep(0.1)

    async def _decide_once(self) -> None:
        answer = await self._ask("GET", "/v1/approvals?status=pending&limit=1000")
        for approval in answer.json().get("data", []):
            decision = self.draw.choice(("approve", "approve", "deny"))
            told = await self._ask("POST", f"/v1/approvals/{approval['id']}", {"decision": decision})
            if told.status_code == 200:
                session = next(one for one in self.sessions if one.id == approval["session_id"])
                session.acknowledged.append(Acknowledged(None, "approval.resolved", approval["id"]))

    async def _rest(self) -> None:
        """Decide what is asked until every session is idle; then the journals have their ends."""
        deadline = asyncio.get_running_loop().time() + 60
        restless = list(self.sessions)
        while restless and asyncio.get_running_loop().time() < deadline:
            await self._decide_once()
            restless = [session for session in restless if not await self._is_idle(session)]
            await asyncio.sleep(0.05)
        self.faults += [f"The session {session.id} never comes to rest." for session in restless]
        for session in self.sessions:
            await self._note_head(session)

    async def _is_idle(self, session: Session) -> bool:
        info = (await self._ask("GET", f"/v1/sessions/{session.id}")).json()
        page = (await self._ask("GET", f"/v1/sessions/{session.id}/messages")).json()
        if info["status"] == "idle" and page["waiting"]:
            # An undo or a stop may have left messages held.
            await self._ask("POST", f"/v1/sessions/{session.id}/interrupt", {"waiting": "run"})
        return info["status"] == "idle" and not page["waiting"]

    async def _note_head(self, session: Session) -> None:
        info = (await self._ask("GET", f"/v1/sessions/{session.id}")).json()
        self._heads[session.id] = info["head_seq"]

    # --- streams

    async def _follow(self, session: Session, reader: list[tuple[int, Frames]]) -> None:
        """Follow on any host, with a cut now and then, always from the last number seen, to the very end."""
        while True:
            after = reader[-1][0] + len(reader[-1][1]) if reader else 0
            if after >= self._heads.get(session.id, 1 << 60):
                return
            frames: Frames = []
            reader.append((after, frames))
            try:
                await self._read(session, after, frames, self.draw.randint(20, 400))
            except httpx.TransportError:
                await asyncio.sleep(0.3)

    async def _read(self, session: Session, after: int, frames: Frames, most: int) -> None:
        url, rest = self.draw.choice(self._urls()), b""
        path = f"{url}/v1/sessions/{session.id}/events"
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        async with self._http.stream("GET", path, headers=headers) as answer:
            self.answers[answer.status_code] += 1
            if answer.status_code != 200:
                await answer.aread()
                if answer.status_code not in LATER:
                    self._fault("GET", path, answer, "")
                await asyncio.sleep(0.3)
                return
            async for chunk in answer.aiter_raw():
                *whole, rest = (rest + chunk).split(b"\n\n")
                for frame in whole:
                    if frame.startswith(b"id: "):
                        frames.append(frame.partition(b"\ndata: ")[2])
                    elif frame.startswith(b"event: gap"):
                        self.faults.append(f"{session.id} has a gap after {after + len(frames)}: {frame!r}")
                if len(frames) >= most:
                    return
