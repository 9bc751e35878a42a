"""Admission: one atomic decision about one message, and its start when nothing stands in the way."""

from typing import NamedTuple

import msgspec

from tenure.core.admission import Decision, Live, Scene, decide, joined
from tenure.core.command import SendMessage
from tenure.core.content import Content
from tenure.core.entry import entry
from tenure.core.event import Actor, Event, MessageAdmitted, MessageUpdated, QueueReleased
from tenure.core.history import COMMAND
from tenure.core.message import BusyPolicy, Disposition
from tenure.core.origin import Origin, speaker
from tenure.core.principal import Author, Principal, author_of
from tenure.core.recall import RECALL
from tenure.core.rules import Rules
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.store import Admission, Answer, Start, Wake
from tenure.stores.relational.acts import slots
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import SceneRow, SessionRow, message_row, scene_row
from tenure.stores.relational.acts.starts import Waiter, start, start_next, waiting, withdraw
from tenure.stores.relational.acts.steering import live
from tenure.stores.relational.acts.stops import stop_for
from tenure.stores.relational.project import Intake
from tenure.stores.relational.tx import Tx

MOST_JOINED = 1 << 20
"""How many bytes of text messages that join each other may have together."""


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
    decision = decide(_scene(tx, row, admission, rules), admission.ask, rules.limits)
    return _carry_out(tx, session, admission, decision, rules)


# --- what admission looks at


def _scene(tx: Tx, row: SceneRow, admission: Admission, rules: Rules) -> Scene:
    session, ask = row.session, admission.ask
    own = _own_waiting(tx, session, admission) if ask.when_busy in _QUEUE_READERS else _Own(0, None)
    return Scene(
        session.id,
        session.state,
        tx.head(session.no),
        _live(tx, row, admission, rules),
        row.waiting,
        session.held,
        starting=row.run is not None and row.attempt == 0,
        own_waiting=own.waiting,
        last_own=own.last,
    )


_QUEUE_READERS = (BusyPolicy.LATEST, BusyPolicy.MERGE)
_RUN_READERS = (BusyPolicy.STEER, BusyPolicy.INTERRUPT, BusyPolicy.ROLLBACK)


def _live(tx: Tx, row: SceneRow, admission: Admission, rules: Rules) -> Live | None:
    """The live run; policies that don't look at it are spared the reading."""
    if row.run is None or row.run_id is None:
        return None
    if admission.ask.when_busy not in _RUN_READERS:
        return Live(row.run_id, row.run)
    return live(tx, row.session, admission.stamp.by, rules, admission.stamp.at)


class _Own(NamedTuple):
    waiting: int
    last: str | None


def _own_waiting(tx: Tx, session: SessionRow, admission: Admission) -> _Own:
    """The sender's waiting messages, and the last one if it may be joined."""
    queue = waiting(tx, session.no)
    own = [w for w in queue if _is_of(w, admission.stamp.by, admission.origin)]
    last = queue[-1] if queue and own and queue[-1] is own[-1] else None
    if last is None or last.author != author_of(admission.stamp.by) or last.undo_run is not None:
        return _Own(len(own), None)
    size = len(msgspec.json.encode((last.content, admission.ask.content)))
    return _Own(len(own), last.message_id if size <= MOST_JOINED else None)


def _is_of(waiter: Waiter, by: Principal, origin: Origin) -> bool:
    who = speaker(by.user, origin)
    same = who is not None and speaker(waiter.author.user, waiter.origin) == who
    return same and waiter.author.tenant == by.tenant and waiter.origin.trigger not in (COMMAND, RECALL)


def _repeated(tx: Tx, session: SessionRow, ask: SendMessage) -> MessageReceipt | None:
    if ask.message_id is None:
        return None
    row = tx.one("message_receipt", no=session.no, id=ask.message_id)
    if row is None:
        return None
    said, receipt, _ = row
    if _said_at_first(tx, session, ask.message_id, said) != ask.content:
        raise TenureError(
            Code.MESSAGE_CONFLICT,
            f"The message {ask.message_id} of this session says something else. Use a fresh message_id.",
            message_id=ask.message_id,
        )
    return msgspec.json.decode(receipt, type=MessageReceipt)


def _said_at_first(tx: Tx, session: SessionRow, message_id: str, said: str) -> Content:
    """What the message said when it was admitted: it may have been edited or joined since."""
    row = tx.one("message_first", no=session.no, id=message_id)
    return msgspec.json.decode(said if row is None else row[0], type=Content)


# --- doing what was decided


