"""kill -9 and SIGSTOP around the instants of schedules: none fires twice, and none is lost."""

import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tenure.core.moment import SECOND, micros
from tenure.ports.landmarks import Landmark
from tests.crash.server import Server, examine_home
from tests.crash.test_calls import asking, lines, opened

pytestmark = pytest.mark.anyio

BOUND_S = 30
OVER = ("completed", "failed", "lost")


async def planned(http: httpx.AsyncClient, session: str, message: str, **ask: object) -> dict[str, Any]:
    """Make a schedule in a session."""
    answer = await http.post("/v1/schedules", json={"session_id": session, "message": message, **ask})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def occurrences(http: httpx.AsyncClient, schedule: str) -> list[dict[str, Any]]:
    """What became of its instants, oldest first."""
    page = (await http.get(f"/v1/schedules/{schedule}/occurrences?limit=1000")).json()
    return [each for each in reversed(page["data"]) if each["state"] != "due"]


async def settled(http: httpx.AsyncClient, schedule: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait until so many instants have passed and their runs have ended."""
    with anyio.fail_after(BOUND_S):
        while True:
            seen = await occurrences(http, schedule)
            ended = [o for o in seen if o["state"] != "admitted" or o.get("outcome")]
            if len(seen) == len(ended) >= count:
                return seen
            await anyio.sleep(0.02)


async def fired(http: httpx.AsyncClient, session: str) -> list[str]:
    """The occurrences that the journal says were admitted."""
    page = (await http.get(f"/v1/sessions/{session}/events?limit=1000")).json()
    return [e["data"]["occurrence"] for e in page["data"] if e["type"] == "recall.fired"]


async def passed(instant: str, seconds: float) -> None:
    """Wait until an instant lies so far behind."""
    await anyio.sleep(max(0.0, micros(instant) / SECOND + seconds - time.time()))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many commits a server makes before the first instant comes."""
    return anyio.run(commits, tmp_path_factory.mktemp("rehearsal") / "home")


async def commits(home: Path) -> int:
    server = Server(home).ready()
    try:
        async with asking(server) as http:
            await planned(http, await opened(http), "SAY far", in_s=9_000)
            return (await http.get("/v1/stats")).json()["commits"]
    finally:
        server.kill()


@pytest.mark.sources("P10", "D-N10", "A3", "A19")
@pytest.mark.parametrize(
    ("landmark", "nth", "calls"),
    [
        (Landmark.COMMIT_BEFORE, 1, 1),
        (Landmark.COMMIT_AFTER, 1, 1),
        # Its call was said to begin. Nobody can tell whether it was made, so it isn't made again.
        (Landmark.CALL_BEFORE, None, 0),
        (Landmark.RUN_SETTLING, None, 1),
    ],
)
async def test_an_occurrence_is_admitted_once_wherever_the_host_dies(
    landmark: Landmark, nth: int | None, calls: int, before: int, tmp_path: Path
) -> None:
    home, place = tmp_path / "home", 1 if nth is None else before + nth
    dying = Server(home, crash_at=f"{landmark}:{place}").ready()
    async with asking(dying) as http:
        session = await opened(http)
        schedule = (await planned(http, session, "ONCE log.txt", in_s=0.3))["id"]
    assert dying.wait() == -signal.SIGKILL
    server = Server(home).ready()
    try:
        async with asking(server) as http:
            (seen,) = await settled(http, schedule)
            assert await fired(http, session) == [seen["id"]]
            assert (await http.get(f"/v1/schedules/{schedule}")).json()["status"] == "done"
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()
    assert (seen["state"], seen["attempts"], seen["outcome"]) == ("admitted", 1, "completed")
    assert len(lines(home)) == calls


@pytest.mark.sources("P10", "D-N10")
async def test_a_host_that_was_stopped_over_the_instants_does_as_agreed_when_it_goes_on(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    server = Server(home).ready()
    try:
        async with asking(server) as http:
            policies: Sequence[dict[str, object]] = [
                {"missed": "once", "in_s": 0.3},
                {"missed": "skip", "in_s": 0.3},
                {"missed": "all", "every_s": 1, "max_runs": 2},
            ]
            sessions = [await opened(http) for _ in policies]
            plans = [
                await planned(http, s, "ONCE log.txt", **p) for s, p in zip(sessions, policies, strict=True)
            ]
            server.process.send_signal(signal.SIGSTOP)
            await passed(plans[-1]["next_at"], 2.1)
            server.process.send_signal(signal.SIGCONT)
            (once,) = await settled(http, plans[0]["id"])
            (skip,) = await settled(http, plans[1]["id"])
            both = await settled(http, plans[2]["id"], 2)
            journal = [len(await fired(http, session)) for session in sessions]
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()
    assert (once["state"], once["reason"], once["outcome"]) == ("admitted", "late", "completed")
    assert (skip["state"], skip["reason"]) == ("missed", "late")
    assert [o["state"] for o in both if o["state"] == "admitted"] == ["admitted"] * 2
    assert journal == [1, 0, 2]
    assert len(lines(home)) == 3


@pytest.mark.sources("P10", "D-N10", "D-N16")
async def test_no_occurrence_is_lost_or_doubled_over_deaths_at_random(tmp_path: Path) -> None:
    await deaths_at_random(tmp_path / "home", seed=1, lives=2)


async def deaths_at_random(home: Path, *, seed: int, lives: int) -> None:
    """Schedules of a second each over several lives of a server, every one killed at some moment."""
    draw = random.Random(seed)
    server = Server(home).ready()
    async with asking(server) as http:
        sessions = [await opened(http) for _ in range(4)]
        policies = ("all", "all", "once", "skip")
        plans = [
            await planned(
                http, s, "ONCE log.txt", every_s=1, missed=p, missed_max=100, pause_after_failures=0
            )
            for s, p in zip(sessions, policies, strict=True)
        ]
        await passed(plans[0]["next_at"], draw.uniform(-0.05, 0.05))
    for life in range(1, lives):
        server.kill()
        server = Server(home).ready()
        await passed(plans[0]["next_at"], life + draw.uniform(-0.05, 0.05))
    server.kill()
    server = Server(home).ready()
    try:
        async with asking(server) as http:
            for plan in plans:
                await http.post(f"/v1/schedules/{plan['id']}/pause", json={})
            for plan, session, policy in zip(plans, sessions, policies, strict=True):
                seen = await settled(http, plan["id"])
                expect_whole(seen, policy)
                admitted = [o["id"] for o in seen if o["state"] == "admitted"]
                assert await fired(http, session) == admitted
                assert {o["outcome"] for o in seen if o["state"] == "admitted"} <= set(OVER)
                assert (await http.get(f"/v1/schedules/{plan['id']}")).json()["runs"] == len(admitted)
        made = {path.parent.parent.name: lines_in(path) for path in home.rglob("log.txt")}
        assert all(len(each) == len(set(each)) for each in made.values())
        assert await examine_home(home, {}) == []
    finally:
        server.terminate()


def lines_in(path: Path) -> list[str]:
    """The calls that were made, as the outside world wrote them down."""
    return path.read_text("utf-8").splitlines()


def expect_whole(seen: list[dict[str, Any]], policy: str) -> None:
    """Every second has its row, once; where all are made up for, each was admitted."""
    due = [micros(o["due_at"]) for o in seen]
    assert due == list(range(due[0], due[0] + len(due) * SECOND, SECOND))
    if policy == "all":
        assert {o["state"] for o in seen} == {"admitted"}
