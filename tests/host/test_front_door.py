"""The front door: what a run is told of its event, and that an event counts once, whatever happens."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator

import msgspec
import pytest

import tenure
from tenure.core.artifact import Attachment
from tenure.core.binding import Binding, BindingScope, DeliveryPolicy, ScopeType
from tenure.core.content import FilePart
from tenure.core.envelope import EventActor, EventDelivery, EventEnvelope, EventInput, EventReceipt
from tenure.core.event import ArtifactCreated, MessageAdmitted, MessageDelta, RunStarted
from tenure.core.message import BusyPolicy
from tenure.core.origin import Delivery, Origin, Party
from tenure.core.output import Output, Text, completed
from tenure.core.principal import Principal
from tenure.core.principal import Role as Rights
from tenure.host.catalogue import Agent
from tenure.ports.acts import Answer
from tenure.ports.runner import RunContext
from tenure.ports.store import Block
from tenure.runners.inprocess import InProcessRunner
from tests.host.rooms import ROOT, UNHURRIED, Rooms, Talk, agent, in_virtual_time, said

GATEWAY = Principal(tenant="acme", user="gateway", role=Rights.OPERATOR, key_id="key_gateway")
ANN, BOB = EventActor(id="7", name="Ann"), EventActor(id="8", name="Bob")


def binding(when_busy: BusyPolicy = BusyPolicy.QUEUE, delivery: DeliveryPolicy | None = None) -> Binding:
    """Everything of acme goes to the agent of the test."""
    return Binding(
        id="all",
        tenant="acme",
        agent="agent",
        scope=BindingScope(type=ScopeType.GLOBAL),
        event_types=("*",),
        when_busy=when_busy,
        delivery=delivery or DeliveryPolicy(),
    )


def event(
    text: str = "hi", event_id: str = "e1", actor: EventActor | None = ANN, *files: Attachment
) -> EventEnvelope:
    """Somebody says something in the conversation c."""
    said = EventInput(text=text, attachments=files)
    return EventEnvelope(event_id=event_id, conversation_id="c", actor=actor, input=said)


async def up(rooms: Rooms, hosted: Agent, bound: Binding | None = None) -> None:
    """A host with one agent that takes all events; the gateway has a key."""
    rooms.bindings = (bound or binding(),)
    await rooms.up(hosted)
    await rooms.give_key(GATEWAY)


async def post(rooms: Rooms, wish: EventEnvelope) -> Answer[EventReceipt]:
    """Post an event."""
    return await rooms.there(rooms.host.front_door.receive(GATEWAY, wish, None))


def talk_of(rooms: Rooms, answer: Answer[EventReceipt]) -> Talk:
    """The session that an event went to."""
    return Talk(rooms, GATEWAY, answer.value.session_id)


async def quick(run: RunContext) -> AsyncIterator[Output]:
    """Says what it was told."""
    yield Text(f"heard {run.message.text}")
    yield completed()


@pytest.mark.sources("O04")
@in_virtual_time
async def test_run_is_told_the_event_and_how_its_answer_may_be_delivered(rooms: Rooms) -> None:
    seen: list[Origin] = []

    async def looker(run: RunContext) -> AsyncIterator[Output]:
        seen.append(run.origin)
        yield completed()

    policy = DeliveryPolicy(enable_streaming=False, max_message_size=100)
    await up(rooms, agent(looker), binding(delivery=policy))
    wish = EventEnvelope(
        event_id="e1",
        event_type="group.member_joined",
        source="platform",
        bot_id="tg-1",
        workspace_id="w",
        conversation_id="c",
        thread_id="t",
        actor=ANN,
        delivery=EventDelivery(surface="chat", supports_streaming=True, max_message_size=4_096),
        data={"by": "8"},
    )

    answer = await post(rooms, wish)
    await talk_of(rooms, answer).answer(answer.value)

    assert seen == [
        Origin(
            trigger="event",
            event_id="e1",
            event_type="group.member_joined",
            source="platform",
            binding_id="all",
            bot_id="tg-1",
            workspace_id="w",
            conversation_id="c",
            thread_id="t",
            actor=Party(type="user", id="7", name="Ann"),
            delivery=Delivery(surface="chat", max_message_size=100),
            data={"by": "8"},
        )
    ]


@pytest.mark.sources("O30")
@in_virtual_time
async def test_steering_carries_the_event_that_it_was_made_of(rooms: Rooms) -> None:
    @tenure.agent("agent", steering=True)
    async def listener(run: tenure.Run) -> AsyncIterator[str]:
        yield "ready "
        await run.steering.wait()
        for note in await run.steering.take():
            yield f"{note.origin.event_id} of {note.origin.actor and note.origin.actor.name}: {note.text}"

    hosted = Agent(name="agent", runner=InProcessRunner(listener), policy=UNHURRIED)
    await up(rooms, hosted, binding(BusyPolicy.STEER))
    first = await post(rooms, event())
    await talk_of(rooms, first).until(MessageDelta)

    second = await post(rooms, event("turn left", "e2", BOB))

    events = await talk_of(rooms, first).answer(first.value)
    assert (second.value.disposition, second.value.run_id) == ("steered", first.value.run_id)
    assert said(events) == "ready e2 of Bob: turn left"


async def slow(run: RunContext) -> AsyncIterator[Output]:
    """Works for ten seconds."""
    await asyncio.sleep(10)
    yield completed()


@in_virtual_time
async def test_messages_of_different_people_never_join(rooms: Rooms) -> None:
    await up(rooms, agent(slow), binding(BusyPolicy.MERGE))
    running = await post(rooms, event())
    anns = await post(rooms, event("one", "e2", ANN))
    joined = await post(rooms, event("two", "e3", ANN))
    bobs = await post(rooms, event("three", "e4", BOB))
    renamed = msgspec.structs.replace(ANN, name="Anna", metadata={"seen": "today"})
    again = await post(rooms, event("four", "e5", renamed))
    more = await post(rooms, event("five", "e6", ANN))

    dispositions = [a.value.disposition for a in (running, anns, joined, bobs, again, more)]
    assert dispositions == ["started", "queued", "merged", "queued", "queued", "merged"]
    assert (joined.value.into, more.value.into) == (anns.value.message_id, again.value.message_id)


@pytest.mark.sources("D-S3")
@pytest.mark.parametrize("policy", [BusyPolicy.MERGE, BusyPolicy.LATEST])
@in_virtual_time
async def test_messages_of_unidentified_people_are_of_different_people(
    rooms: Rooms, policy: BusyPolicy
) -> None:
    await up(rooms, agent(slow), binding(policy))
    running = await post(rooms, event())
    waiting = [await post(rooms, event(str(n), f"nobody {n}", None)) for n in range(3)]

    page = await rooms.host.store.transcript(running.value.session_id, None, 10)

    assert [a.value.disposition for a in waiting] == ["queued"] * 3
    assert [item.message_id for item in page.waiting] == [a.value.message_id for a in waiting]


@in_virtual_time
async def test_event_is_admitted_although_whoever_posted_it_is_gone(rooms: Rooms) -> None:
    await up(rooms, agent(quick))
    rooms.lane.delay = 1.0

    posting = rooms.loop.spawn(rooms.life.node, rooms.host.front_door.receive(GATEWAY, event(), None))
    await asyncio.sleep(0.5)
    posting.cancel()
    await asyncio.wait([posting])
    again = await post(rooms, event())

    assert again.replayed
    assert said(await talk_of(rooms, again).answer(again.value)) == "heard hi"


def _brings_a_file(block: Block) -> bool:
    return any(isinstance(entry.event, ArtifactCreated) for entry in block.entries)


@pytest.mark.sources("O25", "D-O13")
@in_virtual_time
async def test_event_cut_off_between_its_files_and_its_message_is_completed_by_a_repeat(rooms: Rooms) -> None:
    note = Attachment(name="a.txt", content=base64.b64encode(b"bytes").decode())
    await up(rooms, agent(quick))
    rooms.lane.delay = 1.0
    filed = asyncio.Event()
    rooms.lane.on_commit(lambda block: filed.set() if _brings_a_file(block) else None)
    first = rooms.host.front_door.receive(GATEWAY, event("hi", "e1", ANN, note), None)
    rooms.loop.spawn(rooms.life.node, first)
    async with asyncio.timeout(60):
        await filed.wait()
    rooms.crash()
    await rooms.up(agent(quick))

    answer = await post(rooms, event("hi", "e1", ANN, note))

    talk = talk_of(rooms, answer)
    await talk.answer(answer.value)
    journal = [recorded.event for recorded in await talk.journal()]
    (file,) = [e for e in journal if isinstance(e, ArtifactCreated)]
    (admitted,) = [e for e in journal if isinstance(e, MessageAdmitted)]
    assert [type(e) for e in journal].count(RunStarted) == 1
    assert admitted.content[1] == FilePart(file.artifact_id)
    assert not answer.replayed
    assert (await rooms.host.store.figures()).sessions == 1


@in_virtual_time
async def test_event_acknowledged_before_a_crash_is_known_after_it(rooms: Rooms) -> None:
    await up(rooms, agent(quick))
    first = await post(rooms, event())
    rooms.crash()
    await rooms.up(agent(quick))

    again = await post(rooms, event())

    talk = talk_of(rooms, again)
    await talk.answer(again.value)
    kinds = [type(recorded.event) for recorded in await talk.journal()]
    assert again == Answer(first.value, replayed=True)
    assert (kinds.count(MessageAdmitted), kinds.count(RunStarted)) == (1, 1)


@in_virtual_time
async def test_event_is_known_after_its_binding_is_gone(rooms: Rooms) -> None:
    await up(rooms, agent(quick))
    first = await post(rooms, event())
    rooms.crash()
    rooms.bindings = ()
    await rooms.up(agent(quick))

    again = await post(rooms, event())
    with pytest.raises(tenure.TenureError) as refused:
        await post(rooms, event("other", "e2"))

    assert again == Answer(first.value, replayed=True)
    assert refused.value.code == "no_binding"


@pytest.mark.sources("P8")
@in_virtual_time
async def test_authority_that_the_gateway_lost_is_not_given_to_what_waited(rooms: Rooms) -> None:
    await up(rooms, agent(slow))
    first = await post(rooms, event())
    second = await post(rooms, event("later", "e2"))
    keys = (await rooms.host.store.keys("acme", None, 100)).data
    (key,) = [key for key in keys if key.user == "gateway"]
    await rooms.there(rooms.host.commands.revoke_key(ROOT, key.id))

    talk = talk_of(rooms, first)
    await talk.answer(first.value)

    info = await rooms.host.store.message(talk.session_id, second.value.message_id)
    assert info is not None
    assert info.status == "withdrawn"


async def _deliver(rooms: Rooms, wish: EventEnvelope, told: dict[str, EventReceipt]) -> None:
    """What a platform does that isn't sure whether an event has arrived."""
    answer = await rooms.host.front_door.receive(GATEWAY, wish, None)
    known = told.setdefault(wish.event_id, answer.value)
    assert known == answer.value


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.sources("D-O13")
@in_virtual_time
async def test_every_event_counts_once_whenever_the_host_dies(rooms: Rooms, seed: int) -> None:
    draw = random.Random(seed)
    told: dict[str, EventReceipt] = {}
    note = Attachment(name="a.txt", content=base64.b64encode(b"bytes").decode())
    wishes = [
        EventEnvelope(
            event_id=f"e{n}",
            conversation_id=f"c{n % 3}",
            actor=ANN,
            input=EventInput(text=f"number {n}", attachments=(note,) if n % 4 == 0 else ()),
        )
        for n in range(12)
    ]
    await up(rooms, agent(quick))
    for _ in range(4):
        rooms.lane.delay = draw.choice((0.0, 0.05, 0.2))
        for wish in draw.sample(wishes, k=8):
            rooms.loop.spawn(rooms.life.node, _deliver(rooms, wish, told))
            await asyncio.sleep(draw.choice((0.0, 0.01, 0.1)))
        rooms.crash()
        await rooms.up(agent(quick))

    for wish in wishes:
        await rooms.there(_deliver(rooms, wish, told))

    sessions = sorted({receipt.session_id for receipt in told.values()})
    for receipt in told.values():
        await Talk(rooms, GATEWAY, receipt.session_id).answer(receipt)
    journals = [await Talk(rooms, GATEWAY, session_id).journal() for session_id in sessions]
    admitted = [e.event for journal in journals for e in journal if isinstance(e.event, MessageAdmitted)]
    files = [e.event for journal in journals for e in journal if isinstance(e.event, ArtifactCreated)]
    assert len(sessions) == (await rooms.host.store.figures()).sessions == 3
    assert sorted(e.message_id for e in admitted) == sorted(r.message_id for r in told.values())
    assert len(files) == 3
