"""Steps of the smoke test: runs, their streams, stops and outcomes, and a server that dies."""

import time

from tenure.cli.scene import Scene, ends, expect, expect_status, journal, said_in, words
from tenure.client import JournalEvent
from tenure.core.content import text_of
from tenure.core.event import ReasoningCompleted, RunRetried
from tenure.core.run import RunState
from tenure.errors import Code, TenureError

AGENT = "scripted"


def opens_a_session(scene: Scene) -> str:
    """Open a session."""
    names = [agent.name for agent in scene.client.agents()]
    expect("the agents", AGENT in names, names)
    return f"{scene.session.id} with {AGENT}, among {', '.join(names)}"


def streams_an_answer(scene: Scene) -> str:
    """Say something, and follow the answer."""
    events = list(scene.client.say(scene.session.id, "REASON first I think\nSAY hello\nSLOW 10 20"))
    said = said_in(events)
    expect("the answer", said == "hello" + words(10), said)
    expect("the reasoning", any(isinstance(e.event, ReasoningCompleted) for e in events), events)
    expect_status(events, RunState.COMPLETED)
    return f"{len(events)} events, {said!r}"


def resumes_at_a_cursor(scene: Scene) -> str:
    """Reconnect from a cursor."""
    whole = journal(scene)
    middle = len(whole) // 2
    rest = journal(scene, middle)
    expect("the rest", rest == whole[middle:], [event.seq for event in rest])
    return f"after event {middle} came {rest[0].seq} to {rest[-1].seq}, none missing, none twice"


def survives_a_dropped_stream(scene: Scene) -> str:
    """Leave a stream in the middle of a run, and come back."""
    first: list[JournalEvent] = []
    stream = scene.client.say(scene.session.id, "SLOW 20 30")
    for event in stream:
        first.append(event)
        if event.type == "message.delta":
            break
    stream.close()
    rest = journal(scene, first[-1].seq)
    said = said_in(rest)
    expect("the answer", said == words(20), said)
    expect_status(rest, RunState.COMPLETED)
    return f"left at event {first[-1].seq}, the run went on to {rest[-1].seq}"


def stops_a_run(scene: Scene) -> str:
    """Stop a run; what waits behind it is held."""
    run = scene.client.send(scene.session.id, "SLOW 1000 50")
    later = scene.client.send(scene.session.id, "SAY later")
    expect("the place in line", later.queue_position == 1, later)
    began = time.monotonic()
    scene.client.interrupt(scene.session.id, run_id=run.run_id)
    events = journal(scene, run.seq - 1)
    took = time.monotonic() - began
    expect_status(events, RunState.CANCELLED)
    held = scene.client.transcript(scene.session.id)
    expect("the queue", held.queue_held and len(held.waiting) == 1, held.waiting)
    return f"cancelled after {took:.2f} s, one message held"


def goes_on_with_what_waits(scene: Scene) -> str:
    """Send again; first what waited is answered, then this."""
    events = list(scene.client.say(scene.session.id, "SAY and now"))
    expect_status(events, RunState.COMPLETED)
    answers = [text_of(item.content) for item in scene.client.transcript(scene.session.id).data]
    expect("the order", answers[-3:] == ["later", "SAY and now", "and now"], answers)
    return "first in, first out"


def reports_a_failure(scene: Scene) -> str:
    """Let a run fail."""
    events = list(scene.client.say(scene.session.id, "SAY so far\nFAIL as planned"))
    finished = expect_status(events, RunState.FAILED)
    expect("the reason", finished.reason == "as planned", finished)
    return f"failed: {finished.reason}; what was said stays: {said_in(events)!r}"


def refuses_what_is_wrong(scene: Scene) -> str:
    """Ask for what isn't there."""
    refusals: list[Code] = []
    for wrong in (
        lambda: scene.client.open_session("nobody"),
        lambda: scene.client.session("ses_" + "0" * 32),
        lambda: scene.client.interrupt(scene.session.id),
    ):
        try:
            wrong()
        except TenureError as refused:
            refusals.append(refused.code)
    wanted = [Code.UNKNOWN_AGENT, Code.NOT_FOUND, Code.NOT_RUNNING]
    expect("the refusals", refusals == wanted, refusals)
    return ", ".join(refusals)


def survives_a_crash(scene: Scene) -> str:
    """Kill the server in the middle of a run, and start it again."""
    before = journal(scene)
    receipt = scene.client.send(scene.session.id, "SLOW 20 50", idempotency_key="crash")
    stream = scene.client.follow(scene.session.id, receipt.seq - 1, until=ends)
    seen = [next(stream) for _ in range(5)]
    scene.server.kill()
    scene.server.start()
    again = scene.client.send(scene.session.id, "SLOW 20 50", idempotency_key="crash")
    seen += list(stream)
    expect("the receipt", again == receipt, again)
    after = journal(scene)
    expect("what was there before", after[: len(before)] == before, len(after))
    expect("what was streamed", after[receipt.seq - 1 :] == seen, len(seen))
    retried = [e.event for e in after[receipt.seq :] if isinstance(e.event, RunRetried)]
    expect_status(after, RunState.COMPLETED)
    expect("the answer", said_in(after[-3:]) == words(20), said_in(after[-3:]))
    return f"nothing lost, the run was taken up as attempt {retried[0].attempt if retried else 1}"


def stops_in_good_order(scene: Scene) -> str:
    """Stop the server and start it again; everything is still there."""
    before = journal(scene)
    began = time.monotonic()
    code = scene.server.stop()
    took = time.monotonic() - began
    expect("the exit code", code == 0, code)
    scene.server.start()
    expect("the journal", journal(scene) == before, len(before))
    return f"ended with 0 after {took:.1f} s, {len(before)} events as before"
