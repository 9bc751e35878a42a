"""Incoming events: found or opened session, admitted message and remembered event in one transaction."""

import msgspec

from tenure.core.command import Conversation, OpenSession
from tenure.core.envelope import EventReceipt
from tenure.core.moment import Micros
from tenure.core.rules import Rules
from tenure.core.view import MessageReceipt
from tenure.errors import Code, TenureError
from tenure.ports.events import Place, Reception, Seen
from tenure.ports.store import Admission, Answer, Stamp, Wake
from tenure.stores.relational import locks
from tenure.stores.relational.acts.messages import admit
from tenure.stores.relational.acts.receipts import KEPT, remember, replay
from tenure.stores.relational.acts.rows import session_row
from tenure.stores.relational.acts.sessions import open_session
from tenure.stores.relational.lane import Lane
from tenure.stores.relational.tx import Tx


class RelationalEvents:
    """The acts of the front door over one lane."""

    def __init__(self, lane: Lane, rules: Rules) -> None:
        self._lane = lane
        self._rules = rules

    async def known(self, stamp: Stamp, seen: Seen) -> Answer[EventReceipt] | None:
        return await self._lane.write(lambda tx: known(tx, stamp, seen))

    async def reserve(self, stamp: Stamp, seen: Seen, place: Place) -> Answer[EventReceipt] | str:
        return await self._lane.write(
            lambda tx: known(tx, stamp, seen) or find_or_open(tx, stamp, place, self._rules),
            *locks.receipt(stamp),
            *locks.conversation(place.key),
        )

    async def receive(self, reception: Reception) -> tuple[Answer[EventReceipt], Wake]:
        return await self._lane.write(
            lambda tx: receive(tx, reception, self._rules),
            *locks.taking(reception.lease),
            *locks.receipt(reception.stamp),
            *locks.conversation(reception.place.key),
        )


def known(tx: Tx, stamp: Stamp, seen: Seen) -> Answer[EventReceipt] | None:
    """What the request or the event got before, if anything."""
    again = replay(tx, stamp, EventReceipt)
    if again is not None:
        return again
    row = tx.one("received_get", key=seen.key)
    if row is None:
        return None
    digest, receipt = row
    if digest != seen.digest:
        raise TenureError(
            Code.IDEMPOTENCY_CONFLICT,
            f"The event {seen.event_id!r} of this source and bot was received before and said something "
            "else. Nothing was changed; give another event another id.",
            event_id=seen.event_id,
        )
    return Answer(msgspec.json.decode(receipt, type=EventReceipt), replayed=True)


def find_or_open(tx: Tx, stamp: Stamp, place: Place, rules: Rules) -> str:
    """The open session of a conversation. If it has none, or only one that was closed, it gets a new one."""
    row = tx.one("conversation_get", key=place.key)
    if row is not None:
        return str(row[0])
    ask = OpenSession(
        agent=place.agent,
        labels=place.labels,
        conversation=Conversation(**place.conversation) if place.conversation else None,
    )
    open_session(tx, stamp._replace(idempotency=None), ask, place.session_id, rules)
    tx.must("conversation_put", key=place.key, id=place.session_id)
    return place.session_id


def receive(tx: Tx, reception: Reception, rules: Rules) -> tuple[Answer[EventReceipt], Wake]:
    """Decide about an event, and do what was decided."""
    stamp, seen = reception.stamp, reception.seen
    again = known(tx, stamp, seen)
    if again is not None:
        return again, Wake()
    session_id = find_or_open(tx, stamp, reception.place, rules)
    _check_reserved(reception, session_id)
    admitted, wake = admit(tx, _admission(reception, session_id), rules)
    receipt = _receipt(admitted.value, session_id, reception)
    tx.must(
        "received_put",
        key=seen.key,
        digest=seen.digest,
        no=session_row(tx, session_id).no,
        receipt=msgspec.json.encode(receipt).decode(),
        at=stamp.at,
    )
    remember(tx, stamp, receipt)
    return Answer(receipt), wake


def _check_reserved(reception: Reception, session_id: str) -> None:
    if reception.reserved not in (None, session_id):
        raise TenureError(
            Code.SESSION_CLOSED,
            f"The session {reception.reserved} was closed while the event's attachments were taken. "
            "Post the event again: it goes to a new session.",
            session_id=reception.reserved,
        )


def _admission(reception: Reception, session_id: str) -> Admission:
    """The event's message, with the authority that is left to it. Its own receipt is kept with the event."""
    by = msgspec.structs.replace(reception.stamp.by, role=reception.role, root=False)
    return Admission(
        stamp=Stamp(reception.stamp.at, by),
        session_id=session_id,
        ask=reception.ask,
        message_id=reception.message_id,
        run_id=reception.run_id,
        lease=reception.lease,
        origin=reception.origin,
    )


def _receipt(message: MessageReceipt, session_id: str, reception: Reception) -> EventReceipt:
    return EventReceipt(
        **msgspec.structs.asdict(message),
        session_id=session_id,
        event_id=reception.seen.event_id,
        binding_id=reception.binding_id,
        dropped=reception.origin.dropped,
    )


def purge_events(tx: Tx, no: int, at: Micros) -> None:
    """A session goes for good. Its events are known for some time still."""
    tx.do("received_orphan", no=no, at=at + KEPT)
    tx.do("conversation_purge", no=no)


def expire_events(tx: Tx, at: Micros) -> int:
    """Forget events of sessions that went long ago. Returns how many."""
    return tx.do("received_expire", now=at)
