"""Undo and redo as commands: on an idle session at once, on a busy one when its run has ended."""

import msgspec

from tenure.core.entry import entry
from tenure.core.event import QueueHeld, TranscriptRedone
from tenure.core.history import (
    Cut,
    RedoReceipt,
    RedoTurns,
    UndoReceipt,
    UndoTurns,
    check_can,
    check_undo,
)
from tenure.core.principal import may_stop
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.session import SessionState
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Stamp, Wake
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.history import kept, owe, plan, take_off
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import RunRow, SessionRow, live_run, session_row
from tenure.stores.relational.acts.starts import waiting
from tenure.stores.relational.acts.steering import steered
from tenure.stores.relational.acts.stops import stop
from tenure.stores.relational.tx import Tx


def undo(
    tx: Tx, stamp: Stamp, session_id: str, ask: UndoTurns, rules: Rules
) -> tuple[Answer[UndoReceipt], Wake]:
    """Take the last turns off. Raises TenureError `busy`, `conflict`, `not_found`, `unsupported`."""
    known = replay(tx, stamp, UndoReceipt)
    if known is not None:
        return known, Wake()
    check_undo(ask)
    session = changeable(tx, session_id, rules, "undo")
    run = live_run(tx, session.no)
    if run is not None and not (ask.interrupt or ask.dry_run):
        raise _busy(session, run)
    if ask.dry_run:
        return Answer(_preview(tx, session, plan(tx, session, ask), dry_run=True)), Wake()
    if run is not None and not may_stop(stamp.by, session.owner, run.author):
        raise TenureError(
            Code.FORBIDDEN,
            f"The run {run.id} of session {session.id} is not yours to stop. Wait for its end, then undo.",
            run_id=run.id,
        )
    if run is None:
        receipt = _at_once(tx, stamp, session, ask)
    else:
        stopped = _stopped(tx, stamp, session, run, ask)
        receipt = msgspec.structs.replace(stopped, interrupts=run.id)
    remember(tx, stamp, receipt, session.id)
    return Answer(receipt), Wake((), slots.backlog(tx))


def changeable(tx: Tx, session_id: str, rules: Rules, what: str) -> SessionRow:
    """The session, if its transcript can be changed. Raises TenureError `session_closed`, `unsupported`."""
    session = session_row(tx, session_id)
    if session.state is not SessionState.OPEN:
        raise TenureError(
            Code.SESSION_CLOSED,
            f"Session {session_id} is closed. Reopen it, or fork it at an earlier event.",
            session_id=session_id,
        )
    terms = rules.terms.get(session.agent)
    check_can(terms is None or terms.descriptor.capabilities.undo, session.agent, what)
    return session


def _busy(session: SessionRow, run: RunRow) -> TenureError:
    return TenureError(
        Code.BUSY,
        f"Session {session.id} is busy with the run {run.id}. Wait for its end, or undo with interrupt.",
        session_id=session.id,
        run_id=run.id,
    )


def _preview(
    tx: Tx, session: SessionRow, taken: Cut, *, dry_run: bool = False, pending: bool = False
) -> UndoReceipt:
    return UndoReceipt(
        run_ids=taken.run_ids,
        message_ids=taken.message_ids,
        to_seq=taken.to_seq,
        kept=kept(tx, session, taken),
        dry_run=dry_run,
        pending=pending,
        seq=tx.head(session.no),
    )


def _at_once(tx: Tx, stamp: Stamp, session: SessionRow, ask: UndoTurns) -> UndoReceipt:
    taken = plan(tx, session, ask)
    take_off(tx, session, taken, stamp.at)
    return _preview(tx, session, taken)


def _stopped(tx: Tx, stamp: Stamp, session: SessionRow, run: RunRow, ask: UndoTurns) -> UndoReceipt:
    """Stop the live run and let its end take the turns off; what waits is held, as after an interrupt.

    A run that has no runner ends here and now, and with it the undo is done.
    """
    _hold(tx, stamp, session)
    if run.state is RunState.QUEUED and not _stands(tx, session, run.message_id):
        return _before_it_began(tx, stamp, session, run, ask)
    taken = plan(tx, session, ask)
    owe(tx, run.id, ask)
    over = stop(tx, session, run, stamp, reason="undone", force=False) is RunState.CANCELLED
    return _preview(tx, session, taken, pending=not over)


def _before_it_began(tx: Tx, stamp: Stamp, session: SessionRow, run: RunRow, ask: UndoTurns) -> UndoReceipt:
    """A run that still waits for its slot is the last turn: it ends, and its message with it."""
    rest = None if ask.to_message_id == run.message_id or (ask.turns or 1) == 1 else ask
    if rest is not None and rest.turns is not None:
        rest = msgspec.structs.replace(rest, turns=rest.turns - 1)
    if ask.to_message_id not in (None, run.message_id):
        rest = ask
    earlier = None if rest is None else plan(tx, session, rest)
    stop(tx, session, run, stamp, reason="undone", force=False)
    taken = Cut((run.id,), (run.message_id,), tx.head(session.no))
    if earlier is not None:
        take_off(tx, session, earlier, stamp.at)
        taken = Cut((*earlier.run_ids, run.id), (*earlier.message_ids, run.message_id), earlier.to_seq)
    return _preview(tx, session, taken)


def _stands(tx: Tx, session: SessionRow, message_id: str) -> bool:
    return tx.one("history_line", no=session.no, id=message_id) is not None


def _hold(tx: Tx, stamp: Stamp, session: SessionRow) -> None:
    if not session.held and (waiting(tx, session.no) or steered(tx, session.no)):
        tx.do("session_hold", no=session.no, held=1)
        tx.record(session.no, session.id, [entry(stamp.at, QueueHeld(by=stamp.by.user))])


def redo(tx: Tx, stamp: Stamp, session_id: str, ask: RedoTurns, rules: Rules) -> Answer[RedoReceipt]:
    """Put back what the last undo took off. Raises TenureError `busy`, or `conflict` if that is past."""
    known = replay(tx, stamp, RedoReceipt)
    if known is not None:
        return known
    session = changeable(tx, session_id, rules, "redo")
    run = live_run(tx, session.no)
    if run is not None:
        raise _busy(session, run)
    last = tx.one("undo_last", no=session.no)
    if last is None or last[2]:
        why = "nothing is undone" if last is None else "a run has started since the last undo"
        raise TenureError(
            Code.CONFLICT,
            f"Session {session_id} has nothing to redo: {why}. Say it again, or fork at an earlier event.",
            session_id=session_id,
        )
    runs, messages = (msgspec.json.decode(ids, type=tuple[str, ...]) for ids in last[:2])
    event = TranscriptRedone(run_ids=runs, message_ids=messages)
    seq = tx.record(session.no, session.id, [entry(stamp.at, event)])
    receipt = RedoReceipt(run_ids=runs, message_ids=messages, seq=seq)
    remember(tx, stamp, receipt)
    return Answer(receipt)
