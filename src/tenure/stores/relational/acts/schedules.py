"""Schedules as commands: make one, change it, let it rest, go on, or end."""

from typing import Any, NamedTuple

import msgspec

from tenure.core.audit import Deed, Subject
from tenure.core.content import Content
from tenure.core.entry import entry
from tenure.core.event import Event, RecallChanged, RecallScheduled
from tenure.core.grant import Grant
from tenure.core.limits import full
from tenure.core.moment import Micros, timestamp
from tenure.core.origin import Origin
from tenure.core.principal import Author, author_of
from tenure.core.recall import MOST_DEPTH, Reason, RecallKind, RecallPolicy
from tenure.core.rules import Rules
from tenure.core.schedule import SCHEDULE, ScheduleSignal, ScheduleState
from tenure.core.scheduling import ScheduleInfo
from tenure.core.session import SessionState
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Stamp
from tenure.ports.schedules import Maker, NewSchedule, Revision
from tenure.stores.relational.acts.auditing import note
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import (
    RunRow,
    SessionRow,
    fenced,
    held_run,
    not_found,
    session_of,
    session_row,
)
from tenure.stores.relational.schedule_reads import schedule_info
from tenure.stores.relational.tx import Tx


class ScheduleRow(NamedTuple):
    """What acts need to know of a schedule."""

    no: int
    id: str
    tenant: str
    owner: str
    author: Author
    session_no: int | None
    agent: str
    name: str | None
    kind: RecallKind
    content: Content
    policy: RecallPolicy
    cap: Grant | None
    depth: int
    state: ScheduleState
    next_at: Micros | None
    version: int
    runs: int
    failures: int


def schedule_row(tx: Tx, schedule_id: str) -> ScheduleRow:
    """The schedule. Raises TenureError `not_found`."""
    schedule = find_schedule(tx, schedule_id)
    if schedule is None:
        raise not_found("schedule", schedule_id)
    return schedule


def find_schedule(tx: Tx, schedule_id: str) -> ScheduleRow | None:
    """The schedule, if there is one."""
    row = tx.one("schedule_row", id=schedule_id)
    return None if row is None else _schedule(row)


def schedule_of(tx: Tx, no: int) -> ScheduleRow:
    """The schedule with the internal number `no`; it exists."""
    return _schedule(tx.one("schedule_row_by_no", no=no))


def _schedule(row: Any) -> ScheduleRow:
    made = ScheduleRow(*row)
    return made._replace(
        author=msgspec.json.decode(row[4], type=Author),
        kind=RecallKind(row[8]),
        content=msgspec.json.decode(row[9], type=Content),
        policy=msgspec.json.decode(row[10], type=RecallPolicy),
        cap=None if row[11] is None else msgspec.json.decode(row[11], type=Grant),
        state=ScheduleState(row[13]),
    )


def journal(tx: Tx, schedule: ScheduleRow, at: Micros, event: Event) -> None:
    """Tell the session that the schedule is for, if it is for one."""
    if schedule.session_no is not None:
        session = session_of(tx, schedule.session_no)
        if session.state is not SessionState.DELETED:
            tx.record(session.no, session.id, [entry(at, event)])


# --- making one


class _Made(NamedTuple):
    """By which run it was made: what its own runs may touch at most, and how deep it is nested."""

    run_id: str | None = None
    cap: str | None = None
    depth: int = 0


def create(tx: Tx, stamp: Stamp, new: NewSchedule, rules: Rules) -> Answer[ScheduleInfo]:
    """Keep a schedule, within its maker's limit, counted in the same transaction."""
    known = replay(tx, stamp, ScheduleInfo)
    if known is not None:
        return known
    session = None if new.session_id is None else _open_session(tx, new.session_id)
    made = _Made() if new.maker is None else _made_by(tx, new.maker)
    if made.run_id is not None and find_schedule(tx, new.schedule_id) is not None:
        # An earlier attempt of the run asked for it.
        return Answer(_info(tx, new.schedule_id), replayed=True)
    tenant, owner = stamp.by.tenant if session is None else session.tenant, stamp.by.user
    _check_room(tx, tenant, owner, rules)
    tx.must(
        "schedule_insert",
        id=new.schedule_id,
        tenant=tenant,
        owner=owner,
        author=_json(author_of(stamp.by)),
        session_no=None if session is None else session.no,
        session_owner=None if session is None or session.owner == owner else session.owner,
        agent=new.agent,
        name=new.name,
        kind=new.kind,
        content=_json(new.message),
        timing=_json(new.timing),
        policy=_json(new.policy),
        explanation=new.explanation,
        cap=made.cap,
        depth=made.depth,
        made_by=made.run_id,
        next_at=new.next_at,
        wake_at=new.wake_at,
        at=stamp.at,
    )
    tx.do("schedule_quota_move", tenant=tenant, owner=owner, open=1)
    if session is not None:
        event = RecallScheduled(
            schedule_id=new.schedule_id, due_at=timestamp(new.next_at), explanation=new.explanation
        )
        tx.record(session.no, session.id, [entry(stamp.at, event, made.run_id)])
    info = _info(tx, new.schedule_id)
    note(tx, stamp, Deed.SCHEDULE_CREATED, Subject("schedule", new.schedule_id, tenant))
    remember(tx, stamp, info, new.session_id)
    return Answer(info)


