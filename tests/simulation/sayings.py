"""The judgement of what people said: merges, replacements, rollbacks, and steering that is offered again."""

from collections.abc import Iterable

import msgspec

from tenure.core.admission import joined
from tenure.core.content import Content
from tenure.core.entry import Recorded
from tenure.core.event import (
    Actor,
    MessageAdmitted,
    MessageUpdated,
    MessageWithdrawn,
    RunFinished,
    RunInterrupting,
    RunRetried,
    RunStarted,
    SteeringConsumed,
    TranscriptRedone,
    TranscriptUndone,
)
from tenure.core.history import COMMAND
from tenure.core.run import RunState
from tests.simulation.world import World


class Talk(msgspec.Struct):
    """What the journal of a session told so far."""

    content: dict[str, Content] = {}
    actors: dict[str, Actor] = {}
    replaced: dict[str, str] = {}
    joins: dict[str, MessageAdmitted] = {}
    rolls_back: dict[str, str] = {}
    """By the run that is to go: the message that asked for it."""
    owed: dict[str, int] = {}
    consumed: dict[str, list[str]] = {}
    turns: set[str] = set()
    took: dict[str, set[str]] = {}
    undone: set[str] = set()
    again: dict[str, set[str]] = {}
    """By run: the steering that its present attempt has yet to be offered again."""


def judge_talk(world: World, session_id: str, journal: Iterable[Recorded]) -> None:
    """What was said in one session, entry by entry."""
    talk = Talk()
    for recorded in journal:
        for sentence in _judge(talk, recorded):
            world.fault(f"{sentence} at {recorded.seq} of {session_id}")


def _judge(talk: Talk, recorded: Recorded) -> Iterable[str]:
    run_id = recorded.run_id or ""
    match recorded.event:
        case MessageAdmitted() as said:
            yield from _admitted(talk, said)
        case MessageUpdated(message_id=message_id) as new:
            join = talk.joins.pop(message_id, None)
            if join is not None and new.content != joined(talk.content[message_id], join.content):
                yield f"{join.message_id} joined {message_id}, which says {new.content!r}"
            talk.content[message_id] = new.content
        case MessageWithdrawn(message_id=message_id) as gone:
            talk.rolls_back = {run: by for run, by in talk.rolls_back.items() if by != message_id}
            if gone.replaced_by is not None:
                talk.replaced[message_id] = gone.replaced_by
        case RunStarted():
            yield from (f"{run} was to be rolled back when it ended" for run in talk.owed)
            talk.owed = {}
        case RunRetried():
            talk.again[run_id] = set(talk.consumed.get(run_id, ()))
        case RunInterrupting():
            # A run that is being stopped isn't handed anything more.
            talk.again.pop(run_id, None)
        case SteeringConsumed(message_ids=message_ids) as taken:
            talk.again.get(run_id, set()).difference_update(message_ids)
            if not taken.redelivered:
                talk.consumed.setdefault(run_id, []).extend(message_ids)
                talk.took.setdefault(run_id, set()).update(message_ids)
        case TranscriptUndone(run_ids=run_ids, message_ids=message_ids):
            took = {message for run in run_ids for message in talk.took.get(run, ())}
            if left := took - {*message_ids} - talk.undone:
                yield f"{sorted(left)} stand though their turn was undone"
            talk.undone |= {*message_ids}
            talk.owed = {run: seq for run, seq in talk.owed.items() if run not in run_ids}
        case TranscriptRedone(message_ids=message_ids):
            talk.undone -= {*message_ids}
        case RunFinished(status=status):
            if run_id in talk.rolls_back and run_id in talk.turns:
                talk.owed[run_id] = recorded.seq
            if status == RunState.COMPLETED and (left := talk.again.get(run_id)):
                yield f"{run_id} started over and wasn't offered {sorted(left)} again"
        case _:
            pass
    if isinstance(recorded.event, RunStarted) and recorded.event.trigger.kind != COMMAND:
        talk.turns.add(run_id)
        talk.took.setdefault(run_id, set()).add(recorded.event.trigger.message)


def _admitted(talk: Talk, said: MessageAdmitted) -> Iterable[str]:
    talk.content[said.message_id] = said.content
    talk.actors[said.message_id] = said.actor
    if said.into is not None:
        talk.joins[said.into] = said
    if said.rolls_back is not None:
        talk.rolls_back[said.rolls_back] = said.message_id
    for message_id, by in talk.replaced.items():
        if by == said.message_id and talk.actors[message_id].user != said.actor.user:
            yield f"{message_id} was replaced by {by}, which is somebody else's"
