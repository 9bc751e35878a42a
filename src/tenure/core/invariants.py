"""The invariants of one session, judged from what is stored and from what clients were told.

One pure checker serves `tenure doctor`, the simulation and the crash tests. It folds the journal anew
and compares; it repairs nothing. A violation says which invariant broke, where, and how.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

from tenure.core.entry import Recorded, frame, lines_of, record
from tenure.core.event import (
    MessageAdmitted,
    MessageCompleted,
    MessageDelta,
    MessagePromoted,
    MessageWithdrawn,
    QueueHeld,
    QueueReleased,
    ReasoningCompleted,
    ReasoningDelta,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    RunResumed,
    RunRetried,
    RunStarted,
    SessionClosed,
    SessionCreated,
    SessionDeleted,
    SessionReopened,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.evidence import UNOBSERVED, Acknowledged, Connection, Observed, Stored, StoredSpan
from tenure.core.message import MessageState, ReplyState, Role
from tenure.core.run import LIVE_RUNS, SLOT_STATES, RunState
from tenure.core.session import SessionState
from tenure.core.transcript import Item, Transcript
from tenure.errors import IllegalTransition


class Invariant(StrEnum):
    """What must hold of every session at every moment; `counters` and `owners` also of the whole store."""

    NUMBERS = "numbers"
    ENTRIES = "entries"
    ACKNOWLEDGED = "acknowledged"
    STREAMED = "streamed"
    CONTIGUOUS = "contiguous"
    BIRTH = "birth"
    DELETED = "deleted"
    SESSION_ROW = "session_row"
    MESSAGE_OUTCOME = "message_outcome"
    RUN_START = "run_start"
    RUN_END = "run_end"
    STOPPED = "stopped"
    ONE_LIVE_RUN = "one_live_run"
    QUEUE_ORDER = "queue_order"
    OPEN_ENDS = "open_ends"
    WORDS = "words"
    GRANT = "grant"
    TRANSCRIPT = "transcript"
    RUNS = "runs"
    OWNERS = "owners"
    COUNTERS = "counters"


MEANING: dict[Invariant, str] = {
    Invariant.NUMBERS: "The journal is numbered 1 to head, with no gap and no number twice.",
    Invariant.ENTRIES: "Every stored entry can be read.",
    Invariant.ACKNOWLEDGED: "What a client was told is done stands in the journal.",
    Invariant.STREAMED: "What a client saw stands in the journal, byte for byte.",
    Invariant.CONTIGUOUS: "A client that follows and resumes sees every number once, in order.",
    Invariant.BIRTH: "A journal begins with session.created, and holds it once.",
    Invariant.DELETED: "Nothing follows session.deleted, and nothing waits or runs behind it.",
    Invariant.SESSION_ROW: "The session's row says what its journal says.",
    Invariant.MESSAGE_OUTCOME: "A message is admitted once, and withdrawn or taken by one run, not both.",
    Invariant.RUN_START: "A run starts once, for an admitted message, before anything it says.",
    Invariant.RUN_END: "A run finishes once, and only runner.warning carries its id afterwards.",
    Invariant.STOPPED: "A run that was asked to stop ends completed, cancelled or timed out.",
    Invariant.ONE_LIVE_RUN: "At most one run of a session is live at any number.",
    Invariant.QUEUE_ORDER: "Messages are taken in the order of admission, and none while the queue is held.",
    Invariant.OPEN_ENDS: "What a run began to say or call is closed once, before the run finishes.",
    Invariant.WORDS: "A closed message says what its deltas said.",
    Invariant.GRANT: "The grant of a run is the one that its start names.",
    Invariant.TRANSCRIPT: "The message rows are what the journal folds to.",
    Invariant.RUNS: "The run rows are what the journal folds to.",
    Invariant.OWNERS: "Whatever is said to run has an owner that lives.",
    Invariant.COUNTERS: "Counters equal a recount.",
}


class Violation(msgspec.Struct, frozen=True):
    """One broken invariant. `session_id` is empty if it concerns the whole store."""

    invariant: Invariant
    session_id: str
    sentence: str
    seqs: tuple[int, ...] = ()


class _Line(NamedTuple):
    seq: int
    line: bytes


class _Case(NamedTuple):
    """One session under examination: what is stored, what was observed, and the journal read back."""

    stored: Stored
    observed: Observed
    lines: dict[int, bytes]
    journal: list[Recorded]


_Fault: TypeAlias = tuple[str, tuple[int, ...]]
_Faults: TypeAlias = Iterator[_Fault]


def check(stored: Stored, observed: Observed = UNOBSERVED) -> list[Violation]:
    """Every invariant that this session breaks; an empty list if it is whole."""
    lines = list(_lines(stored.spans))
    journal, unreadable = _read(lines)
    case = _Case(stored, observed, dict(lines), journal)
    found = [Violation(Invariant.ENTRIES, stored.session_id, *fault) for fault in unreadable]
    for invariant, rule in _rules_for(stored).items():
        found += [Violation(invariant, stored.session_id, *fault) for fault in rule(case)]
    return found


def check_absent(session_id: str, observed: Observed) -> list[Violation]:
    """What is wrong with a session that isn't stored at all: nothing, if somebody asked to delete it."""
    known = observed.acknowledged or any(c.frames for reader in observed.readers for c in reader)
    if observed.deletion_asked or not known:
        return []
    sentence = "Clients know this session and nobody asked to delete it, but it isn't stored."
    return [Violation(Invariant.ACKNOWLEDGED, session_id, sentence)]


