"""Questions about what is said in a session, its runs and its journal."""

from collections.abc import AsyncGenerator

from tenure.client.calls.asking import Asking, get, path_to, post
from tenure.client.face import many, once
from tenure.client.journal import EventPage, Gap, JournalEvent, PageBody, journal_event, page_of
from tenure.client.line import Until
from tenure.core.command import (
    InterruptRun,
    SendMessage,
    Waiting,
)
from tenure.core.content import Content
from tenure.core.message import BusyPolicy
from tenure.core.view import (
    InterruptReceipt,
    MessageInfo,
    MessageReceipt,
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
    ) -> EventPage:
        """A page of the journal: what comes after a number or, backwards, what comes before one."""
        places = [("after", after), ("before", before), ("limit", limit)]
        query = [(name, str(value)) for name, value in places if value is not None]
        body = await self._line.ask(get("sessions", session_id, "events", query=query), PageBody)
        return page_of(body)

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
