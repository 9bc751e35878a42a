"""What each event does to the rows of a session."""

from typing import get_args

import msgspec
import pytest

from tenure.core.approval import ApprovalSignal
from tenure.core.effect import CallStatus
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    ArtifactCreated,
    ArtifactDeleted,
    Event,
    MessageDelta,
    MessagePromoted,
    MessageUpdated,
    MessageWithdrawn,
    Parent,
    QueueHeld,
    ReasoningDelta,
    RunFinished,
    RunInterrupting,
    RunnerWarning,
    RunResumed,
    RunRetried,
    RunStarted,
    RunWaiting,
    SessionCreated,
    StateUpdated,
    SteeringConsumed,
    ToolCallCompleted,
    ToolCallStarted,
    TranscriptCompacted,
    TranscriptRedone,
    TranscriptUndone,
    Trigger,
    Unknown,
    UsageRecorded,
)
from tenure.core.message import MessageState, ReplyState
from tenure.core.run import RunState
from tenure.core.spending import A_RUN, A_TOOL_CALL, of_call
from tenure.core.spending import QUESTION as BUDGET
from tenure.core.transcript import (
    Admitted,
    Answered,
    Asked,
    Booked,
    Change,
    Closed,
    Compacted,
    Consumed,
    Decided,
    Discarded,
    Edited,
    Ended,
    Entered,
    Filed,
    Forked,
    Left,
    Moved,
    Opened,
    Promoted,
    Redone,
    Superseded,
    Undone,
    Withdrawn,
    changes,
)
from tests.core.journals import Line, admitted, closed, delta, started
from tests.core.samples import SAMPLES

FILE = ArtifactCreated(
    artifact_id="art_1", name="a.txt", media_type="text/plain", size=3, sha256="5e0", by="ada"
)
QUESTION = ApprovalRequested(
    approval_id="apr_1",
    call_id="eff_1",
    tool="mail",
    arguments={"to": "bob"},
    digest="5e0",
    expires_at="2026-11-20T20:10:00.000000Z",
)


def promoted(to: str, run_id: str | None = None) -> MessagePromoted:
    return MessagePromoted(message_id="m1", run_id=run_id, to=to)


