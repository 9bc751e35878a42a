"""Occurrences: each becomes a message in the commit that says so, once, or is left out with a reason."""

import msgspec

from tenure.core.command import OpenSession, SendMessage
from tenure.core.entry import entry
from tenure.core.event import Event, RecallDeferred, RecallFired, RecallMissed, RecallSkipped
from tenure.core.message import BusyPolicy, Disposition
from tenure.core.moment import Micros, timestamp
from tenure.core.origin import Origin, Recalled
from tenure.core.principal import Action, Principal, Role, may, reaches
from tenure.core.recall import RECALL, Judged, Overlap, Reason, RecallKind, asked_id, occurrence_id
from tenure.core.rules import Rules
from tenure.core.schedule import OccurrenceState, ScheduleState
from tenure.core.scheduling import OccurrenceInfo
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Lease, Stamp, Wake
from tenure.ports.schedules import Firing, FreshIds, Prompt, Retry
from tenure.ports.store import Admission
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.messages import admit
from tenure.stores.relational.acts.outcomes import failed
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import SessionRow, session_of, session_row
from tenure.stores.relational.acts.schedules import (
    ScheduleRow,
    find_schedule,
    finish,
    journal,
    pause,
    schedule_of,
    schedule_row,
)
from tenure.stores.relational.acts.sessions import open_session
from tenure.stores.relational.acts.starts import rights_now
from tenure.stores.relational.schedule_reads import occurrence_info
from tenure.stores.relational.tx import Tx

KEPT = 10_000
"""How many occurrences of one schedule are kept, newest first."""

TRIM_EVERY = 100
"""How many times a schedule moves on before its oldest occurrences are looked for."""

_WHY = {
    Code.BUSY: Reason.OVERLAP,
    Code.CAPACITY: Reason.CAPACITY,
    Code.FORBIDDEN: Reason.FORBIDDEN,
    Code.SESSION_CLOSED: Reason.SESSION_CLOSED,
    Code.UNKNOWN_AGENT: Reason.UNKNOWN_AGENT,
}

_RESTS = frozenset({Reason.PRINCIPAL_GONE, Reason.FORBIDDEN, Reason.SESSION_CLOSED})
"""Why a schedule is paused at once: the next occurrence would fare no better."""


class Visit(msgspec.Struct, frozen=True):
    """One occurrence at the moment it is admitted: by whom, when, whether asked for, and whether anew."""

    occurrence: str
    due_at: Micros
    at: Micros
    by: Principal
    fresh: FreshIds
    manual: bool = False
    again: bool = False


# --- what the timing says


def fire(tx: Tx, firing: Firing, lease: Lease | None, rules: Rules) -> Wake:
    """Carry out what was decided, unless the schedule isn't where it was looked at any more."""
    _check(tx, lease)
    schedule = find_schedule(tx, firing.schedule_id)
    if schedule is None or (schedule.version, schedule.state) != (firing.version, ScheduleState.ACTIVE):
        return _together(tx, [])
    most = schedule.policy.max_runs
    firing = _unseen(tx, schedule, firing)
    by = _principal(tx, schedule, firing.at)
    _miss(tx, schedule, firing)
    wakes: list[Wake] = []
    rests: Reason | None = None
    fresh = iter(firing.fresh)
    for judged in firing.judged:
        if most is not None and schedule.runs + len(wakes) >= most:
            # The schedule ends here: what it named behind this are no occurrences any more.
            break
        if judged.state is OccurrenceState.ADMITTED:
            came = _come(tx, schedule, judged, firing.at, by, next(fresh), lease, rules)
            if isinstance(came, Wake):
                wakes.append(came)
            else:
                rests = came if came in _RESTS else rests
    if _move(tx, schedule, firing, len(wakes)) and rests is not None:
        pause(tx, schedule, firing.at, str(rests), by="host")
    _trim(tx, schedule)
    return _together(tx, wakes)


def _check(tx: Tx, lease: Lease | None) -> None:
    """Raise TenureError `fenced` for a life of the host that was replaced: the next one sees to recalls."""
    if lease is not None and tx.one("host_stands", incarnation=lease.incarnation) is None:
        raise TenureError(Code.FENCED, "Another life of this host has begun. It sees to the recalls.")


