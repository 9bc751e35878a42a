"""Hosts leave in good order: by the API, and by SIGTERM."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.servers import hosts
from tests.cluster.talk import (
    PATIENCE_S,
    Seen,
    answers,
    attempts,
    clients,
    events,
    findings,
    first,
    journal,
    living,
    opened,
    say,
    until,
    watched,
)
from tests.postgres.fixtures import Database

pytestmark = pytest.mark.anyio


@pytest.mark.timeout(120)
@pytest.mark.sources("P3", "P5")
async def test_a_drained_host_hands_its_sessions_over_and_ends_with_0(
    postgres_database: Database, tmp_path: Path
) -> None:
    with hosts(tmp_path, postgres_database.url, 2) as (leaving, staying):
        async with clients(leaving, staying) as (asks, watches):
            session_id, waiting_id = await opened(asks), await opened(asks)
            await say(asks, waiting_id, "ASK shall I?")
            approval = (await first(watches, waiting_id, "approval.requested")).data["approval_id"]
            await say(asks, session_id, "SLOW 60 50\nONCE log.txt\nSLOW 60 50")
            stream, parting = events(watches, session_id), events(asks, session_id)
            seen = await until(stream, "message.delta")
            await until(parting, "message.delta")

            # The run may go on to its next safe point. Its host answers until then, and takes no new work.
            drained = await asks.post("/v1/drain", json={})
            assert (drained.status_code, drained.json()) == (202, {"draining": True})
            assert (await answers(asks, "/readyz", 503)).headers["retry-after"]
            assert (await asks.get("/healthz")).status_code == 200
            seen += await until(stream, "run.finished")
            await _to_its_end(parting)
            assert set(await living(watches)) <= {"host0", "host1"}

            began = asyncio.get_running_loop().time()
            assert await asyncio.to_thread(leaving.terminate) == 0
            assert asyncio.get_running_loop().time() - began < 15
            assert set(await living(watches)) == {"host1"}

            answer = await watches.post(f"/v1/approvals/{approval}", json={"decision": "approve"})
            assert answer.status_code == 200
            await first(watches, waiting_id, "run.finished")
            waited = await journal(watches, waiting_id)

    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert len(attempts(seen)) <= 2
    assert [event.data["status"] for event in waited if event.type == "run.finished"] == ["completed"]
    assert await findings(postgres_database.url, watched(session_id, seen)) == []


async def _to_its_end(stream: AsyncIterator[Seen]) -> None:
    """The stream of a host that drains ends by itself."""
    async with asyncio.timeout(PATIENCE_S):
        async for _ in stream:
            pass
