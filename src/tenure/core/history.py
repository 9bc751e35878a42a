"""What undo, redo, compact and fork mean: pure rules over the lines of a transcript.

A turn is a run with its message, its steering and its output; turns never overlap. Undo takes the last
turns off, and with them every compaction that came after the first of them. The store decides by these
rules under the session's lock; the journal keeps everything.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from tenure.core.command import Ask, ClientMessageId, Title
from tenure.core.content import text_of
from tenure.core.message import Role
from tenure.core.view import TranscriptItem, View
from tenure.errors import Code, TenureError

COMMAND = "command"
"""The trigger kind of a run that a command started, and the role of a command that waits in the queue."""

COMPACT = "compact"
SUMMARY = "summary"
"""The role of the item that stands for what a compaction covers."""

KEPT_TURNS = 5
"""How many turns a compaction leaves as they were said, at most."""

MOST_STRANDS = 16
"""How many strands the journal of one session may be made of. A fork beyond copies what it shares."""

SUMMARY_CHARACTERS = 4_000
MOST_SUMMARY = 100_000
_LINE = 120

Turns: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Instructions: TypeAlias = Annotated[str, msgspec.Meta(max_length=10_000)]


class UndoTurns(Ask, frozen=True, kw_only=True):
    """Take the last turns off the transcript: `turns` of them, by default 1, or all down to a message.

    `interrupt` stops a live run first and takes its turn off when it has ended. `dry_run` changes nothing
    and answers what would go and what can't.
    """

    turns: Turns | None = None
    to_message_id: ClientMessageId | None = None
    interrupt: bool = False
    dry_run: bool = False


class RedoTurns(Ask, frozen=True, kw_only=True):
    """Put back what the last undo took off."""


class CompactSession(Ask, frozen=True, kw_only=True):
    """Replace the older part of the transcript by a summary. `instructions` go to the agent's summariser."""

    instructions: Instructions = ""


class ForkSession(Ask, frozen=True, kw_only=True):
    """Open a session that begins with this one's journal up to `at_seq`.

    Without `at_seq` it is where the session last stood still: the end of the last finished turn, or the
    undo after it; 1 if there is none. Without `title` the fork has its parent's.
    """

    at_seq: Annotated[int, msgspec.Meta(ge=1)] | None = None
    title: Title | None = None


class UndoReceipt(View, frozen=True, kw_only=True):
    """What an undo took off. `kept` lists what it can't take back: state, tool calls, files.

    `pending` says that a run is being stopped first; what goes then is what is named here and whatever
    the run still says. `seq` is the number of `transcript.undone`, or the head if nothing was changed yet.
    `interrupts` is the run that is stopped for it, or was.
    """

    run_ids: tuple[str, ...]
    message_ids: tuple[str, ...]
    to_seq: int
    kept: tuple[str, ...]
    dry_run: bool = False
    pending: bool = False
    interrupts: str | None = None
    seq: int


class RedoReceipt(View, frozen=True, kw_only=True):
    """What a redo put back, and the number of `transcript.redone`."""

    run_ids: tuple[str, ...]
    message_ids: tuple[str, ...]
    seq: int


class Line(NamedTuple):
    """One message of the transcript, as far as turns are concerned."""

    message_id: str
    run_id: str
    role: str
    seq: int


class Turn(NamedTuple):
    """One turn: the runs and messages of it, oldest first, and the number at which it begins."""

    run_ids: tuple[str, ...]
    message_ids: tuple[str, ...]
    first_seq: int


class Cut(NamedTuple):
    """What an undo takes off: the transcript stands as of `to_seq` afterwards."""

    run_ids: tuple[str, ...]
    message_ids: tuple[str, ...]
    to_seq: int


def turns_back(newest_first: Iterable[Line]) -> Iterator[Turn]:
    """The turns of a transcript, newest first, from its lines in the same order.

    A turn goes back to the message of a user that began it. What a run said for a message that another
    run took up again belongs to the same turn.
    """
    turn = _NO_TURN
    for run_id, group in groupby(newest_first, key=lambda line: line.run_id):
        lines = [*group][::-1]
        turn = _joined(Turn((run_id,), tuple(line.message_id for line in lines), lines[0].seq), turn)
        if any(line.role == Role.USER for line in lines):
            yield turn
            turn = _NO_TURN
    if turn.run_ids:
        yield turn


_NO_TURN = Turn((), (), 0)


def _joined(earlier: Turn, later: Turn) -> Turn:
    run_ids = dict.fromkeys(earlier.run_ids + later.run_ids)
    return Turn(tuple(run_ids), earlier.message_ids + later.message_ids, earlier.first_seq)


