"""The transcript as a fold of the journal: small journals by hand, then any journal that can happen."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.entry import Recorded
from tenure.core.event import (
    MessageDelta,
    MessageWithdrawn,
    RunRetried,
    RunStarted,
    Trigger,
    Unknown,
)
from tenure.core.message import Role
from tenure.core.run import RunState
from tenure.core.transcript import (
    Item,
    Transcript,
)
from tenure.errors import IllegalTransition
from tests.core.journals import Line, admitted, closed, delta, finished, journal, started
from tests.core.properties import properties


def shown(entries: Iterable[Recorded]) -> list[tuple[str, str, str]]:
    """(message, content, status) of every line of the transcript."""
    lines = Transcript.fold(entries).lines()
    return [(item.message_id, str(item.content), str(item.status)) for item in lines]


# --- small journals


def test_an_event_of_a_later_version_shows_nothing() -> None:
    assert shown(journal((Unknown("dream.dreamt", msgspec.Raw(b'{"message_id":"m1"}')), "r1"))) == []


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
