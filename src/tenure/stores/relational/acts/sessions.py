"""Sessions: open, rename, close, reopen, delete; and the interrupt of whatever they run."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from tenure.core.audit import Deed, Subject
from tenure.core.command import CloseSession, InterruptRun, OpenSession, UpdateSession, Waiting
from tenure.core.entry import Entry, entry
from tenure.core.event import (
    Event,
    QueueHeld,
    QueueReleased,
    SessionClosed,
    SessionCreated,
    SessionDeleted,
    SessionReopened,
    SessionUpdated,
)
from tenure.core.principal import Action, may
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.session import SESSION, SessionSignal
from tenure.core.view import InterruptReceipt, SessionInfo
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer, Lease, Stamp, Start, Wake
from tenure.stores.relational.acts import auditing, slots
from tenure.stores.relational.acts.ends import end
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import RunRow, SessionRow, live_run, session_row
from tenure.stores.relational.acts.schedules import cancel_all
from tenure.stores.relational.acts.starts import start_next, waiting, withdraw
from tenure.stores.relational.acts.steering import steered
from tenure.stores.relational.acts.stops import stop
from tenure.stores.relational.reads import session_info
from tenure.stores.relational.tx import Tx


def open_session(
    tx: Tx, stamp: Stamp, ask: OpenSession, session_id: str, rules: Rules
) -> Answer[SessionInfo]:
    """Open a session, within the limits, counted in the same transaction."""
    known = replay(tx, stamp, SessionInfo)
    if known is not None:
        return known
    tenant, owner = stamp.by.tenant, stamp.by.user
    slots.open_session(tx, tenant, owner, rules.limits)
    conversation = _identity(ask)
    no = tx.insert(
        "session_insert",
        id=session_id,
        tenant=tenant,
        owner=owner,
        agent=ask.agent,
        title=ask.title,
        labels=msgspec.json.encode(ask.labels).decode(),
        conversation=None if conversation is None else msgspec.json.encode(conversation).decode(),
        claimant=None if conversation is None or may(stamp.by, Action.CONNECT) else owner,
        at=stamp.at,
    )
    tx.must("head_insert", no=no)
    tx.hold(no)
    tx.add_title(no)
    created = SessionCreated(
        agent=ask.agent, owner=owner, title=ask.title, labels=ask.labels, conversation=conversation
    )
    tx.record(no, session_id, [entry(stamp.at, created)])
    return _answer(tx, stamp, session_id)


def _identity(ask: OpenSession) -> dict[str, str] | None:
    if ask.conversation is None:
        return None
    parts: dict[str, str | None] = msgspec.structs.asdict(ask.conversation)
    return {name: part for name, part in parts.items() if part is not None}


def _answer(tx: Tx, stamp: Stamp, session_id: str) -> Answer[SessionInfo]:
    info = info_in(tx, session_id)
    remember(tx, stamp, info, session_id)
    return Answer(info)


def info_in(tx: Tx, session_id: str) -> SessionInfo:
    """What a client is told of the session, as this transaction leaves it."""
    session = session_row(tx, session_id)
    info = session_info(tx, session_id)
    if info is None:
        raise RuntimeError(f"The session {session_id} vanished within a transaction.")
    head = tx.head(session.no)
    return msgspec.structs.replace(info, head_seq=head, as_of_seq=head)


def _record(tx: Tx, session: SessionRow, stamp: Stamp, event: Event) -> None:
    tx.record(session.no, session.id, [entry(stamp.at, event)])


def update_session(tx: Tx, stamp: Stamp, session_id: str, ask: UpdateSession) -> SessionInfo:
    """Rename or relabel."""
    session = session_row(tx, session_id)
    title, labels = tx.one("session_words", no=session.no)
    if ask.title is not UNSET:
        title = ask.title
        tx.do("search_untitle", no=session.no)
    if ask.labels is not UNSET:
        labels = msgspec.json.encode(ask.labels).decode()
    tx.must("session_update", no=session.no, title=title, labels=labels, at=stamp.at)
    if ask.title is not UNSET:
        tx.add_title(session.no)
    event = SessionUpdated(by=stamp.by.user, title=ask.title, labels=ask.labels)
    _record(tx, session, stamp, event)
    return info_in(tx, session_id)


def close_session(tx: Tx, stamp: Stamp, session_id: str, ask: CloseSession) -> Answer[SessionInfo]:
    """Close: the live run is stopped, waiting messages are withdrawn. Closing twice changes nothing."""
    known = replay(tx, stamp, SessionInfo)
    if known is not None:
        return known
    session = session_row(tx, session_id)
    if SESSION.allows(session.state, SessionSignal.CLOSE):
        _empty(tx, session, stamp, "session_closed")
        tx.must("session_close", no=session.no, at=stamp.at)
        slots.close_session(tx, session.tenant, session.owner)
        _record(tx, session, stamp, SessionClosed(by=stamp.by.user, reason=ask.reason))
    return _answer(tx, stamp, session_id)


def _empty(tx: Tx, session: SessionRow, stamp: Stamp, reason: str) -> None:
    """Withdraw what waits and stop what runs."""
    _withdraw_all(tx, session, stamp, reason)
    run = live_run(tx, session.no)
    if run is not None:
        stop(tx, session, run, stamp, reason=reason, force=False)


def _withdraw_all(tx: Tx, session: SessionRow, stamp: Stamp, reason: str) -> None:
    for message_id in _all_waiting(tx, session):
        withdraw(tx, session, message_id, stamp.at, by=stamp.by.user, reason=reason)
    if session.held:
        _release(tx, session, stamp)


def _all_waiting(tx: Tx, session: SessionRow) -> list[str]:
    """What waits for a run of its own, and what waits to steer the live one."""
    return [*(waiter.message_id for waiter in waiting(tx, session.no)), *steered(tx, session.no)]


def reopen_session(tx: Tx, stamp: Stamp, session_id: str, rules: Rules) -> Answer[SessionInfo]:
    """Reopen, within the limits. Reopening an open session changes nothing."""
    known = replay(tx, stamp, SessionInfo)
    if known is not None:
        return known
    session = session_row(tx, session_id)
    if SESSION.allows(session.state, SessionSignal.REOPEN):
        slots.open_session(tx, session.tenant, session.owner, rules.limits)
        tx.must("session_reopen", no=session.no, at=stamp.at)
        _record(tx, session, stamp, SessionReopened(by=stamp.by.user))
    return _answer(tx, stamp, session_id)


def delete_session(tx: Tx, stamp: Stamp, session_id: str) -> int:
    """Bury a session: its run is cancelled, `session.deleted` is its last event, its rows go soon after.

    Returns how many living forks go on reading what they share with it.
    """
    session = session_row(tx, session_id)
    cancel_all(tx, session, stamp)
    _withdraw_all(tx, session, stamp, "session_deleted")
    run = live_run(tx, session.no)
    if run is not None:
        end(tx, session, run, RunState.CANCELLED, "session_deleted", stamp.at, by=stamp.by.user)
    if SESSION.allows(session.state, SessionSignal.CLOSE):
        slots.close_session(tx, session.tenant, session.owner)
    _record(tx, session, stamp, SessionDeleted(by=stamp.by.user))
    tx.must("session_delete", no=session.no, at=stamp.at)
    subject = Subject("session", session.id, session.tenant)
    auditing.note(tx, stamp, Deed.SESSION_DELETED, subject, owner=session.owner)
    return len(tx.all("strand_readers", strand=session.no))


def note(tx: Tx, session_id: str, entries: Sequence[Entry]) -> None:
    """Record what belongs to no live run any more. A deleted session takes no notes."""
    row = tx.one("session_get", id=session_id)
    if row is not None:
        tx.record(row[0], session_id, entries)


def interrupt(
    tx: Tx,
    stamp: Stamp,
    session_id: str,
    ask: InterruptRun,
    rules: Rules,
    lease: Lease | None,
    next_run_id: str,
) -> tuple[Answer[InterruptReceipt], Wake]:
    """Stop the live run, and hold, run or withdraw what waits behind it."""
    known = replay(tx, stamp, InterruptReceipt)
    if known is not None:
        return known, Wake()
    session = session_row(tx, session_id)
    run = live_run(tx, session.no)
    _check_target(session, run, ask)
    status = None if run is None else stop(tx, session, run, stamp, reason="interrupted", force=ask.force)
    _dispose(tx, session, stamp, ask)
    start: Start | None = None
    if status is not RunState.INTERRUPTING and not _is_held(tx, session, ask):
        start = start_next(tx, session, next_run_id, stamp.at, rules, lease)
    receipt = InterruptReceipt(
        run_id=None if run is None else run.id, status=status or "idle", seq=tx.head(session.no)
    )
    remember(tx, stamp, receipt)
    return Answer(receipt), Wake(() if start is None else (start,), slots.backlog(tx))


def _check_target(session: SessionRow, run: RunRow | None, ask: InterruptRun) -> None:
    if run is None:
        if session.held and ask.run_id is None and ask.waiting is not Waiting.HOLD:
            return
        raise TenureError(
            Code.NOT_RUNNING,
            f"Session {session.id} has no live run to stop. There is nothing to do.",
            session_id=session.id,
        )
    if ask.run_id is not None and ask.run_id != run.id:
        raise TenureError(
            Code.NOT_RUNNING,
            f"The run {ask.run_id} is not the live one of session {session.id}; {run.id} is. "
            "It was left alone.",
            session_id=session.id,
            run_id=run.id,
        )


def _dispose(tx: Tx, session: SessionRow, stamp: Stamp, ask: InterruptRun) -> None:
    """What becomes of the messages that wait behind the run."""
    if ask.waiting is Waiting.WITHDRAW:
        _withdraw_all(tx, session, stamp, "interrupted")
    elif ask.waiting is Waiting.RUN:
        if session.held:
            _release(tx, session, stamp)
    elif not session.held and _all_waiting(tx, session):
        tx.do("session_hold", no=session.no, held=1)
        _record(tx, session, stamp, QueueHeld(by=stamp.by.user))


def _release(tx: Tx, session: SessionRow, stamp: Stamp) -> None:
    tx.do("session_hold", no=session.no, held=0)
    _record(tx, session, stamp, QueueReleased(by=stamp.by.user))


def _is_held(tx: Tx, session: SessionRow, ask: InterruptRun) -> bool:
    """Held now: by this interrupt, or by an earlier one that this one keeps."""
    return ask.waiting is Waiting.HOLD and bool(_all_waiting(tx, session))