# --- reading the journal


def _lines(spans: Iterable[StoredSpan]) -> Iterator[_Line]:
    for span in spans:
        for seq, rest in enumerate(lines_of(span.body), span.first):
            yield _Line(seq, b"{" + rest)


def _read(lines: Iterable[_Line]) -> tuple[list[Recorded], list[_Fault]]:
    journal: list[Recorded] = []
    faults: list[_Fault] = []
    for seq, line in lines:
        try:
            journal.append(record(seq, line))
        except (msgspec.MsgspecError, ValueError) as error:
            faults.append((f"Entry {seq} can't be read: {error}", (seq,)))
    return journal, faults


# --- numbers, and what clients were told


def _numbers(case: _Case) -> _Faults:
    expected = 1
    for first, last, body in case.stored.spans:
        count = len(lines_of(body))
        if first != expected:
            yield f"A row begins at {first} where {expected} is next.", (first,)
        if last - first + 1 != count:
            yield f"The row {first}..{last} holds {count} entries.", (first, last)
        expected = last + 1
    if case.stored.head_seq != expected - 1:
        yield (
            f"The head is {case.stored.head_seq}, but the last stored number is {expected - 1}.",
            (case.stored.head_seq, expected - 1),
        )


def _acknowledged(case: _Case) -> _Faults:
    for told in case.observed.acknowledged:
        what = f"A client was told of {told.type} {told.subject}".rstrip()
        if told.seq is not None and not _says(case.lines.get(told.seq, b""), told):
            yield f"{what} at {told.seq}, but that isn't stored there.", (told.seq,)
        elif told.seq is None and not any(_says(line, told) for line in case.lines.values()):
            yield f"{what}, but that isn't stored.", ()


def _says(line: bytes, told: Acknowledged) -> bool:
    return b'"type":"%b"' % told.type.encode() in line and told.subject.encode() in line


def _streamed(case: _Case) -> _Faults:
    for connection in _connections(case):
        for seen in connection.frames:
            seq = _seq_of(seen)
            line = case.lines.get(seq)
            if line is None:
                yield f"A client saw entry {seq}, which isn't stored.", (seq,)
            elif frame(seq, line[1:]) != seen:
                yield f"A client saw an entry {seq} that differs from the stored one.", (seq,)


def _contiguous(case: _Case) -> _Faults:
    for reader in case.observed.readers:
        at = reader[0].after if reader else 0
        for connection in reader:
            if connection.after != at:
                yield f"A client that had seen {at} resumed after {connection.after}.", (at,)
                at = connection.after
            for seen in connection.frames:
                seq = _seq_of(seen)
                if seq != at + 1:
                    yield f"A client that had seen {at} was shown {seq} next.", (at, seq)
                at = seq


def _connections(case: _Case) -> Iterator[Connection]:
    for reader in case.observed.readers:
        yield from reader


class _Numbered(msgspec.Struct):
    seq: int


_numbered = msgspec.json.Decoder(_Numbered)


def _seq_of(envelope: bytes) -> int:
    return _numbered.decode(envelope).seq


# --- the session


def _birth(case: _Case) -> _Faults:
    born = [e.seq for e in case.journal if isinstance(e.event, SessionCreated)]
    if case.journal and born != [1]:
        yield f"session.created stands at {born} instead of 1.", tuple(born)