def _open_session(tx: Tx, session_id: str) -> SessionRow:
    session = session_row(tx, session_id)
    if session.state is not SessionState.OPEN:
        raise TenureError(
            Code.SESSION_CLOSED,
            f"Session {session_id} is closed, so nothing can be scheduled in it. Reopen it first.",
            session_id=session_id,
        )
    return session


def _made_by(tx: Tx, maker: Maker) -> _Made:
    held = _held(tx, maker)
    depth = 1 + _depth_of(tx, held[0], held[1].message_id)
    if depth > MOST_DEPTH:
        raise TenureError(
            Code.CAPACITY,
            f"This run was itself made by a schedule that a run made, {MOST_DEPTH} deep. Make one recurring "
            "schedule in place of a chain of them, or have a person make this one.",
            scope="per_run",
            limit=MOST_DEPTH,
            current=depth - 1,
        )
    return _Made(maker.run_id, held[1].grant_json, depth)


def _held(tx: Tx, maker: Maker) -> tuple[SessionRow, RunRow]:
    """The run that asks, and its session. Raises TenureError `fenced` if it isn't live in that attempt."""
    held = held_run(tx, maker.run_id, maker.lease.incarnation)
    if held is None or held[1].attempt != maker.attempt:
        raise fenced(maker.run_id)
    return held


def _depth_of(tx: Tx, session: SessionRow, message_id: str) -> int:
    """How deep the schedule is nested whose occurrence a message stands for; 0 if it stands for none."""
    (origin,) = tx.one("call_origin", no=session.no, id=message_id)
    recall = msgspec.json.decode(origin, type=Origin).recall
    if recall is None:
        return 0
    row = tx.one("schedule_cap", id=recall.schedule_id)
    # In a fork the schedule may be gone that the message came of: then nobody knows how deep it was.
    return MOST_DEPTH if row is None else row[1]


def _check_room(tx: Tx, tenant: str, owner: str, rules: Rules) -> None:
    most = rules.limits.schedules_per_user
    row = tx.one("schedule_quota_lock", tenant=tenant, owner=owner)
    have = 0 if row is None else row[0]
    if have >= most:
        raise full("per_user", "schedules", most, have, "Delete one that is no longer needed.")


# --- changing one


def revise(tx: Tx, stamp: Stamp, schedule_id: str, revision: Revision) -> ScheduleInfo:
    """Write what an edit leaves. Raises TenureError `stale` if it was made for another version."""
    schedule = schedule_row(tx, schedule_id)
    if schedule.state not in (ScheduleState.ACTIVE, ScheduleState.PAUSED):
        raise _over(schedule, "changed")
    if schedule.version != revision.version:
        raise TenureError(
            Code.STALE, f"The schedule {schedule_id} moved on meanwhile. Read it again, then decide."
        )
    ends = revision.next_at is None
    tx.must(
        "schedule_revise",
        no=schedule.no,
        name=revision.name,
        kind=revision.kind,
        content=_json(revision.message),
        timing=_json(revision.timing),
        policy=_json(revision.policy),
        explanation=revision.explanation,
        next_at=stamp.at if ends else revision.next_at,
        wake_at=stamp.at if ends else revision.wake_at,
        at=stamp.at,
    )
    if ends:
        finish(tx, schedule, stamp.at, by=stamp.by.user)
    else:
        _changed(tx, schedule_id, stamp, "edited")
    return _info(tx, schedule_id)


def finish(tx: Tx, schedule: ScheduleRow, at: Micros, *, by: str, runs: int = 0, unlisted: int = 0) -> None:
    """No instant is left: it is done."""
    tx.must("schedule_finish", no=schedule.no, runs=runs, unlisted=unlisted, at=at)
    tx.do("schedule_quota_move", tenant=schedule.tenant, owner=schedule.owner, open=-1)
    event = RecallChanged(
        schedule_id=schedule.id, status=ScheduleState.DONE, by=by, reason=str(Reason.FINISHED)
    )
    journal(tx, schedule, at, event)


def turn(
    tx: Tx,
    stamp: Stamp,
    schedule_id: str,
    signal: ScheduleSignal,
    reason: str,
    maker: Maker | None = None,
) -> ScheduleInfo:
    """Pause, resume or cancel. What is so already stays as it is."""
    known = replay(tx, stamp, ScheduleInfo)
    if known is not None:
        return known.value
    schedule = schedule_row(tx, schedule_id)
    if maker is not None:
        _check_run(tx, schedule, signal, maker)
    if schedule.state is not _AIMS[signal]:
        _turn(tx, schedule, stamp, signal, reason)
    info = _info(tx, schedule_id)
    remember(tx, stamp, info, info.session_id)
    return info


