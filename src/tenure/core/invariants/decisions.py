"""What holds of approvals, of the calls of the host's tools, and of runs that wait for people."""

from collections.abc import Iterator

import msgspec

from tenure.core.approval import ANSWERED, APPROVAL, ApprovalState
from tenure.core.effect import CallStatus, EffectState
from tenure.core.entry import Recorded
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    RunFinished,
    RunResumed,
    RunRetried,
    RunWaiting,
    ToolCallCompleted,
    ToolCallStarted,
)
from tenure.core.evidence import StoredApproval, StoredCall
from tenure.core.ids import EFFECT
from tenure.core.invariants.case import Case, Fault, Faults
from tenure.core.ledger import digest_of
from tenure.core.run import LIVE_RUNS, RunState


class _Question(msgspec.Struct):
    """One approval, as far as it has come."""

    run_id: str
    call_id: str
    digest: str | None
    """That of the arguments that may be called; None if an answer was retired that may have edited them."""
    state: ApprovalState = APPROVAL.initial


class _Call(msgspec.Struct):
    """One call of a host's tool, as far as it has come. `status` is how it ended last."""

    run_id: str
    question: _Question | None = None
    status: CallStatus | None = None
    result: object = None
    retired: bool = False


class _Books:
    """What a journal tells of questions and calls, entry by entry. Of what was retired less is known."""

    def __init__(self, retired: int) -> None:
        self.retired = retired
        self.questions: dict[str, _Question] = {}
        self.calls: dict[str, _Call] = {}

    def pending(self, run_id: str | None) -> tuple[str, ...]:
        """The undecided approvals of a run, oldest first."""
        return tuple(
            approval_id
            for approval_id, question in self.questions.items()
            if question.run_id == run_id and question.state is ApprovalState.PENDING
        )

    def add(self, recorded: Recorded) -> None:
        """Take in the next entry."""
        run_id = recorded.run_id or ""
        match recorded.event:
            case ApprovalRequested() as asked:
                question = _Question(run_id, asked.call_id, asked.digest)
                self.questions.setdefault(asked.approval_id, question)
                self.calls.setdefault(asked.call_id, _Call(run_id)).question = question
            case ApprovalResolved(approval_id=approval_id) as resolved if approval_id in self.questions:
                question = self.questions[approval_id]
                question.state = ApprovalState(resolved.decision)
                if recorded.seq <= self.retired:
                    question.digest = None
                elif resolved.arguments is not None:
                    question.digest = digest_of(resolved.arguments)
            case ToolCallStarted(call_id=call_id) if call_id.startswith(EFFECT):
                self.calls.setdefault(call_id, _Call(run_id))
            case ToolCallCompleted(call_id=call_id) as ended if call_id in self.calls and not ended.replayed:
                call = self.calls[call_id]
                call.status, call.result = CallStatus(ended.status), ended.result
                call.retired = recorded.seq <= self.retired
            case _:
                pass


def _walk(case: Case) -> Iterator[tuple[Recorded, _Books]]:
    """Each entry with the books before it."""
    books = _Books(case.stored.retired)
    for recorded in case.own:
        yield recorded, books
        books.add(recorded)


def _books(case: Case) -> _Books:
    books = _Books(case.stored.retired)
    for recorded in case.own:
        books.add(recorded)
    return books


def approvals(case: Case) -> Faults:
    """Each is asked once and resolved once, while its run lives; its row agrees."""
    for recorded, books in _walk(case):
        seq, event = recorded.seq, recorded.event
        match event:
            case ApprovalRequested(approval_id=approval_id) if approval_id in books.questions:
                yield f"The approval {approval_id} was asked for twice.", (seq,)
            case ApprovalRequested(call_id=call_id) if call_id not in books.calls:
                yield f"The approval {event.approval_id} is for {call_id}, which never began.", (seq,)
            case ApprovalRequested() if seq > books.retired and digest_of(event.arguments) != event.digest:
                yield f"The approval {event.approval_id} isn't for the digest of its arguments.", (seq,)
            case ApprovalResolved(approval_id=approval_id):
                question = books.questions.get(approval_id)
                if question is not None and question.state is not ApprovalState.PENDING:
                    yield (
                        f"The approval {approval_id} was {question.state} and then {event.decision}.",
                        (seq,),
                    )
                elif question is None and not case.stored.retired:
                    yield f"The approval {approval_id} was {event.decision}, but never asked for.", (seq,)
            case RunFinished() if left := books.pending(recorded.run_id):
                yield f"The run {recorded.run_id} finished and left {[*left]} undecided.", (seq,)
            case _:
                pass
    yield from _approval_rows(case)


