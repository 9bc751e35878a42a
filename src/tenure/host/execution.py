"""Execution: drives the runner of one attempt, from claim to verdict.

Nothing that a runner does here is durable by itself: its output goes through the journal room, its end
through settlement. A stop is cooperative first, then a cancel, then the runner is abandoned: its token is
dead and its output refused. This is the one place where whatever a runner raises is caught.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from enum import StrEnum
from typing import cast

import msgspec

from tenure.core.assembly import Assembly, Piece
from tenure.core.budget import EXHAUSTED
from tenure.core.entry import Entry, entry
from tenure.core.event import ArtifactFailed, Event, MessageCompleted, ReasoningCompleted, RunnerWarning
from tenure.core.ids import EFFECT, MESSAGE
from tenure.core.output import (
    Artifact,
    Output,
    Reasoning,
    Said,
    Spent,
    StateUpdate,
    Text,
    ToolCompleted,
    ToolStarted,
    Verdict,
    failed,
)
from tenure.core.run import RUN, RunState
from tenure.core.sequence import SequenceRule
from tenure.errors import Code, TenureError
from tenure.host.context import Attempt
from tenure.host.journal import RunJournal
from tenure.host.stopping import Stopping
from tenure.ports.clock import Clock, Ids
from tenure.ports.runner import Runner
from tenure.ports.store import Start

log = logging.getLogger("tenure.host")

BREATH = 64
LATE_WARNINGS = 10
MOST_REASON = 1_000
_INTERRUPTED = Verdict(status=RunState.CANCELLED, reason="interrupted")
_OUTPUTS = (Text, Said, Reasoning, ToolStarted, ToolCompleted, Spent, Artifact, StateUpdate, Verdict)


class Phase(StrEnum):
    """How far an execution is."""

    SPEAKING = "speaking"
    ENDED = "ended"


class Conclusion(msgspec.Struct, frozen=True):
    """What settlement needs to know: the verdict, and the last entries for either ending."""

    verdict: Verdict
    whole: tuple[Entry, ...]
    partial: tuple[Entry, ...]
    assembly: Assembly

    def final(self, status: RunState) -> tuple[Entry, ...]:
        """What stands before `run.finished`."""
        return self.whole if status is RunState.COMPLETED else self.partial


class Execution:
    """One attempt at work."""

    def __init__(
        self, start: Start, runner: Runner, context: Attempt, journal: RunJournal, clock: Clock, ids: Ids
    ) -> None:
        self.start = start
        self.stopping: Stopping | None = None
        self.late: list[str] = []
        self.releasing = False
        self._runner = runner
        self.context = context
        self._journal = journal
        self._clock = clock
        self._rule = SequenceRule()
        self._assembly = Assembly(lambda: ids.new(MESSAGE))
        self._bytes = 0
        self._made: Artifact | StateUpdate | None = None
        self.weigh: Callable[[], Awaitable[bool]] | None = None
        """Whether the run may go on after what it spent; None if it has no budget."""
        self.catch_up: Callable[[Execution], Awaitable[None]] | None = None
        """Learns what happened to the run before it was held here; it may be over."""
        self._most_bytes = start.grant.max_output_bytes
        self._listens = start.grant.idle_s is not None
        self._phase = Phase.SPEAKING
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Verdict | None] = loop.create_future()
        self.parting: list[Event] = []
        """What is recorded with the end of the run, if it completes."""
        self.gone: asyncio.Future[None] = loop.create_future()

    # --- the runner's task

    async def pump(self) -> None:
        """Read the runner to its end. The first verdict counts; what comes later is noted as late."""
        try:
            if self.catch_up is not None:
                await self.catch_up(self)
            if not self.speaking:
                return
            await self.context.files.prepare()
            await self._read(self._runner.run(self.context))
        except asyncio.CancelledError:
            self.conclude(None if self.releasing else _INTERRUPTED)
        except Exception as error:
            log.info("The runner of %s raised.", self.start.run_id, exc_info=error)
            self.conclude(failed(_reason(error)))
        finally:
            self.conclude(failed("runner_ended"))

    def over(self, _pump: "asyncio.Task[None]") -> None:
        """The runner's task is over. One that was cancelled before it began has concluded nothing."""
        self.conclude(None if self.releasing else _INTERRUPTED)

    async def _read(self, outputs: AsyncIterator[Output]) -> None:
        unbroken = 0
        try:
            async for output in outputs:
                if type(output) is not Text or not self._say(output):
                    self._hear(output)
                    if isinstance(self._made, Artifact):
                        await self._keep(self._made)
                    elif self._made is not None:
                        await self._update(self._made)
                    elif isinstance(output, Spent | ToolStarted) and await self._is_spent():
                        return
                unbroken += 1
                if self.releasing:
                    self.conclude(None)
                    return
                if len(self.late) == LATE_WARNINGS:
                    return
                if self._journal.congested:
                    await self._wait_for_disk()
                elif unbroken % BREATH == 0:
                    await asyncio.sleep(0)
        finally:
            if isinstance(outputs, AsyncGenerator):
                await outputs.aclose()

    async def _is_spent(self) -> bool:
        """Look at the budget before the runner goes on: what it spent stands in the journal by then."""
        if self.weigh is None or not self.speaking:
            return False
        await self.sent()
        if not self.speaking or await self.weigh():
            return False
        self.conclude(failed(EXHAUSTED))
        return True

    async def _keep(self, made: Artifact) -> None:
        """Keep a file that the runner put out, where it stands among its outputs."""
        self._made = None
        try:
            await self.context.files.save(made.name, made.data, made.media_type)
        except TenureError as refusal:
            if refusal.code is Code.FENCED:
                self.conclude(None)
                return
            self._record(Piece(ArtifactFailed(name=_cut(made.name, 200), reason=_cut(refusal.detail, 1_000))))
        except OSError as error:
            self._record(Piece(ArtifactFailed(name=_cut(made.name, 200), reason=_reason(error))))

    async def _update(self, update: StateUpdate) -> None:
        """Keep a value that the runner put out, where it stands among its outputs. A refusal is a warning."""
        self._made = None
        try:
            warning = await self.context.state.take(update)
        except TenureError as error:
            if error.code is not Code.FENCED:
                raise
            self.conclude(None)
            return
        if warning is not None:
            self._record(Piece(warning))

    async def _wait_for_disk(self) -> None:
        """The runner is kept waiting by the host: that isn't its own silence."""
        if self.stopping is not None:
            self.stopping.held_up = True
        await self._journal.relief()
        if self.stopping is not None:
            self.stopping.held_up = False
            self.stopping.heard()

    def _say(self, output: Text) -> bool:
        """The short way of most outputs: one more piece of plain text. False if the long way is needed."""
        text = output.text
        if self._phase is not Phase.SPEAKING or output.sequence is not None or type(text) is not str:
            return False
        if not text.isascii() or "\x00" in text or self._bytes + len(text) > self._most_bytes:
            return False
        delta = self._assembly.more(text)
        if delta is None:
            return False
        recorded = entry(self._clock.now(), delta, self.start.run_id)
        self._bytes += len(recorded.line)
        self._journal.add(recorded)
        self._check_limits()
        return True

    def _check_limits(self) -> None:
        if self._listens and self.stopping is not None:
            self.stopping.heard()
        if self._bytes > self._most_bytes:
            self.conclude(failed("output_limit"))

    def _hear(self, output: Output) -> None:
        if self._phase is not Phase.SPEAKING:
            self._note_late(output)
            return
        self._judge(output)
        self._check_limits()

    def _judge(self, output: Output) -> None:
        fault = _fault(output)
        if fault is not None:
            self._warn("payload_invalid", fault)
            return
        ruling = self._rule.judge(output.sequence)
        if ruling.fault is not None:
            self._warn(ruling.fault, f"The runner's number was {_short(output.sequence)}.")
        if ruling.deliver:
            self._accept(output)

    def _accept(self, output: Output) -> None:
        if isinstance(output, Verdict):
            self.conclude(msgspec.structs.replace(output, reason=_cut(output.reason, MOST_REASON)))
            return
        if isinstance(output, Artifact | StateUpdate):
            self._made = output
            return
        if self._bytes + _weight(output) > self._most_bytes:
            self.conclude(failed("output_limit"))
            return
        for piece in self._assembly.take(output):
            self._record(piece)

    def _record(self, piece: Piece) -> None:
        recorded = self._entry(piece.event, opens=piece.opens)
        self._bytes += len(recorded.line)
        self._journal.add(recorded)

    def _entry(self, event: Event, *, opens: bool = False) -> Entry:
        return entry(self._clock.now(), event, self.start.run_id, opens=opens)

    def _warn(self, code: str, detail: str) -> None:
        self._record(Piece(RunnerWarning(code=code, detail=detail)))

    def _note_late(self, output: object) -> None:
        if len(self.late) < LATE_WARNINGS:
            self.late.append(f"Ignored after the end of the run: {_short(output)}")

    # --- the end

    def conclude(self, verdict: Verdict | None) -> None:
        """End with `verdict`, unless a first one counts already. None: nothing is to be settled here."""
        if self._phase is Phase.ENDED:
            return
        self._phase = Phase.ENDED
        # What it said last goes with its end, in one act: nobody waits for two commits.
        self._journal.hold()
        if not self.outcome.done():  # cancelled with its task, when the host stops
            self.outcome.set_result(verdict)

    def abandon(self) -> None:
        """The runner ignores its cancellation: end without it. Whatever it still says is refused."""
        if self._phase is Phase.SPEAKING:
            self._warn("abandoned", "The runner ignored its cancellation and was left behind.")
        self.conclude(None if self.releasing else _INTERRUPTED)

    def rest(self) -> list[Entry]:
        """What was said and isn't on its way to the store yet. Nothing is taken after this."""
        self._phase = Phase.ENDED
        return self._journal.close()

    @property
    def speaking(self) -> bool:
        """Whether the runner's words still count."""
        return self._phase is Phase.SPEAKING

    def interlude(self) -> None:
        """The runner calls a tool: what it was saying is a whole message."""
        if self.speaking:
            for piece in self._assembly.close():
                self._record(piece)

    def warn(self, code: str, detail: str) -> None:
        """Journal something odd that the runner did. It counts as output."""
        if self.speaking:
            self._warn(_cut(code, MOST_REASON), _cut(detail, MOST_REASON))
            self._check_limits()

    async def sent(self) -> None:
        """Wait until what was said so far is on its way: an act that follows stands behind it."""
        await self._journal.sent()

    async def goes_on(self, size: int) -> bool:
        """Wait as `sent` does, and count the bytes that an act journals. False once the runner is over."""
        if self.speaking:
            await self.sent()
        if self.speaking:
            self._bytes += size
            self._check_limits()
        return self.speaking

    async def land(self) -> None:
        """Wait until the output that is on its way to the store has arrived or failed."""
        await self._journal.land()

    def conclusion(self, verdict: Verdict) -> Conclusion:
        """Everything that settlement needs. Takes what the journal room hasn't sent yet."""
        rest = self._journal.close()
        if self._journal.broken:
            # What it said last isn't in the journal; the store closes what is.
            return Conclusion(verdict, (), (), self._assembly)
        pieces = self._assembly.finish(partial=True)
        partial = [self._entry(piece.event) for piece in pieces]
        whole = [self._entry(_whole(piece.event)) for piece in pieces]
        whole += [self._entry(event) for event in self.parting]
        return Conclusion(verdict, (*rest, *whole), (*rest, *partial), self._assembly)


