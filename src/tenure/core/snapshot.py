"""What is kept of entries that were retired: all that the fold of a journal goes by, and nothing else.

Rows of messages, runs and files stay as they are; the snapshot lets the invariant checker, and a fork,
fold a journal whose oldest part is gone. Tools' arguments and results, state and reasoning aren't kept.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tenure.core.entry import Entry, Recorded, entry, frame, record
from tenure.core.event import (
    ApprovalRequested,
    ApprovalResolved,
    Event,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    RunnerWarning,
    StateUpdated,
    ToolCallCompleted,
    ToolCallStarted,
    Unknown,
    UsageRecorded,
)

_FORGOTTEN = (ReasoningDelta, ReasoningCompleted, RunnerWarning, UsageRecorded, Unknown)


def bare(event: Event | Unknown) -> Event | None:
    """What still counts of an event; None if nothing does."""
    match event:
        case MessageDelta(message_id=message_id):
            return MessageDelta(message_id, "")
        case ToolCallStarted():
            return msgspec.structs.replace(event, arguments={})
        case ToolCallCompleted():
            return msgspec.structs.replace(event, result=None)
        case ApprovalRequested():
            return msgspec.structs.replace(event, arguments={})
        case ApprovalResolved():
            return msgspec.structs.replace(event, arguments=None, note=None)
        case StateUpdated():
            return msgspec.structs.replace(event, value=None)
        case _:
            return None if isinstance(event, _FORGOTTEN) else event


def kept(journal: Sequence[Recorded], begun: set[str]) -> Iterator[bytes]:
    """The lines of a snapshot for these entries. Of a whole message the first piece says when it began.

    `begun` are the messages whose first piece is in the snapshot already.
    """
    whole = {r.event.message_id for r in journal if isinstance(r.event, MessageCompleted)}
    seen = set(begun)
    for recorded in journal:
        left = recorded.event
        if isinstance(left, MessageDelta):
            if left.message_id in whole and left.message_id in seen:
                continue
            seen.add(left.message_id)
            left = left if left.message_id not in whole else bare(left)
        else:
            left = bare(left)
        if left is not None:
            yield _line(recorded.seq, entry(recorded.at, left, recorded.run_id))


def _line(seq: int, made: Entry) -> bytes:
    return frame(seq, made.line[1:])


class _Numbered(msgspec.Struct):
    seq: int


_numbered = msgspec.json.Decoder(_Numbered)


def seq_of(line: bytes) -> int:
    """The number of an entry of a snapshot."""
    return _numbered.decode(line).seq


def unfolded(lines: Iterable[bytes]) -> Iterator[Recorded]:
    """The entries of a snapshot, with the numbers that they had. Raises msgspec.MsgspecError on nonsense."""
    for line in lines:
        yield record(seq_of(line), line)
