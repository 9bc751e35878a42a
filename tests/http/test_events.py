"""The journal over HTTP: pages, single events, and streams that resume anywhere."""

from typing import Any

import pytest

from tenure.http.call import Options
from tests.http.world import Frame, World, a_world

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"
STORY = "SAY one\nREASON why\nBURST 3 40\nSAY two"


async def told(world: World) -> tuple[str, list[Any]]:
    """A session with some history, and its journal."""
    session = await world.session()
    return session, await world.spoken(session, STORY)


async def test_a_page_holds_the_events_and_the_head(world: World) -> None:
    session, journal = await told(world)

    page = await world.get(f"/v1/sessions/{session}/events")

    assert page == {"data": journal, "head_seq": len(journal)}
    assert [event["seq"] for event in journal] == list(range(1, len(journal) + 1))
    assert all(set(event) == {"seq", "at", "type", "run_id", "data"} for event in journal)


async def test_every_page_from_every_place_is_exact(world: World) -> None:
    session, journal = await told(world)
    head = len(journal)

    for after in range(head + 1):
        for limit in (1, 2, head, 1000):
            forwards = await world.get(f"/v1/sessions/{session}/events?after={after}&limit={limit}")
            backwards = await world.get(f"/v1/sessions/{session}/events?before={after + 1}&limit={limit}")
            assert forwards == {"data": journal[after : after + limit], "head_seq": head}
            assert backwards == {"data": journal[max(0, after - limit) : after], "head_seq": head}


async def test_the_last_event_id_wins_over_after(world: World) -> None:
    session, journal = await told(world)

    page = await world.get(f"/v1/sessions/{session}/events?after=1", headers={"Last-Event-ID": "4"})

    assert page["data"] == journal[4:]


@pytest.mark.parametrize("cursor", ["-1", "x", "1.5", " 1", "1e3", "٣", "0x1", "+1", "null"])
@pytest.mark.parametrize("way", ["after", "before", "header"])
async def test_a_cursor_that_is_no_place_is_refused(world: World, cursor: str, way: str) -> None:
    session = await world.session()
    path = f"/v1/sessions/{session}/events"
    header = way == "header" and cursor.isascii()

    response = await world.ask(
        "GET",
        path if header else f"{path}?{'after' if way == 'header' else way}={cursor.replace('+', '%2B')}",
        headers={"Last-Event-ID": cursor} if header else None,
    )

    assert response.status_code == 400
    answer = response.json()
    assert (answer["code"], answer["title"]) == ("bad_cursor", "The cursor is no place in a journal or list")
    assert answer["detail"].endswith(f"is {cursor!r}. Send the number of an event, or 0 for the start.")


@pytest.mark.parametrize("cursor", ["2", "1000000", "9" * 18, "9" * 30, "9" * 5000])
async def test_a_cursor_beyond_the_head_is_refused_with_the_head(world: World, cursor: str) -> None:
    session = await world.session()
    path = f"/v1/sessions/{session}/events?after={cursor}"

    page = await world.ask("GET", path)
    stream = await world.stream("GET", path).started()
    socket = await world.socket(session, f"?after={cursor}").denied()

    assert (page.status_code, stream.status, socket[0]) == (409, 409, 409)
    assert (page.json()["code"], page.json()["head_seq"]) == ("cursor_ahead", 1)
    assert (stream.json["code"], stream.json["head_seq"]) == ("cursor_ahead", 1)
    assert (socket[1]["code"], socket[1]["head_seq"]) == ("cursor_ahead", 1)


async def test_before_may_lie_anywhere_beyond_the_head(world: World) -> None:
    session, journal = await told(world)

    page = await world.get(f"/v1/sessions/{session}/events?before={'9' * 40}&limit=2")

    assert page["data"] == journal[-2:]


async def test_two_directions_at_once_are_refused(world: World) -> None:
    session = await world.session()
    path = f"/v1/sessions/{session}/events"

    both = await world.ask("GET", f"{path}?after=1&before=1")
    streamed = await world.stream("GET", f"{path}?before=1").started()

    assert [both.status_code, streamed.status] == [422, 422]
    assert [both.json()["field"], streamed.json["field"]] == ["before", "before"]


