"""The end of a turn: an agent that has answered is heard a while longer, then the run ends for certain."""

import asyncio
from itertools import count
from pathlib import Path

import pytest

from tests.runners.acp.scene import scripted, verdict

pytestmark = pytest.mark.anyio

STEP_S = 0.002


@pytest.mark.parametrize("looks", range(3, 7))
async def test_a_turn_whose_quiet_is_over_between_two_looks_at_the_clock_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    loop, number = asyncio.get_running_loop(), count()
    real = loop.time
    async with scripted(tmp_path, quiet_s=looks * STEP_S) as scene:
        await scene.play("SAY the program is there")
        monkeypatch.setattr(loop, "time", lambda: real() + next(number) * STEP_S)
        async with asyncio.timeout(60):
            outputs = await scene.play("SAY hi")
        monkeypatch.undo()

    assert verdict(outputs).status == "completed"
