"""One turn of an ACP agent: a prompt, what is heard until it is answered, and how that ends.

The connection tells the turn of updates and questions as they come; the runner (`runner`) reads it as
outputs. Whatever happens, the turn leaves the agent idle, or has its program ended.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
from acp import RequestError
from acp.schema import (
    PermissionOption,
    PromptCapabilities,
    PromptResponse,
    RequestPermissionResponse,
    ToolCallUpdate,
)
from pydantic import ValidationError

from tenure.core.output import (
    Artifact,
    Output,
    Reasoning,
    Text,
    ToolCompleted,
    ToolStarted,
    Verdict,
    completed,
    failed,
)
from tenure.core.run import RunState
from tenure.core.steering import SteeringMessage
from tenure.errors import Code, TenureError
from tenure.ports.runner import RunContext
from tenure.runners.acp.link import Link, Links
from tenure.runners.acp.memory import AUTH_REQUIRED, Setup, gone, speaks_to_servers, told, unauthenticated
from tenure.runners.acp.permissions import CANCELLED, LASTING, answer, can_grant, lasts
from tenure.runners.acp.prompts import Blocks, blocks_of
from tenure.runners.acp.updates import Call, Item, Odd, Settle, Telling, Unask, readable

MOST_QUIET_S = 2.0
"""After how long the turn is over even if the agent goes on telling, in seconds."""
LEAVE_S = 2.0
"""How long an agent that is called off may take to stop before its program is ended, in seconds."""
LAST_WORDS_S = 2.0
"""How long the end of a program may take to be noticed, in seconds."""
STEER = "session/steering"
"""The extension by which a message joins the turn that goes on; adapters advertise it in `_meta`."""

STOPPED = Verdict(status=RunState.CANCELLED, reason="interrupted")
OUTPUT_LIMIT = failed("output_limit")
_STOPS = {
    "max_tokens": "The agent ran into its model's limit of tokens (max_tokens). Ask for less at a time.",
    "max_turn_requests": "The agent asked its model as often as one turn may (max_turn_requests). Tell it to "
    "go on.",
    "refusal": "The agent refused to go on (refusal). Put it in other words.",
}
_LEFT_ALONE = (Code.FENCED, Code.NOT_RUNNING, Code.CAPACITY)


class Question:
    """What the agent asks a person about, until it is answered."""

    def __init__(self, call: Call, options: Sequence[PermissionOption]) -> None:
        self.call = call
        self.nth = call.asked
        self.options = options
        self.arguments = {**call.arguments, **LASTING} if lasts(options) else call.arguments
        self.answer: asyncio.Future[RequestPermissionResponse] = asyncio.get_running_loop().create_future()
        self.asking: asyncio.Task[None] | None = None

    def close(self, response: RequestPermissionResponse) -> None:
        """Answer the agent, unless that was done."""
        if not self.answer.done():
            self.answer.set_result(response)

    def withdraw(self) -> None:
        """Nobody need answer any more."""
        self.close(CANCELLED)
        if self.asking is not None:
            self.asking.cancel()


Entry: TypeAlias = Item | Question


class _Waiting(NamedTuple):
    entry: Entry
    size: int


class Turn:
    """One prompt of one run, as the `Visit` that hears the agent's answer."""

    def __init__(
        self, context: RunContext, links: Links, link: Link, setup: Setup, session_id: str, cost: float
    ) -> None:
        self._context = context
        self._links = links
        self._link = link
        self._setup = setup
        self._session_id = session_id
        self._loop = asyncio.get_running_loop()
        self._telling = Telling(setup.name, cost)
        self._entries: deque[_Waiting] = deque()
        self._size = 0
        self._most = context.grant.max_output_bytes
        self._flooded = False
        self._questions: list[Question] = []
        self._news = asyncio.Event()
        self._heard_at = 0.0
        self._answered_at: float | None = None
        self._called_off_at: float | None = None
        self._left = False
        self._prompting: asyncio.Task[PromptResponse] | None = None
        self._beside: list[asyncio.Task[None]] = []
        self._unsteered: list[SteeringMessage] = []
        self.verdict = STOPPED
        """How the turn ended, once `outputs` is at its end."""

    @property
    def cost(self) -> float:
        """What the agent's session has cost so far."""
        return self._telling.cost

    # --- what the connection tells

    @property
    def folder(self) -> Path:
        return self._context.files.folder

    def hear(self, update: object, size: int) -> None:
        if not self._left and not self._flooded:
            self._put(*self._telling.take(update, self._loop.time(), size))

    def _has_gateway(self) -> bool:
        """Whether the agent was handed the run gateway: only then can a tool of that name be the host's."""
        return self._context.gateway is not None and speaks_to_servers(self._link)

    async def permit(
        self, call: ToolCallUpdate, options: Sequence[PermissionOption]
    ) -> RequestPermissionResponse:
        if self._left or self._flooded or self._called_off_at is not None:
            return CANCELLED
        if self._has_gateway() and self._telling.is_of_host(call):
            # The host asks about its own tools itself, where the grant says so; nobody is asked twice.
            return answer(options, granted=True)
        asked, first = self._telling.asked(call, self._loop.time())
        self._put(*first)
        if not can_grant(options):
            self._telling.unanswered(asked, asked.asked)
            self._put(Odd("permission_unanswerable", _no_option(asked, options)))
            return answer(options, granted=False)
        question = Question(asked, options)
        self._questions.append(question)
        self._put(question)
        try:
            return await question.answer
        finally:
            self._questions.remove(question)
            question.withdraw()

    def showed(self, terminal_id: str, output: str) -> None:
        self._telling.showed(terminal_id, output)

    def stray(self, method: str, params: object) -> None:
        """Notifications that aren't of the protocol mean nothing here."""

    def _put(self, *entries: Entry) -> None:
        """Keep what was heard until the run reads it; no more than a run may put out."""
        self._heard_at = self._loop.time()
        for entry in entries:
            if self._flooded:
                break
            size = _weight(entry)
            self._size += size
            self._entries.append(_Waiting(entry, size))
            if self._size > self._most:
                self._flood()
        if self._telling.held_size > self._most and not self._flooded:
            self._flood()
        self._news.set()

    def _flood(self) -> None:
        """What waits already is more than the run may put out: the rest is dropped, the agent stopped."""
        self._flooded = True
        self._spawn(self._call_off())

    # --- what the run reads

    async def outputs(self, blocks: Blocks) -> AsyncGenerator[Output, None]:
        """Prompt the agent; all that it puts out until it is idle again. `verdict` then says how it ended."""
        with self._link.visit(self._session_id, self):
            try:
                self._prompt(blocks)
                self._spawn(self._heed_stop())
                self._spawn(self._heed_end())
                if self._steers:
                    self._spawn(self._steer())
                while True:
                    self._news.clear()
                    self._put_due()
                    while self._entries:
                        output = await self._deal(self._entries.popleft())
                        if output is not None:
                            yield output
                    if await self._is_over():
                        break
                    await self._wait()
                for output in (*(() if self._flooded else self._telling.finish()), *self._spent()):
                    yield output
                self.verdict = await self._judged()
            finally:
                await self._leave()

    def _prompt(self, blocks: Blocks) -> None:
        self._answered_at = None
        self._prompting = asyncio.create_task(
            self._link.agent.prompt(session_id=self._session_id, prompt=blocks)
        )
        self._prompting.add_done_callback(self._answered)

    def _answered(self, _prompting: "asyncio.Task[PromptResponse]") -> None:
        self._answered_at = self._loop.time()
        self._news.set()

    def _put_due(self) -> None:
        due = self._telling.due(self._loop.time())
        if due:
            heard_at = self._heard_at
            self._put(*due)
            self._heard_at = heard_at

    async def _deal(self, waiting: _Waiting) -> Output | None:
        """The output that an entry is; None if it is something to be done, which then is."""
        self._size -= waiting.size
        match waiting.entry:
            case Question() as question:
                self._ask(question)
            case Unask(call_id=call_id):
                for question in self._questions:
                    if question.call.id == call_id and question.asking is not None:
                        question.withdraw()
            case Settle(call_id=call_id, status=status, result=result):
                await self._context.own.settle(call_id, status, result)
            case Odd(code=code, detail=detail):
                self._context.warn(code, readable(detail))
            case output:
                return output
        return None

    async def _is_over(self) -> bool:
        """Whether nothing more is to be heard. Messages that didn't join the turn are prompted with first."""
        due = self._next_event()
        if self._entries or (due is not None and due > self._loop.time()):
            return False
        if self._answered_at is None:
            return self._given_up_at is not None
        if self._unsteered and self._ended_well():
            await self._prompt_again()
            return False
        return True

    async def _prompt_again(self) -> None:
        messages, self._unsteered = self._unsteered, []
        blocks = [b for m in messages for b in await blocks_of(self._context, m.content, self._takes)]
        self._put(*self._spent())
        self._prompt(blocks)

    def _ended_well(self) -> bool:
        prompting = self._prompting
        assert prompting is not None and prompting.done(), "asked once the agent answered"
        return (
            self._called_off_at is None
            and not prompting.cancelled()
            and prompting.exception() is None
            and prompting.result().stop_reason == "end_turn"
        )

    def _next_event(self) -> float | None:
        """When something falls due though nothing is heard: a call to be shown, or the end of the turn.

        It may lie behind by the time that it is waited for, and is still to be seen to.
        """
        if self._answered_at is None:
            if (given_up_at := self._given_up_at) is None:
                return self._telling.next_due
            return given_up_at
        return min(
            max(self._answered_at, self._heard_at) + self._setup.quiet_s,
            self._answered_at + MOST_QUIET_S,
        )

    @property
    def _given_up_at(self) -> float | None:
        """When a flood is over, whether the agent stops or not: nobody reads the rest."""
        called_off_at = self._called_off_at
        return called_off_at + LEAVE_S if self._flooded and called_off_at is not None else None

    async def _wait(self) -> None:
        at = self._next_event()
        left = None if at is None else max(0.0, at - self._loop.time())
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._news.wait()
        for task in [task for task in self._beside if task.done()]:
            self._beside.remove(task)
            if not task.cancelled():
                task.result()

    def _spent(self) -> list[Output]:
        """What the prompt took, if it was answered."""
        prompting = self._prompting
        if prompting is None or not prompting.done():
            return []
        if prompting.cancelled() or prompting.exception() is not None:
            return []
        return self._telling.spent(prompting.result())

    # --- people are asked

    def _ask(self, question: Question) -> None:
        if self._called_off_at is not None or question.answer.done():
            self._telling.unanswered(question.call, question.nth)
            question.close(CANCELLED)
            return
        question.asking = self._spawn(self._put_to_people(question))

    async def _put_to_people(self, question: Question) -> None:
        """Have a person decide, and answer the agent by the option that says so."""
        call = question.call
        try:
            permit = await self._context.own.ask(call.name, question.arguments)
        except TenureError as refusal:
            if refusal.code not in _LEFT_ALONE:
                self._put(Odd("permission_refused", f"Nobody could be asked: {refusal.detail}"))
                question.close(answer(question.options, granted=False))
        else:
            self._telling.answered(call, permit)
            question.close(answer(question.options, granted=permit.granted))
        finally:
            self._telling.unanswered(call, question.nth)
            question.close(CANCELLED)

    # --- what happens beside

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._news.set())
        self._beside.append(task)
        return task

    async def _heed_stop(self) -> None:
        await self._context.stopped()
        await self._call_off()

    async def _heed_end(self) -> None:
        """A program that ended answers no more, whatever its connection says."""
        await self._link.ended.wait()
        if self._prompting is not None:
            # Its last answer may still stand in the pipe.
            await asyncio.wait([self._prompting], timeout=LAST_WORDS_S)
            self._prompting.cancel()

    async def _call_off(self) -> None:
        """Tell the agent to stop. Protocol: what it asks then, and asked, is answered with `cancelled`."""
        if self._called_off_at is None:
            self._called_off_at = self._loop.time()
            self._withdraw()
            with suppress(RequestError, ConnectionError, OSError):
                await self._link.agent.cancel(session_id=self._session_id)

    def _withdraw(self) -> None:
        for question in self._questions:
            question.withdraw()

    # --- steering

    @property
    def _takes(self) -> PromptCapabilities | None:
        capabilities = self._link.hello.agent_capabilities
        return None if capabilities is None else capabilities.prompt_capabilities

    @property
    def _steers(self) -> bool:
        """Whether messages can join the turn: by the operator's word, and by the agent's."""
        match (self._link.hello.field_meta or {}).get("steering"):
            case {"supported": True}:
                return self._setup.steering
            case _:
                return False

    async def _steer(self) -> None:
        """Take what people send to this run while the agent works, and have it join the turn."""
        while self._called_off_at is None and not self._context.stopping:
            await self._context.steering.wait()
            if self._answered_at is not None or self._context.stopping:
                return
            for message in await self._context.steering.take():
                if not await self._joins(message):
                    self._unsteered.append(message)

    async def _joins(self, message: SteeringMessage) -> bool:
        """Whether the agent took a message into its turn. If not, it is prompted with it after."""
        blocks = await blocks_of(self._context, message.content, self._takes)
        params: dict[str, Any] = {
            "sessionId": self._session_id,
            "prompt": [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in blocks],
            "_meta": {"steering": {"idleBehavior": "promptRequired"}},
        }
        try:
            reply: object = await self._link.agent.ext_method(STEER, params)
        except (RequestError, ConnectionError, OSError):
            return False
        match reply:
            case {"outcome": "injected" | "startedNewTurn"}:
                return True
            case _:
                return False

    # --- the end

    async def _judged(self) -> Verdict:
        """How the turn ended, in the host's words."""
        prompting = self._prompting
        assert prompting is not None, "a turn begins with a prompt"
        if self._flooded:
            return OUTPUT_LIMIT
        if self._called_off_at is not None:
            return STOPPED
        if prompting.cancelled():
            return await self._died()
        match prompting.exception():
            case None:
                reason = _STOPS.get(prompting.result().stop_reason)
                # Some agents end their turn with `cancelled` when a call was refused: nobody stopped it.
                return completed() if reason is None else failed(reason)
            case RequestError(code=code) if code == AUTH_REQUIRED:
                return failed(unauthenticated(self._setup.name, self._link).detail)
            case (RequestError() | ValidationError()) as error:
                return failed(told(error))
            case ConnectionError() | OSError():
                return await self._died()
            case error:
                raise error

    async def _died(self) -> Verdict:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._link.ended.wait()
        return failed(gone(self._setup.name, self._link).detail, retryable=True)

    async def _leave(self) -> None:
        """Leave the agent idle. One that can't be had to stop is ended, with its program."""
        self._left = True
        self._withdraw()
        try:
            if self._prompting is not None and not self._prompting.done():
                await self._stop_prompting(self._prompting)
        finally:
            for task in self._beside:
                task.cancel()
            if self._beside:
                await asyncio.wait(self._beside)
            for task in self._beside:
                if not task.cancelled():
                    task.exception()

    async def _stop_prompting(self, prompting: "asyncio.Task[PromptResponse]") -> None:
        try:
            asked_at = self._called_off_at
            if asked_at is None:
                asked_at = self._loop.time()
                self._spawn(self._call_off())
            left = max(0.0, asked_at + LEAVE_S - self._loop.time())
            await asyncio.wait([prompting], timeout=left)
        finally:
            if not prompting.done():
                prompting.cancel()
                await asyncio.shield(asyncio.ensure_future(self._links.drop(self._link)))


def _no_option(call: Call, options: Sequence[PermissionOption]) -> str:
    kinds = ", ".join(sorted({option.kind for option in options})) or "none"
    return (
        f"The agent asks for leave to make its call of {call.name[:100]}, but offers no way to give it: its "
        f"options are {kinds}. It was refused. Have it offer allow_once."
    )


def _weight(entry: Entry) -> int:
    """About how many bytes an entry journals at least, or takes up."""
    match entry:
        case Text(text=text) | Reasoning(text=text):
            return len(text) + 64
        case Artifact(data=data):
            return len(data)
        case ToolStarted() | ToolCompleted():
            return len(msgspec.json.encode(entry))
        case Settle(result=result):
            return len(msgspec.json.encode(result))
        case _:
            return 64