def _approval_rows(case: Case) -> Faults:
    questions = _books(case).questions
    rows = {row.approval_id: row for row in case.stored.approvals}
    for approval_id, question in questions.items():
        row = rows.get(approval_id)
        digest = question.digest or (row.digest if row else "")
        due = StoredApproval(approval_id, question.run_id, question.call_id, question.state.value, digest)
        if row != due:
            yield f"The row of {approval_id} is {row}, but the journal says {due}.", ()
    if not case.stored.retired:
        for approval_id in sorted(rows.keys() - questions.keys()):
            yield f"The approval {approval_id} has a row, but the journal doesn't know it.", ()


def effects(case: Case) -> Faults:
    """A call ends once, and as it was decided; what is repeated is what it ended with."""
    for recorded, books in _walk(case):
        match recorded.event:
            case ToolCallCompleted(call_id=call_id) as ended if call_id in books.calls:
                sentence = _wrong_end(books.calls[call_id], ended)
                if sentence:
                    yield f"The call {call_id} {sentence}.", (recorded.seq,)
            case _:
                pass
    rows = {row.call_id: row for row in case.stored.calls}
    for call_id, call in _books(case).calls.items():
        yield from _call_row(call_id, call, rows.get(call_id))


def _wrong_end(call: _Call, ended: ToolCallCompleted) -> str:
    """What is wrong with the way in which a call ends."""
    if ended.replayed:
        same = call.status == ended.status and (call.retired or call.result == ended.result)
        return "" if same else f"ended {call.status}, but was told again as {ended.status}"
    if call.status is not None and call.status is not CallStatus.UNKNOWN:
        return f"had ended {call.status}, and then {ended.status}"
    decision = None if call.question is None else call.question.state
    if decision not in (None, ApprovalState.GRANTED) and ended.status != CallStatus.DENIED:
        return f"ended {ended.status} while its approval was {decision}"
    return ""


def _call_row(call_id: str, call: _Call, row: StoredCall | None) -> Iterator[Fault]:
    """A call that ended is settled or unknown. One that didn't may be dispatched, and even again."""
    match call.status:
        case None:
            due = (EffectState.INTENDED, EffectState.DISPATCHED)
        case CallStatus.UNKNOWN:
            due = (EffectState.UNKNOWN, EffectState.DISPATCHED)
        case _:
            due = (EffectState.SETTLED,)
    settled = row is not None and row.state == EffectState.SETTLED
    if row is None or row.state not in due or (settled and row.status != call.status):
        yield f"The row of {call_id} is {row}, but the journal ended it {call.status}.", ()


def waiting(case: Case) -> Faults:
    """A run waits for what nobody decided yet, and for nothing else."""
    for recorded, books in _walk(case):
        left = books.pending(recorded.run_id)
        match recorded.event:
            case RunWaiting(approval_ids=asked) if asked != left:
                sentence = f"The run {recorded.run_id} waits for {[*asked]}, undecided are {[*left]}."
                yield sentence, (recorded.seq,)
            case RunResumed() | RunRetried() if left and _answered(recorded):
                yield f"The run {recorded.run_id} went on before {[*left]} were decided.", (recorded.seq,)
            case _:
                pass
    pending = {row.run_id for row in case.stored.approvals if row.state == ApprovalState.PENDING}
    waits = {run.run_id for run in case.stored.runs if run.state == RunState.WAITING}
    for run_id in sorted(waits - pending):
        yield f"The run {run_id} waits, but nobody is asked.", ()
    live = {run.run_id for run in case.stored.runs if run.state in LIVE_RUNS}
    for run_id in sorted((pending & live) - waits):
        yield f"The run {run_id} asks somebody, but doesn't wait.", ()


def _answered(recorded: Recorded) -> bool:
    """Whether a run goes on because it was answered."""
    event = recorded.event
    return isinstance(event, RunResumed) or (isinstance(event, RunRetried) and event.reason == ANSWERED)
