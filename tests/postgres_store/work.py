"""One workload that a client could see, over a store in Postgres, and what must be true after it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise

from tenure.core.command import InterruptRun, OpenSession, SendMessage, UpdateSession
from tenure.core.event import MessageDelta
from tenure.core.invariants import check
from tenure.core.limits import Limits
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.stores.contract.stage import ADA, EPOCH, GREETER, CountedIds, Stage, type_of
from tenure.stores.postgres.lane import PostgresLane
from tenure.stores.postgres.store import PostgresStore

JOURNAL = [
    "session.created",
    "message.admitted",
    "run.started",
    "message.delta",
    "message.delta",
    "message.delta",
    "message.delta",
    "message.completed",
    "run.finished",
    "session.updated",
    "message.admitted",
    "run.started",
    "run.interrupting",
    "run.finished",
]
"""What the workload leaves in its session, if everything in it is done once."""


@asynccontextmanager
async def played(url: str, lease_s: float = 10, patience_s: float = 3) -> AsyncGenerator[Stage]:
    """A stage over a lane to the database, closed in the end."""
    lane = await PostgresLane.opened(url, lease_s, patience_s)
    ids, rules = CountedIds(), Rules(limits=Limits(), terms={"greeter": GREETER})
    store = await PostgresStore.opened(lane, rules, ids)
    try:
        yield Stage(store, ids, await store.join(EPOCH), rules)
    finally:
        await store.aclose()


async def converse(stage: Stage, key: str) -> str:
    """Open a session, let one run speak and end, rename it, and stop another run. The session's id."""
    session_id = await stage.open(key=f"open {key}")
    start = (await stage.send(session_id, key=f"send {key}")).start
    said = await stage.say(start.run_id, "a")
    await asyncio.gather(*(stage.say(start.run_id, text, message_id=said) for text in ("b", "c", "d")))
    await stage.settle(start.run_id)
    await stage.store.update_session(stage.stamp(), session_id, UpdateSession(labels={"key": key}))
    second = (await stage.send(session_id, "Again", key=f"again {key}")).start
    await stage.interrupt(session_id, InterruptRun(), key=f"stop {key}")
    await stage.settle(second.run_id, RunState.CANCELLED)
    return session_id


async def assert_done_once(stage: Stage, session_id: str, key: str) -> None:
    """Everything stands in the journal once, was shown once and in order, and a repeat changes nothing."""
    journal = await stage.journal(session_id)
    types = [type_of(recorded.event) for recorded in journal]
    assert types == JOURNAL, types
    text = [r.event.text for r in journal if isinstance(r.event, MessageDelta)]
    assert text == ["a", "b", "c", "d"]
    assert [recorded.seq for recorded in journal] == list(range(1, len(JOURNAL) + 1))
    blocks = stage.delivered(session_id)
    assert (blocks[0].first, blocks[-1].last) == (1, len(JOURNAL))
    assert all(after.first == before.last + 1 for before, after in pairwise(blocks))
    stored = await stage.store.audit(session_id)
    assert stored is not None and check(stored) == []
    again = await stage.opened(ADA, OpenSession(agent="greeter"), key=f"open {key}")
    assert (again.replayed, again.value.id) == (True, session_id)
    sent = await stage.send(session_id, SendMessage(content="Hello"), key=f"send {key}")
    assert (sent.replayed, sent.receipt.seq) == (True, 2)
    assert await stage.store.head(session_id) == len(JOURNAL)
