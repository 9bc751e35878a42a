"""The front door over HTTP: who may post events, what they are answered, and what becomes of them."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tenure.config import BindingSettings
from tests.http.world import Json, World, a_world

pytestmark = pytest.mark.anyio


def binding(name: str, **fields: Any) -> BindingSettings:
    """A binding for the bot tg-1 of acme, unless said otherwise."""
    given = {"tenant": "acme", "agent": "scripted", "scope": {"type": "bot", "id": "tg-1"}, **fields}
    return BindingSettings.model_validate({"id": name, **given})


BINDINGS = (
    binding(
        "telegram", event_types=["message.received", "group.member_joined"], actor_roles={"42": "viewer"}
    ),
    binding("rival", tenant="rival"),
    binding("off", scope={"type": "bot", "id": "tg-off"}, enabled=False),
    binding("steering", scope={"type": "bot", "id": "tg-s"}, when_busy="steer"),
    binding("rival-steering", scope={"type": "bot", "id": "tg-s"}, when_busy="steer", tenant="rival"),
    binding("one", scope={"type": "workspace", "id": "w"}),
    binding("two", scope={"type": "workspace", "id": "w"}),
)


@pytest.fixture
async def world(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[World]:
    """A host with the demo agents and some bindings."""
    async with a_world(tmp_path / "home", BINDINGS) as world:
        yield world


@pytest.fixture
async def connector(world: World) -> str:
    """The key of a service that posts events for acme."""
    return await world.key("operator", "gateway", "acme")


def said(text: str = "SAY x", event_id: str = "e1", **fields: Any) -> Json:
    """Somebody says something in the conversation c of the bot tg-1."""
    return {
        "event_id": event_id,
        "event_type": "message.received",
        "source": "platform",
        "bot_id": "tg-1",
        "conversation_id": "c",
        "actor": {"type": "user", "id": "7", "name": "Ann"},
        "input": {"text": text},
        **fields,
    }


async def ended(world: World, receipt: Json, key: str) -> list[Json]:
    """The events of the receipt's session, once its run has ended."""
    stream = world.follow(receipt["session_id"], key=key)
    await stream.event("run.finished")
    return [frame.data for frame in stream.frames if frame.id is not None]


async def spoken(world: World, receipt: Json, key: str) -> list[str]:
    """What the agent said in the run that the receipt names, until it ended."""
    journal = [e for e in await ended(world, receipt, key) if e["run_id"] == receipt["run_id"]]
    return [e["data"]["content"] for e in journal if e["type"] == "message.completed"]


@pytest.mark.sources("O01", "O05")
async def test_event_opens_a_session_and_runs_there(world: World, connector: str) -> None:
    answer = await world.ask("POST", "/v1/events", said(), key=connector)

    receipt = answer.json()
    journal = await ended(world, receipt, connector)
    session = (await world.ask("GET", f"/v1/sessions/{receipt['session_id']}", key=connector)).json()
    assert (answer.status_code, receipt) == (
        202,
        {
            "message_id": receipt["message_id"],
            "run_id": receipt["run_id"],
            "disposition": "started",
            "queue_position": 0,
            "seq": 2,
            "session_id": receipt["session_id"],
            "event_id": "e1",
            "binding_id": "telegram",
        },
    )
    admitted, started = journal[1]["data"], journal[2]["data"]
    assert admitted["actor"] == {"user": "7", "role": "operator", "type": "user", "id": "7", "name": "Ann"}
    assert started["trigger"] == {"kind": "message", "id": receipt["message_id"]}
    assert (session["owner"], session["tenant"], session["agent"]) == ("gateway", "acme", "scripted")
    assert session["conversation"] == {"bot_id": "tg-1", "conversation_id": "c"}
    run = (await world.ask("GET", f"/v1/runs/{receipt['run_id']}", key=connector)).json()
    assert (run["status"], run["grant"]["author"]["user"]) == ("completed", "gateway")
    assert run["grant_digest"] == started["grant_digest"]


