"""The audit log and the users by HTTP: for admins, of their tenant alone."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.http.world import World

pytestmark = pytest.mark.anyio


async def entries(world: World, key: str = "", **query: str) -> list[dict[str, Any]]:
    """The audit log, the latest entry first."""
    return (await world.get(f"/v1/audit?{urlencode(query)}", key=key))["data"]


async def test_what_admins_do_is_told_with_their_key_and_without_any_secret(world: World) -> None:
    made = await world.post("/v1/keys", {"role": "admin", "user": "alma", "tenant": "acme"})
    session = await world.session(key=made["key"])
    assert (await world.ask("DELETE", f"/v1/sessions/{session}", key=made["key"])).status_code == 204

    deleted, created = await entries(world, made["key"])

    assert (deleted["action"], deleted["by"], deleted["key_id"], deleted["tenant"]) == (
        "session.deleted",
        "alma",
        made["id"],
        "acme",
    )
    assert deleted["subject"] == {"kind": "session", "id": session}
    assert (created["action"], created["by"]) == ("key.created", "admin")
    assert created["subject"] == {"kind": "key", "id": made["id"]}
    assert made["key"] not in (await world.ask("GET", "/v1/audit")).text


@pytest.mark.sources("P12")
async def test_tenant_reads_its_own_log_and_the_bootstrap_admin_reads_all(world: World) -> None:
    acme, rival = await world.key("admin", "alma", "acme"), await world.key("admin", "rhea", "rival")

    assert {entry["tenant"] for entry in await entries(world, acme)} == {"acme"}
    assert {entry["tenant"] for entry in await entries(world, rival)} == {"rival"}
    assert {entry["tenant"] for entry in await entries(world)} == {"acme", "rival", "default"}
    assert await entries(world, acme, by="rhea") == []


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/users"])
@pytest.mark.parametrize("role", ["operator", "member", "viewer"])
async def test_log_and_users_are_for_admins(world: World, path: str, role: str) -> None:
    response = await world.ask("GET", path, key=await world.key(role))

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


async def test_drain_is_told_once_and_of_no_tenant(world: World) -> None:
    (host,) = (await world.get("/v1/stats"))["hosts"]
    for _ in range(2):
        await world.post("/v1/drain")

    (drained,) = await entries(world, action="host.drained")
    assert (drained["by"], drained["tenant"]) == ("admin", "")
    assert drained["subject"] == {"kind": "host", "id": str(host["id"])}


async def test_log_is_asked_by_action_user_and_time(world: World) -> None:
    alma = await world.key("admin", "alma", "acme")
    session = await world.session(key=alma)
    await world.ask("DELETE", f"/v1/sessions/{session}", key=alma)
    (last,) = await entries(world, alma, limit="1")

    assert [e["action"] for e in await entries(world, alma, by="alma")] == ["session.deleted"]
    assert [e["by"] for e in await entries(world, alma, action="key.created")] == ["admin"]
    assert await entries(world, alma, since=last["at"]) == [last]
    assert await entries(world, alma, since="2999-01-01T00:00:00+01:00") == []


@pytest.mark.parametrize("query", ["action=nothing", "since=yesterday", "limit=0", "who=me"])
async def test_what_the_log_cannot_answer_is_refused(world: World, query: str) -> None:
    response = await world.ask("GET", f"/v1/audit?{query}")

    assert (response.status_code, response.json()["code"]) == (422, "invalid")


async def test_users_are_those_of_keys_and_sessions(world: World) -> None:
    alma, ann = await world.key("admin", "alma", "acme"), await world.key("member", "ann", "acme")
    await world.key("operator", "ann", "acme")
    await world.key("member", "rhea", "rival")
    await world.session(key=ann)

    page = await world.get("/v1/users", key=alma)
    everybody = await world.get("/v1/users?limit=2")

    assert page == {
        "data": [
            {
                "tenant": "acme",
                "user": "alma",
                "roles": ["admin"],
                "keys": 1,
                "open_sessions": 0,
                "live_runs": 0,
            },
            {
                "tenant": "acme",
                "user": "ann",
                "roles": ["operator", "member"],
                "keys": 2,
                "open_sessions": 1,
                "live_runs": 0,
            },
        ],
        "next_cursor": None,
    }
    rest = await world.get(f"/v1/users?cursor={everybody['next_cursor']}")
    assert [user["user"] for user in everybody["data"] + rest["data"]] == ["alma", "ann", "admin", "rhea"]