def _deleted(case: _Case) -> _Faults:
    ends = [e.seq for e in case.journal if isinstance(e.event, SessionDeleted)]
    if not ends:
        return
    late = [e.seq for e in case.journal if e.seq > ends[0]]
    if late:
        yield f"Entries {late} follow session.deleted at {ends[0]}.", tuple(late)
    waiting = [m.message_id for m in case.stored.messages if m.status in _WAITING]
    if waiting:
        yield f"The session is deleted, but the messages {waiting} still wait.", (ends[0],)
    live = [run.run_id for run in case.stored.runs if run.state in LIVE_RUNS]
    if live:
        yield f"The session is deleted, but the runs {live} are live.", (ends[0],)


_WAITING = (MessageState.QUEUED, MessageState.STEERED)


def _session_row(case: _Case) -> _Faults:
    state, held = SessionState.OPEN, False
    for recorded in case.journal:
        match recorded.event:
            case SessionClosed():
                state = SessionState.CLOSED
            case SessionReopened():
                state = SessionState.OPEN
            case SessionDeleted():
                state = SessionState.DELETED
            case QueueHeld():
                held = True
            case QueueReleased():
                held = False
            case _:
                pass
    if case.stored.state != state:
        yield f"The session is {case.stored.state}, but its journal folds to {state}.", ()
    if case.stored.queue_held != held and state is not SessionState.DELETED:
        yield f"queue_held is {case.stored.queue_held}, but its journal folds to {held}.", ()


# --- messages and runs


def _message_outcome(case: _Case) -> _Faults:
    admitted: dict[str, int] = {}
    outcome: dict[str, tuple[int, str]] = {}
    for recorded in case.journal:
        match recorded.event:
            case MessageAdmitted(message_id=message_id):
                if message_id in admitted:
                    seqs = (admitted[message_id], recorded.seq)
                    yield f"The message {message_id} was admitted twice.", seqs
                admitted.setdefault(message_id, recorded.seq)
                continue
            case MessageWithdrawn(message_id=message_id):
                what = "withdrawn"
            case RunStarted(trigger=trigger):
                message_id, what = trigger.id, f"taken by the run {recorded.run_id}"
            case _:
                continue
        if message_id in outcome:
            seq, before = outcome[message_id]
            yield f"The message {message_id} was {before} and then {what}.", (seq, recorded.seq)
        outcome.setdefault(message_id, (recorded.seq, what))


class _Life(msgspec.Struct):
    """How far one run has come, and what it has left open."""

    started: int | None = None
    stopping: int | None = None
    finished: int | None = None
    attempt: int = 0
    speaking: dict[str, int] = {}
    said: set[str] = set()
    words: dict[str, list[str]] = {}
    calling: dict[str, int] = {}


def _lives(journal: Iterable[Recorded]) -> Iterator[tuple[Recorded, str, _Life]]:
    """Each entry that belongs to a run, with the life of that run before it."""
    lives: dict[str, _Life] = {}
    for recorded in journal:
        run_id = recorded.run_id
        if run_id is None or isinstance(recorded.event, MessageAdmitted):
            continue
        life = lives.setdefault(run_id, _Life())
        yield recorded, run_id, life
        _live_on(life, recorded)


def _live_on(life: _Life, recorded: Recorded) -> None:
    match recorded.event:
        case RunStarted(attempt=attempt):
            life.started, life.attempt = recorded.seq, attempt
        case RunRetried(attempt=attempt) | RunResumed(attempt=attempt):
            life.attempt = attempt
            # A new attempt starts over: what the last one left open is superseded, not closed.
            life.speaking, life.calling = {}, {}
        case RunInterrupting():
            life.stopping = recorded.seq
        case RunFinished():
            life.finished = recorded.seq
        case MessageDelta(message_id, text) | ReasoningDelta(message_id, text):
            if message_id not in life.said:
                life.speaking.setdefault(message_id, recorded.seq)
                life.words.setdefault(message_id, []).append(text)
        case MessageCompleted(message_id=message_id) | ReasoningCompleted(message_id=message_id):
            life.speaking.pop(message_id, None)
            life.said.add(message_id)
        case ToolCallStarted(call_id=call_id):
            life.calling[call_id] = recorded.seq
        case ToolCallCompleted(call_id=call_id):
            life.calling.pop(call_id, None)
        case _:
            pass


