"""People work on three hosts while these are killed, frozen, cut off and replaced, and Postgres is restarted.

Longer, with other seeds: python -m tests.cluster.chaos FIRST LAST --minutes N
"""

from pathlib import Path

import pytest

from tests.cluster.chaos.judgement import chaos
from tests.cluster.chaos.monkey import Monkey
from tests.postgres.fixtures import fresh
from tests.postgres.server import PostgresServer

pytestmark = pytest.mark.anyio

LEASE_S = 2.5
PRANKS = ("kill", "freeze", "postgres_immediate", "part", "roll")


async def play(monkey: Monkey) -> None:
    """One prank after the other, each on the next host."""
    await monkey.play_these(PRANKS)


@pytest.mark.timeout(180)
@pytest.mark.sources("P1", "P3", "P4", "P5")
async def test_whatever_happens_to_hosts_nothing_is_lost_repeated_or_out_of_order(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with fresh(own_postgres) as database:
        found = await chaos(11, tmp_path, database, own_postgres, play, lease_s=LEASE_S, sessions=3)

    assert found.faults == []
    assert [deed.what for deed in found.deeds] == list(PRANKS)
    assert found.accepted > 20
    assert all(took < 2 * LEASE_S + 2 for took in found.takeovers)