@pytest.mark.sources("D-O13")
async def test_one_event_posted_fifty_times_at_once_counts_once(world: World, connector: str) -> None:
    answers = await asyncio.gather(
        *[world.ask("POST", "/v1/events", said(), key=connector) for _ in range(50)]
    )

    receipts = [answer.json() for answer in answers]
    journal = await ended(world, receipts[0], connector)
    fresh = [a for a in answers if "idempotency-replayed" not in a.headers]
    assert all(receipt == receipts[0] for receipt in receipts)
    assert (len(fresh), {a.status_code for a in answers}) == (1, {202})
    assert [event["type"] for event in journal].count("message.admitted") == 1


async def test_fifty_first_messages_of_a_conversation_at_once_share_one_session(
    world: World, connector: str
) -> None:
    answers = await asyncio.gather(
        *[world.ask("POST", "/v1/events", said(event_id=f"e{n}"), key=connector) for n in range(50)]
    )

    receipts = [answer.json() for answer in answers]
    assert {answer.status_code for answer in answers} == {202}
    assert len({receipt["session_id"] for receipt in receipts}) == 1
    assert len({receipt["message_id"] for receipt in receipts}) == 50


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_only_operators_and_admins_post_events_and_see_bindings(world: World, role: str) -> None:
    key = await world.key(role, "mel", "acme")

    posted = await world.ask("POST", "/v1/events", said(), key=key)
    listed = await world.ask("GET", "/v1/bindings", key=key)

    assert [(a.status_code, a.json()["code"]) for a in (posted, listed)] == [(403, "forbidden")] * 2


@pytest.mark.sources("O27")
async def test_bindings_are_listed_for_their_own_tenant(world: World, connector: str) -> None:
    rival = await world.key("admin", "rita", "rival")

    ours = await world.get("/v1/bindings", key=connector)
    theirs = await world.get("/v1/bindings", key=rival)
    everybodys = await world.get("/v1/bindings")

    assert [b["id"] for b in ours["data"]] == ["off", "one", "steering", "telegram", "two"]
    assert [b["id"] for b in theirs["data"]] == ["rival", "rival-steering"]
    assert len(everybodys["data"]) == 7
    assert ours["data"][3] == {
        "id": "telegram",
        "tenant": "acme",
        "agent": "scripted",
        "scope": {"type": "bot", "id": "tg-1"},
        "event_types": ["message.received", "group.member_joined"],
        "enabled": True,
        "actor_roles": {"42": "viewer"},
        "delivery": {"enable_streaming": True, "enable_reply": True, "max_message_size": None},
        "when_busy": "queue",
        "labels": {},
    }


@pytest.mark.sources("O02", "A10")
@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"bot_id": "tg-2"}, 404, "no_binding"),
        ({"bot_id": "tg-off"}, 404, "no_binding"),
        ({"bot_id": None}, 404, "no_binding"),
        ({"event_type": "friend.request_received"}, 404, "no_binding"),
        ({"bot_id": None, "workspace_id": "w"}, 409, "ambiguous_binding"),
        ({"conversation_id": None, "actor": None}, 422, "invalid"),
        ({"conversation_id": ""}, 422, "invalid"),
        ({"conversation_id": "a\x00b"}, 422, "invalid"),
        ({"input": {"text": ""}}, 422, "invalid"),
        ({"surprise": 1}, 422, "invalid"),
    ],
)
async def test_event_that_nobody_can_take_is_refused_and_leaves_no_trace(
    world: World, connector: str, fields: Json, status: int, code: str
) -> None:
    before = await world.host.store.figures()

    answer = await world.ask("POST", "/v1/events", said(**fields), key=connector)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await world.host.store.figures() == before


async def test_ambiguous_bindings_are_named(world: World, connector: str) -> None:
    answer = await world.ask("POST", "/v1/events", said(bot_id=None, workspace_id="w"), key=connector)

    assert answer.json()["bindings"] == "one, two"


async def test_same_event_id_with_other_words_is_a_conflict(world: World, connector: str) -> None:
    await world.post("/v1/events", said(), key=connector)

    answer = await world.ask("POST", "/v1/events", said("SAY y"), key=connector)
    elsewhere = await world.ask("POST", "/v1/events", said("SAY y", source="webui"), key=connector)

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert elsewhere.status_code == 202


async def test_redelivery_with_another_time_and_link_gets_the_same_receipt(
    world: World, connector: str
) -> None:
    first = await world.post("/v1/events", said(event_time=1_700_000_000), key=connector)
    again = await world.post("/v1/events", said(event_time=1_700_000_009, raw_ref="r2"), key=connector)

    assert again == first


