"""One conversation: what is typed goes to the session, what happens there is shown, Ctrl-C is heeded.

`chat` holds it. It keeps nothing: whoever leaves can go on where the session stands. A line steers the live
run, or is its next message; `orders` knows the lines that begin with a slash.
"""

import asyncio
import signal
from collections.abc import Coroutine
from secrets import token_hex
from typing import TypeAlias

from tenure.cli.lines import Lines
from tenure.cli.orders import HINT, Order, Orders, order_in, said_in
from tenure.cli.outcome import Exit
from tenure.cli.questions import Question, Questions, Unclear, shape, why
from tenure.cli.screen import shown
from tenure.cli.speech import Listener, Speech
from tenure.client import AsyncClient, JournalEvent
from tenure.core.approval import ApprovalState
from tenure.core.content import Content, text_of
from tenure.core.event import (
    MessageAdmitted,
    MessagePromoted,
    MessageWithdrawn,
    QueueHeld,
    RunFinished,
    RunStarted,
    SteeringConsumed,
)
from tenure.core.ids import MESSAGE
from tenure.core.message import BusyPolicy, Disposition, ReplyState, Role
from tenure.core.run import RunState
from tenure.core.view import MessageReceipt, SessionInfo, TranscriptItem
from tenure.errors import Code, TenureError

SHOWN_BEFORE = 20
"""How many messages of before are shown when a conversation goes on."""

PROMPT = "> "
PAGE = 1_000
MOST_REPEATED = 60
"""How much of a message is repeated when something is said about it."""

WHY_NOT_STEERED = {
    "run_interrupting": "the run is being stopped",
    "runner_takes_no_steering": "this agent can't be steered",
    "authority_does_not_cover_the_run": "the run may do more than you may",
    "too_much_steering_pending": "too much is waiting to be taken up",
}

Work: TypeAlias = Coroutine[None, None, None]


