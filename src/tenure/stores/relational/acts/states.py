"""State: set, delete, expire, and the copy that a fork begins with. Values and their events go together."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from tenure.core.entry import entry, lines_of, record
from tenure.core.event import StateUpdated
from tenure.core.moment import SECOND, Micros, micros, timestamp
from tenure.core.scope import Expected, Parties, Place, Scope, Setting, check_room, place
from tenure.core.state import StateValue
from tenure.errors import TenureError
from tenure.ports.acts import Answer
from tenure.ports.states import ByCaller, ByRun, Write, Writer
from tenure.stores.relational import strands
from tenure.stores.relational.acts.receipts import remember, replay
from tenure.stores.relational.acts.rows import SessionRow, fenced, session_row
from tenure.stores.relational.tx import Tx

EXPIRED_AT_ONCE = 500
_MARK = b'"type":"state.updated"'


class Through(NamedTuple):
    """The session through which state is changed: its journal gets the event."""

    no: int
    session_id: str
    run_id: str | None
    by: str | None = None
    of: str | None = None


class PlaceRow(NamedTuple):
    """What is kept for one identity."""

    no: int
    floor: int
    keys: int
    bytes: int
    last_session: int
    last_seq: int


class ValueRow(NamedTuple):
    """What stands under one key."""

    no: int
    version: int
    expires_at: int | None
    size: int

    def lives(self, at: Micros) -> bool:
        """Whether its time isn't over."""
        return self.expires_at is None or self.expires_at > at


class Kept(msgspec.Struct, frozen=True):
    """What is remembered of a write by its idempotency key: nothing of what was written."""

    version: int
    expires_at: str | None


def set_value(tx: Tx, writer: Writer, write: Write) -> Answer[StateValue]:
    """Keep a value. Raises TenureError `stale`, `capacity`, `not_found`, `fenced`."""
    if not isinstance(writer, ByCaller):
        return Answer(_told(write, _set(tx, writer, write)))
    known = replay(tx, writer.stamp, Kept)
    if known is not None:
        return Answer(_told(write, known.value), replayed=True)
    kept = _set(tx, writer, write)
    remember(tx, writer.stamp, kept)
    return Answer(_told(write, kept))


def _told(write: Write, kept: Kept) -> StateValue:
    return StateValue(
        scope=write.place.scope,
        key=write.key,
        value=msgspec.json.decode(write.line),
        version=kept.version,
        expires_at=kept.expires_at,
    )


def _set(tx: Tx, writer: Writer, write: Write) -> Kept:
    at, through = writer.at, _through(tx, writer)
    kept = _place(tx, write.place)
    old = None if kept is None else _value(tx, kept, write.key)
    if write.expected is not None:
        write.expected.check(write.key, old.version if old and old.lives(at) else 0)
    if kept is not None:
        kept = _with_room(tx, kept, old, len(write.line), at)
    expires = None if write.ttl_s is None else Micros(at + round(write.ttl_s * SECOND))
    version = _next_version(kept, old)
    event = StateUpdated(
        scope=write.place.scope,
        key=write.key,
        version=version,
        value=msgspec.Raw(write.line),
        expires_at=None if expires is None else timestamp(expires),
        by=through.by,
        of=through.of,
    )
    seq = tx.record(through.no, through.session_id, [entry(at, event, through.run_id)])
    place_no = _moved(tx, through, write.place, kept, seq, keys=int(old is None), size=_more(old, write))
    _put(tx, place_no, old, write, version, expires)
    return Kept(version, event.expires_at)


def delete_value(tx: Tx, writer: Writer, where: Place, key: str, expected: Expected | None) -> int | None:
    """Delete a value; its last version. None if there is none. Raises TenureError as `set_value` does."""
    at, through = writer.at, _through(tx, writer)
    kept = _place(tx, where)
    old = None if kept is None else _value(tx, kept, key)
    if old is not None and not old.lives(at):
        old = None
    if expected is not None:
        expected.check(key, old.version if old else 0)
    if kept is None or old is None:
        return None
    event = StateUpdated(
        scope=where.scope, key=key, version=old.version + 1, deleted=True, by=through.by, of=through.of
    )
    seq = tx.record(through.no, through.session_id, [entry(at, event, through.run_id)])
    _moved(tx, through, where, kept, seq, keys=-1, size=-old.size, floor=event.version)
    tx.must("state_delete", no=old.no)
    return old.version