async def test_authority_is_the_keys_cut_for_the_actor(world: World, connector: str) -> None:
    cut = said("SAY x", "e1", actor={"type": "user", "id": "42"})
    mallory = await world.post("/v1/events", cut, key=connector)
    ann = await world.post("/v1/events", said("SAY y", "e2"), key=connector)
    stream = world.follow(mallory["session_id"], key=connector)
    await stream.frame(lambda f: f.id is not None and f.data["data"].get("text") == "y")

    runs = (await world.get(f"/v1/sessions/{ann['session_id']}/runs", key=connector))["data"]

    assert {run["message_id"]: run["grant"]["author"]["role"] for run in runs} == {
        mallory["message_id"]: "viewer",
        ann["message_id"]: "operator",
    }


@pytest.mark.sources("O07")
async def test_event_that_is_no_message_starts_a_run_of_kind_event(world: World, connector: str) -> None:
    joined = said(
        event_type="group.member_joined",
        input={},
        subject={"type": "group", "id": "g"},
        data={"by": "8"},
    )

    receipt = await world.post("/v1/events", joined, key=connector)

    journal = await ended(world, receipt, connector)
    started = next(e for e in journal if e["type"] == "run.started")
    transcript = await world.get(f"/v1/sessions/{receipt['session_id']}/messages", key=connector)
    assert started["data"]["trigger"] == {"kind": "event", "id": receipt["message_id"]}
    assert transcript["data"][0]["content"] == (
        'Event: group.member_joined\nActor: user 7 (Ann)\nSubject: group g\nData: {"by":"8"}'
    )


@pytest.mark.sources("A10", "D-R1", "D-S2")
async def test_tenants_with_equal_ids_share_no_session_no_steering_and_no_state(
    world: World, connector: str
) -> None:
    rival = await world.key("operator", "gateway", "rival")
    ids: Json = {"bot_id": "tg-s", "conversation_id": "room:42", "actor": {"type": "user", "id": "a:b"}}
    script = "SET conversation k:1 1\nSET actor k:1 2\nSLOW 1000 20"

    ours = await world.post("/v1/events", said(script, "e1", **ids), key=connector)
    theirs = await world.post(
        "/v1/events", said("GET conversation k:1\nGET actor k:1", "e1", **ids), key=rival
    )
    steered = await world.post("/v1/events", said("ours", "e2", **ids), key=connector)
    stranger = await world.post("/v1/events", said("theirs", "e2", **ids), key=rival)
    hostile = await world.ask(
        "POST", "/v1/events", said("x", "e3", **{**ids, "conversation_id": "room\0" + "42"}), key=rival
    )

    assert theirs["session_id"] == stranger["session_id"] != ours["session_id"]
    assert (hostile.status_code, hostile.json()["code"]) == (422, "invalid")
    assert (steered["disposition"], steered["run_id"]) == ("steered", ours["run_id"])
    assert "".join(await spoken(world, theirs, rival)) == "nullnull"
    stream = world.follow(ours["session_id"], key=connector)
    await stream.frame(lambda f: f.id is not None and "steered" in f.data["data"].get("text", ""))
    await world.post(f"/v1/sessions/{ours['session_id']}/interrupt", {}, key=connector)
    heard = "".join(await spoken(world, ours, connector))
    assert "steered: ours" in heard and "theirs" not in heard


async def test_thread_is_told_from_a_conversation_with_a_colon(world: World, connector: str) -> None:
    joined = await world.post("/v1/events", said(event_id="e1", conversation_id="room:42"), key=connector)
    parted = await world.post(
        "/v1/events", said(event_id="e2", conversation_id="room", thread_id="42"), key=connector
    )

    assert joined["session_id"] != parted["session_id"]


async def test_secrets_of_an_event_are_named_and_kept_nowhere(world: World, connector: str) -> None:
    event = said(data={"api_key": "canary-1"}, raw_ref={"token": "canary-2"})

    receipt = await world.post("/v1/events", event, key=connector)
    await ended(world, receipt, connector)

    kept = b"".join(path.read_bytes() for path in world.home.glob("tenure.db*"))
    assert receipt["dropped"] == ["data.api_key", "raw_ref.token"]
    assert b"canary-" not in kept


