"""Capacity by HTTP: every limit with what is used of it, as far as the caller reaches."""

from pathlib import Path
from typing import Any

import pytest

from tenure.core.limits import Limits
from tests.http.world import World, a_world

pytestmark = pytest.mark.anyio

SCOPES = {
    "open_sessions": "global",
    "open_sessions_per_user": "per_user",
    "live_runs": "global",
    "live_runs_per_user": "per_user",
    "queued_messages_per_session": "per_session",
    "schedules_per_user": "per_user",
    "streams_per_user": "per_user",
    "commands_per_minute": "per_user",
    "held_runs": "global",
    "files_per_session": "per_session",
    "files_bytes_per_session": "per_session",
    "approval_ttl_s": "global",
    "hold_s": "global",
}


async def limits(world: World, key: str = "") -> dict[str, dict[str, Any]]:
    """Every limit by its name."""
    return {each["name"]: each for each in (await world.get("/v1/capacity", key=key))["limits"]}


def standing(name: str, limit: float | None, current: float | None, **whose: str | None) -> dict[str, Any]:
    """A limit as it stands."""
    nobody: dict[str, str | None] = {"tenant": None, "user": None, "session_id": None}
    fixed = {"name": name, "scope": SCOPES[name], "limit": limit, "current": current}
    return {**fixed, **nobody, **whose}


async def test_every_limit_of_the_settings_is_there(world: World) -> None:
    found = await limits(world)

    assert set(found) == set(Limits.__struct_fields__)
    assert {name: each["scope"] for name, each in found.items()} == SCOPES
    assert {name: each["limit"] for name, each in found.items()} == {
        name: getattr(Limits(), name) for name in SCOPES
    }
    assert found["commands_per_minute"] == standing("commands_per_minute", None, 0)


async def test_what_is_used_is_told_of_the_fullest_whom_the_caller_sees(world: World) -> None:
    ann, bob = await world.key("member", "ann", "acme"), await world.key("member", "bob", "acme")
    other = await world.key("member", "cy", "rival")
    for _ in range(3):
        await world.session(key=other)
    busy = await world.session(key=ann)
    await world.session(key=ann)
    await world.session(key=bob)
    await world.say(busy, "SLOW 100000 20", key=ann)
    await world.say(busy, "SAY next", key=ann)
    stream = world.follow(busy, key=ann)
    await stream.named("up_to_date")

    found = await limits(world, await world.key("operator", "olga", "acme"))

    assert found["open_sessions"] == standing("open_sessions", 100_000, 6)
    assert found["open_sessions_per_user"] == standing(
        "open_sessions_per_user", 1_000, 2, tenant="acme", user="ann"
    )
    assert found["live_runs"]["current"] == 1
    assert found["live_runs_per_user"] == standing("live_runs_per_user", 64, 1, tenant="acme", user="ann")
    assert found["streams_per_user"] == standing("streams_per_user", 1_000, 1, tenant="acme", user="ann")
    assert found["queued_messages_per_session"] == standing(
        "queued_messages_per_session", 100, 1, tenant="acme", session_id=busy
    )
    assert found["held_runs"]["current"] == 0
    everybody = await limits(world)
    assert everybody["open_sessions_per_user"]["user"] == "cy"
    await stream.leave()


@pytest.mark.sources("P12")
async def test_members_see_themselves_and_admins_their_tenant(world: World) -> None:
    keys = {who: await world.key("member", who, "acme") for who in ("ann", "bob")}
    keys["cy"] = await world.key("member", "cy", "rival")
    for key in keys.values():
        await world.session(key=key)
    seen = {
        "ann": keys["ann"],
        "admin": await world.key("admin", "alma", "acme"),
        "viewer": await world.key("viewer", "bob", "acme"),
        "root": world.root,
    }

    async def users(key: str) -> list[tuple[str, str]]:
        return [
            (user["tenant"], user["user"]) for user in (await world.get("/v1/capacity", key=key))["users"]
        ]

    assert {who: await users(key) for who, key in seen.items()} == {
        "ann": [("acme", "ann")],
        "admin": [("acme", "ann"), ("acme", "bob")],
        "viewer": [("acme", "bob")],
        "root": [("acme", "ann"), ("acme", "bob"), ("rival", "cy")],
    }


async def test_user_is_told_with_all_that_they_use(world: World) -> None:
    ann = await world.key("member", "ann", "acme")
    session = await world.session(key=ann)
    await world.post("/v1/schedules", {"session_id": session, "message": "SAY x", "in_s": 3600}, key=ann)
    stream = world.follow(session, key=ann)
    await stream.named("up_to_date")

    assert (await world.get("/v1/capacity", key=ann))["users"] == [
        {
            "tenant": "acme",
            "user": "ann",
            "open_sessions": 1,
            "live_runs": 0,
            "queued_runs": 0,
            "schedules": 1,
            "streams": 1,
        }
    ]
    await stream.leave()


async def test_commands_of_the_minute_are_counted_where_they_are_limited(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, commands_per_minute=2) as world:  # one comes back after half a minute
        await world.session()
        found = (await limits(world))["commands_per_minute"]

    assert (found["limit"], found["user"], found["current"] >= 1) == (2, "admin", True)


async def test_waiting_run_is_held_until_somebody_answers(world: World) -> None:
    session = await world.session()
    await world.say(session, "ASK x")
    asked = await world.follow(session).event("approval.requested")
    approval = asked.data["data"]["approval_id"]
    held = (await limits(world))["held_runs"]
    await world.post(f"/v1/approvals/{approval}", {"decision": "deny"})
    await world.follow(session).event("run.finished")

    assert held == standing("held_runs", 1_000, 1)
    assert (await limits(world))["held_runs"]["current"] == 0
