"""What a fork leaves behind when it branches off in the middle of things, on a host at work."""

from collections.abc import AsyncIterator

import pytest

from tenure.core.command import Answering, SendMessage
from tenure.core.event import MessageDelta, RunFinished
from tenure.core.history import ForkSession
from tenure.core.message import BusyPolicy
from tenure.core.output import Output, Text, completed
from tenure.core.view import SessionInfo
from tenure.ports.runner import RunContext
from tests.host.rooms import BEN, Rooms, Talk, agent, in_virtual_time
from tests.host.workshop import TOOLED, Bench, approvals, asked, asking, decide


async def mailing(run: RunContext) -> AsyncIterator[Output]:
    """An agent that sends one mail, which needs a person."""
    yield Text("Shall I? ")
    yield Text(str(await run.tools.call("mail", {"to": run.message.text})))
    yield completed()


async def branch(talk: Talk, at_seq: int | None = None) -> tuple[Talk, SessionInfo]:
    """Fork a session."""
    rooms = talk.rooms
    work = rooms.host.histories.fork(talk.by, talk.session_id, ForkSession(at_seq=at_seq), None)
    made = (await rooms.there(work)).value
    return Talk(rooms, talk.by, made.id), made


@pytest.mark.sources("P7")
@in_virtual_time
async def test_a_question_to_a_person_stays_with_the_parent(rooms: Rooms) -> None:
    rooms.tools = Bench(asking())
    await rooms.up(agent(mailing, TOOLED))
    talk = await rooms.open()
    receipt = await talk.send("bob")
    question = await asked(talk)
    await talk.send(SendMessage(content="waits", when_busy=BusyPolicy.QUEUE))
    fork, made = await branch(talk, await rooms.host.store.head(talk.session_id))

    assert (made.status, made.pending_approvals, made.queue_held) == ("idle", (), False)
    assert await approvals(fork) == []
    assert await fork.lines() == [("user", "bob", "settled"), ("assistant", "Shall I? ", "completed")]
    await fork.send("eve")
    own = await asked(fork, made.head_seq)
    assert own.approval_id != question.approval_id
    await decide(talk, question.approval_id, Answering.DENY)
    await talk.until(lambda e: e.run_id == receipt.run_id and isinstance(e.event, RunFinished))
    await decide(fork, own.approval_id)
    await fork.until(RunFinished, made.head_seq)

    assert (await fork.lines())[-1] == ("assistant", "{'given': {'to': 'eve'}}", "completed")


@in_virtual_time
async def test_the_forks_run_has_its_own_authors_grant_and_the_parents_runs_stay_its_own(
    rooms: Rooms,
) -> None:
    rooms.tools = Bench(asking())
    await rooms.up(agent(mailing, TOOLED))
    talk = await rooms.open()
    receipt = await talk.send("bob")
    await asked(talk)
    work = rooms.host.histories.fork(BEN, talk.session_id, ForkSession(at_seq=1), None)
    fork = Talk(rooms, BEN, (await rooms.there(work)).value.id)
    own = await fork.send("eve")
    await fork.until(MessageDelta)

    assert (await fork.run(own)).grant.author.user == "ben"
    runs = await rooms.host.store.runs(fork.session_id, None, 10)
    assert [run.id for run in runs.data] == [own.run_id]
    assert (await fork.run(receipt)).session_id == talk.session_id
    await fork.stop()
    await talk.stop()
