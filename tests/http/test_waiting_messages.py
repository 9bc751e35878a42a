"""Messages that meet a busy session, and what may be done to those that wait: by HTTP and by socket."""

from typing import Any

import pytest

from tests.http.world import Frame, World

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"


async def busy(world: World, *texts: str) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """A session with a live run and messages behind it: its id and all receipts."""
    session = await world.session()
    live = await world.say(session, LONG)
    return session, live, [await world.say(session, text) for text in texts]


async def send(world: World, session: str, text: str, policy: str, **fields: Any) -> dict[str, Any]:
    """Send a message with a busy policy."""
    body = {"content": text, "when_busy": policy, **fields}
    return await world.post(f"/v1/sessions/{session}/messages", body)


async def waiting(world: World, session: str) -> list[tuple[str, str, int | None]]:
    """What waits: text, status, place."""
    page = await world.get(f"/v1/sessions/{session}/messages")
    return [(item["content"], item["status"], item["queue_position"]) for item in page["waiting"]]


def path(session: str, receipt: dict[str, Any]) -> str:
    """Where a message is."""
    return f"/v1/sessions/{session}/messages/{receipt['message_id']}"


async def test_each_policy_says_what_became_of_the_message(world: World) -> None:
    session, live, (first,) = await busy(world, "one")
    run = live["run_id"]

    told = {policy: await send(world, session, policy, policy) for policy in ("queue", "merge", "latest")}
    steered = await send(world, session, "steer", "steer")
    stopped = await send(world, session, "now", "interrupt")

    assert (told["queue"]["disposition"], told["queue"]["queue_position"]) == ("queued", 2)
    assert (told["merge"]["disposition"], told["merge"]["into"]) == ("merged", told["queue"]["message_id"])
    assert (told["latest"]["disposition"], told["latest"]["queue_position"]) == ("queued", 1)
    assert (steered["disposition"], steered["run_id"], steered["queue_position"]) == ("steered", run, 0)
    assert (stopped["disposition"], stopped["interrupts"], stopped["queue_position"]) == ("queued", run, 1)
    assert (await world.get(path(session, first)))["state"] == "withdrawn"


async def test_a_rollback_names_the_run_that_it_takes_back(world: World) -> None:
    session, live, _ = await busy(world)
    told = await send(world, session, "SAY instead", "rollback")
    assert (told["interrupts"], told["rolls_back"]) == (live["run_id"], live["run_id"])
    stream = world.follow(session)
    await stream.frame(lambda f: f.id is not None and f.data["type"] == "transcript.undone")


async def test_an_unknown_policy_is_refused_naming_those_there_are(world: World) -> None:
    session = await world.session()
    body = {"content": "x", "when_busy": "push"}
    response = await world.ask("POST", f"/v1/sessions/{session}/messages", body)
    assert (response.status_code, response.json()["field"]) == (422, "when_busy")


async def test_a_waiting_message_is_edited_under_its_version(world: World) -> None:
    session, _, (receipt,) = await busy(world, "one")
    where = path(session, receipt)
    read = await world.ask("GET", where)
    edited = await world.ask("PATCH", where, {"content": "uno"}, headers={"If-Match": read.headers["etag"]})
    late = await world.ask("PATCH", where, {"content": "eins"}, headers={"If-Match": read.headers["etag"]})

    assert (read.headers["etag"], edited.status_code, edited.headers["etag"]) == ('"1"', 200, '"2"')
    assert (edited.json()["content"], edited.json()["position"]) == ("uno", 1)
    assert (late.status_code, late.json()["code"], late.json()["version"]) == (412, "stale", 2)
    assert await waiting(world, session) == [("uno", "queued", 1)]


@pytest.mark.parametrize("promote", ["next", True])
async def test_a_waiting_message_is_promoted_to_the_front(world: World, promote: object) -> None:
    session, _, (_, second) = await busy(world, "one", "two")
    response = await world.ask("PATCH", path(session, second), {"promote": promote})
    assert (response.status_code, response.json()["position"]) == (200, 1)
    assert [text for text, _, _ in await waiting(world, session)] == ["two", "one"]


async def test_a_waiting_message_is_sent_to_the_live_run(world: World) -> None:
    session, live, (receipt,) = await busy(world, "hurry")
    response = await world.ask("PATCH", path(session, receipt), {"promote": "steer"})
    assert (response.status_code, response.json()["run_id"]) == (200, live["run_id"])
    stream = world.follow(session)
    consumed = await stream.event("steering.consumed")
    assert consumed.data["data"]["message_ids"] == [receipt["message_id"]]


