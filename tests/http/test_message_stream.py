"""The streaming POST: one message from its receipt to its outcome, and back again after a drop."""

from typing import Any

import pytest

from tenure.core.view import MessageInfo
from tenure.http.call import Options
from tests.http.world import Frame, Stream, World, a_world

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"


def post(world: World, session: str, text: str, **how: Any) -> Stream:
    """Begin a streaming POST."""
    return world.stream("POST", f"/v1/sessions/{session}/messages", {"content": text}, **how)


def same(key: str, last: int | None = None) -> dict[str, str]:
    """The headers of a repeated request."""
    return {"Idempotency-Key": key, **({} if last is None else {"Last-Event-ID": str(last)})}


async def test_a_message_streams_from_its_receipt_to_its_outcome(world: World) -> None:
    session = await world.session()

    stream = post(world, session, "SAY hello\nREASON why")
    frames = await stream.end()

    journal = await world.journal(session)
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["tenure-history"] == world.host.store.history
    assert frames == [
        Frame("receipt", None, frames[0].data),
        *(Frame(None, event["seq"], event) for event in journal[1:]),
        Frame("closed", None, {"reason": "settled"}),
    ]
    assert frames[0].data == {
        "message_id": journal[1]["data"]["message_id"],
        "run_id": journal[-1]["run_id"],
        "disposition": "started",
        "queue_position": 0,
        "seq": 2,
    }


@pytest.mark.parametrize("text", ["FAIL no ink", "CRASH", "VANISH", "SAY x\nFAIL y", "", "SEQ 0,1,1,x,5"])
async def test_a_run_that_ends_in_any_way_settles_its_stream(world: World, text: str) -> None:
    session = await world.session()

    frames = await post(world, session, text).end()

    assert frames[-1] == Frame("closed", None, {"reason": "settled"})
    assert frames[-2].data["type"] == "run.finished"


async def test_a_waiting_message_says_its_place_until_it_starts(world: World) -> None:
    session = await world.session()
    await world.say(session, LONG)
    first = post(world, session, "SAY first")
    await first.named("queued")
    second = post(world, session, "SAY second")
    await second.named("queued")

    await world.post(f"/v1/sessions/{session}/interrupt", {"waiting": "run"})

    told_first, told_second = await first.end(), await second.end()
    assert [f.data for f in told_first if f.event == "queued"] == [{"position": 1}]
    assert [f.data for f in told_second if f.event == "queued"] == [{"position": 2}, {"position": 1}]
    assert [f.event for f in told_second[:2]] == ["receipt", "queued"]


async def test_a_waiting_message_asks_for_its_place_only_when_it_can_have_moved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, asked = world.host.store, list[str]()
    message = store.message

    async def counted(session_id: str, message_id: str) -> MessageInfo | None:
        asked.append(message_id)
        return await message(session_id, message_id)

    monkeypatch.setattr(store, "message", counted)
    session = await world.session()
    await world.say(session, "SLOW 30 5")
    stream = post(world, session, "SAY mine")
    await stream.end()

    assert len(await world.journal(session)) > 30
    assert asked == []


async def test_a_queued_message_gets_its_own_events_and_no_others(world: World) -> None:
    session = await world.session()
    live = await world.say(session, LONG)
    stream = post(world, session, "SAY mine")
    await stream.named("queued")
    await world.say(session, "SAY another")
    await world.post(f"/v1/sessions/{session}/interrupt", {"waiting": "run"})

    frames = await stream.end()

    receipt = frames[0].data
    kinds = [event["type"] for event in stream.events]
    assert kinds == ["message.admitted", "run.started", "message.delta", "message.completed", "run.finished"]
    assert stream.events[0]["data"]["message_id"] == receipt["message_id"]
    runs = {event["run_id"] for event in stream.events[1:]}
    assert len(runs) == 1 and live["run_id"] not in runs
    assert stream.events[1]["data"]["trigger"] == {"kind": "message", "id": receipt["message_id"]}
    journal = {event["seq"]: event for event in await world.journal(session)}
    assert stream.events == [journal[seq] for seq in stream.ids]


