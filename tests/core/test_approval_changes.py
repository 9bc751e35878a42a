"""What events of approvals and tool calls do to the rows of a session."""

import pytest

from tenure.core.approval import ApprovalSignal, ApprovalState
from tenure.core.effect import CallStatus
from tenure.core.entry import Recorded
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    Event,
    RunResumed,
    RunStarted,
    RunWaiting,
    ToolCallCompleted,
    Trigger,
)
from tenure.core.moment import Micros
from tenure.core.run import RunState
from tenure.core.transcript import Answered, Asked, Change, Decided, Moved, Transcript, changes

ASKED = ApprovalRequested(
    approval_id="a1",
    call_id="eff_1",
    tool="mail",
    arguments={},
    digest="d",
    expires_at="2026-11-20T00:00:00Z",
)
STARTED = RunStarted(runner="r", attempt=1, trigger=Trigger(kind="message", id="m"), grant_digest="g")


@pytest.mark.parametrize(
    ("event", "change"),
    [
        (ASKED, Asked(ASKED, "r1")),
        (
            ApprovalResolved(approval_id="a1", decision="granted", by="ada", note="n", arguments={"x": 1}),
            Decided("a1", ApprovalSignal.APPROVE, "ada", "n", {"x": 1}),
        ),
        (
            ApprovalResolved(approval_id="a1", decision="expired", by="clock"),
            Decided("a1", ApprovalSignal.EXPIRE, "clock", None, None),
        ),
        (RunWaiting(approval_ids=("a1",)), Moved("r1", RunState.WAITING)),
        (RunResumed(attempt=1, mode="held"), Moved("r1", RunState.RUNNING)),
        (ToolCallCompleted(call_id="eff_1", status="ok", result=3), Answered("eff_1", CallStatus.OK, 3)),
    ],
)
def test_an_event_changes_this_row(event: Event, change: Change) -> None:
    assert changes(event, "r1")[0] == change


@pytest.mark.parametrize(
    "event",
    [
        ToolCallCompleted(call_id="call_1", status="ok"),
        ToolCallCompleted(call_id="eff_1", status="ok", replayed=True),
    ],
)
def test_an_agents_own_call_and_a_replay_answer_no_call_of_the_ledger(event: Event) -> None:
    assert not [change for change in changes(event, "r1") if isinstance(change, Answered)]


def test_a_run_waits_and_goes_on_and_its_approvals_have_their_states() -> None:
    story: list[Event] = [STARTED, ASKED, RunWaiting(approval_ids=("a1",))]
    journal = [Recorded(seq, Micros(0), "r1", event) for seq, event in enumerate(story, 1)]
    waiting = Transcript.fold(journal)
    assert (waiting.runs, waiting.approvals) == ({"r1": RunState.WAITING}, {"a1": ApprovalState.PENDING})

    denied = ApprovalResolved(approval_id="a1", decision="denied", by="ada")
    waiting.add(Recorded(4, Micros(0), "r1", denied))
    waiting.add(Recorded(5, Micros(0), "r1", RunResumed(attempt=1, mode="held")))
    assert (waiting.runs, waiting.approvals) == ({"r1": RunState.RUNNING}, {"a1": ApprovalState.DENIED})
