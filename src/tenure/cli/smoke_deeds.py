"""Steps of the smoke test: what people do in a session beside talking, and what comes from outside."""

import hashlib

from tenure.cli.scene import Scene, ends, expect, expect_status, followed, said_in, words
from tenure.client import JournalEvent
from tenure.core.content import text_of
from tenure.core.envelope import EventActor, EventEnvelope, EventInput
from tenure.core.event import (
    ApprovalRequested,
    MessageDelta,
    RunWaiting,
    SteeringConsumed,
    ToolCallCompleted,
)
from tenure.core.run import RunState
from tenure.core.view import ApprovalInfo
from tenure.errors import Code, TenureError

AGENT = "scripted"
GUIDE = "concierge"
BINDING = {"id": "smoke", "agent": AGENT, "scope": {"type": "bot", "id": "smoke-bot"}}


def steers_a_run(scene: Scene) -> str:
    """Say something to a run while it speaks."""
    session = scene.client.open_session(AGENT).id
    receipt = scene.client.send(session, "SLOW 20 50")
    followed(scene, session, receipt.seq, lambda event: isinstance(event.event, MessageDelta))
    steering = scene.client.steer(session, "and quickly")
    events = followed(scene, session, receipt.seq, ends)
    expect_status(events, RunState.COMPLETED)
    taken = [e.event.message_ids for e in events if isinstance(e.event, SteeringConsumed)]
    expect("what was taken up", taken == [(steering.message_id,)], taken)
    expect("what it made of it", "steered: and quickly" in said_in(events), said_in(events))
    return "taken up once, in the middle of the answer"


def approves_an_edited_call(scene: Scene) -> str:
    """Approve a call of the concierge, with another number of people."""
    session = scene.client.open_session(GUIDE).id
    receipt = scene.client.send(session, "Book a table for 4 at the Old Mill tomorrow at 19:30")
    asked = question(scene, session, receipt.seq)
    expect("what is to be approved", asked.arguments["people"] == 4, asked)
    scene.client.approve(asked.id, arguments={**asked.arguments, "people": 6})
    events = followed(scene, session, receipt.seq, ends)
    expect_status(events, RunState.COMPLETED)
    done = [e.event.status for e in events if isinstance(e.event, ToolCallCompleted)]
    expect("what was done", done == ["ok"] and "a table for 6" in said_in(events), said_in(events))
    return "asked for 4, approved for 6, booked for 6"


def undoes_and_redoes(scene: Scene) -> str:
    """Take the last turn off, and put it back."""
    client, session = scene.client, scene.client.open_session(AGENT).id
    for text in ("SAY one", "SAY two"):
        expect_status(list(client.say(session, text)), RunState.COMPLETED)
    whole = contents(scene, session)
    preview = client.undo(session, dry_run=True)
    expect("the preview", contents(scene, session) == whole, preview)
    client.undo(session)
    undone = contents(scene, session)
    expect("what stands after it", undone == whole[:2], undone)
    client.redo(session)
    redone = contents(scene, session)
    expect("what is back", redone == whole, redone)
    return f"{len(preview.message_ids)} messages went, and came back"


def forks(scene: Scene) -> str:
    """Branch off, and go on in both."""
    client, session = scene.client, scene.client.open_session(AGENT).id
    expect_status(list(client.say(session, "SAY together")), RunState.COMPLETED)
    child = client.fork(session)
    expect_status(list(client.say(session, "SAY here")), RunState.COMPLETED)
    expect_status(list(client.say(child.id, "SAY there")), RunState.COMPLETED)
    said = (contents(scene, session)[1::2], contents(scene, child.id)[1::2])
    expect("what stands in each", said == (["together", "here"], ["together", "there"]), said)
    return f"{child.id} shares {child.head_seq - 1} events and goes its own way"


def keeps_state(scene: Scene) -> str:
    """Keep a value; who changes it must know its version."""
    client, session = scene.client, scene.client.open_session(AGENT).id
    first = client.set_state(session, "conversation", "colour", "teal", if_version=0)
    client.set_state(session, "conversation", "colour", "brass", if_version=first.version)
    try:
        client.set_state(session, "conversation", "colour", "ink", if_version=first.version)
    except TenureError as refused:
        expect("the refusal", refused.code is Code.STALE, refused.code)
    else:
        expect("the late writer", False, "no refusal")
    answer = said_in(list(client.say(session, "GET conversation colour")))
    expect("what the agent reads", answer == '"brass"', answer)
    return "the late writer was refused, and the agent reads what holds"


def exchanges_a_file(scene: Scene) -> str:
    """Upload a file and download it."""
    client, session = scene.client, scene.client.open_session(AGENT).id
    data = bytes(range(256)) * 256
    info = client.upload_file(session, "../report.bin", data)
    back = client.download_file(session, info.id)
    expect("the bytes", back == data and info.sha256 == hashlib.sha256(data).hexdigest(), info)
    expect("the name", "/" not in info.name, info.name)
    return f"{info.size} bytes as {info.name!r}, the same in both directions"


def takes_an_event_once(scene: Scene) -> str:
    """Post an event of an outside platform twice."""
    event = EventEnvelope(
        event_id=f"smoke-{scene.session.id}",
        source="smoke",
        bot_id="smoke-bot",
        conversation_id="room-7",
        actor=EventActor(id="4711", name="Ann"),
        input=EventInput(text="SAY from outside"),
    )
    receipt = scene.client.post_event(event)
    again = scene.client.post_event(event)
    expect("the receipt", again == receipt, again)
    events = followed(scene, receipt.session_id, receipt.seq - 1, ends)
    expect("the answer", said_in(events) == "from outside", said_in(events))
    return f"one message in {receipt.session_id}, one receipt"


def finds_what_was_said(scene: Scene) -> str:
    """Search for a word."""
    word = f"quince{scene.session.id[-8:]}"
    session = scene.client.open_session(AGENT).id
    expect_status(list(scene.client.say(session, f"SAY {word}")), RunState.COMPLETED)
    found = [info.id for info in scene.client.sessions(search=word)]
    expect("the sessions", found == [session], found)
    return f"one session has {word!r}"


def answers_after_a_crash(scene: Scene) -> str:
    """Kill the server while an approval waits, and answer after its restart."""
    session = scene.client.open_session(AGENT).id
    receipt = scene.client.send(session, "SLOW 3 10\nASK still there?")
    asked = question(scene, session, receipt.seq)
    scene.server.kill()
    scene.server.start()
    scene.client.approve(asked.id)
    events = followed(scene, session, receipt.seq, ends)
    expect_status(events, RunState.COMPLETED)
    asked_for = [e for e in events if isinstance(e.event, ApprovalRequested)]
    expect("the question", len(asked_for) == 1, asked_for)
    answer = contents(scene, session)[1:]
    expect("the answer", answer == [words(3), "approved: still there?"], answer)
    return "asked once, answered once, done once"


def question(scene: Scene, session: str, after: int) -> ApprovalInfo:
    """The call that waits for a person, once it does."""
    followed(scene, session, after, waits)
    return next(iter(scene.client.approvals(session_id=session)))


def waits(event: JournalEvent) -> bool:
    """Whether a run waits for a person from here on."""
    return isinstance(event.event, RunWaiting)


def contents(scene: Scene, session: str) -> list[str]:
    """What the transcript says."""
    return [text_of(item.content) for item in scene.client.transcript(session).data]
