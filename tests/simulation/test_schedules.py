"""Seeded schedules of the whole host: nothing that was promised is broken in any of them.

A failure names the command that replays its seed. Seeds that once failed stay in corpus.txt.
"""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tenure.core.event import EVENTS
from tenure.core.run import RUN
from tenure.ports.landmarks import Landmark
from tests.simulation.schedule import Outcome, run

HERE = Path(__file__).parent
SEEDS = 480
PER_TEST = 40
REPEATED = 12


def corpus() -> list[int]:
    lines = (HERE / "corpus.txt").read_text("utf-8").splitlines()
    return [int(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]


@cache
def outcome(seed: int) -> Outcome:
    return run(seed)


def check(seed: int) -> None:
    faults = outcome(seed).faults
    assert not faults, f"seed {seed}: {faults[0]}\nReplay: .venv/bin/python -m tests.simulation {seed}"


@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_no_schedule_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        check(seed)


@pytest.mark.parametrize("seed", corpus())
def test_no_schedule_that_once_failed_breaks_a_promise(seed: int) -> None:
    check(seed)


def story(seed: int) -> str:
    told = run(seed)
    text = "\n".join([*told.log, *told.journals, str(told.trace), str(told.steps)])
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_same_seed_tells_the_same_story_twice() -> None:
    assert [story(seed) for seed in range(REPEATED)] == [story(seed) for seed in range(REPEATED)]


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_tells_the_same_story_in_another_process(hash_seed: str) -> None:
    code = f"from tests.simulation.test_schedules import story\nprint(*(story(s) for s in range({REPEATED})))"
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE.parents[1], env=env, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == [story(seed) for seed in range(REPEATED)]


def test_other_seeds_tell_other_stories() -> None:
    assert len({outcome(seed).trace for seed in range(60)}) > 55


# --- do the schedules go where bugs live?


class Line(msgspec.Struct):
    """As much of a stored entry as the census counts."""

    type: str
    data: dict[str, object]


@cache
def census() -> Counter[str]:
    """How often each kind of event, ending, retry and kill occurs in the first schedules."""
    counts: Counter[str] = Counter()
    for seed in range(240):
        told = outcome(seed)
        for entry in told.journals:
            line = msgspec.json.decode(entry[entry.index("{") :], type=Line)
            counts[line.type] += 1
            if line.type == "run.finished":
                counts[f"ended {line.data['status']}"] += 1
            if line.type == "run.retried":
                counts[f"attempt {line.data['attempt']}"] += 1
            if line.type == "runner.warning":
                counts[f"warning {line.data['code']}"] += 1
        counts.update(" ".join(words.split()[2:]) for words in told.log)
    return counts


@pytest.mark.parametrize("landmark", list(Landmark))
def test_hosts_die_at_every_landmark(landmark: Landmark) -> None:
    kills = sum(
        n for told, n in census().items() if told.startswith("kill") and told.endswith(f"at {landmark}")
    )
    assert kills >= 3


@pytest.mark.parametrize("state", sorted(RUN.terminal))
def test_runs_end_in_every_way(state: str) -> None:
    assert census()[f"ended {state}"] >= 3


LATER = {
    "message.promoted",
    "message.updated",
    "run.waiting",
    "run.resumed",
    "approval.requested",
    "approval.resolved",
    "steering.consumed",
    "state.updated",
    "artifact.created",
    "transcript.undone",
    "transcript.redone",
    "transcript.compacted",
    "session.forked",
    "recall.scheduled",
    "recall.fired",
    "recall.deferred",
    "recall.skipped",
    "grant.reduced",
    "effect.resolved",
}
GONE = {"session.deleted"}
"""Its journal is freed soon after."""


@pytest.mark.parametrize("type_", sorted(EVENTS.keys() - LATER - GONE))
def test_every_event_that_a_host_can_write_occurs(type_: str) -> None:
    assert census()[type_] >= 3


@pytest.mark.parametrize(
    "what",
    ["attempt 2", "attempt 3", "warning abandoned", "warning late_result", "warning payload_invalid"],
)
def test_the_unusual_occurs(what: str) -> None:
    assert census()[what] >= 3