async def test_key_of_the_request_makes_the_answer_the_same(world: World, connector: str) -> None:
    headers = {"Idempotency-Key": "k1"}

    first = await world.ask("POST", "/v1/events", said(), key=connector, headers=headers)
    again = await world.ask("POST", "/v1/events", said(), key=connector, headers=headers)
    other = await world.ask("POST", "/v1/events", said(event_id="e2"), key=connector, headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


# --- attachments


def attached(*attachments: Json, event_id: str = "e1", text: str = "SAY x") -> Json:
    """A message that comes with files."""
    return said(event_id=event_id, input={"text": text, "attachments": list(attachments)})


def by_value(name: str, data: bytes = b"bytes") -> Json:
    """A file as it comes within an event."""
    return {"type": "file", "name": name, "content": base64.b64encode(data).decode()}


async def files(world: World, receipt: Json, key: str) -> list[str]:
    """The names of the session's files."""
    page = await world.get(f"/v1/sessions/{receipt['session_id']}/files", key=key)
    return sorted(file["name"] for file in page["data"])


@pytest.mark.sources("O25", "D-O17")
async def test_attachments_lie_in_the_folder_before_the_run_begins(world: World, connector: str) -> None:
    event = attached(by_value("a.txt", b"first"), by_value("a.txt", b"second"))

    receipt = await world.post("/v1/events", event, key=connector)

    journal = await ended(world, receipt, connector)
    kinds = [e["type"] for e in journal]
    admitted = next(e for e in journal if e["type"] == "message.admitted")
    made = [e["data"]["artifact_id"] for e in journal if e["type"] == "artifact.created"]
    assert await files(world, receipt, connector) == ["a (2).txt", "a.txt"]
    assert kinds.index("artifact.created") < kinds.index("message.admitted") < kinds.index("run.started")
    assert admitted["data"]["content"] == [
        {"type": "text", "text": "SAY x"},
        *[{"type": "file", "file_id": file_id} for file_id in made],
    ]


@pytest.mark.sources("O26")
async def test_attachment_that_fails_is_named_and_the_turn_goes_on(world: World, connector: str) -> None:
    event = attached(
        {"name": "bad.txt", "content": "no base64!"},
        {"name": "inner.txt", "url": "https://127.0.0.1/secret"},
        {"name": "passwd", "path": "/etc/passwd"},
        by_value("good.txt"),
    )

    receipt = await world.post("/v1/events", event, key=connector)

    journal = await ended(world, receipt, connector)
    admitted = next(e for e in journal if e["type"] == "message.admitted")
    texts = [part["text"] for part in admitted["data"]["content"] if part["type"] == "text"]
    finished = next(e for e in journal if e["type"] == "run.finished")
    assert await files(world, receipt, connector) == ["good.txt"]
    assert finished["data"]["status"] == "completed"
    assert [text.split(" couldn't be taken: ")[0] for text in texts[1:]] == [
        "(The attachment bad.txt",
        "(The attachment inner.txt",
        "(The attachment passwd",
    ]


async def test_event_with_attachments_delivered_many_times_brings_them_once(
    world: World, connector: str
) -> None:
    event = attached(by_value("a.txt"))

    answers = await asyncio.gather(
        *[world.ask("POST", "/v1/events", event, key=connector) for _ in range(10)]
    )

    receipts = [answer.json() for answer in answers]
    assert all(receipt == receipts[0] for receipt in receipts)
    assert await files(world, receipts[0], connector) == ["a.txt"]


async def test_event_of_more_than_a_mebibyte_is_taken_with_its_file(world: World, connector: str) -> None:
    event = attached(by_value("large.bin", bytes(2 << 20)))

    receipt = await world.post("/v1/events", event, key=connector)

    assert await files(world, receipt, connector) == ["large.bin"]


async def test_event_itself_has_at_most_a_mebibyte(world: World, connector: str) -> None:
    answer = await world.ask("POST", "/v1/events", said("SAY " + "x" * (1 << 20)), key=connector)

    assert (answer.status_code, answer.json()["limit"]) == (413, 1 << 20)
