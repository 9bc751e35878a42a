"""Every question that can be asked of a server, each written once for both kinds of client.

Programs use `Client` and `AsyncClient`; their methods are those of `Calls`.
"""

import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from tenure.client.face import Awaiting, Blocking, finish, many, once
from tenure.client.journal import EventPage, Gap, JournalEvent, PageBody, journal_event, page_of
from tenure.client.line import Line, Until
from tenure.client.place import Place, find_place
from tenure.client.wires import AwaitingWire, BlockingWire, Request, Wire
from tenure.core.command import (
    CloseSession,
    Conversation,
    CreateKey,
    Drain,
    InterruptRun,
    OpenSession,
    ReopenSession,
    SendMessage,
    UpdateSession,
    Waiting,
)
from tenure.core.content import Content
from tenure.core.message import BusyPolicy
from tenure.core.principal import Role
from tenure.core.view import (
    AgentInfo,
    InterruptReceipt,
    KeyInfo,
    MessageInfo,
    MessageReceipt,
    NewKey,
    RunInfo,
    SessionInfo,
    Stats,
    TranscriptPage,
    WhoAmI,
)

T = TypeVar("T")

PATIENCE_S = 30.0
PAGE = 200


class _Page(msgspec.Struct, Generic[T], frozen=True):
    data: tuple[T, ...]
    next_cursor: str | None = None


