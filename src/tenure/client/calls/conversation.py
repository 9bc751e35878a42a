"""Questions about what is said in a session, its runs and its journal."""

from collections.abc import AsyncGenerator
from datetime import datetime

import msgspec

from tenure.client.calls.asking import Asking, Listed, get, path_to, post
from tenure.client.face import many, once
from tenure.client.journal import EventPage, Gap, JournalEvent, PageBody, journal_event, page_of
from tenure.client.line import Until
from tenure.client.wires import Request
from tenure.core.command import (
    ChangeMessage,
    InterruptRun,
    Promotion,
    RetryRun,
    SendMessage,
    Waiting,
)
from tenure.core.content import Content
from tenure.core.message import BusyPolicy
from tenure.core.view import (
    InterruptReceipt,
    ListedRun,
    MessageInfo,
    MessageReceipt,
    Outline,
    RunFault,
    RunInfo,
    TranscriptPage,
)


class ConversationCalls(Asking):
    """Messages, runs, transcript and journal of a session."""

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
        request = post(ask, idempotency_key, "sessions", session_id, "messages")
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
        request = post(ask, idempotency_key, "sessions", session_id, "messages")
        return self._line.answered(request)

    @once
    async def message(self, session_id: str, message_id: str) -> MessageInfo:
        """One message: where it is, which run took it, how that ended."""
        return await self._line.ask(get("sessions", session_id, "messages", message_id), MessageInfo)

    @once
    async def edit_message(
        self, session_id: str, message_id: str, content: Content, *, if_version: int | None = None
    ) -> MessageInfo:
        """Let a message that waits say something else; with `if_version` only if nobody else did so."""
        ask = ChangeMessage(content=content, if_version=if_version)
        return await self._changed(session_id, message_id, ask)

    @once
    async def promote_message(
        self, session_id: str, message_id: str, to: Promotion = Promotion.NEXT
    ) -> MessageInfo:
        """Move a message that waits to the front, or send it to the live run at once."""
        return await self._changed(session_id, message_id, ChangeMessage(promote=to))

    async def _changed(self, session_id: str, message_id: str, ask: ChangeMessage) -> MessageInfo:
        where = path_to("sessions", session_id, "messages", message_id)
        return await self._line.ask(Request("PATCH", where, body=msgspec.json.encode(ask)), MessageInfo)

    @once
    async def withdraw_message(self, session_id: str, message_id: str) -> None:
        """Withdraw a message that waits: it will never run."""
        where = path_to("sessions", session_id, "messages", message_id)
        await self._line.send(Request("DELETE", where))

    @once
    async def steer(
        self, session_id: str, content: Content, *, idempotency_key: str | None = None
    ) -> MessageReceipt:
        """Say something to the run that is live. If it can't be steered, the message waits its turn."""
        ask = SendMessage(content=content, when_busy=BusyPolicy.STEER)
        request = post(ask, idempotency_key, "sessions", session_id, "messages")
        return await self._line.ask(request, MessageReceipt)

    @once
    async def retry_run(self, run_id: str, *, idempotency_key: str | None = None) -> MessageReceipt:
        """Run the message of a failed last turn again, as a new run."""
        request = post(RetryRun(), idempotency_key, "runs", run_id, "retry")
        return await self._line.ask(request, MessageReceipt)

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
        request = post(ask, idempotency_key, "sessions", session_id, "interrupt")
        return await self._line.ask(request, InterruptReceipt)

    @many
    def runs(self, session_id: str) -> AsyncGenerator[RunInfo, None]:
        """Every run of a session, the latest first."""
        return self._pages(RunInfo, "sessions", session_id, "runs")

    @many
    def latest_runs(
        self,
        *,
        agent: str | None = None,
        owner: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        older_than_s: float | None = None,
    ) -> AsyncGenerator[ListedRun, None]:
        """Every run of all sessions that the caller reaches, the latest first; all conditions must hold.

        Those of `since` were admitted then or later. With `older_than_s` they are live, and were begun, or
        wait, since so many seconds or longer. An instant without a time zone is one of the local clock.
        """
        which = [
            ("agent", agent),
            ("owner", owner),
            ("status", status),
            ("since", _instant(since)),
            ("older_than_s", None if older_than_s is None else str(older_than_s)),
        ]
        wanted = [(name, value) for name, value in which if value is not None]
        return self._pages(ListedRun, "runs", query=wanted)

    @once
    async def run_faults(self, *, since: datetime | None = None) -> tuple[RunFault, ...]:
        """Runs that went wrong since then, or in the last day, put together by agent, status and reason.

        The latest come first. An instant without a time zone is one of the local clock.
        """
        at = _instant(since)
        query = [] if at is None else [("since", at)]
        return (await self._line.ask(get("runs", "faults", query=query), Listed[RunFault])).data

    @once
    async def run(self, run_id: str) -> RunInfo:
        """One run with its attempts, grant, usage and timings."""
        return await self._line.ask(get("runs", run_id), RunInfo)

    @once
    async def transcript(
        self, session_id: str, *, cursor: str | None = None, limit: int = 100
    ) -> TranscriptPage:
        """A page of the transcript, oldest first, and what waits. `follow` goes on at its `as_of_seq`."""
        query = [("limit", str(limit)), *([] if cursor is None else [("cursor", cursor)])]
        return await self._line.ask(get("sessions", session_id, "messages", query=query), TranscriptPage)

    # the journal

    @once
    async def events(
        self,
        session_id: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
        brief: bool = False,
    ) -> EventPage:
        """A page of the journal: what comes after a number or, backwards, what comes before one.

        A brief one leaves out the pieces of messages and reasoning that stand whole in the journal, but for
        the first piece of each message. It may hold few events, or none, and lead on: see `scanned`.
        """
        places = [("after", after), ("before", before), ("limit", limit)]
        query = [(name, str(value)) for name, value in places if value is not None]
        query += [("brief", "true")] if brief else []
        body = await self._line.ask(get("sessions", session_id, "events", query=query), PageBody)
        return page_of(body)

    @once
    async def outline(self, session_id: str, *, before: int | None = None, limit: int = 1_000) -> Outline:
        """What people look for in a journal, oldest first: the last marks before a number, or of all."""
        query = [("limit", str(limit)), *([] if before is None else [("before", str(before))])]
        return await self._line.ask(get("sessions", session_id, "outline", query=query), Outline)

    @once
    async def event(self, session_id: str, seq: int) -> JournalEvent:
        """One event by its number."""
        answer = await self._line.send(get("sessions", session_id, "events", str(seq)))
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
        path = path_to("sessions", session_id, "events")
        return self._line.follow(path, after, history, until)


def _instant(at: datetime | None) -> str | None:
    """An instant as it is asked for."""
    return None if at is None else at.astimezone().isoformat()