def _carry_out(
    tx: Tx, session: SessionRow, admission: Admission, decision: Decision, rules: Rules
) -> tuple[Answer[MessageReceipt], Wake]:
    by, at = admission.stamp.by, admission.stamp.at
    if decision.releases:
        release_queue(tx, session, by.user, admission)
    if decision.replaces_own:
        _replace_own(tx, session, admission)
    first = decision.disposition is Disposition.STARTED
    lease = admission.lease if first else None
    owner = lease if slots.has_room(tx, by.tenant, by.user, rules.limits, lease) else None
    receipt = _record(tx, session, admission, decision, at_once=owner is not None)
    starts_next = decision.starts_next
    if decision.stops is not None:
        starts_next = stop_for(tx, session, admission.stamp, decision.stops)
    started: Start | None = None
    if first:
        waiter = _waiter(admission)
        started = start(tx, session, admission.run_id, waiter, at, rules, owner)
    elif starts_next:
        started = start_next(tx, session, admission.run_id, at, rules, admission.lease)
    remember(tx, admission.stamp, receipt)
    queued = 0 if owner is not None else slots.backlog(tx)
    return Answer(receipt), Wake(() if started is None else (started,), queued)


def _waiter(admission: Admission) -> Waiter:
    ask, author = admission.ask, author_of(admission.stamp.by)
    return Waiter(admission.message_id, author, ask.content, ask.deadline_s, admission.origin)


def _replace_own(tx: Tx, session: SessionRow, admission: Admission) -> None:
    """The latest word of somebody stands for all that the same person had waiting."""
    by = admission.stamp.by
    for waiter in waiting(tx, session.no):
        if _is_of(waiter, by, admission.origin):
            withdraw(
                tx,
                session,
                waiter.message_id,
                admission.stamp.at,
                by=by.user,
                reason="replaced",
                replaced_by=admission.message_id,
            )


def release_queue(tx: Tx, session: SessionRow, by: str, admission: Admission) -> None:
    """A held queue goes on with the next message."""
    tx.do("session_hold", no=session.no, held=0)
    tx.record(session.no, session.id, [entry(admission.stamp.at, QueueReleased(by=by))])


def _record(
    tx: Tx, session: SessionRow, admission: Admission, decision: Decision, *, at_once: bool
) -> MessageReceipt:
    ask, who = admission.ask, admission.stamp.by
    event = _admitted(admission, decision, at_once=at_once)
    receipt = MessageReceipt(
        message_id=event.message_id,
        run_id=event.run_id,
        disposition=event.disposition,
        queue_position=_position(decision, at_once=at_once),
        seq=tx.head(session.no) + len(admission.heralds) + 1,
        into=event.into,
        interrupts=event.interrupts,
        rolls_back=event.rolls_back,
        fallback=event.fallback,
    )
    place = None if at_once else _place(tx, session, decision)
    intake = Intake(author_of(who), ask.deadline_s, receipt, admission.origin, place, decision.undoes)
    events: list[Event] = [*admission.heralds, event]
    if decision.into is not None:
        content = joined(message_row(tx, session.no, decision.into).content, ask.content)
        events.append(MessageUpdated(message_id=decision.into, content=content, by=who.user))
    entries = [entry(admission.stamp.at, each) for each in events]
    tx.record(session.no, session.id, entries, intake)
    return receipt


def _admitted(admission: Admission, decision: Decision, *, at_once: bool) -> MessageAdmitted:
    ask, who = admission.ask, author_of(admission.stamp.by)
    disposition = decision.disposition
    if disposition is Disposition.STARTED and not at_once:
        disposition = Disposition.QUEUED
    starts = decision.disposition is Disposition.STARTED
    recall = admission.origin.recall
    return MessageAdmitted(
        message_id=admission.message_id,
        actor=_actor(who, admission.origin),
        content=ask.content,
        when_busy=ask.when_busy,
        disposition=disposition,
        run_id=admission.run_id if starts else decision.steers,
        into=decision.into,
        interrupts=decision.stops,
        rolls_back=decision.undoes,
        fallback=decision.fallback,
        occurrence=None if recall is None else recall.occurrence,
        reminder=recall is not None and recall.reminder,
    )


def _actor(author: Author, origin: Origin) -> Actor:
    """Who said it, as the journal shows it: the event's own actor, where it came by an event."""
    actor = origin.actor
    if actor is None:
        return Actor(user=author.user, role=author.role)
    return Actor(user=actor.id, role=author.role, type=actor.type, id=actor.id, name=actor.name)


def _position(decision: Decision, *, at_once: bool) -> int:
    if at_once or decision.disposition in (Disposition.STEERED, Disposition.MERGED):
        return 0
    return max(decision.position, 1)


def _place(tx: Tx, session: SessionRow, decision: Decision) -> int | None:
    """Where the message stands among those that wait, or among those that steer."""
    if decision.disposition is Disposition.MERGED:
        return None
    first, last, steering = tx.one("message_places", no=session.no)
    if decision.disposition is Disposition.STEERED:
        return (steering or 0) + 1
    return (first or 0) - 1 if decision.front else (last or 0) + 1
