"""Schedules over HTTP: made, previewed, changed, ended, listed; and who may do what with whose."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.http.scheduled import made, refused, told
from tests.http.world import Json, World, a_world

pytestmark = pytest.mark.anyio

FAR = "2031-01-31T12:00:00.000000Z"
FILE = "art_" + "0" * 32

SOMEBODY_ELSES = (
    "Somebody else made this schedule, and it acts with their rights. You may pause it or delete it; "
    "to change it, make one of your own."
)
TOO_STRONG = (
    "This schedule was made with role admin, and it acts with that role. A key with role {role} "
    "may not change it. Pause it or delete it, and make one of your own."
)


# --- making one


async def test_a_schedule_is_answered_with_all_that_was_decided_and_reads_the_same(world: World) -> None:
    session = await world.session()
    ask = {"session_id": session, "at": "2031-01-31T13:00:00+01:00", "name": "late", "max_runs": 1}

    info = await made(world, ask)

    assert info == {
        "id": info["id"],
        "session_id": session,
        "agent": "scripted",
        "tenant": "default",
        "owner": "admin",
        "name": "late",
        "kind": "task",
        "message": "SAY x",
        "status": "active",
        "reason": None,
        "next_at": FAR,
        "explanation": info["explanation"],
        "at": FAR,
        "every_s": None,
        "anchor": None,
        "cron": None,
        "timezone": None,
        "missed": "once",
        "missed_max": 10,
        "overlap": "queue",
        "jitter_s": 0.0,
        "max_runs": 1,
        "ends_at": None,
        "retries": 0,
        "backoff_s": 30.0,
        "pause_after_failures": 5,
        "runs": 0,
        "failures": 0,
        "made_by": None,
        "last": None,
        "created_at": info["created_at"],
        "updated_at": info["created_at"],
    }
    assert info["explanation"]
    assert await world.get(f"/v1/schedules/{info['id']}") == info
    assert await world.get("/v1/schedules") == {"data": [info], "next_cursor": None}
    assert [event["type"] for event in await world.journal(session)] == [
        "session.created",
        "recall.scheduled",
    ]


REFUSED: tuple[tuple[Json, str, str], ...] = (
    ({}, "at", "exactly one of at, in_s, every_s and cron"),
    ({"in_s": 5, "every_s": 5}, "every_s", "in_s and every_s"),
    ({"every_s": None}, "at", "exactly one of at, in_s, every_s and cron"),
    ({"every_s": 0}, "every_s", "every_s (0) is refused: give at least 1 second."),
    ({"every_s": 0.5}, "every_s", "every_s (0.5)"),
    ({"every_s": "often"}, "every_s", 'every_s ("often")'),
    ({"every_s": 1e300}, "every_s", "every_s (1e+300)"),
    ({"in_s": 0}, "in_s", "in_s (0)"),
    ({"at": "2020-01-01T00:00:00Z"}, "at", "which is past"),
    ({"at": "2031-02-30T00:00:00Z"}, "at", "'2031-02-30T00:00:00Z'"),
    ({"at": "2031-02-03T00:00:00"}, "at", "offset"),
    ({"cron": "* * *"}, "cron", "'* * *'"),
    ({"cron": "0 0 30 2 *"}, "cron", "'0 0 30 2 *'"),
    ({"cron": "99 * * * *"}, "cron", "'99 * * * *'"),
    ({"cron": "0 9 * * *", "timezone": "Mars/Olympus"}, "timezone", "'Mars/Olympus'"),
    ({"cron": "0 9 * * *", "timezone": "../../etc/passwd"}, "timezone", "IANA"),
    ({"in_s": 5, "timezone": "UTC"}, "timezone", "timezone goes with cron alone"),
    ({"in_s": 5, "anchor": FAR}, "anchor", "anchor goes with every_s alone"),
    ({"in_s": 5, "ends_at": "2020-01-01T00:00:00Z"}, "ends_at", "2020-01-01T00:00:00"),
    ({"every_s": 5, "jitter_s": 10}, "jitter_s", "jitter_s is 10"),
    ({"in_s": 5, "max_runs": 0}, "max_runs", "max_runs (0)"),
    ({"in_s": 5, "missed": "never"}, "missed", 'missed ("never")'),
    ({"in_s": 5, "kind": "job"}, "kind", 'kind ("job")'),
    ({"in_s": 5, "colour": "red"}, "colour", 'colour ("red") isn\'t known here'),
    ({"in_s": 5, "session_id": "HERE"}, "session_id", "Give one of the two"),
    ({"in_s": 5, "message": [{"type": "file", "file_id": FILE}]}, "message", "has no files"),
)


@pytest.mark.sources("D-N7")
@pytest.mark.parametrize(("wrong", "field", "words"), REFUSED, ids=lambda value: str(value)[:40])
async def test_what_can_not_be_is_refused_with_field_and_reason_when_made_and_when_previewed(
    world: World, wrong: Json, field: str, words: str
) -> None:
    fields = {"agent": "scripted", "message": "SAY x", **wrong}
    if "session_id" in wrong:
        fields["session_id"] = await world.session()

    for path in ("/v1/schedules", "/v1/schedules/preview"):
        status, problem = await refused(world, "POST", path, fields)
        assert (status, problem["code"], problem["field"]) == (422, "invalid", field)
        assert words in problem["detail"]
    assert (await world.get("/v1/schedules"))["data"] == []


async def test_a_schedule_for_nobody_or_for_an_unknown_agent_is_refused(world: World) -> None:
    nobody = await refused(world, "POST", "/v1/schedules", {"message": "x", "in_s": 5})
    unknown = {"message": "x", "in_s": 5, "agent": "nope"}

    assert (nobody[0], nobody[1]["field"]) == (422, "session_id")
    for path in ("/v1/schedules", "/v1/schedules/preview"):
        status, problem = await refused(world, "POST", path, unknown)
        assert (status, problem["code"]) == (404, "unknown_agent")


async def test_a_closed_session_takes_no_schedule_and_resumes_none(world: World) -> None:
    session = await world.session()
    info = await made(world, {"session_id": session, "in_s": 3600})
    await world.post(f"/v1/schedules/{info['id']}/pause")
    await world.post(f"/v1/sessions/{session}/close", {})

    again = await refused(world, "POST", "/v1/schedules", {"session_id": session, "message": "x", "in_s": 5})
    resumed = await refused(world, "POST", f"/v1/schedules/{info['id']}/resume")
    asked = await refused(world, "POST", f"/v1/schedules/{info['id']}/trigger")

    assert [(status, problem["code"]) for status, problem in (again, resumed, asked)] == [
        (409, "session_closed")
    ] * 3


async def test_a_user_has_at_most_so_many_schedules_that_may_still_fire(world: World) -> None:
    async with a_world(world.home.parent / "small", schedules_per_user=1) as small:
        first = await made(small, {"in_s": 3600})
        full = await refused(
            small, "POST", "/v1/schedules", {"agent": "scripted", "message": "x", "in_s": 60}
        )
        await small.ask("DELETE", f"/v1/schedules/{first['id']}")
        await made(small, {"in_s": 3600})

    assert {k: full[1][k] for k in ("status", "code", "scope", "limit", "current")} == {
        "status": 429,
        "code": "capacity",
        "scope": "per_user",
        "limit": 1,
        "current": 1,
    }


async def test_the_same_request_under_one_key_makes_one_schedule_and_one_occurrence(world: World) -> None:
    headers = {"Idempotency-Key": "k"}
    ask = {"agent": "scripted", "message": "SAY x", "in_s": 3600}
    first = await world.ask("POST", "/v1/schedules", ask, headers=headers)
    again = await world.ask("POST", "/v1/schedules", ask, headers=headers)
    other = await refused(world, "POST", "/v1/schedules", {**ask, "in_s": 60}, headers=headers)
    path = f"/v1/schedules/{first.json()['id']}/trigger"
    fired = [await world.ask("POST", path, headers={"Idempotency-Key": "t"}) for _ in range(2)]

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert other[1]["code"] == "idempotency_conflict"
    assert [answer.status_code for answer in fired] == [202, 202]
    assert fired[0].json() == fired[1].json()
    assert len((await world.get("/v1/schedules"))["data"]) == 1
    assert len((await world.get(f"{path.removesuffix('/trigger')}/occurrences"))["data"]) == 2


# --- previews


async def test_a_preview_tells_the_next_instants_with_their_offset_and_makes_nothing(world: World) -> None:
    cron = {"cron": "30 9 1 1 *", "timezone": "Asia/Tokyo", "count": 2}
    session = await world.session()

    shown = await world.post("/v1/schedules/preview", cron)
    whole = await world.post(
        "/v1/schedules/preview", {**cron, "session_id": session, "message": "SAY x", "name": "new year"}
    )

    years = [int(instant[:4]) for instant in shown["next"]]
    assert shown["next"] == [f"{year}-01-01T09:30:00+09:00" for year in years]
    assert years[1] == years[0] + 1
    assert "Asia/Tokyo" in shown["explanation"]
    assert whole == shown
    assert (await world.get("/v1/schedules"))["data"] == []
    assert [event["type"] for event in await world.journal(session)] == ["session.created"]


async def test_a_preview_tells_five_instants_unless_asked_for_up_to_a_hundred(world: World) -> None:
    async def count(**ask: int) -> int:
        body = {"every_s": 60, **ask}
        return len((await world.post("/v1/schedules/preview", body))["next"])

    assert [await count(), await count(count=100), await count(max_runs=3)] == [5, 100, 3]
    for wrong in (0, 101):
        problem = await refused(world, "POST", "/v1/schedules/preview", {"every_s": 60, "count": wrong})
        assert (problem[0], problem[1]["field"]) == (422, "count")


# --- changing one


@pytest.mark.sources("N20")
async def test_an_edit_changes_what_it_names_and_null_takes_away(world: World) -> None:
    info = await made(world, {"every_s": 600, "name": "n", "max_runs": 4, "ends_at": FAR})
    path = f"/v1/schedules/{info['id']}"

    async def edited(**ask: object) -> Json:
        answer = await world.ask("PATCH", path, ask)
        assert answer.status_code == 200, answer.text
        nonlocal info
        before, info = info, answer.json()
        return {k: v for k, v in info.items() if before[k] != v and k not in ("updated_at", "explanation")}

    assert await edited(message="SAY y", kind="reminder") == {"message": "SAY y", "kind": "reminder"}
    assert await edited(name=None, max_runs=None, ends_at=None) == {
        "name": None,
        "max_runs": None,
        "ends_at": None,
    }
    assert await edited(missed="all", retries=2) == {"missed": "all", "retries": 2}
    assert await edited(at=FAR) == {"at": FAR, "every_s": None, "anchor": None, "next_at": FAR}
    assert await edited(cron="0 9 1 1 *", timezone="Asia/Tokyo") == {
        "at": None,
        "cron": "0 9 1 1 *",
        "timezone": "Asia/Tokyo",
        "next_at": info["next_at"],
    }
    assert info["next_at"].endswith("-01-01T00:00:00.000000Z")
    assert (await edited(cron="0 12 1 1 *")).keys() == {"cron", "next_at"}
    assert info["next_at"].endswith("-01-01T03:00:00.000000Z")
    assert (await edited(timezone="UTC")).keys() == {"timezone", "next_at"}
    assert info["next_at"].endswith("-01-01T12:00:00.000000Z")
    assert await world.get(path) == info


async def test_an_edit_in_seconds_counts_from_now(world: World) -> None:
    info = await made(world, {"at": FAR})
    changed = (await world.ask("PATCH", f"/v1/schedules/{info['id']}", {"in_s": 3600})).json()

    assert info["created_at"] < changed["next_at"] < FAR


async def test_an_edit_that_can_not_be_leaves_the_schedule_as_it_was(world: World) -> None:
    info = await made(world, {"every_s": 600})
    path = f"/v1/schedules/{info['id']}"
    wrong: tuple[Json, ...] = (
        {"every_s": 0},
        {"timezone": "UTC"},
        {"cron": "0 0 30 2 *"},
        {"every_s": 60, "in_s": 60},
        {"jitter_s": 601},
        {"session_id": "ses_1"},
        {"agent": "scripted"},
        {"missed": None},
        {"message": [{"type": "file", "file_id": FILE}]},
    )

    answers = [(await refused(world, "PATCH", path, ask))[1]["code"] for ask in wrong]

    assert answers == ["invalid"] * len(wrong)
    assert await world.get(path) == info


@pytest.mark.parametrize("rests", [False, True])
async def test_an_edit_to_an_end_before_the_next_instant_is_refused_as_when_made(
    world: World, rests: bool
) -> None:
    info = await made(world, {"every_s": 600, "ends_at": FAR})
    path = f"/v1/schedules/{info['id']}"
    if rests:
        info = await world.post(f"{path}/pause")

    for end in ("2020-01-01T00:00:00Z", info["created_at"]):
        status, problem = await refused(world, "PATCH", path, {"ends_at": end})
        assert (status, problem["code"], problem["field"]) == (422, "invalid", "ends_at")
        assert "Give an end that isn't before it" in problem["detail"]
    assert await world.get(path) == info


async def test_an_edit_that_changes_nothing_is_no_change(world: World) -> None:
    session = await world.session()
    ask = {"session_id": session, "cron": "0 9 * * *", "timezone": "Asia/Tokyo", "name": "n"}
    info = await made(world, ask)
    path = f"/v1/schedules/{info['id']}"

    empty: Json = {}
    for same in (empty, {"name": "n"}, {"timezone": "Asia/Tokyo"}, {"cron": "0 9 * * *", "jitter_s": 0}):
        assert (await world.ask("PATCH", path, same)).json() == info
    assert [event["type"] for event in await world.journal(session)] == [
        "session.created",
        "recall.scheduled",
    ]
    await world.ask("DELETE", path)
    assert (await refused(world, "PATCH", path, {}))[0] == 409


async def test_an_edit_that_leaves_nothing_to_come_ends_the_schedule(world: World) -> None:
    session = await world.session()
    anchor = datetime.now(UTC) - timedelta(seconds=3599.95)
    ask = {"session_id": session, "every_s": 3600, "anchor": anchor.isoformat(), "max_runs": 5}
    info = await made(world, ask)
    path = f"/v1/schedules/{info['id']}"
    await world.follow(session).event("run.finished")
    ended = (await world.ask("PATCH", path, {"max_runs": 1})).json()
    refusal = await refused(world, "PATCH", path, {"name": "n"})

    assert (ended["status"], ended["reason"], ended["next_at"]) == ("done", "finished", None)
    assert told(refusal) == (
        409,
        "conflict",
        f"The schedule {info['id']} is done, so it can't be changed. Make a new one.",
    )


async def test_pause_and_resume_may_be_said_twice_and_with_or_without_a_body(world: World) -> None:
    session = await world.session()
    info = await made(world, {"session_id": session, "every_s": 600})
    path = f"/v1/schedules/{info['id']}"

    empty: Json = {}
    rested = [await world.post(f"{path}/pause"), await world.post(f"{path}/pause", empty)]
    went_on = [await world.post(f"{path}/resume", empty), await world.post(f"{path}/resume")]
    unknown = await refused(world, "POST", f"{path}/pause", {"until": FAR})

    assert rested[0] == rested[1]
    assert (rested[0]["status"], rested[0]["reason"], rested[0]["next_at"]) == ("paused", "asked", None)
    assert went_on[0] == went_on[1]
    assert went_on[0] == {**info, "updated_at": went_on[0]["updated_at"]}
    assert (unknown[0], unknown[1]["field"]) == (422, "until")
    changed = [e["data"]["status"] for e in await world.journal(session) if e["type"] == "recall.changed"]
    assert changed == ["paused", "active"]


async def test_a_pause_that_is_repeated_under_its_key_does_not_undo_a_resume(world: World) -> None:
    path = f"/v1/schedules/{(await made(world, {'in_s': 3600}))['id']}"
    headers = {"Idempotency-Key": "k"}
    rested = await world.post(f"{path}/pause", headers=headers)
    await world.post(f"{path}/resume")

    assert await world.post(f"{path}/pause", headers=headers) == rested
    assert (await world.get(path))["status"] == "active"


@pytest.mark.sources("N20")
async def test_a_deleted_schedule_stays_readable_and_takes_nothing_any_more(world: World) -> None:
    session = await world.session()
    info = await made(world, {"session_id": session, "every_s": 600})
    path = f"/v1/schedules/{info['id']}"
    await world.post(f"{path}/trigger")
    await world.follow(session).event("run.finished")

    gone = [(await world.ask("DELETE", path)).status_code for _ in range(2)]

    assert gone == [204, 204]
    read = await world.get(path)
    assert (read["status"], read["reason"], read["next_at"]) == ("cancelled", "asked", None)
    assert (await world.get("/v1/schedules"))["data"] == []
    assert (await world.get("/v1/schedules?status=cancelled"))["data"] == [read]
    (kept,) = (await world.get(f"{path}/occurrences"))["data"]
    assert (kept["state"], kept["outcome"]) == ("admitted", "completed")
    verbs = ("pause", "resume", "trigger")
    answers = [await refused(world, "POST", f"{path}/{verb}") for verb in verbs]
    answers.append(await refused(world, "PATCH", path, {"name": "n"}))
    facts = {(status, said["code"], said["schedule_id"], said["state"]) for status, said in answers}
    assert facts == {(409, "conflict", info["id"], "cancelled")}


# --- occurrences and lists


async def test_what_became_of_each_occurrence_is_paged_through_newest_first(world: World) -> None:
    session = await world.session()
    info = await made(world, {"session_id": session, "every_s": 600})
    path = f"/v1/schedules/{info['id']}"
    asked = [(await world.post(f"{path}/trigger"))["id"] for _ in range(3)]
    whole = await world.get(f"{path}/occurrences")

    for limit in (1, 2, 3, 4):
        found: list[Json] = []
        cursor = ""
        while cursor is not None:
            page = await world.get(f"{path}/occurrences?limit={limit}{cursor and f'&cursor={cursor}'}")
            assert 1 <= len(page["data"]) <= limit
            found += page["data"]
            cursor = page["next_cursor"]
        assert [each["id"] for each in found] == [each["id"] for each in whole["data"]]
    coming, *others = whole["data"]
    assert {k: coming[k] for k in ("due_at", "state", "reason", "run_id")} == {
        "due_at": info["next_at"],
        "state": "due",
        "reason": None,
        "run_id": None,
    }
    assert [(each["id"], each["state"], each["manual"]) for each in others] == [
        (each, "admitted", True) for each in reversed(asked)
    ]


async def test_lists_show_what_the_caller_reaches_and_asks_for(world: World) -> None:
    ann, bob = await world.key("member", "ann", "acme"), await world.key("member", "bob", "acme")
    olga = await world.key("operator", "olga", "acme")
    rival = await world.key("admin", "ann", "rival")
    session = await world.session(key=ann)
    first = await made(world, {"session_id": session, "in_s": 3600}, key=ann)
    second = await made(world, {"in_s": 3600}, key=ann)
    third = await made(world, {"in_s": 3600}, key=bob)
    fourth = await made(world, {"session_id": session, "in_s": 3600}, key=olga)
    await world.post(f"/v1/schedules/{second['id']}/pause", key=ann)

    async def ids(key: str, query: str = "") -> list[str]:
        return [found["id"] for found in (await world.get(f"/v1/schedules{query}", key=key))["data"]]

    assert await ids(ann) == [fourth["id"], second["id"], first["id"]]
    assert await ids(bob) == [third["id"]]
    assert await ids(rival) == []
    assert await ids(olga) == await ids("") == [fourth["id"], third["id"], second["id"], first["id"]]
    assert await ids(olga, "?status=paused") == [second["id"]]
    assert await ids(bob, f"?session_id={session}") == []
    assert await ids(olga, f"?session_id={session}&status=active") == [fourth["id"], first["id"]]
    assert await ids(olga, "?agent=longhaul") == []
    page = await world.get("/v1/schedules?limit=3", key=olga)
    assert await ids(olga, f"?limit=3&cursor={page['next_cursor']}") == [first["id"]]


@pytest.mark.parametrize("cursor", ["abc", "-1", "1.x", "1.", ".1", "9" * 30, "1.2.3"])
async def test_a_cursor_that_no_list_gave_is_refused(world: World, cursor: str) -> None:
    info = await made(world, {"in_s": 3600})

    for path in ("/v1/schedules", f"/v1/schedules/{info['id']}/occurrences"):
        status, problem = await refused(world, "GET", f"{path}?cursor={cursor}")
        assert (status, problem["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "status=asleep", "colour=red"])
async def test_a_list_refuses_what_it_does_not_know(world: World, query: str) -> None:
    assert (await refused(world, "GET", f"/v1/schedules?{query}"))[0] == 422


# --- who may


@pytest.mark.sources("P12")
async def test_nothing_can_be_scheduled_in_a_session_that_is_not_the_callers(world: World) -> None:
    session = await world.session(key=await world.key("member", "ann", "acme"))
    ask = {"session_id": session, "message": "SAY x", "in_s": 5}
    strangers = (("member", "bob", "acme"), ("member", "ann", "rival"), ("admin", "ann", "rival"))

    for role, user, tenant in strangers:
        key = await world.key(role, user, tenant)
        for path in ("/v1/schedules", "/v1/schedules/preview"):
            unknown = await refused(world, "POST", path, {**ask, "session_id": "ses_" + "0" * 32}, key=key)
            status, problem = await refused(world, "POST", path, ask, key=key)
            assert (status, problem["code"]) == (404, "not_found")
            assert problem["detail"].replace(session, "") == unknown[1]["detail"].replace(
                "ses_" + "0" * 32, ""
            )
    viewer = await world.key("viewer", "ann", "acme")
    assert (await refused(world, "POST", "/v1/schedules", ask, key=viewer))[0] == 403
    assert (await world.post("/v1/schedules/preview", ask, key=viewer))["next"]


async def test_a_schedule_of_somebody_else_is_not_there_whatever_the_body_says(world: World) -> None:
    ann = await world.key("member", "ann", "acme")
    info = await made(world, {"in_s": 3600}, key=ann)
    path = f"/v1/schedules/{info['id']}"

    for role, user, tenant in (("member", "bob", "acme"), ("admin", "ann", "rival")):
        key = await world.key(role, user, tenant)
        for method, where in (("PATCH", ""), ("POST", "/pause"), ("POST", "/trigger")):
            answer = await world.ask(method, path + where, content=b"{not json", key=key)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await world.get(path, key=ann) == info


async def test_the_owner_of_a_session_may_end_but_not_direct_what_others_schedule_in_it(world: World) -> None:
    ann, olga = await world.key("member", "ann", "acme"), await world.key("operator", "olga", "acme")
    session = await world.session(key=ann)
    info = await made(world, {"session_id": session, "in_s": 3600}, key=olga)
    path = f"/v1/schedules/{info['id']}"
    asks: tuple[tuple[str, str, Json], ...] = (
        ("PATCH", "", {"name": "n"}),
        ("POST", "/trigger", {}),
        ("POST", "/resume", {}),
    )

    for method, where, body in asks:
        assert told(await refused(world, method, path + where, body, key=ann)) == (
            403,
            "forbidden",
            SOMEBODY_ELSES,
        )
    assert (await world.get(path, key=ann))["owner"] == "olga"
    assert (await world.post(f"{path}/pause", key=ann))["status"] == "paused"
    assert (await world.post(f"{path}/resume", key=olga))["status"] == "active"
    assert (await world.ask("DELETE", path, key=ann)).status_code == 204


async def test_a_weaker_key_does_not_change_what_a_stronger_one_will_say(world: World) -> None:
    alma, olga = await world.key("admin", "alma", "acme"), await world.key("operator", "olga", "acme")
    weak = await world.key("member", "alma", "acme")
    path = f"/v1/schedules/{(await made(world, {'in_s': 3600}, key=alma))['id']}"

    for key, role in ((olga, "operator"), (weak, "member")):
        assert told(await refused(world, "PATCH", path, {"message": "SAY y"}, key=key)) == (
            403,
            "forbidden",
            TOO_STRONG.format(role=role),
        )
    assert (await world.ask("PATCH", path, {"message": "SAY y"}, key=alma)).json()["message"] == "SAY y"
