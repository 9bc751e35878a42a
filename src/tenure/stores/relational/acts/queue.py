"""What may be done to a message that waits: edit it, send it now, move it to the front, withdraw it.

Only its author, the session's owner, operators and admins reach it; the front door saw to that.
"""

import msgspec

from tenure.core.admission import Live, why_not_steered
from tenure.core.command import ChangeMessage, Promotion
from tenure.core.entry import entry
from tenure.core.event import Event, MessagePromoted, MessageUpdated, QueueReleased
from tenure.core.message import MessageState
from tenure.core.message import Role as Speaker
from tenure.core.principal import Author, Principal, Role, includes
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.session import SessionState
from tenure.core.view import MessageInfo
from tenure.errors import Code, TenureError
from tenure.ports.store import Lease, Stamp, Start, Wake
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.ends import end
from tenure.stores.relational.acts.history import is_command, is_recall
from tenure.stores.relational.acts.reductions import weaken_run
from tenure.stores.relational.acts.rows import MessageRow, SessionRow, live_run, message_row, session_row
from tenure.stores.relational.acts.starts import start_next, withdraw
from tenure.stores.relational.acts.steering import covers, steered, steers
from tenure.stores.relational.reads import message as read_message
from tenure.stores.relational.tx import Tx


def change_message(
    tx: Tx,
    stamp: Stamp,
    session_id: str,
    message_id: str,
    ask: ChangeMessage,
    rules: Rules,
    lease: Lease | None,
    next_run_id: str,
) -> tuple[MessageInfo, Wake]:
    """Edit or promote a waiting message. Raises TenureError `not_found`, `not_waiting`, `stale`.

    Also `unsupported` or `not_running` if it is to steer and can't.
    """
    session, message = _waiting(tx, session_id, message_id)
    _check_version(message, ask.if_version)
    if ask.content is not None:
        _check_words(tx, session, message, stamp.by)
        message = _weakened(tx, session, message, stamp.by, rules)
        event = MessageUpdated(message_id=message_id, content=ask.content, by=stamp.by.user)
        _record(tx, session, stamp, event)
    start = _promote(tx, session, message, stamp, ask, rules, lease, next_run_id)
    found = read_message(tx, session_id, message_id)
    assert found is not None, "it was read in this very transaction"
    info = msgspec.structs.replace(found, as_of_seq=tx.head(session.no))
    return info, Wake(() if start is None else (start,), slots.backlog(tx))


def withdraw_message(
    tx: Tx,
    stamp: Stamp,
    session_id: str,
    message_id: str,
    if_version: int | None,
    rules: Rules,
    lease: Lease | None,
    next_run_id: str,
) -> Wake:
    """Withdraw a waiting message. If its run waits for a slot, the run ends and the next message begins."""
    session, message = _waiting(tx, session_id, message_id)
    _check_version(message, if_version)
    run = live_run(tx, session.no)
    if run is None or run.message_id != message_id:
        withdraw(tx, session, message_id, stamp.at, by=stamp.by.user)
        return Wake((), slots.backlog(tx))
    withdraw(tx, session, message_id, stamp.at, by=stamp.by.user)
    end(tx, session, run, RunState.CANCELLED, "withdrawn", stamp.at)
    start = None if session.held else start_next(tx, session, next_run_id, stamp.at, rules, lease)
    return Wake(() if start is None else (start,), slots.backlog(tx))


def _waiting(tx: Tx, session_id: str, message_id: str) -> tuple[SessionRow, MessageRow]:
    session = session_row(tx, session_id)
    message = message_row(tx, session.no, message_id)
    waits = message.role is Speaker.USER and message.state in (MessageState.QUEUED, MessageState.STEERED)
    if not waits:
        raise TenureError(
            Code.NOT_WAITING,
            f"The message {message_id} doesn't wait any more: it is {message.state}. Nothing was changed.",
            message_id=message_id,
            state=message.state,
        )
    return session, message


def _check_version(message: MessageRow, wanted: int | None) -> None:
    if wanted is not None and wanted != message.version:
        raise TenureError(
            Code.STALE,
            f"The change is for version {wanted} of the message {message.id}, which is at version "
            f"{message.version}. Read it again, then decide.",
            version=message.version,
        )