def _through(tx: Tx, writer: Writer) -> Through:
    match writer:
        case ByCaller():
            session = session_row(tx, writer.session_id)
            return Through(session.no, session.id, None, writer.stamp.by.user, writer.of)
        case ByRun():
            owner = writer.lease.incarnation
            row = tx.one("state_writer", run_id=writer.run_id, owner=owner, attempt=writer.attempt)
            if row is None:
                raise fenced(writer.run_id)
            no, session_id = row
            return Through(no, session_id, writer.run_id)


def _place(tx: Tx, where: Place) -> PlaceRow | None:
    row = tx.one("state_place", digest=where.digest)
    return None if row is None else PlaceRow(*row)


def _value(tx: Tx, kept: PlaceRow, key: str) -> ValueRow | None:
    row = tx.one("state_value", place_no=kept.no, key=key)
    return None if row is None else ValueRow(*row)


def _next_version(kept: PlaceRow | None, old: ValueRow | None) -> int:
    """One more than any version that the key can have had."""
    if old is not None:
        return old.version + 1
    return 1 if kept is None else kept.floor + 1


def _more(old: ValueRow | None, write: Write) -> int:
    return len(write.line) - (0 if old is None else old.size)


def _with_room(tx: Tx, kept: PlaceRow, old: ValueRow | None, size: int, at: Micros) -> PlaceRow:
    """The place, with room for one more value. Raises TenureError `capacity`."""
    more = size - (0 if old is None else old.size)
    try:
        check_room(kept.keys, kept.bytes, more, fresh=old is None)
    except TenureError:
        over = [row for row in tx.all("state_expired_in", place_no=kept.no, at=at) if row[0] != _no(old)]
        left = kept._replace(keys=kept.keys - len(over), bytes=kept.bytes - sum(row[3] for row in over))
        check_room(left.keys, left.bytes, more, fresh=old is None)
        for row in over:
            _expire(tx, *row)
        return left._replace(floor=max(kept.floor, *(row[2] for row in over)))
    return kept


def _no(old: ValueRow | None) -> int | None:
    return None if old is None else old.no


def _moved(
    tx: Tx,
    through: Through,
    where: Place,
    kept: PlaceRow | None,
    seq: int,
    *,
    keys: int,
    size: int,
    floor: int = 0,
) -> int:
    """Count what changed in a place, which is made if it isn't there. Its number."""
    last = {"last_session": through.no, "last_seq": seq}
    no = _made(tx, where, through.no, last) if kept is None else kept.no
    tx.must("state_place_move", no=no, floor=floor, keys=keys, bytes=size, **last)
    return no


def _made(tx: Tx, where: Place, session_no: int, last: dict[str, int]) -> int:
    own = session_no if where.own else None
    return tx.insert("state_place_make", digest=where.digest, scope=where.scope, session_no=own, **last)


def _put(
    tx: Tx, place_no: int, old: ValueRow | None, write: Write, version: int, expires: int | None
) -> None:
    line = {"version": version, "expires_at": expires, "size": len(write.line), "value": write.line.decode()}
    if old is None:
        tx.must("state_insert", place_no=place_no, key=write.key, **line)
    else:
        tx.must("state_update", no=old.no, **line)


def expire(tx: Tx, at: Micros) -> int:
    """Free some values whose time is over. Returns how many."""
    over = tx.all("state_expired", at=at, limit=EXPIRED_AT_ONCE)
    for row in over:
        _expire(tx, *row)
    return len(over)


def _expire(tx: Tx, no: int, place_no: int, version: int, size: int) -> None:
    tx.must("state_place_less", no=place_no, floor=version, bytes=size)
    tx.must("state_delete", no=no)


# --- what a fork begins with


class Copied(NamedTuple):
    """A value as it was: with its version, and its end if it has one."""

    version: int
    expires_at: int | None
    line: str