def _turn(tx: Tx, schedule: ScheduleRow, stamp: Stamp, signal: ScheduleSignal, reason: str) -> None:
    if not SCHEDULE.allows(schedule.state, signal):
        raise _over(schedule, f"{signal}d")
    {
        ScheduleSignal.PAUSE: lambda: pause(tx, schedule, stamp.at, reason, by=stamp.by.user),
        ScheduleSignal.CANCEL: lambda: cancel(tx, schedule, stamp.at, reason, by=stamp.by.user),
        ScheduleSignal.RESUME: lambda: _resume(tx, schedule, stamp),
    }[signal]()
    note(tx, stamp, _DEEDS[signal], Subject("schedule", schedule.id, schedule.tenant), owner=schedule.owner)


def _check_run(tx: Tx, schedule: ScheduleRow, signal: ScheduleSignal, maker: Maker) -> None:
    """Let a run touch what runs made in its session. What acts as somebody else it can't set going."""
    session, run = _held(tx, maker)
    if schedule.session_no != session.no:
        raise not_found("schedule", schedule.id)
    if _info(tx, schedule.id).made_by is None:
        raise TenureError(
            Code.FORBIDDEN,
            f"The schedule {schedule.id} was made by {schedule.owner} and by no run, so runs may not touch "
            "it. Ask them to change it.",
        )
    if signal is ScheduleSignal.RESUME and (schedule.tenant, schedule.owner) != (run.tenant, run.author):
        raise TenureError(
            Code.FORBIDDEN,
            f"The schedule {schedule.id} acts as {schedule.owner}, and this run as {run.author}: it can't "
            "set it going. Make one of your own.",
        )


_AIMS = {
    ScheduleSignal.PAUSE: ScheduleState.PAUSED,
    ScheduleSignal.RESUME: ScheduleState.ACTIVE,
    ScheduleSignal.CANCEL: ScheduleState.CANCELLED,
}

_DEEDS = {
    ScheduleSignal.PAUSE: Deed.SCHEDULE_PAUSED,
    ScheduleSignal.RESUME: Deed.SCHEDULE_RESUMED,
    ScheduleSignal.CANCEL: Deed.SCHEDULE_CANCELLED,
}


def pause(tx: Tx, schedule: ScheduleRow, at: Micros, reason: str, *, by: str) -> None:
    """Let it rest where it stands, and try nothing of it again. One that rests, or is over, is left alone."""
    if tx.do("schedule_pause", no=schedule.no, reason=reason, at=at):
        tx.do("occurrences_give_up", schedule_no=schedule.no)
        event = RecallChanged(schedule_id=schedule.id, status=ScheduleState.PAUSED, by=by, reason=reason)
        journal(tx, schedule, at, event)


def cancel(tx: Tx, schedule: ScheduleRow, at: Micros, reason: str, *, by: str) -> None:
    """Nothing of it comes any more."""
    tx.must("schedule_cancel", no=schedule.no, reason=reason, at=at)
    tx.do("occurrences_give_up", schedule_no=schedule.no)
    if schedule.state is not ScheduleState.DONE:
        tx.do("schedule_quota_move", tenant=schedule.tenant, owner=schedule.owner, open=-1)
    event = RecallChanged(schedule_id=schedule.id, status=ScheduleState.CANCELLED, by=by, reason=reason)
    journal(tx, schedule, at, event)


def _resume(tx: Tx, schedule: ScheduleRow, stamp: Stamp) -> None:
    if schedule.session_no is not None:
        _open_session(tx, session_of(tx, schedule.session_no).id)
    tx.must("schedule_resume", no=schedule.no, at=stamp.at)
    _changed(tx, schedule.id, stamp, str(Reason.ASKED))


def _changed(tx: Tx, schedule_id: str, stamp: Stamp, reason: str) -> None:
    schedule = schedule_row(tx, schedule_id)
    event = RecallChanged(
        schedule_id=schedule_id,
        status=schedule.state,
        by=stamp.by.user,
        reason=reason,
        next_at=None if schedule.next_at is None else timestamp(schedule.next_at),
    )
    journal(tx, schedule, stamp.at, event)


def _over(schedule: ScheduleRow, what: str) -> TenureError:
    return TenureError(
        Code.CONFLICT,
        f"The schedule {schedule.id} is {schedule.state}, so it can't be {what}. Make a new one.",
        schedule_id=schedule.id,
        state=str(schedule.state),
    )


def cancel_all(tx: Tx, session: SessionRow, stamp: Stamp) -> None:
    """A session goes, and what was scheduled in it."""
    for (schedule_id,) in tx.all("schedules_of_session", no=session.no):
        cancel(tx, schedule_row(tx, schedule_id), stamp.at, str(Reason.SESSION_DELETED), by=stamp.by.user)


def _info(tx: Tx, schedule_id: str) -> ScheduleInfo:
    info = schedule_info(tx, schedule_id)
    if info is None:
        raise RuntimeError(f"The schedule {schedule_id} vanished within a transaction.")
    return info


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
