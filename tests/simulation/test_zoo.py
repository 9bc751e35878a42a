"""Every bug in the zoo is caught by the simulation within SEEDS schedules."""

import pytest

from tests.simulation.schedule import run
from tests.simulation.zoo import BUGS, Bug

SEEDS = 240


@pytest.mark.parametrize("plant", BUGS, ids=[bug.__name__ for bug in BUGS])
def test_a_planted_bug_is_caught(plant: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(run(seed).faults for seed in range(SEEDS)), f"{plant.__name__} was not caught"