def _check_words(tx: Tx, session: SessionRow, message: MessageRow, by: Principal) -> None:
    """What a schedule says is said with its maker's rights: who may not change the one, not the other."""
    author = message.author
    if author is None or by.root or not is_recall(tx, session.no, message.id):
        return
    directs = by.role in (Role.ADMIN, Role.OPERATOR) or (by.tenant, by.user) == (author.tenant, author.user)
    if not (directs and includes(by.role, author.role)):
        raise TenureError(
            Code.FORBIDDEN,
            f"The message {message.id} is said by a schedule, with the rights of {author.user}, who made it. "
            "You may withdraw it, but not change what it says.",
            message_id=message.id,
        )


def _weakened(tx: Tx, session: SessionRow, message: MessageRow, by: Principal, rules: Rules) -> MessageRow:
    """Words that somebody else changed carry no more authority than both of them have."""
    author = message.author
    if author is None or by.root or includes(by.role, author.role):
        return message
    less = msgspec.structs.replace(author, role=by.role)
    run = live_run(tx, session.no)
    if message.state == MessageState.STEERED and run is not None and not covers(rules, session, less, run):
        raise TenureError(
            Code.FORBIDDEN,
            f"The message {message.id} of {author.user} steers a run that may do more than you may. "
            "You may withdraw it, but not change what it says.",
            message_id=message.id,
        )
    tx.must("message_weaken", no=session.no, id=message.id, author=msgspec.json.encode(less).decode())
    if run is not None and run.message_id == message.id:
        weaken_run(tx, run, less, rules)
    return message._replace(author=less)


def _promote(
    tx: Tx,
    session: SessionRow,
    message: MessageRow,
    stamp: Stamp,
    ask: ChangeMessage,
    rules: Rules,
    lease: Lease | None,
    next_run_id: str,
) -> Start | None:
    match ask.promote:
        case Promotion.STEER:
            if message.state == MessageState.QUEUED:
                _send_now(tx, session, message, stamp, rules)
        case Promotion.NEXT | True:
            return _to_front(tx, session, message, stamp, rules, lease, next_run_id)
        case None | False:
            pass
    return None


def _send_now(tx: Tx, session: SessionRow, message: MessageRow, stamp: Stamp, rules: Rules) -> None:
    """The message steers the live run."""
    run = live_run(tx, session.no)
    if run is None or run.message_id == message.id:
        raise TenureError(
            Code.NOT_RUNNING,
            f"Session {session.id} has no live run that the message {message.id} could steer. "
            "Promote it to next instead.",
            session_id=session.id,
        )
    if is_command(tx, session.no, message.id) or is_command(tx, session.no, run.message_id):
        raise TenureError(
            Code.UNSUPPORTED,
            f"The message {message.id} can't steer the run {run.id}: a command neither steers nor is "
            "steered. It waits on.",
            reason="command",
        )
    if is_recall(tx, session.no, message.id):
        raise TenureError(
            Code.UNSUPPORTED,
            f"The message {message.id} can't steer the run {run.id}: it is a schedule's, and gets a run of "
            "its own. It waits on.",
            reason="recall",
        )
    author = message.author or Author(tenant="", user="", role=stamp.by.role)
    pending = len(steered(tx, session.no))
    reason = why_not_steered(
        Live(run.id, run.state, True, covers(rules, session, author, run), steers(rules, session), pending)
    )
    if reason is not None:
        why = reason.replace("_", " ")
        raise TenureError(
            Code.UNSUPPORTED,
            f"The message {message.id} can't steer the run {run.id}: {why}. It waits on.",
            reason=reason,
        )
    place = (tx.one("message_places", no=session.no)[2] or 0) + 1
    _record(tx, session, stamp, MessagePromoted(message_id=message.id, run_id=run.id, to="steering"))
    tx.do("message_place", no=session.no, id=message.id, place=place)


def _to_front(
    tx: Tx,
    session: SessionRow,
    message: MessageRow,
    stamp: Stamp,
    rules: Rules,
    lease: Lease | None,
    next_run_id: str,
) -> Start | None:
    """The message is the next one, and a queue that was held goes on with it."""
    run = live_run(tx, session.no)
    if run is None or run.message_id != message.id:
        place = (tx.one("message_places", no=session.no)[0] or 0) - 1
        _record(tx, session, stamp, MessagePromoted(message_id=message.id, to="next"))
        tx.do("message_place", no=session.no, id=message.id, place=place)
    if session.held:
        tx.do("session_hold", no=session.no, held=0)
        _record(tx, session, stamp, QueueReleased(by=stamp.by.user))
    if run is None and session.state is SessionState.OPEN:
        return start_next(tx, session, next_run_id, stamp.at, rules, lease)
    return None


def _record(tx: Tx, session: SessionRow, stamp: Stamp, event: Event) -> None:
    tx.record(session.no, session.id, [entry(stamp.at, event)])
