"""The transcript as a fold of the journal: small journals by hand, then any journal that can happen."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.entry import Recorded
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
    Trigger,
    Unknown,
)
from tenure.core.message import MessageState, ReplyState, Role
from tenure.core.moment import Micros
from tenure.core.run import RunState
from tenure.core.transcript import (
    Admitted,
    Change,
    Closed,
    Ended,
    Entered,
    Item,
    Moved,
    Opened,
    Superseded,
    Transcript,
    Withdrawn,
    changes,
)
from tenure.errors import IllegalTransition
from tests.core.properties import properties
from tests.core.samples import SAMPLES

ADA = Actor(user="ada", role="member")
Line = tuple[Event | Unknown, str | None]


def journal(*lines: Line) -> list[Recorded]:
    """The entries, numbered from 1."""
    return [Recorded(seq, Micros(seq), run, event) for seq, (event, run) in enumerate(lines, 1)]


def admitted(message_id: str, run_id: str | None = None, disposition: str = "queued") -> Line:
    event = MessageAdmitted(
        message_id=message_id,
        actor=ADA,
        content=f"text of {message_id}",
        when_busy="queue",
        disposition=disposition,
        run_id=run_id,
    )
    return event, None


def started(run_id: str, message_id: str) -> Line:
    trigger = Trigger(kind="message", id=message_id)
    return RunStarted(runner="python", attempt=1, trigger=trigger, grant_digest="5e0"), run_id


def finished(run_id: str, status: str = "completed") -> Line:
    return RunFinished(status=status, reason=""), run_id


def delta(run_id: str, message_id: str, text: str) -> Line:
    return MessageDelta(message_id, text), run_id


def closed(run_id: str, message_id: str, text: str, *, partial: bool = False) -> Line:
    event = MessageCompleted(message_id=message_id, role="assistant", content=text, partial=partial)
    return event, run_id


def shown(entries: Iterable[Recorded]) -> list[tuple[str, str, str]]:
    """(message, content, status) of every line of the transcript."""
    lines = Transcript.fold(entries).lines()
    return [(item.message_id, str(item.content), str(item.status)) for item in lines]


# --- what one event changes


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            admitted("m1", "r1", "started"),
            (Admitted("m1", "ada", "text of m1", MessageState.QUEUED, "r1"),),
        ),
        (admitted("m1"), (Admitted("m1", "ada", "text of m1", MessageState.QUEUED, None),)),
        (
            admitted("m1", "r1", "steered"),
            (Admitted("m1", "ada", "text of m1", MessageState.STEERED, "r1"),),
        ),
        (
            admitted("m1", None, "merged"),
            (Admitted("m1", "ada", "text of m1", MessageState.MERGED, None),),
        ),
        ((MessageWithdrawn(message_id="m1", by="ada"), None), (Withdrawn("m1"),)),
        (started("r1", "m1"), (Moved("r1", RunState.RUNNING), Entered("m1", "r1"))),
        ((RunRetried(attempt=2, reason="host_lost"), "r1"), (Superseded("r1", 2),)),
        ((RunInterrupting(by="ada"), "r1"), (Moved("r1", RunState.INTERRUPTING),)),
        (
            (RunFinished(status="failed", reason="no"), "r1"),
            (Ended("r1", RunState.FAILED, "no"),),
        ),
        (closed("r1", "m2", "x"), (Closed("m2", "r1", "x", ReplyState.COMPLETED),)),
        (closed("r1", "m2", "x", partial=True), (Closed("m2", "r1", "x", ReplyState.PARTIAL),)),
        (delta("r1", "m2", "x"), ()),
        ((ReasoningDelta("m3", "x"), "r1"), ()),
        ((QueueHeld(by="ada"), None), ()),
        ((RunnerWarning(code="late_result", detail=""), "r1"), ()),
    ],
    ids=[
        "admitted to start",
        "admitted to wait",
        "admitted as steering",
        "admitted into another",
        "withdrawn",
        "started",
        "retried",
        "interrupting",
        "finished",
        "said whole",
        "said in part",
        "a further delta",
        "reasoning",
        "the queue",
        "a warning",
    ],
)
def test_an_event_changes_these_rows(line: Line, expected: tuple[Change, ...]) -> None:
    assert changes(*line) == expected


def test_the_first_delta_opens_its_message() -> None:
    assert changes(MessageDelta("m2", "x"), "r1", opens=True) == (Opened("m2", "r1"),)


@pytest.mark.parametrize(("name", "event"), [s[:2] for s in SAMPLES], ids=[s[0] for s in SAMPLES])
def test_an_event_of_a_run_changes_nothing_without_its_run(name: str, event: Event) -> None:
    sessions_own = {"message.admitted", "message.withdrawn"}

    assert bool(changes(event, None, opens=True)) is (name in sessions_own)


def test_an_event_of_a_later_version_changes_nothing() -> None:
    foreign = record_of("dream.dreamt")

    assert changes(foreign, "r1") == ()
    assert shown(journal((foreign, "r1"))) == []


def record_of(name: str) -> Unknown:
    """An event that this version doesn't know."""
    return Unknown(name, msgspec.Raw(b'{"message_id":"m1"}'))