def copy_conversation_state(tx: Tx, parent: str, child: str, at_seq: int, at: Micros) -> int:
    """Give a fork the conversation state that its parent had at event `at_seq`. Returns how many keys.

    Values that other sessions of the same conversation wrote last are copied as they are now: the parent's
    journal doesn't know when that was. The other scopes are shared with the parent anyway.
    """
    source, target = (_conversation(tx, session_id) for session_id in (parent, child))
    kept = _place(tx, source)
    if kept is None or source == target:
        return 0
    values = _as_of(tx, session_row(tx, parent), kept, at_seq, at)
    if not values and not kept.floor:
        return 0
    session = session_row(tx, child)
    last = {"last_session": session.no, "last_seq": tx.head(session.no)}
    place_no = _made(tx, target, session.no, last)
    for key, value in values.items():
        size = len(value.line.encode())
        line = {"version": value.version, "expires_at": value.expires_at, "size": size, "value": value.line}
        tx.must("state_insert", place_no=place_no, key=key, **line)
    size = sum(len(value.line.encode()) for value in values.values())
    tx.must("state_place_move", no=place_no, floor=kept.floor, keys=len(values), bytes=size, **last)
    return len(values)


def fill_conversation_state(
    tx: Tx, session_id: str, latest: Sequence[StateUpdated], floor: int, at: Micros
) -> None:
    """Give a session from elsewhere the conversation state of its journal, which ends with these changes."""
    values = [(event.key, value) for event in latest if (value := _copied(event, at)) is not None]
    if not floor:
        return
    session = session_row(tx, session_id)
    last = {"last_session": session.no, "last_seq": tx.head(session.no)}
    place_no = _made(tx, _conversation(tx, session_id), session.no, last)
    for key, value in values:
        size = len(value.line.encode())
        line = {"version": value.version, "expires_at": value.expires_at, "size": size, "value": value.line}
        tx.must("state_insert", place_no=place_no, key=key, **line)
    size = sum(len(value.line.encode()) for _, value in values)
    tx.must("state_place_move", no=place_no, floor=floor, keys=len(values), bytes=size, **last)


def setting(tx: Tx, session_id: str) -> Setting:
    """The session as state sees it. Raises TenureError `not_found`."""
    session_row(tx, session_id)
    found = read_setting(tx, session_id)
    if found is None:
        raise RuntimeError(f"The session {session_id} vanished within a transaction.")
    return found


def read_setting(tx: Tx, session_id: str) -> Setting | None:
    """The same, None if there is none."""
    row = tx.first("state_setting", id=session_id)
    return None if row is None else setting_of(row)


def setting_of(row: dict[str, str | None]) -> Setting:
    """A session as state sees it, of its row."""
    conversation = row["conversation"]
    return Setting(
        session_id=str(row["id"]),
        tenant=str(row["tenant"]),
        agent=str(row["agent"]),
        conversation=None if conversation is None else msgspec.json.decode(conversation, type=dict[str, str]),
        claimant=row["claimant"],
    )


def _conversation(tx: Tx, session_id: str) -> Place:
    return place(setting(tx, session_id), Parties(), Scope.CONVERSATION)


def _as_of(tx: Tx, session: SessionRow, kept: PlaceRow, at_seq: int, at: Micros) -> dict[str, Copied]:
    """The values of a place at an event of the session.

    What the session itself didn't change since is as it is now, whoever wrote it.
    """
    rows = tx.all("state_all", place_no=kept.no, at=at)
    values = {key: Copied(version, expires, line) for key, version, expires, line in rows}
    if kept.last_session == session.no and kept.last_seq <= at_seq:
        return values
    past: dict[str, Copied | None] = {}
    changed: dict[str, Copied | None] = {}
    for seq, event in _changes(tx, session):
        if seq <= at_seq:
            past[event.key] = _copied(event, at)
        else:
            changed[event.key] = past.get(event.key)
    return {key: value for key, value in {**values, **changed}.items() if value is not None}


def _copied(event: StateUpdated, at: Micros) -> Copied | None:
    expires = None if event.expires_at is None else micros(event.expires_at)
    if event.deleted or (expires is not None and expires <= at):
        return None
    return Copied(event.version, expires, msgspec.json.encode(event.value).decode())


def _changes(tx: Tx, session: SessionRow) -> Iterator[tuple[int, StateUpdated]]:
    """Every change of conversation state in a session's journal, in order."""
    for low, _, body in strands.after(tx, strands.place(tx, session.id), 0):
        if _MARK in body:
            yield from _changes_in((low + i, b"{" + rest) for i, rest in enumerate(lines_of(body)))
    yield from _changes_in(iter(tx.pending(session.no)))


def _changes_in(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, StateUpdated]]:
    for seq, line in lines:
        if _MARK not in line:
            continue
        event = record(seq, line).event
        if isinstance(event, StateUpdated) and event.scope == Scope.CONVERSATION:
            yield seq, event