async def test_a_withdrawn_message_is_gone_and_can_not_be_withdrawn_again(world: World) -> None:
    session, _, (receipt,) = await busy(world, "one")
    first = await world.ask("DELETE", path(session, receipt))
    again = await world.ask("DELETE", path(session, receipt))
    edit = await world.ask("PATCH", path(session, receipt), {"content": "late"})

    assert first.status_code == 204
    for late in (again, edit):
        assert (late.status_code, late.json()["code"]) == (409, "not_waiting")
    assert await waiting(world, session) == []


async def test_a_message_that_is_not_there_is_404(world: World) -> None:
    session = await world.session()
    where = f"/v1/sessions/{session}/messages/msg_{'0' * 32}"
    assert (await world.ask("DELETE", where)).status_code == 404
    assert (await world.ask("PATCH", where, {"promote": "next"})).status_code == 404


@pytest.mark.parametrize("tag", ["three", '"-1"', "1.0", '"1x"'])
async def test_an_if_match_that_is_no_version_is_refused(world: World, tag: str) -> None:
    session, _, (receipt,) = await busy(world, "one")
    headers = {"If-Match": tag}
    response = await world.ask("PATCH", path(session, receipt), {"content": "x"}, headers=headers)
    assert (response.status_code, response.json()["field"]) == (422, "If-Match")


# --- the streaming POST


async def test_a_steered_message_streams_the_run_that_took_it(world: World) -> None:
    session, live, _ = await busy(world)
    body = {"content": "faster", "when_busy": "steer"}
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", body)
    consumed = await stream.event("steering.consumed")
    await world.post(f"/v1/sessions/{session}/interrupt", {})
    frames = await stream.end()

    assert consumed.data["run_id"] == live["run_id"]
    assert frames[0].data["disposition"] == "steered"
    assert frames[-2].data["type"] == "run.finished"
    assert frames[-1] == Frame("closed", None, {"reason": "settled"})


async def test_untaken_steering_streams_the_run_of_its_own(world: World) -> None:
    session = await world.session()
    first = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": "SLOW 2 30000"})
    await first.event("message.delta")
    body = {"content": "SAY after all", "when_busy": "steer"}
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", body)
    await stream.named("receipt")
    await world.post(f"/v1/sessions/{session}/interrupt", {"waiting": "run", "force": True})
    frames = await stream.end()

    types = [frame.data["type"] for frame in frames if frame.id is not None]
    assert types[:3] == ["message.admitted", "message.promoted", "run.started"]
    assert frames[-1] == Frame("closed", None, {"reason": "settled"})


async def test_a_joined_message_streams_the_run_of_the_one_it_joined(world: World) -> None:
    session, _, (first,) = await busy(world, "SAY one")
    body = {"content": "SAY two", "when_busy": "merge"}
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", body)
    await stream.named("receipt")
    await world.post(f"/v1/sessions/{session}/interrupt", {"waiting": "run"})
    frames = await stream.end()

    started = next(f.data for f in frames if f.id is not None and f.data["type"] == "run.started")
    assert started["data"]["trigger"]["id"] == first["message_id"]
    assert frames[-1] == Frame("closed", None, {"reason": "settled"})


# --- trying again


async def test_a_failed_run_is_tried_again(world: World) -> None:
    session = await world.session()
    journal = await world.spoken(session, "SAY x\nFAIL why")
    failed = journal[-1]["run_id"]
    again = await world.post(f"/v1/runs/{failed}/retry")
    stream = world.follow(session)
    await stream.frame(
        lambda f: f.id is not None and f.data["type"] == "run.finished" and f.data["run_id"] != failed
    )
    late = await world.ask("POST", f"/v1/runs/{failed}/retry")

    assert (again["disposition"], again["message_id"]) == ("started", journal[1]["data"]["message_id"])
    assert (late.status_code, late.json()["code"]) == (409, "conflict")


# --- over the socket


async def test_the_socket_steers_promotes_and_withdraws(world: World) -> None:
    session, live, (one, two) = await busy(world, "one", "two")
    wire = world.socket(session)
    wire.say({"id": 1, "command": "steer", "body": {"content": "faster"}})
    wire.say({"id": 2, "command": "promote", "body": {"message_id": two["message_id"], "promote": "next"}})
    wire.say({"id": 3, "command": "withdraw", "body": {"message_id": one["message_id"]}})
    wire.say({"id": 4, "command": "withdraw", "body": {"message_id": one["message_id"]}})
    steered, promoted, withdrawn, late = [await wire.reply(n) for n in (1, 2, 3, 4)]

    assert (steered["status"], steered["body"]["run_id"]) == (202, live["run_id"])
    assert (promoted["status"], promoted["body"]["position"]) == (200, 1)
    assert (withdrawn["status"], late["status"], late["body"]["code"]) == (204, 409, "not_waiting")
