"""Seeded schedules of several hosts over one database: one writer, nobody lost, whatever goes wrong.

`python -m tests.simulation SEED cluster` (or `crowd`) replays one.
"""

from collections import Counter
from functools import cache

import msgspec
import pytest

from tests.simulation import zoo_cluster
from tests.simulation.fleets import FLEETS, run
from tests.simulation.schedule import Outcome
from tests.simulation.zoo import Bug

SEEDS = {"cluster": 36, "crowd": 24}
PER_TEST = 12
BUDGET = 60
"""How many seeds a planted bug is given to be caught."""
SEEN = {
    "claims_beyond_the_limit": ("crowd", 2),
    "claims_what_it_saw_a_moment_ago": ("cluster", 1),
    "gives_a_host_up_and_leaves_its_row": ("cluster", 5),
    "goes_on_when_its_lease_is_over": ("crowd", 18),
    "hands_on_what_comes_early": ("cluster", 6),
    "keeps_its_executions_in_its_next_life": ("crowd", 20),
    "never_gives_anybody_up": ("cluster", 5),
    "stops_no_run_that_was_stopped_at_another_host": ("crowd", 1),
    "writes_without_asking_whether_its_host_stands": ("cluster", 21),
}
"""Where each bug was seen first. Trying this seed before the others only saves time."""


@cache
def outcome(seed: int, kind: str) -> Outcome:
    """What came of a seed."""
    return run(seed, FLEETS[kind])


@pytest.mark.sources("P1", "P2", "P3", "P5", "P7")
@pytest.mark.parametrize(
    ("kind", "first"), [(kind, first) for kind, count in SEEDS.items() for first in range(0, count, PER_TEST)]
)
def test_whatever_happens_to_hosts_no_schedule_breaks_a_promise(kind: str, first: int) -> None:
    for seed in range(first, first + PER_TEST):
        faults = outcome(seed, kind).faults
        replay = f".venv/bin/python -m tests.simulation {seed} {kind}"
        assert not faults, f"{kind} {seed}: {faults[0]}\nReplay: {replay}"


def test_the_same_seed_tells_the_same_story_twice() -> None:
    for kind in FLEETS:
        for seed in range(2):
            again = run(seed, FLEETS[kind])
            assert (again.log, again.journals, again.trace) == (
                outcome(seed, kind).log,
                outcome(seed, kind).journals,
                outcome(seed, kind).trace,
            )


# --- do the schedules go where bugs live?


class Line(msgspec.Struct):
    """As much of a stored entry as the census counts."""

    type: str
    data: dict[str, object]


def census() -> Counter[str]:
    """How often each kind of trouble and of going on occurs."""
    counts: Counter[str] = Counter()
    for kind in SEEDS:
        for seed in range(PER_TEST):
            told = outcome(seed, kind)
            for entry in told.journals:
                line = msgspec.json.decode(entry[entry.index("{") :], type=Line)
                if line.type == "run.retried":
                    counts[f"retried {line.data['reason']}"] += 1
                elif line.type == "run.resumed":
                    counts[f"resumed {line.data['mode']}"] += 1
            for words in told.log:
                what = words.split()[2:]
                counts[what[0]] += 1
                counts.update(word for word in WORDS if word in words)
    return counts


WORDS = ("who holds the runs", "database away", "after its stop")


MEANT = (
    *WORDS,
    "freeze",
    "thaw",
    "cut",
    "heal",
    "slow",
    "stop",
    "retried host_lost",
    "retried drain",
    "resumed rerun",
    "resumed held",
)


def test_the_schedules_go_where_bugs_live() -> None:
    counts = census()
    assert [what for what in MEANT if not counts[what]] == []


# --- bugs that must be caught


@pytest.mark.sources("P5", "P7")
@pytest.mark.parametrize("plant", zoo_cluster.BUGS, ids=[bug.__name__ for bug in zoo_cluster.BUGS])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_planted_bug_of_several_hosts_is_caught(plant: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    first = SEEN.get(plant.__name__, ("cluster", 0))
    tries = dict.fromkeys([first, *((kind, seed) for seed in range(BUDGET) for kind in FLEETS)])
    assert any(run(seed, FLEETS[kind]).faults for kind, seed in tries), f"{plant.__name__} was not caught"