def _run_start(case: _Case) -> _Faults:
    admitted: set[str] = set()
    for recorded in case.journal:
        if isinstance(recorded.event, MessageAdmitted):
            admitted.add(recorded.event.message_id)
        elif isinstance(recorded.event, RunStarted):
            trigger = recorded.event.trigger
            if trigger.kind == "message" and trigger.id not in admitted:
                yield f"The run {recorded.run_id} started for the unknown {trigger.id}.", (recorded.seq,)
    for recorded, run_id, life in _lives(case.journal):
        sentence = _wrong_start(recorded, run_id, life)
        if sentence:
            yield sentence, (recorded.seq,)


def _wrong_start(recorded: Recorded, run_id: str, life: _Life) -> str:
    match recorded.event:
        case RunStarted():
            return f"The run {run_id} started twice." if life.started is not None else ""
        case RunRetried(attempt=attempt) if attempt <= life.attempt:
            return f"Attempt {attempt} of the run {run_id} follows attempt {life.attempt}."
        case RunFinished(status=RunState.CANCELLED) | RunnerWarning():
            # A run may be stopped while it waits for a slot; an abandoned one may warn at any time.
            return ""
        case _:
            return f"The run {run_id} acted before it started." if life.started is None else ""


def _run_end(case: _Case) -> _Faults:
    for recorded, run_id, life in _lives(case.journal):
        if life.finished is not None and not isinstance(recorded.event, RunnerWarning):
            what = "finished again" if isinstance(recorded.event, RunFinished) else "went on"
            yield f"The run {run_id} {what} after it had finished.", (life.finished, recorded.seq)


def _stopped(case: _Case) -> _Faults:
    for recorded, run_id, life in _lives(case.journal):
        if life.stopping is None:
            continue
        match recorded.event:
            case RunFinished(status=status) if status not in _STOPPED:
                yield (
                    f"The run {run_id} was asked to stop, but ended {status}.",
                    (life.stopping, recorded.seq),
                )
            case RunRetried():
                yield f"The run {run_id} was asked to stop, but started over.", (life.stopping, recorded.seq)
            case _:
                pass


_STOPPED = (RunState.COMPLETED, RunState.CANCELLED, RunState.TIMED_OUT)


def _one_live_run(case: _Case) -> _Faults:
    live: dict[str, int] = {}
    for recorded in case.journal:
        if isinstance(recorded.event, RunStarted) and recorded.run_id:
            others = [other for other in live if other != recorded.run_id]
            if others:
                seqs = (*(live[other] for other in others), recorded.seq)
                yield f"The run {recorded.run_id} started while {others} lived.", seqs
            live[recorded.run_id] = recorded.seq
        elif isinstance(recorded.event, RunFinished) and recorded.run_id:
            live.pop(recorded.run_id, None)
    rows = [run.run_id for run in case.stored.runs if run.state in LIVE_RUNS]
    if len(rows) > 1:
        yield f"The rows call {len(rows)} runs live: {rows}.", ()


def _queue_order(case: _Case) -> _Faults:
    admitted: dict[str, int] = {}
    latest, promoted, held = 0, False, False
    for recorded in case.journal:
        match recorded.event:
            case MessagePromoted():
                promoted = True
            case MessageAdmitted(message_id=message_id):
                admitted.setdefault(message_id, recorded.seq)
            case QueueHeld():
                held = True
            case QueueReleased():
                held = False
            case RunStarted(trigger=trigger):
                seq = admitted.get(trigger.id, latest)
                if held:
                    yield f"The run {recorded.run_id} started while the queue was held.", (recorded.seq,)
                if seq < latest and not promoted:
                    yield (
                        f"The message {trigger.id} was taken after one that came later.",
                        (seq, recorded.seq),
                    )
                latest = max(latest, seq)
            case _:
                pass


def _open_ends(case: _Case) -> _Faults:
    for recorded, run_id, life in _lives(case.journal):
        event, seq = recorded.event, recorded.seq
        if isinstance(event, RunFinished) and life.finished is None:
            for name, since in (life.speaking | life.calling).items():
                yield f"The run {run_id} finished and left {name} open.", (since, seq)
        elif isinstance(event, MessageDelta | ReasoningDelta) and event.message_id in life.said:
            yield f"The message {event.message_id} goes on after it was closed.", (seq,)
        elif isinstance(event, MessageCompleted | ReasoningCompleted) and event.message_id in life.said:
            yield f"The message {event.message_id} was closed twice.", (seq,)


def _words(case: _Case) -> _Faults:
    for recorded, _, life in _lives(case.journal):
        event = recorded.event
        if not isinstance(event, MessageCompleted | ReasoningCompleted) or event.message_id not in life.words:
            continue
        if event.content != "".join(life.words[event.message_id]):
            yield f"The message {event.message_id} was closed with other words.", (recorded.seq,)