def _whole(event: Event) -> Event:
    if isinstance(event, MessageCompleted | ReasoningCompleted):
        return msgspec.structs.replace(event, partial=False)
    return event


def _weight(output: Output) -> int:
    """How many bytes an output journals at least. One that breaks the limit by itself isn't taken."""
    match output:
        case Text(text=text) | Reasoning(text=text) | Said(content=str(text)):
            return len(text)
        case _:
            return 0


def _fault(output: object) -> str | None:
    """Why an output can't be taken, or None if it can."""
    if type(output) is Text:
        return _text_fault(output.text)
    if type(output) is Verdict and _is_plain(output):
        return None
    if not isinstance(output, _OUTPUTS):
        return f"The runner yielded {_short(output)}, which is no output. Yield text or an output."
    if isinstance(output, Verdict) and not _ends(output.status):
        return f"The runner yielded the verdict {_short(output.status)}. Use completed() or failed(reason)."
    if isinstance(output, Artifact):
        return _artifact_fault(output)
    if isinstance(output, ToolStarted | ToolCompleted) and str(output.call_id).startswith(EFFECT):
        return f"The runner yielded the call {_short(output.call_id)}, whose id is one of the host's own."
    try:
        plain = msgspec.to_builtins(output)
        msgspec.convert(plain, type(output))
        msgspec.json.encode(plain)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        return f"The runner yielded a {type(output).__name__} that doesn't fit: {_reason(error)}"
    return next((fault for text in _texts(plain) if (fault := _text_fault(text))), None)


