"""What people look at before they read everything: facets, runs over sessions, what went wrong."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.http.world import World

pytestmark = pytest.mark.anyio

LONG = "SLOW 100000 20"
AHEAD, BEHIND = "2099-01-01T00:00:00Z", "2020-01-01T00:00:00%2B02:00"


async def spoken(world: World, text: str, key: str = "", **fields: Any) -> Any:
    """A session in which this was said and answered, as lists show it."""
    made = await world.post("/v1/sessions", {"agent": "scripted", **fields}, key=key)
    await world.stream("POST", f"/v1/sessions/{made['id']}/messages", {"content": text}, key=key).end()
    page = await world.get("/v1/sessions", key=key)
    return next(session for session in page["data"] if session["id"] == made["id"])


async def test_a_listed_session_is_the_session_and_how_it_fared(world: World) -> None:
    listed = await spoken(world, "FAIL no luck", title="Trip")
    session = await world.get(f"/v1/sessions/{listed['id']}")
    (run,) = (await world.get(f"/v1/sessions/{listed['id']}/runs"))["data"]
    (hit,) = (await world.get("/v1/sessions?q=trip"))["data"]

    assert listed == {
        **session,
        "last_run": {
            "id": run["id"],
            "status": "failed",
            "reason": "no luck",
            "finished_at": run["finished_at"],
        },
        "last_line": {"role": "user", "text": "FAIL no luck"},
        "found": None,
    }
    assert hit == {**listed, "found": {"message_id": None, "text": "Trip", "marks": [[0, 4]]}}


@pytest.mark.sources("P12")
async def test_lists_are_narrowed_by_owner_as_far_as_the_caller_reaches(world: World) -> None:
    ann, ben = await world.key("member", "ann", "acme"), await world.key("member", "ben", "acme")
    olga, rival = await world.key("operator", "olga", "acme"), await world.key("operator", "ann", "rival")
    for key in (ann, ben):
        await spoken(world, "SAY x", key=key)

    async def owners(path: str, key: str) -> list[str]:
        field = "owner" if path.startswith("/v1/sessions") else "session_owner"
        return [item[field] for item in (await world.get(path, key=key))["data"]]

    for path in ("/v1/sessions", "/v1/runs"):
        assert await owners(path, olga) == ["ben", "ann"]
        assert await owners(f"{path}?owner=ann", olga) == ["ann"]
        assert await owners(f"{path}?owner=ann", ann) == ["ann"]
        assert await owners(f"{path}?owner=ann", ben) == []
        assert await owners(f"{path}?owner=ann", rival) == []
        assert await owners(f"{path}?owner=ben", "") == ["ben"]


async def test_sessions_are_narrowed_by_how_their_last_run_fared(world: World) -> None:
    fine = await spoken(world, "SAY x")
    bad = await spoken(world, "FAIL no")

    async def found(status: str) -> list[str]:
        return [s["id"] for s in (await world.get(f"/v1/sessions?last_run={status}"))["data"]]

    assert [await found(status) for status in ("completed", "failed", "lost")] == [
        [fine["id"]],
        [bad["id"]],
        [],
    ]


@pytest.mark.sources("P12")
async def test_facets_tell_what_the_callers_sessions_could_be_filtered_by(world: World) -> None:
    ann, rival = await world.key("member", "ann", "acme"), await world.key("member", "ann", "rival")
    await world.post("/v1/sessions", {"agent": "scripted", "labels": {"team": "blue"}}, key=ann)
    await world.post("/v1/sessions", {"agent": "longhaul", "labels": {"team": "red"}}, key=ann)
    await world.post("/v1/sessions", {"agent": "longhaul", "labels": {"team": "red"}}, key=ann)

    assert await world.get("/v1/sessions/facets", key=ann) == {
        "agents": [{"name": "longhaul", "count": 2}, {"name": "scripted", "count": 1}],
        "statuses": [{"name": "idle", "count": 3}],
        "owners": [{"name": "ann", "count": 3}],
        "labels": {"team": ["red", "blue"]},
    }
    assert await world.get("/v1/sessions/facets", key=rival) == {
        "agents": [],
        "statuses": [],
        "owners": [],
        "labels": {},
    }


async def test_runs_of_all_sessions_are_narrowed_and_come_in_pages(world: World) -> None:
    done, bad = await spoken(world, "SAY x"), await spoken(world, "FAIL no", title="Trip")
    live = await world.session()
    await world.say(live, LONG)
    everything = await world.get("/v1/runs")
    (newest, failed, oldest) = everything["data"]

    async def found(query: str) -> list[Any]:
        return (await world.get(f"/v1/runs?{query}"))["data"]

    assert [run["session_id"] for run in everything["data"]] == [live, bad["id"], done["id"]]
    run = await world.get(f"/v1/runs/{failed['id']}")
    assert failed == {**run, "session_title": "Trip", "session_owner": "admin"}
    assert await found("status=failed") == [failed]
    assert [r["id"] for r in await found("status=running")] == [newest["id"]]
    assert [r["id"] for r in await found("older_than_s=0")] == [newest["id"]]
    assert await found("older_than_s=3600") == []
    assert await found(f"since={AHEAD}") == []
    assert len(await found(f"since={BEHIND}&agent=scripted")) == 3
    assert await found("agent=longhaul") == []
    page = await world.get("/v1/runs?limit=2")
    assert len(page["data"]) == 2
    rest = await world.get(f"/v1/runs?limit=2&cursor={page['next_cursor']}")
    assert rest == {"data": [oldest], "next_cursor": None}


@pytest.mark.sources("P12")
async def test_what_went_wrong_is_put_together_within_reach(world: World) -> None:
    ann, ben = await world.key("member", "ann", "acme"), await world.key("member", "ben", "acme")
    await spoken(world, "SAY fine", key=ann)
    await spoken(world, "FAIL no luck", key=ann)
    latest = await spoken(world, "FAIL no luck", key=ann)
    run = latest["last_run"]

    found = await world.get("/v1/runs/faults", key=ann)

    assert found == {
        "data": [
            {
                "agent": "scripted",
                "status": "failed",
                "reason": "no luck",
                "count": 2,
                "latest_at": run["finished_at"],
                "latest_run_id": run["id"],
                "latest_session_id": latest["id"],
            }
        ]
    }
    assert await world.get("/v1/runs/faults", key=ben) == {"data": []}
    assert await world.get(f"/v1/runs/faults?since={AHEAD}", key=ann) == {"data": []}
    assert await world.get(f"/v1/runs/faults?since={quote(run['finished_at'])}", key=ann) == {
        "data": [{**found["data"][0], "count": 1}]
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("older_than_s=-1", "older_than_s"),
    ],
)
async def test_a_time_that_is_none_is_refused(world: World, query: str, field: str) -> None:
    answer = await world.ask("GET", f"/v1/runs?{query}")

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)
