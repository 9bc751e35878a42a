"""What closes a run whose runner is gone: everything it had begun, in the order in which it began."""

from tenure.core.closing import closing
from tenure.core.entry import Recorded
from tenure.core.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    RunRetried,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.message import Role
from tenure.core.moment import Micros


def journal(*events: Event, run_id: str = "r1") -> list[Recorded]:
    return [Recorded(seq, Micros(0), run_id, event) for seq, event in enumerate(events, 1)]


def test_text_is_closed_as_partial_with_what_was_said() -> None:
    said = journal(MessageDelta("a1", "hel"), MessageDelta("a1", "lo"))
    cut = MessageCompleted(message_id="a1", role=Role.ASSISTANT, content="hello", partial=True)
    assert closing(said, "r1") == [cut]


def test_reasoning_is_closed_as_partial_too() -> None:
    cut = ReasoningCompleted(message_id="t1", role=Role.ASSISTANT, content="hm", partial=True)
    assert closing(journal(ReasoningDelta("t1", "hm")), "r1") == [cut]


def test_a_call_without_an_answer_is_unknown() -> None:
    begun = journal(
        ToolCallStarted(call_id="c1", tool="t", arguments={}),
        ToolCallStarted(call_id="c2", tool="t", arguments={}),
        ToolCallCompleted(call_id="c1", status="ok"),
    )
    assert closing(begun, "r1") == [ToolCallCompleted(call_id="c2", status="unknown")]


def test_what_is_closed_already_is_left_alone() -> None:
    whole = MessageCompleted(message_id="a1", role=Role.ASSISTANT, content="hello")
    assert closing(journal(MessageDelta("a1", "hello"), whole), "r1") == []


def test_what_an_earlier_attempt_left_open_needs_no_close() -> None:
    retried = RunRetried(attempt=2, reason="host_lost")
    said = journal(MessageDelta("a1", "old"), ToolCallStarted(call_id="c1", tool="t", arguments={}), retried)
    assert closing(said, "r1") == []


def test_other_runs_are_left_alone() -> None:
    assert closing(journal(MessageDelta("a1", "hello"), run_id="r2"), "r1") == []
