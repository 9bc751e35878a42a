"""A run that failed, was lost or timed out is tried again: a new run of the same message."""

import msgspec

from tenure.core.command import RetryRun
from tenure.core.content import Content
from tenure.core.message import Disposition
from tenure.core.origin import Origin
from tenure.core.principal import Author
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.session import SessionState
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.store import Answer, Lease, Stamp, Wake
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.history import is_undone
from tenure.stores.relational.acts.outcomes import rerun
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import RunRow, SessionRow, live_run, not_found, run_row, session_of
from tenure.stores.relational.acts.starts import Waiter, rights_now, start
from tenure.stores.relational.tx import Tx

RETRIED = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST)


def retry_run(
    tx: Tx, stamp: Stamp, run_id: str, ask: RetryRun, rules: Rules, lease: Lease | None, next_run_id: str
) -> tuple[Answer[MessageReceipt], Wake]:
    """Run the message of a failed last turn again, with a grant made anew.

    Raises TenureError `not_found`, `session_closed`, `busy`, `forbidden`, or `conflict` for a run that
    didn't fail or isn't the last turn.
    """
    known = replay(tx, stamp, MessageReceipt)
    if known is not None:
        return known, Wake()
    run = run_row(tx, run_id)
    if run is None:
        raise not_found("run", run_id)
    session = session_of(tx, run.session_no)
    _check(tx, session, run)
    waiter = _waiter(tx, session, run, stamp, rules)
    author = waiter.author
    owner = lease if slots.has_room(tx, author.tenant, author.user, rules.limits, lease) else None
    rerun(tx, session, run.message_id)
    started = start(tx, session, next_run_id, waiter, stamp.at, rules, owner)
    receipt = MessageReceipt(
        message_id=run.message_id,
        run_id=next_run_id,
        disposition=Disposition.QUEUED if started is None else Disposition.STARTED,
        queue_position=1 if started is None else 0,
        seq=tx.head(session.no),
    )
    remember(tx, stamp, receipt)
    return Answer(receipt), Wake(() if started is None else (started,), slots.backlog(tx))


def _check(tx: Tx, session: SessionRow, run: RunRow) -> None:
    if session.state is not SessionState.OPEN:
        detail = f"Session {session.id} is closed. Reopen it to try its run again."
        raise TenureError(Code.SESSION_CLOSED, detail, session_id=session.id)
    if live_run(tx, session.no) is not None:
        detail = f"Session {session.id} is busy. Wait for its run to end, then try again."
        raise TenureError(Code.BUSY, detail, session_id=session.id)
    last = tx.one("run_last", no=session.no)
    undone = is_undone(tx, session.no, run.message_id)
    if run.state not in RETRIED or last is None or last[0] != run.id or undone:
        raise TenureError(
            Code.CONFLICT,
            f"The run {run.id} is {'undone' if undone else run.state} and can't be tried again: only the "
            "last turn of a session can, if it failed, timed out or was lost. Send the message anew instead.",
            run_id=run.id,
        )


def _waiter(tx: Tx, session: SessionRow, run: RunRow, stamp: Stamp, rules: Rules) -> Waiter:
    """The message of the run, with what its author may do now."""
    author, content, deadline_s, origin = tx.one("message_again", no=session.no, id=run.message_id)
    who = msgspec.json.decode(author, type=Author)
    role = rights_now(tx, who, stamp.at)
    if role is None or session.agent not in rules.terms:
        raise TenureError(
            Code.FORBIDDEN,
            f"The run {run.id} can't be tried again: its author {who.user} has no key any more, or the agent "
            f"{session.agent} isn't hosted. Send the message anew under another key.",
        )
    return Waiter(
        run.message_id,
        msgspec.structs.replace(who, role=role),
        msgspec.json.decode(content, type=Content),
        deadline_s,
        msgspec.json.decode(origin, type=Origin),
    )
