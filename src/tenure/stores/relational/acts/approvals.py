"""Approvals: what people and the clock decide. Each is resolved once, and its run goes on in the same act."""

from typing import NamedTuple

import msgspec

from tenure.core.approval import BY_CLOCK, ApprovalState, may_decide
from tenure.core.audit import Deed, Subject
from tenure.core.command import Answering, DecideApproval
from tenure.core.moment import Micros, timestamp
from tenure.core.origin import Origin
from tenure.core.principal import Principal
from tenure.core.rules import Rules
from tenure.core.session import SessionState
from tenure.core.view import ApprovalInfo
from tenure.errors import Code, TenureError
from tenure.ports.acts import Answer, Stamp, Wake
from tenure.ports.approvals import Expired
from tenure.stores.relational.acts import slots, waits
from tenure.stores.relational.acts.allowances import author_key, remembered_as
from tenure.stores.relational.acts.auditing import note
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import SessionRow, not_found, session_of
from tenure.stores.relational.approval_reads import approval_info
from tenure.stores.relational.tx import Raced, Tx

EXPIRED_AT_ONCE = 100


class ApprovalRow(NamedTuple):
    """What a decision depends on."""

    id: str
    session_no: int
    run_id: str
    call_id: str
    tool: str
    state: ApprovalState
    decided_by: str | None
    resolved_at: int | None
    expires_at: int
    author: str
    origin: str | None
    own: bool


def decide(
    tx: Tx, stamp: Stamp, approval_id: str, ask: DecideApproval, rules: Rules
) -> tuple[Answer[ApprovalInfo], Wake]:
    """Answer an approval under its session's lock."""
    known = replay(tx, stamp, ApprovalInfo)
    if known is not None:
        return known, Wake()
    row, session = _find(tx, approval_id)
    _check_right(stamp.by, session, row)
    if row.state is not ApprovalState.PENDING:
        raise already_resolved(row)
    granted = ask.decision is Answering.APPROVE
    author = _remembered_for(row) if granted and ask.remember is not None else None
    waits.resolve(
        tx,
        session,
        row.run_id,
        row.id,
        row.call_id,
        stamp.at,
        ApprovalState.GRANTED if granted else ApprovalState.DENIED,
        by=stamp.by.user,
        note=ask.note,
        arguments=ask.arguments if granted else None,
        remember=ask.remember if granted else None,
    )
    if author is not None:
        tx.do("approval_remember", id=row.id)
        tool = remembered_as(row.tool, own=bool(row.own))
        tx.do("remembered_put", no=session.no, tool=tool, author=author, approval_id=row.id)
    wake = waits.go_on(tx, session, row.run_id, stamp.at, rules)
    info = _info(tx, row.id)
    note(tx, stamp, Deed.APPROVAL_DECIDED, _subject(row, session), tool=row.tool, status=info.status)
    remember(tx, stamp, info, session.id)
    return Answer(info), wake


def _find(tx: Tx, approval_id: str) -> tuple[ApprovalRow, SessionRow]:
    found = tx.one("approval_row", id=approval_id)
    if found is None:
        raise not_found("approval", approval_id)
    row = ApprovalRow(*found)
    session = session_of(tx, row.session_no)
    if session.state is SessionState.DELETED:
        raise not_found("approval", approval_id)
    return row._replace(state=ApprovalState(row.state)), session


def _remembered_for(row: ApprovalRow) -> str:
    """For whom later calls need nobody. Raises TenureError `invalid` if nobody knows who asked."""
    author = author_key(row.author, row.origin)
    if author is None:
        raise TenureError(
            Code.INVALID,
            f"The event behind the approval {row.id} names no actor, so nobody knows for whom to remember "
            "it. Approve it without remember.",
            field="remember",
        )
    return author


def _check_right(by: Principal, session: SessionRow, row: ApprovalRow) -> None:
    """Raises TenureError `forbidden` for whoever may not decide."""
    origin = msgspec.json.decode(row.origin, type=Origin) if row.origin else Origin()
    posted = origin.binding_id is not None
    if not may_decide(by, session.tenant, session.owner, row.author, posted=posted):
        who = "somebody with the role operator or admin who didn't post it" if posted else "its owner"
        raise TenureError(
            Code.FORBIDDEN,
            f"{by.user} may not decide the approval {row.id}. Ask {who}.",
            approval_id=row.id,
        )


def _subject(row: ApprovalRow, session: SessionRow) -> Subject:
    return Subject("approval", row.id, session.tenant)


def already_resolved(row: ApprovalRow) -> TenureError:
    """The refusal of a second answer. It says what the first one was."""
    at = timestamp(Micros(row.resolved_at or 0))
    return TenureError(
        Code.ALREADY_RESOLVED,
        f"The approval {row.id} was {row.state} by {row.decided_by} at {at}. Nothing was changed.",
        approval_id=row.id,
        decision=row.state,
        by=row.decided_by,
        resolved_at=at,
    )


def _info(tx: Tx, approval_id: str) -> ApprovalInfo:
    info = approval_info(tx, approval_id)
    if info is None:
        raise not_found("approval", approval_id)
    return info


def revoke(tx: Tx, stamp: Stamp, approval_id: str) -> ApprovalInfo:
    """What an approval allowed for later calls is allowed no longer."""
    row, session = _find(tx, approval_id)
    _check_right(stamp.by, session, row)
    dropped = tx.do("remembered_drop", no=session.no, approval_id=row.id)
    tx.do("approval_forget", id=row.id)
    if dropped:
        note(tx, stamp, Deed.APPROVAL_REVOKED, _subject(row, session), tool=row.tool)
    return _info(tx, row.id)


def expire(tx: Tx, at: Micros, rules: Rules) -> Expired:
    """Resolve what nobody answered in time; each as if it were denied."""
    due = tx.all("approval_due", at=at, limit=EXPIRED_AT_ONCE)
    for (approval_id,) in due:
        row, session = _find(tx, approval_id)
        if not tx.holds(session.no):
            raise Raced(f"The approval {row.id} ran out meanwhile.")
        waits.resolve(tx, session, row.run_id, row.id, row.call_id, at, ApprovalState.EXPIRED, by=BY_CLOCK)
        waits.go_on(tx, session, row.run_id, at, rules)
    return Expired(len(due), Wake(backlog=slots.backlog(tx)), tx.one("approval_next")[0])
