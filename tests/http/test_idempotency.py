"""Idempotency-Key: the same request answers the same again, whatever happened to the first answer."""

import asyncio
from typing import Any

import pytest

from tests.http.world import World

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"


async def twice(world: World, path: str, body: object, key: str = "k", **how: Any) -> tuple[Any, Any]:
    """The same request two times."""
    headers = {"Idempotency-Key": key}
    first = await world.ask("POST", path, body, headers=headers, **how)
    again = await world.ask("POST", path, body, headers=headers, **how)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    return first, again


async def test_every_command_answers_the_same_again(world: World) -> None:
    session = await world.session()
    path = f"/v1/sessions/{session}"
    commands: list[tuple[str, dict[str, str]]] = [
        ("/v1/sessions", {"agent": "scripted"}),
        (f"{path}/messages", {"content": LONG}),
        (f"{path}/interrupt", {}),
        (f"{path}/close", {}),
        (f"{path}/reopen", {}),
        ("/v1/keys", {"user": "x", "role": "viewer"}),
    ]

    for number, (target, body) in enumerate(commands):
        first, again = await twice(world, target, body, f"k{number}")
        assert first.is_success
        assert (first.status_code, first.json()) == (again.status_code, again.json())
    kinds = [event["type"] for event in await world.journal(session)]
    for kind in ("message.admitted", "run.interrupting", "session.closed", "session.reopened"):
        assert kinds.count(kind) == 1


async def test_another_body_under_the_same_key_is_a_conflict(world: World) -> None:
    session = await world.session()
    path, headers = f"/v1/sessions/{session}/messages", {"Idempotency-Key": "k"}
    await world.post(path, {"content": "SAY x"}, headers=headers)

    response = await world.ask("POST", path, {"content": "SAY y"}, headers=headers)

    assert response.status_code == 409
    answer = response.json()
    assert (answer["code"], answer["title"]) == (
        "idempotency_conflict",
        "The idempotency key was used for another request",
    )


async def test_another_path_under_the_same_key_is_a_conflict(world: World) -> None:
    one, two = await world.session(), await world.session()
    headers = {"Idempotency-Key": "k"}
    await world.post(f"/v1/sessions/{one}/messages", {"content": "SAY x"}, headers=headers)

    response = await world.ask("POST", f"/v1/sessions/{two}/messages", {"content": "SAY x"}, headers=headers)

    assert response.json()["code"] == "idempotency_conflict"


async def test_the_same_body_may_be_written_in_another_way(world: World) -> None:
    session = await world.session()
    path, headers = f"/v1/sessions/{session}/messages", {"Idempotency-Key": "k"}
    bodies = (
        b'{"content":"SAY \\u00e9","when_busy":"queue"}',
        '{ "when_busy" : "queue", "content" : "SAY é" }'.encode(),
        '{"content":"SAY é","if_idle":false}'.encode(),
    )

    answers = [await world.ask("POST", path, content=body, headers=headers) for body in bodies]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.text for answer in answers}) == 1


async def test_identical_requests_at_once_get_one_receipt(world: World) -> None:
    session = await world.session()
    path, headers = f"/v1/sessions/{session}/messages", {"Idempotency-Key": "k"}

    answers = await asyncio.gather(
        *(world.ask("POST", path, {"content": "SAY x"}, headers=headers) for _ in range(20))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert [e["type"] for e in await world.journal(session)].count("message.admitted") == 1


async def test_a_key_belongs_to_its_user(world: World) -> None:
    headers = {"Idempotency-Key": "k"}
    people = [("ann", "default"), ("bob", "default"), ("ann", "acme")]
    keys = [await world.key("member", user, tenant) for user, tenant in people]

    opened = {await world.session(key=key, headers=headers) for key in keys}

    assert len(opened) == 3


async def test_a_refusal_is_not_kept(world: World) -> None:
    session = await world.session()
    path, headers = f"/v1/sessions/{session}/interrupt", {"Idempotency-Key": "k"}
    refused = await world.ask("POST", path, headers=headers)
    await world.say(session, LONG)

    taken = await world.ask("POST", path, headers=headers)

    assert (refused.status_code, taken.status_code) == (409, 202)
    assert "idempotency-replayed" not in taken.headers


@pytest.mark.parametrize(("key", "status"), [("", 422), ("x" * 255, 201), ("x" * 256, 422), ("é" * 255, 201)])
async def test_a_key_has_1_to_255_bytes(world: World, key: str, status: int) -> None:
    headers = {"Idempotency-Key": key}
    stream = await world.stream("POST", "/v1/sessions", {"agent": "scripted"}, headers=headers).started()

    assert stream.status == status
    if status == 422:
        assert stream.json["detail"] == f"The Idempotency-Key has {len(key)} bytes. Send 1 to 255."


async def test_a_replay_never_reaches_the_session_of_another(world: World) -> None:
    """The gates stand before the receipt: a stranger's repeat gets the stranger's answer."""
    ann, eve = await world.key("member", "ann", "acme"), await world.key("member", "ann", "rival")
    session = await world.session(key=ann)
    path, headers = f"/v1/sessions/{session}/messages", {"Idempotency-Key": "k"}
    await world.post(path, {"content": "SAY x"}, key=ann, headers=headers)

    response = await world.ask("POST", path, {"content": "SAY x"}, key=eve, headers=headers)

    assert response.status_code == 404
