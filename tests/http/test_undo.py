"""Undo, redo, compact and fork over HTTP and the socket: statuses, shapes, rights."""

from typing import Any

import pytest

from tests.http.world import World

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"
"""A message whose run goes on until it is stopped."""


async def contents(world: World, session: str) -> list[str]:
    """What the transcript says, oldest first."""
    page = await world.get(f"/v1/sessions/{session}/messages?limit=1000")
    return [item["content"] for item in page["data"]]


async def talked(world: World, *texts: str, **how: Any) -> str:
    """A session in which the agent repeated each of these texts."""
    session = await world.session(**how)
    for text in texts:
        await world.spoken(session, f"SAY {text}")
    return session


async def test_undo_and_redo_answer_what_they_took_and_put_back(world: World) -> None:
    session = await talked(world, "one", "two")
    journal = await world.journal(session)
    starts = [event for event in journal if event["type"] == "run.started"]
    last = starts[-1]
    ids = [
        e["data"]["message_id"]
        for e in journal
        if e["seq"] > last["seq"] and e["type"] == "message.completed"
    ]

    undone = await world.ask("POST", f"/v1/sessions/{session}/undo", {})
    off = {"run_ids": [last["run_id"]], "message_ids": [last["data"]["trigger"]["id"], *ids]}
    head = len(journal) + 1
    assert (undone.status_code, undone.json()) == (
        200,
        {
            **off,
            "to_seq": last["seq"] - 1,
            "kept": [],
            "dry_run": False,
            "pending": False,
            "interrupts": None,
            "seq": head,
        },
    )
    assert await contents(world, session) == ["SAY one", "one"]

    redone = await world.ask("POST", f"/v1/sessions/{session}/redo", {})
    assert (redone.status_code, redone.json()) == (200, {**off, "seq": head + 1})
    assert await contents(world, session) == ["SAY one", "one", "SAY two", "two"]
    again = await world.ask("POST", f"/v1/sessions/{session}/redo", {})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


async def test_undo_of_nothing_is_a_conflict_that_says_so(world: World) -> None:
    answer = await world.ask("POST", f"/v1/sessions/{await world.session()}/undo", {})

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "no turn to undo" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [{"turns": 0}, {"turns": 1, "to_message_id": "msg_" + "0" * 32}, {"to_message_id": "x"}, {"steps": 1}],
    ids=str,
)
async def test_an_undo_that_makes_no_sense_is_refused(world: World, body: dict[str, object]) -> None:
    session = await talked(world, "one")
    answer = await world.ask("POST", f"/v1/sessions/{session}/undo", body)

    assert answer.status_code == 422
    assert await contents(world, session) == ["SAY one", "one"]


async def test_undo_while_busy_is_refused_and_with_interrupt_accepted(world: World) -> None:
    session = await talked(world, "one")
    stream = world.follow(session)
    await world.say(session, LONG)
    await stream.event("message.delta")
    refused = await world.ask("POST", f"/v1/sessions/{session}/undo", {})
    accepted = await world.ask("POST", f"/v1/sessions/{session}/undo", {"interrupt": True})
    await stream.event("transcript.undone")
    await stream.leave()

    assert (refused.status_code, refused.json()["code"]) == (409, "busy")
    assert (accepted.status_code, accepted.json()["pending"]) == (202, True)
    assert await contents(world, session) == ["SAY one", "one"]


async def test_a_preview_changes_nothing(world: World) -> None:
    session = await talked(world, "one", "two")
    before = await world.journal(session)
    preview = await world.post(f"/v1/sessions/{session}/undo", {"turns": 2, "dry_run": True})

    assert (preview["dry_run"], len(preview["message_ids"])) == (True, 4)
    assert await world.journal(session) == before


async def test_a_compaction_answers_like_a_message_and_the_summary_stands_first(world: World) -> None:
    session = await talked(world, "one", "two", "three")
    stream = world.follow(session)
    answer = await world.ask("POST", f"/v1/sessions/{session}/compact", {"instructions": "brief"})
    made = await stream.event("transcript.compacted")
    await stream.leave()

    receipt = answer.json()
    assert (answer.status_code, receipt["disposition"], receipt["queue_position"]) == (202, "started", 0)
    page = await world.get(f"/v1/sessions/{session}/messages")
    assert page["data"][0] == {
        "message_id": receipt["message_id"],
        "role": "summary",
        "content": made.data["data"]["summary"],
        "run_id": receipt["run_id"],
        "status": "completed",
        "seq": made.data["data"]["covers_through"],
        "actor": None,
        "queue_position": None,
    }
    assert [item["content"] for item in page["data"][1:]] == ["SAY three", "three"]


