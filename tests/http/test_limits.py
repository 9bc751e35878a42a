"""Limits as clients meet them: exactly as many as allowed, a pace for each user, and what was spent."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.http.world import World, a_world

pytestmark = pytest.mark.anyio


def problem(response: Any, *facts: str) -> tuple[object, ...]:
    """The status, the code and some facts of a refusal."""
    body = response.json()
    return (response.status_code, body["code"], *(body[fact] for fact in facts))


@pytest.mark.sources("A1", "M04", "M05", "D-M1", "P11")
async def test_of_200_concurrent_creations_exactly_50_are_made(tmp_path: Path) -> None:
    async with a_world(tmp_path, open_sessions=50) as world:
        keys = [await world.key("member", f"user{n}") for n in range(20)]
        answers = await asyncio.gather(
            *(world.ask("POST", "/v1/sessions", {"agent": "scripted"}, key=keys[n % 20]) for n in range(200))
        )
        made = [a for a in answers if a.status_code == 201]
        refused = {problem(a, "scope", "limit", "current") for a in answers if a.status_code != 201}

        assert len({a.json()["id"] for a in made}) == 50
        assert refused == {(429, "capacity", "global", 50, 50)}
        assert (await world.get("/v1/stats"))["open_sessions"] == 50


@pytest.mark.sources("A1", "A22", "M04", "D-M11")
@pytest.mark.parametrize("user", ["ann", "dev", "admin", "root", "system"])
async def test_of_40_concurrent_creations_of_one_user_exactly_10_are_made(tmp_path: Path, user: str) -> None:
    async with a_world(tmp_path, open_sessions_per_user=10) as world:
        key, other = await world.key("member", user), await world.key("member", "ben")
        answers = await asyncio.gather(
            *(world.ask("POST", "/v1/sessions", {"agent": "scripted"}, key=key) for _ in range(40))
        )
        refused = {problem(a, "scope", "limit") for a in answers if a.status_code != 201}

        assert sum(a.status_code == 201 for a in answers) == 10
        assert refused == {(429, "capacity", "per_user", 10)}
        assert (await world.ask("POST", "/v1/sessions", {"agent": "scripted"}, key=other)).status_code == 201


@pytest.mark.sources("P11")
async def test_every_command_counts_towards_a_users_pace_and_reading_doesnt(tmp_path: Path) -> None:
    async with a_world(tmp_path, commands_per_minute=5) as world:
        keys = [await world.key("member", "ann") for _ in range(2)]
        ben = await world.key("member", "ben")
        session = await world.session(key=keys[0])
        wire = world.socket(session, key=keys[1])
        answers = [await world.ask("PATCH", f"/v1/sessions/{session}", {"title": "a"}, key=keys[1])]
        answers.append(
            await world.ask("POST", f"/v1/sessions/{session}/messages", {"content": "x"}, key=keys[0])
        )
        replies = [await command(wire, n) for n in range(3)]
        late = await world.ask("DELETE", f"/v1/sessions/{session}", key=keys[0])

        assert [a.status_code for a in answers] == [200, 202]
        assert [(r["status"], r["body"].get("code")) for r in replies] == [
            (202, None),
            (202, None),
            (429, "rate_limited"),
        ]
        assert problem(late, "limit") == (429, "rate_limited", 5)
        assert int(late.headers["Retry-After"]) == late.json()["retry_after_s"] > 0
        assert (await world.ask("GET", f"/v1/sessions/{session}", key=keys[0])).status_code == 200
        assert (await world.ask("POST", "/v1/sessions", {"agent": "scripted"}, key=ben)).status_code == 201


async def command(wire: Any, number: int) -> Any:
    """Send a message over a socket; the reply."""
    wire.say({"id": number, "command": "send", "body": {"content": "x"}})
    return await wire.reply(number)


# --- usage


async def spend(world: World, user: str, tenant: str = "acme") -> str:
    """Let a user run something. Their key."""
    key = await world.key("member", user, tenant)
    session = await world.session(key=key)
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": "SAY hi"}, key=key)
    await stream.end()
    return key


def a_day(user: str, tenant: str = "acme") -> dict[str, object]:
    """A day with one run that told nothing of what it cost."""
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "tenant": tenant,
        "user": user,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost": None,
        "runs": 1,
        "tool_calls": 0,
    }


@pytest.mark.sources("P12")
async def test_users_see_their_own_usage_and_operators_their_tenants(world: World) -> None:
    ann, ben = await spend(world, "ann"), await spend(world, "ben")
    await spend(world, "ann", "rival")
    olga = await world.key("operator", "olga", "acme")

    seen = {
        "ann": await world.get("/v1/usage", key=ann),
        "ann by name": await world.get("/v1/usage?user=ann", key=ann),
        "olga": await world.get("/v1/usage", key=olga),
        "olga of ben": await world.get("/v1/usage?user=ben", key=olga),
        "root": await world.get("/v1/usage?user=ann"),
        "nobody": await world.get("/v1/usage?from=2020-01-01&to=2020-12-31", key=ben),
    }
    listed = {name: page["data"] for name, page in seen.items()}

    assert listed == {
        "ann": [a_day("ann")],
        "ann by name": [a_day("ann")],
        "olga": [a_day("ann"), a_day("ben")],
        "olga of ben": [a_day("ben")],
        "root": [a_day("ann"), a_day("ann", "rival")],
        "nobody": [],
    }
    assert problem(await world.ask("GET", "/v1/usage?user=ben", key=ann)) == (403, "forbidden")


async def test_usage_comes_in_pages(world: World) -> None:
    for user in ("ann", "ben", "cid"):
        await spend(world, user)
    olga = await world.key("operator", "olga", "acme")
    seen: list[str] = []
    query = ""
    while True:
        page = await world.get(f"/v1/usage?limit=2{query}", key=olga)
        seen += [day["user"] for day in page["data"]]
        if page["next_cursor"] is None:
            break
        query = f"&cursor={page['next_cursor']}"

    assert seen == ["ann", "ben", "cid"]


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-02-30", "from=2026-01-01T00:00:00Z", "since=1"])
async def test_a_day_that_is_none_is_refused(world: World, query: str) -> None:
    response = await world.ask("GET", f"/v1/usage?{query}")

    assert problem(response) == (422, "invalid")