# --- small journals


def test_a_message_stands_in_the_transcript_once_a_run_takes_it() -> None:
    lines = [admitted("m1", "r1", "started"), admitted("m2"), started("r1", "m1")]

    assert shown(journal(*lines[:2])) == []
    assert shown(journal(*lines)) == [("m1", "text of m1", "started")]


def test_a_line_of_the_transcript_is_whole() -> None:
    transcript = Transcript.fold(
        journal(
            admitted("m1", "r1", "started"),
            started("r1", "m1"),
            delta("r1", "m2", "Hi"),
            closed("r1", "m2", "Hi"),
            finished("r1"),
        )
    )

    assert transcript.lines() == [
        Item("m1", Role.USER, "text of m1", "r1", "settled", entered_seq=2),
        Item("m2", Role.ASSISTANT, "Hi", "r1", "completed", entered_seq=3),
    ]
    assert transcript.runs == {"r1": RunState.COMPLETED}


def test_what_is_still_being_said_shows_its_text_so_far() -> None:
    entries = journal(admitted("m1"), started("r1", "m1"), delta("r1", "m2", "He"), delta("r1", "m2", "llo"))

    assert shown(entries[:3])[1:] == [("m2", "He", "streaming")]
    assert shown(entries)[1:] == [("m2", "Hello", "streaming")]


def test_the_order_is_that_in_which_messages_were_taken_not_admitted() -> None:
    entries = journal(
        admitted("m1"),
        admitted("m2"),
        started("r2", "m2"),
        closed("r2", "m3", "to m2"),
        finished("r2"),
        started("r1", "m1"),
        closed("r1", "m4", "to m1"),
        finished("r1"),
    )

    assert [message_id for message_id, _, _ in shown(entries)] == ["m2", "m3", "m1", "m4"]


@pytest.mark.parametrize("status", ["failed", "cancelled", "timed_out", "lost"])
def test_what_a_run_said_stays_however_it_ended(status: str) -> None:
    entries = journal(
        admitted("m1"),
        started("r1", "m1"),
        closed("r1", "m2", "half", partial=True),
        finished("r1", status),
    )

    assert shown(entries) == [("m1", "text of m1", "settled"), ("m2", "half", "partial")]
    assert Transcript.fold(entries).runs == {"r1": RunState(status)}


def test_a_new_attempt_supersedes_what_the_run_said_and_keeps_what_it_was_asked() -> None:
    entries = journal(
        admitted("m1"),
        started("r1", "m1"),
        closed("r1", "m2", "first try"),
        delta("r1", "m3", "cut o"),
        (RunRetried(attempt=2, reason="host_lost"), "r1"),
        delta("r1", "m4", "second try"),
        closed("r1", "m4", "second try"),
        finished("r1"),
    )

    assert [line[0] for line in shown(entries[:4])] == ["m1", "m2", "m3"]
    assert [line[0] for line in shown(entries[:5])] == ["m1"]
    assert shown(entries) == [
        ("m1", "text of m1", "settled"),
        ("m4", "second try", "completed"),
    ]


def test_a_retry_leaves_other_runs_alone() -> None:
    entries = journal(
        admitted("m1"),
        started("r1", "m1"),
        closed("r1", "m2", "one"),
        finished("r1"),
        admitted("m3"),
        started("r2", "m3"),
        closed("r2", "m4", "two"),
        (RunRetried(attempt=2, reason="host_lost"), "r2"),
    )

    assert [message_id for message_id, _, _ in shown(entries)] == ["m1", "m2", "m3"]


def test_a_withdrawn_message_never_enters_the_transcript() -> None:
    entries = journal(
        admitted("m1"), (MessageWithdrawn(message_id="m1", by="ada"), None), started("r1", "m1")
    )

    assert shown(entries[:2]) == []
    with pytest.raises(IllegalTransition, match="message that is withdrawn can't take the signal"):
        Transcript.fold(entries)


def test_a_message_that_was_taken_cannot_be_withdrawn() -> None:
    entries = journal(
        admitted("m1"), started("r1", "m1"), (MessageWithdrawn(message_id="m1", by="ada"), None)
    )

    with pytest.raises(IllegalTransition, match="message that is started can't take the signal"):
        Transcript.fold(entries)


def test_a_run_that_no_message_started_enters_nothing() -> None:
    recall = RunStarted(
        runner="python",
        attempt=1,
        trigger=Trigger(kind="recall", id="sch_1"),
        grant_digest="5e0",
    )

    assert shown(journal((recall, "r1"), closed("r1", "m2", "Wake up"))) == [("m2", "Wake up", "completed")]