async def test_a_fork_is_a_session_of_the_forker_and_lists_like_any_other(world: World) -> None:
    ann, olga = await world.key("member", "ann", "acme"), await world.key("operator", "olga", "acme")
    session = await world.session(key=ann)
    await world.spoken(session, "SAY one")
    answer = await world.ask("POST", f"/v1/sessions/{session}/fork", {"title": "Branch"}, key=olga)

    child = answer.json()
    assert (answer.status_code, child["owner"], child["title"], child["status"]) == (
        201,
        "olga",
        "Branch",
        "idle",
    )
    assert await contents(world, child["id"]) == ["SAY one", "one"]
    mine = await world.ask("GET", f"/v1/sessions/{child['id']}", key=ann)
    assert mine.status_code == 404
    await world.spoken(child["id"], "SAY two")
    assert await contents(world, session) == ["SAY one", "one"]


async def test_a_fork_beyond_the_head_is_refused_with_the_head(world: World) -> None:
    session = await talked(world, "one")
    head = len(await world.journal(session))
    answer = await world.ask("POST", f"/v1/sessions/{session}/fork", {"at_seq": head + 1})

    assert (answer.status_code, answer.json()["head_seq"]) == (422, head)


async def test_every_event_of_a_fork_can_be_resumed_from(world: World) -> None:
    session = await talked(world, "one")
    child = (await world.post(f"/v1/sessions/{session}/fork", {}))["id"]
    await world.spoken(child, "SAY two")
    whole = await world.journal(child)
    for after in range(len(whole)):
        page = await world.get(f"/v1/sessions/{child}/events?after={after}&limit=1000")
        assert page["data"] == whole[after:]


async def test_deleting_a_session_leaves_its_forks_unless_they_are_meant_too(world: World) -> None:
    session = await talked(world, "one")
    kept = (await world.post(f"/v1/sessions/{session}/fork", {}))["id"]
    assert (await world.ask("DELETE", f"/v1/sessions/{session}")).status_code == 204
    assert await contents(world, kept) == ["SAY one", "one"]

    grandchild = (await world.post(f"/v1/sessions/{kept}/fork", {}))["id"]
    gone = await world.ask("DELETE", f"/v1/sessions/{kept}?cascade=true")
    assert gone.status_code == 204
    assert (await world.ask("GET", f"/v1/sessions/{grandchild}")).status_code == 404


async def test_the_socket_undoes_redoes_and_compacts_as_the_posts_do(world: World) -> None:
    session = await talked(world, "one", "two")
    wire = world.socket(session)
    await wire.control("up_to_date")
    replies: list[Any] = []
    for number, command in enumerate(("undo", "redo", "redo", "compact")):
        wire.say({"id": number, "command": command, "body": {}})
        replies.append(await wire.reply(number))
    await wire.event("transcript.compacted")
    await wire.leave()

    assert [reply["status"] for reply in replies] == [200, 200, 409, 202]
    assert replies[0]["body"]["run_ids"] == replies[1]["body"]["run_ids"]


@pytest.mark.parametrize("command", ["undo", "redo", "compact", "fork"])
async def test_one_key_does_it_once(world: World, command: str) -> None:
    session = await talked(world, "one", "two", "three")
    await world.post(f"/v1/sessions/{session}/undo", {})
    head = {"Idempotency-Key": f"k-{command}"}
    answers = [
        await world.ask("POST", f"/v1/sessions/{session}/{command}", {}, headers=head) for _ in range(2)
    ]

    assert answers[0].status_code == answers[1].status_code < 300
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"


async def test_a_busy_session_is_undone_over_the_socket_too(world: World) -> None:
    session = await talked(world, "one")
    wire = world.socket(session)
    await wire.control("up_to_date")
    await world.say(session, LONG)
    await wire.event("message.delta")
    wire.say({"id": 1, "command": "undo", "body": {"interrupt": True}})
    reply = await wire.reply(1)
    await wire.event("transcript.undone")
    await wire.leave()

    assert (reply["status"], reply["body"]["pending"]) == (202, True)
    assert await contents(world, session) == ["SAY one", "one"]
