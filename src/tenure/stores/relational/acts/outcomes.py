"""How the run of an occurrence ended is written beside it, in the transaction that ends the run."""

from tenure.core.entry import entry
from tenure.core.event import RecallRetrying
from tenure.core.moment import Micros, timestamp
from tenure.core.recall import Reason, backoff
from tenure.core.run import RunState
from tenure.core.schedule import ScheduleState
from tenure.stores.relational.acts.rows import RunRow, SessionRow
from tenure.stores.relational.acts.schedules import ScheduleRow, pause, schedule_of
from tenure.stores.relational.tx import Tx

_FAILURES = frozenset({RunState.FAILED, RunState.TIMED_OUT, RunState.LOST})


def settled(tx: Tx, session: SessionRow, run: RunRow, status: RunState, at: Micros) -> None:
    """A run has its outcome. If a schedule made it, its occurrence has it too, and may be tried again."""
    row = tx.one("occurrence_of_message", no=session.no, message_id=run.message_id)
    if row is None:
        return
    no, occurrence, schedule_no, attempts, failures = row
    if status not in _FAILURES:
        tx.must("occurrence_settle", occurrence=no, outcome=status, run_id=run.id, retry_at=None)
        if status is RunState.COMPLETED and failures:
            tx.must("schedule_failures", no=schedule_no, failures=0)
        return
    schedule = schedule_of(tx, schedule_no)
    again = _retry_at(schedule, attempts, at)
    tx.must("occurrence_settle", occurrence=no, outcome=status, run_id=run.id, retry_at=again)
    if again is not None:
        event = RecallRetrying(
            schedule_id=schedule.id, occurrence=occurrence, attempt=attempts + 1, retry_at=timestamp(again)
        )
        tx.record(session.no, session.id, [entry(at, event)])
    else:
        failed(tx, schedule, at)


def _retry_at(schedule: ScheduleRow, attempts: int, at: Micros) -> Micros | None:
    if attempts > schedule.policy.retries:
        return None
    if schedule.state in (ScheduleState.PAUSED, ScheduleState.CANCELLED):
        return None
    return Micros(at + backoff(schedule.policy, attempts))


def failed(tx: Tx, schedule: ScheduleRow, at: Micros) -> None:
    """One more occurrence failed for good. After so many in a row the schedule rests."""
    failures = schedule_of(tx, schedule.no).failures + 1
    tx.must("schedule_failures", no=schedule.no, failures=failures)
    most = schedule.policy.pause_after_failures
    if most and failures >= most:
        pause(tx, schedule, at, str(Reason.FAILURES), by="host")


def withdrawn(tx: Tx, session: SessionRow, message_id: str, at: Micros, reason: str | None) -> None:
    """A message is withdrawn before a run took it. If a schedule made it, its occurrence says so."""
    row = tx.one("occurrence_of_message", no=session.no, message_id=message_id)
    if row is None:
        return
    tx.do("occurrence_withdraw", occurrence=row[0])
    if reason == Reason.PRINCIPAL_GONE:
        pause(tx, schedule_of(tx, row[2]), at, reason, by="host")
    elif reason == Reason.UNKNOWN_AGENT:
        failed(tx, schedule_of(tx, row[2]), at)


def rerun(tx: Tx, session: SessionRow, message_id: str) -> None:
    """Somebody has a failed run tried again: its occurrence has no outcome yet, and isn't tried otherwise."""
    tx.do("occurrence_rerun", no=session.no, message_id=message_id)
