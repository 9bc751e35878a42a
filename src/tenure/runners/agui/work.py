"""One attempt of a run at an AG-UI endpoint: leg after leg, until the endpoint wants nothing more.

Between two legs the host calls the tools that the endpoint asked for, and people are asked what it wants to
know. Before that the run is kept in its checkpoint, so that it can go on after a restart.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

import msgspec
from ag_ui.core import (
    PROTOCOL_VERSION,
    Event,
    EventType,
    Message,
    ResumeEntry,
    RunAgentInput,
    RunFinishedCancelledOutcome,
    ToolMessage,
)
from pydantic import TypeAdapter, ValidationError

from tenure.core.effect import CallStatus
from tenure.core.output import Output, Verdict, completed, failed
from tenure.core.run import RunState
from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError
from tenure.ports.runner import Permit, RunContext
from tenure.runners.agui.kept import Kept, Question
from tenure.runners.agui.leg import Leg, Open, Settled, Step, arguments_of
from tenure.runners.agui.messages import Offer, conversation, plain_text
from tenure.runners.agui.shared import SCOPE, Deleted, Refused, SharedState
from tenure.runners.agui.wire import Beat, Endpoint, StreamCut, paced

STOPPED = Verdict(status=RunState.CANCELLED, reason="interrupted")
CANCELLED = Verdict(status=RunState.CANCELLED, reason="cancelled by the endpoint")

HOLD_S = 0.25
"""How long a call of the endpoint's own isn't told: it may end in a question to a person instead."""
MOST_LEGS = 100
"""How often an endpoint may ask for more in one run."""
MOST_WARNINGS = 10
MOST_NAME = 200

_EVENTS: TypeAdapter[Event] = TypeAdapter(Event)
_TOLD = (
    Code.INVALID,
    Code.DENIED,
    Code.OUTCOME_UNKNOWN,
    Code.INTERNAL,
    Code.FORBIDDEN,
    Code.UNSUPPORTED,
    Code.EFFECT_CONFLICT,
    Code.TOO_LARGE,
)
"""How a call may end that the endpoint is told of. Whatever else happens ends the run."""


class _Kind(msgspec.Struct, frozen=True):
    """As much of an event as has to be read to know whether it is a known one."""

    type: str


class Work:
    """One attempt."""

    def __init__(
        self, endpoint: Endpoint, context: RunContext, *, forward_state: bool, forward_gateway: bool
    ) -> None:
        self._endpoint = endpoint
        self._context = context
        self._offer = Offer(context.tools.infos())
        policy = context.grant.state
        keeps = forward_state and policy.enabled and SCOPE in policy.scopes
        self._state = SharedState(context.state.snapshot[SCOPE] if keeps else None)
        self._gateway = context.gateway if forward_gateway else None
        self._messages: list[Message] = []
        self._resume: list[ResumeEntry] = []
        self._permits: dict[str, str | None] = {}
        self._granted: list[str] = []
        self._number = 0
        self._warned = 0
        self._cut: str | None = None

    async def outputs(self) -> AsyncGenerator[Output, None]:
        """Everything that the attempt puts out. Raises TenureError."""
        await self._begin()
        while not self._context.stopping:
            leg = self._new_leg()
            async with aclosing(self._hear(leg)) as outputs:
                async for output in outputs:
                    yield output
            if not (leg.finished or leg.error is not None):
                break
            async with aclosing(self._conclude(leg)) as outputs:
                async for output in outputs:
                    yield output
                    if isinstance(output, Verdict):
                        return
        if self._context.stopping:
            yield STOPPED
        else:
            # No verdict: the host calls that by its name.
            self._context.warn(
                "stream_cut", f"The endpoint's answer ended too early: {self._cut or 'closed'}."
            )

    async def _begin(self) -> None:
        """Start from the transcript, or go on where the run waited."""
        data = await self._context.checkpoints.load() if self._context.resumed else None
        if data is None:
            self._messages = await conversation(self._context)
            return
        kept = Kept.loaded(data)
        self._number, self._messages, self._permits = kept.leg, [*kept.messages], dict(kept.permits)
        self._state.now = kept.state
        await self._fulfil(kept)

    # --- a leg

    def _new_leg(self) -> Leg:
        self._number += 1
        known = [message.id for message in self._messages]
        return Leg(self._endpoint.name, self._offer, self._permits, self._state, known)

    def _input(self) -> bytes:
        """The request of this leg. Older endpoints insist on every field."""
        run_input = RunAgentInput(
            thread_id=self._context.session_id,
            run_id=self._run_id(self._number),
            parent_run_id=self._run_id(self._number - 1) if self._number > 1 else None,
            protocol_version=PROTOCOL_VERSION,
            state=self._state.now,
            messages=self._messages,
            tools=self._offer.tools,
            context=[],
            forwarded_props={} if self._gateway is None else {"gateway": self._gateway._asdict()},
            resume=self._resume or None,
        )
        return run_input.model_dump_json(by_alias=True).encode()

    def _run_id(self, leg: int) -> str:
        """The endpoint's name of a leg: the run's own id, with attempt and leg where it isn't the first."""
        first = leg == 1 and self._context.attempt == 1
        return self._context.run_id if first else f"{self._context.run_id}.{self._context.attempt}.{leg}"

    async def _hear(self, leg: Leg) -> AsyncGenerator[Output, None]:
        """Post, and hear the answer to its end."""
        frames = self._endpoint.frames(self._input())
        beats = paced(frames, self._context.stopped, lambda: HOLD_S if leg.holds else None)
        try:
            async with aclosing(frames), aclosing(beats):
                async for beat in beats:
                    async for output in self._done(self._steps(leg, beat)):
                        yield output
                    if leg.finished or leg.error is not None:
                        break
        except StreamCut as cut:
            self._cut = self._endpoint.masked(str(cut))
        async for output in self._done(leg.close()):
            yield output

    def _steps(self, leg: Leg, beat: str | Beat) -> Iterable[Step]:
        if isinstance(beat, Beat):
            return leg.tell()
        event = self._event(beat)
        return () if event is None else leg.take(event)

    def _event(self, frame: str) -> Event | None:
        """The event of a frame. None for what isn't known, and for what can't be read."""
        try:
            return _EVENTS.validate_json(frame)
        except ValidationError as misfit:
            faults = ", ".join(f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in misfit.errors())
        try:
            kind = msgspec.json.decode(frame, type=_Kind).type
        except msgspec.MsgspecError:
            kind, faults = "", "no event"
        if kind in EventType.__members__ or not kind:
            self._warn(
                "event_malformed", f"An event {kind or 'without a type'} can't be read ({faults[:500]})."
            )
        return None

    def _warn(self, code: str, detail: str) -> None:
        self._warned += 1
        if self._warned <= MOST_WARNINGS:
            self._context.warn(code, detail)

    async def _done(self, steps: Iterable[Step]) -> AsyncGenerator[Output, None]:
        """Do what steps ask for, and pass the outputs on."""
        for step in steps:
            match step:
                case Settled(call_id, result):
                    await self._context.own.settle(call_id, CallStatus.OK, result)
                case Deleted(key):
                    await self._delete(key)
                case Refused(reason):
                    self._context.warn("state_ignored", reason)
                case _:
                    yield step

    async def _delete(self, key: str) -> None:
        try:
            await self._context.state.delete(SCOPE, key)
        except TenureError as refusal:
            if refusal.code is Code.FENCED:
                raise
            self._context.warn("state_refused", refusal.detail)

    # --- between legs

    async def _conclude(self, leg: Leg) -> AsyncGenerator[Output, None]:
        """A verdict, or what the endpoint asked for is done."""
        self._messages += leg.messages
        self._resume = []
        if leg.error is not None:
            yield failed(self._endpoint.masked(leg.error))
            return
        for call_id in self._granted:
            await self._context.own.settle(call_id, CallStatus.OK, None)
        self._granted = []
        if isinstance(leg.outcome, RunFinishedCancelledOutcome):
            yield CANCELLED
            return
        kept = self._kept(leg)
        if not (kept.open or kept.questions):
            yield completed()
        elif self._context.stopping:
            yield STOPPED
        elif self._number >= MOST_LEGS:
            yield failed(f"The endpoint asked for more {MOST_LEGS} times in one run.")
        else:
            await self._context.checkpoints.save(kept.dumped())
            await self._fulfil(kept)
            for call in kept.open:
                for output in leg.given_up(call.id):
                    yield output

    def _kept(self, leg: Leg) -> Kept:
        return Kept(
            leg=self._number,
            messages=self._messages,
            open=leg.open(),
            questions=[Question(interrupt=i, call=leg.call(i.tool_call_id)) for i in leg.interrupts()],
            permits=self._permits,
            state=self._state.now,
        )

    async def _fulfil(self, kept: Kept) -> None:
        """Call the host's tools one after the other, and ask people everything at once."""
        for call in kept.open:
            if self._context.stopping:
                return
            self._messages.append(await self._called(call))
        try:
            async with asyncio.TaskGroup() as asking:
                asked = [asking.create_task(self._ask(question)) for question in kept.questions]
        except* TenureError as refusals:
            raise refusals.exceptions[0] from None
        self._resume = [task.result() for task in asked]

    async def _called(self, call: Open) -> ToolMessage:
        """Call a tool of the host's. What came of it is the endpoint's to know."""
        message_id, name = f"result_{call.id}", self._offer.real(call.name)
        try:
            arguments = arguments_of(call.arguments)
            if arguments is None:
                raise TenureError(Code.INVALID, f"The arguments of {name} are no JSON object. Correct them.")
            result = await self._context.tools.call(name, arguments)
        except TenureError as refusal:
            if refusal.code not in _TOLD:
                raise
            told = refusal.detail
            return ToolMessage(id=message_id, content=told, tool_call_id=call.id, error=told)
        return ToolMessage(id=message_id, content=plain_text(result), tool_call_id=call.id)

    async def _ask(self, question: Question) -> ResumeEntry:
        """Ask a person what the endpoint wants to know, and make the answer of it."""
        tool, arguments = _subject(question)
        permit = await self._context.own.ask(tool, arguments)
        if question.call is not None:
            self._permits[question.call.id] = permit.call_id if permit.granted else None
        elif permit.granted:
            self._granted.append(permit.call_id)
        return _answer(question, permit)


def _subject(question: Question) -> tuple[str, Arguments]:
    """What a person is asked: about a call of the endpoint's, or what the endpoint says."""
    call, interrupt = question.call, question.interrupt
    if call is not None:
        arguments = arguments_of(call.arguments)
        return call.name[:MOST_NAME], {"arguments": call.arguments} if arguments is None else arguments
    return interrupt.reason.strip()[:MOST_NAME] or "question", {"message": interrupt.message or ""}


def _answer(question: Question, permit: Permit) -> ResumeEntry:
    """Yes or no as the endpoint's schema has it, which is `approved` wherever it asks for leave.

    A no that the schema has no word for is the status `cancelled`.
    """
    schema = question.interrupt.response_schema or {}
    asks = not schema or "approved" in schema.get("properties", {})
    if not permit.granted and not asks and schema.get("type") != "boolean":
        return ResumeEntry(interrupt_id=question.interrupt.id, status="cancelled")
    said = {} if permit.note is None else {"reason": permit.note}
    boolean = schema.get("type") == "boolean"
    payload = permit.granted if boolean else {"approved": permit.granted, **said}
    return ResumeEntry(interrupt_id=question.interrupt.id, status="resolved", payload=payload)