def cut(newest_first: Iterable[Line], ask: UndoTurns, session_id: str) -> Cut:
    """What the undo takes off. Raises TenureError `conflict` if there is nothing, `not_found`, `invalid`."""
    check_undo(ask)
    taken: list[Turn] = []
    for turn in turns_back(newest_first):
        taken.append(turn)
        reached = (
            ask.to_message_id in turn.message_ids
            if ask.to_message_id is not None
            else len(taken) == (ask.turns or 1)
        )
        if reached:
            break
    else:
        if ask.to_message_id is not None:
            raise _no_message(ask.to_message_id, session_id)
    if not taken:
        raise TenureError(
            Code.CONFLICT,
            f"Session {session_id} has no turn to undo: its transcript is empty. Say something first.",
            session_id=session_id,
        )
    oldest_first = taken[::-1]
    return Cut(
        tuple(run_id for turn in oldest_first for run_id in turn.run_ids),
        tuple(message_id for turn in oldest_first for message_id in turn.message_ids),
        oldest_first[0].first_seq - 1,
    )


def check_undo(ask: UndoTurns) -> None:
    """Raises TenureError `invalid` if the undo names its end twice."""
    if ask.turns is not None and ask.to_message_id is not None:
        raise TenureError(
            Code.INVALID,
            f"The undo names turns ({ask.turns}) and to_message_id. Give one of the two.",
            field="turns",
        )


def _no_message(message_id: str, session_id: str) -> TenureError:
    return TenureError(
        Code.NOT_FOUND,
        f"The transcript of session {session_id} has no message {message_id}; it may wait, or be undone "
        "already. Read the transcript for what there is.",
        message_id=message_id,
    )


# --- compaction


class Summarizing(NamedTuple):
    """What a summariser is given: the lines to cover, oldest first, and what the person asked for.

    The first line may be the summary of an earlier compaction; its role is `summary`.
    """

    said: tuple[TranscriptItem, ...]
    instructions: str


Summarize: TypeAlias = Callable[[Summarizing], Awaitable[str]]
"""A summariser of an agent's own. What it returns stands in the transcript for all that it was given."""


class Split(NamedTuple):
    """A transcript in two: what a compaction covers, and the number up to which that goes."""

    covered: tuple[TranscriptItem, ...]
    through: int


def split(said: Sequence[TranscriptItem], before: int) -> Split | None:
    """What a compaction covers of the visible transcript; None if there is nothing to cover.

    The last KEPT_TURNS turns stay as they were said, but never more than half of all, so that a
    compaction always helps. `before` is the number at which the compaction itself began.
    """
    starts = _starts(said)
    if not starts:
        return None
    keep = min(KEPT_TURNS, len(starts) // 2)
    if keep == 0:
        return Split(tuple(said), before - 1)
    first = starts[-keep]
    return Split(tuple(said[:first]), said[first].seq - 1)


def _starts(said: Sequence[TranscriptItem]) -> list[int]:
    """Where the turns begin: at each message of a user that isn't of the run before."""
    starts: list[int] = []
    last: str | None = None
    for index, item in enumerate(said):
        if item.role == Role.USER and (item.run_id != last or not starts):
            starts.append(index)
        last = item.run_id
    return starts


async def extract(asked: Summarizing) -> str:
    """The summary that needs no model: what was asked first, then a line a turn, cut to a budget.

    It can't follow instructions, and says nothing that wasn't said. The oldest lines give way.
    """
    said = asked.said
    head = [text_of(item.content) for item in said if item.role == SUMMARY][:1]
    rest = [item for item in said if item.role != SUMMARY]
    asks = [item for item in rest if item.role == Role.USER]
    if not head and asks:
        head = [f"It began with: {text_of(asks[0].content)}"]
    budget = SUMMARY_CHARACTERS
    opening = [_short(text, budget // 2) for text in head]
    lines = [f"{_speaker(item)}: {_short(text_of(item.content), _LINE)}" for item in _telling(rest)]
    room = budget - sum(len(text) + 1 for text in opening)
    kept: list[str] = []
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0:
            kept.append(f"({len(lines) - len(kept)} earlier lines are left out.)")
            break
        kept.append(line)
    return "\n".join([*opening, *reversed(kept)])


def _telling(rest: Sequence[TranscriptItem]) -> list[TranscriptItem]:
    """Each user's message, and of what the agent said in a row the last."""
    return [
        item
        for item, after in zip(rest, [*rest[1:], None], strict=True)
        if item.role == Role.USER or after is None or after.role == Role.USER
    ]


def _speaker(item: TranscriptItem) -> str:
    return item.actor or "agent"


def _short(text: str, most: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


# --- what may be undone at all


def check_can(undo: bool, agent: str, what: str) -> None:
    """Raises TenureError `unsupported` if the agent's runner holds its own context."""
    if not undo:
        raise TenureError(
            Code.UNSUPPORTED,
            f"The runner of {agent!r} keeps the conversation itself, so the host can't {what} it. "
            "Tell the agent, or fork the session at an earlier event.",
            agent=agent,
        )
