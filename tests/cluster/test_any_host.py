"""Whatever is asked of a host is done, whoever owns the run: hosts need no stickiness."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.cluster.odd import odd_program
from tests.cluster.servers import hosts
from tests.cluster.talk import (
    attempts,
    clients,
    contents,
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
from tests.crash.server import PROGRAM
from tests.postgres.fixtures import Database

pytestmark = pytest.mark.anyio


async def scheduled(http: httpx.AsyncClient, session_ids: list[str]) -> None:
    """Have something said a second from now in each session."""
    for session_id in session_ids:
        body = {"session_id": session_id, "message": "SAY on time", "in_s": 1}
        assert (await http.post("/v1/schedules", json=body)).status_code == 201


@pytest.mark.timeout(120)
@pytest.mark.sources("P3", "P5", "P6", "P7", "P8")
async def test_a_conversation_goes_round_all_hosts_act_by_act(
    postgres_database: Database, tmp_path: Path
) -> None:
    """One journey, as starting hosts is what takes the time."""
    programs = [PROGRAM, PROGRAM, odd_program("elder")]
    with hosts(tmp_path, postgres_database.url, 3, programs=programs) as all_hosts:
        async with clients(*all_hosts) as (one, two, three):
            session_id, *others = [await opened(one) for _ in range(4)]
            assert len({host["version"] for host in (await living(two)).values()}) == 2
            await scheduled(two, others)
            path = f"/v1/sessions/{session_id}"
            stream = events(three, session_id)

            # The same POST on two hosts at once, and again on a third: one message, one answer.
            body, key = {"content": "ASK shall I?"}, {"Idempotency-Key": "once"}
            posts = [http.post(f"{path}/messages", json=body, headers=key) for http in (one, two)]
            told = [
                *await asyncio.gather(*posts),
                await three.post(f"{path}/messages", json=body, headers=key),
            ]
            receipts = [answer.json() for answer in told if answer.status_code == 202]
            assert {answer.status_code for answer in told} <= {202, 409}
            assert told[2].status_code == 202
            assert all(receipt == receipts[0] for receipt in receipts)

            # Decided on two hosts that don't own the run, at once: one of them counts.
            seen = await until(stream, "approval.requested")
            approval = f"/v1/approvals/{seen[-1].data['approval_id']}"
            said = [
                http.post(approval, json={"decision": word})
                for http, word in ((two, "approve"), (three, "deny"))
            ]
            codes = [answer.status_code for answer in await asyncio.gather(*said)]
            assert sorted(codes) == [200, 409]
            seen += await until(stream, "run.finished")

            # Steered through a second host, interrupted through a third.
            await say(one, session_id, "SLOW 200 30")
            seen += await until(stream, "message.delta")
            steered = await say(two, session_id, "SAY steering", "steer")
            assert steered["disposition"] == "steered"
            seen += await until(stream, "steering.consumed")
            stopped = await three.post(f"{path}/interrupt", json={"waiting": "run"})
            assert stopped.status_code == 202
            seen += await until(stream, "run.finished")

            # Undone on one host, redone on the next: a third shows each.
            before = await contents(one, session_id)
            assert (await two.post(f"{path}/undo", json={})).status_code == 200
            assert len(await contents(three, session_id)) < len(before)
            assert (await one.post(f"{path}/redo", json={})).status_code == 200
            assert await contents(three, session_id) == before
            await stream.aclose()

            # What was scheduled meanwhile was fired once by whoever came first.
            for other in others:
                await first(three, other, "run.finished")
            fired = [
                [e.type for e in await journal(two, other)].count("message.admitted") for other in others
            ]

    assert fired == [1, 1, 1]
    assert "approved: shall I?" in before if codes[0] == 200 else "approved: shall I?" not in before
    assert attempts(seen) == [1, 1]
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert await findings(postgres_database.url, watched(session_id, seen)) == []