class Conversation:
    """A conversation in one session. `typed` says whether a person types; else a pipe brings lines."""

    def __init__(
        self,
        client: AsyncClient,
        session: SessionInfo,
        speech: Speech,
        listener: Listener,
        *,
        typed: bool,
    ) -> None:
        self._client = client
        self._session = session
        self._speech = speech
        self._listener = listener
        self._typed = typed
        self._questions = Questions()
        self._orders = Orders(client, session, speech, self._questions)
        self._steering: dict[str, str] = {}
        self._live: str | None = None
        self._over: set[str] = set()
        self._stopping: str | None = None
        self._mine: set[str] = set()
        self._my_runs: set[str] = set()
        self._answered = asyncio.Event()
        self._failed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.left = False
        """Whether the session outlived the conversation."""
        self.goes_on_in: SessionInfo | None = None
        """The session in which the person wants to go on, once this conversation has ended."""

    async def hold(self, lines: Lines) -> Exit:
        """Talk until somebody leaves, or the pipe is at its end and answered."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        try:
            after = await self._look_back()
            self._start(self._listen(after))
            self._start(self._read(lines) if self._typed else self._read_pipe(lines))
            return await self._end
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._speech.end_line()

    # what happens in the session

    async def _look_back(self) -> int:
        """Show what was said before, and return the number of the event up to which that is all."""
        session = self._session
        help_is_at = f"; {HINT}" if self._typed else ""
        self._speech.note(f"session {session.id} with {session.agent}{help_is_at}")
        page = await self._client.transcript(session.id, limit=PAGE)
        said = list(page.data)
        while page.next_cursor is not None:
            page = await self._client.transcript(session.id, cursor=page.next_cursor, limit=PAGE)
            said = [*said, *page.data][-SHOWN_BEFORE:]
        for item in said[-SHOWN_BEFORE:]:
            self._recall(item)
        for item in page.waiting:
            self._speech.note(f"waits: {text_of(item.content)}")
            self._steering[item.message_id] = text_of(item.content)
        pending = self._client.approvals(status=ApprovalState.PENDING, session_id=session.id)
        for question in [self._questions.recall(waiting) async for waiting in pending]:
            self._ask(question)
        # Read after the transcript: what happens in between is followed, and changes it again.
        self._live = (await self._client.session(session.id)).run_id
        if self._live is None or self._questions:
            self._prompt()
        return page.as_of_seq

    def _recall(self, item: TranscriptItem) -> None:
        text = text_of(item.content)
        if item.role == Role.USER:
            self._speech.quote(item.actor or "you", text)
        else:
            whole = item.status != ReplyState.STREAMING
            self._speech.recall(item.message_id, text, whole=whole)

    async def _listen(self, after: int) -> None:
        async for item in self._client.follow(self._session.id, after):
            if isinstance(item, JournalEvent):
                self._listener.take(item)
                for question in self._questions.take(item):
                    self._ask(question)
                self._notice(item)
        self._speech.note("the session was deleted")
        self._finish(Exit.NOT_FOUND)

    def _notice(self, item: JournalEvent) -> None:
        match item.event:
            case MessageAdmitted() as said:
                if said.disposition == Disposition.STEERED:
                    self._steering[said.message_id] = text_of(said.content)
                # A compaction is admitted without words.
                if said.message_id not in self._mine and text_of(said.content):
                    self._quote(said)
            case SteeringConsumed(message_ids=message_ids):
                for taken in message_ids:
                    self._speech.note(f"taken up: {self._repeated(taken)}")
            case MessagePromoted(message_id=message_id, to="run"):
                self._speech.note(f"the run ended first; the next message is: {self._repeated(message_id)}")
            case MessageWithdrawn(message_id=message_id) if message_id in self._mine:
                self._settled(failed=True)
            case RunStarted(trigger=trigger):
                self._live = item.run_id
                if trigger.message in self._mine and item.run_id is not None:
                    self._my_runs.add(item.run_id)
            case RunFinished(status=status):
                self._run_ended(item.run_id, status)
            case QueueHeld():
                self._speech.note("what waits in line goes on with your next message")
            case _:
                pass

    def _quote(self, said: MessageAdmitted) -> None:
        """What somebody said, or a schedule in their name. A reminder says itself what it says."""
        if said.reminder:
            self._speech.tell(f"reminder for {shown(said.actor.user)}:")
        elif said.occurrence is not None:
            self._speech.quote(f"recall for {said.actor.user}", text_of(said.content))
        else:
            self._speech.quote(said.actor.user, text_of(said.content))

    def _repeated(self, message_id: str) -> str:
        text = " ".join(self._steering.get(message_id, message_id).split())
        return text if len(text) <= MOST_REPEATED else f"{text[:MOST_REPEATED]}…"

    def _ask(self, question: Question) -> None:
        """Show a call to the person who is to decide, and how to."""
        way = f"/approve {question.number} lets it be made, /deny {question.number} doesn't; {HINT}."
        if not self._typed:
            way = f"tenure approve {question.approval_id} lets it be made, tenure deny doesn't."
        reasons = why(question.reason, question.done)
        self._speech.ask([*shape(question.tool, question.arguments, question.expires_at), *reasons, way])
        self._prompt()

    def _run_ended(self, run_id: str | None, status: str) -> None:
        if run_id is None:
            return
        self._over.add(run_id)
        if run_id == self._live:
            self._live = None
        if run_id in self._my_runs:
            self._settled(failed=status != RunState.COMPLETED)
        self._prompt()

    def _settled(self, *, failed: bool) -> None:
        self._failed = self._failed or failed
        self._answered.set()

    # what the person does

    async def _read(self, lines: Lines) -> None:
        async for line in lines:
            self._speech.entered()
            if line.strip():
                try:
                    await self._heed(line)
                except TenureError as refused:
                    self._speech.note(refused.detail)
                except Unclear as unclear:
                    self._speech.note(str(unclear))
            if self._end.done():
                return
            self._questions.entered()
            if self._live is None or self._questions:
                self._prompt()
        self._leave(Exit.OK)

    async def _read_pipe(self, lines: Lines) -> None:
        """Send each line when the one before is answered."""
        async for text in lines:
            if text.strip():
                self._answered.clear()
                await self._send(text, BusyPolicy.QUEUE)
                await self._answered.wait()
        self._finish(Exit.FAILED if self._failed else Exit.OK)

    async def _heed(self, line: str) -> None:
        match order_in(line):
            case None:
                await self._send(said_in(line), BusyPolicy.STEER)
            case Order(name="queue", rest=text):
                if not text:
                    raise Unclear("Say what is to wait in line: /queue TEXT.")
                await self._send(text, BusyPolicy.QUEUE)
            case Order(name="stop"):
                if self._live is None:
                    raise Unclear("Nothing runs.")
                await self._stop(self._live)
            case order:
                session = await self._orders.carry_out(order, busy=self._live is not None)
                if session is not None:
                    self.goes_on_in = session
                    self._finish(Exit.OK)

    async def _send(self, text: Content, when_busy: BusyPolicy) -> None:
        message_id = MESSAGE + token_hex(16)
        # Known before it is sent: its first event may come before its receipt.
        self._mine.add(message_id)
        receipt = await self._client.send(self._session.id, text, message_id=message_id, when_busy=when_busy)
        # Its run may have ended already, seen from the stream.
        if receipt.run_id is not None and receipt.run_id not in self._over:
            self._live = receipt.run_id
        self._acknowledge(receipt)

    def _acknowledge(self, receipt: MessageReceipt) -> None:
        """Say what becomes of a message that doesn't start at once."""
        if receipt.disposition == Disposition.STEERED:
            when = "when it goes on" if self._questions else "at its next safe point"
            self._speech.note(f"the run gets this {when}")
        elif receipt.queue_position:
            reason = receipt.fallback and WHY_NOT_STEERED.get(receipt.fallback, receipt.fallback)
            self._speech.note(f"number {receipt.queue_position} in line{f': {reason}' if reason else ''}")

    def _interrupted(self) -> None:
        """Ctrl-C: stop the run; once more, or when nothing runs, leave."""
        if self._live is None or self._stopping == self._live:
            self._leave(Exit.INTERRUPTED)
            return
        self._speech.note("stopping the run; Ctrl-C once more leaves it")
        # Set here too: the next Ctrl-C may come before the task begins.
        self._stopping = self._live
        self._start(self._stop(self._live))

    async def _stop(self, run_id: str) -> None:
        self._stopping = run_id
        try:
            await self._client.interrupt(self._session.id, run_id=run_id)
        except TenureError as refused:
            if refused.code is not Code.NOT_RUNNING:
                raise

    def _prompt(self) -> None:
        if self._typed:
            self._speech.prompt(PROMPT)

    # how it ends

    def _leave(self, code: Exit) -> None:
        self.left = True
        if self._live is not None:
            self._speech.note("the run goes on without you")
        self._finish(code)

    def _finish(self, code: Exit) -> None:
        if not self._end.done():
            self._end.set_result(code)

    def _start(self, work: Work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self._end.done():
            self._end.set_exception(error)
