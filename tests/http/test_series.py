"""Figures over time by HTTP: columns, for every role, in the step that was asked for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import urlencode

import pytest

from tenure.core.figures import SERIES
from tenure.core.moment import micros
from tests.http.world import World

pytestmark = pytest.mark.anyio


async def test_every_role_reads_the_figures_of_the_last_hour_in_columns(world: World) -> None:
    found = await world.get("/v1/stats/series", key=await world.key("viewer"))

    (host,) = (await world.get("/v1/stats"))["hosts"]
    assert (found["host"], found["step_s"], set(found["series"])) == (host["id"], 10, set(SERIES))
    assert len(found["at"]) in (361, 362)
    assert {len(column) for column in found["series"].values()} == {len(found["at"])}
    places = [micros(at) for at in found["at"]]
    assert {after - before for before, after in pairwise(places)} == {10_000_000}


async def test_since_and_step_say_which(world: World) -> None:
    now = datetime.now(UTC)
    day, minute = (now - timedelta(days=1)).isoformat(), (now - timedelta(minutes=1)).isoformat()

    async def step(**query: str | int) -> int:
        return (await world.get(f"/v1/stats/series?{urlencode(query)}"))["step_s"]

    assert [await step(since=day), await step(since=day, step=7_200), await step(since=day, step=1)] == [
        300,
        7_200,
        300,
    ]
    assert [await step(since=minute), await step(since=minute, step=25)] == [10, 30]
    assert await step(since="1970-01-01T00:00:00Z", step=3_600) == 3_600
    assert len((await world.get("/v1/stats/series?since=9999-12-31T23:59:59Z"))["at"]) == 1


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2026-01-01T00:00:00", "step=0", "step=x", "to=1"]
)
async def test_what_names_no_time_is_refused(world: World, query: str) -> None:
    response = await world.ask("GET", f"/v1/stats/series?{query}")

    assert (response.status_code, response.json()["code"]) == (422, "invalid")
