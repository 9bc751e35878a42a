"""What holds of schedules and their occurrences, as far as one session knows of them."""

from collections import Counter

from tenure.core.event import (
    MessageAdmitted,
    RecallChanged,
    RecallFired,
    RecallMissed,
    RecallScheduled,
    RecallSkipped,
)
from tenure.core.evidence import StoredOccurrence
from tenure.core.invariants.case import Case, Faults
from tenure.core.message import MessageState
from tenure.core.recall import WITHDRAWN
from tenure.core.run import LIVE_RUNS, RunState
from tenure.core.schedule import OccurrenceState, ScheduleState
from tenure.core.session import SessionState


def recalls(case: Case) -> Faults:
    """Of a deleted session the rows may be gone already."""
    if case.stored.state == SessionState.DELETED:
        return
    yield from _fired(case)
    yield from _left_out(case)
    yield from _outcomes(case)
    yield from _schedules(case)


def _fired(case: Case) -> Faults:
    """What was admitted was fired once, right before its message."""
    admitted = {o.occurrence: o for o in case.stored.occurrences if o.state == OccurrenceState.ADMITTED}
    trimmed = {schedule.schedule_id for schedule in case.stored.schedules if schedule.trimmed}
    behind = {entry.seq - 1: entry.event for entry in case.own}
    fired: dict[str, int] = {}
    for entry in case.own:
        if not isinstance(entry.event, RecallFired):
            continue
        occurrence, row = entry.event.occurrence, admitted.get(entry.event.occurrence)
        message = behind.get(entry.seq)
        if occurrence in fired:
            yield f"The occurrence {occurrence} fired twice.", (fired[occurrence], entry.seq)
        elif row is None:
            if entry.event.schedule_id not in trimmed:
                yield f"The occurrence {occurrence} fired, but isn't admitted.", (entry.seq,)
        elif not isinstance(message, MessageAdmitted):
            yield f"The occurrence {occurrence} fired, and no message came.", (entry.seq,)
        elif row.attempts == 1 and message.message_id != row.message_id:
            yield f"The message of {occurrence} is {row.message_id}, but fired {message.message_id}.", ()
        fired[occurrence] = entry.seq
    for occurrence in admitted.keys() - fired.keys():
        yield f"The occurrence {occurrence} is admitted, but never fired.", ()


def _left_out(case: Case) -> Faults:
    """What was skipped or missed is told of, once each."""
    stored = case.stored
    # What was admitted and forgotten since is known to no row, nor what was left out as long ago.
    known = {schedule.schedule_id: schedule for schedule in stored.schedules if not schedule.trimmed}
    skipped = {o.occurrence for o in stored.occurrences if o.state == OccurrenceState.SKIPPED}
    missed = Counter(o.schedule_id for o in stored.occurrences if o.state == OccurrenceState.MISSED)
    told: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for entry in case.own:
        match entry.event:
            case RecallSkipped(schedule_id=schedule_id, occurrence=occurrence) if schedule_id in known:
                told[occurrence] += 1
                if occurrence not in skipped:
                    yield f"The occurrence {occurrence} was skipped, but no row says so.", (entry.seq,)
            case RecallMissed(schedule_id=schedule_id, count=count):
                passed[schedule_id] += count
            case _:
                pass
    for occurrence in sorted(skipped):
        if occurrence.partition("@")[0] in known and told[occurrence] != 1:
            yield f"The occurrence {occurrence} is skipped, and told of {told[occurrence]} times.", ()
    for schedule_id, schedule in known.items():
        if passed[schedule_id] != missed[schedule_id] + schedule.unlisted:
            rows = f"{missed[schedule_id]} rows and {schedule.unlisted} without one"
            yield f"The schedule {schedule_id} missed {passed[schedule_id]}, but there are {rows}.", ()


def _outcomes(case: Case) -> Faults:
    """An occurrence has the outcome of its run, and none while that lives."""
    runs = {run.run_id: run.state for run in case.stored.runs}
    statuses = {item.message_id: item.status for item in case.stored.messages}
    lives = any(state in LIVE_RUNS for state in runs.values())
    for row in case.stored.occurrences:
        status = statuses.get(row.message_id or "")
        if status is None:
            # It came into another session, or into none.
            continue
        due = _due(row, runs, status, lives=lives)
        if row.outcome != due:
            yield f"The outcome of {row.occurrence} is {row.outcome}, but should be {due}.", ()
        if row.retries and row.outcome not in _FAILED:
            yield f"The occurrence {row.occurrence} is {row.outcome}, and yet to be tried again.", ()


_FAILED = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST)


def _due(row: StoredOccurrence, runs: dict[str, str], status: str, *, lives: bool) -> str | None:
    if row.run_id is not None:
        return runs.get(row.run_id)
    if status == MessageState.WITHDRAWN:
        return WITHDRAWN
    # A run that is tried again may wait for a slot: its message is settled still.
    settled = status == MessageState.SETTLED and not lives
    return "that of its run" if settled else None


def _schedules(case: Case) -> Faults:
    """A schedule is as the journal said last."""
    last: dict[str, str] = {}
    for entry in case.own:
        match entry.event:
            case RecallScheduled(schedule_id=schedule_id):
                last[schedule_id] = ScheduleState.ACTIVE
            case RecallChanged(schedule_id=schedule_id, status=status):
                last[schedule_id] = status
            case _:
                pass
    rows = {schedule.schedule_id: schedule.state for schedule in case.stored.schedules}
    for schedule_id in sorted(last.keys() | rows.keys()):
        row, told = rows.get(schedule_id), last.get(schedule_id)
        if row != told:
            yield f"The schedule {schedule_id} is {row}, but the journal says {told}.", ()