# --- any journal that can happen


@dataclass
class Play:
    """One session played at random, written down as its journal and as what must be shown of it."""

    lines: list[Line] = field(default_factory=list[Line])
    waiting: list[str] = field(default_factory=list[str])
    run: str | None = None
    speaking: str | None = None
    superseded: set[str] = field(default_factory=set[str])
    replies: dict[str, str] = field(default_factory=dict[str, str])
    names: int = 0

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def send(self) -> None:
        message_id = self.name("m")
        self.waiting.append(message_id)
        self.lines.append(admitted(message_id))

    def withdraw(self) -> None:
        if self.waiting:
            gone = self.waiting.pop()
            self.lines.append((MessageWithdrawn(message_id=gone, by="ada"), None))

    def start(self) -> None:
        if self.run is None and self.waiting:
            self.run = self.name("r")
            self.lines.append(started(self.run, self.waiting.pop(0)))

    def speak(self) -> None:
        if self.run is not None:
            self.speaking = self.speaking or self.name("m")
            self.replies[self.speaking] = self.replies.get(self.speaking, "") + "x"
            self.lines.append(delta(self.run, self.speaking, "x"))

    def fall_silent(self, *, partial: bool = False) -> None:
        if self.run is not None and self.speaking is not None:
            text = self.replies[self.speaking]
            self.lines.append(closed(self.run, self.speaking, text, partial=partial))
            self.speaking = None

    def retry(self) -> None:
        if self.run is not None:
            mine = [event for event, run in self.lines if run == self.run]
            self.superseded |= {e.message_id for e in mine if isinstance(e, MessageDelta)}
            self.speaking = None
            self.lines.append((RunRetried(attempt=2, reason="host_lost"), self.run))

    def end(self) -> None:
        if self.run is not None:
            self.fall_silent(partial=True)
            self.lines.append(finished(self.run, "cancelled"))
            self.run = None


MOVES = ["send", "withdraw", "start", "speak", "speak", "fall_silent", "retry", "end"]


def played(moves: list[str]) -> Play:
    """The play of these moves."""
    play = Play()
    steps = {
        "send": play.send,
        "withdraw": play.withdraw,
        "start": play.start,
        "speak": play.speak,
        "fall_silent": play.fall_silent,
        "retry": play.retry,
        "end": play.end,
    }
    for move in moves:
        steps[move]()
    return play


plays = st.lists(st.sampled_from(MOVES), max_size=60).map(played)


@properties
@given(plays, st.data())
def test_the_fold_can_stop_anywhere_and_go_on(play: Play, data: st.DataObject) -> None:
    entries = journal(*play.lines)
    cut = data.draw(st.integers(0, len(entries)))
    resumed = Transcript.fold(entries[:cut])
    resumed.lines()
    for recorded in entries[cut:]:
        resumed.add(recorded)

    assert resumed.lines() == Transcript.fold(entries).lines()
    assert resumed.runs == Transcript.fold(entries).runs


@properties
@given(plays)
def test_what_is_shown_keeps_its_place_and_what_is_complete_keeps_its_text(play: Play) -> None:
    entries = journal(*play.lines)
    final = {item.message_id: item for item in Transcript.fold(entries).lines()}
    for cut in range(len(entries)):
        early = Transcript.fold(entries[:cut]).lines()
        kept = [item.message_id for item in early if item.message_id in final]

        assert kept == [name for name in final if name in kept]
        for item in early:
            later = final.get(item.message_id)
            if later is not None and item.status in ("completed", "partial"):
                assert (later.content, later.status) == (item.content, item.status)


@properties
@given(plays)
def test_exactly_the_superseded_replies_are_missing(play: Play) -> None:
    lines = Transcript.fold(journal(*play.lines)).lines()
    replies = {item.message_id: item.content for item in lines if item.role is Role.ASSISTANT}

    assert replies == {name: text for name, text in play.replies.items() if name not in play.superseded}


@properties
@given(plays)
def test_exactly_the_messages_that_runs_took_are_shown(play: Play) -> None:
    taken = [e.trigger.id for e, _ in play.lines if isinstance(e, RunStarted)]
    lines = Transcript.fold(journal(*play.lines)).lines()

    assert [item.message_id for item in lines if item.role is Role.USER] == taken


@properties
@given(plays)
def test_once_nothing_runs_every_message_taken_is_settled(play: Play) -> None:
    play.end()
    transcript = Transcript.fold(journal(*play.lines))

    assert {item.status for item in transcript.lines() if item.role is Role.USER} <= {"settled"}
    assert {item.status for item in transcript.lines() if item.role is Role.ASSISTANT} <= {
        "completed",
        "partial",
    }
    assert set(transcript.runs.values()) <= {RunState.CANCELLED}