def _unseen(tx: Tx, schedule: ScheduleRow, firing: Firing) -> Firing:
    """What is decided of the instants that have no row yet.

    A clock that was set back, and an edit then, may name an instant again that was looked at.
    """
    judged: list[Judged] = []
    fresh: list[FreshIds] = []
    given = iter(firing.fresh)
    for one in firing.judged:
        ids = next(given) if one.state is OccurrenceState.ADMITTED else None
        if tx.one("occurrence_known", id=occurrence_id(schedule.id, one.due_at)) is not None:
            continue
        fresh += [] if ids is None else [ids]
        judged.append(one)
    told = any(one.state is OccurrenceState.MISSED for one in judged)
    return firing._replace(judged=tuple(judged), fresh=tuple(fresh), unlisted=firing.unlisted if told else 0)


def _move(tx: Tx, schedule: ScheduleRow, firing: Firing, runs: int) -> bool:
    """The next instant comes, or none. Returns whether one does.

    A schedule that was paused meanwhile keeps where it stands.
    """
    most = schedule.policy.max_runs
    if firing.next_at is None or (most is not None and schedule.runs + runs >= most):
        finish(tx, schedule, firing.at, by="host", runs=runs, unlisted=firing.unlisted)
        return False
    tx.must(
        "schedule_move",
        no=schedule.no,
        next_at=firing.next_at,
        wake_at=firing.wake_at,
        runs=runs,
        unlisted=firing.unlisted,
        at=firing.at,
    )
    return True


def _trim(tx: Tx, schedule: ScheduleRow) -> None:
    """Forget the oldest occurrences, now and then."""
    if schedule.version % TRIM_EVERY:
        return
    row = tx.one("occurrences_oldest", no=schedule.no, most=KEPT - 1)
    if row is not None:
        tx.must("schedule_trim", no=schedule.no, oldest=row[0])
        tx.do("occurrences_trim", no=schedule.no, oldest=row[0])


def _together(tx: Tx, wakes: list[Wake]) -> Wake:
    backlog = wakes[-1].backlog if wakes else slots.backlog(tx)
    return Wake(tuple(start for wake in wakes for start in wake.starts), backlog)


def _principal(tx: Tx, schedule: ScheduleRow, at: Micros) -> Principal | None:
    """Who a recall acts as: whoever made the schedule, with what rights are left. None if nobody is."""
    author = schedule.author
    role = rights_now(tx, author, at)
    if role is None:
        return None
    return Principal(tenant=author.tenant, user=author.user, role=role, key_id=schedule.id)


# --- what isn't admitted


def _miss(tx: Tx, schedule: ScheduleRow, firing: Firing) -> None:
    """Write down the instants that passed and aren't made up for."""
    missed = [judged for judged in firing.judged if judged.state is OccurrenceState.MISSED]
    for judged in missed:
        _note(tx, schedule, judged.due_at, firing.at, OccurrenceState.MISSED, judged.reason or Reason.LATE)
    if missed:
        event = RecallMissed(
            schedule_id=schedule.id,
            count=len(missed) + firing.unlisted,
            first=timestamp(missed[0].due_at),
            last=timestamp(missed[-1].due_at),
            reason=str(missed[-1].reason or Reason.LATE),
        )
        journal(tx, schedule, firing.at, event)


def _note(
    tx: Tx, schedule: ScheduleRow, due_at: Micros, at: Micros, state: OccurrenceState, reason: Reason
) -> None:
    """An occurrence that is not admitted."""
    tx.must(
        "occurrence_insert",
        id=occurrence_id(schedule.id, due_at),
        schedule_no=schedule.no,
        due_at=due_at,
        manual=0,
        state=state,
        reason=reason,
        session_no=None,
        session_id=None,
        message_id=None,
        attempts=0,
        at=at,
    )


def _skip(tx: Tx, schedule: ScheduleRow, due_at: Micros, at: Micros, reason: Reason) -> None:
    _note(tx, schedule, due_at, at, OccurrenceState.SKIPPED, reason)
    event = RecallSkipped(
        schedule_id=schedule.id,
        occurrence=occurrence_id(schedule.id, due_at),
        due_at=timestamp(due_at),
        reason=str(reason),
    )
    journal(tx, schedule, at, event)
    if reason is not Reason.OVERLAP and reason not in _RESTS:
        failed(tx, schedule, at)


# --- what is admitted