async def test_a_withdrawn_message_ends_its_stream(world: World) -> None:
    session = await world.session()
    await world.say(session, LONG)
    stream = post(world, session, "SAY never")
    await stream.named("queued")

    await world.post(f"/v1/sessions/{session}/interrupt", {"waiting": "withdraw"})

    frames = await stream.end()
    assert [event["type"] for event in stream.events] == ["message.admitted", "message.withdrawn"]
    assert frames[-1] == Frame("closed", None, {"reason": "withdrawn"})


async def test_a_message_that_waits_for_a_slot_says_so(tmp_path: Any) -> None:
    async with a_world(tmp_path, live_runs=1) as world:
        busy, waiting = await world.session(), await world.session()
        await world.say(busy, LONG)

        stream = post(world, waiting, "SAY x")
        queued = await stream.named("queued")
        await world.post(f"/v1/sessions/{busy}/interrupt")
        frames = await stream.end()

        assert queued.data == {"position": 1}
        assert frames[0].data["disposition"] == "queued"
        assert frames[-1] == Frame("closed", None, {"reason": "settled"})
        assert [event["type"] for event in stream.events][-1] == "run.finished"


async def test_the_next_run_does_not_leak_into_a_stream(world: World) -> None:
    session = await world.session()
    one = post(world, session, "SLOW 3 10")
    await one.event("run.started")
    two = post(world, session, "SAY next")

    await one.end()
    await two.end()

    assert [e["type"] for e in one.events][-1] == "run.finished"
    assert max(one.ids) < max(two.ids)
    assert {e["run_id"] for e in one.events if e["run_id"]}.isdisjoint(
        {e["run_id"] for e in two.events if e["run_id"]}
    )


async def test_the_same_request_attaches_again_at_every_boundary(world: World) -> None:
    session = await world.session()
    first = post(world, session, "SAY one\nREASON why\nSAY two", headers=same("again"))
    whole = await first.end()

    for last in [None, *first.ids]:
        again = post(world, session, "SAY one\nREASON why\nSAY two", headers=same("again", last))
        frames = await again.end()
        assert again.headers["idempotency-replayed"] == "true"
        assert frames[0] == whole[0]
        assert again.events == [event for event in first.events if event["seq"] > (last or 0)]
        assert frames[-1] == Frame("closed", None, {"reason": "settled"})
    assert "idempotency-replayed" not in first.headers
    assert len(await world.journal(session)) == first.ids[-1]


async def test_a_drop_in_the_middle_of_a_run_loses_nothing(world: World) -> None:
    session = await world.session()
    seen: list[Any] = []
    text = "SLOW 40 5"
    while not seen or seen[-1]["type"] != "run.finished":
        last = seen[-1]["seq"] if seen else None
        stream = post(world, session, text, headers=same("again", last))
        await stream.until(lambda stream=stream: len(stream.events) >= 3 or stream.ended)
        await stream.leave()
        seen += stream.events

    assert seen == (await world.journal(session))[1:]


async def test_a_waiting_message_can_be_attached_to_again(world: World) -> None:
    session = await world.session()
    await world.say(session, LONG)
    first = post(world, session, "SAY x", headers=same("again"))
    await first.named("queued")
    await first.leave()

    again = post(world, session, "SAY x", headers=same("again", first.ids[-1]))
    queued = await again.named("queued")
    await world.post(f"/v1/sessions/{session}/interrupt", {"waiting": "run"})
    await again.end()

    assert queued.data == {"position": 1}
    assert (again.events[0]["type"], again.events[-1]["type"]) == ("run.started", "run.finished")