def _grant(case: _Case) -> _Faults:
    named = {run.run_id: run.grant_digest for run in case.stored.runs}
    for recorded in case.journal:
        if isinstance(recorded.event, RunStarted) and recorded.run_id in named:
            stored = named[recorded.run_id]
            used = recorded.event.grant_digest
            if used != stored:
                yield (
                    f"The run {recorded.run_id} started with grant {used}; {stored} is stored.",
                    (recorded.seq,),
                )


# --- rows against the fold


def _fold(case: _Case) -> Transcript:
    """The transcript as far as the journal makes sense; other rules tell where it doesn't."""
    transcript = Transcript()
    for recorded in case.journal:
        try:
            transcript.add(recorded)
        except (IllegalTransition, LookupError):
            continue
    return transcript


def _transcript(case: _Case) -> _Faults:
    expected = _fold(case).items
    stored = {item.message_id: item for item in case.stored.messages}
    for message_id in sorted(expected.keys() | stored.keys()):
        kept, due = stored.get(message_id), expected.get(message_id)
        if kept is None:
            yield f"The message {message_id} has no row.", ()
        elif due is None:
            yield f"The message {message_id} has a row, but the journal doesn't know it.", ()
        elif _comparable(kept) != _comparable(due):
            yield f"The row of {message_id} is {kept}, but the journal folds to {due}.", ()


def _comparable(item: Item) -> Item:
    if item.status == ReplyState.STREAMING:
        return msgspec.structs.replace(item, content="")
    if item.role is Role.USER and item.entered_seq is None:
        # The row of a waiting message knows the run that waits for a slot; the journal doesn't yet.
        return msgspec.structs.replace(item, run_id=None)
    return item


def _runs(case: _Case) -> _Faults:
    folded = _fold(case).runs
    stored = {run.run_id: run for run in case.stored.runs}
    for run_id, state in folded.items():
        row = stored.get(run_id)
        if row is None:
            yield f"The run {run_id} has no row.", ()
        elif row.state not in _ROWS_OF[state]:
            yield f"The run {run_id} is stored as {row.state}, but folds to {state}.", ()
    for run_id in stored.keys() - folded.keys():
        if stored[run_id].state != RunState.QUEUED:
            yield f"The run {run_id} is {stored[run_id].state}, but never started.", ()


_ROWS_OF: dict[RunState, tuple[RunState, ...]] = {
    **{state: (state,) for state in RunState},
    # A run that lost its host waits for a slot again; the journal learns of it as the next attempt.
    RunState.RUNNING: (RunState.RUNNING, RunState.QUEUED),
}


def _owners(case: _Case) -> _Faults:
    for run in case.stored.runs:
        if run.state in SLOT_STATES and not run.owned:
            yield f"The run {run.run_id} is {run.state}, but no living host holds it.", ()


_RULES: dict[Invariant, Callable[[_Case], _Faults]] = {
    Invariant.NUMBERS: _numbers,
    Invariant.ACKNOWLEDGED: _acknowledged,
    Invariant.STREAMED: _streamed,
    Invariant.CONTIGUOUS: _contiguous,
    Invariant.BIRTH: _birth,
    Invariant.DELETED: _deleted,
    Invariant.SESSION_ROW: _session_row,
    Invariant.MESSAGE_OUTCOME: _message_outcome,
    Invariant.RUN_START: _run_start,
    Invariant.RUN_END: _run_end,
    Invariant.STOPPED: _stopped,
    Invariant.ONE_LIVE_RUN: _one_live_run,
    Invariant.QUEUE_ORDER: _queue_order,
    Invariant.OPEN_ENDS: _open_ends,
    Invariant.WORDS: _words,
    Invariant.GRANT: _grant,
    Invariant.TRANSCRIPT: _transcript,
    Invariant.RUNS: _runs,
    Invariant.OWNERS: _owners,
}


def _rules_for(stored: Stored) -> dict[Invariant, Callable[[_Case], _Faults]]:
    """All rules; for a deleted session whose rows are being freed, those that need no whole journal."""
    freed = (
        stored.state == SessionState.DELETED
        and sum(span.last - span.first + 1 for span in stored.spans) < stored.head_seq
    )
    return {Invariant.DELETED: _deleted, Invariant.OWNERS: _owners} if freed else _RULES