class Calls:
    """What both clients can do.

    Refusals are raised as TenureError with the server's code, detail and facts; a server that stays out
    of reach as ServerUnreachable. Commands are repeated under one idempotency key after a dropped
    connection, so each happens once.
    """

    def __init__(self, wire: Wire, place: Place, patience_s: float) -> None:
        self.address = place.url
        self._line = Line(wire, place.url, patience_s)

    @once
    async def whoami(self) -> WhoAmI:
        """The principal behind the key, and the id of the store's history."""
        return await self._line.ask(_get("whoami"), WhoAmI)

    @once
    async def stats(self) -> Stats:
        """Live figures of the server."""
        return await self._line.ask(_get("stats"), Stats)

    @once
    async def agents(self) -> tuple[AgentInfo, ...]:
        """The catalogue of agents."""
        return (await self._line.ask(_get("agents"), _Page[AgentInfo])).data

    @once
    async def drain(self, *, idempotency_key: str | None = None) -> None:
        """Take the server out of service. Only the bootstrap admin may."""
        await self._line.send(_post(Drain(), idempotency_key, "drain"))

    # keys

    @once
    async def create_key(
        self,
        user: str,
        role: Role,
        *,
        name: str = "",
        tenant: str | None = None,
        expires_at: str | None = None,
    ) -> NewKey:
        """Make an API key; its secret is in the answer and nowhere else. `expires_at` is RFC 3339."""
        ask = CreateKey(user=user, role=role, name=name, tenant=tenant, expires_at=expires_at)
        return await self._line.ask(_post(ask, None, "keys"), NewKey)

    @many
    def keys(self) -> AsyncGenerator[KeyInfo, None]:
        """Every key that the caller may see, without its secret."""
        return self._pages(KeyInfo, "keys")

    @once
    async def key(self, key_id: str) -> KeyInfo:
        """One key, without its secret."""
        return await self._line.ask(_get("keys", key_id), KeyInfo)

    @once
    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key: it opens nothing any more, and its open streams end."""
        await self._line.send(Request("DELETE", _path("keys", key_id)), gone=True)

    # sessions

    @once
    async def open_session(
        self,
        agent: str,
        *,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        conversation: Conversation | None = None,
        idempotency_key: str | None = None,
    ) -> SessionInfo:
        """Open a session with an agent. It belongs to the key's user."""
        ask = OpenSession(agent=agent, title=title, labels=dict(labels or {}), conversation=conversation)
        return await self._line.ask(_post(ask, idempotency_key, "sessions"), SessionInfo)

    @many
    def sessions(
        self,
        *,
        agent: str | None = None,
        status: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[SessionInfo, None]:
        """Every session that the caller reaches, the latest first; all conditions must hold."""
        which = [("agent", agent), ("status", status)]
        wanted = [(name, value) for name, value in which if value is not None]
        wanted += [("label", f"{name}:{value}") for name, value in (labels or {}).items()]
        return self._pages(SessionInfo, "sessions", query=wanted)

    @once
    async def session(self, session_id: str) -> SessionInfo:
        """One session, with its head and what it has spent."""
        return await self._line.ask(_get("sessions", session_id), SessionInfo)

    @once
    async def update_session(
        self,
        session_id: str,
        *,
        title: str | msgspec.UnsetType | None = msgspec.UNSET,
        labels: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET,
    ) -> SessionInfo:
        """Rename or relabel a session. What is left out stays as it is."""
        given = labels if isinstance(labels, msgspec.UnsetType) else dict(labels)
        body = msgspec.json.encode(UpdateSession(title=title, labels=given))
        request = Request("PATCH", _path("sessions", session_id), body=body)
        return await self._line.ask(request, SessionInfo)

    @once
    async def close_session(
        self, session_id: str, *, reason: str = "", idempotency_key: str | None = None
    ) -> SessionInfo:
        """Close a session: nothing can be sent until it is reopened."""
        ask = CloseSession(reason=reason)
        request = _post(ask, idempotency_key, "sessions", session_id, "close")
        return await self._line.ask(request, SessionInfo)

    @once
    async def reopen_session(self, session_id: str, *, idempotency_key: str | None = None) -> SessionInfo:
        """Open a closed session again."""
        request = _post(ReopenSession(), idempotency_key, "sessions", session_id, "reopen")
        return await self._line.ask(request, SessionInfo)

    @once
    async def delete_session(self, session_id: str) -> None:
        """Delete a session for good. Its run is stopped, its streams end."""
        await self._line.send(Request("DELETE", _path("sessions", session_id)), gone=True)

    # messages and runs

    @once
    async def send(
        self,
        session_id: str,
        content: Content,
        *,
        message_id: str | None = None,
        when_busy: BusyPolicy = BusyPolicy.QUEUE,
        deadline_s: float | None = None,
        if_head_seq: int | None = None,
        if_idle: bool = False,
        idempotency_key: str | None = None,
    ) -> MessageReceipt:
        """Say something to the agent. The receipt is durable and says what was decided."""
        ask = SendMessage(
            content=content,
            message_id=message_id,
            when_busy=when_busy,
            deadline_s=deadline_s,
            if_head_seq=if_head_seq,
            if_idle=if_idle,
        )
        request = _post(ask, idempotency_key, "sessions", session_id, "messages")
        return await self._line.ask(request, MessageReceipt)

    @many
    def say(
        self,
        session_id: str,
        content: Content,
        *,
        when_busy: BusyPolicy = BusyPolicy.QUEUE,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncGenerator[JournalEvent, None]:
        """Say something, and get the events of the message and of the run that takes it, to its end.

        Leaving early doesn't stop the run: `interrupt` does.
        """
        ask = SendMessage(content=content, when_busy=when_busy, deadline_s=deadline_s)
        request = _post(ask, idempotency_key, "sessions", session_id, "messages")
        return self._line.answered(request)

    @once
    async def message(self, session_id: str, message_id: str) -> MessageInfo:
        """One message: where it is, which run took it, how that ended."""
        return await self._line.ask(_get("sessions", session_id, "messages", message_id), MessageInfo)

    @once
    async def interrupt(
        self,
        session_id: str,
        *,
        run_id: str | None = None,
        force: bool = False,
        waiting: Waiting = Waiting.HOLD,
        idempotency_key: str | None = None,
    ) -> InterruptReceipt:
        """Stop the live run, with `run_id` only if it is that one. How it ends is an event."""
        ask = InterruptRun(run_id=run_id, force=force, waiting=waiting)
        request = _post(ask, idempotency_key, "sessions", session_id, "interrupt")
        return await self._line.ask(request, InterruptReceipt)

    @many
    def runs(self, session_id: str) -> AsyncGenerator[RunInfo, None]:
        """Every run of a session, the latest first."""
        return self._pages(RunInfo, "sessions", session_id, "runs")

    @once
    async def run(self, run_id: str) -> RunInfo:
        """One run with its attempts, grant, usage and timings."""
        return await self._line.ask(_get("runs", run_id), RunInfo)

    @once
    async def transcript(
        self, session_id: str, *, cursor: str | None = None, limit: int = 100
    ) -> TranscriptPage:
        """A page of the transcript, oldest first, and what waits. `follow` goes on at its `as_of_seq`."""
        query = [("limit", str(limit)), *([] if cursor is None else [("cursor", cursor)])]
        return await self._line.ask(_get("sessions", session_id, "messages", query=query), TranscriptPage)

    # the journal

    @once
    async def events(
        self,
        session_id: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> EventPage:
        """A page of the journal: what comes after a number or, backwards, what comes before one."""
        places = [("after", after), ("before", before), ("limit", limit)]
        query = [(name, str(value)) for name, value in places if value is not None]
        body = await self._line.ask(_get("sessions", session_id, "events", query=query), PageBody)
        return page_of(body)

    @once
    async def event(self, session_id: str, seq: int) -> JournalEvent:
        """One event by its number."""
        answer = await self._line.send(_get("sessions", session_id, "events", str(seq)))
        return journal_event(answer.body.decode())

    @many
    def follow(
        self,
        session_id: str,
        after: int = 0,
        *,
        until: Until | None = None,
        history: str | None = None,
    ) -> AsyncGenerator[JournalEvent | Gap, None]:
        """Every event after a number, each once and in order, for ever: across dropped connections and
        restarts of the server.

        It ends after an event for which `until` holds, or when the session is deleted. A part of the
        journal that was retired shows as a `Gap`. With `history`, from `whoami`, a store that was set
        back since then raises TenureError `history_changed`.
        """
        path = _path("sessions", session_id, "events")
        return self._line.follow(path, after, history, until)

    async def _pages(
        self, kind: type[T], *path: str, query: Iterable[tuple[str, str]] = ()
    ) -> AsyncGenerator[T, None]:
        fixed = (*query, ("limit", str(PAGE)))
        cursor: str | None = None
        while True:
            place = () if cursor is None else (("cursor", cursor),)
            page = await self._line.ask(_get(*path, query=(*fixed, *place)), _Page[kind])
            for item in page.data:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return


class Client(Calls, Blocking):
    """The blocking client. Use it as a context manager; several threads may share one.

    Address and key are found as the command line finds them, unless given. `patience_s` is how long a
    server that was there may be out of reach before ServerUnreachable is raised.
    """

    def __init__(
        self,
        server: str | None = None,
        key: str | None = None,
        *,
        home: Path | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        place = find_place(server, key, home)
        super().__init__(BlockingWire(place), place, patience_s)

    def close(self) -> None:
        """Close all connections. Runs go on."""
        finish(self._line.close())

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(Calls, Awaiting):
    """The asynchronous client. Use it as a context manager, within one event loop.

    Address, key and `patience_s` are those of `Client`.
    """

    def __init__(
        self,
        server: str | None = None,
        key: str | None = None,
        *,
        home: Path | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        place = find_place(server, key, home)
        super().__init__(AwaitingWire(place), place, patience_s)

    async def aclose(self) -> None:
        """Close all connections. Runs go on."""
        await self._line.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _path(*parts: str) -> str:
    """A path of the API. Ids are quoted, so that nothing a caller says leads to another route."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _get(*path: str, query: Iterable[tuple[str, str]] = ()) -> Request:
    return Request("GET", _path(*path), tuple(query))


def _post(body: msgspec.Struct, key: str | None, *path: str) -> Request:
    headers = (("Idempotency-Key", key or secrets.token_hex(16)),)
    return Request("POST", _path(*path), headers=headers, body=msgspec.json.encode(body))
