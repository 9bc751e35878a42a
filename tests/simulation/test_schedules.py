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

from tenure.core.approval import APPROVAL, Resumption
from tenure.core.effect import CallStatus
from tenure.core.event import EVENTS
from tenure.core.message import BusyPolicy, Disposition
from tenure.core.run import RUN
from tenure.ports.landmarks import Landmark
from tests.simulation.schedule import KINDS, Outcome, run

HERE = Path(__file__).parent
SEEDS = {"client": 80, "everyone": 240, "historian": 60}
PER_TEST = 40
REPEATED = 6


def corpus() -> list[tuple[str, int]]:
    lines = (HERE / "corpus.txt").read_text("utf-8").splitlines()
    words = [line.partition("#")[0].split() for line in lines]
    return [(kind, int(seed)) for kind, seed in filter(None, words)]


@cache
def outcome(seed: int, kind: str = "client") -> Outcome:
    return run(seed, KINDS[kind])


def check(seed: int, kind: str) -> None:
    faults = outcome(seed, kind).faults
    replay = f".venv/bin/python -m tests.simulation {seed} {kind}"
    assert not faults, f"{kind} {seed}: {faults[0]}\nReplay: {replay}"


@pytest.mark.sources("P1", "P2", "P3", "P5")
@pytest.mark.parametrize("first", range(0, SEEDS["client"], PER_TEST))
def test_no_schedule_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        check(seed, "client")


@pytest.mark.sources("P1", "P2", "P3", "P4", "P5", "P6", "P7")
@pytest.mark.parametrize("first", range(0, SEEDS["everyone"], PER_TEST))
def test_whatever_people_and_agents_do_no_schedule_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        check(seed, "everyone")


@pytest.mark.parametrize(("kind", "seed"), corpus())
def test_no_schedule_that_once_failed_breaks_a_promise(kind: str, seed: int) -> None:
    check(seed, kind)


def story(seed: int) -> str:
    told = run(seed, [*KINDS.values()][seed % len(KINDS)])
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


FIELDS = {
    "approval.resolved": ("decision", "by", "remember"),
    "message.admitted": ("when_busy", "disposition", "fallback"),
    "message.promoted": ("as",),
    "run.resumed": ("mode",),
    "steering.consumed": ("redelivered",),
    "tool.call.completed": ("status", "replayed"),
    "approval.requested": ("reason", "own"),
    "state.updated": ("deleted",),
}
"""What of an event the census counts too."""


@cache
def census(kind: str = "client") -> Counter[str]:
    """How often each kind of event, ending, retry, answer and kill occurs in the schedules."""
    counts: Counter[str] = Counter()
    for seed in range(SEEDS[kind]):
        told = outcome(seed, kind)
        for entry in told.journals:
            line = msgspec.json.decode(entry[entry.index("{") :], type=Line)
            counts[line.type] += 1
            if line.type == "run.finished":
                counts[f"ended {line.data['status']}"] += 1
            if line.type == "run.retried":
                counts[f"attempt {line.data['attempt']}"] += 1
            if line.type == "runner.warning":
                counts[f"warning {line.data['code']}"] += 1
            for field in FIELDS.get(line.type, ()):
                counts[f"{line.type} {field} {line.data.get(field)}"] += 1
        counts.update(" ".join(words.split()[2:]) for words in told.log)
    return counts


CALLS = (Landmark.CALL_BEFORE, Landmark.CALL_AFTER)
"""Passed in the schedules of test_calls, whose agents call tools."""


@pytest.mark.parametrize("landmark", [each for each in Landmark if each not in CALLS])
def test_hosts_die_at_every_landmark(landmark: Landmark) -> None:
    kills = sum(
        n
        for told, n in census("everyone").items()
        if told.startswith("kill") and told.endswith(f"at {landmark}")
    )
    assert kills >= 3


@pytest.mark.parametrize("state", sorted(RUN.terminal))
def test_runs_end_in_every_way(state: str) -> None:
    assert census("everyone")[f"ended {state}"] >= 3


LATER = {"grant.reduced"}
RECALLS = {type_ for type_ in EVENTS if type_.startswith("recall.")}
"""They occur in the schedules of test_recalls."""
GONE = {"session.deleted"}
"""Its journal is freed soon after."""


@pytest.mark.parametrize("type_", sorted(EVENTS.keys() - LATER - RECALLS - GONE))
def test_every_event_that_a_host_can_write_occurs(type_: str) -> None:
    assert census("everyone")[type_] + census("historian")[type_] >= 3


@pytest.mark.parametrize(
    "what",
    ["attempt 2", "attempt 3", "warning abandoned", "warning late_result", "warning payload_invalid"],
)
def test_the_unusual_occurs(what: str) -> None:
    assert census()[what] >= 3


@pytest.mark.parametrize(
    "what",
    [
        *(f"approval.resolved decision {decision}" for decision in sorted(APPROVAL.terminal)),
        *(f"approval.resolved by {by}" for by in ("rule", "clock", "runner", "ada")),
        *(f"message.admitted when_busy {policy}" for policy in BusyPolicy),
        *(f"message.admitted disposition {disposition}" for disposition in Disposition),
        *(f"message.promoted as {to}" for to in ("steering", "next", "run")),
        *(f"run.resumed mode {mode}" for mode in Resumption),
        *(f"tool.call.completed status {status}" for status in CallStatus),
        "tool.call.completed replayed True",
        "steering.consumed redelivered True",
        "approval.requested reason changed_after_retry",
        "approval.requested own True",
        "approval.resolved remember session",
        "state.updated deleted True",
    ],
)
def test_people_and_agents_go_where_bugs_live(what: str) -> None:
    assert census("everyone")[what] >= 3
