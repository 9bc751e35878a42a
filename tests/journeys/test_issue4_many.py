"""Many sessions with agents of others at once: all end, and nothing is left but what is kept on purpose."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.many import IDLE_S, a_crowd
from tests.models.server import models_aside

pytestmark = pytest.mark.anyio

SESSIONS = 24
USERS = 2
SPARE = 6
"""Threads and files that pools may open later than the first round; what sessions left behind were 48."""


@pytest.fixture
def models() -> Iterator[str]:
    """Where the scripted model answers."""
    with models_aside() as models:
        yield models.v1


@pytest.mark.sources("A30")
async def test_many_sessions_at_once_leave_no_task_no_file_and_no_process_behind(
    tmp_path: Path, models: str
) -> None:
    async with a_crowd(tmp_path, models, ("acp", "desk"), USERS) as crowd:
        for agent in ("acp", "desk"):
            await crowd.open(agent, SESSIONS)
            assert await crowd.all_say(agent, "SLOW 5 10") == ["completed"] * SESSIONS
        first = await crowd.weigh()
        for agent in ("acp", "desk"):
            assert await crowd.all_say(agent, "SLOW 5 10") == ["completed"] * SESSIONS
        again = await crowd.settled(lambda weight: weight.sum <= first.sum + SPARE)
        idle = min([await crowd.idle_cpu() for _ in range(4)])

    assert (first.children, first.zombies) == (USERS, 0)
    assert again.sum <= first.sum + SPARE
    assert (again.children, again.zombies) == (USERS, 0)
    assert idle <= 0.02 * IDLE_S