CHANGES: dict[str, tuple[Line, tuple[Change, ...]]] = {
    "admitted to start": (
        admitted("m1", "r1", "started"),
        (Admitted("m1", "ada", "text of m1", MessageState.QUEUED, "r1"),),
    ),
    "admitted to wait": (admitted("m1"), (Admitted("m1", "ada", "text of m1", MessageState.QUEUED, None),)),
    "admitted as steering": (
        admitted("m1", "r1", "steered"),
        (Admitted("m1", "ada", "text of m1", MessageState.STEERED, "r1"),),
    ),
    "admitted into another": (
        admitted("m1", None, "merged"),
        (Admitted("m1", "ada", "text of m1", MessageState.MERGED, None),),
    ),
    "withdrawn": ((MessageWithdrawn(message_id="m1", by="ada"), None), (Withdrawn("m1"),)),
    "started": (
        started("r1", "m1"),
        (Moved("r1", RunState.RUNNING), Entered("m1", "r1"), Booked("r1", A_RUN)),
    ),
    "model call": (
        (UsageRecorded(model="m", input_tokens=1, output_tokens=2, cost=0.5), "r1"),
        (Booked("r1", of_call(1, 2, 0.5)),),
    ),
    "retried": ((RunRetried(attempt=2, reason="host_lost"), "r1"), (Superseded("r1", 2),)),
    "interrupting": ((RunInterrupting(by="ada"), "r1"), (Moved("r1", RunState.INTERRUPTING),)),
    "finished": (
        (RunFinished(status="failed", reason="no"), "r1"),
        (Ended("r1", RunState.FAILED, "no"),),
    ),
    "said whole": (closed("r1", "m2", "x"), (Closed("m2", "r1", "x", ReplyState.COMPLETED),)),
    "said in part": (closed("r1", "m2", "x", partial=True), (Closed("m2", "r1", "x", ReplyState.PARTIAL),)),
    "a further delta": (delta("r1", "m2", "x"), ()),
    "reasoning": ((ReasoningDelta("m3", "x"), "r1"), ()),
    "the queue": ((QueueHeld(by="ada"), None), ()),
    "a warning": ((RunnerWarning(code="late_result", detail=""), "r1"), ()),
    "edited": ((MessageUpdated(message_id="m1", content="new", by="ada"), None), (Edited("m1", "new"),)),
    "sent now": ((promoted("steering", "r1"), None), (Promoted("m1", "r1", True),)),
    "sent next": ((promoted("next"), None), (Promoted("m1", None, False),)),
    "untaken steering": ((promoted("run"), None), (Promoted("m1", None, False),)),
    "taken as steering": (
        (SteeringConsumed(message_ids=("m1", "m2")), "r1"),
        (Consumed("m1", "r1"), Consumed("m2", "r1")),
    ),
    "offered again": ((SteeringConsumed(message_ids=("m1",), redelivered=True), "r1"), ()),
    "a command started": (
        (
            RunStarted(
                runner="compact",
                attempt=1,
                trigger=Trigger(kind="command", id="m1"),
                grant_digest="5e0",
            ),
            "r1",
        ),
        (Moved("r1", RunState.RUNNING), Entered("m1", "r1", shown=False), Booked("r1", A_RUN)),
    ),
    "waiting": ((RunWaiting(approval_ids=("apr_1",)), "r1"), (Moved("r1", RunState.WAITING),)),
    "resumed": ((RunResumed(attempt=1, mode="held"), "r1"), (Moved("r1", RunState.RUNNING),)),
    "asked": ((QUESTION, "r1"), (Asked(QUESTION, "r1"),)),
    "granted": (
        (ApprovalResolved(approval_id="apr_1", decision="granted", by="ada", arguments={"to": "eve"}), "r1"),
        (Decided("apr_1", ApprovalSignal.APPROVE, "ada", None, {"to": "eve"}),),
    ),
    "denied": (
        (ApprovalResolved(approval_id="apr_1", decision="denied", by="ada", note="no"), "r1"),
        (Decided("apr_1", ApprovalSignal.DENY, "ada", "no", None),),
    ),
    "expired": (
        (ApprovalResolved(approval_id="apr_1", decision="expired", by="clock"), "r1"),
        (Decided("apr_1", ApprovalSignal.EXPIRE, "clock", None, None),),
    ),
    "approval withdrawn": (
        (ApprovalResolved(approval_id="apr_1", decision="withdrawn", by="host"), "r1"),
        (Decided("apr_1", ApprovalSignal.WITHDRAW, "host", None, None),),
    ),
    "called": (
        (ToolCallStarted(call_id="eff_1", tool="mail", arguments={}), "r1"),
        (Booked("r1", A_TOOL_CALL, "eff_1"), Left("r1", "tool call mail", "eff_1")),
    ),
    "asked about the budget": ((ToolCallStarted(call_id="eff_1", tool=BUDGET, arguments={}), "r1"), ()),
    "answered": (
        (ToolCallCompleted(call_id="eff_1", status="ok", result=7), "r1"),
        (Answered("eff_1", CallStatus.OK, 7),),
    ),
    "answered from the ledger": (
        (ToolCallCompleted(call_id="eff_1", status="ok", result=7, replayed=True), "r1"),
        (),
    ),
    "call denied": (
        (ToolCallCompleted(call_id="eff_1", status="denied", result="no"), "r1"),
        (Answered("eff_1", CallStatus.DENIED, "no"), Left("r1", "", "eff_1")),
    ),
    "the runner's own call": ((ToolCallCompleted(call_id="c1", status="ok", result=7), "r1"), ()),
    "state by a run": (
        (StateUpdated(scope="actor", key="mail", version=1, value="a@b"), "r1"),
        (Left("r1", "state actor/mail"),),
    ),
    "state by a person": ((StateUpdated(scope="actor", key="mail", version=1, value="a@b"), None), ()),
    "file by a run": ((FILE, "r1"), (Filed(FILE, "r1"), Left("r1", "file a.txt"))),
    "file by a person": ((FILE, None), (Filed(FILE, None),)),
    "file deleted": ((ArtifactDeleted(artifact_id="art_1", by="ada"), None), (Discarded("art_1"),)),
    "undone": (
        (TranscriptUndone(run_ids=("r1",), message_ids=("m1", "m2"), to_seq=4), None),
        (Undone(("r1",), ("m1", "m2")),),
    ),
    "redone": (
        (TranscriptRedone(run_ids=("r1",), message_ids=("m1", "m2")), None),
        (Redone(("r1",), ("m1", "m2")),),
    ),
    "compacted": (
        (TranscriptCompacted(covers_through=9, summary="Short."), "r1"),
        (Compacted("r1", 9, "Short."),),
    ),
    "forked": (
        (SessionCreated(agent="a", owner="ada", parent=Parent(session_id="s", seq=9)), None),
        (Forked(),),
    ),
    "created": ((SessionCreated(agent="a", owner="ada"), None), ()),
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_an_event_changes_these_rows(name: str) -> None:
    line, expected = CHANGES[name]

    assert changes(*line) == expected


def test_every_kind_of_change_is_made_by_some_event() -> None:
    made = {type(change) for _, expected in CHANGES.values() for change in expected}

    assert made | {Opened} == set(get_args(Change))


def test_the_first_delta_opens_its_message() -> None:
    assert changes(MessageDelta("m2", "x"), "r1", opens=True) == (Opened("m2", "r1"),)


@pytest.mark.parametrize(("name", "event"), [s[:2] for s in SAMPLES], ids=[s[0] for s in SAMPLES])
def test_an_event_of_a_run_changes_nothing_without_its_run(name: str, event: Event) -> None:
    sessions_own = {
        "session.created",
        "message.admitted",
        "message.updated",
        "message.promoted",
        "message.withdrawn",
        "artifact.created",
        "artifact.deleted",
        "transcript.undone",
        "transcript.redone",
    }

    assert bool(changes(event, None, opens=True)) is (name in sessions_own)


def test_an_event_of_a_later_version_changes_nothing() -> None:
    assert changes(Unknown("dream.dreamt", msgspec.Raw(b'{"message_id":"m1"}')), "r1") == ()
