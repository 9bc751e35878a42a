"""Admission: one atomic decision about one message, and its start when nothing stands in the way."""

import msgspec

from tenure.core.admission import Decision, Scene, decide
from tenure.core.command import SendMessage
from tenure.core.content import Content
from tenure.core.entry import entry
from tenure.core.event import Actor, MessageAdmitted, QueueReleased
from tenure.core.message import Disposition
from tenure.core.principal import author_of
from tenure.core.rules import Rules
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.store import Admission, Answer, Lease, Start, Wake
from tenure.stores.sqlite.acts import slots
from tenure.stores.sqlite.acts.receipts import remember, replay
from tenure.stores.sqlite.acts.rows import SceneRow, SessionRow, scene_row
from tenure.stores.sqlite.acts.starts import Waiter, start, start_next
from tenure.stores.sqlite.batch import Tx
from tenure.stores.sqlite.project import Intake


def admit(tx: Tx, admission: Admission, rules: Rules) -> tuple[Answer[MessageReceipt], Wake]:
    """Decide about a message under the session's lock, and do what was decided."""
    known = replay(tx, admission.stamp, MessageReceipt)
    if known is not None:
        return known, Wake()
    row = scene_row(tx, admission.session_id)
    session = row.session
    again = _repeated(tx, session, admission.ask)
    if again is not None:
        return Answer(again, replayed=True), Wake()
    if session.agent not in rules.terms:
        detail = f"The agent {session.agent!r} of this session isn't hosted any more. Ask the operator."
        raise TenureError(Code.UNKNOWN_AGENT, detail, agent=session.agent)
    decision = decide(_scene(tx, row), admission.ask, rules.limits)
    return _carry_out(tx, session, admission, decision, rules)


def _scene(tx: Tx, row: SceneRow) -> Scene:
    session = row.session
    starting = row.run is not None and row.attempt == 0
    head = tx.head(session.no)
    return Scene(session.id, session.state, head, row.run, row.waiting, session.held, starting)


def _repeated(tx: Tx, session: SessionRow, ask: SendMessage) -> MessageReceipt | None:
    if ask.message_id is None:
        return None
    row = tx.one("message_receipt", no=session.no, id=ask.message_id)
    if row is None:
        return None
    content, receipt = row
    if msgspec.json.decode(content, type=Content) != ask.content:
        raise TenureError(
            Code.MESSAGE_CONFLICT,
            f"The message {ask.message_id} of this session says something else. Use a fresh message_id.",
            message_id=ask.message_id,
        )
    return msgspec.json.decode(receipt, type=MessageReceipt)


def _carry_out(
    tx: Tx, session: SessionRow, admission: Admission, decision: Decision, rules: Rules
) -> tuple[Answer[MessageReceipt], Wake]:
    if decision.releases:
        release_queue(tx, session, admission)
    who = admission.stamp.by
    taken = slots.taken(tx, who.tenant, who.user)
    first = decision.disposition is Disposition.STARTED
    owner = admission.lease if first and taken.free(rules.limits) else None
    receipt = _record(tx, session, admission, decision, at_once=owner is not None)
    started = _start(tx, session, admission, decision, rules, owner)
    remember(tx, admission.stamp, receipt)
    queued = taken.queued if owner is not None else slots.backlog(tx)
    return Answer(receipt), Wake(() if started is None else (started,), queued)


def _start(
    tx: Tx,
    session: SessionRow,
    admission: Admission,
    decision: Decision,
    rules: Rules,
    owner: Lease | None,
) -> Start | None:
    """Let this message begin, or the one that waits before it, or none."""
    at, run_id = admission.stamp.at, admission.run_id
    if decision.disposition is Disposition.STARTED:
        ask = admission.ask
        waiter = Waiter(admission.message_id, author_of(admission.stamp.by), ask.content, ask.deadline_s)
        return start(tx, session, run_id, waiter, at, rules, owner)
    if decision.starts_next:
        return start_next(tx, session, run_id, at, rules, admission.lease)
    return None


def release_queue(tx: Tx, session: SessionRow, admission: Admission) -> None:
    """A held queue goes on with the next message."""
    tx.do("session_hold", no=session.no, held=0)
    event = QueueReleased(by=admission.stamp.by.user)
    tx.record(session.no, session.id, [entry(admission.stamp.at, event)])


def _record(
    tx: Tx, session: SessionRow, admission: Admission, decision: Decision, *, at_once: bool
) -> MessageReceipt:
    ask, who = admission.ask, admission.stamp.by
    event = MessageAdmitted(
        message_id=admission.message_id,
        actor=Actor(user=who.user, role=who.role),
        content=ask.content,
        when_busy=ask.when_busy,
        disposition=Disposition.STARTED if at_once else Disposition.QUEUED,
        run_id=admission.run_id if decision.disposition is Disposition.STARTED else None,
    )
    receipt = MessageReceipt(
        message_id=event.message_id,
        run_id=event.run_id,
        disposition=event.disposition,
        queue_position=0 if at_once else max(decision.position, 1),
        seq=tx.head(session.no) + 1,
    )
    intake = Intake(author_of(who), ask.deadline_s, receipt)
    tx.record(session.no, session.id, [entry(admission.stamp.at, event)], intake)
    return receipt