async def test_a_cursor_of_another_history_is_refused(world: World) -> None:
    session = await world.session()
    current = world.host.store.history
    path = f"/v1/sessions/{session}/events?after=1"

    answers = [
        await world.ask("GET", f"{path}&history=his_old"),
        await world.ask("GET", path, headers={"Tenure-History": "his_old"}),
    ]
    stream = await world.stream("GET", f"{path}&history=his_old").started()

    for answer in answers:
        assert answer.status_code == 409
        assert answer.json() == {
            "type": "/docs#history_changed",
            "title": "The cursor belongs to another history",
            "status": 409,
            "code": "history_changed",
            "detail": f"The cursor belongs to history his_old; this store is at {current}. "
            "Read the session again from the start.",
            "history": current,
        }
    assert stream.json == answers[0].json()
    assert (await world.ask("GET", f"{path}&history={current}")).status_code == 200
    assert (await world.ask("GET", path, headers={"Tenure-History": current})).status_code == 200


async def test_one_event_is_answered_by_its_number(world: World) -> None:
    session, journal = await told(world)

    events = [await world.get(f"/v1/sessions/{session}/events/{seq}") for seq in range(1, len(journal) + 1)]

    assert events == journal


@pytest.mark.parametrize(
    ("seq", "status"), [("0", 404), ("99", 404), ("9" * 30, 404), ("x", 400), ("-1", 400)]
)
async def test_an_event_that_is_not_there_is_not_found(world: World, seq: str, status: int) -> None:
    session = await world.session()

    response = await world.ask("GET", f"/v1/sessions/{session}/events/{seq}")

    assert response.status_code == status


async def test_a_stream_replays_then_says_that_it_is_up_to_date(world: World) -> None:
    session, journal = await told(world)

    stream = world.follow(session)
    await stream.named("up_to_date")

    assert stream.status == 200
    assert stream.headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-content-type-options": "nosniff",
        "tenure-history": world.host.store.history,
    }
    assert stream.frames == [
        *(Frame(None, event["seq"], event) for event in journal),
        Frame("up_to_date", None, {"head_seq": len(journal), "history": world.host.store.history}),
    ]


@pytest.mark.sources("P3", "A14", "D-N9")
async def test_a_stream_resumes_at_every_boundary(world: World) -> None:
    session, journal = await told(world)

    for after in range(len(journal) + 1):
        for stream in (
            world.follow(session, f"?after={after}"),
            world.follow(session, "?after=0", headers={"Last-Event-ID": str(after)}),
        ):
            await stream.named("up_to_date")
            assert stream.events == journal[after:]
            await stream.leave()


async def test_a_stream_cut_again_and_again_misses_and_repeats_nothing(world: World) -> None:
    session = await world.session()
    await world.say(session, "BURST 50 20\nSLOW 20 5\nBURST 50 20")
    seen: list[Any] = []
    while not seen or seen[-1]["type"] != "run.finished":
        stream = world.follow(session, f"?after={len(seen)}")
        await stream.until(lambda stream=stream: len(stream.events) > 0)
        await stream.leave()
        seen += stream.events

    assert seen == await world.journal(session)
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))


@pytest.mark.sources("D-M17")
async def test_live_events_follow_the_replay_in_order(world: World) -> None:
    session, journal = await told(world)
    stream = world.follow(session)
    await stream.named("up_to_date")

    after = await world.spoken(session, "BURST 20 30")

    await stream.until(lambda: len(stream.events) == len(after))
    assert stream.events == after
    assert after[: len(journal)] == journal
    names = [frame.event for frame in stream.frames if frame.event]
    assert names == ["up_to_date"]


async def test_what_one_commit_brought_is_one_write(world: World) -> None:
    session = await world.session()
    stream = world.follow(session, "?after=1")
    await stream.named("up_to_date")
    before = len(stream.writes)

    await world.say(session, "BURST 500 30")
    await stream.event("run.finished")

    events = len(stream.events)
    assert events >= 503
    assert len(stream.writes) - before < events / 5


