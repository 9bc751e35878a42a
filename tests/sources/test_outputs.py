"""Outputs and inputs that are more than text: state that a run writes, files that a message brings."""

from collections.abc import AsyncIterator

import pytest

from tenure.core.content import FilePart, TextPart, file_ids_of
from tenure.core.event import MessageCompleted, MessageDelta, RunFinished, RunnerWarning, StateUpdated
from tenure.core.output import Output, StateUpdate, Text, completed
from tenure.ports.runner import RunContext
from tests.host.rooms import ADA, Rooms, agent, end, facts, in_virtual_time, said, talk_with


@pytest.mark.sources("O15", "S01", "S12")
@in_virtual_time
async def test_state_that_a_run_yields_is_written_in_its_place_and_never_said(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("before ")
        yield StateUpdate("conversation", "memory.topic", {"name": "tea"})
        yield Text("after ")
        found = await run.state.get("conversation", "memory.topic")
        yield Text(str(None if found is None else found.value))
        yield completed()

    talk = await talk_with(rooms, work)
    events = await talk.say()
    told = facts(events)
    words = [event for event in told if isinstance(event, MessageDelta)]
    updates = [event for event in told if isinstance(event, StateUpdated)]

    assert said(events) == "before after {'name': 'tea'}"
    assert [(u.scope, u.key, u.version, u.value) for u in updates] == [
        ("conversation", "memory.topic", 1, {"name": "tea"})
    ]
    assert told.index(words[0]) < told.index(updates[0]) < told.index(words[1])
    assert {content for _, content, _ in await talk.lines()} >= {"go"}
    assert "memory" not in str(await talk.lines())


@pytest.mark.sources("O15", "S12", "S23", "D-S9")
@pytest.mark.parametrize(
    ("scope", "key", "why"),
    [("galaxy", "k", "galaxy"), ("subject", "k", "subject"), ("conversation", "", "key")],
    ids=["unknown scope", "scope that is off", "no key"],
)
@in_virtual_time
async def test_state_that_a_run_may_not_write_is_warned_of_with_the_reason_and_the_run_goes_on(
    rooms: Rooms, scope: str, key: str, why: str
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield StateUpdate(scope, key, 1)
        yield Text("still here")
        yield completed()

    events = await (await talk_with(rooms, work)).say()
    (warning,) = [event for event in facts(events) if isinstance(event, RunnerWarning)]

    assert (said(events), end(events)) == ("still here", ("completed", ""))
    assert warning.code == "state_refused"
    assert why in warning.detail
    assert [event for event in facts(events) if isinstance(event, StateUpdated)] == []


@pytest.mark.sources("N12", "M13")
@in_virtual_time
async def test_message_of_text_and_files_reaches_the_agent_and_the_transcript_as_it_was_sent(
    rooms: Rooms,
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        names = [file.name for file in await run.files.infos()]
        (file_id,) = file_ids_of(run.message.content)
        yield Text(f"{run.message.text} {names} {(await run.files.read(file_id)).decode()}")
        yield completed()

    await rooms.up(agent(work))
    talk = await rooms.open()

    incoming = rooms.host.files.folders.receive(talk.session_id)
    for part in (b"leaves ", b"and water"):
        await rooms.there(incoming.write(part))
    upload = rooms.host.files.upload(ADA, talk.session_id, incoming, name="tea.txt")
    file_id = (await rooms.there(upload)).value.id
    content = (TextPart("What is this?"), FilePart(file_id))
    events = await talk.say(content)

    assert said(events) == "What is this? ['tea.txt'] leaves and water"
    assert [(role, told) for role, told, _ in await talk.lines()] == [
        ("user", content),
        ("assistant", said(events)),
    ]
    assert isinstance(facts(events)[-2], MessageCompleted)
    assert isinstance(facts(events)[-1], RunFinished)
