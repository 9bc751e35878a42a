"""How far each run has come at each entry of a journal."""

from collections.abc import Iterable, Iterator

import msgspec

from tenure.core.entry import Recorded
from tenure.core.event import (
    MessageAdmitted,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    ReasoningDelta,
    RunFinished,
    RunInterrupting,
    RunResumed,
    RunRetried,
    RunStarted,
    ToolCallCompleted,
    ToolCallStarted,
)


class Life(msgspec.Struct):
    """How far one run has come, and what it has left open."""

    started: int | None = None
    stopping: int | None = None
    finished: int | None = None
    attempt: int = 0
    speaking: dict[str, int] = {}
    said: set[str] = set()
    words: dict[str, list[str]] = {}
    calling: dict[str, int] = {}


def lives(journal: Iterable[Recorded]) -> Iterator[tuple[Recorded, str, Life]]:
    """Each entry that belongs to a run, with the life of that run before it."""
    lives: dict[str, Life] = {}
    for recorded in journal:
        run_id = recorded.run_id
        if run_id is None or isinstance(recorded.event, MessageAdmitted):
            continue
        life = lives.setdefault(run_id, Life())
        yield recorded, run_id, life
        _live_on(life, recorded)


def _live_on(life: Life, recorded: Recorded) -> None:
    match recorded.event:
        case RunStarted(attempt=attempt):
            life.started, life.attempt = recorded.seq, attempt
        case RunResumed(attempt=attempt):
            life.attempt = attempt
        case RunRetried(attempt=attempt):
            life.attempt = attempt
            # A new attempt starts over: what the last one left open is superseded, not closed.
            life.speaking, life.calling = {}, {}
        case RunInterrupting():
            life.stopping = recorded.seq
        case RunFinished():
            life.finished = recorded.seq
        case MessageDelta(message_id, text) | ReasoningDelta(message_id, text):
            if message_id not in life.said:
                life.speaking.setdefault(message_id, recorded.seq)
                life.words.setdefault(message_id, []).append(text)
        case MessageCompleted(message_id=message_id) | ReasoningCompleted(message_id=message_id):
            life.speaking.pop(message_id, None)
            life.said.add(message_id)
        case ToolCallStarted(call_id=call_id):
            life.calling[call_id] = recorded.seq
        case ToolCallCompleted(call_id=call_id):
            life.calling.pop(call_id, None)
        case _:
            pass