def _come(
    tx: Tx,
    schedule: ScheduleRow,
    judged: Judged,
    at: Micros,
    by: Principal | None,
    fresh: FreshIds,
    lease: Lease | None,
    rules: Rules,
) -> Wake | Reason:
    """Admit an occurrence, or leave it out and say why."""
    if by is None:
        _skip(tx, schedule, judged.due_at, at, Reason.PRINCIPAL_GONE)
        return Reason.PRINCIPAL_GONE
    visit = Visit(occurrence_id(schedule.id, judged.due_at), judged.due_at, at, by, fresh)
    before = tx.mark()
    try:
        session, receipt, wake = _admit(tx, schedule, visit, lease, rules)
    except TenureError as refusal:
        if tx.mark() != before:
            # Half of it is written: the whole act is undone, and tried again.
            raise
        reason = _WHY.get(refusal.code, Reason.REFUSED)
        _skip(tx, schedule, judged.due_at, at, reason)
        return reason
    _admitted(tx, schedule, visit, session, receipt.message_id, judged.reason)
    return wake


def _admit(
    tx: Tx, schedule: ScheduleRow, visit: Visit, lease: Lease | None, rules: Rules
) -> tuple[SessionRow, MessageReceipt, Wake]:
    """Admit the message of an occurrence, in the schedule's session or in a new one."""
    if schedule.session_no is None:
        session = _opened(tx, schedule, visit, rules)
    else:
        session = session_of(tx, schedule.session_no)
    return session, *_send(tx, schedule, visit, session, lease, rules)


def _opened(tx: Tx, schedule: ScheduleRow, visit: Visit, rules: Rules) -> SessionRow:
    """The new session of an occurrence."""
    if not may(visit.by, Action.WRITE):
        raise _forbidden(schedule, visit.by)
    if schedule.agent not in rules.terms:
        detail = f"The agent {schedule.agent!r} isn't hosted any more."
        raise TenureError(Code.UNKNOWN_AGENT, detail, agent=schedule.agent)
    ask = OpenSession(agent=schedule.agent, title=schedule.name, labels={"schedule": schedule.id})
    open_session(tx, Stamp(visit.at, visit.by), ask, visit.fresh.session_id, rules)
    return session_row(tx, visit.fresh.session_id)


def _send(
    tx: Tx,
    schedule: ScheduleRow,
    visit: Visit,
    session: SessionRow,
    lease: Lease | None,
    rules: Rules,
) -> tuple[MessageReceipt, Wake]:
    """Admit it as a message like any other, and say beside it which occurrence it is."""
    if not _may_send(visit.by, session):
        raise _forbidden(schedule, visit.by)
    skips = schedule.policy.overlap is Overlap.SKIP and not (visit.manual or visit.again)
    if skips and session.held:
        raise TenureError(Code.BUSY, f"Messages of session {session.id} are held.", session_id=session.id)
    admission = Admission(
        stamp=Stamp(visit.at, visit.by),
        session_id=session.id,
        ask=SendMessage(content=schedule.content, when_busy=BusyPolicy.REJECT if skips else BusyPolicy.QUEUE),
        message_id=visit.fresh.message_id,
        run_id=visit.fresh.run_id,
        lease=lease,
        origin=_origin(schedule, visit),
        heralds=() if visit.again else (_fired(schedule, visit),),
    )
    answer, wake = admit(tx, admission, rules)
    receipt = answer.value
    # What only waits for a slot has its run already; what waits for its session has none.
    if receipt.disposition == Disposition.QUEUED and receipt.run_id is None and not visit.again:
        event = RecallDeferred(
            schedule_id=schedule.id, occurrence=visit.occurrence, due_at=timestamp(visit.due_at)
        )
        tx.record(session.no, session.id, [entry(visit.at, event)])
    return receipt, wake


def _fired(schedule: ScheduleRow, visit: Visit) -> Event:
    due_at = timestamp(visit.due_at)
    return RecallFired(schedule_id=schedule.id, occurrence=visit.occurrence, due_at=due_at)


def _origin(schedule: ScheduleRow, visit: Visit) -> Origin:
    recalled = Recalled(
        schedule_id=schedule.id,
        occurrence=visit.occurrence,
        due_at=timestamp(visit.due_at),
        reminder=schedule.kind is RecallKind.REMINDER,
    )
    return Origin(trigger=RECALL, recall=recalled)


def _may_send(by: Principal, session: SessionRow) -> bool:
    """Whether the maker of a schedule may still send messages to its session."""
    if by.tenant != session.tenant:
        # Only the host's own admin reaches other tenants.
        return by.role is Role.ADMIN
    return may(by, Action.WRITE) and reaches(by, session.tenant, session.owner)


def _forbidden(schedule: ScheduleRow, by: Principal) -> TenureError:
    return TenureError(
        Code.FORBIDDEN,
        f"{by.user}, who made the schedule {schedule.id}, may not send messages there any more, so it can't "
        "run. Make one of your own.",
    )


