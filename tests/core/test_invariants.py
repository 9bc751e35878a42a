"""The invariant checker: a whole session breaks nothing, and each planted fault breaks one rule only."""

import msgspec
import pytest

from tenure.core.event import (
    MessageDelta,
    MessageWithdrawn,
    QueueHeld,
    ReasoningDelta,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    RunRetried,
    SessionCreated,
    SessionDeleted,
    ToolCallStarted,
    TranscriptRedone,
    TranscriptUndone,
)
from tenure.core.evidence import (
    Acknowledged,
    Connection,
    Observed,
    Stored,
    StoredRun,
)
from tenure.core.invariants import MEANING, Invariant, check, check_absent
from tests.core import faults_of_decisions, faults_of_recalls
from tests.core.book import FINISHED, PARENT, SESSION, admitted, reply, said, started, talk, user
from tests.core.faults import FAULTS, Fault, file_row, with_files


def broken(stored: Stored, observed: Observed | None = None) -> set[Invariant]:
    return {v.invariant for v in check(stored, observed or Observed())}


def sentences(stored: Stored, observed: Observed | None = None) -> list[str]:
    return [v.sentence for v in check(stored, observed or Observed())]


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


def test_a_fork_of_an_unfinished_turn_breaks_nothing() -> None:
    book = talk()
    book.events[4:] = [(SessionCreated(agent="scripted", owner="bob", parent=PARENT), None)]
    book.messages = [user("m1", "settled", "r1", 3), reply("a1", "partial", "r1", 4)]
    book.runs = []

    assert sentences(book.stored()) == []


def test_an_undone_and_redone_turn_breaks_nothing() -> None:
    book = talk()
    book.add(TranscriptUndone(run_ids=("r1",), message_ids=("m1", "a1"), to_seq=2))
    book.add(TranscriptRedone(run_ids=("r1",), message_ids=("m1", "a1")))

    assert sentences(book.stored()) == []


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


def test_a_fork_may_lack_a_file_that_its_parent_deleted_since() -> None:
    assert broken(with_files(inherited=True)[0]) == set()
    assert broken(with_files(file_row(), inherited=True)[0]) == set()


def test_a_run_that_waits_for_a_person_and_then_goes_on_breaks_nothing() -> None:
    waits, went_on = faults_of_decisions.asking(), faults_of_decisions.granted()
    went_on.add(faults_of_decisions.ENDED, "r1")
    assert broken(faults_of_decisions.with_rows(waits)[0]) == set()
    assert broken(faults_of_decisions.done(went_on)[0]) == set()


def test_schedules_and_what_became_of_their_instants_break_nothing() -> None:
    for stored in faults_of_recalls.whole_recalls():
        assert sentences(stored) == []


def test_the_schedules_of_a_deleted_session_may_be_gone() -> None:
    stored, _ = faults_of_recalls.schedule_without_a_row()
    assert Invariant.RECALLS not in broken(msgspec.structs.replace(stored, state="deleted"))


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
