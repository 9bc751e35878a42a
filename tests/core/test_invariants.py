"""The invariant checker: a whole session breaks nothing, and each planted fault breaks one rule only."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
import pytest

from tenure.core.entry import entry, frame
from tenure.core.event import (
    Actor,
    Event,
    MessageAdmitted,
    MessageCompleted,
    MessageDelta,
    MessageWithdrawn,
    QueueHeld,
    ReasoningDelta,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    RunRetried,
    RunStarted,
    SessionClosed,
    SessionCreated,
    SessionDeleted,
    SessionUpdated,
    ToolCallStarted,
    Trigger,
)
from tenure.core.evidence import Acknowledged, Connection, Observed, Stored, StoredRun, StoredSpan
from tenure.core.invariants import MEANING, Invariant, check, check_absent
from tenure.core.message import Role
from tenure.core.moment import Micros
from tenure.core.transcript import Item

SESSION = "ses_1"
ROOT = Actor(user="ada", role="member")


def admitted(message_id: str, disposition: str = "started") -> MessageAdmitted:
    return MessageAdmitted(
        message_id=message_id, actor=ROOT, content="hi", when_busy="queue", disposition=disposition
    )


def started(message_id: str, digest: str = "d1") -> RunStarted:
    return RunStarted(
        runner="python", attempt=1, trigger=Trigger(kind="message", id=message_id), grant_digest=digest
    )


def said(message_id: str, text: str = "hello") -> MessageCompleted:
    return MessageCompleted(message_id=message_id, role=Role.ASSISTANT, content=text)


FINISHED = RunFinished(status="completed", reason="")


@dataclass
class Book:
    """A session under construction: events, and the rows that belong to them."""

    events: list[tuple[Event, str | None]] = field(default_factory=list[tuple[Event, str | None]])
    messages: list[Item] = field(default_factory=list[Item])
    runs: list[StoredRun] = field(default_factory=list[StoredRun])
    state: str = "open"
    held: bool = False

    def add(self, event: Event, run_id: str | None = None) -> int:
        self.events.append((event, run_id))
        return len(self.events)

    def lines(self) -> list[bytes]:
        return [entry(Micros(0), event, run_id).line for event, run_id in self.events]

    def envelopes(self) -> list[bytes]:
        return [frame(seq, line[1:]) for seq, line in enumerate(self.lines(), 1)]

    def stored(self) -> Stored:
        lines = self.lines()
        halves = (0, len(lines) // 2), (len(lines) // 2, len(lines))
        spans = [StoredSpan(a + 1, b, b"\n".join(lines[a:b])) for a, b in halves if b > a]
        return Stored(
            session_id=SESSION,
            head_seq=len(lines),
            state=self.state,
            queue_held=self.held,
            spans=tuple(spans),
            messages=tuple(self.messages),
            runs=tuple(self.runs),
        )


def user(message_id: str, status: str, run_id: str | None, seq: int | None) -> Item:
    return Item(message_id, Role.USER, "hi", run_id, status, seq)


def reply(message_id: str, status: str, run_id: str, seq: int, text: str = "hello") -> Item:
    return Item(message_id, Role.ASSISTANT, text, run_id, status, seq)


def talk() -> Book:
    """Created, one message, one run that says hello and completes: entries 1 to 6."""
    book = Book()
    book.add(SessionCreated(agent="scripted", owner="ada"))
    book.add(admitted("m1"))
    book.add(started("m1"), "r1")
    book.add(MessageDelta("a1", "hello"), "r1")
    book.add(said("a1"), "r1")
    book.add(FINISHED, "r1")
    book.messages = [user("m1", "settled", "r1", 3), reply("a1", "completed", "r1", 4)]
    book.runs = [StoredRun("r1", "completed", "d1", False)]
    return book


def broken(stored: Stored, observed: Observed | None = None) -> set[Invariant]:
    return {v.invariant for v in check(stored, observed or Observed())}


def sentences(stored: Stored, observed: Observed | None = None) -> list[str]:
    return [v.sentence for v in check(stored, observed or Observed())]


# --- whole sessions


def test_a_whole_session_breaks_nothing() -> None:
    assert check(talk().stored()) == []


def test_a_run_that_went_on_as_a_new_attempt_breaks_nothing() -> None:
    book = talk()
    book.events[4:] = []
    book.add(ToolCallStarted(call_id="c1", tool="t", arguments={}), "r1")
    book.add(ReasoningDelta("t1", "hm"), "r1")
    book.add(RunRetried(attempt=2, reason="host_lost"), "r1")
    book.add(MessageDelta("a2", "again"), "r1")
    book.add(said("a2", "again"), "r1")
    book.add(FINISHED, "r1")
    first = msgspec.structs.replace(reply("a1", "partial", "r1", 4, ""), superseded=True)
    book.messages = [book.messages[0], first, reply("a2", "completed", "r1", 8, "again")]
    assert check(book.stored()) == []


def test_a_live_session_with_a_queue_breaks_nothing() -> None:
    book = talk()
    book.add(admitted("m2"))
    book.add(started("m2", "d2"), "r2")
    book.add(admitted("m3", "queued"))
    book.add(MessageDelta("a2", "so far"), "r2")
    book.add(QueueHeld(by="ada"))
    book.add(RunInterrupting(by="ada"), "r2")
    book.held = True
    book.messages += [
        user("m2", "started", "r2", 8),
        user("m3", "queued", None, None),
        reply("a2", "streaming", "r2", 10, ""),
    ]
    book.runs.append(StoredRun("r2", "interrupting", "d2", True))
    assert check(book.stored()) == []


def test_a_run_that_was_stopped_while_it_waited_for_a_slot_breaks_nothing() -> None:
    book = talk()
    book.add(admitted("m2", "queued"))
    book.add(MessageWithdrawn(message_id="m2", by="host"))
    book.add(RunFinished(status="cancelled", reason="interrupted"), "r2")
    book.messages.append(user("m2", "withdrawn", "r2", None))
    book.runs.append(StoredRun("r2", "cancelled", "d2", False))
    assert check(book.stored()) == []


def test_a_run_that_waits_again_after_its_host_was_lost_breaks_nothing() -> None:
    book = talk()
    book.events[4:] = []
    book.messages = [user("m1", "started", "r1", 3), reply("a1", "streaming", "r1", 4, "")]
    book.runs = [StoredRun("r1", "queued", "d1", False)]
    assert check(book.stored()) == []


def test_a_deleted_session_whose_rows_are_being_freed_breaks_nothing() -> None:
    book = talk()
    book.add(SessionDeleted(by="ada"))
    book.state = "deleted"
    stored = book.stored()
    assert check(stored) == []
    assert check(msgspec.structs.replace(stored, spans=stored.spans[1:], messages=(), runs=())) == []


def test_warnings_after_the_end_break_nothing() -> None:
    book = talk()
    book.add(RunnerWarning(code="late_result", detail="x"), "r1")
    assert check(book.stored()) == []


# --- one planted fault each

Fault = Callable[[], tuple[Stored, Observed]]
FAULTS: list[tuple[Invariant, str, Fault]] = []


def plants(invariant: Invariant, sentence: str) -> Callable[[Fault], Fault]:
    def keep(fault: Fault) -> Fault:
        FAULTS.append((invariant, sentence, fault))
        return fault

    return keep


def whole(book: Book) -> tuple[Stored, Observed]:
    return book.stored(), Observed()


def respan(stored: Stored, spans: Iterable[StoredSpan]) -> tuple[Stored, Observed]:
    return msgspec.structs.replace(stored, spans=tuple(spans)), Observed()


@plants(Invariant.NUMBERS, "A row begins at 5 where 4 is next.")
def gap_between_rows() -> tuple[Stored, Observed]:
    stored = talk().stored()
    moved = [s._replace(first=s.first + 1, last=s.last + 1) if s.first > 1 else s for s in stored.spans]
    # The rows agree with the wrong number, so that nothing but the numbering is amiss.
    messages = tuple(
        msgspec.structs.replace(m, entered_seq=5) if m.entered_seq == 4 else m for m in stored.messages
    )
    return msgspec.structs.replace(stored, spans=tuple(moved), messages=messages, head_seq=7), Observed()


@plants(Invariant.NUMBERS, "The head is 7, but the last stored number is 6.")
def head_beyond_the_journal() -> tuple[Stored, Observed]:
    return msgspec.structs.replace(talk().stored(), head_seq=7), Observed()


@plants(Invariant.NUMBERS, "The row 4..7 holds 3 entries.")
def span_longer_than_its_entries() -> tuple[Stored, Observed]:
    stored = msgspec.structs.replace(talk().stored(), head_seq=7)
    return respan(stored, [stored.spans[0], stored.spans[1]._replace(last=7)])


@plants(Invariant.ENTRIES, "Entry 7 can't be read: JSON is malformed: object keys must be strings (byte 1)")
def garbled_entry() -> tuple[Stored, Observed]:
    stored = msgspec.structs.replace(talk().stored(), head_seq=7)
    return respan(stored, [*stored.spans, StoredSpan(7, 7, b"{nonsense}")])


@plants(Invariant.ACKNOWLEDGED, "A client was told of message.admitted m2 at 2, but that isn't stored there.")
def acknowledged_message_is_missing() -> tuple[Stored, Observed]:
    return talk().stored(), Observed(acknowledged=(Acknowledged(2, "message.admitted", "m2"),))


@plants(Invariant.ACKNOWLEDGED, "A client was told of session.closed, but that isn't stored.")
def acknowledged_close_is_missing() -> tuple[Stored, Observed]:
    return talk().stored(), Observed(acknowledged=(Acknowledged(None, "session.closed"),))


@plants(Invariant.STREAMED, "A client saw entry 7, which isn't stored.")
def seen_before_it_was_durable() -> tuple[Stored, Observed]:
    book = talk()
    envelopes = [*book.envelopes(), frame(7, b'"type":"run.started"}')]
    return book.stored(), Observed(readers=((Connection(0, tuple(envelopes)),),))


@plants(Invariant.STREAMED, "A client saw an entry 4 that differs from the stored one.")
def seen_with_other_bytes() -> tuple[Stored, Observed]:
    book = talk()
    envelopes = book.envelopes()
    envelopes[3] = envelopes[3].replace(b"hello", b"hullo")
    return book.stored(), Observed(readers=((Connection(0, tuple(envelopes)),),))


@plants(Invariant.CONTIGUOUS, "A client that had seen 2 was shown 4 next.")
def skipped_in_a_stream() -> tuple[Stored, Observed]:
    book = talk()
    envelopes = book.envelopes()
    reader = (Connection(0, (*envelopes[:2], *envelopes[3:])),)
    return book.stored(), Observed(readers=(reader,))


@plants(Invariant.CONTIGUOUS, "A client that had seen 3 was shown 3 next.")
def repeated_after_a_reconnection() -> tuple[Stored, Observed]:
    book = talk()
    envelopes = book.envelopes()
    reader = (Connection(0, tuple(envelopes[:3])), Connection(3, tuple(envelopes[2:])))
    return book.stored(), Observed(readers=(reader,))


@plants(Invariant.CONTIGUOUS, "A client that had seen 3 resumed after 4.")
def resumed_beyond_what_was_seen() -> tuple[Stored, Observed]:
    book = talk()
    envelopes = book.envelopes()
    reader = (Connection(0, tuple(envelopes[:3])), Connection(4, tuple(envelopes[4:])))
    return book.stored(), Observed(readers=(reader,))


@plants(Invariant.BIRTH, "session.created stands at [1, 7] instead of 1.")
def created_twice() -> tuple[Stored, Observed]:
    book = talk()
    book.add(SessionCreated(agent="scripted", owner="ada"))
    return whole(book)


@plants(Invariant.DELETED, "Entries [8] follow session.deleted at 7.")
def event_after_deletion() -> tuple[Stored, Observed]:
    book = talk()
    book.add(SessionDeleted(by="ada"))
    book.add(SessionUpdated(by="ada", title="ghost"))
    book.state = "deleted"
    return whole(book)


@plants(Invariant.DELETED, "The session is deleted, but the messages ['m2'] still wait.")
def message_waits_in_a_deleted_session() -> tuple[Stored, Observed]:
    book = talk()
    book.add(admitted("m2", "queued"))
    book.add(SessionDeleted(by="ada"))
    book.state = "deleted"
    book.messages.append(user("m2", "queued", None, None))
    return whole(book)


@plants(Invariant.SESSION_ROW, "The session is open, but its journal folds to closed.")
def closed_only_in_the_journal() -> tuple[Stored, Observed]:
    book = talk()
    book.add(SessionClosed(by="ada"))
    return whole(book)


@plants(Invariant.SESSION_ROW, "queue_held is False, but its journal folds to True.")
def held_only_in_the_journal() -> tuple[Stored, Observed]:
    book = talk()
    book.add(QueueHeld(by="ada"))
    return whole(book)


@plants(Invariant.MESSAGE_OUTCOME, "The message m2 was admitted twice.")
def admitted_twice() -> tuple[Stored, Observed]:
    book = talk()
    book.add(admitted("m2", "queued"))
    book.add(admitted("m2", "queued"))
    book.messages.append(user("m2", "queued", None, None))
    return whole(book)


@plants(Invariant.MESSAGE_OUTCOME, "The message m1 was taken by the run r1 and then taken by the run r2.")
def taken_by_two_runs() -> tuple[Stored, Observed]:
    book = talk()
    book.add(started("m1", "d2"), "r2")
    book.add(FINISHED, "r2")
    book.messages[0] = user("m1", "settled", "r2", 7)
    book.runs.append(StoredRun("r2", "completed", "d2", False))
    return whole(book)


@plants(Invariant.RUN_START, "The run r1 started twice.")
def run_starts_twice() -> tuple[Stored, Observed]:
    book = talk()
    # The second start names another message, else the message would have two outcomes too.
    book.events[1:1] = [(admitted("m0"), None), (started("m0"), "r1")]
    book.messages = [
        user("m0", "settled", "r1", 3),
        user("m1", "settled", "r1", 5),
        reply("a1", "completed", "r1", 6),
    ]
    return whole(book)


@plants(Invariant.RUN_START, "Attempt 1 of the run r1 follows attempt 1.")
def attempt_does_not_rise() -> tuple[Stored, Observed]:
    book = talk()
    book.events.insert(3, (RunRetried(attempt=1, reason="host_lost"), "r1"))
    book.messages[1] = reply("a1", "completed", "r1", 5)
    return whole(book)


@plants(Invariant.RUN_START, "The run r1 started for the unknown m9.")
def started_for_no_message() -> tuple[Stored, Observed]:
    book = talk()
    book.events[1:3] = [(started("m9"), "r1")]
    book.messages = [reply("a1", "completed", "r1", 3)]
    return whole(book)


@plants(Invariant.RUN_END, "The run r1 finished again after it had finished.")
def finished_twice() -> tuple[Stored, Observed]:
    book = talk()
    book.add(FINISHED, "r1")
    return whole(book)


@plants(Invariant.RUN_END, "The run r1 went on after it had finished.")
def spoke_after_the_end() -> tuple[Stored, Observed]:
    book = talk()
    book.add(said("a2", "late"), "r1")
    book.messages.append(reply("a2", "completed", "r1", 7, "late"))
    return whole(book)


@plants(Invariant.ONE_LIVE_RUN, "The run r2 started while ['r1'] lived.")
def two_runs_at_once() -> tuple[Stored, Observed]:
    book = talk()
    book.events[5:] = [
        (admitted("m2"), None),
        (started("m2", "d2"), "r2"),
        (FINISHED, "r1"),
        (FINISHED, "r2"),
    ]
    book.messages.append(user("m2", "settled", "r2", 7))
    book.runs.append(StoredRun("r2", "completed", "d2", False))
    return whole(book)


@plants(Invariant.STOPPED, "The run r1 was asked to stop, but ended failed.")
def stopped_run_failed() -> tuple[Stored, Observed]:
    book = talk()
    book.events[5:] = [(RunInterrupting(by="ada"), "r1"), (RunFinished(status="failed", reason="x"), "r1")]
    book.runs = [StoredRun("r1", "failed", "d1", False)]
    return whole(book)


@plants(Invariant.STOPPED, "The run r1 was asked to stop, but started over.")
def stopped_run_started_over() -> tuple[Stored, Observed]:
    book = talk()
    book.events[3:3] = [(RunInterrupting(by="ada"), "r1"), (RunRetried(attempt=2, reason="host_lost"), "r1")]
    book.messages[1] = reply("a1", "completed", "r1", 6)
    return whole(book)


@plants(Invariant.QUEUE_ORDER, "The message m1 was taken after one that came later.")
def queue_jumped() -> tuple[Stored, Observed]:
    book = talk()
    book.events[1:1] = [(admitted("m1", "queued"), None), (admitted("m2"), None), (started("m2", "d2"), "r2")]
    book.events[4:5] = [(FINISHED, "r2")]
    book.messages = [
        user("m1", "settled", "r1", 6),
        user("m2", "settled", "r2", 4),
        reply("a1", "completed", "r1", 7),
    ]
    book.runs.append(StoredRun("r2", "completed", "d2", False))
    return whole(book)


@plants(Invariant.QUEUE_ORDER, "The run r1 started while the queue was held.")
def started_from_a_held_queue() -> tuple[Stored, Observed]:
    book = talk()
    book.events[2:2] = [(QueueHeld(by="ada"), None)]
    book.messages = [user("m1", "settled", "r1", 4), reply("a1", "completed", "r1", 5)]
    book.held = True
    return whole(book)


@plants(Invariant.OPEN_ENDS, "The run r1 finished and left c1 open.")
def call_left_open() -> tuple[Stored, Observed]:
    book = talk()
    book.events.insert(5, (ToolCallStarted(call_id="c1", tool="t", arguments={}), "r1"))
    return whole(book)


@plants(Invariant.OPEN_ENDS, "The run r1 finished and left t1 open.")
def reasoning_left_open() -> tuple[Stored, Observed]:
    book = talk()
    book.events.insert(5, (ReasoningDelta("t1", "hm"), "r1"))
    return whole(book)


@plants(Invariant.OPEN_ENDS, "The message a1 goes on after it was closed.")
def delta_after_the_close() -> tuple[Stored, Observed]:
    book = talk()
    book.events[5:] = [(MessageDelta("a1", "more"), "r1"), (said("a2"), "r1"), (FINISHED, "r1")]
    book.messages.append(reply("a2", "completed", "r1", 7))
    return whole(book)


@plants(Invariant.WORDS, "The message a1 was closed with other words.")
def delta_lost() -> tuple[Stored, Observed]:
    book = talk()
    book.events[3] = (MessageDelta("a1", "hell"), "r1")
    return whole(book)


@plants(Invariant.GRANT, "The run r1 started with grant d1; d7 is stored.")
def grant_changed() -> tuple[Stored, Observed]:
    book = talk()
    book.runs = [StoredRun("r1", "completed", "d7", False)]
    return whole(book)


@plants(Invariant.TRANSCRIPT, "The message a1 has no row.")
def row_missing() -> tuple[Stored, Observed]:
    book = talk()
    book.messages.pop()
    return whole(book)


@plants(Invariant.TRANSCRIPT, "The message a9 has a row, but the journal doesn't know it.")
def row_from_nowhere() -> tuple[Stored, Observed]:
    book = talk()
    book.messages.append(reply("a9", "completed", "r1", 4))
    return whole(book)


@plants(Invariant.RUNS, "The run r1 is stored as failed, but folds to completed.")
def other_outcome_in_the_row() -> tuple[Stored, Observed]:
    book = talk()
    book.runs = [StoredRun("r1", "failed", "d1", False)]
    return whole(book)


@plants(Invariant.RUNS, "The run r1 has no row.")
def run_row_missing() -> tuple[Stored, Observed]:
    book = talk()
    book.runs = []
    return whole(book)


@plants(Invariant.RUNS, "The run r2 is completed, but never started.")
def run_row_from_nowhere() -> tuple[Stored, Observed]:
    book = talk()
    book.runs.append(StoredRun("r2", "completed", "d2", False))
    return whole(book)


@plants(Invariant.OWNERS, "The run r2 is running, but no living host holds it.")
def running_without_an_owner() -> tuple[Stored, Observed]:
    book = talk()
    book.add(admitted("m2"))
    book.add(started("m2", "d2"), "r2")
    book.messages.append(user("m2", "started", "r2", 8))
    book.runs.append(StoredRun("r2", "running", "d2", False))
    return whole(book)


@pytest.mark.parametrize(("invariant", "sentence", "fault"), FAULTS, ids=[f[2].__name__ for f in FAULTS])
def test_a_planted_fault_breaks_its_invariant_and_no_other(
    invariant: Invariant, sentence: str, fault: Fault
) -> None:
    stored, observed = fault()
    assert sentences(stored, observed) == [sentence]
    assert broken(stored, observed) == {invariant}


def test_every_invariant_of_a_session_has_a_planted_fault() -> None:
    assert {invariant for invariant, _, _ in FAULTS} == set(Invariant) - {Invariant.COUNTERS}


def test_every_invariant_has_a_meaning() -> None:
    assert list(MEANING) == list(Invariant)


def test_a_row_with_other_text_than_its_journal_is_named() -> None:
    book = talk()
    book.messages[1] = reply("a1", "completed", "r1", 4, "hullo")
    assert broken(book.stored()) == {Invariant.TRANSCRIPT}


def test_a_violation_names_the_numbers_it_is_about() -> None:
    book = talk()
    book.add(FINISHED, "r1")
    (violation,) = check(book.stored())
    assert (violation.session_id, violation.seqs) == (SESSION, (6, 7))


def test_everything_a_client_followed_over_a_cut_is_in_order() -> None:
    book = talk()
    envelopes = tuple(book.envelopes())
    reader = (Connection(0, envelopes[:3]), Connection(3, ()), Connection(3, envelopes[3:]))
    told = (Acknowledged(2, "message.admitted", "m1"), Acknowledged(None, "session.created"))
    assert check(book.stored(), Observed(acknowledged=told, readers=(reader,))) == []


def test_a_session_that_is_gone_was_deleted_by_somebody() -> None:
    told = (Acknowledged(1, "session.created"),)
    (violation,) = check_absent(SESSION, Observed(acknowledged=told))
    assert violation.invariant is Invariant.ACKNOWLEDGED
    assert check_absent(SESSION, Observed(acknowledged=told, deletion_asked=True)) == []
    assert check_absent(SESSION, Observed()) == []