async def test_a_following_page_continues_a_read_exactly(world: World) -> None:
    session, _ = await told(world)
    page = await world.get(f"/v1/sessions/{session}/messages")
    stream = world.follow(session, f"?after={page['as_of_seq']}")
    await stream.named("up_to_date")

    journal = await world.spoken(session, "SAY more")

    await stream.until(lambda: stream.ids[-1:] == [len(journal)])
    assert stream.events == journal[page["as_of_seq"] :]


async def test_a_silent_stream_sends_comments(world: World) -> None:
    world.serve(Options(heartbeat_s=0.02))
    session = await world.session()

    stream = world.follow(session)
    await stream.until(lambda: stream.frames.count(Frame(comment=True)) >= 3)

    assert [frame for frame in stream.frames if not frame.comment][-1].event == "up_to_date"


async def test_a_reader_that_leaves_is_noticed_and_stops_nothing(world: World) -> None:
    session = await world.session()
    receipt = await world.say(session, LONG)
    stream = world.follow(session)
    await stream.event("run.started")
    assert world.host.fanout.streams == 1

    await stream.leave()

    assert world.host.fanout.streams == 0
    assert (await world.get(f"/v1/runs/{receipt['run_id']}"))["status"] == "running"


async def test_a_revoked_key_ends_its_streams_and_no_others(world: World) -> None:
    world.serve(Options(recheck_s=0.02))
    session = await world.session()
    made = await world.post("/v1/keys", {"user": "x", "role": "operator"})
    revoked, kept = world.follow(session, key=made["key"]), world.follow(session)
    wire = world.socket(session, key=made["key"])
    await revoked.named("up_to_date")
    await kept.named("up_to_date")
    await wire.control("up_to_date")

    await world.ask("DELETE", f"/v1/keys/{made['id']}")

    assert (await revoked.end())[-1] == Frame("closed", None, {"reason": "revoked"})
    assert (await wire.closed())["code"] == 4401
    await world.spoken(session, "SAY still here")
    await kept.event("run.finished")
    assert not kept.ended


async def test_deleting_a_session_ends_its_streams_after_the_last_event(world: World) -> None:
    session = await world.session()
    stream = world.follow(session)
    await stream.named("up_to_date")

    await world.ask("DELETE", f"/v1/sessions/{session}")

    frames = await stream.end()
    assert frames[-1] == Frame("closed", None, {"reason": "deleted"})
    assert frames[-2].data["type"] == "session.deleted"


async def test_a_closed_sessions_stream_stays_open(world: World) -> None:
    session = await world.session()
    stream = world.follow(session)
    await stream.named("up_to_date")

    await world.post(f"/v1/sessions/{session}/close")
    await stream.event("session.closed")
    await world.post(f"/v1/sessions/{session}/reopen")
    await stream.event("session.reopened")

    assert not stream.ended


async def test_too_many_streams_of_one_user_are_refused(tmp_path: Any) -> None:
    async with a_world(tmp_path, streams_per_user=2) as world:
        ann, bob = await world.key("member", "ann"), await world.key("operator", "bob")
        session = await world.session(key=ann)
        stream, wire = world.follow(session, key=ann), world.socket(session, key=ann)
        await stream.named("up_to_date")
        await wire.control("up_to_date")
        head = await world.host.store.head(session)

        third = await world.follow(session, key=ann).started()
        posted = await world.stream(
            "POST", f"/v1/sessions/{session}/messages", {"content": "SAY x"}, key=ann
        ).started()
        denied = await world.socket(session, key=ann).denied()
        other = await world.follow(session, key=bob).started()

        assert (third.status, posted.status, denied[0], other.status) == (429, 429, 429, 200)
        assert third.json == {
            "type": "/docs#capacity",
            "title": "A limit is reached",
            "status": 429,
            "code": "capacity",
            "detail": "The limit of 2 open streams (per user) is reached: 2 are in use. "
            "Close one that isn't needed.",
            "scope": "per_user",
            "limit": 2,
            "current": 2,
        }
        assert await world.host.store.head(session) == head
        await stream.leave()
        assert (await world.follow(session, key=ann).started()).status == 200
