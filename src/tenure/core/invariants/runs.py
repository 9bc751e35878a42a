"""What holds of runs: one start, one end, nothing left open."""

from tenure.core.entry import Recorded
from tenure.core.event import (
    MessageAdmitted,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    RunFinished,
    RunnerWarning,
    RunRetried,
    RunStarted,
)
from tenure.core.invariants.case import Case, Faults
from tenure.core.invariants.lives import Life, lives
from tenure.core.run import LIVE_RUNS, RunState


def run_start(case: Case) -> Faults:
    admitted: set[str] = set()
    for recorded in case.own:
        if isinstance(recorded.event, MessageAdmitted):
            admitted.add(recorded.event.message_id)
        elif isinstance(recorded.event, RunStarted):
            trigger = recorded.event.trigger
            if trigger.kind == "message" and trigger.message not in admitted:
                yield f"The run {recorded.run_id} started for the unknown {trigger.message}.", (recorded.seq,)
    for recorded, run_id, life in lives(case.own):
        sentence = _wrong_start(recorded, run_id, life)
        if sentence:
            yield sentence, (recorded.seq,)


def _wrong_start(recorded: Recorded, run_id: str, life: Life) -> str:
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


def run_end(case: Case) -> Faults:
    for recorded, run_id, life in lives(case.own):
        if life.finished is not None and not isinstance(recorded.event, RunnerWarning):
            what = "finished again" if isinstance(recorded.event, RunFinished) else "went on"
            yield f"The run {run_id} {what} after it had finished.", (life.finished, recorded.seq)


def stopped(case: Case) -> Faults:
    for recorded, run_id, life in lives(case.own):
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


def one_live_run(case: Case) -> Faults:
    live: dict[str, int] = {}
    for recorded in case.own:
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


def open_ends(case: Case) -> Faults:
    for recorded, run_id, life in lives(case.own):
        event, seq = recorded.event, recorded.seq
        if isinstance(event, RunFinished) and life.finished is None:
            for name, since in (life.speaking | life.calling).items():
                yield f"The run {run_id} finished and left {name} open.", (since, seq)
        elif isinstance(event, MessageDelta | ReasoningDelta) and event.message_id in life.said:
            yield f"The message {event.message_id} goes on after it was closed.", (seq,)
        elif isinstance(event, MessageCompleted | ReasoningCompleted) and event.message_id in life.said:
            yield f"The message {event.message_id} was closed twice.", (seq,)


def words(case: Case) -> Faults:
    unheard = _begun_before(case)
    for recorded, _, life in lives(case.own):
        event = recorded.event
        if not isinstance(event, MessageCompleted | ReasoningCompleted) or event.message_id not in life.words:
            continue
        if event.message_id in unheard:
            continue
        if event.content != "".join(life.words[event.message_id]):
            yield f"The message {event.message_id} was closed with other words.", (recorded.seq,)


def _begun_before(case: Case) -> set[str]:
    """The messages whose first pieces were retired: what they said can't be compared."""
    retired = (r for r in case.journal if r.seq <= case.stored.retired)
    return {r.event.message_id for r in retired if isinstance(r.event, MessageDelta)}


def grant(case: Case) -> Faults:
    named = {run.run_id: run.grant_digest for run in case.stored.runs}
    for recorded in case.own:
        if isinstance(recorded.event, RunStarted) and recorded.run_id in named:
            stored = named[recorded.run_id]
            used = recorded.event.grant_digest
            if used != stored:
                yield (
                    f"The run {recorded.run_id} started with grant {used}; {stored} is stored.",
                    (recorded.seq,),
                )
