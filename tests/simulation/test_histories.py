"""Undo, redo, compaction and forks in drawn schedules, with crashes, full disks and frozen hosts."""

from functools import cache

import pytest

from tests.simulation.historians import Historian
from tests.simulation.schedule import Outcome, run

SEEDS = 60
EVENTS = ("transcript.undone", "transcript.redone", "transcript.compacted", "session.forked")


@cache
def outcome(seed: int) -> Outcome:
    return run(seed, Historian)


@pytest.mark.sources("D-M14")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_is_undone_compacted_or_forked_every_promise_is_kept(seed: int) -> None:
    told = outcome(seed)

    assert told.faults == [], "\n".join((*told.log, *told.journals))


@pytest.mark.parametrize("type_", EVENTS)
def test_every_event_of_a_history_occurs(type_: str) -> None:
    entries = [entry for seed in range(SEEDS) for entry in outcome(seed).journals]

    assert sum(f'"type":"{type_}"' in entry for entry in entries) >= 3