def _is_plain(output: Verdict) -> bool:
    """Whether it says no more than that the work is done, as nearly every run does: that is soon seen."""
    reason: object = output.reason
    said = output.status is RunState.COMPLETED and type(reason) is str and not reason
    return said and output.retryable is False and output.sequence is None


def _artifact_fault(output: Artifact) -> str | None:
    """Why a file can't be kept. Its bytes are not looked at: they may be many."""
    name, data, media_type = cast("tuple[object, object, object]", msgspec.structs.astuple(output)[:3])
    if type(name) is str and type(data) is bytes and (media_type is None or type(media_type) is str):
        return None
    return (
        f"The runner yielded an Artifact of {_short(name)}, {type(data).__name__} and {_short(media_type)}. "
        "Give a name, bytes, and a media type or None."
    )


def _texts(plain: object) -> Iterator[str]:
    """Every text in a value made of JSON's kinds."""
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, dict):
        members = cast("dict[object, object]", plain)
        yield from (text for pair in members.items() for part in pair for text in _texts(part))
    elif isinstance(plain, list | tuple):
        yield from (text for part in cast("list[object]", plain) for text in _texts(part))


def _ends(status: object) -> bool:
    """Whether a runner may end its run so. Only the host knows that a run is lost."""
    return isinstance(status, RunState) and status in RUN.terminal and status is not RunState.LOST


def _text_fault(text: object) -> str | None:
    if type(text) is not str:
        return f"The runner yielded a Text whose text is {_short(text)}."
    if "\x00" in text:
        return "The runner yielded text with the character U+0000, which can't be stored everywhere."
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "The runner yielded text with half of a surrogate pair."
    return None


def _short(value: object) -> str:
    return _cut(f"{type(value).__name__} {_told(repr, value)}", 200)


def _reason(error: Exception) -> str:
    """Why a run failed: a refusal says it for people, anything else by its name."""
    if isinstance(error, TenureError):
        return _cut(error.detail, MOST_REASON)
    return _cut(f"{type(error).__name__}: {_told(str, error)}", MOST_REASON)


def _told(tell: Callable[[object], str], value: object) -> str:
    """What a value of a runner's own says of itself; its code may fail even at that."""
    try:
        return tell(value)
    except Exception:
        return "(it can't be shown)"


def _cut(text: str, most: int) -> str:
    """The beginning of `text`, without what a journal can't hold."""
    return text[:most].encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