def _admitted(
    tx: Tx, schedule: ScheduleRow, visit: Visit, session: SessionRow, message_id: str, reason: Reason | None
) -> None:
    tx.must(
        "occurrence_insert",
        id=visit.occurrence,
        schedule_no=schedule.no,
        due_at=visit.due_at,
        manual=int(visit.manual),
        state=OccurrenceState.ADMITTED,
        reason=reason,
        session_no=session.no,
        session_id=session.id,
        message_id=message_id,
        attempts=1,
        at=visit.at,
    )


# --- what somebody asks for, and what is tried again


def prompt(
    tx: Tx, stamp: Stamp, asked: Prompt, lease: Lease | None, rules: Rules
) -> tuple[Answer[OccurrenceInfo], Wake]:
    """Admit an occurrence now because somebody asked, with the rights of the schedule's maker."""
    known = replay(tx, stamp, OccurrenceInfo)
    if known is not None:
        return known, Wake()
    schedule = schedule_row(tx, asked.schedule_id)
    if schedule.state is ScheduleState.CANCELLED:
        raise TenureError(
            Code.CONFLICT,
            f"The schedule {schedule.id} was cancelled. Make a new one.",
            schedule_id=schedule.id,
            state=str(schedule.state),
        )
    by = _principal(tx, schedule, stamp.at)
    if by is None:
        raise TenureError(
            Code.CONFLICT,
            f"{schedule.owner}, who made the schedule {schedule.id}, has no key any more, so it can't run. "
            "Make one of your own.",
        )
    occurrence, due_at = _unused(tx, schedule, stamp.at)
    visit = Visit(occurrence, due_at, stamp.at, by, asked.fresh, manual=True)
    session, receipt, wake = _admit(tx, schedule, visit, lease, rules)
    _admitted(tx, schedule, visit, session, receipt.message_id, Reason.ASKED)
    info = occurrence_info(tx, occurrence)
    if info is None:
        raise RuntimeError("An occurrence vanished within a transaction.")
    remember(tx, stamp, info, session.id)
    return Answer(info), wake


def _unused(tx: Tx, schedule: ScheduleRow, at: Micros) -> tuple[str, Micros]:
    """The first instant from `at` on at which nobody asked yet, and the id of what is asked for then."""
    while tx.one("occurrence_known", id=asked_id(schedule.id, at)) is not None:
        at = Micros(at + 1)
    return asked_id(schedule.id, at), at


def retry(tx: Tx, asked: Retry, lease: Lease | None, rules: Rules) -> Wake:
    """Admit an occurrence again whose run failed, where it was admitted before."""
    _check(tx, lease)
    row = tx.one("occurrence_row", id=asked.occurrence_id)
    if row is None or row[5] is None or row[4] != asked.attempts:
        return _together(tx, [])
    no, schedule_no, due_at, session_id, attempts, _, manual = row
    schedule = schedule_of(tx, schedule_no)
    by = _principal(tx, schedule, asked.at)
    if by is None or schedule.state in (ScheduleState.CANCELLED, ScheduleState.PAUSED):
        return _given_up(tx, schedule, no, asked.at, Reason.PRINCIPAL_GONE if by is None else None)
    visit = Visit(asked.occurrence_id, due_at, asked.at, by, asked.fresh, manual=bool(manual), again=True)
    try:
        session = session_row(tx, session_id)
        receipt, wake = _send(tx, schedule, visit, session, lease, rules)
    except TenureError as refusal:
        # Admission refuses before it writes: the session is closed or gone, or its queue is full.
        return _given_up(tx, schedule, no, asked.at, _WHY.get(refusal.code, Reason.REFUSED))
    tx.must(
        "occurrence_again",
        no=no,
        session_no=session.no,
        session_id=session.id,
        message_id=receipt.message_id,
        attempts=attempts + 1,
    )
    return wake


def _given_up(tx: Tx, schedule: ScheduleRow, no: int, at: Micros, reason: Reason | None) -> Wake:
    """An occurrence has failed for good. Without a `reason` its schedule rests, or was cancelled."""
    tx.must("occurrence_give_up", no=no)
    if reason is not None:
        failed(tx, schedule, at)
    # Where each occurrence has a session of its own, that one's being closed says nothing of the next.
    if reason in _RESTS and (schedule.session_no is not None or reason is not Reason.SESSION_CLOSED):
        pause(tx, schedule, at, str(reason), by="host")
    return _together(tx, [])