async def test_a_withdrawn_message_can_be_attached_to_again(world: World) -> None:
    session = await world.session()
    await world.say(session, LONG)
    first = post(world, session, "SAY x", headers=same("again"))
    await first.named("queued")
    await world.post(f"/v1/sessions/{session}/interrupt", {"waiting": "withdraw"})
    await first.end()

    again = post(world, session, "SAY x", headers=same("again", first.ids[-1]))

    assert [f.event for f in await again.end()] == ["receipt", "closed"]
    assert again.frames[-1].data == {"reason": "withdrawn"}


async def test_the_same_message_id_attaches_again_too(world: World) -> None:
    session = await world.session()
    body = {"content": "SAY x", "message_id": "msg_" + "a" * 32}
    path = f"/v1/sessions/{session}/messages"
    first = world.stream("POST", path, body)
    await first.end()

    again = world.stream("POST", path, body)

    assert await again.end() == first.frames


async def test_a_receipt_can_be_turned_into_a_stream(world: World) -> None:
    """The receipt came, the answer to it was lost: the same POST streams what it began."""
    session = await world.session()
    receipt = await world.say(session, "SLOW 5 10", headers=same("k"))

    stream = post(world, session, "SLOW 5 10", headers=same("k"))
    frames = await stream.end()

    assert frames[0].data == receipt
    assert stream.events == (await world.journal(session))[1:]


async def test_refusals_of_admission_are_plain_problems(world: World) -> None:
    session = await world.session()
    await world.say(session, LONG)
    path = f"/v1/sessions/{session}/messages"

    async def refused(body: dict[str, Any], **headers: str) -> tuple[int, str, str]:
        stream = await world.stream("POST", path, body, headers=headers).started()
        return stream.status, stream.headers["content-type"], stream.json["code"]

    problem = "application/problem+json"
    assert await refused({"content": "x", "when_busy": "reject"}) == (409, problem, "busy")
    assert await refused({"content": "x", "if_idle": True}) == (409, problem, "precondition_failed")
    assert await refused({"content": 7}) == (422, problem, "invalid")
    assert await refused({"content": "x"}, **{"Last-Event-ID": "x"}) == (400, problem, "bad_cursor")
    assert await refused({"content": "x"}, **{"Last-Event-ID": "9999"}) == (409, problem, "cursor_ahead")
    assert await refused({"content": "x"}, **{"Idempotency-Key": ""}) == (422, problem, "invalid")
    other = {"Last-Event-ID": "1", "Tenure-History": "his_other"}
    assert await refused({"content": "x"}, **other) == (409, problem, "history_changed")
    assert [e["type"] for e in await world.journal(session)].count("message.admitted") == 1
    assert world.host.fanout.streams == 0


async def test_a_reader_that_leaves_does_not_stop_the_run(world: World) -> None:
    session = await world.session()
    stream = post(world, session, "SLOW 30 5")
    started = await stream.event("run.started")

    await stream.leave()

    follow = world.follow(session)
    finished = await follow.event("run.finished")
    assert finished.data["run_id"] == started.data["run_id"]
    assert finished.data["data"]["status"] == "completed"


async def test_deleting_the_session_ends_the_stream(world: World) -> None:
    session = await world.session()
    stream = post(world, session, LONG)
    await stream.event("message.delta")

    await world.ask("DELETE", f"/v1/sessions/{session}")

    assert (await stream.end())[-1].event == "closed"


async def test_a_silent_run_sends_comments(world: World) -> None:
    world.serve(Options(heartbeat_s=0.02))
    session = await world.session()
    stream = post(world, session, "SLOW 100 300")

    await stream.until(lambda: stream.frames.count(Frame(comment=True)) >= 2)
    await world.post(f"/v1/sessions/{session}/interrupt")

    assert (await stream.end())[-1] == Frame("closed", None, {"reason": "settled"})


async def test_a_large_burst_streams_whole_and_in_order(world: World) -> None:
    session = await world.session()

    stream = post(world, session, "BURST 3000 60")
    await stream.end()

    assert stream.ids == list(range(2, stream.ids[-1] + 1))
    assert sum(event["type"] == "message.delta" for event in stream.events) == 3000
