"""Brief pages of the journal over HTTP."""

from typing import Any

import pytest

from tests.http.world import World

pytestmark = pytest.mark.anyio

STORY = "SAY one\nREASON why\nBURST 30 40\nSAY two"
PIECES = {"message.delta", "reasoning.delta"}


async def told(world: World) -> tuple[str, list[Any], list[Any]]:
    """A session with some history, its journal, and what of it is brief."""
    session = await world.session()
    journal = await world.spoken(session, STORY)
    begun: set[str] = set()
    brief: list[Any] = []
    for event in journal:
        message = event["data"].get("message_id", "") if event["type"] in PIECES else ""
        first = event["type"] == "message.delta" and message not in begun
        if first or event["type"] not in PIECES:
            brief.append(event)
        begun.add(message)
    return session, journal, brief


async def test_a_brief_page_leaves_out_pieces_and_tells_what_it_covers(world: World) -> None:
    session, journal, brief = await told(world)
    head = len(journal)

    back = await world.get(f"/v1/sessions/{session}/events?brief=true&before={head + 1}")
    forth = await world.get(f"/v1/sessions/{session}/events?brief=true")

    assert len(brief) < head - 20
    assert back == forth == {"data": brief, "head_seq": head, "scanned": {"first": 1, "last": head}}


async def test_brief_pages_lead_on_to_either_end(world: World) -> None:
    session, journal, brief = await told(world)
    path = f"/v1/sessions/{session}/events?brief=true&limit=3"

    after, forwards = 0, list[Any]()
    while after < len(journal):
        page = await world.get(f"{path}&after={after}")
        forwards += page["data"]
        after = page["scanned"]["last"]
    before, backwards = len(journal) + 1, list[Any]()
    while before > 1:
        page = await world.get(f"{path}&before={before}")
        backwards = page["data"] + backwards
        before = page["scanned"]["first"]

    assert forwards == backwards == brief


async def test_a_brief_stream_is_refused(world: World) -> None:
    session = await world.session()

    answer = await world.stream("GET", f"/v1/sessions/{session}/events?brief=true").started()

    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "invalid", "brief")
    assert answer.json["detail"] == (
        "A stream can't be brief: who follows a session gets every piece as it is said. Leave brief out, "
        "or read pages."
    )


async def test_a_brief_page_of_what_lies_beyond_the_head_is_refused_like_any_other(world: World) -> None:
    session = await world.session()

    page = await world.ask("GET", f"/v1/sessions/{session}/events?brief=true&after=9")

    assert (page.status_code, page.json()["code"]) == (409, "cursor_ahead")


async def test_an_outline_tells_where_things_stand(world: World) -> None:
    session, journal, _ = await told(world)
    messages = (await world.get(f"/v1/sessions/{session}/messages"))["data"]
    (run,) = (await world.get(f"/v1/sessions/{session}/runs"))["data"]
    user, *said = messages

    outline = await world.get(f"/v1/sessions/{session}/outline")

    assert outline == {
        "data": [
            {"seq": user["seq"], "kind": "user", "id": user["message_id"], "status": "settled"},
            {"seq": user["seq"], "kind": "run", "id": run["id"], "status": "completed"},
            *(
                {"seq": item["seq"], "kind": "assistant", "id": item["message_id"], "status": "completed"}
                for item in said
            ),
        ],
        "head_seq": len(journal),
        "next_before": None,
    }
    assert len(said) > 1
    last = await world.get(f"/v1/sessions/{session}/outline?limit=1")
    assert last == {
        "data": outline["data"][-1:],
        "head_seq": len(journal),
        "next_before": said[-1]["seq"],
    }
    before = await world.ask("GET", f"/v1/sessions/{session}/outline?before=x")
    assert (before.status_code, before.json()["code"]) == (400, "bad_cursor")
