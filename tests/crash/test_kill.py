"""kill -9 at every named place and at random: nothing acknowledged or seen is lost, and nothing stays
"running" that isn't."""

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from tenure.ports.landmarks import Landmark
from tests.crash.load import Load
from tests.crash.server import Died, Server, examine_home

pytestmark = pytest.mark.anyio

QUIET_S = 30

PLACES: dict[Landmark, int] = {
    Landmark.BATCH_BEGUN: 40,
    Landmark.COMMIT_BEFORE: 41,
    Landmark.COMMIT_AFTER: 42,
    Landmark.DELIVERY_BEFORE: 43,
    Landmark.DELIVERY_AFTER: 44,
    Landmark.RUN_SPAWNING: 5,
    Landmark.RUN_SPAWNED: 6,
    Landmark.RUN_SETTLING: 4,
    Landmark.RUN_SETTLED: 5,
    Landmark.REAP_BEFORE: 1,
    Landmark.REAP_AFTER: 1,
}
"""Each landmark, and at which passing the server dies there."""

AT_START = (Landmark.REAP_BEFORE, Landmark.REAP_AFTER)


class Figures(msgspec.Struct):
    """As much of the statistics as says whether all is quiet."""

    live_runs: int
    queued_runs: int


class Run(msgspec.Struct):
    """As much of a run as says how it stands."""

    status: str
    reason: str
    attempt: int


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@asynccontextmanager
async def calls(server: Server) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as http:
        yield http


async def quiet(http: httpx.AsyncClient) -> None:
    """Wait until no run lives and none waits."""
    with anyio.fail_after(QUIET_S):
        while True:
            figures = msgspec.json.decode((await http.get("/v1/stats")).content, type=Figures)
            if not figures.live_runs and not figures.queued_runs:
                return
            await anyio.sleep(0.02)


async def expect_nothing_lost(home: Path, load: Load) -> None:
    """Start once more and judge: every promise kept, every run resumed or ended with a reason."""
    server = Server(home).ready()
    try:
        async with calls(server) as http:
            await quiet(http)
            for session_id, run_ids in load.live_runs().items():
                for run_id in run_ids:
                    await expect_an_outcome(http, run_id)
                info = await http.get(f"/v1/sessions/{session_id}")
                assert '"status":"idle"' in info.text
        assert await examine_home(home, load.observed()) == []
        assert server.terminate() == 0
    finally:
        server.close()


async def expect_an_outcome(http: httpx.AsyncClient, run_id: str) -> None:
    """A run that was live when the server died went on as its next attempt, or ended with a reason."""
    run = msgspec.json.decode((await http.get(f"/v1/runs/{run_id}")).content, type=Run)
    assert run.status in ("completed", "failed", "cancelled", "timed_out", "lost")
    assert run.reason or run.status == "completed"


def test_every_landmark_has_its_crash() -> None:
    # Those of tool calls are the matter of test_calls.
    assert {*PLACES, Landmark.CALL_BEFORE, Landmark.CALL_AFTER} == set(Landmark)


@pytest.mark.sources("P1", "A3")
@pytest.mark.parametrize("landmark", list(PLACES))
async def test_a_death_at_a_landmark_loses_nothing(landmark: Landmark, home: Path) -> None:
    load = Load(seed=1)
    crash_at = f"{landmark}:{PLACES[landmark]}"
    if landmark in AT_START:
        await load.until_dead(Server(home).ready(), kill_after=80)
        dying = Server(home, crash_at=crash_at)
        with pytest.raises(Died):
            dying.ready()
        assert dying.wait() == -signal.SIGKILL
    else:
        with anyio.fail_after(QUIET_S):
            await load.until_dead(Server(home, crash_at=crash_at).ready(), kill_after=None)
    assert load.seen
    await expect_nothing_lost(home, load)


@pytest.mark.sources("P1", "A3", "A7")
@pytest.mark.parametrize("seed", [1, 2])
async def test_deaths_at_random_lose_nothing(seed: int, home: Path) -> None:
    load = Load(seed)
    for _ in range(3):
        server = Server(home).ready()
        with anyio.fail_after(QUIET_S):
            await load.until_dead(server, kill_after=load.draw.randint(5, 600))
    await expect_nothing_lost(home, load)
