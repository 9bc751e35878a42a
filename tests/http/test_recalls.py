"""What clients see of recalls: the same frames as of any run, in the session that it happens in."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.http.scheduled import made, refused, told
from tests.http.world import World

pytestmark = pytest.mark.anyio


@pytest.mark.sources("N17", "N19", "D-N4", "D-N14")
async def test_every_watcher_sees_a_recall_fire_and_run_like_any_other_message(world: World) -> None:
    session = await world.session()
    stream, wire = world.follow(session), world.socket(session)

    info = await made(world, {"session_id": session, "in_s": 0.05, "message": "SAY hello"})
    await stream.event("run.finished")
    await wire.event("run.finished")

    occurrence = f"{info['id']}@{info['next_at']}"
    fact = {"schedule_id": info["id"], "occurrence": occurrence, "due_at": info["next_at"]}
    events = await world.journal(session)
    seen = {event["type"]: event["data"] for event in events}
    assert seen["recall.fired"] == fact
    message = seen["message.admitted"]["message_id"]
    assert seen["message.admitted"]["occurrence"] == occurrence
    assert "reminder" not in seen["message.admitted"]
    assert seen["run.started"]["trigger"] == {"kind": "recall", "id": info["id"], "message_id": message}
    assert [event["type"] for event in events].count("recall.fired") == 1
    assert stream.events[: len(events)] == events == wire.events[: len(events)]
    last = (await world.get(f"/v1/schedules/{info['id']}"))["last"]
    run = next(event["run_id"] for event in events if event["type"] == "run.started")
    assert {k: last[k] for k in ("id", "state", "reason", "run_id", "outcome")} == {
        "id": occurrence,
        "state": "admitted",
        "reason": None,
        "run_id": run,
        "outcome": "completed",
    }


async def test_the_stream_of_a_message_shows_nothing_of_the_recall_that_waits_behind_it(world: World) -> None:
    session = await world.session()
    path = f"/v1/sessions/{session}/messages"
    stream = world.stream("POST", path, {"content": "SLOW 20 20"})
    own = (await stream.event("run.started")).data["run_id"]
    info = await made(world, {"session_id": session, "every_s": 600, "message": "SAY recalled"})

    waiting = await world.post(f"/v1/schedules/{info['id']}/trigger")
    frames = await stream.end()

    assert [frame.event for frame in frames if frame.id is None] == ["receipt", "closed"]
    assert {event["run_id"] for event in stream.events if event["type"].startswith("run.")} == {own}
    assert not [event for event in stream.events if event["type"].startswith("recall.")]
    await world.follow(session).frame(
        lambda frame: bool(frame.id) and frame.data["type"] == "run.finished" and frame.data["run_id"] != own
    )
    kinds = [event["type"] for event in await world.journal(session)]
    assert (kinds.count("recall.fired"), kinds.count("recall.deferred")) == (1, 1)
    occurrence = (await world.get(f"/v1/schedules/{info['id']}"))["last"]
    assert (occurrence["id"], occurrence["outcome"]) == (waiting["id"], "completed")


async def test_the_stream_of_a_message_behind_a_recall_waits_for_its_own_run(world: World) -> None:
    session = await world.session()
    info = await made(world, {"session_id": session, "every_s": 600, "message": "SLOW 20 20"})
    await world.post(f"/v1/schedules/{info['id']}/trigger")
    await world.follow(session).event("run.started")
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": "SAY mine"})

    frames = await stream.end()

    message = next(frame.data["message_id"] for frame in frames if frame.event == "receipt")
    (started,) = [event for event in stream.events if event["type"] == "run.started"]
    assert started["data"]["trigger"] == {"kind": "message", "id": message}
    assert [event["run_id"] for event in stream.events if event["type"] == "run.finished"] == [
        started["run_id"]
    ]


async def test_a_request_that_is_repeated_after_its_instant_has_come_makes_nothing_new(world: World) -> None:
    session = await world.session()
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    ask = {"session_id": session, "message": "SAY x", "at": soon.isoformat()}
    headers = {"Idempotency-Key": "k"}
    first = await world.ask("POST", "/v1/schedules", ask, headers=headers)
    await world.follow(session).event("run.finished")

    again = await world.ask("POST", "/v1/schedules", ask, headers=headers)
    anew = await world.ask("POST", "/v1/schedules", ask)

    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert (anew.status_code, anew.json()["field"]) == (422, "at")


async def test_a_schedule_for_an_agent_opens_a_session_that_is_found_by_its_label(world: World) -> None:
    ann = await world.key("member", "ann", "acme")
    info = await made(world, {"every_s": 600, "name": "report"}, key=ann)
    fired = [await world.post(f"/v1/schedules/{info['id']}/trigger", key=ann) for _ in range(2)]

    page = await world.get(f"/v1/sessions?label=schedule:{info['id']}", key=ann)

    assert {found["id"] for found in page["data"]} == {each["session_id"] for each in fired}
    assert {(found["title"], found["owner"]) for found in page["data"]} == {("report", "ann")}


@pytest.mark.sources("D-N3")
async def test_the_run_of_a_recall_can_be_stopped(world: World) -> None:
    session = await world.session()
    info = await made(world, {"session_id": session, "every_s": 600, "message": "SLOW 100000 20"})
    await world.post(f"/v1/schedules/{info['id']}/trigger")
    stream = world.follow(session)
    await stream.event("run.started")
    await world.post(f"/v1/sessions/{session}/interrupt", {})
    await stream.event("run.finished")

    read = await world.get(f"/v1/schedules/{info['id']}")
    assert (read["last"]["outcome"], read["failures"]) == ("cancelled", 0)


async def test_a_recall_that_is_tried_again_is_told_as_the_same_occurrence(world: World) -> None:
    session = await world.session()
    ask = {"session_id": session, "in_s": 0.05, "message": "FAIL no", "retries": 1, "backoff_s": 0.05}
    info = await made(world, ask)
    stream = world.follow(session)
    await stream.until(lambda: len([e for e in stream.events if e["type"] == "run.finished"]) == 2)

    occurrence = f"{info['id']}@{info['next_at']}"
    told = [
        (event["type"], event["data"].get("occurrence"))
        for event in await world.journal(session)
        if event["type"] in ("recall.fired", "message.admitted", "recall.retrying")
    ]
    assert told == [
        ("recall.fired", occurrence),
        ("message.admitted", occurrence),
        ("recall.retrying", occurrence),
        ("message.admitted", occurrence),
    ]


async def test_a_reminder_is_told_as_one_when_it_is_admitted(world: World) -> None:
    session = await world.session()
    await made(world, {"session_id": session, "in_s": 0.05, "message": "Stretch", "kind": "reminder"})
    await world.follow(session).event("run.finished")

    (admitted,) = [e["data"] for e in await world.journal(session) if e["type"] == "message.admitted"]
    assert (admitted["content"], admitted["reminder"]) == ("Stretch", True)


@pytest.mark.sources("P3")
async def test_the_owner_of_a_session_may_not_put_words_into_a_recall_of_somebody_else(world: World) -> None:
    ann, olga = await world.key("member", "ann", "acme"), await world.key("operator", "olga", "acme")
    alma, weak = await world.key("admin", "alma", "acme"), await world.key("member", "olga", "acme")
    session = await world.session(key=ann)
    messages = f"/v1/sessions/{session}/messages"
    await world.post(messages, {"content": "ASK shall I?"}, key=ann)
    info = await made(world, {"session_id": session, "in_s": 3600, "message": "SAY yes"}, key=olga)
    asked = await world.post(f"/v1/schedules/{info['id']}/trigger", key=olga)
    path = f"{messages}/{asked['message_id']}"

    answer = await refused(world, "PATCH", path, {"content": "SAY no"}, key=ann)

    detail = (
        f"The message {asked['message_id']} is said by a schedule, with the rights of olga, who made it. "
        "You may withdraw it, but not change what it says."
    )
    assert told(answer) == (403, "forbidden", detail)
    for key, status in ((weak, 404), (olga, 200), (alma, 200)):
        assert (await world.ask("PATCH", path, {"content": "SAY maybe"}, key=key)).status_code == status
    assert (await world.ask("PATCH", path, {"promote": "next"}, key=ann)).status_code == 200
    assert (await world.ask("DELETE", path, key=ann)).status_code == 204
