"""Faults planted in a whole session, each with the invariant that it breaks and what is said of it."""

from collections.abc import Callable, Iterable

import msgspec

from tenure.core.entry import frame
from tenure.core.event import (
    ArtifactCreated,
    MessageDelta,
    Parent,
    QueueHeld,
    ReasoningDelta,
    RunFinished,
    RunInterrupting,
    RunRetried,
    SessionClosed,
    SessionCreated,
    SessionDeleted,
    SessionUpdated,
    StateUpdated,
    SteeringConsumed,
    ToolCallStarted,
    TranscriptCompacted,
    TranscriptRedone,
    TranscriptUndone,
)
from tenure.core.evidence import (
    Acknowledged,
    Connection,
    Observed,
    Stored,
    StoredFile,
    StoredRun,
    StoredSpan,
    StoredValue,
)
from tenure.core.invariants import Invariant
from tenure.core.transcript import Filed
from tests.core.book import FINISHED, Book, admitted, reply, said, started, talk, user

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


@plants(Invariant.BIRTH, "session.created stands at 7, but no fork begins there.")
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
    book.messages[0] = user("m1", "settled", "r2", 3)
    book.runs.append(StoredRun("r2", "completed", "d2", False))
    return whole(book)


@plants(Invariant.MESSAGE_OUTCOME, "The message m2 joined m1, which is over, and has no outcome.")
def joined_without_an_outcome() -> tuple[Stored, Observed]:
    book = talk()
    book.add(msgspec.structs.replace(admitted("m2", "merged"), into="m1"))
    joiner = user("m2", "merged", None, None)
    joiner.joined = "m1"
    book.messages.append(joiner)
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


@plants(Invariant.QUEUE_ORDER, "The message m2 was taken before m1, which stood first.")
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


@plants(Invariant.STEERING, "The run r1 took m2, not kept for it.")
def steering_taken_by_another_run() -> tuple[Stored, Observed]:
    book = talk()
    book.events[3:3] = [
        (admitted("m2", "steered", run_id="r9"), None),
        (SteeringConsumed(message_ids=("m2",)), "r1"),
    ]
    book.messages = [
        user("m1", "settled", "r1", 3),
        user("m2", "settled", "r1", 5),
        reply("a1", "completed", "r1", 6),
    ]
    return whole(book)


@plants(Invariant.STEERING, "The message m2 is kept for the run r1, which is over.")
def steering_left_behind() -> tuple[Stored, Observed]:
    book = talk()
    book.events.insert(3, (admitted("m2", "steered", run_id="r1"), None))
    book.messages = [
        user("m1", "settled", "r1", 3),
        user("m2", "steered", "r1", None),
        reply("a1", "completed", "r1", 5),
    ]
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


@plants(
    Invariant.SUMMARIES,
    "The rows of summaries are (), but the journal folds to "
    "(Summary(run_id='r1', seq=6, covers_through=6, text='Short.', undone=False),).",
)
def summary_without_a_row() -> tuple[Stored, Observed]:
    book = talk()
    book.add(TranscriptCompacted(covers_through=6, summary="Short."), "r1")
    book.events[5:7] = book.events[6:4:-1]
    return whole(book)


@plants(Invariant.UNDO_ORDER, "What was put back, ['m1', 'a1'], isn't what was undone last.")
def redone_without_an_undo() -> tuple[Stored, Observed]:
    book = talk()
    book.add(TranscriptRedone(run_ids=("r1",), message_ids=("m1", "a1")))
    return whole(book)


@plants(Invariant.UNDO_ORDER, "The transcript was changed under the live runs ['r1'].")
def undone_under_a_live_run() -> tuple[Stored, Observed]:
    book = talk()
    book.events.insert(5, (TranscriptUndone(run_ids=("r1",), message_ids=("m1", "a1"), to_seq=2), None))
    for item in book.messages:
        item.undone = True
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


KEPT = StateUpdated(scope="conversation", key="plan", version=1, value={"a": 1})


def with_state(*values: StoredValue, event: StateUpdated = KEPT) -> tuple[Stored, Observed]:
    book = talk()
    book.add(event)
    return msgspec.structs.replace(book.stored(), values=values), Observed()


@plants(Invariant.STATE, "The value of 'plan' has no row.")
def state_lost() -> tuple[Stored, Observed]:
    return with_state()


@plants(Invariant.STATE, "The row of 'plan' isn't the value of version 1.")
def other_state_in_the_row() -> tuple[Stored, Observed]:
    return with_state(StoredValue("plan", 1, '{"a":2}'))


@plants(Invariant.STATE, "The value of 'plan' was deleted, but has a row.")
def state_back_from_the_dead() -> tuple[Stored, Observed]:
    event = StateUpdated(scope="conversation", key="plan", version=2, deleted=True)
    return with_state(StoredValue("plan", 1, '{"a":1}'), event=event)


@plants(Invariant.STATE, "The value of 'more' has a row, but the journal doesn't know it.")
def state_from_nowhere() -> tuple[Stored, Observed]:
    return with_state(StoredValue("plan", 1, '{"a":1}'), StoredValue("more", 1, "1"))


FILE = ArtifactCreated(
    artifact_id="art_1", name="a.txt", media_type="text/plain", size=3, sha256="5e0", by="ada"
)


def with_files(*rows: StoredFile, inherited: bool = False) -> tuple[Stored, Observed]:
    """A session with one file in its journal, and these rows."""
    book = Book() if inherited else talk()
    if inherited:
        book.add(SessionCreated(agent="scripted", owner="ada"))
    book.add(FILE)
    if inherited:
        book.add(SessionCreated(agent="scripted", owner="bob", parent=Parent(session_id="ses_0", seq=2)))
    stored, observed = whole(book)
    return msgspec.structs.replace(stored, files=rows), observed


def file_row(file_id: str = "art_1", name: str = "a.txt") -> StoredFile:
    return StoredFile(file_id, name, "text/plain", 3, "5e0", "ada", None)


@plants(Invariant.FILES, "The file art_1 has no row.")
def file_without_a_row() -> tuple[Stored, Observed]:
    return with_files()


@plants(Invariant.FILES, "The file art_2 has a row, but the journal doesn't know it.")
def file_from_nowhere() -> tuple[Stored, Observed]:
    return with_files(file_row(), file_row("art_2"))


@plants(
    Invariant.FILES,
    f"The row of art_1 is {file_row(name='b.txt')}, but the journal folds to {Filed(FILE, None)}.",
)
def file_renamed_in_its_row() -> tuple[Stored, Observed]:
    return with_files(file_row(name="b.txt"))


@plants(Invariant.OWNERS, "The run r2 is running, but no living host holds it.")
def running_without_an_owner() -> tuple[Stored, Observed]:
    book = talk()
    book.add(admitted("m2"))
    book.add(started("m2", "d2"), "r2")
    book.messages.append(user("m2", "started", "r2", 8))
    book.runs.append(StoredRun("r2", "running", "d2", False))
    return whole(book)
