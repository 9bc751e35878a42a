"""State over HTTP: values with versions as entity tags, whose they are, and why a request is refused."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tenure import wiring
from tenure.agent_tables import AnyAgentSettings, PythonAgent, StateSettings
from tenure.config import BindingSettings, Settings
from tests.http.world import Json, World, a_world

pytestmark = pytest.mark.anyio

EVENT = "/v1/events"


def binding(name: str, bot: str, tenant: str = "acme") -> BindingSettings:
    """A binding of *scripted* for one bot."""
    scope = {"type": "bot", "id": bot}
    given = {"id": name, "tenant": tenant, "agent": "scripted", "scope": scope, "event_types": ["*"]}
    return BindingSettings.model_validate(given)


BINDINGS = (binding("one", "tg-1"), binding("two", "tg-2"), binding("rival", "tg-1", "rival"))


@pytest.fixture
async def world(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[World]:
    """A host with the demo agents and a binding for each bot."""
    async with a_world(tmp_path / "home", BINDINGS) as world:
        yield world


def path(session: str, scope: str, key: str | None = None) -> str:
    """Where state lives; the key is percent-encoded already."""
    return f"/v1/sessions/{session}/state/{scope}" + ("" if key is None else f"/{key}")


async def code(
    world: World, method: str, where: str, body: object = None, **how: Any
) -> tuple[int, str, Any]:
    """Status, code and reason of a refusal."""
    answer = await world.ask(method, where, body, **how)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, problem["code"], problem.get("reason")


async def put(world: World, where: str, value: object, **how: Any) -> Json:
    """Keep a value: the answer."""
    answer = await world.ask("PUT", where, {"value": value}, **how)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def said(world: World, session: str, text: str, **how: Any) -> list[str]:
    """What *scripted* says to a message, delta by delta."""
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": text}, **how)
    await stream.end()
    return [e["data"]["text"] for e in stream.events if e["type"] == "message.delta"]


async def test_a_value_is_kept_read_replaced_and_deleted(world: World) -> None:
    session = await world.session()
    where = path(session, "conversation", "plan")

    made = await world.ask("PUT", where, {"value": {"steps": [1]}})
    again = await world.ask("PUT", where, {"value": None})
    read = await world.ask("GET", where)
    gone = await world.ask("DELETE", where)

    assert made.json() == {"scope": "conversation", "key": "plan", "value": {"steps": [1]}, "version": 1}
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    assert (
        read.json() == again.json() == {"scope": "conversation", "key": "plan", "value": None, "version": 2}
    )
    assert read.headers["etag"] == '"2"'
    assert read.headers["cache-control"] == "no-store"
    assert (gone.status_code, gone.text) == (204, "")
    assert await code(world, "GET", where) == (404, "not_found", None)
    assert await code(world, "DELETE", where) == (404, "not_found", None)
    assert (await put(world, where, 1))["version"] == 4
    told = [e for e in await world.journal(session) if e["type"] == "state.updated"]
    assert [(e["run_id"], e["data"]) for e in told] == [
        (
            None,
            {"scope": "conversation", "key": "plan", "version": 1, "value": {"steps": [1]}, "by": "admin"},
        ),
        (None, {"scope": "conversation", "key": "plan", "version": 2, "value": None, "by": "admin"}),
        (None, {"scope": "conversation", "key": "plan", "version": 3, "deleted": True, "by": "admin"}),
        (None, {"scope": "conversation", "key": "plan", "version": 4, "value": 1, "by": "admin"}),
    ]


@pytest.mark.sources("A12", "D-S7")
async def test_a_condition_that_does_not_hold_answers_412_with_the_version_there_is(world: World) -> None:
    where = path(await world.session(), "actor", "n")

    assert await code(world, "PUT", where, {"value": 1}, headers={"If-Match": "*"}) == (412, "stale", None)
    await put(world, where, 1, headers={"If-None-Match": "*"})
    assert (await put(world, where, 2, headers={"If-Match": 'W/"1"'}))["version"] == 2
    for headers in ({"If-None-Match": "*"}, {"If-Match": '"1"'}, {"If-Match": '"7", "1"'}):
        answer = await world.ask("PUT", where, {"value": 3}, headers=headers)
        assert (answer.status_code, answer.json()["version"]) == (412, 2)
        assert (await code(world, "DELETE", where, headers=headers))[0] == 412
    assert (await put(world, where, 3, headers={"If-Match": '"7", "2"'}))["version"] == 3
    assert (await world.ask("DELETE", where, headers={"If-Match": "*"})).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "x"},
        {"If-Match": '""'},
        {"If-Match": "W/"},
        {"If-Match": '"-1"'},
        {"If-None-Match": '"1"'},
        {"If-Match": '"1"', "If-None-Match": "*"},
    ],
    ids=str,
)
async def test_a_condition_that_is_none_is_refused(world: World, headers: dict[str, str]) -> None:
    where = path(await world.session(), "actor", "n")

    assert await code(world, "PUT", where, {"value": 1}, headers=headers) == (422, "invalid", None)


@pytest.mark.sources("A12", "D-S7")
async def test_four_times_five_hundred_increments_by_compare_and_set_make_two_thousand(world: World) -> None:
    session = await world.session()
    where = path(session, "conversation", "count")
    await put(world, where, 0)

    async def increments() -> None:
        for _ in range(500):
            while True:
                now = (await world.ask("GET", where)).json()
                tag = {"If-Match": f'"{now["version"]}"'}
                answer = await world.ask("PUT", where, {"value": now["value"] + 1}, headers=tag)
                if answer.status_code == 200:
                    break
                assert answer.status_code == 412

    await asyncio.gather(*(increments() for _ in range(4)))

    assert (await world.get(where))["value"] == 2_000


async def test_a_write_that_is_repeated_under_its_key_is_answered_again_and_done_once(world: World) -> None:
    where = path(await world.session(), "actor", "n")
    headers = {"Idempotency-Key": "k1", "If-None-Match": "*"}

    first = await world.ask("PUT", where, {"value": 1}, headers=headers)
    again = await world.ask("PUT", where, {"value": 1}, headers=headers)

    assert (first.status_code, first.json(), first.headers["etag"]) == (200, again.json(), '"1"')
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    for how in (
        {"body": {"value": 2}, "headers": headers},
        {"body": {"value": 1}, "headers": {"Idempotency-Key": "k1"}},
    ):
        assert (await code(world, "PUT", where, **how))[:2] == (409, "idempotency_conflict")
    elsewhere = where + "?actor=user:x"
    assert (await code(world, "PUT", elsewhere, {"value": 1}, headers=headers))[0] == 409
    assert (await world.get(where))["version"] == 1


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("%C3%BC%20x", "ü x"),
        ("memory.facts:1", "memory.facts:1"),
        ("%F0%9F%98%80", "😀"),
        ("%2F", "/"),
        ("%25", "%"),
        ("%C3%BC" * 200, "ü" * 200),
    ],
)
async def test_a_key_is_any_text_percent_encoded(world: World, sent: str, key: str) -> None:
    session = await world.session()
    where = path(session, "conversation", sent)

    answer = await put(world, where, 1)

    assert answer == {"scope": "conversation", "key": key, "value": 1, "version": 1}
    listed = await world.get(path(session, "conversation"))
    assert [value["key"] for value in listed["data"]] == [key]


@pytest.mark.parametrize("sent", ["", "%00", "a%0Ab", "%7F", "%FF", "%ED%A0%80", "x" * 201])
async def test_a_key_that_is_none_is_refused(world: World, sent: str) -> None:
    where = path(await world.session(), "conversation", sent)

    answer = await world.ask("PUT", where, {"value": 1})

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", "key")


async def test_bodies_hold_a_value_and_perhaps_its_time_to_live(world: World) -> None:
    where = path(await world.session(), "conversation", "k")

    for body in ({}, {"value": 1, "more": 1}, {"value": 1, "ttl_s": 0}, {"value": "\x00"}):
        assert (await code(world, "PUT", where, body))[:2] == (422, "invalid")
    kept = await world.ask("PUT", where, {"value": 1, "ttl_s": 60})
    assert kept.json() == await world.get(where)
    assert kept.json()["expires_at"].endswith("Z")


@pytest.mark.sources("S25", "D-S6", "A12")
async def test_a_value_larger_than_256_kib_is_refused(world: World) -> None:
    where = path(await world.session(), "conversation", "k")

    await put(world, where, "x" * (256 * 1024 - 2))
    answer = await world.ask("PUT", where, {"value": "x" * (256 * 1024 - 1)})

    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (413, "too_large", 262_144)


@pytest.mark.sources("S25", "D-S6", "A12", "S15")
async def test_a_scope_is_listed_in_pages_and_cleared_key_by_key(world: World) -> None:
    session = await world.session()
    where = path(session, "conversation")
    for n in range(5):
        await put(world, f"{where}/k{n}", n)

    first = await world.get(f"{where}?limit=3")
    second = await world.get(f"{where}?limit=3&cursor={first['next_cursor']}")

    assert [v["value"] for v in first["data"] + second["data"]] == [0, 1, 2, 3, 4]
    assert first["data"][0] == {"scope": "conversation", "key": "k0", "value": 0, "version": 1}
    assert (second["next_cursor"], second["as_of_seq"]) == (None, 6)
    assert (await code(world, "GET", f"{where}?cursor=x"))[:2] == (400, "bad_cursor")
    assert (await code(world, "GET", f"{where}?limit=1001"))[:2] == (422, "invalid")
    for n in range(5):
        assert (await world.ask("DELETE", f"{where}/k{n}")).status_code == 204
    assert (await world.get(where))["data"] == []


@pytest.mark.sources("S03")
async def test_the_alias_of_the_outside_id_leads_to_one_value(world: World) -> None:
    session = await world.session()

    made = await put(world, path(session, "conversation", "conversation_id"), "c-1")

    assert made["key"] == "external.conversation_id"
    assert await world.get(path(session, "conversation", "external.conversation_id")) == made
    listed = await world.get(path(session, "conversation"))
    assert listed["data"] == [made]


@pytest.mark.sources("S09", "S19", "S23", "D-S9", "D-S3")
async def test_every_refusal_says_why(world: World) -> None:
    session = await world.session()
    other = (await world.post("/v1/sessions", {"agent": "longhaul"}))["id"]

    assert await code(world, "GET", path(session, "nope", "k")) == (422, "invalid", "unknown_scope")
    assert await code(world, "GET", path(session, "nope")) == (422, "invalid", "unknown_scope")
    assert await code(world, "PUT", path(other, "runner", "k"), {"value": 1}) == (
        403,
        "forbidden",
        "scope_not_enabled",
    )
    assert await code(world, "GET", path(session, "subject", "k")) == (422, "invalid", "identity_missing")
    assert (await code(world, "GET", path(session, "runner", "k") + "?actor=user:x"))[:2] == (422, "invalid")
    assert (await code(world, "GET", path(session, "actor", "k") + "?actor=x"))[:2] == (422, "invalid")
    assert (await code(world, "GET", path("ses_" + "0" * 32, "actor", "k")))[:2] == (404, "not_found")


async def test_a_member_has_its_own_state_and_an_operator_reaches_that_of_others(world: World) -> None:
    ann, bob = await world.key("member", "ann", "acme"), await world.key("member", "bob", "acme")
    olga = await world.key("operator", "olga", "acme")
    session, bobs = await world.session(key=ann), await world.session(key=bob)
    await put(world, path(session, "actor", "mail"), "ann@x", key=ann)

    assert (await code(world, "GET", path(bobs, "actor", "mail"), key=bob))[0] == 404
    assert (await code(world, "GET", path(bobs, "actor", "mail") + "?actor=user:ann", key=bob)) == (
        403,
        "forbidden",
        "not_yours",
    )
    theirs = path(bobs, "actor", "mail") + "?actor=user:ann"
    assert (await world.get(theirs, key=olga))["value"] == "ann@x"
    assert (await code(world, "GET", path(session, "actor", "mail"), key=olga))[0] == 404
    await put(world, path(session, "subject", "k") + "?subject=group:g", 1, key=olga)
    assert (await world.get(path(bobs, "subject", "k") + "?subject=group:g", key=olga))["value"] == 1


async def test_runner_state_is_shared_by_all_who_use_the_agent_in_one_tenant(world: World) -> None:
    ann, bob = await world.key("member", "ann", "acme"), await world.key("member", "bob", "acme")
    rival = await world.key("member", "ann", "rival")
    viewer = await world.key("viewer", "bob", "acme")
    one, other = await world.session(key=ann), await world.session(key=bob)

    await put(world, path(one, "runner", "k"), 1, key=ann)

    assert (await world.get(path(other, "runner", "k"), key=bob))["value"] == 1
    elsewhere = path(await world.session(key=rival), "runner", "k")
    assert (await code(world, "GET", elsewhere, key=rival))[0] == 404
    assert (await code(world, "PUT", path(other, "runner", "k"), {"value": 2}, key=viewer))[0] == 403


@pytest.mark.sources("S01", "S12", "S23", "D-S9")
async def test_scripted_sets_and_gets_in_all_four_scopes_and_says_why_not(world: World) -> None:
    session = await world.session()

    heard = await said(
        world,
        session,
        'SET conversation plan {"a": [1]}\nSET actor mail "a@b"\nSET runner n 3\n'
        "GET conversation plan\nGET actor mail\nGET runner n\nGET actor none\n"
        "SET subject k 1\nSET nope k 1\nSET actor k {\nGET actor",
    )

    assert heard[:4] == ['{"a":[1]}', '"a@b"', "3", "null"]
    assert [text.partition(",")[0].partition(".")[0].strip() for text in heard[4:]] == [
        "There is no subject here",
        "There is no scope 'nope'",
        "SET needs a value in JSON",
        "GET needs a scope and a key",
    ]
    assert (await world.get(path(session, "actor", "mail")))["value"] == "a@b"
    assert (await said(world, session, "GET conversation plan")) == ['{"a":[1]}']


def event(event_id: str, text: str, **fields: Any) -> Json:
    """Somebody says something in the conversation room:42 of the bot tg-1."""
    return {
        "event_id": event_id,
        "event_type": "message.received",
        "source": "platform",
        "bot_id": "tg-1",
        "conversation_id": "room:42",
        "actor": {"type": "user", "id": "x:y"},
        "input": {"text": text},
        **fields,
    }


async def heard(world: World, key: str, posted: Json) -> str:
    """What *scripted* says to an event."""
    receipt = await world.post(EVENT, posted, key=key)
    stream = world.follow(receipt["session_id"], f"?after={receipt['seq']}", key=key)
    await stream.event("run.finished")
    return "".join(e["data"]["text"] for e in stream.events if e["type"] == "message.delta")


@pytest.mark.sources("A10", "D-S1", "D-S2")
async def test_events_with_equal_ids_in_two_tenants_or_of_two_bots_share_no_state(world: World) -> None:
    ours = await world.key("operator", "gateway", "acme")
    theirs = await world.key("operator", "gateway", "rival")
    written = "SET conversation k 1\nSET actor k 1\nSET runner k 1"
    read = "GET conversation k\nGET actor k"

    await heard(world, ours, event("e1", written))

    assert await heard(world, theirs, event("e1", read + "\nGET runner k")) == "nullnullnull"
    assert await heard(world, ours, event("e2", read, bot_id="tg-2")) == "nullnull"
    apart = {"conversation_id": "room", "thread_id": "42", "actor": {"type": "user:x", "id": "y"}}
    assert await heard(world, ours, event("e3", read, **apart)) == "nullnull"
    assert await heard(world, ours, event("e4", read)) == "11"
    elsewhere = {"conversation_id": "another"}
    assert await heard(world, ours, event("e5", read, **elsewhere)) == "null1"


@pytest.mark.sources("S18", "S19", "D-S3")
async def test_an_event_without_actor_or_subject_has_no_state_of_one(world: World) -> None:
    key = await world.key("operator", "gateway", "acme")
    text = "SET actor k 1\nGET subject k"
    nobody = event("e1", text, actor=None)
    about = event("e2", "SET subject k 7\nGET subject k", subject={"type": "group", "id": "g"})

    told = await heard(world, key, nobody)

    assert told.count("so nobody knows whose") == 2
    assert await heard(world, key, about) == "7"


@pytest.mark.sources("D-S4")
async def test_one_conversation_has_one_state_by_events_and_by_the_api(world: World) -> None:
    key = await world.key("operator", "gateway", "acme")
    await heard(world, key, event("e1", "SET conversation k 1"))
    ask = {"agent": "scripted", "conversation": {"bot_id": "tg-1", "conversation_id": "room:42"}}

    session = (await world.post("/v1/sessions", ask, key=key))["id"]

    assert (await world.get(path(session, "conversation", "k"), key=key))["value"] == 1
    about = "?actor=user:x:y"
    await put(world, path(session, "actor", "mail") + about, "x@y", key=key)
    assert await heard(world, key, event("e2", "GET actor mail")) == '"x@y"'


async def test_a_closed_session_keeps_its_state_and_a_deleted_one_takes_its_own_along(world: World) -> None:
    session, other = await world.session(), await world.session()
    await put(world, path(session, "conversation", "k"), 1)
    await put(world, path(session, "actor", "k"), 2)
    await world.post(f"/v1/sessions/{session}/close", {})

    assert (await world.get(path(session, "conversation", "k")))["value"] == 1
    assert (await world.ask("DELETE", f"/v1/sessions/{session}")).status_code == 204
    assert (await code(world, "GET", path(session, "conversation", "k")))[0] == 404
    assert (await world.get(path(other, "actor", "k")))["value"] == 2


@pytest.mark.sources("D-S10", "S24")
async def test_state_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    async with a_world(tmp_path / "home") as world:
        session = await world.session()
        kept = await put(world, path(session, "actor", "mail"), {"a": "b"})

    async with a_world(tmp_path / "home") as world:
        assert await world.get(path(session, "actor", "mail")) == kept


@pytest.mark.sources("S21")
async def test_the_operator_says_which_scopes_an_agent_has(tmp_path: Path) -> None:
    target = "tenure.runners.demo.longhaul:longhaul"
    agents: dict[str, AnyAgentSettings] = {
        "off": PythonAgent(target=target, state=StateSettings(enabled=False)),
        "shared": PythonAgent(target=target, state=StateSettings(scopes=("runner",))),
    }
    settings = Settings(home=tmp_path / "home", entry_points=False, agents=agents)
    world = World(await wiring.build(settings), settings.home)
    off, shared = [(await world.post("/v1/sessions", {"agent": name}))["id"] for name in agents]

    assert await code(world, "GET", path(off, "conversation", "k")) == (403, "forbidden", "state_disabled")
    assert await code(world, "GET", path(shared, "actor")) == (403, "forbidden", "scope_not_enabled")
    assert (await put(world, path(shared, "runner", "k"), 1))["version"] == 1
    await world.close()
