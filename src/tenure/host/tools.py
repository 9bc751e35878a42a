"""The tools room: every call of a host's tool that a run makes passes here, one room for each attempt.

A call is judged by the grant, entered into the effect ledger, approved by a person where one is needed,
made once, and answered; the agent only sees the end of it. Whatever a tool raises is caught here.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, assert_never

import msgspec

from tenure.core.budget import EXHAUSTED
from tenure.core.effect import CallStatus
from tenure.core.event import ApprovalRequested, ApprovalResolved, Event, GrantReduced, RunResumed, RunWaiting
from tenure.core.ids import APPROVAL, EFFECT
from tenure.core.ledger import Step, digest_of, plain_arguments
from tenure.core.moment import Micros, micros
from tenure.core.principal import includes
from tenure.core.spending import QUESTION
from tenure.core.tool import Arguments, Replay, ToolInfo, ToolTerms
from tenure.errors import Code, TenureError
from tenure.host.tasks import Tasks
from tenure.ports.acts import Lease, Start, Wake
from tenure.ports.checkpoints import Asked
from tenure.ports.clock import Clock, Ids
from tenure.ports.effects import Caller, EffectActs, Intended, Intent
from tenure.ports.landmarks import Landmark, Landmarks
from tenure.ports.runner import Permit
from tenure.ports.tool import Outcome, Tool, ToolCall, Tools, Verified

T = TypeVar("T")

RETRY_S = 0.5
MOST_RESULT = 1 << 20
"""How many bytes of JSON the result of a call may have."""
MOST_ERROR = 2_000
MOST_NAME = 200
"""How many characters the name of an agent's own tool may have."""
_PASSING = (Code.STORE_FULL, Code.STORE_UNAVAILABLE)

Between: TypeAlias = Callable[[int], Awaitable[None]]
"""Let an act stand behind what the run said, and count its bytes. Raises TenureError `fenced`."""

TOOL_EVENTS = (ApprovalRequested, ApprovalResolved, GrantReduced, RunResumed, RunWaiting)
"""The events that this room hears."""


class Refusal(StrEnum):
    """Why a call isn't even entered into the ledger."""

    NOT_GRANTED = "not_granted"
    REDUCED = "reduced"
    REPLACED = "replaced"
    AWAY = "away"


class Toolbox(msgspec.Struct, frozen=True, kw_only=True):
    """What the rooms of all attempts share."""

    effects: EffectActs
    tools: Tools
    clock: Clock
    ids: Ids
    tasks: Tasks
    landmarks: Landmarks
    follow: Callable[[Wake], None]
    due: Callable[[Micros], None]
    """Who wants to know when an approval expires."""
    firm: Callable[[], bool] = lambda: True
    """Whether this life of the host may begin an effect now."""


_Call: TypeAlias = tuple[str, bool, str]
"""What a call is: its tool, whether that is the agent's own, the digest of its arguments."""


