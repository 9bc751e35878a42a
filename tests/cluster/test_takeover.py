"""A host dies or stands still: others take its sessions, nobody who watches misses or sees anything twice."""

from pathlib import Path

import httpx
import pytest

from tests.cluster.odd import odd_program
from tests.cluster.servers import LEASE_S, HostProcess, hosts
from tests.cluster.talk import (
    Seen,
    answers,
    attempts,
    calls_made,
    clients,
    events,
    findings,
    first,
    journal,
    living,
    opened,
    owner_first,
    say,
    until,
    watched,
)
from tests.postgres.fixtures import Database

pytestmark = pytest.mark.anyio

SLACK_S = 2.0
"""What a busy machine may need beyond two leases."""
TAKEOVER_S = 2 * LEASE_S + SLACK_S


def expect_whole(seen: list[Seen]) -> None:
    """A stream from the first event on: each number once, in order, and one end."""
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert [event.type for event in seen].count("run.finished") == 1


@pytest.mark.sources("P3", "P5")
async def test_a_killed_hosts_run_goes_on_elsewhere_and_a_stream_on_another_host_sees_it_all(
    postgres_database: Database, tmp_path: Path
) -> None:
    with hosts(tmp_path, postgres_database.url, 2) as both:
        async with clients(*both) as (asks, watches):
            session_id, waiting_id = await opened(asks), await opened(asks)
            await say(asks, waiting_id, "ASK shall I?")
            approval = (await first(watches, waiting_id, "approval.requested")).data["approval_id"]
            await say(asks, session_id, "SLOW 40 50")
            stream = events(watches, session_id)
            seen = await until(stream, "message.delta")

            owner, _ = await owner_first(watches, both)
            assert owner is both[0], "the host that admits claims first"
            owner.kill()
            seen += await until(stream, "run.retried", TAKEOVER_S)
            seen += await until(stream, "run.finished")
            await stream.aclose()

            await watches.post(f"/v1/approvals/{approval}", json={"decision": "approve"})
            await first(watches, waiting_id, "run.finished")
            waited = await journal(watches, waiting_id)

    expect_whole(seen)
    assert attempts(seen) == [1, 2]
    assert [event.data["status"] for event in waited if event.type == "run.finished"] == ["completed"]
    assert await findings(postgres_database.url, watched(session_id, seen)) == []


@pytest.mark.sources("P4", "P5")
async def test_a_host_that_stood_still_past_its_lease_writes_nothing_late_and_serves_again(
    postgres_database: Database, tmp_path: Path
) -> None:
    with hosts(tmp_path, postgres_database.url, 2) as (owner, other):
        async with clients(owner, other) as (asks, watches):
            session_id = await opened(asks)
            await say(asks, session_id, "ONCE log.txt\nSLOW 60 50\nONCE log.txt\nSLOW 5 10")
            await stand_still(watches, {owner: session_id})
            await answers(asks, "/readyz", 200)
            stream = events(asks, session_id)
            seen = await until(stream, "run.finished")
            await stream.aclose()
            another = await opened(asks)
            await say(asks, another, "SAY back again")
            await first(watches, another, "run.finished")
            assert set(await living(watches)) == {"host0", "host1"}
            assert "given up" in owner.log() or "couldn't be renewed in time" in owner.log()

    expect_whole(seen)
    made = calls_made(tmp_path)
    assert len(made) == len(set(made))
    assert await findings(postgres_database.url, watched(session_id, seen)) == []


@pytest.mark.sources("P5")
async def test_the_fence_alone_stops_a_host_that_never_looks_at_its_lease(
    postgres_database: Database, tmp_path: Path
) -> None:
    odd = [odd_program("blind"), odd_program("blind,unfenced")]
    with hosts(tmp_path, postgres_database.url, 3, programs=odd) as (fenced, unfenced, sound):
        async with clients(fenced, unfenced, sound) as (asks, asks_control, watches):
            session_id, control_id = await opened(asks), await opened(asks_control)
            await say(asks, session_id, "SLOW 60 50")
            await say(asks_control, control_id, "SLOW 60 50")
            await stand_still(watches, {fenced: session_id, unfenced: control_id})
            for each in (session_id, control_id):
                await first(watches, each, "run.finished")

    # The control: without the fence two hosts speak in the same message.
    found = await findings(postgres_database.url)
    assert {violation.session_id for violation in found} == {control_id}


async def stand_still(watches: httpx.AsyncClient, of: dict[HostProcess, str]) -> None:
    """Stop hosts in the midst of the runs that they own, and let them go on once others speak in those."""
    streams = [events(watches, session_id) for session_id in of.values()]
    for stream in streams:
        await until(stream, "message.delta")
    for host in of:
        host.freeze()
    for stream in streams:
        await until(stream, "run.retried", TAKEOVER_S)
        await until(stream, "message.delta")
        await stream.aclose()
    for host in of:
        host.thaw()
