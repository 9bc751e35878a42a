"""The database goes away, for all hosts or for one: nothing acknowledged is lost, none speaks out of turn."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import pytest

from tests.cluster.chaos.berths import fleet
from tests.cluster.servers import LEASE_S
from tests.cluster.talk import (
    Seen,
    answers,
    attempts,
    clients,
    events,
    findings,
    living,
    opened,
    say,
    until,
    watched,
)
from tests.postgres.fixtures import Database, fresh
from tests.postgres.server import Postgres, PostgresServer

pytestmark = pytest.mark.anyio

SLACK_S = 2.0
TAKEOVER_S = 2 * LEASE_S + SLACK_S
LONG_S = 6.0
"""A lease that outlasts a restart of Postgres."""


def expect_whole(seen: list[Seen]) -> None:
    """A stream from the first event on: each number once, in order."""
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))


@pytest.mark.timeout(120)
@pytest.mark.sources("P3", "P5")
async def test_a_host_that_loses_the_database_stops_its_runs_others_take_them_and_it_comes_back(
    postgres: Postgres, postgres_database: Database, tmp_path: Path
) -> None:
    async with fleet(tmp_path, postgres_database, postgres, 2) as hosts:
        parted, sound = hosts.berths
        async with clients(parted.host, sound.host) as (asks, watches):
            session_id = await opened(asks)
            await say(asks, session_id, "SLOW 60 50")
            stream, beside = events(watches, session_id), events(asks, session_id)
            seen = await until(stream, "message.delta")
            aside = await until(beside, "message.delta")

            parted.line.stall()
            await answers(asks, "/readyz", 503)
            seen += await until(stream, "run.retried", TAKEOVER_S)
            assert "its runs are stopped" in parted.host.log()
            assert set(await living(watches)) == {sound.name}
            parted.line.mend()

            await answers(asks, "/readyz", 200)
            seen += await until(stream, "run.finished")
            aside += await until(beside, "run.finished")
            for each in (stream, beside):
                await each.aclose()
            assert set(await living(watches)) == {parted.name, sound.name}

    expect_whole(seen)
    assert attempts(seen) == [1, 2]
    assert [event.line for event in aside] == [event.line for event in seen]
    assert await findings(postgres_database.url, watched(session_id, seen)) == []


@pytest.mark.timeout(150)
@pytest.mark.sources("P1", "P5")
async def test_restarts_of_postgres_cost_no_host_its_life_and_no_client_more_than_a_503(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with fresh(own_postgres) as database:
        async with fleet(tmp_path, database, own_postgres, 2, lease_s=LONG_S) as hosts:
            async with clients(*(berth.host for berth in hosts.berths)) as (one, two):
                session_id = await opened(one)
                before = {host["id"] for host in (await living(two)).values()}
                await say(one, session_id, "SLOW 200 50")
                stream = events(two, session_id)
                seen = await until(stream, "message.delta")
                for restart in restarts(own_postgres):
                    await asyncio.to_thread(restart)
                    seen += await until(stream, "message.delta")

                after = {host["id"] for host in (await living(two)).values()}

                await asyncio.to_thread(own_postgres.kill)
                path, key = f"/v1/sessions/{session_id}/messages", {"Idempotency-Key": "kept"}
                with anyio.fail_after(2 * LONG_S + SLACK_S):
                    refused = await two.post(path, json={"content": "SAY after all"}, headers=key)
                assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
                await asyncio.to_thread(own_postgres.start)
                receipt = await accepted(two, path, key)
                seen += await until(stream, "run.finished")
                seen += await until(stream, "run.finished")
                await stream.aclose()

                assert receipt in [
                    event.data["message_id"] for event in seen if event.type == "message.admitted"
                ]
            logs = "".join(berth.host.log() for berth in hosts.berths)
        expect_whole(seen)
        assert await findings(database.url, watched(session_id, seen)) == []
        # Short outages end no life. After a long one each begins anew by itself, and none is given up.
        assert after == before
        assert "given up" not in logs


def restarts(server: PostgresServer) -> list[Callable[[], None]]:
    """The ways in which a server is started again."""
    return [lambda: server.restart("fast"), lambda: server.restart("immediate")]


async def accepted(http: httpx.AsyncClient, path: str, key: dict[str, str]) -> str:
    """Say it again under its key until it is taken; the message's id."""
    async with asyncio.timeout(30):
        while True:
            answer = await http.post(path, json={"content": "SAY after all"}, headers=key)
            if answer.status_code == 202:
                return answer.json()["message_id"]
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.1)