class ToolRoom:
    """The tools of one attempt."""

    def __init__(
        self,
        box: Toolbox,
        start: Start,
        lease: Lease,
        *,
        between: Between,
        warn: Callable[[str, str], None],
        folder: Callable[[], Path],
        spent: Callable[[], None] = lambda: None,
        asked: Iterable[Asked] = (),
    ) -> None:
        self._box = box
        self._start = start
        self._lease = lease
        self._between = between
        self._warn = warn
        self._folder = folder
        self._spent = spent
        self._asked: Counter[_Call] = Counter({(a.tool, a.own, a.digest): a.times for a in asked})
        self._open: Counter[_Call] = Counter()
        self._removed: set[str] = set()
        self._resolved: set[str] = set()
        self._news = asyncio.Event()
        self._over = False
        self.waiting = False
        """Whether the run waits for people, or was answered and waits for a slot."""
        self.clears: Callable[[], Awaitable[bool]] | None = None
        """Whether the run may spend one more call; None if it has no budget."""

    # --- what happens to the run

    def hear(self, event: Event) -> None:
        """Take note of an event of the run."""
        match event:
            case RunWaiting():
                self.waiting = True
            case RunResumed():
                self.waiting = False
            case ApprovalRequested(expires_at=expires_at):
                self._box.due(micros(expires_at))
            case ApprovalResolved(approval_id=approval_id):
                self._resolved.add(approval_id)
            case GrantReduced(removed=removed):
                self._removed.update(removed)
            case _:
                pass
        news, self._news = self._news, asyncio.Event()
        news.set()

    def close(self) -> None:
        """The attempt is over: no call of it begins, and nothing is withdrawn for its sake any more."""
        self._over = True

    # --- the face

    def infos(self) -> tuple[ToolInfo, ...]:
        granted = ((terms, self._box.tools.get(terms.name)) for terms in self._start.grant.tools)
        return tuple(
            tool.info for terms, tool in granted if tool is not None and self._fault(terms, tool) is None
        )

    async def call(self, name: str, arguments: Arguments, *, key: str | None = None) -> object:
        terms, tool = self._granted(name)
        plain = plain_arguments(name, arguments)
        tool.check(plain)
        await self._clear()
        with self._under_way((name, False, digest_of(plain)), counts=key is None) as nth:
            told = await self._intend(terms, plain, key, nth)
            match told.step:
                case Step.ASK:
                    return await self._ask(tool, told)
                case Step.VERIFY:
                    return await self._verify(tool, told)
                case _:
                    return await self._go(tool, told)

    @contextmanager
    def _under_way(self, call: _Call, *, counts: bool = True) -> Generator[int]:
        """Count a call that has no key, and know that the agent hasn't heard of its outcome yet."""
        self._asked[call] += counts
        self._open[call] += counts
        try:
            yield self._asked[call]
        finally:
            self._open[call] -= counts

    def known(self) -> tuple[Asked, ...]:
        """The calls whose outcome the agent knows, for a checkpoint."""
        told = ((call, times - self._open[call]) for call, times in self._asked.items())
        return tuple(Asked(*call, times) for call, times in told if times)

    # --- the agent's own calls

    async def ask(self, tool: str, arguments: Arguments) -> Permit:
        if not tool.strip() or len(tool) > MOST_NAME:
            detail = f"The agent's own tool {tool[:100]!r} has no name of 1 to {MOST_NAME} characters."
            raise TenureError(Code.INVALID, detail)
        plain = plain_arguments(tool, arguments)
        await self._clear()
        told = await self._permission(tool, plain)
        granted = told.step is Step.EXECUTE
        note = None if granted else _why(told.result)
        return Permit(told.call_id, granted, told.arguments, note)

    async def _permission(self, tool: str, arguments: Arguments) -> Intended:
        """Enter an own call and wait until it is permitted, or refused for good."""
        while True:
            with self._under_way((tool, True, digest_of(arguments))) as nth:
                intent = self._intent(tool, arguments, nth, replay=Replay.NEVER, asks=True, own=True)
                told = await self._put_in(intent)
                if told.step is Step.ASK:
                    told = await self._resolved_by_people(told)
                if told.step is Step.EXECUTE or told.status is CallStatus.DENIED:
                    return told

    async def settle(self, call_id: str, status: CallStatus, result: object) -> None:
        told = Intended(step=Step.EXECUTE, call_id=call_id)
        try:
            plain = _plain(result)
        except (TypeError, ValueError, msgspec.MsgspecError) as error:
            plain = _error(_reason(error))
        await self._answer(told, status, plain)

    async def _clear(self) -> None:
        """Have a person asked first if the run is using up its budget. Raises TenureError `capacity`."""
        if self.clears is None or await self.clears():
            return
        self._spent()
        detail = f"Nobody let the run {self._start.run_id} use up its budget. Stop."
        raise TenureError(Code.CAPACITY, detail, reason=EXHAUSTED)

    # --- the grant

    def _granted(self, name: str) -> tuple[ToolTerms, Tool]:
        """The terms of a tool and the tool. Raises TenureError `forbidden` or `unsupported`."""
        terms = self._start.grant.tool(name)
        tool = self._box.tools.get(name)
        fault = Refusal.NOT_GRANTED if terms is None else self._fault(terms, tool)
        if terms is None or tool is None or fault is not None:
            refusal = self._refusal(name, fault or Refusal.AWAY)
            self._warn("tool_refused", refusal.detail)
            raise refusal
        return terms, tool

    def _fault(self, terms: ToolTerms, tool: Tool | None) -> Refusal | None:
        if f"tool:{terms.name}" in self._removed:
            return Refusal.REDUCED
        if tool is None:
            return Refusal.AWAY
        return None if tool.source == terms.source else Refusal.REPLACED

    def _refusal(self, name: str, fault: Refusal) -> TenureError:
        holds = ", ".join(tool.name for tool in self._start.grant.tools) or "none"
        match fault:
            case Refusal.NOT_GRANTED:
                why = f"its grant holds: {holds}. {self._way_to(name)}"
            case Refusal.REDUCED:
                why = "that was taken from its grant. Send another message once it is allowed again."
            case Refusal.REPLACED:
                why = "another implementation has that name now. Send another message to be granted it."
            case Refusal.AWAY:
                why = "it isn't there now. Try again when its server is back."
            case _:
                assert_never(fault)
        code = Code.UNSUPPORTED if fault is Refusal.AWAY else Code.FORBIDDEN
        return TenureError(code, f"This run may not call the tool {name[:200]!r}: {why}", tool=name[:200])

    def _way_to(self, name: str) -> str:
        """How a run could be granted a tool."""
        tool, role = self._box.tools.get(name), self._start.grant.author.role
        if tool is None or includes(role, tool.role):
            return "Let the runner ask for it and the agent's policy allow it."
        return (
            f"It takes the role {tool.role}, and the message's author has the role {role} here. Let somebody "
            "with that role send it, to an agent whose runner asks for it and whose policy allows it."
        )

    # --- the ledger

    def _caller(self) -> Caller:
        return Caller(self._start.run_id, self._start.attempt, self._box.clock.now())

    async def _intend(self, terms: ToolTerms, arguments: Arguments, key: str | None, nth: int) -> Intended:
        asks = terms.approval.asks(arguments)
        return await self._put_in(
            self._intent(terms.name, arguments, nth, replay=terms.replay, asks=asks, key=key)
        )

    def _intent(
        self,
        tool: str,
        arguments: Arguments,
        nth: int,
        *,
        replay: Replay,
        asks: bool,
        key: str | None = None,
        own: bool = False,
    ) -> Intent:
        return Intent(
            caller=self._caller(),
            call_id=self._box.ids.new(EFFECT),
            approval_id=self._box.ids.new(APPROVAL),
            tool=tool,
            arguments=arguments,
            digest=digest_of(arguments),
            nth=nth,
            key=key,
            replay=replay,
            asks=asks,
            own=own,
        )

    async def _put_in(self, intent: Intent) -> Intended:
        size = len(msgspec.json.encode(intent.arguments))
        return await self._decided(lambda: self._entered(intent), size)

    async def _entered(self, intent: Intent) -> Intended:
        told = await self._box.effects.intend(self._lease, intent._replace(caller=self._caller()))
        # A run that waits for a person gives back its slot, for which others may wait.
        self._box.follow(Wake(backlog=told.backlog))
        return told

    async def _decided(self, act: Callable[[], Coroutine[Any, Any, Intended]], size: int) -> Intended:
        """Ask the ledger what is to be done, until it says so. If the agent leaves meanwhile, undo it."""
        while True:
            deciding = self._spawn(self._written(act, size), "tool call")
            try:
                told = await asyncio.shield(deciding)
            except asyncio.CancelledError:
                deciding.add_done_callback(self._left)
                raise
            if isinstance(told, TenureError):
                if told.facts.get("reason") == EXHAUSTED:
                    self._spent()
                raise told
            if told.step is not Step.LATER:
                return told
            while self.waiting:
                await self._news.wait()

    async def _written(self, act: Callable[[], Coroutine[Any, Any, T]], size: int) -> T | TenureError:
        """Do an act behind what the run said; while the store has no room, again. A refusal is an answer."""
        while True:
            try:
                await self._between(size)
                return await act()
            except TenureError as error:
                if error.code not in _PASSING:
                    return error
            size = 0
            await asyncio.sleep(RETRY_S)

    def _left(self, deciding: "asyncio.Task[Intended | TenureError]") -> None:
        """The agent left while its call was being entered: take back what can be taken back."""
        if self._over or deciding.cancelled() or deciding.exception() is not None:
            return
        told = deciding.result()
        if isinstance(told, TenureError):
            return
        if told.step is Step.ASK and told.approval_id is not None:
            self._forsake(told.approval_id)
        elif told.step is Step.EXECUTE:
            unmade = _error("it was cancelled before it was made")
            self._spawn(self._answered(told, CallStatus.ERROR, unmade), "call")

    def _spawn(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        return self._box.tasks.spawn(work, f"{name} of {self._start.run_id}")

    # --- a person is asked

    async def put(self, question: Arguments) -> None:
        """Ask a person whether the run may use up its budget. Raises TenureError `denied` if not."""
        told = await self._put_in(
            self._intent(QUESTION, question, 1, replay=Replay.SAFE, asks=True, key=QUESTION)
        )
        if told.step is Step.ASK:
            told = await self._resolved_by_people(told)
        if told.step is Step.EXECUTE:
            await self._answer(told, CallStatus.OK, None)
            told = msgspec.structs.replace(told, status=CallStatus.OK)
        _outcome(QUESTION, told)

    async def _ask(self, tool: Tool, told: Intended) -> object:
        return await self._go(tool, await self._resolved_by_people(told))

    async def _resolved_by_people(self, told: Intended) -> Intended:
        assert told.approval_id is not None, "a call that waits for a person has an approval"
        try:
            while self.waiting or told.approval_id not in self._resolved:
                await self._news.wait()
        except asyncio.CancelledError:
            if not self._over:
                self._forsake(told.approval_id)
            raise
        return await self._dispatched(told)

    def _forsake(self, approval_id: str) -> None:
        self._spawn(self._forsaken(approval_id), "withdrawal")

    async def _forsaken(self, approval_id: str) -> None:
        wake = await self._written(
            lambda: self._box.effects.forsake(self._lease, self._caller(), approval_id), 0
        )
        if not isinstance(wake, TenureError):
            self._box.follow(wake)

    async def _dispatched(self, told: Intended) -> Intended:
        return await self._decided(
            lambda: self._box.effects.dispatch(self._lease, self._caller(), told.call_id), 0
        )

    # --- the call

    async def _go(self, tool: Tool, told: Intended) -> object:
        """Make the call if it is to be made, and tell the agent how it ended."""
        if told.step is Step.EXECUTE:
            status, result = await self._made(tool, told)
            told = msgspec.structs.replace(told, status=status, result=result)
        return _outcome(tool.info.name, told)

    async def _made(self, tool: Tool, told: Intended) -> tuple[CallStatus, object]:
        if digest_of(told.arguments) != told.digest:
            raise RuntimeError(f"The call {told.call_id} isn't the one that was approved.")
        if self._over:
            detail = f"The run {self._start.run_id} ended before the call {told.call_id} was made. Stop."
            raise TenureError(Code.FENCED, detail)
        if not self._box.firm():
            # Another host may have taken over the run, and would take the call for made.
            detail = f"This host's lease is over, so the call {told.call_id} wasn't made. Stop."
            raise TenureError(Code.FENCED, detail)
        self._box.landmarks.passed(Landmark.CALL_BEFORE)
        try:
            status, result = CallStatus.OK, _plain(await tool.call(self._call(told)))
        except asyncio.CancelledError:
            if _is_cancelled():
                self._lost(told)
                raise
            status, result = CallStatus.ERROR, _error("it was cancelled from within")
        except Exception as error:
            status, result = _failed(error)
        self._box.landmarks.passed(Landmark.CALL_AFTER)
        await self._answer(told, status, result)
        return status, result

    def _call(self, told: Intended) -> ToolCall:
        start = self._start
        return ToolCall(
            run_id=start.run_id,
            session_id=start.session_id,
            call_id=told.call_id,
            idempotency_key=told.call_id,
            tenant=start.author.tenant,
            user=start.author.user,
            folder=self._folder(),
            arguments=told.arguments,
        )

    def _lost(self, told: Intended) -> None:
        """The agent was cancelled, or left, in the middle of the call."""
        if not self._over:
            self._spawn(self._answered(told, CallStatus.UNKNOWN, None), "call")

    async def _answer(
        self, told: Intended, status: CallStatus, result: object, *, verified: bool = False
    ) -> None:
        """Record how a call ended, even if the agent leaves meanwhile. Raises TenureError `fenced`."""
        answering = self._spawn(self._answered(told, status, result, verified=verified), "call")
        refusal = await asyncio.shield(answering)
        if refusal is not None:
            raise refusal

    async def _answered(
        self, told: Intended, status: CallStatus, result: object, *, verified: bool = False
    ) -> TenureError | None:
        return await self._written(
            lambda: self._box.effects.answer(
                self._lease, self._caller(), told.call_id, status, result, verified=verified
            ),
            len(msgspec.json.encode(result)),
        )

    async def _verify(self, tool: Tool, told: Intended) -> object:
        """Nobody knows how the call ended: ask the tool."""
        try:
            verified = await self._said(tool, told)
        except asyncio.CancelledError:
            self._lost(told)
            raise
        match verified.outcome:
            case Outcome.DONE:
                status = CallStatus.OK
                await self._answer(told, status, verified.result, verified=True)
                return verified.result
            case Outcome.NOT_DONE:
                return await self._go(tool, await self._dispatched(told))
            case Outcome.UNKNOWN:
                await self._answer(told, CallStatus.UNKNOWN, None)
                return _outcome(tool.info.name, msgspec.structs.replace(told, step=Step.UNKNOWN))
            case _:
                assert_never(verified.outcome)

    async def _said(self, tool: Tool, told: Intended) -> Verified:
        try:
            verified = await tool.verify(self._call(told))
            return msgspec.structs.replace(verified, result=_plain(verified.result))
        except Exception as error:
            self._warn("verify_failed", f"{tool.info.name} couldn't say how its call ended: {_reason(error)}")
            return Verified(outcome=Outcome.UNKNOWN)


def _outcome(name: str, told: Intended) -> object:
    """The result of a call. Raises TenureError `denied`, `outcome_unknown`, or `internal` if it failed."""
    facts = {"tool": name, "call_id": told.call_id}
    match told.status if told.step is not Step.UNKNOWN else CallStatus.UNKNOWN:
        case CallStatus.OK:
            return told.result
        case CallStatus.DENIED:
            detail = f"The call of {name} was not approved: {_why(told.result)}"
            raise TenureError(Code.DENIED, detail, **facts)
        case CallStatus.ERROR:
            raise TenureError(Code.INTERNAL, f"The tool {name} failed: {_why(told.result)}", **facts)
        case CallStatus.UNKNOWN | None:
            raise TenureError(
                Code.OUTCOME_UNKNOWN,
                f"Nobody knows how the call {told.call_id} of {name} ended, and it isn't safe to repeat. "
                "Look at what it should have changed, or ask a person.",
                **facts,
            )


def _why(result: object) -> str:
    """What the ledger's result says of a call that didn't succeed."""
    match result:
        case {"error": str(error)}:
            return error
        case {"decision": str(decision), "by": str(by), "note": str(note)}:
            return f"{decision} by {by}: {note}"
        case {"decision": str(decision), "by": str(by)}:
            return f"{decision} by {by}."
        case _:
            return "no reason was given."


def _failed(error: Exception) -> tuple[CallStatus, object]:
    """How a call ended that raised: a tool may also say that it doesn't know."""
    if isinstance(error, TenureError) and error.code is Code.OUTCOME_UNKNOWN:
        return CallStatus.UNKNOWN, None
    return CallStatus.ERROR, _error(_reason(error))


def _error(reason: str) -> dict[str, str]:
    return {"error": reason}


def _plain(result: object) -> object:
    """A result as plain JSON. Raises ValueError or TypeError for anything else, and for what is too large."""
    plain = msgspec.to_builtins(result, str_keys=True)
    size = len(msgspec.json.encode(plain))
    if size > MOST_RESULT:
        raise ValueError(f"its result has {size} bytes of JSON; at most {MOST_RESULT} are taken")
    return plain


def _reason(error: Exception) -> str:
    try:
        text = error.detail if isinstance(error, TenureError) else f"{type(error).__name__}: {error}"
    except Exception:
        text = f"{type(error).__name__} (it can't be shown)"
    return text[:MOST_ERROR].encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
