"""What a bundle says of a session, read and checked: all that its rows are made of where it is imported.

An imported session is a fork of one from elsewhere: it begins with that one's journal under the same
numbers and ids, and what was open there is cut off.
"""

import re
from collections.abc import Iterable

import msgspec

from tenure.core.entry import Recorded, record
from tenure.core.event import (
    ArtifactCreated,
    MessageAdmitted,
    RunStarted,
    SessionCreated,
    SessionDeleted,
    StateUpdated,
)
from tenure.core.scope import Scope
from tenure.core.transcript import Left, Transcript, changes
from tenure.errors import Code, IllegalTransition, TenureError

MOST_LINE = 1 << 26
"""The longest line of a journal that is read, in bytes."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_ENVELOPE = re.compile(rb'\{"seq":([1-9][0-9]{0,17}),("at":"[0-9T:.-]{26}Z","type":"[^"\\]+","run_id":)')


class Trace(msgspec.Struct, frozen=True):
    """What a run left that an undo can't take back."""

    seq: int
    run_id: str
    what: str
    call_id: str | None


class Begun(msgspec.Struct, frozen=True):
    """Where a message or a file came into the journal: its number, when, and by whom."""

    seq: int
    at: int
    by: str


class Journal(msgspec.Struct):
    """A journal that was read to its end. `lines` are as a store keeps them, without numbers."""

    lines: list[bytes] = []
    transcript: Transcript = msgspec.field(default_factory=Transcript)
    born: SessionCreated | None = None
    admitted: dict[str, Begun] = {}
    filed: dict[str, Begun] = {}
    messages: dict[str, str] = {}
    """Which message each run took."""
    traces: list[Trace] = []
    values: dict[str, StateUpdated] = {}
    floor: int = 0

    @property
    def head(self) -> int:
        """The number of its last entry."""
        return len(self.lines)


def read(envelopes: Iterable[bytes]) -> Journal:
    """Read envelopes, one a line, from number 1 on. Raises TenureError `invalid` for what is no journal."""
    journal = Journal()
    for line in envelopes:
        entry = _entry(journal.head + 1, line)
        try:
            journal.transcript.add(entry)
        except (IllegalTransition, LookupError, ValueError) as error:
            raise _broken(entry.seq, f"it can't follow what stands before it ({error!r})") from None
        _take_in(journal, entry)
        journal.lines.append(b"{" + line.split(b",", 1)[1])
    if journal.born is None:
        raise _broken(1, "there is no event at all")
    return journal


def _entry(seq: int, line: bytes) -> Recorded:
    shape = _ENVELOPE.match(line) if len(line) <= MOST_LINE else None
    if shape is None:
        raise _broken(seq, "it is no event as a server sends it")
    if int(shape[1]) != seq:
        raise _broken(seq, f"it has the number {int(shape[1])}")
    try:
        if _NUL.search(line):
            raise ValueError("it holds the character U+0000")
        return record(seq, line)
    except (ValueError, KeyError) as error:
        raise _broken(seq, f"it can't be read ({error})") from None


def _take_in(journal: Journal, entry: Recorded) -> None:
    seq, at, run_id, event = entry
    match event:
        case SessionCreated(parent=parent):
            if (seq == 1) != (parent is None) or (parent is not None and parent.seq != seq - 1):
                raise _broken(seq, "no session begins there")
            journal.born = event
        case _ if seq == 1:
            raise _broken(seq, "a journal begins with session.created")
        case SessionDeleted():
            raise _broken(seq, "the session was deleted")
        case MessageAdmitted():
            journal.admitted[event.message_id] = Begun(seq, at, event.actor.user)
        case RunStarted(trigger=trigger) if run_id:
            journal.messages[run_id] = trigger.message
        case ArtifactCreated():
            journal.filed[event.artifact_id] = Begun(seq, at, event.by or "")
        case StateUpdated(scope=Scope.CONVERSATION):
            journal.floor = max(journal.floor, event.version)
            journal.values[event.key] = event
        case _:
            pass
    _leave(journal, entry)


def _leave(journal: Journal, entry: Recorded) -> None:
    """Keep what the entry leaves behind; a call that was denied left nothing."""
    for change in changes(entry.event, entry.run_id):
        if isinstance(change, Left) and change.what:
            journal.traces.append(Trace(entry.seq, change.run_id, change.what, change.call_id))
        elif isinstance(change, Left):
            journal.traces = [trace for trace in journal.traces if trace.call_id != change.call_id]


def _broken(seq: int, why: str) -> TenureError:
    return TenureError(Code.INVALID, f"The event {seq} of the bundle is none: {why}. Nothing was imported.")
