"""The state of a session's own is what the journal says was kept."""

import msgspec

from tenure.core.event import SessionCreated, StateUpdated
from tenure.core.evidence import StoredValue
from tenure.core.invariants.case import Case, Faults
from tenure.core.scope import Scope


def state_rows(case: Case) -> Faults:
    """Conversation state that is shared with other sessions is known to no single journal."""
    births = [(entry.seq, entry.event) for entry in case.journal if isinstance(entry.event, SessionCreated)]
    born = [event for _, event in births]
    if not born or _is_shared(born[-1]):
        return
    # What a fork of a shared conversation began with may have been written by another session.
    known_from = births[-1][0] if any(map(_is_shared, born)) else 0
    stored = {value.key: value for value in case.stored.values}
    last: dict[str, tuple[int, StateUpdated]] = {}
    for entry in case.journal:
        if isinstance(entry.event, StateUpdated) and entry.event.scope == Scope.CONVERSATION:
            before = last.get(entry.event.key)
            if before is not None and entry.event.version <= before[1].version:
                yield f"Version {entry.event.version} of {entry.event.key!r} was given before.", (entry.seq,)
            last[entry.event.key] = entry.seq, entry.event
    for key, (seq, event) in last.items():
        if seq < known_from:
            continue
        kept = stored.get(key)
        if kept is None:
            if not event.deleted and event.expires_at is None:
                yield f"The value of {key!r} has no row.", (seq,)
        elif event.deleted:
            yield f"The value of {key!r} was deleted, but has a row.", (seq,)
        elif not _same(kept, event, whole=seq > case.stored.retired):
            yield f"The row of {key!r} isn't the value of version {event.version}.", (seq,)
    if len(born) == 1:
        for key in sorted(stored.keys() - last.keys()):
            yield f"The value of {key!r} has a row, but the journal doesn't know it.", ()


def _is_shared(born: SessionCreated) -> bool:
    return bool((born.conversation or {}).get("conversation_id"))


def _same(kept: StoredValue, event: StateUpdated, *, whole: bool) -> bool:
    """Of what was retired only the version is known."""
    if kept.version != event.version:
        return False
    return not whole or msgspec.json.decode(kept.line) == event.value
